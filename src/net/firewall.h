/*
 * firewall.h - brig's own tables in nf_tables: what may go where.
 *
 * Two tables, `inet brig` and `bridge brig`, made in one transaction and left standing.
 * A network adds its bridge once; a container adds nothing (its address belongs to a
 * block that was let in as a whole), a published port is one element of a map.
 * nf_tables counts its changes: while the generation is the one that was seen when
 * everything was found in place, nothing need be looked at.
 */
#ifndef NET_FIREWALL_H
#define NET_FIREWALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/link.h"
#include "net/netlink.h"

struct firewall_bridge {
	char name[LINK_NAME_SIZE];
	uint32_t address; /* any inside the network */
	unsigned prefix;
};

/* The generation of the whole rule set. */
int firewall_generation(struct netlink *nl, uint32_t *generation);

struct firewall_probe {
	bool tables;     /* `inet brig` is there and whole, this program's version of it */
	bool bridge;     /* and the network's part */
	bool ports;      /* `bridge brig` is there and whole */
	uint64_t handle; /* of `bridge brig`: another one means that its set was emptied */
};

/* Looks whether everything is in place for the bridge of that name. 0 or -errno. */
int firewall_probe(struct netlink *nl, const char *bridge, struct firewall_probe *out);

struct firewall_plan {
	const struct firewall_bridge *bridges;
	size_t bridge_count;
	const uint32_t *ports; /* addresses of the containers that are there already */
	size_t port_count;
};

/* Makes both tables anew, in one transaction. 0 or -errno. Without nf_tables in the kernel
 * it is -EOPNOTSUPP; where only its bridge family is missing, *no_spoof_check is set and
 * all the rest holds. */
int firewall_build(struct netlink *nl, const struct firewall_plan *plan, bool *no_spoof_check);
/* Adds, or makes anew, one network's part. */
int firewall_add_bridge(struct netlink *nl, const struct firewall_bridge *bridge);

/* Lets the ports of count addresses send, each from its own address alone. What is let in
 * already stays so. */
int firewall_allow(struct netlink *nl, uint32_t first, unsigned count);

struct firewall_port {
	uint32_t host;    /* the address that is published, 0 for every one of this host */
	uint8_t protocol; /* IPPROTO_TCP, … */
	uint16_t host_port;
	uint32_t container;
	uint16_t container_port;
};

/* Each of them is one element of a map. -EEXIST where one is published already, and none is then,
 * unless again is set: what is there with the same value stays so. */
int firewall_publish(struct netlink *nl, const struct firewall_port *ports, size_t count, bool again);
/* One that is not there is no error. */
int firewall_unpublish(struct netlink *nl, const struct firewall_port *ports, size_t count);
/* Whether any is published, by whomever. 0 or -errno. */
int firewall_publishes(struct netlink *nl, bool *any);

/* What belongs to an address: the name of the port's interface, "veth" and the address in
 * hexadecimal, and the container's MAC address, 02:42 and the address, as docker has it. */
void firewall_port_name(uint32_t address, char out[LINK_NAME_SIZE]);
/* 0 where the name is none of ours. */
uint32_t firewall_port_address(const char *name);
void firewall_port_mac(uint32_t address, uint8_t out[6]);

#endif
