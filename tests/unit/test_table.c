/* test_table.c - columns as Go's tabwriter makes them, sizes as docker prints them. */
#include <string.h>

#include "base/table.h"
#include "unit.h"

static void columns_are_aligned(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"", ""},
		{"a\n", "a\n"},
		{"A\tB\n", "A         B\n"},
		{"REPOSITORY\tTAG\tSIZE\nb\tbookworm-slim\t1\n",
			"REPOSITORY   TAG             SIZE\nb            bookworm-slim   1\n"},
		/* An empty cell is 10 wide; the last cell is not padded. */
		{"A\t\tC\n", "A                   C\n"},
		{"A\t\n", "A         \n"},
		/* A line without cells ends the column. */
		{"aaaaaaaaaaaaaa\tb\nx\nc\td\n", "aaaaaaaaaaaaaa   b\nx\nc         d\n"},
		/* Neighbours with more columns do not widen what others lack. */
		{"a\tbbbbbbbbbbbb\tc\nd\te\n", "a         bbbbbbbbbbbb   c\nd         e\n"},
		{"\xc3\xa4\xc3\xb6\xc3\xbc\tx\n", "\xc3\xa4\xc3\xb6\xc3\xbc       x\n"},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct buf out = {0};
		unit_row("%s\n", rows[i].text);
		table_align(rows[i].text, &out);
		assert_string_equal(out.data ? out.data : "", rows[i].expected);
		buf_free(&out);
	}
}

static void sizes(void **state)
{
	static const struct {
		int64_t bytes;
		const char *three, *four, *binary;
	} rows[] = {
		{0, "0B", "0B", "0B"},
		{999, "999B", "999B", "999B"},
		{1000, "1kB", "1kB", "1000B"},
		{1024, "1.02kB", "1.024kB", "1KiB"},
		{1986560, "1.99MB", "1.987MB", "1.895MiB"},
		{164000000, "164MB", "164MB", "156.4MiB"},
		{4110000128, "4.11GB", "4.11GB", "3.828GiB"},
		{INT64_MAX, "9.22EB", "9.223EB", "8EiB"},
	};
	char out[TABLE_QUANTITY];
	for (size_t i = 0; i < unit_count(rows); i++) {
		assert_string_equal(table_size(out, rows[i].bytes), rows[i].three);
		assert_string_equal(table_size_exact(out, rows[i].bytes), rows[i].four);
		assert_string_equal(table_size_binary(out, rows[i].bytes), rows[i].binary);
	}
}

static void ellipses(void **state)
{
	static const struct {
		const char *text;
		unsigned columns;
		const char *expected;
	} rows[] = {
		{"abc", 3, "abc"},
		{"abcd", 3, "ab\xe2\x80\xa6"},
		{"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", 3, "\xc3\xa4\xc3\xb6\xe2\x80\xa6"},
		{"", 3, ""},
		{"abcd", 1, "\xe2\x80\xa6"},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct buf out = {0};
		table_ellipsis(&out, rows[i].text, rows[i].columns);
		assert_string_equal(out.data, rows[i].expected);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned),
		cmocka_unit_test(sizes),
		cmocka_unit_test(ellipses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
