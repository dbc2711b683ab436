/* challenge.c - reading WWW-Authenticate. */
#include "registry/challenge.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool is_token_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Copies a token's or a quoted string's text into out. NULL where it is malformed or has
 * control characters; *fits is whether out took it whole. */
static const char *read_value(const char *p, char *out, size_t size, bool *fits)
{
	size_t at = 0;

	*fits = true;
	if (*p != '"') {
		const char *start = p;
		/* token68 bytes are let through: realms without quotes exist. */
		for (; is_token_byte(*p) || *p == '/' || *p == ':' || *p == '='; p++)
			if (at + 1 < size)
				out[at++] = *p;
			else
				*fits = false;
		out[at] = '\0';
		return p == start ? NULL : p;
	}
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return NULL;
		if (at + 1 < size)
			out[at++] = *p;
		else
			*fits = false;
	}
	out[at] = '\0';
	return p + 1;
}

static bool is_better(const struct challenge *a, const struct challenge *b)
{
	return a->scheme > b->scheme && (a->scheme != CHALLENGE_BEARER || a->realm[0]);
}

int challenge_parse(const char *value, struct challenge *out)
{
	struct challenge best = {0}, now = {0};
	const char *p = value;

	for (;;) {
		while (*p == ',' || *p == ' ' || *p == '\t')
			p++;
		if (!*p)
			break;
		const char *word = p;
		while (is_token_byte(*p))
			p++;
		size_t length = (size_t)(p - word);
		if (!length)
			return -EINVAL;
		const char *after = skip_space(p);
		if (*after != '=') {
			/* A word without "=" is the next challenge's scheme. */
			if (*p && *p != ',' && after == p)
				return -EINVAL;
			if (is_better(&now, &best))
				best = now;
			now = (struct challenge){0};
			if (length == 6 && !strncasecmp(word, "Bearer", 6))
				now.scheme = CHALLENGE_BEARER;
			else if (length == 5 && !strncasecmp(word, "Basic", 5))
				now.scheme = CHALLENGE_BASIC;
			p = after;
			/* A token68 credential ("Negotiate abc==") is passed over. */
			const char *q = p;
			while (is_token_byte(*q) || *q == '/')
				q++;
			const char *end = q;
			while (*end == '=')
				end++;
			if (q > p && (!*skip_space(end) || *skip_space(end) == ','))
				p = end;
			continue;
		}
		char scratch[8];
		char *to = scratch;
		size_t size = sizeof scratch;
		bool fits;
		static const struct {
			const char *name;
			size_t offset, size;
		} fields[] = {
			{"realm", offsetof(struct challenge, realm), sizeof now.realm},
			{"service", offsetof(struct challenge, service), sizeof now.service},
			{"scope", offsetof(struct challenge, scope), sizeof now.scope},
			{"error", offsetof(struct challenge, error), sizeof now.error},
		};
		for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
			if (strlen(fields[i].name) == length && !strncasecmp(fields[i].name, word, length)) {
				to = (char *)&now + fields[i].offset;
				size = fields[i].size;
			}
		/* Said twice, it could be read in two ways. */
		if (to != scratch && *to)
			return -EINVAL;
		p = read_value(skip_space(after + 1), to, size, &fits);
		if (!p || (!fits && to != scratch))
			return -EINVAL;
		p = skip_space(p);
		if (*p && *p != ',')
			return -EINVAL;
	}
	if (is_better(&now, &best))
		best = now;
	*out = best;
	return 0;
}
