/* test_json.c - the JSON parser and writer, by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static void test_accepts(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *again; /* as the compact writer gives it; NULL: the same bytes */
	} rows[] = {
		{"null"},
		{" \t\r\n true \n", "true"},
		{"false"},
		{"0"},
		{"-0", "0"},
		{"-1"},
		{"9223372036854775807"},
		{"-9223372036854775808"},
		{"9223372036854775808"},
		{"-9223372036854775809"},
		{"123456789012345678901234567890"},
		{"0.5"},
		{"-0.5e+10"},
		{"1E400"},
		{"\"\""},
		{"\"a\\\"b\\\\c\\/d\"", "\"a\\\"b\\\\c/d\""},
		{"\"\\b\\f\\n\\r\\t\""},
		{"\"\\u0001\\u001F\"", "\"\\u0001\\u001f\""},
		{"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\""},
		{"\"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\"", "\"\\u2028\\u2029\xe2\x80\xaa\""},
		{"\"\x7f\""},
		{"[]"},
		{"{}"},
		{"[ 1 , [ ] , { } ]", "[1,[],{}]"},
		{"{\"a\":1,\"b\":[true,false,null],\"\":{\"c\":\"d\"}}"},
		{"{\"a\":{\"a\":1}}"},
		{"{\"a\\u0062\":1}", "{\"ab\":1}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct err e = {0};
		struct json *value = json_parse(&arena, rows[i].text, strlen(rows[i].text), "row", &e);
		if (!value)
			fail_msg("%s: %s", rows[i].text, e.what);
		struct buf out = {0};
		struct json_writer w = {.out = &out};
		json_put_tree(&w, NULL, value);
		assert_string_equal(out.data, rows[i].again ? rows[i].again : rows[i].text);
		buf_free(&out);
		arena_free(&arena);
	}
}

#define ROW(text, offset)                                                                                    \
	{                                                                                                    \
		text, sizeof(text) - 1, offset                                                               \
	}

static void test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t length;
		int offset;
	} rows[] = {
		ROW("", 0),
		ROW("  ", 2),
		ROW("nul", 0),
		ROW("nulll", 4),
		ROW("True", 0),
		ROW("1 2", 2),
		ROW("01", 0),
		ROW("-", 0),
		ROW("+1", 0),
		ROW(".5", 0),
		ROW("1.", 2),
		ROW("1.e5", 2),
		ROW("1e", 2),
		ROW("1e+", 3),
		ROW("0x10", 1),
		ROW("NaN", 0),
		ROW("Infinity", 0),
		ROW("[1,]", 3),
		ROW("[,1]", 1),
		ROW("[1", 2),
		ROW("[1 2]", 3),
		ROW("{", 1),
		ROW("{\"a\"}", 4),
		ROW("{\"a\":}", 5),
		ROW("{\"a\":1,}", 7),
		ROW("{a:1}", 1),
		ROW("{'a':1}", 1),
		ROW("{1:1}", 1),
		ROW("{\"a\":1]", 6),
		ROW("[1}", 2),
		ROW("\"", 0),
		ROW("\"abc", 0),
		ROW("\"\\", 1),
		ROW("\"\\\"", 0),
		ROW("\"\\x41\"", 1),
		ROW("\"\\u12\"", 1),
		ROW("\"\\u12g4\"", 1),
		ROW("\"\\u0000\"", 1),
		ROW("\"\\ud800\"", 1),
		ROW("\"\\ud800\\u0041\"", 1),
		ROW("\"\\udc00\"", 1),
		ROW("\"\\ud800\\", 1),
		ROW("\"a\nb\"", 2),
		ROW("\"a\0b\"", 2),
		ROW("1\0", 1),
		ROW("\0", 0),
		ROW("\xef\xbb\xbf{}", 0),
		ROW("\"\x80\"", 1),
		ROW("\"\xc0\xaf\"", 1),
		ROW("\"\xe0\x80\xaf\"", 1),
		ROW("\"\xed\xa0\x80\"", 1),
		ROW("\"\xf4\x90\x80\x80\"", 1),
		ROW("\"\xf0\x80\x80\x80\"", 1),
		ROW("\"\xff\"", 1),
		ROW("\"\xe2\x82\"", 1),
		ROW("\"\xe2\x82", 1),
		ROW("// c\n1", 0),
		ROW("{\"a\":1,\"a\":2}", 8),
		ROW("{\"a\":1,\"\\u0061\":2}", 8),
		ROW("{\"\":1,\"\":2}", 7),
		ROW("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":"
		    "1,"
		    "\"l\":1,\"m\":1,\"a\":2}",
			80),
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct err e = {0};
		char expected[32];
		/* A copy of the exact length, so that a read past the end is seen. */
		char *copy = malloc(rows[i].length ? rows[i].length : 1);
		memcpy(copy, rows[i].text, rows[i].length);
		if (json_parse(&arena, copy, rows[i].length, "row", &e))
			fail_msg("accepted: %s", rows[i].text);
		assert_int_equal(e.kind, ERR_INVALID);
		int n = snprintf(expected, sizeof expected, "at byte %d", rows[i].offset);
		size_t length = strlen(e.what);
		if (length < (size_t)n || strcmp(e.what + length - n, expected))
			fail_msg("%s: '%s', not %s", rows[i].text, e.what, expected);
		free(copy);
		arena_free(&arena);
	}
}

static void test_depth(void **state)
{
	(void)state;
	for (int depth = JSON_DEPTH - 1; depth <= JSON_DEPTH + 1; depth++) {
		struct arena arena = {0};
		struct err e = {0};
		char text[2 * JSON_DEPTH + 4];
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		bool accepted = json_parse(&arena, text, 2 * (size_t)depth, "row", &e);
		assert_int_equal(accepted, depth <= JSON_DEPTH);
		arena_free(&arena);
	}
	/* Depth is counted down again: siblings are not nested. */
	struct buf text = {0};
	buf_string(&text, "[");
	for (int i = 0; i < 1000; i++)
		buf_string(&text, i ? ",[{}]" : "[{}]");
	buf_string(&text, "]");
	struct arena arena = {0};
	struct err e = {0};
	assert_non_null(json_parse(&arena, text.data, text.length, "row", &e));
	arena_free(&arena);
	buf_free(&text);
}

static void test_many_members(void **state)
{
	(void)state;
	struct buf text = {0};
	enum { COUNT = 100000 };
	buf_string(&text, "{");
	for (int i = 0; i < COUNT; i++)
		buf_printf(&text, "%s\"member%d\":%d", i ? "," : "", i * 7919 % COUNT, i);
	struct arena arena = {0};
	struct err e = {0};
	buf_string(&text, "}");
	struct json *value = json_parse(&arena, text.data, text.length, "row", &e);
	assert_non_null(value);
	assert_int_equal(value->list.count, COUNT);
	arena_free(&arena);

	text.length--;
	buf_string(&text, ",\"member77\":0}");
	assert_null(json_parse(&arena, text.data, text.length, "row", &e));
	assert_non_null(strstr(e.what, "repeated"));
	arena_free(&arena);
	text.length = 0;
	for (int i = 0; i <= JSON_VALUES; i++)
		buf_string(&text, i ? ",0" : "[0");
	buf_string(&text, "]");
	assert_null(json_parse(&arena, text.data, text.length, "row", &e));
	assert_non_null(strstr(e.what, "too many values"));
	arena_free(&arena);
	buf_free(&text);
}

static void test_getters(void **state)
{
	(void)state;
	static const char text[] =
		"{\"s\":\"x\",\"i\":-7,\"r\":1.5,\"b\":true,\"n\":null,\"a\":[1,2,3],\"o\":{\"k\":1}}";
	struct arena arena = {0};
	struct err e = {0};
	const struct json *o = json_parse(&arena, text, sizeof text - 1, "row", &e);
	assert_non_null(o);
	assert_string_equal(json_get_string(o, "s"), "x");
	assert_null(json_get_string(o, "i"));
	assert_null(json_get_string(o, "r"));
	assert_null(json_get_string(o, "missing"));
	assert_null(json_get_string(o, "n"));
	assert_int_equal(json_get(o, "n")->type, JSON_NULL);
	assert_int_equal(json_get_integer(o, "i", 3), -7);
	assert_int_equal(json_get_integer(o, "r", 3), 3);
	assert_true(json_get_bool(o, "b", false));
	assert_true(json_get_bool(o, "s", true));
	assert_non_null(json_get_array(o, "a"));
	assert_null(json_get_object(o, "a"));
	assert_non_null(json_get_object(o, "o"));
	int64_t sum = 0;
	json_for_each (item, json_get(o, "a"))
		sum += item->integer;
	assert_int_equal(sum, 6);
	json_for_each (item, json_get(o, "s"))
		fail();
	json_for_each (item, NULL)
		fail();
	assert_null(json_get(NULL, "a"));
	assert_null(json_get(json_get(o, "a"), "a"));
	arena_free(&arena);
}

static void test_writer(void **state)
{
	(void)state;
	struct buf out = {0};
	struct json_writer w = {.out = &out, .indent = 4, .escape_html = true};
	static const char *const words[] = {"a", "b", NULL};

	json_begin_array(&w, NULL);
	json_begin_object(&w, NULL);
	json_put_string(&w, "s", "<a&b>");
	json_put_string(&w, "none", NULL);
	json_put_strings(&w, "list", words);
	json_put_strings(&w, "no", NULL);
	json_begin_object(&w, "empty");
	json_end_object(&w);
	json_put_integer(&w, "i", INT64_MIN);
	json_put_bool(&w, "t", true);
	json_end_object(&w);
	json_put_bytes(&w, NULL, "\xff\0z", 3);
	json_end_array(&w);
	assert_string_equal(out.data, "[\n"
				      "    {\n"
				      "        \"s\": \"\\u003ca\\u0026b\\u003e\",\n"
				      "        \"none\": null,\n"
				      "        \"list\": [\n"
				      "            \"a\",\n"
				      "            \"b\"\n"
				      "        ],\n"
				      "        \"no\": [],\n"
				      "        \"empty\": {},\n"
				      "        \"i\": -9223372036854775808,\n"
				      "        \"t\": true\n"
				      "    },\n"
				      "    \"\\ufffd\\u0000z\"\n"
				      "]");
	/* The writer can be used again. */
	out.length = 0;
	w.indent = 0;
	json_begin_object(&w, NULL);
	json_put_null(&w, "n");
	json_end_object(&w);
	assert_string_equal(out.data, "{\"n\":null}");
	buf_free(&out);
}

static void test_reals(void **state)
{
	(void)state;
	static const struct {
		double value;
		const char *text;
	} rows[] = {
		{0, "0"},
		{1, "1"},
		{-2.5, "-2.5"},
		{0.1, "0.1"},
		{1.0 / 3, "0.3333333333333333"},
		{1e20, "100000000000000000000"},
		{1e21, "1e+21"},
		{0.000001, "0.000001"},
		{1.5e-7, "1.5e-7"},
		{123456789.125, "123456789.125"},
		{1e300 * 1e300, "null"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};
		struct json_writer w = {.out = &out};
		json_put_real(&w, NULL, rows[i].value);
		assert_string_equal(out.data, rows[i].text);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_many_members),
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_reals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
