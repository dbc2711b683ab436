/*
 * interrupt.h - the user's wish to end a command that takes long, as a descriptor to poll.
 *
 * Between begin and end SIGINT, SIGTERM and SIGHUP do not end the process, which can leave
 * everything sound instead and fail with ERR_INTERRUPTED; nor does SIGPIPE, so that a write to a
 * child that has gone is an error. Children inherit both.
 */
#ifndef ENGINE_INTERRUPT_H
#define ENGINE_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

struct interrupt {
	int fd; /* readable once the user wants an end */
	sigset_t before;
	struct sigaction pipe_before;
};

/* On failure there is nothing to be ended. */
int interrupt_begin(struct interrupt *interrupt, struct err *e);
/* obeyed: the command ended for the signal, which is not to strike again when it is let through. */
void interrupt_end(struct interrupt *interrupt, bool obeyed);

#endif
