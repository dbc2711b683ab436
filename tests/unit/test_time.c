/* test_time.c - instants and durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <time.h>

#include <cmocka.h>

#include "base/time.h"

static void test_instants(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
		int64_t when;
		const char *again; /* NULL: the same */
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0, 0},
		{"1970-01-01T00:00:00.000000001Z", 0, 1},
		{"1969-12-31T23:59:59.999999999Z", 0, -1},
		{"2026-11-21T19:53:45.12Z", 0, 1795290825120000000},
		{"2026-11-21T19:53:45.120000000999Z", 0, 1795290825120000000, "2026-11-21T19:53:45.12Z"},
		{"2026-11-21t20:53:45.12+01:00", 0, 1795290825120000000, "2026-11-21T19:53:45.12Z"},
		{"2026-11-21T14:23:45-05:30", 0, 1795290825000000000, "2026-11-21T19:53:45Z"},
		{"2000-02-29T12:00:00Z", 0, 951825600000000000},
		{"1900-02-28T12:00:00Z", 0, -2203934400000000000},
		{"2100-03-01T00:00:00Z", 0, 4107542400000000000},
		{"0001-01-01T00:00:00Z", 0, TIME_NONE},
		{"2262-04-11T23:47:16.854775807Z", 0, INT64_MAX},
		{"1677-09-21T00:12:43.145224193Z", 0, INT64_MIN + 1},
		{"2262-04-11T23:47:16.854775808Z", -ERANGE},
		{"1677-09-21T00:12:43.145224192Z", -ERANGE},
		{"9999-12-31T23:59:59Z", -ERANGE},
		{"0001-01-01T00:00:01Z", -ERANGE},
		{"1900-02-29T12:00:00Z", -EINVAL},
		{"2023-02-29T12:00:00Z", -EINVAL},
		{"2023-13-01T12:00:00Z", -EINVAL},
		{"2023-00-01T12:00:00Z", -EINVAL},
		{"2023-04-31T12:00:00Z", -EINVAL},
		{"2023-04-30T24:00:00Z", -EINVAL},
		{"2023-04-30T23:60:00Z", -EINVAL},
		{"2023-04-30T23:59:60Z", -EINVAL},
		{"2023-04-30T23:59:59.Z", -EINVAL},
		{"2023-04-30T23:59:59", -EINVAL},
		{"2023-04-30T23:59:59+0100", -EINVAL},
		{"2023-04-30T23:59:59ZZ", -EINVAL},
		{"2023-04-30 23:59:59Z", -EINVAL},
		{"2023-4-30T23:59:59Z", -EINVAL},
		{"", -EINVAL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t when = 42;
		char text[TIME_TEXT];
		if (time_parse(rows[i].text, &when) != rows[i].rc)
			fail_msg("%s", rows[i].text);
		assert_int_equal(when, rows[i].rc ? 42 : rows[i].when);
		if (rows[i].rc == 0)
			assert_string_equal(
				time_format(text, when), rows[i].again ? rows[i].again : rows[i].text);
	}
	char text[TIME_TEXT];
	assert_string_equal(time_format_fixed(text, 0), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(time_format_fixed(text, INT64_MIN + 1), "1677-09-21T00:12:43.145224193Z");
	assert_string_equal(time_format_fixed(text, TIME_NONE), "0001-01-01T00:00:00.000000000Z");
}

/* The C library is the oracle for every day of two eras. */
static void test_every_day(void **state)
{
	(void)state;
	for (int64_t day = -106000; day < 106000; day++) {
		time_t t = day * 86400 + 3723;
		struct tm tm;
		char expected[64], text[TIME_TEXT];
		gmtime_r(&t, &tm);
		strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_string_equal(time_format(text, t * TIME_SECOND), expected);
		int64_t when;
		assert_int_equal(time_parse(text, &when), 0);
		assert_int_equal(when, t * TIME_SECOND);
	}
}

static void test_human(void **state)
{
	(void)state;
	enum { M = 60, H = 3600, D = 24 * H };
	static const struct {
		int64_t seconds;
		const char *text;
	} rows[] = {
		{-5, "Less than a second"},
		{0, "Less than a second"},
		{1, "1 second"},
		{45, "45 seconds"},
		{59, "59 seconds"},
		{60, "About a minute"},
		{119, "About a minute"},
		{120, "2 minutes"},
		{59 * M + 59, "59 minutes"},
		{60 * M, "About an hour"},
		{89 * M, "About an hour"},
		{90 * M, "2 hours"},
		{47 * H, "47 hours"},
		{47 * H + 30 * M, "2 days"},
		{13 * D, "13 days"},
		{14 * D, "2 weeks"},
		{59 * D, "8 weeks"},
		{60 * D, "2 months"},
		{INT64_C(729) * D, "24 months"},
		{INT64_C(730) * D, "2 years"},
		{INT64_C(24) * 365 * D, "24 years"},
	};
	char text[TIME_TEXT];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(time_format_human(text, rows[i].seconds * TIME_SECOND), rows[i].text);
	assert_string_equal(time_format_human(text, TIME_SECOND - 1), "Less than a second");
	assert_string_equal(time_format_ago(text, 0, 7200 * TIME_SECOND), "2 hours ago");
	assert_string_equal(time_format_ago(text, TIME_NONE, 5), "N/A");
	assert_string_equal(time_format_ago(text, INT64_MIN + 1, INT64_MAX), "292 years ago");
	assert_string_equal(time_format_ago(text, INT64_MAX, INT64_MIN + 1), "Less than a second ago");
}

static void test_durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
		int64_t nanos;
	} rows[] = {
		{"0", 0, 0},
		{"5s", 0, 5 * TIME_SECOND},
		{"-5s", 0, -5 * TIME_SECOND},
		{"+5s", 0, 5 * TIME_SECOND},
		{"1.5h", 0, 5400 * TIME_SECOND},
		{".5s", 0, TIME_SECOND / 2},
		{"1.s", 0, TIME_SECOND},
		{"2h45m30.5s", 0, (2 * 3600 + 45 * 60 + 30) * TIME_SECOND + TIME_SECOND / 2},
		{"300ms", 0, 300000000},
		{"10ns", 0, 10},
		{"11us", 0, 11000},
		{"12\xc2\xb5s", 0, 12000},
		{"12\xce\xbcs", 0, 12000},
		{"2562047h47m16.854775807s", 0, INT64_MAX},
		{"2562047h47m16.854775808s", -ERANGE, 0},
		{"99999999999999999999s", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"-", -EINVAL, 0},
		{"3", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{".s", -EINVAL, 0},
		{"1d", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1s ", -EINVAL, 0},
		{"1h-5m", -EINVAL, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t nanos = 0;
		if (time_parse_duration(rows[i].text, &nanos) != rows[i].rc)
			fail_msg("%s", rows[i].text);
		assert_int_equal(nanos, rows[i].nanos);
	}
}

static void test_since(void **state)
{
	(void)state;
	int64_t now = 1000000 * TIME_SECOND;
	static const struct {
		const char *text;
		int rc;
		int64_t when;
	} rows[] = {
		{"10m", 0, (1000000 - 600) * TIME_SECOND},
		{"0", 0, 0},
		{"1136073600", 0, 1136073600 * TIME_SECOND},
		{"1136073600.5", 0, 1136073600 * TIME_SECOND + TIME_SECOND / 2},
		{"-1.5", 0, -3 * TIME_SECOND / 2},
		{"2006-01-02T15:04:05.5Z", 0, 1136214245 * TIME_SECOND + TIME_SECOND / 2},
		{"2006-01-02T15:04:05", 0, 1136214245 * TIME_SECOND},
		{"2006-01-02T15:04", 0, 1136214240 * TIME_SECOND},
		{"2006-01-02T15", 0, 1136214000 * TIME_SECOND},
		{"2006-01-02", 0, 1136160000 * TIME_SECOND},
		{"2006-01-02T15:04+01:00", 0, 1136210640 * TIME_SECOND},
		{"yesterday", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"99999999999999999999", -ERANGE, 0},
		{"2006-01-32", -EINVAL, 0},
		{"12x", -EINVAL, 0},
	};
	setenv("TZ", "UTC0", 1);
	tzset();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t when = 0;
		if (time_parse_since(rows[i].text, now, &when) != rows[i].rc)
			fail_msg("%s", rows[i].text);
		if (rows[i].rc == 0)
			assert_int_equal(when, rows[i].when);
	}
	char text[TIME_TEXT];
	assert_string_equal(
		time_format_local(text, 1136214245 * TIME_SECOND), "2006-01-02 15:04:05 +0000 UTC");
}

static void test_clocks(void **state)
{
	(void)state;
	char id[TIME_BOOT_ID];
	assert_int_equal(time_boot_id(id), 0);
	assert_int_equal(strlen(id), 36);
	assert_true(time_now() > 1700000000 * TIME_SECOND);
	int64_t before = time_since_boot();
	assert_true(before > 0 && time_since_boot() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_instants),
		cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_human),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
