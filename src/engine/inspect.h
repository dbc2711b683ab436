/*
 * inspect.h - docker's JSON of one container, for the command line and the API.
 */
#ifndef ENGINE_INSPECT_H
#define ENGINE_INSPECT_H

#include "base/json.h"
#include "engine/diff.h"
#include "engine/engine.h"
#include "store/container.h"

/* Writes what `docker inspect` shows of the container as one object. One that was lost is
 * shown as having exited. size may be NULL. */
int engine_container_inspect(struct engine *engine, struct container *container,
	const struct container_size *size, struct json_writer *w, const char *key, struct err *e);

#endif
