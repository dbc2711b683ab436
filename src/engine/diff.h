/*
 * diff.h - `brig diff`: how a container's files differ from its image's.
 */
#ifndef ENGINE_DIFF_H
#define ENGINE_DIFF_H

#include "base/err.h"
#include "engine/engine.h"
#include "store/changes.h"

/* The changes, which live in the engine's arena. The container may run: then it is a moment's. */
int engine_diff(
	struct engine *engine, const char *container, struct change **changes, size_t *count, struct err *e);

#endif
