/* rlimit.c - resource limits: their names, docker's --ulimit, setting them. */
#include "base/confine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Names that relocate nothing; docker's is the second half in small letters. */
static const struct {
	char name[20];
	int resource;
} resources[] = {
	{"RLIMIT_AS", RLIMIT_AS},
	{"RLIMIT_CORE", RLIMIT_CORE},
	{"RLIMIT_CPU", RLIMIT_CPU},
	{"RLIMIT_DATA", RLIMIT_DATA},
	{"RLIMIT_FSIZE", RLIMIT_FSIZE},
	{"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
	{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
	{"RLIMIT_NICE", RLIMIT_NICE},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE},
	{"RLIMIT_NPROC", RLIMIT_NPROC},
	{"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
	{"RLIMIT_RTTIME", RLIMIT_RTTIME},
	{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", RLIMIT_STACK},
};

#define UNLIMITED UINT64_MAX

const struct confine_rlimit confine_rlimit_defaults[] = {
	{RLIMIT_NOFILE, 1024, 524288, false},
	{RLIMIT_CORE, 0, UNLIMITED, false},
	{RLIMIT_NPROC, UNLIMITED, UNLIMITED, false},
	{RLIMIT_MEMLOCK, 8 << 20, 8 << 20, false},
	/* What the caller has in its shell is not the container's. */
	{RLIMIT_FSIZE, UNLIMITED, UNLIMITED, false},
	{RLIMIT_CPU, UNLIMITED, UNLIMITED, false},
	{RLIMIT_AS, UNLIMITED, UNLIMITED, false},
	{RLIMIT_DATA, UNLIMITED, UNLIMITED, false},
	{RLIMIT_STACK, 8 << 20, UNLIMITED, false},
};
const size_t confine_rlimit_default_count = sizeof confine_rlimit_defaults / sizeof *confine_rlimit_defaults;

int confine_rlimit_find(const char *name)
{
	for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
		const char *full = resources[i].name, *part = full + strlen("RLIMIT_");
		if (!strcmp(name, full))
			return resources[i].resource;
		size_t k = 0;
		while (part[k] && name[k] == part[k] + ('a' - 'A'))
			k++;
		if (!part[k] && !name[k])
			return resources[i].resource;
	}
	return -ENOENT;
}

const char *confine_rlimit_name(int resource)
{
	for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
		if (resources[i].resource == resource)
			return resources[i].name;
	}
	return NULL;
}

/* A decimal number up to end, or -1; 0, or -EINVAL. */
static int parse_value(const char *text, const char *end, uint64_t *out)
{
	uint64_t value = 0;

	if (end - text == 2 && !memcmp(text, "-1", 2)) {
		*out = UNLIMITED;
		return 0;
	}
	if (text == end)
		return -EINVAL;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || value > (INT64_MAX - 9) / 10)
			return -EINVAL;
		value = value * 10 + (uint64_t)(*text - '0');
	}
	*out = value;
	return 0;
}

int confine_rlimit_parse(const char *text, struct confine_rlimit *out, struct err *e)
{
	struct confine_rlimit parsed = {.asked = true};
	char name[32] = "", shown[96];
	const char *equals = strchr(text, '=');

	err_sanitize(shown, sizeof shown, text);
	if (!equals)
		return err_set(e, ERR_INVALID, 0, "invalid ulimit argument: %s", shown);
	if ((size_t)(equals - text) < sizeof name)
		memcpy(name, text, (size_t)(equals - text));
	parsed.resource = *name >= 'a' && *name <= 'z' ? confine_rlimit_find(name) : -ENOENT;
	if (parsed.resource < 0) {
		shown[(size_t)(equals - text) < sizeof shown ? (size_t)(equals - text) : sizeof shown - 1] =
			'\0';
		return err_set(e, ERR_INVALID, 0, "invalid ulimit type: %s", shown);
	}

	const char *soft = equals + 1, *colon = strchr(soft, ':'), *end = soft + strlen(soft);
	if (colon && strchr(colon + 1, ':'))
		return err_set(e, ERR_INVALID, 0,
			"too many limit value arguments - %s, can only have up to two, `soft[:hard]`", shown);
	if (parse_value(soft, colon ? colon : end, &parsed.soft) < 0 ||
		(colon && parse_value(colon + 1, end, &parsed.hard) < 0))
		return err_set(e, ERR_INVALID, 0, "invalid ulimit argument: %s", shown);
	if (!colon)
		parsed.hard = parsed.soft;
	if (parsed.soft > parsed.hard)
		return err_set(e, ERR_INVALID, 0,
			"ulimit soft limit must be less than or equal to hard limit: %s", shown);
	*out = parsed;
	return 0;
}

static int set_limit(const struct confine_rlimit *limit)
{
	const struct rlimit wanted = {limit->soft, limit->hard};
	struct rlimit now;

	if (setrlimit((unsigned)limit->resource, &wanted) == 0)
		return 0;
	int error = errno;
	if (error != EPERM || limit->asked || getrlimit((unsigned)limit->resource, &now) < 0)
		return -error;
	/* What can be had without the right to raise a hard limit. */
	if (limit->hard < now.rlim_max)
		now.rlim_max = limit->hard;
	now.rlim_cur = limit->soft < now.rlim_max ? limit->soft : now.rlim_max;
	return setrlimit((unsigned)limit->resource, &now) < 0 ? -errno : 0;
}

int confine_rlimits(const struct confine_rlimit *limits, size_t count, size_t *failed)
{
	for (size_t i = 0; i < count; i++) {
		int error = set_limit(&limits[i]);
		if (error) {
			if (failed)
				*failed = i;
			return error;
		}
	}
	return 0;
}
