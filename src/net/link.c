/* link.c - rtnetlink: interfaces, addresses and routes. */
#include "net/link.h"

#include <errno.h>
#include <string.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#define SIOCGSKNS_ 0x894C /* linux/sockios.h clashes with musl's headers */

static void put_header(
	struct netlink_batch *batch, uint16_t type, uint16_t flags, const struct ifinfomsg *info)
{
	netlink_begin(batch, type, flags, info, sizeof *info);
}

bool link_parse(const struct nlmsghdr *message, struct link *out)
{
	struct ifinfomsg info;
	struct netlink_attributes list = netlink_attributes_of(message, sizeof info);
	struct netlink_attribute attribute, inner;
	bool named = false;

	if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof info))
		return false;
	memcpy(&info, NLMSG_DATA(message), sizeof info);
	*out = (struct link){.index = info.ifi_index, .up = info.ifi_flags & IFF_UP};
	while (netlink_next(&list, &attribute)) {
		switch (attribute.type) {
		case IFLA_IFNAME:
			named = netlink_copy_text(&attribute, out->name, sizeof out->name);
			break;
		case IFLA_GROUP:
			out->group = netlink_get_u32(&attribute, 0);
			break;
		case IFLA_MASTER:
			out->master = (int)netlink_get_u32(&attribute, 0);
			break;
		case IFLA_ADDRESS:
			if (attribute.size == sizeof out->mac)
				memcpy(out->mac, attribute.bytes, sizeof out->mac);
			break;
		case IFLA_LINKINFO:
			if (netlink_find(netlink_attributes_in(&attribute, 0), IFLA_INFO_KIND, &inner) &&
				!netlink_copy_text(&inner, out->kind, sizeof out->kind))
				out->kind[0] = 0;
			break;
		default:
			break;
		}
	}
	return named && out->index > 0;
}

static int take_link(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct link one;
	(void)index;

	if (message && link_parse(message, &one))
		*(struct link *)context = one;
	return 0;
}

int link_find(struct netlink *nl, const char *name, struct link *out)
{
	NETLINK_ROOM(room, 128);
	struct netlink_batch batch = NETLINK_BATCH(room);
	struct link found = {0};

	link_put_find(&batch, name);
	int result = netlink_ask(nl, &batch, take_link, &found, NULL);
	if (result < 0)
		return result;
	if (!found.index)
		return -ENODEV;
	*out = found;
	return 0;
}

void link_put_find(struct netlink_batch *batch, const char *name)
{
	put_header(batch, RTM_GETLINK, 0, &(struct ifinfomsg){.ifi_family = AF_UNSPEC});
	netlink_put_string(batch, IFLA_IFNAME, name);
	/* Statistics and the like are three quarters of the answer. */
	netlink_put_u32(batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void link_put_veth(struct netlink_batch *batch, const struct link_veth *veth)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC};

	put_header(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info);
	netlink_put_string(batch, IFLA_IFNAME, veth->host_name);
	netlink_put(batch, IFLA_ADDRESS, veth->host_mac, sizeof veth->host_mac);
	netlink_put_u32(batch, IFLA_GROUP, LINK_GROUP_PORT);
	netlink_put_u32(batch, IFLA_MASTER, (uint32_t)veth->bridge);
	/* By default one queue for each possible processor is allocated. */
	netlink_put_u32(batch, IFLA_NUM_TX_QUEUES, 1);
	netlink_put_u32(batch, IFLA_NUM_RX_QUEUES, 1);
	if (veth->mtu)
		netlink_put_u32(batch, IFLA_MTU, veth->mtu);
	netlink_nest(batch, IFLA_LINKINFO);
	netlink_put_string(batch, IFLA_INFO_KIND, "veth");
	netlink_nest(batch, IFLA_INFO_DATA);
	/* The inner end cannot be set up here: it is opened before its peer is known (-ENOTCONN). */
	netlink_nest_with(batch, VETH_INFO_PEER, &info, sizeof info);
	netlink_put_string(batch, IFLA_IFNAME, veth->inner_name);
	netlink_put(batch, IFLA_ADDRESS, veth->inner_mac, sizeof veth->inner_mac);
	netlink_put_u32(batch, veth->pid ? IFLA_NET_NS_PID : IFLA_NET_NS_FD,
		(uint32_t)(veth->pid ? veth->pid : veth->netns));
	netlink_put_u32(batch, IFLA_NUM_TX_QUEUES, 1);
	netlink_put_u32(batch, IFLA_NUM_RX_QUEUES, 1);
	if (veth->mtu)
		netlink_put_u32(batch, IFLA_MTU, veth->mtu);
	netlink_nest_end(batch);
	netlink_nest_end(batch);
	netlink_nest_end(batch);

	/* Before it is up: no IPv6 address for the port itself, and so none of the reports and
	 * solicitations that the host would send into every container. */
	put_header(batch, RTM_NEWLINK, 0, &info);
	netlink_put_string(batch, IFLA_IFNAME, veth->host_name);
	netlink_nest(batch, IFLA_AF_SPEC);
	netlink_nest(batch, AF_INET6);
	netlink_put_u8(batch, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	netlink_nest_end(batch);
	netlink_nest_end(batch);

	info.ifi_flags = info.ifi_change = IFF_UP;
	put_header(batch, RTM_NEWLINK, 0, &info);
	netlink_put_string(batch, IFLA_IFNAME, veth->host_name);
}

void link_put_bridge(struct netlink_batch *batch, const char *name, const uint8_t mac[6], uint32_t mtu)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC};

	put_header(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info);
	netlink_put_string(batch, IFLA_IFNAME, name);
	/* A fixed address: otherwise it changes with every port that comes or goes. */
	netlink_put(batch, IFLA_ADDRESS, mac, 6);
	netlink_put_u32(batch, IFLA_GROUP, LINK_GROUP_BRIDGE);
	if (mtu)
		netlink_put_u32(batch, IFLA_MTU, mtu);
	netlink_nest(batch, IFLA_LINKINFO);
	netlink_put_string(batch, IFLA_INFO_KIND, "bridge");
	netlink_nest(batch, IFLA_INFO_DATA);
	netlink_put_u32(batch, IFLA_BR_STP_STATE, 0);
	netlink_put_u8(batch, IFLA_BR_MCAST_SNOOPING, 0);
	netlink_nest_end(batch);
	netlink_nest_end(batch);
}

void link_put_bridge_rules(struct netlink_batch *batch, int index)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};
	uint32_t no_link_local_learning[2] = {1u << BR_BOOLOPT_NO_LL_LEARN, 1u << BR_BOOLOPT_NO_LL_LEARN};

	put_header(batch, RTM_NEWLINK, 0, &info);
	netlink_nest(batch, IFLA_LINKINFO);
	netlink_put_string(batch, IFLA_INFO_KIND, "bridge");
	netlink_nest(batch, IFLA_INFO_DATA);
	netlink_put(batch, IFLA_BR_MULTI_BOOLOPT, no_link_local_learning, sizeof no_link_local_learning);
	netlink_nest_end(batch);
	netlink_nest_end(batch);
}

void link_put_up(struct netlink_batch *batch, int index, uint32_t group)
{
	struct ifinfomsg info = {
		.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

	put_header(batch, RTM_NEWLINK, 0, &info);
	if (group)
		netlink_put_u32(batch, IFLA_GROUP, group);
}

void link_put_hairpin(struct netlink_batch *batch, int index)
{
	struct ifinfomsg info = {.ifi_family = AF_BRIDGE, .ifi_index = index};

	put_header(batch, RTM_SETLINK, 0, &info);
	netlink_nest(batch, IFLA_PROTINFO);
	netlink_put_u8(batch, IFLA_BRPORT_MODE, 1);
	netlink_nest_end(batch);
}

void link_put_delete(struct netlink_batch *batch, const char *name)
{
	put_header(batch, RTM_DELLINK, 0, &(struct ifinfomsg){.ifi_family = AF_UNSPEC});
	netlink_put_string(batch, IFLA_IFNAME, name);
}

void link_put_address(struct netlink_batch *batch, int index, uint32_t address, unsigned prefix)
{
	struct ifaddrmsg info = {
		.ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)prefix, .ifa_index = (uint32_t)index};
	uint32_t mask = prefix ? ~0u << (32 - prefix) : 0;

	netlink_begin(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
	netlink_put_be32(batch, IFA_LOCAL, address);
	netlink_put_be32(batch, IFA_ADDRESS, address);
	netlink_put_be32(batch, IFA_BROADCAST, address | ~mask);
}

void link_put_default_route(struct netlink_batch *batch, int index, uint32_t gateway)
{
	struct rtmsg info = {.rtm_family = AF_INET,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST};

	netlink_begin(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
	if (gateway)
		netlink_put_be32(batch, RTA_GATEWAY, gateway);
	netlink_put_u32(batch, RTA_OIF, (uint32_t)index);
}

struct network_walk {
	link_network_fn *each;
	void *context;
};

static bool take_address(const struct nlmsghdr *message, struct link_network *out)
{
	struct ifaddrmsg info;
	struct netlink_attributes list = netlink_attributes_of(message, sizeof info);
	struct netlink_attribute attribute;

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof info))
		return false;
	memcpy(&info, NLMSG_DATA(message), sizeof info);
	if (info.ifa_family != AF_INET || info.ifa_prefixlen > 32)
		return false;
	if (!netlink_find(list, IFA_LOCAL, &attribute) && !netlink_find(list, IFA_ADDRESS, &attribute))
		return false;
	*out = (struct link_network){.address = netlink_get_be32(&attribute, 0),
		.prefix = info.ifa_prefixlen,
		.index = (int)info.ifa_index};
	return true;
}

static bool take_route(const struct nlmsghdr *message, struct link_network *out)
{
	struct rtmsg info;
	struct netlink_attributes list = netlink_attributes_of(message, sizeof info);
	struct netlink_attribute attribute;

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof info))
		return false;
	memcpy(&info, NLMSG_DATA(message), sizeof info);
	if (info.rtm_family != AF_INET || info.rtm_dst_len > 32 || info.rtm_dst_len == 0)
		return false;
	if (info.rtm_type != RTN_UNICAST && info.rtm_type != RTN_BLACKHOLE &&
		info.rtm_type != RTN_UNREACHABLE && info.rtm_type != RTN_PROHIBIT &&
		info.rtm_type != RTN_LOCAL)
		return false;
	if (!netlink_find(list, RTA_DST, &attribute))
		return false;
	*out = (struct link_network){
		.address = netlink_get_be32(&attribute, 0), .prefix = info.rtm_dst_len, .route = true};
	if (netlink_find(list, RTA_OIF, &attribute))
		out->index = (int)netlink_get_u32(&attribute, 0);
	return true;
}

bool link_parse_network(const struct nlmsghdr *message, struct link_network *out)
{
	if (message->nlmsg_type == RTM_NEWADDR)
		return take_address(message, out);
	if (message->nlmsg_type == RTM_NEWROUTE)
		return take_route(message, out);
	return false;
}

static int take_network(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct network_walk *walk = context;
	struct link_network network;
	(void)index;

	if (!message)
		return walk->each(walk->context, NULL);
	return link_parse_network(message, &network) ? walk->each(walk->context, &network) : 0;
}

int link_each_address(struct netlink *nl, link_network_fn *each, void *context)
{
	NETLINK_ROOM(room, 64);
	struct netlink_batch batch = NETLINK_BATCH(room);
	struct network_walk walk = {.each = each, .context = context};

	netlink_begin(&batch, RTM_GETADDR, NLM_F_DUMP, &(struct ifaddrmsg){.ifa_family = AF_INET},
		sizeof(struct ifaddrmsg));
	return netlink_dump(nl, &batch, take_network, &walk);
}

int link_each_route(struct netlink *nl, link_network_fn *each, void *context)
{
	NETLINK_ROOM(room, 64);
	struct netlink_batch batch = NETLINK_BATCH(room);
	struct network_walk walk = {.each = each, .context = context};

	netlink_begin(&batch, RTM_GETROUTE, NLM_F_DUMP, &(struct rtmsg){.rtm_family = AF_INET},
		sizeof(struct rtmsg));
	return netlink_dump(nl, &batch, take_network, &walk);
}

struct link_walk {
	link_each_fn *each;
	void *context;
};

static int take_each_link(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct link_walk *walk = context;
	struct link one;
	(void)index;

	if (!message)
		return walk->each(walk->context, NULL);
	return link_parse(message, &one) ? walk->each(walk->context, &one) : 0;
}

int link_each(struct netlink *nl, link_each_fn *each, void *context)
{
	NETLINK_ROOM(room, 64);
	struct netlink_batch batch = NETLINK_BATCH(room);
	struct link_walk walk = {.each = each, .context = context};

	put_header(&batch, RTM_GETLINK, NLM_F_DUMP, &(struct ifinfomsg){.ifi_family = AF_UNSPEC});
	netlink_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return netlink_dump(nl, &batch, take_each_link, &walk);
}

static int interface_ioctl(int socket, unsigned long request, const char *name, struct ifreq *out)
{
	size_t length = strlen(name);

	*out = (struct ifreq){0};
	if (length >= sizeof out->ifr_name)
		return -ENODEV;
	memcpy(out->ifr_name, name, length);
	return ioctl(socket, (int)request, out) < 0 ? -errno : 0;
}

int link_index(int socket, const char *name)
{
	struct ifreq request;
	int result = interface_ioctl(socket, SIOCGIFINDEX, name, &request);
	return result < 0 ? result : request.ifr_ifindex;
}

int link_is_up(int socket, const char *name)
{
	struct ifreq request;
	int result = interface_ioctl(socket, SIOCGIFFLAGS, name, &request);
	return result < 0 ? result : (request.ifr_flags & IFF_UP) != 0;
}

int link_set_up(int socket, const char *name)
{
	struct ifreq request;
	int result = interface_ioctl(socket, SIOCGIFFLAGS, name, &request);

	if (result < 0)
		return result;
	request.ifr_flags |= IFF_UP;
	return ioctl(socket, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

int link_namespace_of(int socket)
{
	/* The kernel opens it close-on-exec. */
	int fd = ioctl(socket, SIOCGSKNS_);
	return fd < 0 ? -errno : fd;
}

static int take_forwarding(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct netlink_attribute attribute;
	(void)index;

	if (message && message->nlmsg_type == RTM_NEWNETCONF &&
		netlink_find(netlink_attributes_of(message, sizeof(struct netconfmsg)), NETCONFA_FORWARDING,
			&attribute))
		*(int *)context = netlink_get_u32(&attribute, 0) != 0;
	return 0;
}

int link_forwarding(struct netlink *nl)
{
	NETLINK_ROOM(room, 64);
	struct netlink_batch batch = NETLINK_BATCH(room);
	struct netconfmsg header = {.ncm_family = AF_INET};
	int on = 0;

	netlink_begin(&batch, RTM_GETNETCONF, 0, &header, sizeof header);
	netlink_put_u32(&batch, NETCONFA_IFINDEX, (uint32_t)NETCONFA_IFINDEX_ALL);
	int result = netlink_ask(nl, &batch, take_forwarding, &on, NULL);
	return result < 0 ? result : on;
}
