/* change_words.c - splitting, unquoting, variables. */
#include "oci/change_words.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct strings change_words(struct arena *arena, const char *text)
{
	struct strings words = {0};

	for (const char *at = text;;) {
		char quote = 0;
		while (is_blank(*at))
			at++;
		const char *start = at;
		for (; *at && (quote || !is_blank(*at)); at++) {
			if (*at == '\\' && at[1] && quote != '\'')
				at++;
			else if (quote ? *at == quote : *at == '"' || *at == '\'')
				quote = quote ? 0 : *at;
		}
		if (at == start)
			return words;
		strings_add(arena, &words, arena_memdup(arena, start, (size_t)(at - start)));
	}
}

enum { DEPTH = 16 };

/* Where a word is read, and what comes of it. */
struct expansion {
	const char *at;
	const struct strings *env;
	struct buf out;
	unsigned depth; /* of braces */
	struct err *e;
};

static const char *lookup(const struct expansion *x, const char *name, size_t length)
{
	for (size_t i = 0; i < x->env->count; i++) {
		const char *item = x->env->items[i];
		if (!strncmp(item, name, length) && item[length] == '=')
			return item + length + 1;
	}
	return NULL;
}

static int expand_until(struct expansion *x, char end);

/* After "${NAME": the sign and its word, up to the brace. */
static int expand_operator(struct expansion *x, const char *name, size_t length)
{
	const char *value = lookup(x, name, length);
	bool colon = *x->at == ':', set = value && (!colon || *value);
	size_t before = x->out.length;

	x->at += colon;
	char sign = *x->at;
	if (sign == '}' && !colon) {
		x->at++;
		buf_string(&x->out, value ? value : "");
		return 0;
	}
	if (sign != '-' && sign != '+' && sign != '?')
		return err_set(x->e, ERR_INVALID, 0, "unsupported modifier (%c) in substitution",
			sign && isprint((unsigned char)sign) ? sign : '?');
	x->at++;
	if (expand_until(x, '}') < 0)
		return -1;
	if (sign == '?') {
		if (!set)
			return err_set(
				x->e, ERR_INVALID, 0, "%.*s: not allowed to be unset", (int)length, name);
		x->out.length = before;
		buf_string(&x->out, value);
		return 0;
	}
	if (sign == '-' ? !set : set)
		return 0;
	/* The word was not wanted. */
	x->out.length = before;
	if (sign == '-')
		buf_string(&x->out, value);
	return 0;
}

/* At a dollar sign. */
static int expand_variable(struct expansion *x)
{
	bool brace = x->at[1] == '{';
	const char *name = x->at + 1 + brace;
	size_t length = 0;

	while (isalnum((unsigned char)name[length]) || name[length] == '_')
		length++;
	if (!brace && !length) {
		buf_append(&x->out, "$", 1);
		x->at++;
		return 0;
	}
	if (brace && !length)
		return err_set(x->e, ERR_INVALID, 0, "syntax error: bad substitution");
	x->at = name + length;
	if (brace)
		return expand_operator(x, name, length);
	const char *value = lookup(x, name, length);
	buf_string(&x->out, value ? value : "");
	return 0;
}

static int expand_single(struct expansion *x)
{
	const char *end = strchr(x->at + 1, '\'');

	if (!end)
		return err_set(x->e, ERR_INVALID, 0,
			"unexpected end of statement while looking for matching single-quote");
	buf_append(&x->out, x->at + 1, (size_t)(end - x->at - 1));
	x->at = end + 1;
	return 0;
}

static int expand_double(struct expansion *x)
{
	for (x->at++; *x->at != '"';) {
		if (!*x->at)
			return err_set(x->e, ERR_INVALID, 0,
				"unexpected end of statement while looking for matching double-quote");
		if (*x->at == '$') {
			if (expand_variable(x) < 0)
				return -1;
			continue;
		}
		if (*x->at == '\\' && x->at[1] && strchr("\"$\\", x->at[1]))
			x->at++;
		buf_append(&x->out, x->at++, 1);
	}
	x->at++;
	return 0;
}

/* Up to the end, which is passed; '\0' is the text's. */
static int expand_until(struct expansion *x, char end)
{
	if (++x->depth > DEPTH)
		return err_set(x->e, ERR_INVALID, 0, "syntax error: too many braces in one another");
	while (*x->at != end) {
		int rc = 0;
		if (!*x->at)
			return err_set(x->e, ERR_INVALID, 0, "syntax error: missing '}'");
		if (*x->at == '\'')
			rc = expand_single(x);
		else if (*x->at == '"')
			rc = expand_double(x);
		else if (*x->at == '$')
			rc = expand_variable(x);
		else {
			if (*x->at == '\\' && x->at[1])
				x->at++;
			buf_append(&x->out, x->at++, 1);
		}
		if (rc < 0)
			return -1;
	}
	x->at += end != '\0';
	x->depth--;
	return 0;
}

const char *change_expand(struct arena *arena, const char *text, const struct strings *env, struct err *e)
{
	struct expansion x = {.at = text, .env = env, .e = e};
	const char *out = NULL;

	buf_string(&x.out, "");
	if (expand_until(&x, '\0') == 0)
		out = arena_memdup(arena, x.out.data, x.out.length);
	buf_free(&x.out);
	return out;
}
