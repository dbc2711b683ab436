/* host.c - the host's own network: nothing to set up. */
#include "net/driver.h"

const struct net_driver net_host_driver = {
	.name = "host",
	.kind = NET_HOST,
	.about = "the host's own network namespace",
};
