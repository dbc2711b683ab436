/*
 * monitor.h - the process that looks after one container, and how others talk to it.
 *
 * Theory of operation. The monitor is the parent of the container's first process from
 * the first instant, in the foreground too. It holds the container's lock in the index,
 * the read ends of its output (or the terminal's master), and writes the log. It listens
 * on the socket attach/ID in the run root; the command that started it is a client from
 * the start, over a socket pair. Messages are struct monitor_message over SEQPACKET:
 *
 *	client				monitor
 *			<------ STARTED (pid), or FAILED with a struct err and it is over
 *	ATTACH (flags) ------>
 *			<------ ATTACHED with pipes for output and a way for input
 *	SIGNAL (n) ---------->	to the first process
 *	DETACH -------------->
 *			<------ EXITED (status), when the name, address and ports are free
 *				again; then the output pipes are at their end
 *
 * Output goes to a client through pipes that the monitor fills without waiting for
 * anybody else; when a client does not read, the container waits, as docker's does. A
 * client that goes away is forgotten. When the monitor is killed the container lives on
 * without it, and the next command sees that from the lock.
 */
#ifndef ENGINE_MONITOR_H
#define ENGINE_MONITOR_H

#include <sys/types.h>

#include "base/err.h"
#include "engine/container.h"
#include "engine/engine.h"
#include "store/container.h"

enum monitor_type {
	MONITOR_STARTED = 1,
	MONITOR_FAILED,
	MONITOR_ATTACH,
	MONITOR_ATTACHED,
	MONITOR_SIGNAL,
	MONITOR_DETACH,
	MONITOR_EXITED,
};

enum { MONITOR_STDIN = 1, MONITOR_STDOUT = 2, MONITOR_STDERR = 4 };

struct monitor_message {
	enum monitor_type type;
	int value;
	struct err err; /* of FAILED; not sent with the others */
};

/* The client's side of an attachment. */
struct monitor_client {
	int socket;
	int process; /* or, for exec: the pidfd of our own child; -1 */
	int input;   /* writes to the container's stdin or terminal; -1 none */
	int output;  /* reads its stdout, or the terminal */
	int error;   /* reads its stderr; -1 with a terminal */
};

/* Starts a container whose lock is held in *container: forks the monitor, which takes
 * the lock over, and returns once the command runs (client->socket then stays open for
 * the rest) or has failed. attach says which streams the client wants from the first byte
 * on. */
int monitor_start(struct engine *engine, struct container *container, const struct container_config *config,
	unsigned attach, struct monitor_client *client, struct err *e);

/* Connects to the monitor of a running container. ERR_CONFLICT where it does not run. */
int monitor_connect(struct engine *engine, const struct container *container, unsigned attach,
	struct monitor_client *client, struct err *e);

/* Removes the socket of a monitor that is gone or is about to go. */
void monitor_forget(const struct engine *engine, const char *id);

int monitor_send(int socket, enum monitor_type type, int value);
/* 1: a message; 0: the monitor is gone. -1: e. */
int monitor_receive(int socket, struct monitor_message *message, int *fds, size_t *count, struct err *e);

void monitor_client_close(struct monitor_client *client);

#endif
