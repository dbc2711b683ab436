/* conntrack.c - forgetting UDP flows. */
#include "net/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/auto.h"

/* The kernel's own number for "compare the protocol", which its headers do not tell. */
#define FILTER_PROTOCOL (1u << 3)

enum { TUPLE_ROOM = 128 };

/* As the kernel wrote it, to be given back. */
struct doomed {
	uint16_t size;
	uint16_t zone; /* network byte order, 0 for none */
	unsigned char tuple[TUPLE_ROOM];
};

struct search {
	const struct firewall_port *ports;
	size_t count;
	struct doomed *found;
	size_t found_count, room;
};

/* Host byte order. */
struct tuple {
	uint32_t source, target;
	uint16_t source_port, target_port;
};

static void message(struct netlink_batch *batch, uint16_t type, uint16_t flags)
{
	struct nfgenmsg header = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
	netlink_begin(batch, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, &header, sizeof header);
}

static uint16_t be16(const struct netlink_attribute *attribute)
{
	return attribute->size < 2 ? 0 : (uint16_t)(attribute->bytes[0] << 8 | attribute->bytes[1]);
}

/* False where it is none of UDP over IPv4. */
static bool read_tuple(const struct netlink_attribute *attribute, struct tuple *out)
{
	struct netlink_attributes list = netlink_attributes_in(attribute, 0);
	struct netlink_attribute ip, proto, source, target, number, from, to;

	if (!netlink_find(list, CTA_TUPLE_IP, &ip) || !netlink_find(list, CTA_TUPLE_PROTO, &proto))
		return false;
	list = netlink_attributes_in(&ip, 0);
	if (!netlink_find(list, CTA_IP_V4_SRC, &source) || !netlink_find(list, CTA_IP_V4_DST, &target))
		return false;
	list = netlink_attributes_in(&proto, 0);
	if (!netlink_find(list, CTA_PROTO_NUM, &number) || number.size < 1 ||
		number.bytes[0] != IPPROTO_UDP || !netlink_find(list, CTA_PROTO_SRC_PORT, &from) ||
		!netlink_find(list, CTA_PROTO_DST_PORT, &to))
		return false;
	*out = (struct tuple){.source = netlink_get_be32(&source, 0),
		.target = netlink_get_be32(&target, 0),
		.source_port = be16(&from),
		.target_port = be16(&to)};
	return true;
}

/* Whether a flow's way is another one now. What nobody translates on its way is begun anew without a loss. */
static bool is_stale(const struct search *search, const struct tuple *there, const struct tuple *back)
{
	bool plain = back->source == there->target && back->source_port == there->target_port &&
		     back->target == there->source && back->target_port == there->source_port;

	for (size_t i = 0; i < search->count; i++) {
		const struct firewall_port *port = &search->ports[i];
		if (port->protocol == IPPROTO_UDP && port->host_port == there->target_port &&
			(!port->host || port->host == there->target) &&
			(plain || (back->source == port->container &&
					  back->source_port == port->container_port)))
			return true;
	}
	return false;
}

static int take_flow(void *context, const struct nlmsghdr *answer, unsigned index)
{
	struct search *search = context;
	struct netlink_attribute there, back, zone;
	struct tuple to, from;
	(void)index;

	if (!answer) {
		search->found_count = 0;
		return 0;
	}
	struct netlink_attributes list = netlink_attributes_of(answer, sizeof(struct nfgenmsg));
	if (!netlink_find(list, CTA_TUPLE_ORIG, &there) || !netlink_find(list, CTA_TUPLE_REPLY, &back) ||
		there.size > TUPLE_ROOM || !read_tuple(&there, &to) || !read_tuple(&back, &from) ||
		!is_stale(search, &to, &from))
		return 0;
	if (search->found_count == search->room) {
		size_t room = search->room * 2 + 16;
		struct doomed *found = realloc(search->found, room * sizeof *found);
		if (!found)
			return -ENOMEM;
		search->found = found;
		search->room = room;
	}
	struct doomed *doomed = &search->found[search->found_count++];
	*doomed = (struct doomed){.size = there.size};
	memcpy(doomed->tuple, there.bytes, there.size);
	if (netlink_find(list, CTA_ZONE, &zone) && zone.size >= sizeof doomed->zone)
		memcpy(&doomed->zone, zone.bytes, sizeof doomed->zone);
	return 0;
}

/* All flows of UDP over IPv4. */
static int find(struct netlink *nl, struct search *search)
{
	NETLINK_ROOM(room, 128);
	struct netlink_batch batch = NETLINK_BATCH(room);

	message(&batch, IPCTNL_MSG_CT_GET, NLM_F_DUMP);
	netlink_nest(&batch, CTA_FILTER);
	netlink_put_u32(&batch, CTA_FILTER_ORIG_FLAGS, FILTER_PROTOCOL);
	netlink_put_u32(&batch, CTA_FILTER_REPLY_FLAGS, 0);
	netlink_nest_end(&batch);
	netlink_nest(&batch, CTA_TUPLE_ORIG);
	netlink_nest(&batch, CTA_TUPLE_PROTO);
	netlink_put_u8(&batch, CTA_PROTO_NUM, IPPROTO_UDP);
	netlink_nest_end(&batch);
	netlink_nest_end(&batch);
	return netlink_dump(nl, &batch, take_flow, search);
}

static int forget(struct netlink *nl, const struct doomed *doomed)
{
	NETLINK_ROOM(room, TUPLE_ROOM + 64);
	struct netlink_batch batch = NETLINK_BATCH(room);

	message(&batch, IPCTNL_MSG_CT_DELETE, 0);
	netlink_put(&batch, CTA_TUPLE_ORIG | NLA_F_NESTED, doomed->tuple, doomed->size);
	if (doomed->zone)
		netlink_put_u16(&batch, CTA_ZONE, doomed->zone);
	int result = netlink_run(nl, &batch, NULL);
	return result == -ENOENT ? 0 : result;
}

int conntrack_forget(struct netlink *nl, const struct firewall_port *ports, size_t count)
{
	struct search search = {.ports = ports, .count = count};
	bool any = false;

	for (size_t i = 0; i < count; i++)
		any = any || ports[i].protocol == IPPROTO_UDP;
	int result = any ? find(nl, &search) : 0;
	for (size_t i = 0; result == 0 && i < search.found_count; i++)
		result = forget(nl, &search.found[i]);
	free(search.found);
	return result;
}
