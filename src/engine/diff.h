/*
 * diff.h - `brig diff`: how a container's files differ from its image's, and by how many bytes.
 */
#ifndef ENGINE_DIFF_H
#define ENGINE_DIFF_H

#include "base/err.h"
#include "engine/engine.h"
#include "store/changes.h"
#include "store/container.h"

/* The changes, which live in the engine's arena. The container may run: then it is a moment's. */
int engine_diff(
	struct engine *engine, const char *container, struct change **changes, size_t *count, struct err *e);

/* docker's two sizes. */
struct container_size {
	int64_t own;   /* bytes of the files that it changed or made */
	int64_t whole; /* with its image's */
};
int engine_size(
	struct engine *engine, const struct container *container, struct container_size *size, struct err *e);

#endif
