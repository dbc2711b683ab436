/*
 * publish.c - published ports: records in the network's file, elements of the firewall's map.
 *
 * A record is written before the kernel has the port and freed after the kernel has lost it, so
 * that whoever is killed between the two leaves a record that the next sweep takes away.
 */
#include "net/bridge_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/fd.h"
#include "net/conntrack.h"
#include "net/firewall.h"
#include "net/inside.h"
#include "net/link.h"

/* A packet of the host's own 127.0.0.1 may leave by the bridge: that is how a port is reached there. Only
 * beside the rule that drops whatever comes from elsewhere for 127.0.0.0/8. */
static void set_loopback(const struct host *host, bool open)
{
	char path[64];

	snprintf(path, sizeof path, "net/ipv4/conf/%s/route_localnet", host->kind->bridge);
	inside_write_sysctl(path, open ? "1" : "0");
}

/* Our run root's last port is gone. Another's may be there, or come just now: it is in the map before that
 * one opens the loopback, so whoever is too quick here sees it there. */
static void close_loopback(struct host *host)
{
	bool any = true;

	set_loopback(host, false);
	if (firewall_publishes(&host->filter, &any) == 0 && any)
		set_loopback(host, true);
}

/* Every port of this run root into the map, which may have lost them. */
int bridge_restore_ports(struct host *host, struct ipam *ipam)
{
	auto_free struct ipam_port *records = NULL;
	size_t count, kept = 0;

	if (!ipam->network.port_slots)
		return 0;
	int result = ipam_ports_read(ipam, &records, &count);
	if (result < 0)
		return result;
	auto_free struct firewall_port *ports = malloc(count * sizeof *ports);
	if (!ports)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (records[i].port.protocol && !records[i].six)
			ports[kept++] = records[i].port;
	if (!kept)
		return 0;
	result = firewall_publish(&host->filter, ports, kept, true);
	/* One that another run root took meanwhile is not ours any more; the others are. */
	for (size_t i = 0; result == -EEXIST && i < kept; i++)
		firewall_publish(&host->filter, &ports[i], 1, true);
	if (result < 0 && result != -EEXIST)
		return result;
	set_loopback(host, true);
	return firewall_generation(&host->filter, &ipam->network.generation);
}

static void write_id(const uint8_t id[IPAM_ID_SIZE], char out[2 * IPAM_ID_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < IPAM_ID_SIZE; i++) {
		out[2 * i] = digits[id[i] >> 4];
		out[2 * i + 1] = digits[id[i] & 15];
	}
	out[2 * IPAM_ID_SIZE] = '\0';
}

bool bridge_is_dead(void *context, const uint8_t id[IPAM_ID_SIZE], uint32_t address)
{
	const struct sweep *sweep = context;
	char text[2 * IPAM_ID_SIZE + 1];
	(void)address;

	write_id(id, text);
	return sweep->dead(sweep->context, text);
}

/* Published ports. */

/* Takes those of one container, or (id NULL) of the dead, out of the map and then out of the records. */
int bridge_withdraw_ports(struct host *host, struct ipam *ipam, const uint8_t *id, struct sweep *sweep)
{
	auto_free struct ipam_port *records = NULL;
	size_t count, gone = 0, mapped = 0, left = 0;
	int result = ipam_ports_read(ipam, &records, &count);

	if (result < 0)
		return result;
	auto_free struct firewall_port *ports = malloc(count * sizeof *ports + 1);
	auto_free size_t *slots = malloc(count * sizeof *slots + 1);
	if (!ports || !slots)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct ipam_port *record = &records[i];
		if (!record->port.protocol)
			continue;
		if (id ? memcmp(record->id, id, IPAM_ID_SIZE) != 0
		       : !bridge_is_dead(sweep, record->id, record->port.container)) {
			left++;
			continue;
		}
		slots[gone++] = i;
		if (!record->six)
			ports[mapped++] = record->port;
	}
	if (!gone)
		return 0;
	result = host->filter.fd > 0 ? 0 : netlink_open(&host->filter, NETLINK_NETFILTER);
	uint32_t before = 0, after = 0;
	if (result == 0)
		result = firewall_generation(&host->filter, &before);
	if (result == 0)
		result = firewall_unpublish(&host->filter, ports, mapped);
	if (result < 0)
		return result;
	conntrack_forget(&host->filter, ports, mapped);
	for (size_t i = 0; result == 0 && i < gone; i++)
		result = ipam_port_write(ipam, slots[i], NULL);
	/* Nothing is left to look for when the last one went. */
	if (result == 0 && !left) {
		ipam->network.port_slots = 0;
		close_loopback(host);
	}
	/* What changed was our own doing: the next attach need not look at everything again. */
	if (result == 0 && before == ipam->network.generation &&
		firewall_generation(&host->filter, &after) == 0 && after - before <= 1)
		ipam->network.generation = after;
	return result < 0 ? result : ipam_save(ipam);
}

/* Those of a container that did not get into the map. */
static void withdraw_records(struct ipam *ipam, const uint8_t *id)
{
	auto_free struct ipam_port *records = NULL;
	size_t count;

	if (ipam_ports_read(ipam, &records, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (!memcmp(records[i].id, id, IPAM_ID_SIZE))
			ipam_port_write(ipam, i, NULL);
}

static int write_records(
	struct ipam *ipam, const struct net_publish *publish, const uint8_t *id, uint32_t address)
{
	auto_free struct ipam_port *records = NULL;
	size_t count, slot = 0;
	int result = ipam_ports_read(ipam, &records, &count);

	for (size_t i = 0; result == 0 && i < publish->count; i++, slot++) {
		const struct net_port *port = &publish->ports[i];
		struct ipam_port record = {0};
		while (slot < count && records[slot].port.protocol)
			slot++;
		memcpy(record.id, id, IPAM_ID_SIZE);
		record.port.host = port->host;
		record.port.host_port = port->host_port;
		record.port.container_port = port->container_port;
		record.port.container = address;
		record.port.protocol = port->protocol;
		record.six = port->six;
		memcpy(record.host6, port->host6, sizeof record.host6);
		result = ipam_port_write(ipam, slot, &record);
	}
	return result;
}

static bool is_every(const struct net_port *port)
{
	static const uint8_t every[sizeof port->host6];
	return port->six ? !memcmp(port->host6, every, sizeof every) : !port->host;
}

bool net_ports_clash(const struct net_port *one, const struct net_port *other)
{
	if (one->protocol != other->protocol || one->host_port != other->host_port || one->six != other->six)
		return false;
	return is_every(one) || is_every(other) ||
	       (one->six ? !memcmp(one->host6, other->host6, sizeof one->host6) : one->host == other->host);
}

static struct net_port port_of(const struct ipam_port *record)
{
	struct net_port port = {.host = record->port.host,
		.six = record->six,
		.host_port = record->port.host_port,
		.container_port = record->port.container_port,
		.protocol = record->port.protocol};

	memcpy(port.host6, record->host6, sizeof port.host6);
	return port;
}

static bool find_clash(const struct ipam *ipam, const struct net_publish *publish, char clash[65])
{
	auto_free struct ipam_port *records = NULL;
	size_t count;

	if (ipam_ports_read(ipam, &records, &count) < 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct net_port port = port_of(&records[i]);
		for (size_t k = 0; port.protocol && k < publish->count; k++)
			if (net_ports_clash(&port, &publish->ports[k])) {
				write_id(records[i].id, clash);
				return true;
			}
	}
	return false;
}

/* A container that asks for its own port by the host's address: the packet goes out where it came in. */
static int allow_hairpin(struct host *host, uint32_t address)
{
	NETLINK_ROOM(room, 128);
	struct netlink_batch batch = NETLINK_BATCH(room);
	char name[LINK_NAME_SIZE];

	firewall_port_name(address, name);
	int index = link_index(host->route.fd, name);
	if (index < 0)
		return index;
	link_put_hairpin(&batch, index);
	return netlink_run(&host->route, &batch, NULL);
}

/* Into the map, those of IPv4; with what they need of the bridge. */
static int put_ports(
	struct host *host, struct ipam *ipam, const struct net_publish *publish, uint32_t address)
{
	auto_free struct firewall_port *ports = malloc(publish->count * sizeof *ports);
	size_t count = 0;

	if (!ports)
		return -ENOMEM;
	for (size_t i = 0; i < publish->count; i++)
		if (!publish->ports[i].six)
			ports[count++] = (struct firewall_port){.host = publish->ports[i].host,
				.protocol = publish->ports[i].protocol,
				.host_port = publish->ports[i].host_port,
				.container = address,
				.container_port = publish->ports[i].container_port};
	if (!count)
		return 0;
	int result = allow_hairpin(host, address);
	if (result < 0)
		return result;
	result = firewall_publish(&host->filter, ports, count, false);
	ipam->network.generation++;
	if (result < 0)
		return result;
	set_loopback(host, true);
	conntrack_forget(&host->filter, ports, count);
	return 0;
}

int bridge_publish(const struct net_publish *publish, char clash[65], struct err *e)
{
	auto_host struct host host = HOST_CLOSED(&bridge_own_kind);
	auto_ipam struct ipam ipam = IPAM_CLOSED;
	auto_buf struct buf note = {0};
	uint8_t id[IPAM_ID_SIZE];
	struct in_addr address;

	if (!ipam_parse_id(publish->id, id) || inet_pton(AF_INET, publish->address, &address) != 1)
		return err_set(e, ERR_INVALID, 0, "a container's id or address is malformed");
	if (bridge_host_open(&host, e) < 0 || bridge_open_leases(&host, publish->run_root, &ipam, e) < 0 ||
		(!bridge_in_place(&host, &ipam) && bridge_set_up(&host, &ipam, &note, e) < 0))
		return -1;
	if (find_clash(&ipam, publish, clash))
		return err_set(e, ERR_CONFLICT, 0, "the port is published already");
	int result = write_records(&ipam, publish, id, ntohl(address.s_addr));
	if (result == 0)
		result = put_ports(&host, &ipam, publish, ntohl(address.s_addr));
	if (result == 0)
		result = ipam_save(&ipam);
	if (result == 0)
		return 0;
	withdraw_records(&ipam, id);
	if (result == -EEXIST)
		return err_set(e, ERR_CONFLICT, 0,
			"a port is published already, by a container of another run root");
	return err_errno(
		e, result, "cannot publish ports%s%s", host.filter.reason[0] ? ": " : "", host.filter.reason);
}

/* The leases, where the run root has any. 1: it has none. */
static int open_existing(struct host *host, int run_root, struct ipam *ipam, struct err *e)
{
	auto_close int folder = fd_open(run_root, "net", O_RDONLY | O_DIRECTORY, 0);

	if (folder == -ENOENT)
		return 1;
	auto_close int socket_here = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (socket_here < 0)
		return err_errno(e, errno, "cannot make a socket");
	return bridge_host_find(host, socket_here, e) < 0 || bridge_open_leases(host, run_root, ipam, e) < 0
		       ? -1
		       : 0;
}

int bridge_each_port(int run_root, net_port_fn *take, void *context, struct err *e)
{
	auto_host struct host host = HOST_CLOSED(&bridge_own_kind);
	auto_ipam struct ipam ipam = IPAM_CLOSED;
	auto_free struct ipam_port *records = NULL;
	char id[2 * IPAM_ID_SIZE + 1];
	size_t count;

	int result = open_existing(&host, run_root, &ipam, e);
	if (result)
		return result < 0 ? -1 : 0;
	result = ipam_ports_read(&ipam, &records, &count);
	if (result < 0)
		return err_errno(e, result, "cannot read the ports of network %s", host.kind->network);
	for (size_t i = 0; i < count; i++) {
		struct net_port port = port_of(&records[i]);
		if (!port.protocol)
			continue;
		write_id(records[i].id, id);
		take(context, id, &port);
	}
	return 0;
}

int bridge_reload(int run_root, struct buf *note, struct err *e)
{
	auto_host struct host host = HOST_CLOSED(&bridge_own_kind);
	auto_ipam struct ipam ipam = IPAM_CLOSED;

	if (bridge_host_open(&host, e) < 0 || bridge_open_leases(&host, run_root, &ipam, e) < 0 ||
		bridge_set_up(&host, &ipam, note, e) < 0)
		return -1;
	int result = ipam_save(&ipam);
	return result < 0 ? err_errno(e, result, "cannot keep the state of network %s", host.kind->network)
			  : 0;
}
