/*
 * attach.h - a user's terminal or pipes joined with a container's, from the client's side.
 */
#ifndef ENGINE_ATTACH_H
#define ENGINE_ATTACH_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"
#include "engine/monitor.h"

enum { ATTACH_KEYS = 16 };

struct attach_options {
	bool terminal;                   /* the container has one */
	bool input;                      /* our stdin goes in */
	bool no_signals;                 /* are not passed on */
	unsigned char keys[ATTACH_KEYS]; /* the detach sequence; keys_count 0: none */
	size_t keys_count;
};

enum attach_end { ATTACH_EXITED, ATTACH_DETACHED, ATTACH_LOST };

/* "ctrl-p,ctrl-q" to bytes; ERR_INVALID. NULL or "" is the default sequence. */
int attach_parse_keys(const char *text, struct attach_options *options, struct err *e);

/* Blocks the signals that attach_run will pass on, so that none gets lost between the
 * start of a container and attach_run; before is what was blocked until then. */
void attach_block_signals(sigset_t *before);

/* Copies until the container ends (*exit_code is set), the user detaches, or the monitor
 * is lost. The client's descriptors stay the caller's to close. */
int attach_run(struct monitor_client *client, const struct attach_options *options, enum attach_end *end,
	int *exit_code, struct err *e);

#endif
