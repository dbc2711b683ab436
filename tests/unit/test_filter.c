/* test_filter.c - --filter: which rows fit. */
#include <string.h>

#include "cli/filter.h"
#include "unit.h"

struct options {
	struct filters filters;
};

static const struct opt table[] = {FILTER_ROW(options, filters), {NULL}};

static void parse(struct arena *arena, struct options *options, const char *const *given)
{
	char *words[16], **argv = words;
	int argc = 0;
	struct err e = {0};

	for (; *given; given++) {
		words[argc++] = arena_strdup(arena, "-f");
		words[argc++] = arena_strdup(arena, *given);
	}
	words[argc] = NULL;
	assert_int_equal(opt_parse(table, options, arena, &argc, &argv, 0, &e), 0);
}

static void values_are_alternatives(void **state)
{
	struct arena arena = {0};
	struct options o = {0};

	parse(&arena, &o, (const char *const[]){"status=exited", " Status = created ", "name=^web", NULL});
	assert_true(filter_given(&o.filters, "status"));
	assert_false(filter_given(&o.filters, "id"));
	assert_true(filter_is(&o.filters, "status", "exited"));
	assert_true(filter_is(&o.filters, "status", "created"));
	assert_false(filter_is(&o.filters, "status", "running"));
	assert_true(filter_is(&o.filters, "id", "whatever"));
	struct err e = {0};
	assert_int_equal(filter_matches(&o.filters, "name", "web1", &e), 1);
	assert_int_equal(filter_matches(&o.filters, "name", "myweb", &e), 0);
	assert_int_equal(filter_matches(&o.filters, "id", "x", &e), 1);
	arena_free(&arena);
}

static void labels_have_all_to_fit(void **state)
{
	static const struct {
		const char *given[3];
		bool fits;
	} rows[] = {
		{{NULL}, true},
		{{"label=a", NULL}, true},
		{{"label=a=1", NULL}, true},
		{{"label=a=2", NULL}, false},
		{{"label=a", "label=b=x=y", NULL}, true},
		{{"label=a", "label=c", NULL}, false},
		{{"label=a=", NULL}, false},
		{{"label=e", NULL}, true},
		{{"label=aa", NULL}, false},
	};
	struct arena arena = {0};
	struct strings labels = {0};

	strings_add(&arena, &labels, "a=1");
	strings_add(&arena, &labels, "b=x=y");
	strings_add(&arena, &labels, "e=");
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct options o = {0};
		unit_row("row %zu\n", i);
		parse(&arena, &o, rows[i].given);
		assert_int_equal(filter_labels(&o.filters, &labels), rows[i].fits);
	}
	arena_free(&arena);
}

static void mistakes(void **state)
{
	static const char *const keys[] = {"name", "status", NULL};
	struct arena arena = {0};
	struct options o = {0};
	struct err e = {0};

	parse(&arena, &o, (const char *const[]){"name=[", "bogus=1", NULL});
	assert_int_equal(filter_check(&o.filters, keys, &e), -1);
	assert_string_equal(e.what, "invalid filter 'bogus'");
	assert_int_equal(filter_matches(&o.filters, "name", "x", &e), -1);
	char word[] = "bogus", flag[] = "--filter", *argv[] = {flag, word, NULL}, **at = argv;
	int argc = 2;
	assert_int_equal(opt_parse(table, &o, &arena, &argc, &at, 0, &e), -1);
	assert_string_equal(e.what,
		"invalid argument \"bogus\" for \"-f, --filter\" flag: bad format of filter "
		"(expected name=value)");
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_alternatives),
		cmocka_unit_test(labels_have_all_to_fit),
		cmocka_unit_test(mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
