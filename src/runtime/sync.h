/*
 * sync.h - the handshake between the parent (create.c) and the child (init.c).
 *
 * One SOCK_SEQPACKET pair, one struct sync_message a packet:
 *
 *	parent				child
 *	clone3 ------------------------> makes the engine's own file systems, detached
 *	the root file system,
 *	ROOT (a detached mount) -------> attaches it, puts the others in place, sysctls, masks
 *	cgroup, late mounts' files,
 *	MAPPED ------------------------> joins it, its own cgroup namespace, cgroup and late mounts
 *	                      <--------- MOUNTED (with the terminal's master, if any)
 *	network, GO -------------------> pivot_root, confinement
 *	                      <--------- READY, when asked to pause there
 *	START -------------------------> execve
 *	end of file: the command runs <- (the socket is close-on-exec)
 *
 * At any point the child may send FAILED with its struct err instead and exit; the
 * parent reports it as its own. When the parent dies the child reads the end of the
 * file and exits, so nothing half-made ever runs. Both ends are the same program: a
 * message is the struct as it lies in memory.
 */
#ifndef RUNTIME_SYNC_H
#define RUNTIME_SYNC_H

#include "base/err.h"

enum sync_type {
	SYNC_ROOT = 1,
	SYNC_MAPPED,
	SYNC_MOUNTED,
	SYNC_GO, /* value: 1 to go on to execve at once, 0 to send READY and wait */
	SYNC_READY,
	SYNC_START,
	SYNC_FAILED,
};

struct sync_message {
	enum sync_type type;
	int value;
	struct err err; /* of FAILED; not sent with the others */
};

/* Sends type and value, or FAILED with *failure where that is not NULL; fd is passed
 * along where it is >= 0. 0 or -errno. */
int sync_send(int socket, enum sync_type type, int value, const struct err *failure, int fd);

/* Waits for the message that is expected. Returns 0; 1 at the end of the file; -1 with
 * e where the other side sent FAILED (its error) or something else. *fd, where not NULL,
 * is the descriptor that came along or -1. */
int sync_wait(int socket, enum sync_type expected, int *value, int *fd, struct err *e);

#endif
