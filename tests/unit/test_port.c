/* test_port.c - what -p and --expose may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "oci/port.h"

static const struct {
	const char *text;
	size_t count;
	const char *first, *last;
} good[] = {
	{"80", 1, "80/tcp", "80/tcp"},
	{"80/", 1, "80/tcp", "80/tcp"},
	{"80/UDP", 1, "80/udp", "80/udp"},
	{"8080:80", 1, "8080:80/tcp", "8080:80/tcp"},
	{":8080:80", 1, "8080:80/tcp", "8080:80/tcp"},
	{"0:80", 1, "80/tcp", "80/tcp"},
	{":80", 1, "80/tcp", "80/tcp"},
	{"127.0.0.1::80/sctp", 1, "127.0.0.1::80/sctp", "127.0.0.1::80/sctp"},
	{"127.0.0.1:1-3:4-6", 3, "127.0.0.1:1:4/tcp", "127.0.0.1:3:6/tcp"},
	{"1-3:4-6/udp", 3, "1:4/udp", "3:6/udp"},
	{"80-82", 3, "80/tcp", "82/tcp"},
	{"8000-8010:80", 1, "8000-8010:80/tcp", "8000-8010:80/tcp"},
	{"[::1]:8080:80", 1, "[::1]:8080:80/tcp", "[::1]:8080:80/tcp"},
	{"[0:0::1]::80", 1, "[::1]::80/tcp", "[::1]::80/tcp"},
	{"65535:65535", 1, "65535:65535/tcp", "65535:65535/tcp"},
};

static const struct {
	const char *text, *message;
} bad[] = {
	{"", "no port specified: "},
	{"8080:", "no port specified: 8080:"},
	{"99999", "invalid containerPort: 99999"},
	{"80-70", "invalid containerPort: 80-70"},
	{"-80", "invalid containerPort: -80"},
	{"+1", "invalid containerPort: +1"},
	{"65536:80", "invalid hostPort: 65536"},
	{"1-:80", "invalid hostPort: 1-"},
	{"80/icmp", "invalid proto: icmp"},
	{"80/tcp/udp", "invalid proto: tcp/udp"},
	{"1-2:3-5", "invalid ranges specified for container and host Ports: 3-5 and 1-2"},
	{"1-3:4-5", "invalid ranges specified for container and host Ports: 4-5 and 1-3"},
	{"1.2.3:80:80", "invalid IP address: 1.2.3"},
	{"::1:80:80", "invalid IP address: ::1:80:80"},
	{"[::1]80", "invalid IP address: [::1]80"},
	{"[::1", "invalid IP address: [::1"},
};

static void test_good(void **state)
{
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		auto_arena struct arena arena = {0};
		struct port_spec *rows, *again;
		struct err e = {0};
		size_t count, one;

		assert_int_equal(port_parse_publish(&arena, good[i].text, &rows, &count, &e), 0);
		assert_int_equal(count, good[i].count);
		assert_string_equal(port_format(&arena, &rows[0]), good[i].first);
		assert_string_equal(port_format(&arena, &rows[count - 1]), good[i].last);
		assert_int_equal(port_parse_publish(&arena, good[i].last, &again, &one, &e), 0);
		assert_int_equal(one, 1);
		assert_memory_equal(again, &rows[count - 1], sizeof *again);
	}
}

static void test_bad(void **state)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		auto_arena struct arena arena = {0};
		struct port_spec *rows;
		struct err e = {0};
		size_t count;

		assert_int_equal(port_parse_publish(&arena, bad[i].text, &rows, &count, &e), -1);
		if (strncmp(e.what, bad[i].message, strlen(bad[i].message)) != 0)
			assert_string_equal(e.what, bad[i].message);
	}
}

static void test_expose(void **state)
{
	auto_arena struct arena arena = {0};
	struct port_spec *rows;
	struct err e = {0};
	size_t count;

	assert_int_equal(port_parse_expose(&arena, "70-72/udp", &rows, &count, &e), 0);
	assert_int_equal(count, 3);
	assert_int_equal(rows[2].container, 72);
	assert_int_equal(port_parse_expose(&arena, "80:80", &rows, &count, &e), -1);
	assert_string_equal(e.what, "invalid port format for --expose: 80:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_expose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
