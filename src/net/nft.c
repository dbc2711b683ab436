/* nft.c - nf_tables' netlink messages. */
#include "net/nft.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include "net/link.h"

#define MESSAGE(type)         ((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | (type)))
#define RANGE_PROTO_SPECIFIED 2 /* NF_NAT_RANGE_PROTO_SPECIFIED */
#define COMMENT_TYPE          0 /* libnftnl's number for a comment, of a rule and of a table */

static void mark(struct netlink_batch *batch, uint16_t type)
{
	struct nfgenmsg header = {
		.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
	netlink_begin(batch, type, 0, &header, sizeof header);
}

void nft_begin(struct netlink_batch *batch)
{
	mark(batch, NFNL_MSG_BATCH_BEGIN);
}

int nft_commit(struct netlink *nl, struct netlink_batch *batch, unsigned *failed)
{
	netlink_expect(batch);
	mark(batch, NFNL_MSG_BATCH_END);
	return netlink_run(nl, batch, failed);
}

void nft_message(struct netlink_batch *batch, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nfgenmsg header = {.nfgen_family = family, .version = NFNETLINK_V0};
	netlink_begin(batch, MESSAGE(type), flags, &header, sizeof header);
}

uint8_t nft_family_of(const struct nlmsghdr *message)
{
	struct nfgenmsg header = {0};
	if (message->nlmsg_len >= NLMSG_LENGTH(sizeof header))
		memcpy(&header, NLMSG_DATA(message), sizeof header);
	return header.nfgen_family;
}

struct netlink_attributes nft_attributes_of(const struct nlmsghdr *message)
{
	return netlink_attributes_of(message, sizeof(struct nfgenmsg));
}

static void put_comment(struct netlink_batch *batch, uint16_t type, const char *comment)
{
	unsigned char bytes[2 + 128];
	size_t size = strlen(comment) + 1;

	if (size > sizeof bytes - 2) {
		batch->overflow = true;
		return;
	}
	bytes[0] = COMMENT_TYPE;
	bytes[1] = (unsigned char)size;
	memcpy(bytes + 2, comment, size);
	netlink_put(batch, type, bytes, size + 2);
}

bool nft_comment(const struct netlink_attribute *userdata, char *out, size_t size)
{
	const unsigned char *at = userdata->bytes;
	size_t left = userdata->size;

	while (left >= 2 && at[1] <= left - 2) {
		struct netlink_attribute text = {.size = at[1], .bytes = at + 2};
		if (at[0] == COMMENT_TYPE)
			return netlink_copy_text(&text, out, size);
		left -= 2u + at[1];
		at += 2u + at[1];
	}
	return false;
}

void nft_table(struct netlink_batch *batch, uint8_t family, const char *table, const char *comment)
{
	nft_message(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, family);
	netlink_put_string(batch, NFTA_TABLE_NAME, table);
	netlink_put_be32(batch, NFTA_TABLE_FLAGS, 0);
	if (comment)
		put_comment(batch, NFTA_TABLE_USERDATA, comment);
}

void nft_delete_table(struct netlink_batch *batch, uint8_t family, const char *table)
{
	nft_message(batch, NFT_MSG_DELTABLE, 0, family);
	netlink_put_string(batch, NFTA_TABLE_NAME, table);
}

static void chain_head(struct netlink_batch *batch, const struct nft_place *place)
{
	nft_message(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, place->family);
	netlink_put_string(batch, NFTA_CHAIN_TABLE, place->table);
	netlink_put_string(batch, NFTA_CHAIN_NAME, place->chain);
}

void nft_chain(struct netlink_batch *batch, const struct nft_place *place)
{
	chain_head(batch, place);
}

void nft_base_chain(struct netlink_batch *batch, const struct nft_place *place, const char *type,
	unsigned hook, int priority)
{
	chain_head(batch, place);
	netlink_nest(batch, NFTA_CHAIN_HOOK);
	netlink_put_be32(batch, NFTA_HOOK_HOOKNUM, hook);
	netlink_put_be32(batch, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	netlink_nest_end(batch);
	netlink_put_be32(batch, NFTA_CHAIN_POLICY, NFT_VERDICT_ACCEPT);
	netlink_put_string(batch, NFTA_CHAIN_TYPE, type);
}

void nft_flush_chain(struct netlink_batch *batch, const struct nft_place *place)
{
	nft_message(batch, NFT_MSG_DELRULE, 0, place->family);
	netlink_put_string(batch, NFTA_RULE_TABLE, place->table);
	netlink_put_string(batch, NFTA_RULE_CHAIN, place->chain);
}

void nft_set(struct netlink_batch *batch, uint8_t family, const char *table, const struct nft_set *set)
{
	nft_message(batch, NFT_MSG_NEWSET, NLM_F_CREATE, family);
	netlink_put_string(batch, NFTA_SET_TABLE, table);
	netlink_put_string(batch, NFTA_SET_NAME, set->name);
	netlink_put_be32(batch, NFTA_SET_FLAGS, set->flags);
	netlink_put_be32(batch, NFTA_SET_KEY_TYPE, set->key_type);
	netlink_put_be32(batch, NFTA_SET_KEY_LEN, set->key_size);
	if (set->flags & NFT_SET_MAP) {
		netlink_put_be32(
			batch, NFTA_SET_DATA_TYPE, set->data_size ? set->data_type : NFT_DATA_VERDICT);
		if (set->data_size)
			netlink_put_be32(batch, NFTA_SET_DATA_LEN, set->data_size);
	}
	netlink_put_be32(batch, NFTA_SET_ID, set->id);
	if (set->host_order) {
		/* libnftnl's note on the key's byte order, for whoever lists the set. */
		static const unsigned char host_order[] = {0, 4, 1, 0, 0, 0};
		netlink_put(batch, NFTA_SET_USERDATA, host_order, sizeof host_order);
	}
}

void nft_elements(struct netlink_batch *batch, uint16_t type, uint16_t flags, uint8_t family,
	const char *table, const char *set)
{
	nft_message(batch, type, flags, family);
	netlink_put_string(batch, NFTA_SET_ELEM_LIST_TABLE, table);
	netlink_put_string(batch, NFTA_SET_ELEM_LIST_SET, set);
	netlink_nest(batch, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void put_value(struct netlink_batch *batch, uint16_t type, const void *value, size_t size)
{
	netlink_nest(batch, type);
	netlink_put(batch, NFTA_DATA_VALUE, value, size);
	netlink_nest_end(batch);
}

static void put_verdict(struct netlink_batch *batch, uint16_t type, int32_t code, const char *chain)
{
	netlink_nest(batch, type);
	netlink_nest(batch, NFTA_DATA_VERDICT);
	netlink_put_be32(batch, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain)
		netlink_put_string(batch, NFTA_VERDICT_CHAIN, chain);
	netlink_nest_end(batch);
	netlink_nest_end(batch);
}

void nft_element(struct netlink_batch *batch, const struct nft_element *element)
{
	netlink_nest(batch, NFTA_LIST_ELEM);
	if (element->interval_end)
		netlink_put_be32(batch, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	put_value(batch, NFTA_SET_ELEM_KEY, element->key, element->key_size);
	if (element->data_size)
		put_value(batch, NFTA_SET_ELEM_DATA, element->data, element->data_size);
	if (element->chain)
		put_verdict(batch, NFTA_SET_ELEM_DATA, NFT_GOTO, element->chain);
	netlink_nest_end(batch);
}

void nft_elements_end(struct netlink_batch *batch)
{
	netlink_nest_end(batch);
}

void nft_rule(struct netlink_batch *batch, const struct nft_place *place, bool head)
{
	nft_message(
		batch, NFT_MSG_NEWRULE, (uint16_t)(NLM_F_CREATE | (head ? 0 : NLM_F_APPEND)), place->family);
	netlink_put_string(batch, NFTA_RULE_TABLE, place->table);
	netlink_put_string(batch, NFTA_RULE_CHAIN, place->chain);
	netlink_nest(batch, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_end(struct netlink_batch *batch, const char *comment)
{
	netlink_nest_end(batch);
	if (comment)
		put_comment(batch, NFTA_RULE_USERDATA, comment);
}

static void expression(struct netlink_batch *batch, const char *name)
{
	netlink_nest(batch, NFTA_LIST_ELEM);
	netlink_put_string(batch, NFTA_EXPR_NAME, name);
	netlink_nest(batch, NFTA_EXPR_DATA);
}

static void expression_end(struct netlink_batch *batch)
{
	netlink_nest_end(batch);
	netlink_nest_end(batch);
}

void nft_meta(struct netlink_batch *batch, uint32_t key, uint32_t reg)
{
	expression(batch, "meta");
	netlink_put_be32(batch, NFTA_META_KEY, key);
	netlink_put_be32(batch, NFTA_META_DREG, reg);
	expression_end(batch);
}

void nft_ct(struct netlink_batch *batch, uint32_t key, uint32_t reg)
{
	expression(batch, "ct");
	netlink_put_be32(batch, NFTA_CT_KEY, key);
	netlink_put_be32(batch, NFTA_CT_DREG, reg);
	expression_end(batch);
}

void nft_payload(struct netlink_batch *batch, uint32_t base, uint32_t offset, uint32_t size, uint32_t reg)
{
	expression(batch, "payload");
	netlink_put_be32(batch, NFTA_PAYLOAD_DREG, reg);
	netlink_put_be32(batch, NFTA_PAYLOAD_BASE, base);
	netlink_put_be32(batch, NFTA_PAYLOAD_OFFSET, offset);
	netlink_put_be32(batch, NFTA_PAYLOAD_LEN, size);
	expression_end(batch);
}

void nft_cmp(struct netlink_batch *batch, uint32_t operation, uint32_t reg, const void *value, size_t size)
{
	expression(batch, "cmp");
	netlink_put_be32(batch, NFTA_CMP_SREG, reg);
	netlink_put_be32(batch, NFTA_CMP_OP, operation);
	put_value(batch, NFTA_CMP_DATA, value, size);
	expression_end(batch);
}

void nft_mask(struct netlink_batch *batch, uint32_t reg, const void *mask, size_t size)
{
	static const unsigned char zero[16];

	if (size > sizeof zero) {
		batch->overflow = true;
		return;
	}
	expression(batch, "bitwise");
	netlink_put_be32(batch, NFTA_BITWISE_SREG, reg);
	netlink_put_be32(batch, NFTA_BITWISE_DREG, reg);
	netlink_put_be32(batch, NFTA_BITWISE_LEN, (uint32_t)size);
	put_value(batch, NFTA_BITWISE_MASK, mask, size);
	put_value(batch, NFTA_BITWISE_XOR, zero, size);
	expression_end(batch);
}

void nft_lookup(struct netlink_batch *batch, const char *set, uint32_t reg, bool inverted)
{
	expression(batch, "lookup");
	netlink_put_string(batch, NFTA_LOOKUP_SET, set);
	netlink_put_be32(batch, NFTA_LOOKUP_SREG, reg);
	if (inverted)
		netlink_put_be32(batch, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	expression_end(batch);
}

void nft_map(struct netlink_batch *batch, const char *set, uint32_t reg, uint32_t to)
{
	expression(batch, "lookup");
	netlink_put_string(batch, NFTA_LOOKUP_SET, set);
	netlink_put_be32(batch, NFTA_LOOKUP_SREG, reg);
	netlink_put_be32(batch, NFTA_LOOKUP_DREG, to);
	expression_end(batch);
}

void nft_verdict(struct netlink_batch *batch, int32_t code, const char *chain)
{
	expression(batch, "immediate");
	netlink_put_be32(batch, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	put_verdict(batch, NFTA_IMMEDIATE_DATA, code, chain);
	expression_end(batch);
}

void nft_counter(struct netlink_batch *batch)
{
	expression(batch, "counter");
	expression_end(batch);
}

void nft_masquerade(struct netlink_batch *batch)
{
	expression(batch, "masq");
	expression_end(batch);
}

void nft_dnat(struct netlink_batch *batch, uint32_t address_reg, uint32_t port_reg)
{
	expression(batch, "nat");
	netlink_put_be32(batch, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	netlink_put_be32(batch, NFTA_NAT_FAMILY, NFT_FAMILY_IPV4);
	netlink_put_be32(batch, NFTA_NAT_REG_ADDR_MIN, address_reg);
	netlink_put_be32(batch, NFTA_NAT_REG_PROTO_MIN, port_reg);
	netlink_put_be32(batch, NFTA_NAT_FLAGS, RANGE_PROTO_SPECIFIED);
	expression_end(batch);
}

void nft_fib_daddr_type(struct netlink_batch *batch, uint32_t reg)
{
	expression(batch, "fib");
	netlink_put_be32(batch, NFTA_FIB_DREG, reg);
	netlink_put_be32(batch, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	netlink_put_be32(batch, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	expression_end(batch);
}

void nft_xt_match(
	struct netlink_batch *batch, const char *name, uint32_t revision, const void *info, size_t size)
{
	expression(batch, "match");
	netlink_put_string(batch, NFTA_MATCH_NAME, name);
	netlink_put_be32(batch, NFTA_MATCH_REV, revision);
	netlink_put(batch, NFTA_MATCH_INFO, info, size);
	expression_end(batch);
}

void nft_cmp_interface(struct netlink_batch *batch, uint32_t meta_key, const char *name)
{
	char key[LINK_NAME_SIZE] = {0};
	size_t length = strnlen(name, sizeof key);

	if (length == sizeof key) {
		batch->overflow = true;
		return;
	}
	memcpy(key, name, length);
	nft_meta(batch, meta_key, NFT_WORD(0));
	nft_cmp(batch, NFT_CMP_EQ, NFT_WORD(0), key, sizeof key);
}
