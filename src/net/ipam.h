/*
 * ipam.h - which addresses a network has, and who holds them.
 *
 * One file a network, RUN-ROOT/net/NETNS/NETWORK, locked while it is open here. It says
 * what this run root has given out; the host's own judge is the kernel: the name of a
 * port's interface is made from its address, so that an address that another run root
 * holds (or a dying container still does) cannot be taken twice.
 */
#ifndef NET_IPAM_H
#define NET_IPAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/firewall.h"
#include "net/netlink.h"

#define IPAM_ID_SIZE 32 /* a container's id, as bytes */
#define IPAM_BLOCK   64 /* addresses that the firewall lets in at once */

/* What is kept about a network; the first bytes of its file. */
struct ipam_network {
	char magic[8];
	uint64_t cookie;       /* of the network namespace: inode numbers are used again */
	uint64_t ports_handle; /* of the firewall table that the blocks were let into */
	uint32_t generation;   /* of nf_tables, when everything was last seen in place */
	uint32_t bridge;       /* interface index, 0 before it is set up */
	uint32_t gateway;
	uint32_t prefix;
	uint32_t cursor; /* the slot looked at next */
	uint32_t window; /* slots in use, whole blocks */
	uint32_t used;
	uint32_t flags;
	uint32_t port_slots; /* records of published ports, free ones among them */
	uint8_t allowed[65536 / IPAM_BLOCK / 8];
};

#define IPAM_NO_SPOOF_CHECK 1u /* the kernel has no bridge family of nf_tables */
#define IPAM_FOREIGN        2u /* the bridge is somebody else's: without a part in brig's tables */

struct ipam {
	int fd;
	struct ipam_network network;
};

#define IPAM_CLOSED                                                                                          \
	{                                                                                                    \
		.fd = -1                                                                                     \
	}

/* Where it is: the run root, and the host's network namespace by a descriptor of it. */
struct ipam_place {
	int run_root;
	int netns;
	uint64_t cookie; /* 0 where the kernel does not tell */
	const char *network;
};

/* Opens and locks a network's file, which is made, or emptied when it is another boot's or
 * another namespace's. Waits for at most 10 seconds. */
int ipam_open(const struct ipam_place *place, struct ipam *out, struct err *e);
/* Unlocks; what was changed in `network` is lost without ipam_save. Takes a closed one. */
void ipam_close(struct ipam *ipam);
#define auto_ipam __attribute__((cleanup(ipam_close)))

/* Sets the subnet of a network that has none yet, or has another: its leases are forgotten. */
int ipam_reset(struct ipam *ipam, uint32_t gateway, unsigned prefix);
/* Writes `network` back. 0 or -errno. */
int ipam_save(struct ipam *ipam);

/* Takes an address for a container (wanted, or any where it is 0) and saves. -EADDRINUSE
 * where wanted is taken or outside, -ENOSPC where none is left. */
int ipam_take(struct ipam *ipam, const uint8_t id[IPAM_ID_SIZE], uint32_t wanted, uint32_t *address);
/* Goes on in a block that was not used before, where others sit on this one's addresses. */
void ipam_widen(struct ipam *ipam);
/* Gives it back; -ENOENT where that container does not hold it. */
int ipam_release(struct ipam *ipam, const uint8_t id[IPAM_ID_SIZE], uint32_t address);

/* Hands an address on to another id; -ENOENT where `from` does not hold it. */
int ipam_hand_on(struct ipam *ipam, const uint8_t from[IPAM_ID_SIZE], const uint8_t to[IPAM_ID_SIZE],
	uint32_t address);

typedef bool ipam_dead_fn(void *context, const uint8_t id[IPAM_ID_SIZE], uint32_t address);
/* Gives back every address of which dead says true. Returns how many, or -errno. */
int ipam_sweep(struct ipam *ipam, ipam_dead_fn *dead, void *context);

/* The block that an address lies in, and whether it was let into the firewall's table of
 * that handle. */
uint32_t ipam_block_first(const struct ipam *ipam, uint32_t address);
bool ipam_block_allowed(const struct ipam *ipam, uint32_t address);
void ipam_block_allow(struct ipam *ipam, uint32_t address);

/* Chooses a subnet that no address, route or name server of this host lies in.
 * -EADDRNOTAVAIL where every candidate clashes. avoid (may be NULL) is a list of addresses. */
int ipam_choose_subnet(
	struct netlink *route, const uint32_t *avoid, size_t count, uint32_t *gateway, unsigned *prefix);

/* A port that a container publishes. What the firewall has lost is made anew from these. */
struct ipam_port {
	uint8_t id[IPAM_ID_SIZE];
	struct firewall_port port; /* protocol 0: a free record */
	uint8_t six;               /* published on host6, and nothing of the firewall's */
	uint8_t host6[16];
};
/* All records, free ones among them: freed by the caller. 0 or -errno. */
int ipam_ports_read(const struct ipam *ipam, struct ipam_port **out, size_t *count);
/* Writes record `slot`, which is free where port is NULL; saves where it is a new one. */
int ipam_port_write(struct ipam *ipam, size_t slot, const struct ipam_port *port);

/* 64 lower-case hexadecimal digits as bytes; false where they are none. */
bool ipam_parse_id(const char *text, uint8_t out[IPAM_ID_SIZE]);

#endif
