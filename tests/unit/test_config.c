/* test_config.c - brig.conf: what is taken, and where mistakes are said to be. */
#include <string.h>

#include "engine/config.h"
#include "unit.h"

static void values_are_taken(void **state)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "[storage]\n"
				   "root = /srv/brig\r\n"
				   "  driver=\"overlay\"  \n"
				   "[network]\n"
				   "dns = 10.0.0.1\n"
				   "dns = 10.0.0.2\n"
				   "; another\n"
				   "[container]\n"
				   "pids_limit = 4096\n"
				   "no_new_privileges = yes\n"
				   "[log]\n"
				   "max_size = 1.5m\n"
				   "max_file = 5\n"
				   "[registry \"docker.io\"]\n"
				   "mirror = mirror.example/hub\n"
				   "mirror = other.example\n"
				   "[registry \"localhost:5000\"]\n"
				   "insecure = true\n"
				   "[registry \"docker.io\"]\n"
				   "insecure = no";
	struct arena arena = {0};
	struct config config;
	struct err e = {0};

	config_init(&config);
	assert_int_equal(config.log_max_size, 10 << 20);
	assert_int_equal(config_parse(&config, &arena, text, sizeof text - 1, "t.conf", &e), 0);
	assert_string_equal(config.data_root, "/srv/brig");
	assert_null(config.run_root);
	assert_string_equal(config.driver, "overlay");
	assert_int_equal(config.dns.count, 2);
	assert_string_equal(config.dns.items[1], "10.0.0.2");
	assert_int_equal(config.pids_limit, 4096);
	assert_true(config.no_new_privileges);
	assert_int_equal(config.log_max_size, 1536 << 10);
	assert_int_equal(config.log_max_file, 5);
	const struct config_registry *registry = config_registry(&config, "docker.io");
	assert_int_equal(registry->mirrors.count, 2);
	assert_string_equal(registry->mirrors.items[0], "mirror.example/hub");
	assert_false(registry->insecure);
	assert_true(config_registry(&config, "localhost:5000")->insecure);
	assert_null(config_registry(&config, "quay.io"));
	arena_free(&arena);
}

static void mistakes_have_a_line(void **state)
{
	static const struct {
		const char *text, *what, *hint;
	} rows[] = {
		{"[storage]\nrot = /x\n", "t.conf:2: unknown key rot", "did you mean root?"},
		{"[storage]\nzzzzzz = /x\n", "t.conf:2: unknown key zzzzzz",
			"brig.conf(5) lists the keys of [storage]"},
		{"[storage]\nmirror = x\n", "t.conf:2: unknown key mirror", NULL},
		{"\n\n[storag]\n", "t.conf:3: unknown section storag", "did you mean [storage]?"},
		{"[storage\n", "t.conf:1: a section heading does not end with ]: [storage", ""},
		{"[]\n", "t.conf:1: unknown section ", ""},
		{"root = /x\n", "t.conf:1: a key before the first section: root", NULL},
		{"[storage]\nroot\n", "t.conf:2: neither a [section] nor a key = value: root", ""},
		{"[storage]\nroot = x\n", "t.conf:2: not an absolute path: x", ""},
		{"[storage]\nroot =\n", "t.conf:2: not an absolute path: ", ""},
		{"[storage]\ndriver = \"x\n", "t.conf:2: a quote is not closed in the value of driver", ""},
		{"[storage \"x\"]\n", "t.conf:1: this section takes no name: storage", ""},
		{"[registry]\n", "t.conf:1: a registry section needs a name", NULL},
		{"[registry \"x]\n", "t.conf:1: a quote is not closed in the section ", NULL},
		{"[registry \"x\"]\ninsecure = perhaps\n", "t.conf:2: neither yes nor no: perhaps", ""},
		{"[container]\npids_limit = -1\n", "t.conf:2: not a number that counts something: -1", ""},
		{"[network]\nsubnet = 172.30.0.0/16\n", "t.conf:2: unknown key subnet", NULL},
		{"[log]\nmax_size = big\n", "t.conf:2: not a size: big", NULL},
		{"[log]\nmax_\033[31m = 1\n", "t.conf:2: unknown key max_\\x1b[31m", NULL},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct arena arena = {0};
		struct config config;
		struct err e = {0};
		unit_row("%s\n", rows[i].text);
		config_init(&config);
		assert_int_equal(
			config_parse(&config, &arena, rows[i].text, strlen(rows[i].text), "t.conf", &e), -1);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_memory_equal(e.what, rows[i].what, strlen(rows[i].what));
		if (rows[i].hint)
			assert_string_equal(e.hint, rows[i].hint);
		arena_free(&arena);
	}
}

static void a_file_may_be_missing(void **state)
{
	struct arena arena = {0};
	struct config config;
	struct err e = {0};

	config_init(&config);
	assert_int_equal(config_load(&config, &arena, "/nonexistent/brig.conf", false, &e), 0);
	assert_int_equal(config_load(&config, &arena, "/nonexistent/brig.conf", true, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_int_equal(config_load(&config, &arena, "/", false, &e), -1);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(mistakes_have_a_line),
		cmocka_unit_test(a_file_may_be_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
