/*
 * conntrack.h - what the kernel remembers of UDP flows.
 *
 * Addresses are translated for the first packet of a flow, and as that for all that follow. A
 * client that goes on sending from one port keeps its flow alive, so where a published port comes or
 * goes, what is remembered of it has to be forgotten. (A TCP connection ends with whoever served it.)
 */
#ifndef NET_CONNTRACK_H
#define NET_CONNTRACK_H

#include <stddef.h>

#include "net/firewall.h"
#include "net/netlink.h"

/* Forgets the UDP flows to those published ports that go on past the map: those that lead to the
 * port's container, and those that were begun while nobody published it. Ports of other protocols are
 * passed over. nl is a NETLINK_NETFILTER socket. 0 or -errno; without connection tracking there is
 * nothing to forget. Source: linux/netfilter/nfnetlink_conntrack.h. */
int conntrack_forget(struct netlink *nl, const struct firewall_port *ports, size_t count);

#endif
