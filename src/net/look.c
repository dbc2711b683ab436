/* look.c - how the host's network stands, for whoever has to explain it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/firewall.h"
#include "net/link.h"
#include "net/net.h"
#include "net/strangers.h"

struct search {
	int index;
	struct net_look *look;
};

static int take_address(void *context, const struct link_network *network)
{
	const struct search *search = context;
	struct net_look *look = search->look;
	uint32_t a;

	if (!network) {
		look->bridge.address[0] = '\0';
	} else if (network->index == search->index && !look->bridge.address[0]) {
		a = network->address;
		snprintf(look->bridge.address, sizeof look->bridge.address, "%u.%u.%u.%u", a >> 24,
			a >> 16 & 255, a >> 8 & 255, a & 255);
		look->bridge.prefix = network->prefix;
	}
	return 0;
}

static int look_at_bridge(struct netlink *route, const char *name, struct net_look *out)
{
	struct link link;
	int result = link_find(route, name, &link);

	if (result == -ENODEV)
		return 0;
	if (result < 0)
		return result;
	out->bridge.exists = true;
	out->bridge.is_bridge = !strcmp(link.kind, "bridge");
	out->bridge.up = link.up;
	out->bridge.ours = link.group == LINK_GROUP_BRIDGE;
	struct search search = {.index = link.index, .look = out};
	return link_each_address(route, take_address, &search);
}

int net_look(const char *bridge, struct net_look *out, struct err *e)
{
	struct netlink route = NETLINK_CLOSED, filter = NETLINK_CLOSED;
	struct strangers_view view;
	uint32_t generation;
	int result = netlink_open(&route, NETLINK_ROUTE);

	*out = (struct net_look){0};
	if (result == 0) {
		out->forwarding = link_forwarding(&route) == 1;
		result = look_at_bridge(&route, bridge, out);
	}
	if (netlink_open(&filter, NETLINK_NETFILTER) == 0 && firewall_generation(&filter, &generation) == 0 &&
		strangers_view(&filter, &view) == 0) {
		out->nf_tables = true;
		out->forward_drops = view.drops;
		memcpy(out->droppers, view.droppers, sizeof out->droppers);
		out->translates = view.translates;
	}
	netlink_close(&route);
	netlink_close(&filter);
	return result < 0 ? err_errno(e, result, "cannot look at this host's network") : 0;
}
