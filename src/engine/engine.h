/*
 * engine.h - what every command of the engine works on.
 *
 * cli and api fill an engine's places and configuration and call engine_open; then one
 * function per thing that a user can ask (run.h, create.h, …). START READING in run.c.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "engine/config.h"
#include "store/container.h"
#include "store/store.h"

struct engine {
	struct arena *arena; /* the command's */
	const struct config *config;
	const char *data_root, *run_root;
	bool user_namespace; /* an ordinary user's: we are root in a user namespace of our own */
	int run;             /* the run root, or -1 until engine_run_root */
	struct store store;
	struct containers containers;
};

enum engine_access {
	ENGINE_READ,   /* looks only: a store that is not there is empty */
	ENGINE_CHANGE, /* changes what is there, as whoever the caller is */
	ENGINE_WRITE,  /* makes things: an ordinary user becomes root of a user namespace */
};

/* Opens the store and the index of containers. arena, config and the two roots are set
 * by the caller. */
int engine_open(struct engine *engine, enum engine_access access, struct err *e);
void engine_close(struct engine *engine);
/* After an open engine was copied to another place, which outlives its arena and configuration. */
void engine_moved(struct engine *engine);

/* Opens the run root, made where it is missing. */
int engine_run_root(struct engine *engine, struct err *e);

#endif
