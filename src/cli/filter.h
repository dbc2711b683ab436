/*
 * filter.h - docker's --filter KEY=VALUE.
 *
 * Values of one key are alternatives; of "label", all have to fit.
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <stdbool.h>

#include "base/opt.h"

struct filter {
	const char *key; /* lower case */
	const char *value;
	struct filter *next;
};

struct filters {
	struct filter *first;
	struct filter **last;
};

/* The parse function of an option row whose offset is that of a struct filters. */
int filter_parse(void *options, const struct opt *opt, const char *value, struct arena *arena, struct err *e);

#define FILTER_HELP "Filter output based on conditions provided"
/* A row {"filter", 'f', ...} for options of this type with this member. */
#define FILTER_ROW(type, member)                                                                             \
	{                                                                                                    \
		"filter", 'f', OPT_PARSE, offsetof(struct type, member), "filter", FILTER_HELP,              \
			filter_parse, 0                                                                      \
	}

/* ERR_USAGE (docker's words) where a key is not in the list, which ends with NULL. */
int filter_check(const struct filters *filters, const char *const *keys, struct err *e);

/* Whether there is a filter of this key at all. */
bool filter_given(const struct filters *filters, const char *key);
/* Whether the value is among those asked for, or nothing was asked for. */
bool filter_is(const struct filters *filters, const char *key, const char *value);
/* As filter_is, with fits() deciding whether wanted fits; all: every one has to fit. */
bool filter_fits(const struct filters *filters, const char *key, bool all,
	bool (*fits)(void *context, const char *wanted), void *context);
/* docker's label filter: every KEY or KEY=VALUE among labels, which are KEY=VALUE. */
bool filter_labels(const struct filters *filters, const struct strings *labels);
/* Whether text matches one of the key's POSIX extended expressions (docker's: Go's; the same where
 * people use them). A bad expression is ERR_USAGE. Returns 1, 0, or -1. */
int filter_matches(const struct filters *filters, const char *key, const char *text, struct err *e);

#endif
