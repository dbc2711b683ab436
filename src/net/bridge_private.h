/*
 * bridge_private.h - what bridge.c and publish.c share: the host, and a network's leases.
 */
#ifndef NET_BRIDGE_PRIVATE_H
#define NET_BRIDGE_PRIVATE_H

#include "net/driver.h"
#include "net/ipam.h"
#include "net/netlink.h"

/* A network and its bridge. */
struct kind {
	const char *network;
	const char *bridge;
	/* The classic dialect's bridge: where it stands already it is its owner's, with his address and
	 * his firewall; brig makes it, with this address, only where there is none. 0: always brig's
	 * own, with a subnet that is free. */
	uint32_t address;
	unsigned prefix;
};

extern const struct kind bridge_own_kind;

struct host {
	const struct kind *kind;
	struct netlink route, filter;
	int netns;
	uint64_t cookie;
};

#define HOST_CLOSED(of)                                                                                      \
	{                                                                                                    \
		.kind = (of), .route = NETLINK_CLOSED, .filter = NETLINK_CLOSED, .netns = -1                 \
	}

void bridge_host_close(struct host *host);
#define auto_host __attribute__((cleanup(bridge_host_close)))
int bridge_host_open(struct host *host, struct err *e);
int bridge_host_find(struct host *host, int socket, struct err *e);
bool bridge_in_place(struct host *host, const struct ipam *ipam);
int bridge_set_up(struct host *host, struct ipam *ipam, struct buf *note, struct err *e);
int bridge_open_leases(const struct host *host, int run_root, struct ipam *ipam, struct err *e);

struct sweep {
	net_dead_fn *dead;
	void *context;
};

bool bridge_is_dead(void *context, const uint8_t id[IPAM_ID_SIZE], uint32_t address);

int bridge_restore_ports(struct host *host, struct ipam *ipam);
int bridge_withdraw_ports(struct host *host, struct ipam *ipam, const uint8_t *id, struct sweep *sweep);
int bridge_publish(const struct net_publish *publish, char clash[65], struct err *e);
int bridge_each_port(int run_root, net_port_fn *take, void *context, struct err *e);
int bridge_reload(int run_root, struct buf *note, struct err *e);

#endif
