/*
 * control.h - what can be done to a container that exists: look, signal, stop, wait, remove.
 *
 * All of it works from any process: a container is found in the index, its first process
 * is reached by pidfd after its start time and the boot were compared, and its end is
 * seen when its monitor lets go of the lock.
 */
#ifndef ENGINE_CONTROL_H
#define ENGINE_CONTROL_H

#include "base/err.h"
#include "engine/engine.h"
#include "store/container.h"

/* What a container does now, which its record alone cannot tell. */
enum control_state {
	CONTROL_CREATED,
	CONTROL_RUNNING,
	CONTROL_UNATTENDED, /* it runs, but its monitor was killed */
	CONTROL_EXITED,
	CONTROL_LOST, /* it ran when the host or its monitor went down; its exit status is unknown */
	CONTROL_BUSY, /* being created or removed by somebody */
};

enum control_state control_observe(const struct engine *engine, const struct container *container);

/* A lost container's record is set right: EXITED with 255, or, with --rm, removed.
 * Commands that list containers call this for each that they observe as lost. */
void control_settle(struct engine *engine, struct container *container);

/* Takes the container's lock for a change, once nobody else is at work on it; a lost one is
 * settled first. 0: it is held, and the container is created or exited; 1: it runs (or is just
 * being started), and nothing is held; -1: e, ERR_NOT_FOUND where it is gone. */
int control_lock(struct engine *engine, struct container *container, struct err *e);

/* Settles all that are lost: for commands that are about to claim a name. It costs a
 * question to the kernel for each container that runs. */
void control_settle_all(struct engine *engine);

/* Finds a container by name or id and opens its first process: ERR_CONFLICT ("is not
 * running") unless it runs. Returns the pidfd. */
int control_open_process(struct engine *engine, const struct container *container, struct err *e);

/* "TERM", "SIGTERM", "15" to a number; ERR_INVALID. */
int control_signal_number(const char *text, int *signal, struct err *e);

/* Sends a signal to the first process. */
int control_kill(struct engine *engine, const struct container *container, int signal, struct err *e);

/* Sends the stop signal, SIGKILL after timeout seconds (-1: never), and returns when the
 * container has ended. One that does not run is success. signal 0 and timeout -2 mean the
 * container's own. */
int control_stop(
	struct engine *engine, struct container *container, int signal, int64_t timeout, struct err *e);

/* Waits for the end and gives the exit status; at once where it does not run. */
int control_wait(struct engine *engine, struct container *container, int *exit_code, struct err *e);

/* Removes the container; a running one only with force, which kills it; with volumes, its
 * anonymous ones too. */
struct control_removal {
	bool force, volumes;
};
int control_remove(
	struct engine *engine, struct container *container, const struct control_removal *how, struct err *e);

#endif
