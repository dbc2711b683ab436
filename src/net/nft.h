/*
 * nft.h - the vocabulary of nf_tables: tables, chains, sets, rules and expressions as
 * netlink attributes.
 *
 * What brig's firewall *is* stands in firewall.c; this only spells it. Everything between
 * nft_begin and nft_commit is one transaction: all of it holds, or nothing. The list of
 * expressions and their attributes: linux/netfilter/nf_tables.h, and `nft --debug=netlink`
 * shows what a rule of nft's own language becomes.
 */
#ifndef NET_NFT_H
#define NET_NFT_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/netfilter/nf_tables.h>

#include "net/netlink.h"

/* Families and hooks (linux/netfilter.h cannot be included beside musl's headers). */
#define NFT_FAMILY_INET   1
#define NFT_FAMILY_IPV4   2
#define NFT_FAMILY_BRIDGE 7

#define NFT_HOOK_PREROUTING  0
#define NFT_HOOK_INPUT       1
#define NFT_HOOK_FORWARD     2
#define NFT_HOOK_OUTPUT      3
#define NFT_HOOK_POSTROUTING 4

#define NFT_VERDICT_DROP   0
#define NFT_VERDICT_ACCEPT 1
/* NFT_RETURN, NFT_JUMP, NFT_GOTO are the header's. */

/* nft's numbers for types, only so that `nft list ruleset` prints values as what they are. */
#define NFT_TYPE_VERDICT 1u
#define NFT_TYPE_IPADDR  7u
#define NFT_TYPE_ETHER   9u
#define NFT_TYPE_PROTO   12u
#define NFT_TYPE_SERVICE 13u
#define NFT_TYPE_IFNAME  41u
#define NFT_CONCAT(a, b) ((a) << 6 | (b))

/* The registers are sixteen words; a concatenated key lies in consecutive ones. */
#define NFT_WORD(n) (NFT_REG32_00 + (n))

/* Messages. A batch of nf_tables begins and ends with a mark. */
void nft_begin(struct netlink_batch *batch);
/* Ends the batch and runs it. Returns 0 or -errno; nothing was changed then. */
int nft_commit(struct netlink *nl, struct netlink_batch *batch, unsigned *failed);
/* Any other message, for questions and deletions. */
void nft_message(struct netlink_batch *batch, uint16_t type, uint16_t flags, uint8_t family);
/* The family of an answer. */
uint8_t nft_family_of(const struct nlmsghdr *message);
struct netlink_attributes nft_attributes_of(const struct nlmsghdr *message);

/* comment may be NULL. */
void nft_table(struct netlink_batch *batch, uint8_t family, const char *table, const char *comment);
void nft_delete_table(struct netlink_batch *batch, uint8_t family, const char *table);

struct nft_place {
	uint8_t family;
	const char *table;
	const char *chain;
};

/* A chain that rules jump to. */
void nft_chain(struct netlink_batch *batch, const struct nft_place *place);
/* A chain that the kernel calls; type is "filter" or "nat". Policy: accept. */
void nft_base_chain(struct netlink_batch *batch, const struct nft_place *place, const char *type,
	unsigned hook, int priority);
void nft_flush_chain(struct netlink_batch *batch, const struct nft_place *place);

struct nft_set {
	const char *name;
	uint32_t flags;
	uint32_t key_type, key_size;
	uint32_t data_type, data_size; /* data_size 0: no map, or a map to verdicts */
	uint32_t id;                   /* unique within a batch */
	bool host_order;               /* the key is a number or a name, not bytes of a packet */
};
void nft_set(struct netlink_batch *batch, uint8_t family, const char *table, const struct nft_set *set);

/* Elements: nft_elements, any number of nft_element, nft_elements_end. */
struct nft_element {
	const void *key;
	size_t key_size;
	const void *data; /* a map's value */
	size_t data_size;
	const char *chain; /* a verdict map's: goto this chain */
	bool interval_end;
};
void nft_elements(struct netlink_batch *batch, uint16_t type, uint16_t flags, uint8_t family,
	const char *table, const char *set);
void nft_element(struct netlink_batch *batch, const struct nft_element *element);
void nft_elements_end(struct netlink_batch *batch);

/* A rule: nft_rule (at the chain's end, or its head), expressions, nft_rule_end. */
void nft_rule(struct netlink_batch *batch, const struct nft_place *place, bool head);
void nft_rule_end(struct netlink_batch *batch, const char *comment);

/* Expressions. reg is NFT_WORD(n); sizes in bytes. */
void nft_meta(struct netlink_batch *batch, uint32_t key, uint32_t reg);
void nft_ct(struct netlink_batch *batch, uint32_t key, uint32_t reg);
void nft_payload(struct netlink_batch *batch, uint32_t base, uint32_t offset, uint32_t size, uint32_t reg);
void nft_cmp(struct netlink_batch *batch, uint32_t operation, uint32_t reg, const void *value, size_t size);
/* reg &= mask */
void nft_mask(struct netlink_batch *batch, uint32_t reg, const void *mask, size_t size);
/* Is (or, with inverted, is not) the key at reg in the set? */
void nft_lookup(struct netlink_batch *batch, const char *set, uint32_t reg, bool inverted);
/* The value that a map holds for the key at reg, into to; NFT_REG_VERDICT for a verdict. */
void nft_map(struct netlink_batch *batch, const char *set, uint32_t reg, uint32_t to);
void nft_verdict(struct netlink_batch *batch, int32_t code, const char *chain);
void nft_counter(struct netlink_batch *batch);
void nft_masquerade(struct netlink_batch *batch);
/* Destination translation to the address at one register, the port at another. */
void nft_dnat(struct netlink_batch *batch, uint32_t address_reg, uint32_t port_reg);
/* The kind of address (RTN_LOCAL …) that the packet's destination is, into reg. */
void nft_fib_daddr_type(struct netlink_batch *batch, uint32_t reg);
/* A match of iptables' own, as iptables-nft writes it. */
void nft_xt_match(
	struct netlink_batch *batch, const char *name, uint32_t revision, const void *info, size_t size);

/* The interface's name as a key of 16 bytes. */
void nft_cmp_interface(struct netlink_batch *batch, uint32_t meta_key, const char *name);

/* The comment that nft_rule_end and nft_table attached; false where there is none. */
bool nft_comment(const struct netlink_attribute *userdata, char *out, size_t size);

#endif
