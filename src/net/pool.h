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

/* Takes a ready namespace for the container that the request describes (its pidfd and
 * netns are not looked at). 1: *netns is the namespace (close-on-exec, the caller's to
 * close), with everything set up that net_attach and usual_sysctls would have, and out is
 * filled; net_detach gives back as always. 0: there is none, or the request wants something
 * that they do not have. Never fails: whoever gets 0 makes a namespace. */
int net_pool_take(const struct net_request *request, int *netns, struct net_attachment *out);

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
