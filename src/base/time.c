/* time.c - instants and durations, as docker writes and reads them. */
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/fd.h"

enum { DAY = 24 * 60 * 60 };

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * TIME_SECOND + now.tv_nsec;
}

int64_t time_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t time_since_boot(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int time_boot_id(char out[TIME_BOOT_ID])
{
	auto_close int fd = fd_open(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
	if (fd < 0)
		return fd;
	ssize_t n = fd_read_full(fd, out, TIME_BOOT_ID - 1);
	if (n < 0)
		return (int)n;
	out[n] = '\0';
	return n == TIME_BOOT_ID - 1 ? 0 : -EIO;
}

/*
 * Days and dates. Years are counted from March, so that the leap day is a year's last, and
 * in eras of 400 years, which are all alike: 146097 days. Day 0 is 1970-01-01, which is
 * day 719468 of year 0 (proleptic Gregorian, March 1st being day 0).
 */
enum { ERA_DAYS = 146097, ERA_YEARS = 400, EPOCH = 719468 };

static int64_t days_of_date(int64_t year, int month, int day)
{
	if (month <= 2)
		year--;
	int64_t era = (year >= 0 ? year : year - (ERA_YEARS - 1)) / ERA_YEARS;
	int64_t y = year - era * ERA_YEARS;
	int from_march = (month + 9) % 12;
	int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;
	return era * ERA_DAYS + y * 365 + y / 4 - y / 100 + day_of_year - EPOCH;
}

static void date_of_days(int64_t days, int *year, int *month, int *day)
{
	days += EPOCH;
	int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
	int64_t d = days - era * ERA_DAYS;
	int64_t y = (d - d / 1460 + d / 36524 - d / (ERA_DAYS - 1)) / 365;
	int64_t day_of_year = d - (365 * y + y / 4 - y / 100);
	int from_march = (int)((5 * day_of_year + 2) / 153);
	*day = (int)(day_of_year - (153 * from_march + 2) / 5 + 1);
	*month = from_march < 10 ? from_march + 3 : from_march - 9;
	*year = (int)(era * ERA_YEARS + y + (*month <= 2));
}

static char *format_utc(char out[TIME_TEXT], int64_t when, bool fixed)
{
	if (when == TIME_NONE) {
		snprintf(out, TIME_TEXT, "0001-01-01T00:00:00%sZ", fixed ? ".000000000" : "");
		return out;
	}
	int64_t seconds = when / TIME_SECOND, nanos = when % TIME_SECOND;
	if (nanos < 0) {
		nanos += TIME_SECOND;
		seconds--;
	}
	int64_t days = seconds / DAY, rest = seconds % DAY;
	if (rest < 0) {
		rest += DAY;
		days--;
	}
	int year, month, day;
	date_of_days(days, &year, &month, &day);
	int n = snprintf(out, TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d.%09d", year, month, day,
		(int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60), (int)nanos);
	if (!fixed) {
		while (out[n - 1] == '0')
			n--;
		if (out[n - 1] == '.')
			n--;
	}
	out[n] = 'Z';
	out[n + 1] = '\0';
	return out;
}

char *time_format(char out[TIME_TEXT], int64_t when)
{
	return format_utc(out, when, false);
}

char *time_format_fixed(char out[TIME_TEXT], int64_t when)
{
	return format_utc(out, when, true);
}

char *time_format_local(char out[TIME_TEXT], int64_t when)
{
	int64_t seconds = when / TIME_SECOND - (when % TIME_SECOND < 0);
	time_t t = (time_t)seconds;
	struct tm tm;
	if (when == TIME_NONE)
		snprintf(out, TIME_TEXT, "0001-01-01 00:00:00 +0000 UTC");
	else if (!localtime_r(&t, &tm) || !strftime(out, TIME_TEXT, "%Y-%m-%d %H:%M:%S %z %Z", &tm))
		out[0] = '\0';
	return out;
}

char *time_format_human(char out[TIME_TEXT], int64_t duration)
{
	int64_t seconds = duration / TIME_SECOND;
	int64_t minutes = seconds / 60;
	int64_t hours = (seconds + 1800) / 3600; /* the nearest */

	if (seconds < 1)
		snprintf(out, TIME_TEXT, "Less than a second");
	else if (seconds == 1)
		snprintf(out, TIME_TEXT, "1 second");
	else if (seconds < 60)
		snprintf(out, TIME_TEXT, "%d seconds", (int)seconds);
	else if (minutes == 1)
		snprintf(out, TIME_TEXT, "About a minute");
	else if (minutes < 60)
		snprintf(out, TIME_TEXT, "%d minutes", (int)minutes);
	else if (hours == 1)
		snprintf(out, TIME_TEXT, "About an hour");
	else if (hours < 48)
		snprintf(out, TIME_TEXT, "%d hours", (int)hours);
	else if (hours < 24 * 7 * 2)
		snprintf(out, TIME_TEXT, "%d days", (int)(hours / 24));
	else if (hours < 24 * 30 * 2)
		snprintf(out, TIME_TEXT, "%d weeks", (int)(hours / 24 / 7));
	else if (hours < 24 * 365 * 2)
		snprintf(out, TIME_TEXT, "%d months", (int)(hours / 24 / 30));
	else
		snprintf(out, TIME_TEXT, "%d years", (int)(seconds / 3600 / 24 / 365));
	return out;
}

char *time_format_ago(char out[TIME_TEXT], int64_t when, int64_t now)
{
	int64_t passed;
	if (when == TIME_NONE) {
		snprintf(out, TIME_TEXT, "N/A");
		return out;
	}
	if (__builtin_sub_overflow(now, when, &passed))
		passed = now > when ? INT64_MAX : 0;
	time_format_human(out, passed);
	size_t length = strlen(out);
	snprintf(out + length, TIME_TEXT - length, " ago");
	return out;
}

/* Takes exactly count digits from *text, or returns -1. */
static int take_digits(const char **text, int count)
{
	int value = 0;
	for (; count; count--, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	return value;
}

/* Takes ".digits" where there is one: nanoseconds, or -1. */
static int take_fraction(const char **text)
{
	if (**text != '.')
		return 0;
	const char *p = *text + 1;
	int nanos = 0, digits = 0;
	for (; *p >= '0' && *p <= '9'; p++, digits++)
		if (digits < 9)
			nanos = nanos * 10 + (*p - '0');
	if (!digits)
		return -1;
	for (; digits < 9; digits++)
		nanos *= 10;
	*text = p;
	return nanos;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

struct date {
	int year, month, day, hour, minute, second, nanos;
};

static int month_days(int year, int month)
{
	if (month == 2)
		return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static bool take_day(const char **text, struct date *date)
{
	*date = (struct date){0};
	date->year = take_digits(text, 4);
	if (date->year < 0 || !take_char(text, '-'))
		return false;
	date->month = take_digits(text, 2);
	if (date->month < 1 || date->month > 12 || !take_char(text, '-'))
		return false;
	date->day = take_digits(text, 2);
	return date->day >= 1 && date->day <= month_days(date->year, date->month);
}

/* "HH[:MM[:SS[.fraction]]]", all of it where whole is true. */
static bool take_clock(const char **text, struct date *date, bool whole)
{
	date->hour = take_digits(text, 2);
	if (date->hour < 0 || date->hour > 23)
		return false;
	if (!take_char(text, ':'))
		return !whole;
	date->minute = take_digits(text, 2);
	if (date->minute < 0 || date->minute > 59)
		return false;
	if (!take_char(text, ':'))
		return !whole;
	date->second = take_digits(text, 2);
	if (date->second < 0 || date->second > 59)
		return false;
	date->nanos = take_fraction(text);
	return date->nanos >= 0;
}

/* "Z" or "+HH:MM": seconds east of UTC. */
static bool take_zone(const char **text, int *east)
{
	*east = 0;
	if (take_char(text, 'Z') || take_char(text, 'z'))
		return true;
	int sign = **text == '+' ? 1 : **text == '-' ? -1 : 0;
	if (!sign)
		return false;
	(*text)++;
	int hours = take_digits(text, 2);
	if (hours < 0 || hours > 23 || !take_char(text, ':'))
		return false;
	int minutes = take_digits(text, 2);
	*east = sign * (hours * 3600 + minutes * 60);
	return minutes >= 0 && minutes <= 59;
}

static int64_t seconds_of(const struct date *date)
{
	return days_of_date(date->year, date->month, date->day) * DAY + date->hour * 3600 +
	       date->minute * 60 + date->second;
}

static int join(int64_t seconds, int64_t nanos, int64_t *when)
{
	int64_t sum;
	/* Near the lower end the seconds alone do not fit although the sum does. */
	if (seconds < 0 && nanos > 0) {
		seconds++;
		nanos -= TIME_SECOND;
	}
	if (__builtin_mul_overflow(seconds, TIME_SECOND, &sum) || __builtin_add_overflow(sum, nanos, &sum) ||
		sum == TIME_NONE)
		return -ERANGE;
	*when = sum;
	return 0;
}

int time_parse(const char *text, int64_t *when)
{
	struct date date;
	int east;

	if (!take_day(&text, &date) || !(take_char(&text, 'T') || take_char(&text, 't')) ||
		!take_clock(&text, &date, true) || !take_zone(&text, &east) || *text)
		return -EINVAL;
	int64_t seconds = seconds_of(&date) - east;
	if (date.year == 1 && seconds == days_of_date(1, 1, 1) * DAY && !date.nanos) {
		*when = TIME_NONE;
		return 0;
	}
	return join(seconds, date.nanos, when);
}

int time_parse_duration(const char *text, int64_t *duration)
{
	static const struct {
		const char *name;
		int64_t nanos;
	} units[] = {
		{"ns", 1},
		{"us", 1000},
		{"\xc2\xb5s", 1000}, /* the micro sign, then the Greek letter */
		{"\xce\xbcs", 1000},
		{"ms", 1000000},
		{"s", TIME_SECOND},
		{"m", 60 * TIME_SECOND},
		{"h", 3600 * TIME_SECOND},
	};
	bool negative = *text == '-';
	int64_t total = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (!strcmp(text, "0")) {
		*duration = 0;
		return 0;
	}
	if (!*text)
		return -EINVAL;
	while (*text) {
		int64_t whole = 0, part;
		const char *start = text;
		for (; *text >= '0' && *text <= '9'; text++)
			if (__builtin_mul_overflow(whole, (int64_t)10, &whole) ||
				__builtin_add_overflow(whole, (int64_t)(*text - '0'), &whole))
				return -ERANGE;
		bool digits = text != start;
		/* "1." and ".5" are both fine, "." is not. */
		int fraction = 0;
		if (*text == '.' && (text[1] < '0' || text[1] > '9')) {
			if (!digits)
				return -EINVAL;
			text++;
		} else {
			fraction = take_fraction(&text);
			digits = digits || text != start;
		}
		if (!digits)
			return -EINVAL;
		const char *unit = text;
		while (*text && *text != '.' && (*text < '0' || *text > '9'))
			text++;
		size_t length = (size_t)(text - unit), i = 0, count = sizeof units / sizeof *units;
		while (i < count &&
			(strlen(units[i].name) != length || memcmp(units[i].name, unit, length) != 0))
			i++;
		if (i == count)
			return -EINVAL;
		if (__builtin_mul_overflow(whole, units[i].nanos, &part) ||
			__builtin_add_overflow(total, part, &total))
			return -ERANGE;
		/* fraction < 1e9 and the unit <= 3.6e12: the product needs 72 bits. */
		part = (int64_t)((__int128)fraction * units[i].nanos / TIME_SECOND);
		if (__builtin_add_overflow(total, part, &total))
			return -ERANGE;
	}
	*duration = negative ? -total : total;
	return 0;
}

/* A date with or without a time of day, in the local zone. */
static int parse_local(const char *text, int64_t *when)
{
	struct date date;

	if (!take_day(&text, &date))
		return -EINVAL;
	if (take_char(&text, 'T') && !take_clock(&text, &date, false))
		return -EINVAL;
	int east;
	if (*text && take_zone(&text, &east) && !*text)
		return join(seconds_of(&date) - east, date.nanos, when);
	if (*text)
		return -EINVAL;
	struct tm tm = {
		.tm_year = date.year - 1900,
		.tm_mon = date.month - 1,
		.tm_mday = date.day,
		.tm_hour = date.hour,
		.tm_min = date.minute,
		.tm_sec = date.second,
		.tm_isdst = -1,
	};
	return join(mktime(&tm), date.nanos, when);
}

int time_parse_since(const char *text, int64_t now, int64_t *when)
{
	int64_t duration, seconds = 0;
	int rc = time_parse_duration(text, &duration);

	if (rc == 0 && strcmp(text, "0") != 0)
		return __builtin_sub_overflow(now, duration, when) ? -ERANGE : 0;
	if (rc == -ERANGE && text[strspn(text, "0123456789.")])
		return rc;
	if (strlen(text) > 4 && text[4] == '-')
		return parse_local(text, when);

	bool negative = *text == '-';
	const char *p = text + negative, *start = p;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(seconds, (int64_t)10, &seconds) ||
			__builtin_add_overflow(seconds, (int64_t)(*p - '0'), &seconds))
			return -ERANGE;
	if (p == start)
		return -EINVAL;
	int nanos = take_fraction(&p);
	if (nanos < 0 || *p)
		return -EINVAL;
	return negative ? join(-seconds, -nanos, when) : join(seconds, nanos, when);
}
