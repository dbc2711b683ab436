/*
 * volume.h - volumes as users see them: create, inspect, remove, prune.
 */
#ifndef ENGINE_VOLUME_H
#define ENGINE_VOLUME_H

#include "base/err.h"
#include "base/json.h"
#include "engine/engine.h"
#include "engine/spec.h"
#include "store/volume.h"

/* The options of the driver "local", KEY=VALUE: type, device and o, as mount(8) has them.
 * ERR_INVALID in docker's words. */
int volume_check_options(const struct strings *options, struct err *e);
/* What a volume with such options is mounted from: whatever they say, in each container anew. */
int volume_options_source(struct arena *arena, const struct volume *volume, const char *subpath,
	struct spec_source *source, struct err *e);

/* Makes a volume; name NULL: an anonymous one. *name is its name then. One that is there already
 * stays as it is, and is success. */
int engine_volume_create(struct engine *engine, const char **name, const struct strings *labels,
	const struct strings *options, struct err *e);

/* Its docker-shaped JSON under key. */
int engine_volume_inspect(
	struct engine *engine, const char *name, struct json_writer *w, const char *key, struct err *e);
const char *engine_volume_mountpoint(const struct engine *engine, struct arena *arena, const char *name);

/* ERR_CONFLICT where containers use it, which names them; ERR_NOT_FOUND. */
int engine_volume_remove(struct engine *engine, const char *name, struct err *e);

/* Removes those for which fits says so and that no container uses. */
struct volume_prune {
	struct strings names;
	int64_t size; /* bytes */
};
int engine_volume_prune(struct engine *engine, bool (*fits)(void *context, const struct volume *volume),
	void *context, struct volume_prune *result, struct err *e);

#endif
