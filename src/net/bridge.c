/*
 * bridge.c - containers on a bridge of the host, with a way out through the host.
 *
 * Theory of operation. The bridge, its address, forwarding and the firewall's tables are
 * the host's, made by whoever needs them first and then left standing; the lock for that
 * is on the network namespace's own file, so that it holds between run roots and needs no
 * place in the file system. What one run root knows (the bridge's index, the generation of
 * nf_tables when all was last found in place) is in its file of the network (ipam.h), and
 * an attach only compares: two ioctls and two short questions. If anything differs (a
 * reboot, a flushed rule set, a docker that was installed meanwhile) set_up looks at each
 * piece and puts in place what is missing.
 *
 * A container's port is one message: the veth pair is made with one end up on the bridge
 * and the other inside, its addresses set. Inside it takes one more batch: both interfaces
 * up, address, default route. The name of the host's end and the MAC address follow from
 * the IPv4 address, and the firewall lets in whole blocks of such triples ahead of time.
 * That the name is taken is how a clash of addresses shows: the next address is tried.
 *
 * The classic dialect's network, bridge0, is the same on another bridge. Where the user has made
 * that himself, and so has an address and rules for it, brig only plugs containers in: no table of
 * brig's knows of it.
 *
 * Interfaces are never deleted: they end with the namespace, and deleting one takes tens of
 * milliseconds.
 */
#include "net/bridge_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "net/firewall.h"
#include "net/inside.h"
#include "net/ipam.h"
#include "net/link.h"
#include "net/strangers.h"

#define NETNS_COOKIE 71    /* SO_NETNS_COOKIE, Linux 5.14 */
#define SET_UP_WAIT  10000 /* ms */
#define LOOPBACK     1

const struct kind bridge_own_kind = {.network = "bridge", .bridge = "brig0"};
static const struct kind classic_kind = {
	.network = "bridge0", .bridge = "bridge0", .address = 10U << 24 | 1, .prefix = 24};

static const struct kind *kind_of(const char *network)
{
	return network && !strcmp(network, classic_kind.network) ? &classic_kind : &bridge_own_kind;
}

void bridge_host_close(struct host *host)
{
	netlink_close(&host->route);
	netlink_close(&host->filter);
	if (host->netns > 0)
		close_fd(&host->netns);
}

/* Which network namespace this host is, by any socket in it: all that leases need. */
int bridge_host_find(struct host *host, int socket, struct err *e)
{
	socklen_t size = sizeof host->cookie;

	host->netns = link_namespace_of(socket);
	if (host->netns == -EPERM) {
		err_set(e, ERR_UNSUPPORTED, 0,
			"an ordinary user cannot put a container on a bridge: it takes the right to "
			"administer the host's network");
		return err_hint(e, "run it with --network none or --network host, or as root");
	}
	if (host->netns < 0)
		return err_errno(e, host->netns, "cannot hold on to the host's network namespace");
	if (getsockopt(socket, SOL_SOCKET, NETNS_COOKIE, &host->cookie, &size) < 0)
		host->cookie = 0;
	return 0;
}

int bridge_host_open(struct host *host, struct err *e)
{
	int result = netlink_open(&host->route, NETLINK_ROUTE);

	if (result < 0)
		return err_errno(e, result, "cannot open a netlink socket");
	if (bridge_host_find(host, host->route.fd, e) < 0)
		return -1;
	result = netlink_open(&host->filter, NETLINK_NETFILTER);
	if (result < 0) {
		err_set(e, ERR_UNSUPPORTED, result,
			"this kernel has no netfilter, which bridge networks need");
		return err_hint(e, "run it with --network none or --network host");
	}
	return 0;
}

bool bridge_in_place(struct host *host, const struct ipam *ipam)
{
	const char *bridge = host->kind->bridge;
	uint32_t generation;

	return ipam->network.bridge && link_index(host->route.fd, bridge) == (int)ipam->network.bridge &&
	       link_is_up(host->route.fd, bridge) == 1 && link_forwarding(&host->route) == 1 &&
	       (ipam->network.flags & IPAM_FOREIGN || (firewall_generation(&host->filter, &generation) == 0 &&
							      generation == ipam->network.generation));
}

/* Setting up. */

static void lock_host(int netns)
{
	/* After that long whoever holds it is no brig at work (any process of this namespace
	 * could lock its file): go on, every step below stands being done twice. */
	for (int waited = 0; waited < SET_UP_WAIT; waited++) {
		if (flock(netns, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR))
			return;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

static void set_bridge_sysctls(const char *bridge)
{
	static const struct {
		const char *family, *key, *value;
	} wanted[] = {
		{"ipv6", "disable_ipv6", "1"},
		{"ipv6", "accept_ra", "0"},
		{"ipv6", "accept_redirects", "0"},
		{"ipv4", "accept_redirects", "0"},
		{"ipv4", "send_redirects", "0"},
		{"ipv4", "rp_filter", "1"},
		{"ipv4", "arp_ignore", "1"},
		{"ipv4", "arp_announce", "2"},
	};
	char path[128];

	/* Each is a second line of defence: a /proc that is read-only does not stop a container. */
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		snprintf(path, sizeof path, "net/%s/conf/%s/%s", wanted[i].family, bridge, wanted[i].key);
		inside_write_sysctl(path, wanted[i].value);
	}
}

struct address_search {
	int index;
	uint32_t address;
	unsigned prefix;
};

static int take_bridge_address(void *context, const struct link_network *network)
{
	struct address_search *search = context;

	if (!network)
		search->address = 0;
	else if (network->index == search->index && !search->address && network->prefix <= 30) {
		search->address = network->address;
		search->prefix = network->prefix;
	}
	return 0;
}

/* The name servers of the host must stay reachable: no subnet is laid over one. */
static size_t read_name_servers(uint32_t *out, size_t room)
{
	char text[4096];
	size_t count = 0;
	auto_close int fd = fd_open(AT_FDCWD, "/etc/resolv.conf", O_RDONLY, 0);
	ssize_t n = fd < 0 ? 0 : fd_read_full(fd, text, sizeof text - 1);

	text[n > 0 ? n : 0] = 0;
	for (const char *at = text; count < room && (at = strstr(at, "nameserver")); at++) {
		char word[16];
		struct in_addr address;
		if (sscanf(at, "nameserver %15[0-9.]", word) == 1 && inet_pton(AF_INET, word, &address) == 1)
			out[count++] = ntohl(address.s_addr);
	}
	return count;
}

struct overlap {
	uint32_t address, mask;
	int bridge; /* what is its own does not count */
	bool found;
};

static int take_overlap(void *context, const struct link_network *network)
{
	struct overlap *overlap = context;
	uint32_t shorter;

	if (!network) {
		overlap->found = false;
		return 0;
	}
	/* A default route, and what VPNs use in its place, lead everywhere. */
	if (network->index == overlap->bridge || network->prefix < 8)
		return 0;
	shorter = overlap->mask & (network->prefix >= 32 ? ~0U : ~(~0U >> network->prefix));
	overlap->found = overlap->found || !((network->address ^ overlap->address) & shorter);
	return 0;
}

/* The classic address, which is fixed: laid over another network it would cut the host off from it. */
static int take_classic_address(
	struct host *host, const struct link *bridge, struct address_search *own, struct err *e)
{
	const struct kind *kind = host->kind;
	struct overlap overlap = {
		.address = kind->address, .mask = ~(~0U >> kind->prefix), .bridge = bridge->index};
	int result = link_each_address(&host->route, take_overlap, &overlap);

	if (result == 0 && !overlap.found)
		result = link_each_route(&host->route, take_overlap, &overlap);
	if (result < 0)
		return err_errno(e, result, "cannot read the routes of this host");
	if (overlap.found) {
		err_set(e, ERR_CONFLICT, 0,
			"the network 10.0.0.0/24 of the bridge %s is in use on this host already",
			kind->bridge);
		return err_hint(e,
			"make the bridge with another one: ip link add %s type bridge; ip address add "
			"ADDRESS/PREFIX dev %s; ip link set %s up",
			kind->bridge, kind->bridge, kind->bridge);
	}
	own->address = kind->address;
	own->prefix = kind->prefix;
	return 0;
}

static int choose_address(
	struct host *host, const struct link *bridge, struct address_search *own, struct err *e)
{
	uint32_t servers[8];

	if (host->kind->address)
		return take_classic_address(host, bridge, own, e);
	size_t count = read_name_servers(servers, sizeof servers / sizeof *servers);
	int result = ipam_choose_subnet(&host->route, servers, count, &own->address, &own->prefix);
	if (result == -EADDRNOTAVAIL) {
		err_set(e, ERR_CONFLICT, 0,
			"every subnet that brig would take is in use on this host, so the bridge %s "
			"has none",
			bridge->name);
		return err_hint(e, "give it one: ip address add ADDRESS/PREFIX dev %s", bridge->name);
	}
	return result < 0 ? err_errno(e, result, "cannot read the routes of this host") : 0;
}

/* Finds the bridge, or makes it. */
static int find_bridge(struct host *host, struct link *bridge, struct err *e)
{
	NETLINK_ROOM(room, 512);
	struct netlink_batch make = NETLINK_BATCH(room);
	const char *name = host->kind->bridge;
	bool made = false;
	int result = link_find(&host->route, name, bridge);

	if (result == -ENODEV) {
		uint8_t mac[6];
		fd_random(mac, sizeof mac);
		mac[0] = 0x02;
		mac[1] = 0x42;
		link_put_bridge(&make, name, mac, 0);
		result = netlink_run(&host->route, &make, NULL);
		/* Somebody without our lock may have been faster. */
		if (result == 0 || result == -EEXIST)
			result = link_find(&host->route, name, bridge);
		made = true;
	}
	if (result == -EPERM) {
		err_set(e, ERR_UNSUPPORTED, 0,
			"the right to administer the host's network is missing, which a bridge needs");
		return err_hint(e, "run it with --network none or --network host, or as root");
	}
	if (result < 0)
		return err_errno(e, result, "cannot make the bridge %s", name);
	if (strcmp(bridge->kind, "bridge") != 0) {
		err_set(e, ERR_CONFLICT, 0, "the interface %s of this host is no bridge", name);
		return err_hint(
			e, "rename it: brig's network %s is the bridge of that name", host->kind->network);
	}
	if (made)
		set_bridge_sysctls(name);
	return 0;
}

static int ensure_bridge(struct host *host, struct link *bridge, struct address_search *own, bool *foreign,
	struct buf *note, struct err *e)
{
	NETLINK_ROOM(room, 512);

	if (find_bridge(host, bridge, e) < 0)
		return -1;
	/* The group says who made it, since it was made. */
	*foreign = host->kind->address && bridge->group != LINK_GROUP_BRIDGE;
	*own = (struct address_search){.index = bridge->index};
	int result = link_each_address(&host->route, take_bridge_address, own);
	if (result < 0)
		return err_errno(e, result, "cannot read the addresses of this host");
	bool addressed = own->address != 0;
	if (!addressed && choose_address(host, bridge, own, e) < 0)
		return -1;
	if (*foreign && addressed && bridge->up)
		return 0;
	struct netlink_batch up = NETLINK_BATCH(room);
	if (!addressed)
		link_put_address(&up, bridge->index, own->address, own->prefix);
	if (!*foreign)
		link_put_bridge_rules(&up, bridge->index);
	link_put_up(&up, bridge->index, *foreign ? bridge->group : LINK_GROUP_BRIDGE);
	result = netlink_run(&host->route, &up, NULL);
	if (result < 0 && result != -EEXIST)
		return err_errno(e, result, "cannot bring up the bridge %s", bridge->name);
	if (*foreign)
		buf_printf(note, "the bridge %s was there without %s: changed that\n", bridge->name,
			addressed ? "being up" : "an address");
	return 0;
}

static int ensure_forwarding(struct host *host, struct buf *note, struct err *e)
{
	int on = link_forwarding(&host->route);

	if (on == 1)
		return 0;
	int result = inside_write_sysctl("net/ipv4/ip_forward", "1");
	if (result < 0) {
		err_errno(e, result,
			"cannot switch IP forwarding on, without which no packet leaves a container");
		return err_hint(e, "switch it on: sysctl net.ipv4.ip_forward=1");
	}
	buf_printf(note,
		"switched IP forwarding on (net.ipv4.ip_forward), so that containers reach the network\n");
	return 0;
}

/* Everything of brig's that stands on this host, for making the tables anew. */
struct inventory {
	struct firewall_bridge *bridges;
	int *indexes;
	uint32_t *ports;
	size_t bridge_count, port_count, bridge_room, port_room;
	bool failed;
};

static void inventory_free(struct inventory *inventory)
{
	free(inventory->bridges);
	free(inventory->indexes);
	free(inventory->ports);
}

static int take_link(void *context, const struct link *link)
{
	struct inventory *all = context;

	if (!link) {
		all->bridge_count = all->port_count = 0;
		return 0;
	}
	if (link->group == LINK_GROUP_BRIDGE && !strcmp(link->kind, "bridge")) {
		if (all->bridge_count == all->bridge_room) {
			all->bridge_room = all->bridge_room * 2 + 8;
			all->bridges = realloc(all->bridges, all->bridge_room * sizeof *all->bridges);
			all->indexes = realloc(all->indexes, all->bridge_room * sizeof *all->indexes);
			if (!all->bridges || !all->indexes)
				return -ENOMEM;
		}
		struct firewall_bridge *bridge = &all->bridges[all->bridge_count];
		*bridge = (struct firewall_bridge){0};
		memcpy(bridge->name, link->name, sizeof bridge->name);
		all->indexes[all->bridge_count++] = link->index;
	}
	uint32_t address = link->group == LINK_GROUP_PORT ? firewall_port_address(link->name) : 0;
	if (address) {
		if (all->port_count == all->port_room) {
			all->port_room = all->port_room * 2 + 64;
			all->ports = realloc(all->ports, all->port_room * sizeof *all->ports);
			if (!all->ports)
				return -ENOMEM;
		}
		all->ports[all->port_count++] = address;
	}
	return 0;
}

static int take_address(void *context, const struct link_network *network)
{
	struct inventory *all = context;

	for (size_t i = 0; network && i < all->bridge_count; i++) {
		if (all->indexes[i] == network->index && !all->bridges[i].address && network->prefix) {
			all->bridges[i].address = network->address;
			all->bridges[i].prefix = network->prefix;
		}
	}
	return 0;
}

static int rebuild_firewall(struct host *host, struct ipam *ipam, struct buf *note)
{
	__attribute__((cleanup(inventory_free))) struct inventory all = {0};
	bool no_spoof_check;
	int result = link_each(&host->route, take_link, &all);

	if (result == 0)
		result = link_each_address(&host->route, take_address, &all);
	if (result < 0)
		return result;
	/* A bridge without an address (somebody is just making it) has no part yet. */
	size_t kept = 0;
	for (size_t i = 0; i < all.bridge_count; i++) {
		if (all.bridges[i].prefix)
			all.bridges[kept++] = all.bridges[i];
	}
	struct firewall_plan plan = {.bridges = all.bridges,
		.bridge_count = kept,
		.ports = all.ports,
		.port_count = all.port_count};
	result = firewall_build(&host->filter, &plan, &no_spoof_check);
	if (result < 0)
		return result;
	ipam->network.flags &= ~IPAM_NO_SPOOF_CHECK;
	if (no_spoof_check) {
		ipam->network.flags |= IPAM_NO_SPOOF_CHECK;
		buf_printf(note,
			"this kernel cannot check what containers on a bridge send (it lacks nf_tables' "
			"bridge family): they could pose as each other\n");
	}
	return 0;
}

static int ensure_firewall(
	struct host *host, struct ipam *ipam, const struct firewall_bridge *bridge, struct buf *note)
{
	bool first = ipam->network.generation == 0;
	bool told = false;

	/* Each round that changed something is followed by one that looks again. */
	for (int round = 0; round < 6; round++) {
		struct firewall_probe probe;
		uint32_t generation;
		size_t said = note->length;
		int result = firewall_generation(&host->filter, &generation);

		if (result == 0)
			result = strangers_pass(&host->filter, bridge->name, first && round == 0, note);
		if (result == 0)
			result = firewall_probe(&host->filter, bridge->name, &probe);
		if (result < 0)
			return result;
		bool ports = probe.ports || ipam->network.flags & IPAM_NO_SPOOF_CHECK;
		if (probe.tables && probe.bridge && ports) {
			if (said != note->length && round < 5)
				continue;
			if (ipam->network.ports_handle != probe.handle)
				memset(ipam->network.allowed, 0, sizeof ipam->network.allowed);
			ipam->network.ports_handle = probe.handle;
			ipam->network.generation = generation;
			return 0;
		}
		if (!first && !told) {
			buf_printf(note, "brig's firewall rules were gone or changed: made them anew\n");
			told = true;
		}
		if (probe.tables && ports)
			result = firewall_add_bridge(&host->filter, bridge);
		else
			result = rebuild_firewall(host, ipam, note);
		if (result < 0)
			return result;
	}
	return -EAGAIN;
}

static int set_up_firewall(struct host *host, struct ipam *ipam, const struct address_search *own,
	struct buf *note, struct err *e)
{
	struct firewall_bridge wanted = {.address = own->address, .prefix = own->prefix};
	snprintf(wanted.name, sizeof wanted.name, "%s", host->kind->bridge);
	int result = ensure_firewall(host, ipam, &wanted, note);
	if (result == 0)
		result = bridge_restore_ports(host, ipam);
	if (result == -EOPNOTSUPP || result == -EPROTONOSUPPORT) {
		err_set(e, ERR_UNSUPPORTED, 0, "this kernel has no nf_tables, which bridge networks need");
		return err_hint(e, "run it with --network none or --network host");
	}
	if (result < 0)
		return err_set(e, ERR_SYSTEM, result, "cannot set up the firewall for containers%s%s",
			host->filter.reason[0] ? ": " : "", host->filter.reason);
	return 0;
}

int bridge_set_up(struct host *host, struct ipam *ipam, struct buf *note, struct err *e)
{
	struct link bridge;
	struct address_search own;
	bool foreign;

	lock_host(host->netns);
	if (ensure_bridge(host, &bridge, &own, &foreign, note, e) < 0 || ensure_forwarding(host, note, e) < 0)
		return -1;
	if (ipam->network.gateway != own.address || ipam->network.prefix != own.prefix) {
		int result = ipam_reset(ipam, own.address, own.prefix);
		if (result < 0)
			return err_errno(
				e, result, "cannot keep the state of network %s", host->kind->network);
	}
	ipam->network.flags &= ~IPAM_FOREIGN;
	/* Who made the bridge himself has rules for it, among which ours have no place. */
	if (foreign)
		ipam->network.flags |= IPAM_FOREIGN;
	else if (set_up_firewall(host, ipam, &own, note, e) < 0)
		return -1;
	ipam->network.bridge = (uint32_t)bridge.index;
	flock(host->netns, LOCK_UN);
	return 0;
}

/* Attaching. */

int bridge_open_leases(const struct host *host, int run_root, struct ipam *ipam, struct err *e)
{
	struct ipam_place place = {.run_root = run_root,
		.netns = host->netns,
		.cookie = host->cookie,
		.network = host->kind->network};
	return ipam_open(&place, ipam, e);
}

struct claim {
	uint8_t id[IPAM_ID_SIZE];
	uint32_t address;
	uint32_t gateway;
	unsigned prefix;
	int bridge;
};

static int claim_address(struct host *host, const struct net_request *request, unsigned tries,
	struct claim *claim, struct net_attachment *out, struct err *e)
{
	auto_ipam struct ipam ipam = IPAM_CLOSED;
	auto_buf struct buf note = {0};

	if (bridge_open_leases(host, request->run_root, &ipam, e) < 0)
		return -1;
	if (claim->address)
		ipam_release(&ipam, claim->id, claim->address);
	claim->address = 0;
	if (!bridge_in_place(host, &ipam) && bridge_set_up(host, &ipam, &note, e) < 0)
		return -1;
	if (note.length)
		snprintf(out->note, sizeof out->note, "%s", note.data);
	if (tries && tries % 4 == 0)
		ipam_widen(&ipam);
	int result = ipam_take(&ipam, claim->id, request->address, &claim->address);
	if (result == -EADDRINUSE)
		return err_set(e, ERR_CONFLICT, 0, "the address %u.%u.%u.%u is taken, or not in network %s",
			request->address >> 24, request->address >> 16 & 255, request->address >> 8 & 255,
			request->address & 255, host->kind->network);
	if (result == -ENOSPC)
		return err_set(
			e, ERR_NO_SPACE, 0, "network %s has no free address left", host->kind->network);
	if (result == 0 && !ipam_block_allowed(&ipam, claim->address) &&
		!(ipam.network.flags & (IPAM_NO_SPOOF_CHECK | IPAM_FOREIGN))) {
		result = firewall_allow(&host->filter, ipam_block_first(&ipam, claim->address), IPAM_BLOCK);
		/* That was one generation more; had somebody else changed something too, it would
		 * be two, and the next attach looks at everything again. */
		ipam.network.generation++;
		ipam_block_allow(&ipam, claim->address);
		if (result == 0)
			result = ipam_save(&ipam);
	}
	if (result < 0)
		return err_errno(e, result, "cannot take an address in network %s", host->kind->network);
	claim->gateway = ipam.network.gateway;
	claim->prefix = ipam.network.prefix;
	claim->bridge = (int)ipam.network.bridge;
	return 0;
}

static int make_port(
	struct host *host, const struct claim *claim, const struct inside *inside, const char *interface)
{
	NETLINK_ROOM(room, 512);
	struct netlink_batch batch = NETLINK_BATCH(room);
	char name[LINK_NAME_SIZE];
	struct link_veth veth = {
		.host_name = name, .inner_name = interface, .netns = inside->netns, .bridge = claim->bridge};

	firewall_port_name(claim->address, name);
	firewall_port_mac(claim->address, veth.inner_mac);
	memcpy(veth.host_mac, veth.inner_mac, sizeof veth.host_mac);
	veth.host_mac[0] = 0xfe;
	link_put_veth(&batch, &veth);
	return netlink_run(&host->route, &batch, NULL);
}

static int set_up_inside(
	struct inside *inside, const struct claim *claim, const char *interface, struct err *e)
{
	NETLINK_ROOM(room, 512);
	struct netlink_batch batch = NETLINK_BATCH(room);
	int index = link_index(inside->route.fd, interface);

	if (index < 0)
		return err_errno(e, index, "the container's interface %s is gone", interface);
	link_put_up(&batch, LOOPBACK, 0);
	link_put_up(&batch, index, 0);
	link_put_address(&batch, index, claim->address, claim->prefix);
	link_put_default_route(&batch, index, claim->gateway);
	int result = netlink_run(&inside->route, &batch, NULL);
	if (result < 0)
		return err_errno(e, result, "cannot set up the container's interface%s%s",
			inside->route.reason[0] ? ": " : "", inside->route.reason);
	return 0;
}

static void write_address(uint32_t address, char out[16])
{
	snprintf(out, 16, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
		address & 255);
}

static void fill_attachment(
	const struct kind *kind, const struct claim *claim, const char *interface, struct net_attachment *out)
{
	uint8_t mac[6];

	snprintf(out->interface, sizeof out->interface, "%s", interface);
	snprintf(out->bridge, sizeof out->bridge, "%s", kind->bridge);
	firewall_port_name(claim->address, out->host_interface);
	firewall_port_mac(claim->address, mac);
	snprintf(out->mac, sizeof out->mac, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	write_address(claim->address, out->address);
	write_address(claim->gateway, out->gateway);
	out->prefix = claim->prefix;
}

static void give_back(const struct host *host, int run_root, const struct claim *claim)
{
	auto_ipam struct ipam ipam = IPAM_CLOSED;
	struct err ignored = {0};

	if (bridge_open_leases(host, run_root, &ipam, &ignored) == 0)
		ipam_release(&ipam, claim->id, claim->address);
}

static int bridge_attach(const struct net_request *request, struct net_attachment *out, struct err *e)
{
	const char *interface = request->interface ? request->interface : "eth0";
	auto_host struct host host = HOST_CLOSED(kind_of(request->network));
	auto_inside struct inside inside = INSIDE_CLOSED;
	struct claim claim = {0};

	if (!ipam_parse_id(request->id, claim.id))
		return err_set(e, ERR_INVALID, 0, "a container's id has 64 hexadecimal digits");
	if (bridge_host_open(&host, e) < 0)
		return -1;
	if (inside_enter(request, host.route.fd, &(struct inside_wish){.no_ipv6 = true}, &inside, e) < 0)
		return -1;
	int result = -EEXIST;
	for (unsigned tries = 0; result == -EEXIST && tries < 64; tries++) {
		if (claim_address(&host, request, tries, &claim, out, e) < 0)
			return -1;
		result = make_port(&host, &claim, &inside, interface);
		if (result == -EEXIST && request->address)
			break;
	}
	if (result == -EEXIST)
		err_set(e, ERR_CONFLICT, 0, "the addresses of network %s are in use by another run root",
			host.kind->network);
	else if (result < 0)
		err_errno(e, result, "cannot make the container's interface%s%s",
			host.route.reason[0] ? ": " : "", host.route.reason);
	else
		result = set_up_inside(&inside, &claim, interface, e);
	if (result < 0) {
		give_back(&host, request->run_root, &claim);
		return -1;
	}
	fill_attachment(host.kind, &claim, interface, out);
	return 0;
}

static int bridge_detach(const struct net_release *release, struct err *e)
{
	auto_host struct host host = HOST_CLOSED(kind_of(release->network));
	auto_ipam struct ipam ipam = IPAM_CLOSED;
	uint8_t id[IPAM_ID_SIZE];
	struct in_addr address;

	if (!ipam_parse_id(release->id, id) || inet_pton(AF_INET, release->address, &address) != 1)
		return err_set(e, ERR_INVALID, 0, "a container's id or address is malformed");
	/* The user waits for this: sockets of netlink cost more than the rest of it. */
	auto_close int socket_here = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (socket_here < 0)
		return err_errno(e, errno, "cannot make a socket");
	if (bridge_host_find(&host, socket_here, e) < 0 ||
		bridge_open_leases(&host, release->run_root, &ipam, e) < 0)
		return -1;
	int withdrawn = release->publishes ? bridge_withdraw_ports(&host, &ipam, id, NULL) : 0;
	if (withdrawn < 0)
		return err_errno(e, withdrawn, "cannot take back the container's ports");
	int result = ipam_release(&ipam, id, ntohl(address.s_addr));
	if (result < 0 && result != -ENOENT)
		return err_errno(e, result, "cannot give back the address %s", release->address);
	return 0;
}

/* Everything that a later change of the host could have taken away is looked at again. */
static int bridge_adopt(
	const struct net_request *request, const char *pool_id, struct net_attachment *got, struct err *e)
{
	auto_host struct host host = HOST_CLOSED(kind_of(request->network));
	auto_ipam struct ipam ipam = IPAM_CLOSED;
	uint8_t from[IPAM_ID_SIZE], to[IPAM_ID_SIZE];
	struct in_addr address;

	if (!ipam_parse_id(pool_id, from) || !ipam_parse_id(request->id, to) ||
		inet_pton(AF_INET, got->address, &address) != 1)
		return err_set(e, ERR_INVALID, 0, "a container's id or address is malformed");
	if (bridge_host_open(&host, e) < 0 || bridge_open_leases(&host, request->run_root, &ipam, e) < 0)
		return -1;
	/* What needs work is not for this road: attaching a new namespace does it. */
	if (!bridge_in_place(&host, &ipam) || link_is_up(host.route.fd, got->host_interface) != 1)
		return err_set(
			e, ERR_CONFLICT, 0, "the namespace made ahead does not fit this host any more");
	int result = ipam_hand_on(&ipam, from, to, ntohl(address.s_addr));
	return result < 0 ? err_errno(e, result, "cannot take over the address %s", got->address) : 0;
}

static int sweep_kind(const struct kind *kind, int run_root, net_dead_fn *dead, void *context, struct err *e)
{
	auto_host struct host host = HOST_CLOSED(kind);
	auto_ipam struct ipam ipam = IPAM_CLOSED;
	struct sweep sweep = {.dead = dead, .context = context};
	auto_close int folder = fd_open(run_root, "net", O_RDONLY | O_DIRECTORY, 0);

	/* Nothing was ever given out. */
	if (folder == -ENOENT)
		return 0;
	if (bridge_host_open(&host, e) < 0 || bridge_open_leases(&host, run_root, &ipam, e) < 0)
		return -1;
	int withdrawn = ipam.network.port_slots ? bridge_withdraw_ports(&host, &ipam, NULL, &sweep) : 0;
	if (withdrawn < 0)
		return err_errno(e, withdrawn, "cannot take back the ports of what has ended");
	int freed = ipam_sweep(&ipam, bridge_is_dead, &sweep);
	return freed < 0 ? err_errno(e, freed, "cannot sweep the addresses of network %s", kind->network)
			 : freed;
}

static int bridge_sweep(int run_root, net_dead_fn *dead, void *context, struct err *e)
{
	return sweep_kind(&bridge_own_kind, run_root, dead, context, e);
}

static int classic_sweep(int run_root, net_dead_fn *dead, void *context, struct err *e)
{
	return sweep_kind(&classic_kind, run_root, dead, context, e);
}

static int set_up_kind(const struct kind *kind, int run_root, struct buf *note, struct err *e)
{
	auto_host struct host host = HOST_CLOSED(kind);
	auto_ipam struct ipam ipam = IPAM_CLOSED;

	if (bridge_host_open(&host, e) < 0 || bridge_open_leases(&host, run_root, &ipam, e) < 0 ||
		bridge_set_up(&host, &ipam, note, e) < 0)
		return -1;
	int result = ipam_save(&ipam);
	return result < 0 ? err_errno(e, result, "cannot keep the state of network %s", kind->network) : 0;
}

static int own_set_up(int run_root, struct buf *note, struct err *e)
{
	return set_up_kind(&bridge_own_kind, run_root, note, e);
}

static int classic_set_up(int run_root, struct buf *note, struct err *e)
{
	return set_up_kind(&classic_kind, run_root, note, e);
}

const struct net_driver net_bridge_driver = {
	.name = "bridge",
	.kind = NET_BRIDGE,
	.about = "an interface on brig's own bridge, and out through the host",
	.set_up = own_set_up,
	.attach = bridge_attach,
	.detach = bridge_detach,
	.sweep = bridge_sweep,
	.publish = bridge_publish,
	.each_port = bridge_each_port,
	.reload = bridge_reload,
	.pooled = true,
	.adopt = bridge_adopt,
};

const struct net_driver net_classic_driver = {
	.name = "bridge0",
	.kind = NET_BRIDGE,
	.about = "an interface on bridge0, the bridge of the classic dialect, be it the user's own",
	.set_up = classic_set_up,
	.attach = bridge_attach,
	.detach = bridge_detach,
	.sweep = classic_sweep,
};
