/*
 * link.h - interfaces, addresses and routes, as rtnetlink messages.
 *
 * IPv4 addresses are in host byte order here and everywhere in net/. The link_put_*
 * functions add one message to a batch; the others ask the kernel. They return 0 or
 * -errno and print nothing.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "net/netlink.h"

#define LINK_NAME_SIZE 16 /* IFNAMSIZ */

/* Interface groups mark what is brig's, for its firewall rules and for whoever looks:
 * "brig" and "brip" in ASCII. */
#define LINK_GROUP_BRIDGE 0x62726967u
#define LINK_GROUP_PORT   0x62726970u

struct link {
	int index;
	uint32_t group;
	int master;
	bool up;
	char name[LINK_NAME_SIZE];
	char kind[LINK_NAME_SIZE]; /* "bridge", "veth"; "" for hardware */
	uint8_t mac[6];
};

/* Asks for an interface by name; its answer is for link_parse. */
void link_put_find(struct netlink_batch *batch, const char *name);
/* Looks an interface up by name. -ENODEV where there is none. */
int link_find(struct netlink *nl, const char *name, struct link *out);

struct link_veth {
	const char *host_name;
	const char *inner_name;
	int netns;    /* where the inner end is born, */
	int pid;      /* or, where not 0, a process that lives there */
	int bridge;   /* index */
	uint32_t mtu; /* 0: the kernel's */
	uint8_t host_mac[6];
	uint8_t inner_mac[6];
};

/* Three messages that make a veth pair: the host's end up and a port of the bridge, the
 * other in netns and still down. The first is answered with -EEXIST where the name is
 * taken. */
void link_put_veth(struct netlink_batch *batch, const struct link_veth *veth);
void link_put_bridge(struct netlink_batch *batch, const char *name, const uint8_t mac[6], uint32_t mtu);
/* Has a bridge learn no sender from frames to the reserved group addresses: those pass no
 * netfilter hook, so that a container could steal its neighbour's frames with one. */
void link_put_bridge_rules(struct netlink_batch *batch, int index);
/* Changes an existing interface, by index: up, and the group where it is not 0. */
void link_put_up(struct netlink_batch *batch, int index, uint32_t group);
/* Lets a bridge's port have frames back that came from it. A container with a published port
 * needs that to reach itself by the host's address, where the kernel filters what is
 * bridged (br_netfilter): such a packet is turned round without leaving the bridge. */
void link_put_hairpin(struct netlink_batch *batch, int index);
void link_put_delete(struct netlink_batch *batch, const char *name);
void link_put_address(struct netlink_batch *batch, int index, uint32_t address, unsigned prefix);
/* The default route; gateway 0 is none, straight out of the interface. */
void link_put_default_route(struct netlink_batch *batch, int index, uint32_t gateway);

/* What an IPv4 address or a route (but a default one) covers. */
struct link_network {
	uint32_t address;
	unsigned prefix;
	int index; /* of the interface, 0 where a route has several */
	bool route;
};
typedef int link_network_fn(void *context, const struct link_network *network);
/* Every one of the namespace. `each` is called with NULL first, and again where the table
 * changed meanwhile: begin anew. A return other than 0 ends the walk with it. */
int link_each_address(struct netlink *nl, link_network_fn *each, void *context);
int link_each_route(struct netlink *nl, link_network_fn *each, void *context);

/* By name, without a message: the index, or -ENODEV. Any socket of the namespace will do. */
int link_index(int socket, const char *name);
/* Whether the interface of that name is up; -ENODEV where there is none. */
int link_is_up(int socket, const char *name);
/* Takes it up. */
int link_set_up(int socket, const char *name);
/* A descriptor of the network namespace that a socket lives in, or -errno. */
int link_namespace_of(int socket);
/* Whether IPv4 packets are forwarded: 1, 0, or -errno. */
int link_forwarding(struct netlink *nl);

typedef int link_each_fn(void *context, const struct link *link);
/* Every interface; `each` may be called with NULL: begin anew. */
int link_each(struct netlink *nl, link_each_fn *each, void *context);

/* Reads a link out of an RTM_NEWLINK message; false where it is malformed. */
bool link_parse(const struct nlmsghdr *message, struct link *out);
bool link_parse_network(const struct nlmsghdr *message, struct link_network *out);

#endif
