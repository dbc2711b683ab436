/* test_net.c - addresses and their file, and the files a container gets. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "net/firewall.h"
#include "net/ipam.h"
#include "net/net.h"

static void test_kinds(void **state)
{
	static const struct {
		const char *word;
		int kind; /* -1: no such network */
	} rows[] = {{NULL, NET_BRIDGE}, {"", NET_BRIDGE}, {"default", NET_BRIDGE}, {"bridge", NET_BRIDGE},
		{"none", NET_NONE}, {"host", NET_HOST}, {"Host", -1}, {"web", -1}, {"\033[2J", -1}};
	(void)state;

	for (size_t i = 0; i < unit_count(rows); i++) {
		enum net_kind kind;
		struct err e = {0};
		unit_row("%s\n", rows[i].word ? rows[i].word : "(null)");
		int result = net_kind_of(rows[i].word, &kind, &e);
		if (rows[i].kind < 0) {
			assert_int_equal(result, -1);
			assert_int_equal(e.kind, ERR_NOT_FOUND);
			assert_null(strchr(e.what, '\033'));
		} else {
			assert_int_equal(result, 0);
			assert_int_equal(kind, rows[i].kind);
		}
	}
}

static void test_names(void **state)
{
	char name[LINK_NAME_SIZE];
	uint8_t mac[6];
	(void)state;

	firewall_port_name(0xac1d0002, name);
	assert_string_equal(name, "vethac1d0002");
	assert_int_equal(firewall_port_address(name), 0xac1d0002);
	assert_int_equal(firewall_port_address("vethac1d000"), 0); /* docker's have 7 digits */
	assert_int_equal(firewall_port_address("vethAC1D0002"), 0);
	assert_int_equal(firewall_port_address("vxthac1d0002"), 0);
	firewall_port_mac(0xac1d0002, mac);
	assert_memory_equal(mac, "\x02\x42\xac\x1d\x00\x02", 6);
}

static void test_ids(void **state)
{
	uint8_t id[IPAM_ID_SIZE];
	char text[66] = {0};
	(void)state;

	memset(text, 'a', 64);
	text[1] = '7';
	assert_true(ipam_parse_id(text, id));
	assert_int_equal(id[0], 0xa7);
	text[64] = 'a';
	assert_false(ipam_parse_id(text, id));
	text[64] = 0;
	text[63] = 'A';
	assert_false(ipam_parse_id(text, id));
	text[63] = 0;
	assert_false(ipam_parse_id(text, id));
}

struct world {
	char path[32];
	int root, netns;
};

static void world_open(struct world *world)
{
	strcpy(world->path, "/tmp/test_net.XXXXXX");
	assert_non_null(mkdtemp(world->path));
	world->root = open(world->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	world->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(world->root >= 0 && world->netns >= 0);
}

static void world_close(struct world *world)
{
	close(world->root);
	close(world->netns);
	assert_int_equal(fd_remove_tree(AT_FDCWD, world->path), 0);
}

static void open_network(const struct world *world, uint64_t cookie, struct ipam *ipam)
{
	struct err e = {0};
	struct ipam_place place = {
		.run_root = world->root, .netns = world->netns, .cookie = cookie, .network = "test"};
	assert_int_equal(ipam_open(&place, ipam, &e), 0);
}

#define NET24 0x0a010200u

static void test_addresses(void **state)
{
	struct world world;
	struct ipam ipam = IPAM_CLOSED;
	uint8_t id[IPAM_ID_SIZE] = {1}, other[IPAM_ID_SIZE] = {2};
	uint32_t address, seen[256] = {0};
	(void)state;

	world_open(&world);
	open_network(&world, 5, &ipam);
	assert_int_equal(ipam.network.bridge, 0);
	assert_int_equal(ipam_reset(&ipam, NET24 + 1, 24), 0);
	ipam_close(&ipam);

	/* All of a /24 but the network, the gateway and the broadcast address, each once. */
	open_network(&world, 5, &ipam);
	for (int i = 0; i < 253; i++) {
		assert_int_equal(ipam_take(&ipam, id, 0, &address), 0);
		assert_int_equal(address & ~255u, NET24);
		assert_int_equal(seen[address & 255]++, 0);
	}
	assert_int_equal(seen[0] + seen[1] + seen[255], 0);
	assert_int_equal(ipam_take(&ipam, id, 0, &address), -ENOSPC);
	assert_int_equal(ipam_take(&ipam, id, NET24 + 9, &address), -EADDRINUSE);

	/* Only the holder gives back, and only once. */
	assert_int_equal(ipam_release(&ipam, other, NET24 + 77), -ENOENT);
	assert_int_equal(ipam_release(&ipam, id, NET24 + 77), 0);
	assert_int_equal(ipam_release(&ipam, id, NET24 + 256), -ENOENT);
	assert_int_equal(ipam_release(&ipam, id, 0), -ENOENT);
	assert_int_equal(ipam_take(&ipam, other, 0, &address), 0);
	assert_int_equal(address, NET24 + 77);

	/* Wanted ones. */
	assert_int_equal(ipam_release(&ipam, id, NET24 + 200), 0);
	assert_int_equal(ipam_take(&ipam, id, NET24 + 200, &address), 0);
	assert_int_equal(ipam_take(&ipam, id, NET24 + 1, &address), -EADDRINUSE);
	assert_int_equal(ipam_take(&ipam, id, NET24 + 300, &address), -EADDRINUSE);
	assert_int_equal(ipam_take(&ipam, id, 0x01020304, &address), -EADDRINUSE);
	ipam_close(&ipam);

	/* Another namespace with the same inode number, or another boot: nothing is held. */
	open_network(&world, 6, &ipam);
	assert_int_equal(ipam.network.used, 0);
	assert_int_equal(ipam.network.bridge, 0);
	ipam_close(&ipam);
	world_close(&world);
}

static void test_addresses_rest(void **state)
{
	struct world world;
	struct ipam ipam = IPAM_CLOSED;
	uint8_t id[IPAM_ID_SIZE] = {1};
	uint32_t address, last = 0;
	(void)state;

	world_open(&world);
	open_network(&world, 5, &ipam);
	assert_int_equal(ipam_reset(&ipam, 0xac1d0001, 16), 0);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(ipam_take(&ipam, id, 0, &address), 0);
		assert_int_not_equal(address, last);
		last = address;
		assert_int_equal(ipam_release(&ipam, id, address), 0);
	}
	/* One at a time they stay in the first block, and the firewall with them. */
	assert_int_equal(ipam.network.window, IPAM_BLOCK);
	assert_false(ipam_block_allowed(&ipam, address));
	ipam_block_allow(&ipam, address);
	assert_true(ipam_block_allowed(&ipam, 0xac1d0000));
	assert_false(ipam_block_allowed(&ipam, 0xac1d0040));
	assert_int_equal(ipam_block_first(&ipam, 0xac1d0041), 0xac1d0040);
	ipam_widen(&ipam);
	assert_int_equal(ipam_take(&ipam, id, 0, &address), 0);
	assert_int_equal(address, 0xac1d0040);
	for (int i = 0; i < 300; i++)
		assert_int_equal(ipam_take(&ipam, id, 0, &address), 0);
	assert_true(ipam.network.window < 600);
	ipam_close(&ipam);
	world_close(&world);
}

static bool dead_two(void *context, const uint8_t id[IPAM_ID_SIZE], uint32_t address)
{
	(void)context;
	assert_true(address > NET24 + 1);
	return id[0] == 2;
}

static void test_sweep(void **state)
{
	struct world world;
	struct ipam ipam = IPAM_CLOSED;
	uint8_t one[IPAM_ID_SIZE] = {1}, two[IPAM_ID_SIZE] = {2};
	uint32_t address;
	(void)state;

	world_open(&world);
	open_network(&world, 5, &ipam);
	assert_int_equal(ipam_reset(&ipam, NET24 + 1, 24), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ipam_take(&ipam, i % 4 ? one : two, 0, &address), 0);
	assert_int_equal(ipam_sweep(&ipam, dead_two, NULL), 25);
	assert_int_equal(ipam.network.used, 75);
	assert_int_equal(ipam_sweep(&ipam, dead_two, NULL), 0);
	ipam_close(&ipam);
	world_close(&world);
}

/* A file that somebody wrote into must not lead anywhere. */
static void test_damaged(void **state)
{
	struct world world;
	struct ipam ipam = IPAM_CLOSED;
	uint8_t id[IPAM_ID_SIZE] = {1};
	uint32_t address;
	(void)state;

	world_open(&world);
	open_network(&world, 5, &ipam);
	assert_int_equal(ipam_reset(&ipam, NET24 + 1, 24), 0);
	ipam.network.window = 0xffffffff;
	ipam.network.cursor = 0xfffffff0;
	ipam.network.prefix = 99;
	assert_int_equal(ipam_save(&ipam), 0);
	ipam_close(&ipam);
	open_network(&world, 5, &ipam);
	assert_int_equal(ipam.network.bridge, 0); /* it will be set up anew */
	assert_true(ipam.network.prefix <= 32 && ipam.network.cursor <= ipam.network.window);
	assert_int_equal(ipam_reset(&ipam, NET24 + 1, 24), 0);
	assert_int_equal(ipam_take(&ipam, id, 0, &address), 0);
	ipam_close(&ipam);
	world_close(&world);
}

static void test_resolv(void **state)
{
	static const char *const dns[] = {"192.0.2.53", "192.0.2.54", NULL};
	static const char *const search[] = {"a.test", "b.test", NULL};
	static const char *const no_search[] = {".", NULL};
	static const char *const options[] = {"ndots:2", "rotate", NULL};
	static const struct {
		const char *what;
		struct net_files files;
		const char *text, *expected;
	} rows[] = {
		{"kept as it is", {0}, "# mine\nsearch x.test\nnameserver 192.0.2.1\noptions edns0\n",
			"# mine\nsearch x.test\nnameserver 192.0.2.1\noptions edns0\n"},
		{"without a newline at the end", {0}, "nameserver 192.0.2.1", "nameserver 192.0.2.1\n"},
		{"loopback servers go", {0},
			"nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver 127.9.9.9\n",
			"nameserver 192.0.2.1\n"},
		{"and so do IPv6 ones", {0},
			"nameserver ::1\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver "
			"192.0.2.1\n",
			"nameserver 192.0.2.1\n"},
		{"blanks of any kind", {0}, " \tnameserver\t 192.0.2.1 \r\nnameserver  127.0.0.1\t\n",
			" \tnameserver\t 192.0.2.1 \r\n"},
		{"none is left", {0}, "search x.test\nnameserver 127.0.0.53\n",
			"search x.test\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
		{"an empty file", {0}, "", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
		{"no network needs none", {.kind = NET_NONE}, "nameserver 127.0.0.53\n", ""},
		{"the host's is the host's", {.kind = NET_HOST}, "nameserver 127.0.0.53\nnameserver ::1\n",
			"nameserver 127.0.0.53\nnameserver ::1\n"},
		{"the user's servers", {.dns = dns}, "search x.test\nnameserver 192.0.2.1\noptions edns0\n",
			"search x.test\noptions edns0\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n"},
		{"the user's all", {.dns = dns, .dns_search = search, .dns_options = options},
			"domain x.test\nnameserver 192.0.2.1\noptions edns0\n",
			"search a.test b.test\nnameserver 192.0.2.53\nnameserver 192.0.2.54\noptions ndots:2 "
			"rotate\n"},
		{"no search list", {.dns_search = no_search}, "search x.test\nnameserver 192.0.2.1\n",
			"nameserver 192.0.2.1\n"},
		{"a server that is none", {0}, "nameserver\nnameserver example.test\nnameserver 1.2.3\n",
			"nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
		{"a word that only begins so", {0}, "nameservers 127.0.0.1\nnameserver 192.0.2.1\n",
			"nameservers 127.0.0.1\nnameserver 192.0.2.1\n"},
	};
	(void)state;

	for (size_t i = 0; i < unit_count(rows); i++) {
		auto_buf struct buf out = {0};
		unit_row("%s\n", rows[i].what);
		net_render_resolv_from(&rows[i].files, rows[i].text, &out);
		assert_string_equal(out.data ? out.data : "", rows[i].expected);
	}
}

#define HOSTS                                                                                                \
	"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"           \
	"ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"

static void test_hosts(void **state)
{
	static const char *const add[] = {"db:192.0.2.9", "six:2001:db8::9", "up:host-gateway", NULL};
	static const char *const no_address[] = {"db", NULL};
	static const char *const no_name[] = {":192.0.2.9", NULL};
	static const char *const newline[] = {"a\nb:192.0.2.9", NULL};
	static const char *const hidden[] = {"a:192.0.2.9\n1.2.3.4 b", NULL};
	static const struct {
		struct net_files files;
		const char *expected; /* NULL: refused */
	} rows[] = {
		{{.hostname = "c1", .address = "172.29.0.2"}, HOSTS "172.29.0.2\tc1\n"},
		{{.hostname = "c1", .domainname = "d.test", .address = "172.29.0.2"},
			HOSTS "172.29.0.2\tc1.d.test c1\n"},
		{{.hostname = "a.b.c", .address = "172.29.0.2"}, HOSTS "172.29.0.2\ta.b.c a\n"},
		{{.hostname = "a.b", .domainname = "d.test", .address = "172.29.0.2"},
			HOSTS "172.29.0.2\ta.b.d.test a\n"},
		{{.hostname = "c1", .address = ""}, HOSTS},
		{{.hostname = "c1", .address = "172.29.0.2", .add_hosts = add},
			HOSTS "192.0.2.9\tdb\n2001:db8::9\tsix\n172.29.0.1\tup\n172.29.0.2\tc1\n"},
		{{.hostname = "c1", .add_hosts = no_address}, NULL},
		{{.hostname = "c1", .add_hosts = no_name}, NULL},
		{{.hostname = "c1", .add_hosts = newline}, NULL},
		{{.hostname = "c1", .add_hosts = hidden}, NULL},
	};
	(void)state;

	for (size_t i = 0; i < unit_count(rows); i++) {
		auto_buf struct buf out = {0};
		struct err e = {0};
		unit_row("row %zu\n", i);
		int result = net_render_hosts(&rows[i].files, "172.29.0.1", &out, &e);
		if (rows[i].expected) {
			assert_int_equal(result, 0);
			assert_string_equal(out.data, rows[i].expected);
		} else {
			assert_int_equal(result, -1);
			assert_int_equal(e.kind, ERR_INVALID);
			assert_int_equal(out.length, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_addresses_rest),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_resolv),
		cmocka_unit_test(test_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
