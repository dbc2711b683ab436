/*
 * firewall.c - brig's tables.
 *
 * In nft's language (`nft list table inet brig` shows the living thing):
 *
 *	table inet brig {
 *		set bridges  { type ifname }                  # brig's bridges
 *		set pairs    { type ifname . ifname }         # who may talk to whom: itself
 *		set internal { type ifname }                  # bridges without a way out
 *		map homes    { type ipv4_addr : verdict; flags interval }
 *		map leaving  { type ipv4_addr : verdict; flags interval }
 *		map published     { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
 *		map published_any { type inet_proto . inet_service : ipv4_addr . inet_service }
 *
 *		chain raw { type filter hook prerouting priority raw
 *			iif != "lo" ip daddr 127.0.0.0/8 drop
 *			ip daddr vmap @homes }
 *		chain home_BRIDGE { iifname "BRIDGE" return; iif "lo" return; counter drop }
 *
 *		chain forward { type filter hook forward priority filter
 *			iifname @bridges jump from_bridge
 *			oifname @bridges jump to_bridge }
 *		chain from_bridge {
 *			iifname . oifname @pairs accept
 *			oifname @bridges ct state established,related accept
 *			oifname @bridges counter drop
 *			iifname @internal counter drop
 *			accept }
 *		chain to_bridge {
 *			ct state established,related accept
 *			ct status dnat accept
 *			counter drop }
 *
 *		chain nat_out { type nat hook postrouting priority srcnat
 *			ip saddr vmap @leaving
 *			ip saddr 127.0.0.0/8 oifname @bridges masquerade }
 *		chain leave_BRIDGE {
 *			oifname "BRIDGE" ct status dnat masquerade
 *			oifname "BRIDGE" return
 *			masquerade }
 *
 *		chain nat_in    { type nat hook prerouting priority dstnat; jump publish }
 *		chain nat_local { type nat hook output priority dstnat; jump publish }
 *		chain publish {
 *			dnat ip to ip daddr . meta l4proto . th dport map @published
 *			fib daddr type local dnat ip to meta l4proto . th dport map @published_any }
 *	}
 *	table bridge brig {
 *		set sources { type ifname . ether_addr . ipv4_addr }
 *		chain prerouting { type filter hook prerouting priority -300
 *			iifgroup != PORT accept
 *			ether type ip iifname . ether saddr . ip saddr @sources accept
 *			(arp of IPv4 over ethernet, whose sender is what the port may be) accept
 *			counter drop }
 *	}
 *
 * An accept here ends only brig's own chains: whoever else drops in theirs still drops
 * (strangers.c sees to that).
 *
 * The ports are known by their interface group, so that another engine's veths are never
 * touched. From them nothing but IPv4 and ARP passes, from the right port, MAC and address
 * only; so neither router advertisements nor neighbour discovery come out of a container
 * on a network without IPv6.
 */
#include "net/firewall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "base/auto.h"
#include "net/nft.h"

#define TABLE   "brig"
#define COMMENT "brig 1"
/* Rules of the tables as built below; firewall_probe counts them. */
#define BASE_RULES   18
#define BRIDGE_RULES 6
#define PORT_RULES   4

#define CT_ESTABLISHED 2u
#define CT_RELATED     4u
#define CT_STATUS_DNAT 32u /* IPS_DST_NAT */

#define LOOPBACK_INDEX   1u
#define LOOPBACK_NET     0x7f000000u
#define IPV4_SOURCE      12
#define IPV4_TARGET      16
#define ETHER_SOURCE     6
#define ETHER_TYPE       12
#define ARP_SENDER_MAC   8
#define ARP_SENDER_ADDR  14
#define PORT_KEY_SIZE    28 /* interface name 16, MAC 6 and 2 of padding, address 4 */
#define ELEMENTS_AT_ONCE 128

static const struct nft_place raw = {NFT_FAMILY_INET, TABLE, "raw"};
static const struct nft_place forward = {NFT_FAMILY_INET, TABLE, "forward"};
static const struct nft_place from_bridge = {NFT_FAMILY_INET, TABLE, "from_bridge"};
static const struct nft_place to_bridge = {NFT_FAMILY_INET, TABLE, "to_bridge"};
static const struct nft_place nat_out = {NFT_FAMILY_INET, TABLE, "nat_out"};
static const struct nft_place nat_in = {NFT_FAMILY_INET, TABLE, "nat_in"};
static const struct nft_place nat_local = {NFT_FAMILY_INET, TABLE, "nat_local"};
static const struct nft_place publish = {NFT_FAMILY_INET, TABLE, "publish"};
static const struct nft_place ports_in = {NFT_FAMILY_BRIDGE, TABLE, "prerouting"};

static const struct nft_set inet_sets[] = {
	{.name = "bridges", .key_type = NFT_TYPE_IFNAME, .key_size = 16, .id = 1, .host_order = true},
	{.name = "pairs", .key_type = NFT_CONCAT(NFT_TYPE_IFNAME, NFT_TYPE_IFNAME), .key_size = 32, .id = 2},
	{.name = "internal", .key_type = NFT_TYPE_IFNAME, .key_size = 16, .id = 3, .host_order = true},
	{.name = "homes",
		.flags = NFT_SET_MAP | NFT_SET_INTERVAL,
		.key_type = NFT_TYPE_IPADDR,
		.key_size = 4,
		.id = 4},
	{.name = "leaving",
		.flags = NFT_SET_MAP | NFT_SET_INTERVAL,
		.key_type = NFT_TYPE_IPADDR,
		.key_size = 4,
		.id = 5},
	{.name = "published",
		.flags = NFT_SET_MAP,
		.key_type = NFT_CONCAT(NFT_CONCAT(NFT_TYPE_IPADDR, NFT_TYPE_PROTO), NFT_TYPE_SERVICE),
		.key_size = 12,
		.data_type = NFT_CONCAT(NFT_TYPE_IPADDR, NFT_TYPE_SERVICE),
		.data_size = 8,
		.id = 6},
	{.name = "published_any",
		.flags = NFT_SET_MAP,
		.key_type = NFT_CONCAT(NFT_TYPE_PROTO, NFT_TYPE_SERVICE),
		.key_size = 8,
		.data_type = NFT_CONCAT(NFT_TYPE_IPADDR, NFT_TYPE_SERVICE),
		.data_size = 8,
		.id = 7},
};

static const struct nft_set source_set = {.name = "sources",
	.key_type = NFT_CONCAT(NFT_CONCAT(NFT_TYPE_IFNAME, NFT_TYPE_ETHER), NFT_TYPE_IPADDR),
	.key_size = PORT_KEY_SIZE,
	.id = 8};

/* What belongs to an address. */

void firewall_port_name(uint32_t address, char out[LINK_NAME_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	memcpy(out, "veth", 4);
	for (int i = 0; i < 8; i++)
		out[4 + i] = digits[address >> (28 - 4 * i) & 15];
	memset(out + 12, 0, LINK_NAME_SIZE - 12);
}

uint32_t firewall_port_address(const char *name)
{
	uint32_t address = 0;

	if (strlen(name) != 12 || memcmp(name, "veth", 4) != 0)
		return 0;
	for (const char *at = name + 4; *at; at++) {
		if (*at >= '0' && *at <= '9')
			address = address << 4 | (uint32_t)(*at - '0');
		else if (*at >= 'a' && *at <= 'f')
			address = address << 4 | (uint32_t)(*at - 'a' + 10);
		else
			return 0;
	}
	return address;
}

void firewall_port_mac(uint32_t address, uint8_t out[6])
{
	uint32_t wire = htonl(address);
	out[0] = 0x02;
	out[1] = 0x42;
	memcpy(out + 2, &wire, sizeof wire);
}

static void interface_key(const char *name, char out[LINK_NAME_SIZE])
{
	size_t length = strnlen(name, LINK_NAME_SIZE - 1);
	memset(out, 0, LINK_NAME_SIZE);
	memcpy(out, name, length);
}

static void port_key(uint32_t address, unsigned char out[PORT_KEY_SIZE])
{
	uint32_t wire = htonl(address);

	memset(out, 0, PORT_KEY_SIZE);
	firewall_port_name(address, (char *)out);
	firewall_port_mac(address, out + 16);
	memcpy(out + 24, &wire, sizeof wire);
}

/* Pieces of rules. */

static void only_ipv4(struct netlink_batch *batch)
{
	uint8_t family = NFT_FAMILY_IPV4;
	nft_meta(batch, NFT_META_NFPROTO, NFT_WORD(0));
	nft_cmp(batch, NFT_CMP_EQ, NFT_WORD(0), &family, sizeof family);
}

static void loopback_interface(struct netlink_batch *batch, uint32_t operation)
{
	uint32_t index = LOOPBACK_INDEX;
	nft_meta(batch, NFT_META_IIF, NFT_WORD(0));
	nft_cmp(batch, operation, NFT_WORD(0), &index, sizeof index);
}

static void loopback_address(struct netlink_batch *batch, uint32_t offset)
{
	uint32_t mask = htonl(0xff000000u), net = htonl(LOOPBACK_NET);
	nft_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, offset, 4, NFT_WORD(0));
	nft_mask(batch, NFT_WORD(0), &mask, sizeof mask);
	nft_cmp(batch, NFT_CMP_EQ, NFT_WORD(0), &net, sizeof net);
}

static void interface_in(struct netlink_batch *batch, uint32_t meta_key, const char *set)
{
	nft_meta(batch, meta_key, NFT_WORD(0));
	nft_lookup(batch, set, NFT_WORD(0), false);
}

static void connection_has(struct netlink_batch *batch, uint32_t key, uint32_t bits)
{
	uint32_t zero = 0;
	nft_ct(batch, key, NFT_WORD(0));
	nft_mask(batch, NFT_WORD(0), &bits, sizeof bits);
	nft_cmp(batch, NFT_CMP_NEQ, NFT_WORD(0), &zero, sizeof zero);
}

static void known_connection(struct netlink_batch *batch)
{
	connection_has(batch, NFT_CT_STATE, CT_ESTABLISHED | CT_RELATED);
}

static void ends_with(struct netlink_batch *batch, int32_t verdict)
{
	if (verdict == NFT_VERDICT_DROP)
		nft_counter(batch);
	nft_verdict(batch, verdict, NULL);
	nft_rule_end(batch, NULL);
}

static void jumps_to(struct netlink_batch *batch, const struct nft_place *chain)
{
	nft_verdict(batch, NFT_JUMP, chain->chain);
	nft_rule_end(batch, NULL);
}

static void address_map(struct netlink_batch *batch, uint32_t offset, const char *map)
{
	only_ipv4(batch);
	nft_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, offset, 4, NFT_WORD(0));
	nft_map(batch, map, NFT_WORD(0), NFT_REG_VERDICT);
	nft_rule_end(batch, NULL);
}

static void put_raw(struct netlink_batch *batch)
{
	nft_base_chain(batch, &raw, "filter", NFT_HOOK_PREROUTING, -300);
	nft_rule(batch, &raw, false);
	loopback_interface(batch, NFT_CMP_NEQ);
	only_ipv4(batch);
	loopback_address(batch, IPV4_TARGET);
	ends_with(batch, NFT_VERDICT_DROP);
	nft_rule(batch, &raw, false);
	address_map(batch, IPV4_TARGET, "homes");
}

static void put_forward(struct netlink_batch *batch)
{
	nft_chain(batch, &from_bridge);
	nft_chain(batch, &to_bridge);
	nft_base_chain(batch, &forward, "filter", NFT_HOOK_FORWARD, 0);

	nft_rule(batch, &forward, false);
	interface_in(batch, NFT_META_IIFNAME, "bridges");
	jumps_to(batch, &from_bridge);
	nft_rule(batch, &forward, false);
	interface_in(batch, NFT_META_OIFNAME, "bridges");
	jumps_to(batch, &to_bridge);

	nft_rule(batch, &from_bridge, false);
	nft_meta(batch, NFT_META_IIFNAME, NFT_WORD(0));
	nft_meta(batch, NFT_META_OIFNAME, NFT_WORD(4));
	nft_lookup(batch, "pairs", NFT_WORD(0), false);
	ends_with(batch, NFT_VERDICT_ACCEPT);
	nft_rule(batch, &from_bridge, false);
	interface_in(batch, NFT_META_OIFNAME, "bridges");
	known_connection(batch);
	ends_with(batch, NFT_VERDICT_ACCEPT);
	nft_rule(batch, &from_bridge, false);
	interface_in(batch, NFT_META_OIFNAME, "bridges");
	ends_with(batch, NFT_VERDICT_DROP);
	nft_rule(batch, &from_bridge, false);
	interface_in(batch, NFT_META_IIFNAME, "internal");
	ends_with(batch, NFT_VERDICT_DROP);
	nft_rule(batch, &from_bridge, false);
	ends_with(batch, NFT_VERDICT_ACCEPT);

	nft_rule(batch, &to_bridge, false);
	known_connection(batch);
	ends_with(batch, NFT_VERDICT_ACCEPT);
	nft_rule(batch, &to_bridge, false);
	connection_has(batch, NFT_CT_STATUS, CT_STATUS_DNAT);
	ends_with(batch, NFT_VERDICT_ACCEPT);
	nft_rule(batch, &to_bridge, false);
	ends_with(batch, NFT_VERDICT_DROP);
}

/* Protocol and port of the packet into the words from `word` on. */
static void transport_key(struct netlink_batch *batch, uint32_t word)
{
	nft_meta(batch, NFT_META_L4PROTO, NFT_WORD(word));
	nft_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_WORD(word + 1));
}

static void put_nat(struct netlink_batch *batch)
{
	nft_base_chain(batch, &nat_out, "nat", NFT_HOOK_POSTROUTING, 100);
	nft_rule(batch, &nat_out, false);
	address_map(batch, IPV4_SOURCE, "leaving");
	nft_rule(batch, &nat_out, false);
	only_ipv4(batch);
	interface_in(batch, NFT_META_OIFNAME, "bridges");
	loopback_address(batch, IPV4_SOURCE);
	nft_masquerade(batch);
	nft_rule_end(batch, NULL);

	nft_chain(batch, &publish);
	nft_base_chain(batch, &nat_in, "nat", NFT_HOOK_PREROUTING, -100);
	nft_rule(batch, &nat_in, false);
	jumps_to(batch, &publish);
	nft_base_chain(batch, &nat_local, "nat", NFT_HOOK_OUTPUT, -100);
	nft_rule(batch, &nat_local, false);
	jumps_to(batch, &publish);

	nft_rule(batch, &publish, false);
	only_ipv4(batch);
	nft_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, IPV4_TARGET, 4, NFT_WORD(0));
	transport_key(batch, 1);
	nft_map(batch, "published", NFT_WORD(0), NFT_WORD(0));
	nft_dnat(batch, NFT_WORD(0), NFT_WORD(1));
	nft_rule_end(batch, NULL);
	nft_rule(batch, &publish, false);
	only_ipv4(batch);
	uint32_t local = RTN_LOCAL;
	nft_fib_daddr_type(batch, NFT_WORD(0));
	nft_cmp(batch, NFT_CMP_EQ, NFT_WORD(0), &local, sizeof local);
	transport_key(batch, 0);
	nft_map(batch, "published_any", NFT_WORD(0), NFT_WORD(0));
	nft_dnat(batch, NFT_WORD(0), NFT_WORD(1));
	nft_rule_end(batch, NULL);
}

static void port_group(struct netlink_batch *batch, uint32_t operation)
{
	uint32_t group = LINK_GROUP_PORT;
	nft_meta(batch, NFT_META_IIFGROUP, NFT_WORD(0));
	nft_cmp(batch, operation, NFT_WORD(0), &group, sizeof group);
}

static void sender_allowed(
	struct netlink_batch *batch, uint32_t mac_base, uint32_t mac_offset, uint32_t address_offset)
{
	nft_meta(batch, NFT_META_IIFNAME, NFT_WORD(0));
	nft_payload(batch, mac_base, mac_offset, 6, NFT_WORD(4));
	nft_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, address_offset, 4, NFT_WORD(6));
	nft_lookup(batch, source_set.name, NFT_WORD(0), false);
}

static void ether_type(struct netlink_batch *batch, uint16_t type)
{
	type = htons(type);
	nft_payload(batch, NFT_PAYLOAD_LL_HEADER, ETHER_TYPE, 2, NFT_WORD(0));
	nft_cmp(batch, NFT_CMP_EQ, NFT_WORD(0), &type, sizeof type);
}

static void put_ports(struct netlink_batch *batch)
{
	static const unsigned char arp_ipv4[6] = {0, 1, 8, 0, 6, 4};

	nft_set(batch, NFT_FAMILY_BRIDGE, TABLE, &source_set);
	nft_base_chain(batch, &ports_in, "filter", NFT_HOOK_PREROUTING, -300);
	nft_rule(batch, &ports_in, false);
	port_group(batch, NFT_CMP_NEQ);
	ends_with(batch, NFT_VERDICT_ACCEPT);
	nft_rule(batch, &ports_in, false);
	ether_type(batch, 0x0800);
	sender_allowed(batch, NFT_PAYLOAD_LL_HEADER, ETHER_SOURCE, IPV4_SOURCE);
	ends_with(batch, NFT_VERDICT_ACCEPT);
	nft_rule(batch, &ports_in, false);
	ether_type(batch, 0x0806);
	nft_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, 0, sizeof arp_ipv4, NFT_WORD(0));
	nft_cmp(batch, NFT_CMP_EQ, NFT_WORD(0), arp_ipv4, sizeof arp_ipv4);
	sender_allowed(batch, NFT_PAYLOAD_LL_HEADER, ETHER_SOURCE, ARP_SENDER_ADDR);
	sender_allowed(batch, NFT_PAYLOAD_NETWORK_HEADER, ARP_SENDER_MAC, ARP_SENDER_ADDR);
	ends_with(batch, NFT_VERDICT_ACCEPT);
	nft_rule(batch, &ports_in, false);
	ends_with(batch, NFT_VERDICT_DROP);
}

static void put_sources(struct netlink_batch *batch, const uint32_t *ports, size_t count)
{
	unsigned char key[PORT_KEY_SIZE];

	for (size_t i = 0; i < count; i++) {
		if (i % ELEMENTS_AT_ONCE == 0)
			nft_elements(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, NFT_FAMILY_BRIDGE, TABLE,
				source_set.name);
		port_key(ports[i], key);
		nft_element(batch, &(struct nft_element){.key = key, .key_size = sizeof key});
		if (i % ELEMENTS_AT_ONCE == ELEMENTS_AT_ONCE - 1 || i == count - 1)
			nft_elements_end(batch);
	}
}

static void put_key(struct netlink_batch *batch, const char *set, const void *key, size_t size)
{
	nft_elements(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, NFT_FAMILY_INET, TABLE, set);
	nft_element(batch, &(struct nft_element){.key = key, .key_size = size});
	nft_elements_end(batch);
}

static void put_range(
	struct netlink_batch *batch, const char *map, const struct firewall_bridge *bridge, const char *chain)
{
	uint32_t mask = ~0u << (32 - bridge->prefix);
	uint32_t first = htonl(bridge->address & mask);
	uint32_t after = htonl((bridge->address | ~mask) + 1);

	nft_elements(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, NFT_FAMILY_INET, TABLE, map);
	nft_element(batch, &(struct nft_element){.key = &first, .key_size = sizeof first, .chain = chain});
	if (after)
		nft_element(batch,
			&(struct nft_element){.key = &after, .key_size = sizeof after, .interval_end = true});
	nft_elements_end(batch);
}

static void put_bridge(struct netlink_batch *batch, const struct firewall_bridge *bridge)
{
	char home_name[32], leave_name[32], pair[2 * LINK_NAME_SIZE];
	struct nft_place home = {NFT_FAMILY_INET, TABLE, home_name};
	struct nft_place leave = {NFT_FAMILY_INET, TABLE, leave_name};

	snprintf(home_name, sizeof home_name, "home_%s", bridge->name);
	snprintf(leave_name, sizeof leave_name, "leave_%s", bridge->name);
	interface_key(bridge->name, pair);
	interface_key(bridge->name, pair + LINK_NAME_SIZE);

	nft_chain(batch, &home);
	nft_flush_chain(batch, &home);
	nft_rule(batch, &home, false);
	nft_cmp_interface(batch, NFT_META_IIFNAME, bridge->name);
	ends_with(batch, NFT_RETURN);
	nft_rule(batch, &home, false);
	loopback_interface(batch, NFT_CMP_EQ);
	ends_with(batch, NFT_RETURN);
	nft_rule(batch, &home, false);
	ends_with(batch, NFT_VERDICT_DROP);

	nft_chain(batch, &leave);
	nft_flush_chain(batch, &leave);
	nft_rule(batch, &leave, false);
	nft_cmp_interface(batch, NFT_META_OIFNAME, bridge->name);
	connection_has(batch, NFT_CT_STATUS, CT_STATUS_DNAT);
	nft_masquerade(batch);
	nft_rule_end(batch, NULL);
	nft_rule(batch, &leave, false);
	nft_cmp_interface(batch, NFT_META_OIFNAME, bridge->name);
	ends_with(batch, NFT_RETURN);
	nft_rule(batch, &leave, false);
	nft_masquerade(batch);
	nft_rule_end(batch, NULL);

	put_key(batch, "bridges", pair, LINK_NAME_SIZE);
	put_key(batch, "pairs", pair, sizeof pair);
	put_range(batch, "homes", bridge, home_name);
	put_range(batch, "leaving", bridge, leave_name);
}

/* Transactions. */

static int run_plan(struct netlink *nl, const struct firewall_plan *plan, bool with_ports)
{
	/* A rule is about 300 bytes, an element 50; more than the socket takes is refused by it. */
	size_t size = 16384 + plan->bridge_count * 4096 + plan->port_count * 64;
	auto_free unsigned char *room = malloc(size);
	struct netlink_batch batch = {.bytes = room, .room = size};

	if (!room)
		return -ENOMEM;
	nft_begin(&batch);
	/* Make, delete, make: deleting alone would fail where there is none. */
	nft_table(&batch, NFT_FAMILY_INET, TABLE, COMMENT);
	nft_delete_table(&batch, NFT_FAMILY_INET, TABLE);
	nft_table(&batch, NFT_FAMILY_INET, TABLE, COMMENT);
	for (size_t i = 0; i < sizeof inet_sets / sizeof *inet_sets; i++)
		nft_set(&batch, NFT_FAMILY_INET, TABLE, &inet_sets[i]);
	put_raw(&batch);
	put_forward(&batch);
	put_nat(&batch);
	for (size_t i = 0; i < plan->bridge_count; i++)
		put_bridge(&batch, &plan->bridges[i]);
	if (with_ports) {
		nft_table(&batch, NFT_FAMILY_BRIDGE, TABLE, COMMENT);
		nft_delete_table(&batch, NFT_FAMILY_BRIDGE, TABLE);
		nft_table(&batch, NFT_FAMILY_BRIDGE, TABLE, COMMENT);
		put_ports(&batch);
		put_sources(&batch, plan->ports, plan->port_count);
	}
	return nft_commit(nl, &batch, NULL);
}

int firewall_build(struct netlink *nl, const struct firewall_plan *plan, bool *no_spoof_check)
{
	int result = run_plan(nl, plan, true);

	*no_spoof_check = false;
	if (result != -EOPNOTSUPP && result != -EAFNOSUPPORT && result != -ENOENT)
		return result;
	result = run_plan(nl, plan, false);
	*no_spoof_check = result == 0;
	return result;
}

int firewall_add_bridge(struct netlink *nl, const struct firewall_bridge *bridge)
{
	NETLINK_ROOM(room, 4096);
	struct netlink_batch batch = NETLINK_BATCH(room);

	nft_begin(&batch);
	put_bridge(&batch, bridge);
	return nft_commit(nl, &batch, NULL);
}

int firewall_allow(struct netlink *nl, uint32_t first, unsigned count)
{
	NETLINK_ROOM(room, ELEMENTS_AT_ONCE * 64);
	struct netlink_batch batch = NETLINK_BATCH(room);
	uint32_t ports[ELEMENTS_AT_ONCE];

	if (count > ELEMENTS_AT_ONCE)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++)
		ports[i] = first + i;
	nft_begin(&batch);
	put_sources(&batch, ports, count);
	return nft_commit(nl, &batch, NULL);
}

/* Those of the ports that belong to the one map or to the other. */
static void put_published(struct netlink_batch *batch, const struct firewall_port *ports, size_t count,
	bool any, uint16_t type, uint16_t flags)
{
	bool begun = false;

	for (size_t i = 0; i < count; i++) {
		const struct firewall_port *port = &ports[i];
		uint32_t key[3] = {htonl(port->host)}, value[2] = {htonl(port->container)};
		uint16_t host_port = htons(port->host_port), container_port = htons(port->container_port);

		if ((port->host == 0) != any)
			continue;
		if (!begun)
			nft_elements(batch, type, flags, NFT_FAMILY_INET, TABLE,
				any ? "published_any" : "published");
		begun = true;
		memcpy(&key[1], &port->protocol, sizeof port->protocol);
		memcpy(&key[2], &host_port, sizeof host_port);
		memcpy(&value[1], &container_port, sizeof container_port);
		nft_element(batch, &(struct nft_element){.key = any ? &key[1] : key,
					   .key_size = any ? 8 : 12,
					   .data = value,
					   .data_size = type == NFT_MSG_NEWSETELEM ? sizeof value : 0});
	}
	if (begun)
		nft_elements_end(batch);
}

/* At most ELEMENTS_AT_ONCE of them, in one transaction. */
static int change_ports(
	struct netlink *nl, const struct firewall_port *ports, size_t count, uint16_t type, uint16_t flags)
{
	NETLINK_ROOM(room, 512 + ELEMENTS_AT_ONCE * 64);
	struct netlink_batch batch = NETLINK_BATCH(room);

	nft_begin(&batch);
	put_published(&batch, ports, count, true, type, flags);
	put_published(&batch, ports, count, false, type, flags);
	return nft_commit(nl, &batch, NULL);
}

int firewall_publish(struct netlink *nl, const struct firewall_port *ports, size_t count, bool again)
{
	uint16_t flags = again ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_EXCL;
	size_t at = 0;

	while (at < count) {
		size_t some = count - at < ELEMENTS_AT_ONCE ? count - at : ELEMENTS_AT_ONCE;
		int result = change_ports(nl, ports + at, some, NFT_MSG_NEWSETELEM, flags);
		if (result < 0) {
			if (!again)
				firewall_unpublish(nl, ports, at);
			return result;
		}
		at += some;
	}
	return 0;
}

int firewall_unpublish(struct netlink *nl, const struct firewall_port *ports, size_t count)
{
	int first = 0;

	for (size_t at = 0; at < count;) {
		size_t some = count - at < ELEMENTS_AT_ONCE ? count - at : ELEMENTS_AT_ONCE;
		int result = change_ports(nl, ports + at, some, NFT_MSG_DELSETELEM, 0);
		/* Where one is missing (a flush) the kernel takes none of them away. */
		for (size_t i = 0; result == -ENOENT && i < some; i++) {
			int one = change_ports(nl, ports + at + i, 1, NFT_MSG_DELSETELEM, 0);
			if (one < 0 && one != -ENOENT && first == 0)
				first = one;
		}
		if (result < 0 && result != -ENOENT && first == 0)
			first = result;
		at += some;
	}
	return first;
}

/* Questions. */

static int take_generation(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct netlink_attribute attribute;
	(void)index;

	if (netlink_find(nft_attributes_of(message), NFTA_GEN_ID, &attribute))
		*(uint32_t *)context = netlink_get_be32(&attribute, 0);
	return 0;
}

int firewall_generation(struct netlink *nl, uint32_t *generation)
{
	NETLINK_ROOM(room, 64);
	struct netlink_batch batch = NETLINK_BATCH(room);

	*generation = 0;
	nft_message(&batch, NFT_MSG_GETGEN, 0, AF_UNSPEC);
	return netlink_ask(nl, &batch, take_generation, generation, NULL);
}

static int take_elements(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct netlink_attribute elements;
	(void)index;

	if (message && netlink_find(nft_attributes_of(message), NFTA_SET_ELEM_LIST_ELEMENTS, &elements) &&
		elements.size)
		*(bool *)context = true;
	return 0;
}

int firewall_publishes(struct netlink *nl, bool *any)
{
	static const char *const maps[] = {"published", "published_any"};
	int result = 0;

	*any = false;
	for (size_t i = 0; result == 0 && i < sizeof maps / sizeof *maps; i++) {
		NETLINK_ROOM(room, 96);
		struct netlink_batch batch = NETLINK_BATCH(room);
		nft_message(&batch, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFT_FAMILY_INET);
		netlink_put_string(&batch, NFTA_SET_ELEM_LIST_TABLE, TABLE);
		netlink_put_string(&batch, NFTA_SET_ELEM_LIST_SET, maps[i]);
		result = netlink_dump(nl, &batch, take_elements, any);
	}
	return result;
}

struct probe {
	const char *home, *leave;
	bool inet, bridge; /* the tables, of this version */
	uint64_t handle;
	unsigned base_rules, bridge_rules, port_rules;
};

static int take_table(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct probe *probe = context;
	struct netlink_attribute name, comment, handle;
	char text[32];
	(void)index;

	if (!message) {
		probe->inet = probe->bridge = false;
		probe->handle = 0;
		return 0;
	}
	struct netlink_attributes list = nft_attributes_of(message);
	if (!netlink_find(list, NFTA_TABLE_NAME, &name) || !netlink_text_is(&name, TABLE) ||
		!netlink_find(list, NFTA_TABLE_USERDATA, &comment) ||
		!nft_comment(&comment, text, sizeof text) || strcmp(text, COMMENT) != 0)
		return 0;
	if (nft_family_of(message) == NFT_FAMILY_INET)
		probe->inet = true;
	if (nft_family_of(message) == NFT_FAMILY_BRIDGE) {
		probe->bridge = true;
		if (netlink_find(list, NFTA_TABLE_HANDLE, &handle))
			probe->handle = netlink_get_be64(&handle, 0);
	}
	return 0;
}

static int take_rule(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct probe *probe = context;
	struct netlink_attribute chain;
	char text[NFT_NAME_MAXLEN];
	(void)index;

	if (!message) {
		probe->base_rules = probe->bridge_rules = 0;
		return 0;
	}
	if (!netlink_find(nft_attributes_of(message), NFTA_RULE_CHAIN, &chain) ||
		!netlink_copy_text(&chain, text, sizeof text))
		return 0;
	if (!strcmp(text, probe->home) || !strcmp(text, probe->leave))
		probe->bridge_rules++;
	else if (strncmp(text, "home_", 5) != 0 && strncmp(text, "leave_", 6) != 0)
		probe->base_rules++;
	return 0;
}

static int take_port_rule(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct probe *probe = context;
	(void)index;

	probe->port_rules = message ? probe->port_rules + 1 : 0;
	return 0;
}

static int dump_rules(struct netlink *nl, uint8_t family, netlink_answer_fn *take, struct probe *probe)
{
	NETLINK_ROOM(room, 64);
	struct netlink_batch batch = NETLINK_BATCH(room);

	nft_message(&batch, NFT_MSG_GETRULE, NLM_F_DUMP, family);
	netlink_put_string(&batch, NFTA_RULE_TABLE, TABLE);
	return netlink_dump(nl, &batch, take, probe);
}

int firewall_probe(struct netlink *nl, const char *bridge, struct firewall_probe *out)
{
	NETLINK_ROOM(room, 64);
	struct netlink_batch tables = NETLINK_BATCH(room);
	char home[32], leave[32];
	struct probe probe = {.home = home, .leave = leave};

	snprintf(home, sizeof home, "home_%s", bridge);
	snprintf(leave, sizeof leave, "leave_%s", bridge);
	*out = (struct firewall_probe){0};
	nft_message(&tables, NFT_MSG_GETTABLE, NLM_F_DUMP, AF_UNSPEC);
	int result = netlink_dump(nl, &tables, take_table, &probe);
	if (result < 0 || !probe.inet)
		return result;

	/* With a table's name a dump ends at the first table of that name: one for each family. */
	result = dump_rules(nl, NFT_FAMILY_INET, take_rule, &probe);
	if (result == 0 && probe.bridge)
		result = dump_rules(nl, NFT_FAMILY_BRIDGE, take_port_rule, &probe);
	if (result < 0)
		return result;
	out->tables = probe.base_rules == BASE_RULES;
	out->ports = probe.bridge && probe.port_rules == PORT_RULES;
	out->bridge = probe.bridge_rules == BRIDGE_RULES;
	out->handle = probe.handle;
	return 0;
}
