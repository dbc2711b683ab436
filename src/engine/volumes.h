/*
 * volumes.h - a container's volumes: which it gets, filling them, mounting them, and what of
 * them goes with it.
 *
 * Theory of operation. create decides on all mounts before there is a container (volumes_plan);
 * then, with the container claimed, writes config.json, which names the volumes, and only then
 * makes them (volumes_make). So whoever finds what a killed create left, a record that is CREATING,
 * reads in its config.json which volumes are to go with it. Anonymous volumes go with a container that
 * was not finished, with one of --rm, and by `rm -v` (CONTAINER_TAKES_VOLUMES in its status); they
 * go while the record is still there (container_discard), so that a crash in between
 * is found and ended by the next command too.
 *
 * Who uses a volume is read from the containers' config.json, every time. Containers that are
 * REMOVING count no more: their processes have ended.
 */
#ifndef ENGINE_VOLUMES_H
#define ENGINE_VOLUMES_H

#include "base/err.h"
#include "engine/container.h"
#include "engine/create.h"
#include "engine/engine.h"
#include "engine/spec.h"
#include "oci/image.h"
#include "store/container.h"

/* Completes config->mounts: --volumes-from, the image's VOLUMEs, names for anonymous
 * volumes; and looks for the sources of binds, which -v's are made. */
int volumes_plan(struct engine *engine, const struct oci_config *image, struct container_config *config,
	struct err *e);

/* Whether it has any. */
bool volumes_any(const struct container_config *config);
/* Whether it has some that go with it. */
bool volumes_anonymous(const struct container_config *config);

/* Makes the container's volumes and fills those that are new; where its start follows, that is
 * left to volumes_fill. dir is the container's folder, with its root file system made;
 * its config.json is written here. On failure volumes that were made here are gone again. */
int volumes_make(struct engine *engine, const struct container *container,
	const struct container_config *config, int dir, bool start_follows, struct err *e);

/* Fills those that no container was given yet, from the container's root file system, which root
 * opens and nobody has written to. */
int volumes_fill(struct engine *engine, const struct container_config *config, int root, struct err *e);

/* Opens what the container's volumes are mounted from, by config's mounts; NULL where it has
 * none. The descriptors are closed by volumes_close. */
int volumes_open(struct engine *engine, struct arena *arena, const struct container_config *config,
	struct spec_source **sources, struct err *e);
void volumes_close(struct spec_source *sources, size_t count);

/* Takes the names of the anonymous volumes that only this container uses; what they hold goes with
 * *stage (volume_stage_drop), whose fd is -1 where there are none. The container's lock is held. */
void volumes_take(struct engine *engine, const struct container *container, struct store_stage *stage);

/* Removes a container whose lock is held, and, with volumes, its anonymous ones. */
int container_discard(struct engine *engine, struct container *container, bool volumes, struct err *e);

/* ---- who uses volumes ---- */

struct volumes_use {
	const char *volume;
	const char *container; /* its id */
};
struct volumes_usage {
	struct volumes_use *uses;
	size_t count;
	const char *unreadable; /* a container whose config.json cannot be read, and that may use any */
};

/* Of all containers but the one in slot except (SIZE_MAX: none). */
void volumes_usage(struct engine *engine, struct arena *arena, size_t except, struct volumes_usage *usage);
/* How many containers use it. */
size_t volumes_users(const struct volumes_usage *usage, const char *volume);

#endif
