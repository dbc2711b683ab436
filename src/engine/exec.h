/*
 * exec.h - `brig exec`: one more command in a running container.
 */
#ifndef ENGINE_EXEC_H
#define ENGINE_EXEC_H

#include "base/err.h"
#include "engine/attach.h"
#include "engine/engine.h"

struct exec_options {
	const char *container;
	struct strings args;
	struct strings env;      /* NAME=VALUE, added to the container's */
	const char *user;        /* NULL: the container's */
	const char *working_dir; /* NULL: the container's */
	bool terminal, input, detach, privileged;
	struct attach_options attaching;
};

/* The engine is closed, and the caller in the container's namespaces, when this returns.
 * *exit_code is the command's; with detach 0. *end tells whether the user detached. */
int engine_exec(struct engine *engine, const struct exec_options *options, enum attach_end *end,
	int *exit_code, struct err *e);

#endif
