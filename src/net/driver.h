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
	int (*sweep)(int run_root, net_dead_fn *dead, void *context, struct err *e);
};

extern const struct net_driver net_bridge_driver;
extern const struct net_driver net_none_driver;
extern const struct net_driver net_host_driver;

#endif
