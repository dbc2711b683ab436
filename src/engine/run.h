/*
 * run.h - `brig run`. START READING run.c.
 */
#ifndef ENGINE_RUN_H
#define ENGINE_RUN_H

#include "base/err.h"
#include "engine/attach.h"
#include "engine/create.h"
#include "engine/engine.h"

struct run_options {
	struct create_options create;
	bool detach;
	unsigned attach; /* MONITOR_STDIN, … */
	struct attach_options attaching;
};

struct run_result {
	char id[CONTAINER_ID];
	int status; /* the container's exit status; with detach 0 */
	enum attach_end end;
};

/* Creates a container, starts it, and, unless detached, stays until it ends or the user
 * detaches. */
int engine_run(
	struct engine *engine, const struct run_options *options, struct run_result *result, struct err *e);

struct start_options {
	bool attach, interactive;
	const char *detach_keys;
	bool no_signals;
};

/* Starts a container that exists; one that runs already is success. */
int engine_start(struct engine *engine, const char *name, const struct start_options *options,
	struct run_result *result, struct err *e);

/* Joins a running container. */
int engine_attach(struct engine *engine, const char *name, const struct start_options *options,
	struct run_result *result, struct err *e);

#endif
