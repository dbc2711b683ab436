/*
 * none.c - a network with nothing but the loopback interface.
 *
 * Nothing is to be done from outside: the container's first process brings lo up itself
 * (runtime/init.c), which an ordinary user's may do too. Only where the namespace is made
 * ahead of time is there no such process yet.
 */
#include "net/driver.h"

#include <errno.h>
#include <sys/socket.h>
#include <linux/netlink.h>

#include "base/auto.h"
#include "net/inside.h"

static int none_prepare(const struct net_request *request, struct err *e)
{
	auto_inside struct inside inside = INSIDE_CLOSED;
	/* Any socket would do; one of the route protocol is the cheapest to open. */
	auto_close int host = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (host < 0)
		return err_errno(e, errno, "cannot open a netlink socket");
	return inside_enter(request, host, &(struct inside_wish){.loopback = true}, &inside, e);
}

const struct net_driver net_none_driver = {
	.name = "none",
	.kind = NET_NONE,
	.about = "nothing but the loopback interface",
	.pooled = true,
	.prepare = none_prepare,
};
