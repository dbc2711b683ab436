/* test_netlink.c - messages as they are built, and answers that are not to be believed. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "net/link.h"
#include "net/netlink.h"
#include "net/nft.h"

static void test_writer(void **state)
{
	NETLINK_ROOM(room, 128);
	struct netlink_batch batch = NETLINK_BATCH(room);
	static const unsigned char expected[] = {/* the header: 48 bytes, type 16, flags REQUEST | CREATE */
		52, 0, 0, 0, 16, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0,
		/* the family's */
		1, 2, 3, 4,
		/* "ab" with its NUL and padding */
		7, 0, 3, 0, 'a', 'b', 0, 0,
		/* a nest of 24 with a header of 4 */
		24, 0, 18, 0x80, 9, 9, 9, 9,
		/* a number, and one in network order */
		8, 0, 1, 0, 0x44, 0x33, 0x22, 0x11, 8, 0, 2, 0, 0x11, 0x22, 0x33, 0x44};
	(void)state;

	netlink_begin(&batch, 16, NLM_F_CREATE, "\1\2\3\4", 4);
	netlink_put_string(&batch, 3, "ab");
	netlink_nest_with(&batch, 18, "\11\11\11\11", 4);
	netlink_put_u32(&batch, 1, 0x11223344);
	netlink_put_be32(&batch, 2, 0x11223344);
	netlink_nest_end(&batch);
	netlink_begin(&batch, 17, 0, NULL, 0); /* closes the first */
	assert_false(batch.overflow);
	assert_int_equal(batch.count, 2);
	assert_memory_equal(room, expected, sizeof expected);
}

static void test_writer_never_overflows(void **state)
{
	(void)state;
	for (size_t size = 4; size < 256; size += 4) {
		uint32_t room[64 + 1];
		struct netlink_batch batch = {.bytes = (unsigned char *)room, .room = size};

		memset(room, 0xee, sizeof room);
		nft_begin(&batch);
		nft_rule(&batch, &(struct nft_place){NFT_FAMILY_INET, "table", "chain"}, false);
		nft_cmp_interface(&batch, NFT_META_IIFNAME, "brig0");
		nft_verdict(&batch, NFT_JUMP, "elsewhere");
		nft_rule_end(&batch, "comment");
		assert_true(batch.length <= size);
		for (size_t i = size / 4; i < 65; i++)
			assert_int_equal(room[i], 0xeeeeeeee);
		/* It says so itself, and sending refuses it. */
		struct netlink nl = {.fd = -1};
		if (batch.overflow)
			assert_int_equal(netlink_run(&nl, &batch, NULL), -ENOBUFS);
	}
}

static void test_writer_misuse(void **state)
{
	NETLINK_ROOM(room, 512);
	struct netlink nl = {.fd = -1};
	(void)state;

	struct netlink_batch deep = NETLINK_BATCH(room);
	netlink_begin(&deep, 16, 0, NULL, 0);
	for (int i = 0; i < NETLINK_NESTS + 1; i++)
		netlink_nest(&deep, 1);
	assert_true(deep.overflow);

	struct netlink_batch open = NETLINK_BATCH(room);
	netlink_begin(&open, 16, 0, NULL, 0);
	netlink_nest(&open, 1);
	assert_int_equal(netlink_run(&nl, &open, NULL), -ENOBUFS);

	struct netlink_batch closed = NETLINK_BATCH(room);
	netlink_begin(&closed, 16, 0, NULL, 0);
	netlink_nest_end(&closed);
	assert_true(closed.overflow);

	struct netlink_batch huge = NETLINK_BATCH(room);
	netlink_begin(&huge, 16, 0, NULL, 0);
	netlink_put(&huge, 1, room, SIZE_MAX - 2);
	assert_true(huge.overflow);

	struct netlink_batch empty = NETLINK_BATCH(room);
	assert_int_equal(netlink_run(&nl, &empty, NULL), -ENOBUFS);

	struct netlink_batch long_name = NETLINK_BATCH(room);
	netlink_begin(&long_name, 16, 0, NULL, 0);
	nft_cmp_interface(&long_name, NFT_META_IIFNAME, "a-name-of-16-chr");
	assert_true(long_name.overflow);
}

static int count_answer(void *context, const struct nlmsghdr *message, unsigned index)
{
	(void)message;
	*(unsigned *)context += 1 + 100 * index;
	return 0;
}

/* Answers to a batch of the sequence numbers 10 and 11. */
static void test_answers(void **state)
{
	static const struct {
		const char *what;
		uint32_t words[24];
		size_t size;
		int error;
		unsigned failed, answers;
		bool done, disturbed;
	} rows[] = {
		{"nothing", {0}, 0, 0, 0, 0, false},
		{"less than a header", {16}, 12, 0, 0, 0, false},
		{"a length below the header's", {15, 0x10010, 11}, 16, -EBADMSG, 0, 0, true},
		{"a length past the end", {40, 0x10010, 11}, 36, -EBADMSG, 0, 0, true},
		{"the last one's acknowledgement", {36, 2, 11, 0, 0, 20, 16, 11, 0}, 36, 0, 0, 0, true},
		{"another's acknowledgement", {36, 2, 9, 0, 0, 20, 16, 9, 0}, 36, 0, 0, 0, false},
		{"a later one's", {36, 2, 12, 0, 0, 20, 16, 12, 0}, 36, 0, 0, 0, false},
		{"the first one's", {36, 2, 10, 0, 0, 20, 16, 10, 0}, 36, 0, 0, 0, false},
		{"the first one's error", {36, 2, 10, 0, (uint32_t)-EEXIST, 20, 16, 10, 0}, 36, -EEXIST, 0, 0,
			true},
		{"the last one's error", {36, 2, 11, 0, (uint32_t)-EPERM, 20, 16, 11, 0}, 36, -EPERM, 1, 0,
			true},
		{"an error that is none", {36, 2, 11, 0, 5, 20, 16, 11, 0}, 36, -EBADMSG, 1, 0, true},
		{"an error out of range", {36, 2, 11, 0, (uint32_t)-70000, 20, 16, 11, 0}, 36, -EBADMSG, 1, 0,
			true},
		{"an error without a number", {16, 2, 11, 0}, 16, -EBADMSG, 1, 0, true},
		{"done without a number", {16, 3, 11, 0}, 16, 0, 0, 0, true},
		{"a disturbed dump", {20, 3 | 0x10 << 16, 11, 0, 0}, 20, 0, 0, 0, true, true},
		{"two answers and the end", {16, 16, 10, 0, 16, 16, 11, 0, 16, 3, 11, 0}, 48, 0, 0, 102,
			true},
		{"an answer to another", {16, 16, 12, 0}, 16, 0, 0, 0, false},
		{"a message type that is reserved", {16, 4, 11, 0}, 16, 0, 0, 0, false},
	};
	(void)state;

	for (size_t i = 0; i < unit_count(rows); i++) {
		unsigned answers = 0;
		struct netlink_exchange x = {
			.first = 10, .last = 11, .expected = 11, .answer = count_answer, .context = &answers};
		unit_row("%s\n", rows[i].what);
		assert_int_equal(netlink_parse(&x, rows[i].words, rows[i].size), 0);
		assert_int_equal(x.error, rows[i].error);
		assert_int_equal(x.failed, rows[i].failed);
		assert_int_equal(x.done, rows[i].done);
		assert_int_equal(x.disturbed, rows[i].disturbed);
		assert_int_equal(answers, rows[i].answers);
	}
}

static void test_reason(void **state)
{
	char reason[128] = "";
	struct netlink_exchange x = {.first = 11, .last = 11, .expected = 11, .reason = reason};
	/* Flags: NLM_F_CAPPED | NLM_F_ACK_TLVS; attribute 1 is the text. */
	const uint32_t words[] = {48, 2 | 0x300u << 16, 11, 0, (uint32_t)-EINVAL, 20, 16, 11, 0, 11 | 1 << 16,
		0x62206f6e, 0x00006d};
	/* The whole request comes back: its length says where the attributes are. */
	const uint32_t lying[] = {48, 2 | 0x200u << 16, 11, 0, (uint32_t)-EINVAL, 4000, 16, 11, 0,
		11 | 1 << 16, 0x62206f6e, 0x6d};
	(void)state;

	netlink_parse(&x, words, sizeof words);
	assert_int_equal(x.error, -EINVAL);
	assert_string_equal(reason, "no bm");
	reason[0] = 0;
	x = (struct netlink_exchange){.first = 11, .last = 11, .expected = 11, .reason = reason};
	netlink_parse(&x, lying, sizeof lying);
	assert_int_equal(x.error, -EINVAL);
	assert_string_equal(reason, "");
}

static void test_attributes(void **state)
{
	/* type 1 "ab", type 2 of one byte, then one that claims more than there is. */
	static const unsigned char bytes[] = {
		7, 0, 1, 0, 'a', 'b', 0, 0, 5, 0, 2, 0x80, 9, 0, 0, 0, 200, 0, 3, 0};
	struct netlink_attributes list = {.at = bytes, .left = sizeof bytes};
	struct netlink_attribute one;
	char text[3];
	(void)state;

	assert_true(netlink_find(list, 1, &one));
	assert_true(netlink_text_is(&one, "ab"));
	assert_false(netlink_text_is(&one, "a"));
	assert_true(netlink_copy_text(&one, text, 3));
	assert_false(netlink_copy_text(&one, text, 2));
	assert_true(netlink_find(list, 2, &one)); /* the flag of a nest is no part of the type */
	assert_int_equal(one.size, 1);
	assert_int_equal(netlink_get_u32(&one, 77), 77); /* too short for a number */
	assert_int_equal(netlink_get_be64(&one, 78), 78);
	assert_false(netlink_find(list, 3, &one));

	/* An attribute at the very end needs no padding. */
	list = (struct netlink_attributes){.at = bytes, .left = 7};
	assert_true(netlink_next(&list, &one));
	assert_false(netlink_next(&list, &one));
	static const unsigned char zero[] = {0, 0, 0, 0, 0, 0, 0, 0};
	list = (struct netlink_attributes){.at = zero, .left = sizeof zero};
	assert_false(netlink_next(&list, &one));
}

static void test_links(void **state)
{
	static const struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
		unsigned char attributes[28];
	} link = {{.nlmsg_len = sizeof link, .nlmsg_type = RTM_NEWLINK}, {.ifi_index = 7, .ifi_flags = 1},
		{10, 0, 3, 0, 'b', 'r', 'i', 'g', '0', 0, 0, 0, 16, 0, 18, 0x80, 11, 0, 1, 0, 'b', 'r', 'i',
			'd', 'g', 'e', 0}};
	struct link out;
	struct link_network network;
	(void)state;

	assert_true(link_parse(&link.head, &out));
	assert_int_equal(out.index, 7);
	assert_true(out.up);
	assert_string_equal(out.name, "brig0");
	assert_string_equal(out.kind, "bridge");
	struct nlmsghdr cut = link.head;
	cut.nlmsg_len = 20; /* no room for the family's header */
	assert_false(link_parse(&cut, &out));
	assert_false(link_parse_network(&link.head, &network));
}

/* Reports come from the kernel alone; talking to it works. */
static void test_kernel(void **state)
{
	auto_netlink struct netlink nl = NETLINK_CLOSED;
	struct link lo;
	(void)state;

	assert_int_equal(netlink_open(&nl, NETLINK_ROUTE), 0);
	assert_int_equal(link_find(&nl, "lo", &lo), 0);
	assert_int_equal(lo.index, 1);
	assert_int_equal(link_find(&nl, "no-such-link", &lo), -ENODEV);
	assert_int_equal(link_index(nl.fd, "lo"), 1);
	assert_int_equal(link_index(nl.fd, "no-such-link"), -ENODEV);
	assert_int_equal(link_index(nl.fd, "a-name-that-is-far-too-long"), -ENODEV);
	assert_in_range(link_forwarding(&nl), 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_writer_never_overflows),
		cmocka_unit_test(test_writer_misuse),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
