/* fuzz_netlink.c - whatever a socket hands over, the parser of answers stays inside it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter/nf_tables.h>

#include "net/link.h"
#include "net/netlink.h"
#include "net/nft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct netlink_attributes list, int depth)
{
	struct netlink_attribute one;
	char text[16];

	while (netlink_next(&list, &one)) {
		volatile uint64_t sum = netlink_get_u32(&one, 0) + netlink_get_be64(&one, 0);
		(void)sum;
		netlink_copy_text(&one, text, sizeof text);
		nft_comment(&one, text, sizeof text);
		netlink_text_is(&one, "brig");
		if (depth < 4) {
			walk(netlink_attributes_in(&one, 0), depth + 1);
			walk(netlink_attributes_in(&one, 16), depth + 1);
		}
	}
}

static int answer(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct link link;
	struct link_network network;

	if (index > 1)
		abort();
	if (link_parse(message, &link) &&
		(!memchr(link.name, 0, sizeof link.name) || !memchr(link.kind, 0, sizeof link.kind)))
		abort();
	if (link_parse_network(message, &network) && network.prefix > 32)
		abort();
	nft_family_of(message);
	walk(nft_attributes_of(message), 0);
	return ++*(int *)context > 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As from recvmsg: aligned, and of just that size. */
	uint32_t *copy = malloc(size ? size : 1);
	char reason[128] = "";
	int answers = 0;
	struct netlink_exchange x = {.first = 1,
		.last = 2,
		.expected = 2,
		.answer = answer,
		.context = &answers,
		.reason = reason};

	if (size)
		memcpy(copy, data, size);
	netlink_parse(&x, copy, size);
	if (!memchr(reason, 0, sizeof reason) || x.error > 0)
		abort();
	free(copy);
	return 0;
}
