/*
 * inside.h - working in a container's network namespace.
 *
 * inside_enter goes in for an instant, opens a netlink socket there, writes sysctls, and
 * comes back: a socket stays in the namespace that it was opened in. The calling process
 * must have one thread.
 */
#ifndef NET_INSIDE_H
#define NET_INSIDE_H

#include "net/net.h"
#include "net/netlink.h"

struct inside {
	struct netlink route; /* lives in the container's namespace */
	int netns;            /* that namespace */
};

#define INSIDE_CLOSED                                                                                        \
	{                                                                                                    \
		.route = NETLINK_CLOSED, .netns = -1                                                         \
	}

struct inside_wish {
	bool no_ipv6;  /* interfaces that appear from now on get no IPv6 */
	bool loopback; /* bring it up */
};

/* host is a socket of the caller's own namespace. */
int inside_enter(const struct net_request *request, int host, const struct inside_wish *wish,
	struct inside *out, struct err *e);
void inside_close(struct inside *inside);
#define auto_inside __attribute__((cleanup(inside_close)))

/* Writes a file below /proc/sys of the current network namespace. 0 or -errno. */
int inside_write_sysctl(const char *path, const char *value);

#endif
