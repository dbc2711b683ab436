/* filter.c - docker's --filter KEY=VALUE. */
#include "cli/filter.h"

#include <regex.h>
#include <string.h>

static char *trimmed(struct arena *arena, const char *text, size_t length)
{
	while (length && (*text == ' ' || *text == '\t')) {
		text++;
		length--;
	}
	while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	return arena_memdup(arena, text, length);
}

int filter_parse(void *options, const struct opt *opt, const char *value, struct arena *arena, struct err *e)
{
	struct filters *filters = (struct filters *)((char *)options + opt->offset);
	const char *equals = strchr(value, '=');

	if (!*value)
		return 0;
	if (!equals)
		return err_set(e, ERR_USAGE, 0, "bad format of filter (expected name=value)");
	struct filter *filter = arena_new(arena, struct filter);
	char *key = trimmed(arena, value, (size_t)(equals - value));
	for (char *c = key; *c; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	}
	filter->key = key;
	filter->value = trimmed(arena, equals + 1, strlen(equals + 1));
	*(filters->last ? filters->last : &filters->first) = filter;
	filters->last = &filter->next;
	return 0;
}

int filter_check(const struct filters *filters, const char *const *keys, struct err *e)
{
	for (const struct filter *filter = filters->first; filter; filter = filter->next) {
		const char *const *key = keys;
		while (*key && strcmp(*key, filter->key) != 0)
			key++;
		if (!*key)
			return err_set(e, ERR_INVALID, 0, "invalid filter '%s'", filter->key);
	}
	return 0;
}

bool filter_given(const struct filters *filters, const char *key)
{
	for (const struct filter *filter = filters->first; filter; filter = filter->next) {
		if (!strcmp(filter->key, key))
			return true;
	}
	return false;
}

bool filter_fits(const struct filters *filters, const char *key, bool all,
	bool (*fits)(void *context, const char *wanted), void *context)
{
	bool asked = false;

	for (const struct filter *filter = filters->first; filter; filter = filter->next) {
		if (strcmp(filter->key, key) != 0)
			continue;
		asked = true;
		if (fits(context, filter->value) != all)
			return !all;
	}
	return all || !asked;
}

static bool equals(void *context, const char *wanted)
{
	return !strcmp(context, wanted);
}

bool filter_is(const struct filters *filters, const char *key, const char *value)
{
	return filter_fits(filters, key, false, equals, (void *)(uintptr_t)value);
}

static bool has_label(void *context, const char *wanted)
{
	const struct strings *labels = context;
	size_t length = strlen(wanted);
	bool with_value = strchr(wanted, '=') != NULL;

	for (size_t i = 0; i < labels->count; i++) {
		const char *label = labels->items[i];
		if (!strncmp(label, wanted, length) &&
			(!label[length] || (!with_value && label[length] == '=')))
			return true;
	}
	return false;
}

bool filter_labels(const struct filters *filters, const struct strings *labels)
{
	return filter_fits(filters, "label", true, has_label, (void *)(uintptr_t)labels);
}

int filter_matches(const struct filters *filters, const char *key, const char *text, struct err *e)
{
	bool asked = false;

	for (const struct filter *filter = filters->first; filter; filter = filter->next) {
		if (strcmp(filter->key, key) != 0)
			continue;
		regex_t expression;
		asked = true;
		if (regcomp(&expression, filter->value, REG_EXTENDED | REG_NOSUB))
			return err_set(e, ERR_INVALID, 0, "invalid filter '%s=%s': not a regular expression",
				key, filter->value);
		bool found = !regexec(&expression, text, 0, NULL, 0);
		regfree(&expression);
		if (found)
			return 1;
	}
	return !asked;
}
