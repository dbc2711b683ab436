/*
 * reference.c - image names in docker's grammar.
 *
 *	name      = [domain "/"] component *("/" component) [":" tag] ["@" digest]
 *	domain    = (label *("." label) / "[" ipv6 "]") [":" digits]
 *	label     = letters, digits and inner "-"
 *	component = lower case letters and digits, joined by ".", "_", "__" or "-"s
 *
 * A first component is a domain where it holds "." or ":", is "localhost", or is not
 * lower case (docker decides this before it looks at the grammar, so its messages follow).
 */
#include "oci/reference.h"

#include <string.h>

#include "oci/digest.h"

static const char default_domain[] = "docker.io";
static const char legacy_domain[] = "index.docker.io";
static const char official[] = "library/";

static bool is_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_alnum(char c)
{
	return is_lower(c) || is_upper(c);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool has_upper(const char *text)
{
	for (; *text; text++)
		if (is_upper(*text))
			return true;
	return false;
}

static bool domain_valid(const char *text)
{
	if (*text == '[') {
		const char *start = ++text;
		while (is_hex(*text) || *text == ':')
			text++;
		if (text == start || *text != ']')
			return false;
		text++;
	} else {
		for (;;) {
			if (!is_alnum(*text))
				return false;
			while (is_alnum(*text) || *text == '-')
				text++;
			if (text[-1] == '-')
				return false;
			if (*text != '.')
				break;
			text++;
		}
	}
	if (*text == ':') {
		if (!is_digit(*++text))
			return false;
		while (is_digit(*text))
			text++;
	}
	return *text == '\0';
}

static bool path_valid(const char *text)
{
	for (;;) {
		if (!is_lower(*text))
			return false;
		while (is_lower(*text))
			text++;
		switch (*text) {
		case '\0':
			return true;
		case '/':
		case '.':
			text++;
			break;
		case '_':
			text += text[1] == '_' ? 2 : 1;
			break;
		case '-':
			while (*text == '-')
				text++;
			break;
		default:
			return false;
		}
	}
}

bool reference_tag_valid(const char *text)
{
	size_t length = 0;

	if (!is_alnum(text[0]) && text[0] != '_')
		return false;
	for (; text[length]; length++)
		if (length == REFERENCE_TAG_MAX || (!is_alnum(text[length]) && !strchr("_.-", text[length])))
			return false;
	return true;
}

/* Whether text has the shape of a digest in general: an algorithm, a colon, at least 32
 * hex digits. What has it, but is none of ours, gets a message of its own. */
static bool digest_shaped(const char *text)
{
	const char *start;
	do {
		if (!is_alnum(*text) || is_digit(*text))
			return false;
		while (is_alnum(*text))
			text++;
	} while (*text && strchr("-_+.", *text) && *text++);
	if (*text++ != ':')
		return false;
	for (start = text; is_hex(*text); text++)
		;
	return *text == '\0' && text - start >= 32;
}

static int invalid(struct err *e)
{
	return err_set(e, ERR_INVALID, 0, "invalid reference format");
}

/* Splits a first component that names a registry off text. */
static void split_domain(struct arena *arena, const char *text, struct reference *out, char **rest)
{
	const char *slash = strchr(text, '/');
	char *domain = arena_memdup(arena, text, slash ? (size_t)(slash - text) : 0);

	if (slash && (strpbrk(domain, ".:") || has_upper(domain) || !strcmp(domain, "localhost"))) {
		out->domain = strcmp(domain, legacy_domain) ? domain : default_domain;
		text = slash + 1;
	} else {
		out->domain = default_domain;
	}
	bool add = !strcmp(out->domain, default_domain) && !strchr(text, '/');
	*rest = arena_printf(arena, "%s%s", add ? official : "", text);
}

int reference_parse(struct arena *arena, const char *text, struct reference *out, struct err *e)
{
	struct reference parsed = {0};
	struct oci_digest digest;
	char *rest;

	/* The longest possible: a domain has no limit of its own in the grammar. */
	if (strlen(text) > 4096)
		return invalid(e);
	if (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64)
		return err_set(e, ERR_INVALID, 0,
			"invalid repository name (%s), cannot specify 64-byte hexadecimal strings", text);
	split_domain(arena, text, &parsed, &rest);

	char *colon = strchr(rest, ':');
	char *remote = arena_memdup(arena, rest, colon ? (size_t)(colon - rest) : strlen(rest));
	if (has_upper(remote)) {
		char shown[200];
		return err_set(e, ERR_INVALID, 0,
			"invalid reference format: repository name (%s) must be lowercase",
			err_sanitize(shown, sizeof shown, remote));
	}
	char *at = strchr(rest, '@');
	if (at) {
		*at++ = '\0';
		if (!digest_shaped(at))
			return invalid(e);
	}
	colon = strchr(rest, ':');
	if (colon) {
		*colon++ = '\0';
		if (!reference_tag_valid(colon))
			return invalid(e);
		parsed.tag = colon;
	}
	if (!domain_valid(parsed.domain) || !path_valid(rest))
		return invalid(e);
	if (strlen(rest) > REFERENCE_PATH_MAX)
		return err_set(e, ERR_INVALID, 0,
			"invalid reference format: repository name must not be more than %d characters",
			REFERENCE_PATH_MAX);
	if (at && oci_digest_parse(at, &digest, e) < 0)
		return -1;
	parsed.digest = at;
	parsed.path = rest;
	*out = parsed;
	return 0;
}

void reference_default_tag(struct reference *reference)
{
	if (!reference->tag && !reference->digest)
		reference->tag = "latest";
}

static const char *with_suffix(struct arena *arena, const char *name, const struct reference *reference)
{
	return arena_printf(arena, "%s%s%s%s%s", name, reference->tag ? ":" : "",
		reference->tag ? reference->tag : "", reference->digest ? "@" : "",
		reference->digest ? reference->digest : "");
}

const char *reference_name(struct arena *arena, const struct reference *reference)
{
	return arena_printf(arena, "%s/%s", reference->domain, reference->path);
}

const char *reference_full(struct arena *arena, const struct reference *reference)
{
	return with_suffix(arena, reference_name(arena, reference), reference);
}

const char *reference_familiar_name(struct arena *arena, const struct reference *reference)
{
	const char *path = reference->path;
	size_t length = sizeof official - 1;

	if (strcmp(reference->domain, default_domain) != 0)
		return reference_name(arena, reference);
	if (!strncmp(path, official, length) && !strchr(path + length, '/'))
		return path + length;
	/* docker.io/quay.io/x must not read as quay.io/x (docker itself shortens it so). */
	size_t first = strcspn(path, "/");
	if (path[first] && (memchr(path, '.', first) || (first == 9 && !strncmp(path, "localhost", first))))
		return reference_name(arena, reference);
	return path;
}

const char *reference_familiar(struct arena *arena, const struct reference *reference)
{
	return with_suffix(arena, reference_familiar_name(arena, reference), reference);
}

bool reference_is_serial(const char *text)
{
	size_t prefix = !strncmp(text, "img_", 4) ? 4 : !strncmp(text, "ps_", 3) ? 3 : 0;
	size_t digits = prefix ? strspn(text + prefix, "0123456789") : 0;
	return digits && !text[prefix + digits];
}

int reference_check_new(const struct reference *reference, struct err *e)
{
	size_t length = sizeof official - 1;
	const char *name = reference->path + length;

	if (strcmp(reference->domain, default_domain) != 0 || strncmp(reference->path, official, length) != 0)
		return 0;
	if (reference_is_serial(name)) {
		err_set(e, ERR_INVALID, 0, "the name %s is reserved: brig gives names of that form itself",
			name);
		return err_hint(e, "choose a name that is not img_ or ps_ followed by digits");
	}
	/* sha256:cafe would be a name and an identifier. */
	if (!strcmp(name, "sha256"))
		return err_set(e, ERR_INVALID, 0,
			"refusing to create an ambiguous tag using digest algorithm as name");
	/* What a Dockerfile calls nothing. */
	if (!strcmp(name, "scratch"))
		return err_set(e, ERR_INVALID, 0, "'scratch' is a reserved name");
	return 0;
}
