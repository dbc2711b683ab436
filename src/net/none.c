/*
 * none.c - a network with nothing but the loopback interface.
 *
 * Nothing is to be done from outside: the container's first process brings lo up itself
 * (runtime/init.c), which an ordinary user's may do too.
 */
#include "net/driver.h"

const struct net_driver net_none_driver = {
	.name = "none",
	.kind = NET_NONE,
	.about = "nothing but the loopback interface",
};
