/*
 * time.h - instants and durations, as docker writes and reads them.
 *
 * An instant is an int64_t of nanoseconds since 1970-01-01 UTC (1677 to 2262), a duration
 * an int64_t of nanoseconds. TIME_NONE is "never", which Go's zero time
 * "0001-01-01T00:00:00Z" stands for in documents.
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>

#define TIME_NONE   INT64_MIN
#define TIME_SECOND INT64_C(1000000000)
/* Room for every text made here, with its NUL. */
#define TIME_TEXT 48
/* A boot id with its NUL: 36 characters, as /proc/sys/kernel/random/boot_id has it. */
#define TIME_BOOT_ID 37

int64_t time_now(void);
/* Nanoseconds of CLOCK_BOOTTIME: counts on through suspend and is never set back. */
int64_t time_since_boot(void);
/* Reads the kernel's id of this boot; 0 or -errno. */
int time_boot_id(char out[TIME_BOOT_ID]);

/* RFC 3339 in UTC with as many decimals as are needed, as Go's RFC3339Nano:
 * "2026-11-21T19:53:45.12Z". The formatters return out. */
char *time_format(char out[TIME_TEXT], int64_t when);
/* The same with nine decimals always: columns and logs. */
char *time_format_fixed(char out[TIME_TEXT], int64_t when);
/* In the local zone, without decimals, as docker's CreatedAt column:
 * "2026-11-21 19:53:45 +0000 UTC". */
char *time_format_local(char out[TIME_TEXT], int64_t when);
/* A duration in docker's words: "Less than a second", "About a minute", "2 hours". */
char *time_format_human(char out[TIME_TEXT], int64_t duration);
/* The same with " ago" for the time from when until now; "N/A" for TIME_NONE. */
char *time_format_ago(char out[TIME_TEXT], int64_t when, int64_t now);

/* RFC 3339 with any offset; the fraction may have any number of digits, those past the
 * ninth are dropped. 0, -EINVAL, or -ERANGE for an instant that does not fit. */
int time_parse(const char *text, int64_t *when);
/* Go's durations: "300ms", "-1.5h", "2h45m", "0". 0, -EINVAL or -ERANGE. */
int time_parse_duration(const char *text, int64_t *duration);
/* What docker takes for --since and --until: RFC 3339 with or without zone, seconds,
 * minutes or the time of day (the local zone then), seconds since 1970 with decimals, or
 * a duration before now. */
int time_parse_since(const char *text, int64_t now, int64_t *when);

#endif
