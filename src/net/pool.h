/*
 * pool.h - network namespaces made ahead of time.
 *
 * Making a namespace and connecting it is a third of what a short container costs. Where
 * containers are run one after the other, a few are kept ready: pinned by a bind mount,
 * each in a folder of the run root. Taking one is renaming its folder. Nothing is kept
 * before a second container within a minute shows that it is worth it; no process stays
 * for it.
 */
#ifndef NET_POOL_H
#define NET_POOL_H

#include <stdbool.h>

#include "base/err.h"
#include "net/net.h"

/* One that was taken and is not confirmed yet. */
struct net_pool_taken {
	int folder; /* -1: none */
	int netns;  /* the namespace, close-on-exec */
	char id[72];
};
#define NET_POOL_NONE                                                                                        \
	{                                                                                                    \
		.folder = -1, .netns = -1                                                                    \
	}

/* Takes a ready namespace for the container that the request describes (its pidfd and
 * netns are not looked at). 1: taken->netns has everything set up that net_attach and
 * usual_sysctls would have, and out is filled; a process may enter it. 0: there is none, or the
 * request wants something that they do not have. Never fails: whoever gets 0 makes a namespace. */
int net_pool_take(
	const struct net_request *request, struct net_pool_taken *taken, struct net_attachment *out);
/* The second half, for which nobody has to wait who does not use the network yet: looks whether what
 * was made ahead still fits this host, and makes it the container's: net_detach gives it back as
 * always. -1: it does not, and nothing is to be given back; the caller makes a namespace. */
int net_pool_confirm(const struct net_request *request, struct net_pool_taken *taken,
	struct net_attachment *got, struct err *e);
/* Lets go of both descriptors. */
void net_pool_close(struct net_pool_taken *taken);
#define auto_pool_taken __attribute__((cleanup(net_pool_close)))

/* To be called after a container of that network was reported, by a process of one thread
 * that has nothing left to do that matters: makes namespaces ahead, or clears away those
 * that nobody wanted. Takes a few milliseconds. */
void net_pool_refill(int run_root, const char *network);

/* Clears away every one. For tests, and for a configuration that wants none. */
void net_pool_clear(int run_root);

/* How many stand ready. */
unsigned net_pool_count(int run_root);

/* Whether an address is held by a namespace of the pool and not by a container. */
bool net_pool_holds(const char *id);

#endif
