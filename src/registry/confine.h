/*
 * confine.h - what brig-net gives up before it reads its first message.
 *
 * It keeps: sockets, threads, its memory, the descriptors it is sent, and reading what
 * libcurl and the resolver need below /etc, /usr, /lib and /run. A captured helper cannot
 * execute, fork, open a file to write, send a signal, trace, mount or gain a right.
 */
#ifndef REGISTRY_CONFINE_H
#define REGISTRY_CONFINE_H

#include "base/err.h"

/* Before the first thread. Fails where no_new_privs or the filter cannot be had; landlock
 * and becoming nobody are taken where the kernel and our rights allow them. */
int confine_helper(struct err *e);

#endif
