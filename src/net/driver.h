/*
 * driver.h - what a kind of network is to net.c: a row of functions.
 *
 * attach finds the outputs zeroed but for the network's name. An operation that is NULL
 * has nothing to do.
 */
#ifndef NET_DRIVER_H
#define NET_DRIVER_H

#include "net/net.h"

struct net_driver {
	const char *name; /* the user's word for it */
	enum net_kind kind;
	const char *about;
	int (*attach)(const struct net_request *request, struct net_attachment *out, struct err *e);
	int (*detach)(const struct net_release *release, struct err *e);
	/* Makes what the host needs for the network, without a container; may be NULL. */
	int (*set_up)(int run_root, struct buf *note, struct err *e);
	/* Whether namespaces of this kind are made ahead of time, and for one that was: takes what
	 * it holds over from the pool's id, after a look that all of it still stands. */
	bool pooled;
	/* What such a namespace needs besides attach; may be NULL. */
	int (*prepare)(const struct net_request *request, struct err *e);
	int (*adopt)(const struct net_request *request, const char *pool_id, struct net_attachment *got,
		struct err *e);
	/* NULL where such a network has no ports to publish; then so are the next two. */
	int (*publish)(const struct net_publish *publish, char clash[65], struct err *e);
	int (*each_port)(int run_root, net_port_fn *take, void *context, struct err *e);
	int (*reload)(int run_root, struct buf *note, struct err *e);
	int (*sweep)(int run_root, net_dead_fn *dead, void *context, struct err *e);
};

/* The row of the user's word (NULL with e filled where there is none), and the rows in turn
 * (NULL after the last). */
const struct net_driver *net_driver_find(const char *network, struct err *e);
const struct net_driver *net_driver_at(size_t n);

extern const struct net_driver net_bridge_driver;
extern const struct net_driver net_classic_driver;
extern const struct net_driver net_none_driver;
extern const struct net_driver net_host_driver;

#endif
