/* test_endpoints.c - which way to a registry, and with whose credentials. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "engine/config.h"
#include "engine/credentials.h"
#include "engine/endpoints.h"

static void loopback(void **state)
{
	static const struct {
		const char *domain;
		bool is;
	} rows[] = {
		{"localhost", true},
		{"localhost:5000", true},
		{"127.0.0.1", true},
		{"127.1.2.3:80", true},
		{"[::1]:5000", true},
		{"localhost.example", false},
		{"localhost.example:5000", false},
		{"128.0.0.1", false},
		{"10.0.0.1:5000", false},
		{"127.0.0.1.example", false},
		{"[::2]", false},
		{"docker.io", false},
		{"127.1", false},
		{"", false},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		unit_row("%s\n", rows[i].domain);
		assert_int_equal(endpoints_is_loopback(rows[i].domain), rows[i].is);
	}
}

static void ways(void **state)
{
	static const char text[] = "[registry \"docker.io\"]\n"
				   "mirror = mirror.example\n"
				   "mirror = localhost:5001/hub\n"
				   "[registry \"old.example:80\"]\n"
				   "insecure = true\n"
				   "[registry \"mirror.example\"]\n"
				   "insecure = true\n";
	enum { U = NET_ENDPOINT_UNVERIFIED, M = NET_ENDPOINT_MIRROR, N = NET_ENDPOINT_OR_NEXT };
	static const struct {
		const char *domain;
		struct {
			const char *base;
			unsigned flags;
		} ways[6];
	} rows[] = {
		{"quay.io", {{"https://quay.io", 0}}},
		{"192.168.0.1:5000", {{"https://192.168.0.1:5000", 0}}},
		{"localhost:5000", {{"http://localhost:5000", N}, {"https://localhost:5000", 0}}},
		{"old.example:80", {{"https://old.example:80", U | N}, {"http://old.example:80", 0}}},
		{"docker.io", {{"https://mirror.example", M | U | N}, {"http://mirror.example", M},
				      {"http://localhost:5001/hub", M | N}, {"https://localhost:5001/hub", M},
				      {"https://registry-1.docker.io", 0}}},
	};
	auto_arena struct arena arena = {0};
	struct config config;
	struct err e = {0};

	unsetenv("HOME");
	unsetenv("DOCKER_CONFIG");
	config_init(&config);
	assert_int_equal(config_parse(&config, &arena, text, strlen(text), "conf", &e), 0);
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct endpoints *p = malloc(sizeof *p);
		unit_row("%s\n", rows[i].domain);
		assert_int_equal(endpoints_find(p, &config, rows[i].domain, &e), 0);
		size_t n = 0;
		for (; n < 6 && rows[i].ways[n].base; n++) {
			assert_string_equal(p->setup.endpoints[n].base, rows[i].ways[n].base);
			assert_int_equal(p->setup.endpoints[n].flags, rows[i].ways[n].flags);
			assert_string_equal(p->setup.endpoints[n].user, "");
		}
		assert_int_equal(p->setup.count, n);
		assert_string_equal(p->setup.registry, rows[i].domain);
		endpoints_free(p);
		free(p);
	}
}

static void credentials(void **state)
{
	static const struct {
		const char *text, *registry, *user, *secret;
		bool fails;
	} rows[] = {
		{"{\"auths\":{\"a.io\":{\"auth\":\"am9lOnNlY3JldA==\"}}}", "a.io", "joe", "secret", false},
		{"{\"auths\":{\"a.io\":{\"auth\":\"am9lOnNlY3JldA==\"}}}", "b.io", "", "", false},
		{"{\"auths\":{\"a.io:5000\":{\"auth\":\"am9lOnNlY3JldA==\"}}}", "a.io", "", "", false},
		{"{\"auths\":{\"a.io\":{\"auth\":\"am9lOnNlY3JldA==\"}}}", "a.io:5000", "", "", false},
		{"{\"auths\":{\"https://a.io/v1/\":{\"auth\":\"am9lOnNlY3JldA==\"}}}", "a.io", "joe",
			"secret", false},
		{"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"am9lOmE6Yg==\"}}}", "docker.io",
			"joe", "a:b", false},
		{"{\"auths\":{\"docker.io\":{\"auth\":\"am9lOmE6Yg==\"}}}", "docker.io", "", "", false},
		{"{\"auths\":{\"a.io\":{\"username\":\"u\",\"password\":\"p\"}}}", "a.io", "u", "p", false},
		{"{\"auths\":{\"a.io\":{}}}", "a.io", "", "", false},
		/* Podman's for a part of a registry. */
		{"{\"auths\":{\"a.io/team\":{\"auth\":\"am9lOnNlY3JldA==\"}}}", "a.io", "", "", false},
		{"{}", "a.io", "", "", false},
		{"{\"auths\":{\"a.io\":{\"auth\":\"am9l\"}}}", "a.io", "", "", true},
		{"{\"auths\":{\"a.io\":{\"auth\":\"am9lOgBh\"}}}", "a.io", "", "", true},
		{"{\"auths\":{\"a.io\":{\"auth\":\"***\"}}}", "a.io", "", "", true},
		{"nonsense", "a.io", "", "", true},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		char user[16] = "x", secret[16] = "y";
		struct err e = {0};
		unit_row("%s for %s\n", rows[i].text, rows[i].registry);
		int r = credentials_parse(rows[i].text, strlen(rows[i].text), "config.json", rows[i].registry,
			user, sizeof user, secret, sizeof secret, &e);
		assert_int_equal(r < 0, rows[i].fails);
		assert_string_equal(user, rows[i].user);
		assert_string_equal(secret, rows[i].secret);
		/* A secret that does not fit is refused, not cut. */
		if (*secret)
			assert_int_equal(credentials_parse(rows[i].text, strlen(rows[i].text), "config.json",
						 rows[i].registry, user, sizeof user, secret,
						 strlen(rows[i].secret), &e),
				-1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback),
		cmocka_unit_test(ways),
		cmocka_unit_test(credentials),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
