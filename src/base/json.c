/*
 * json.c - JSON documents: a tree in an arena, and a streaming writer.
 *
 * The parser copies the text into the arena once and decodes every string where it
 * stands: no escape is shorter than what it stands for, and the closing quote makes
 * room for the NUL. A key's address therefore gives its offset in the document, which
 * is what the message about a repeated name needs.
 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

enum {
	FEW = 12, /* members that are compared each with each; more are sorted */
};

/* What a byte means inside a string. */
enum { PLAIN = 0, END, ESCAPE, CONTROL, LEAD2, LEAD3, LEAD4, BAD };

static const unsigned char string_class[256] = {
	[0 ... 0x1f] = CONTROL,
	['"'] = END,
	['\\'] = ESCAPE,
	[0x80 ... 0xc1] = BAD,
	[0xc2 ... 0xdf] = LEAD2,
	[0xe0 ... 0xef] = LEAD3,
	[0xf0 ... 0xf4] = LEAD4,
	[0xf5 ... 0xff] = BAD,
};

struct parser {
	struct arena *arena;
	char *text; /* the copy, NUL-terminated */
	char *end;
	char *at;
	const char *what;
	struct err *e;
	size_t values;
	int depth;
};

static bool fail(struct parser *p, const char *at, const char *reason)
{
	err_set(p->e, ERR_INVALID, 0, "%s is not valid JSON: %s, at byte %zu", p->what, reason,
		(size_t)(at - p->text));
	return false;
}

/* The length of the well-formed UTF-8 sequence of two or more bytes at s, or 0 (RFC 3629:
 * nothing overlong, no surrogates, nothing past U+10FFFF). */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	size_t length;

	switch (string_class[s[0]]) {
	case LEAD2:
		length = 2;
		break;
	case LEAD3:
		length = 3;
		break;
	case LEAD4:
		length = 4;
		break;
	default:
		return 0;
	}
	if (left < length)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
		(s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

static char *utf8_put(char *to, unsigned code)
{
	if (code < 0x80) {
		*to++ = (char)code;
	} else if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
		*to++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
		*to++ = (char)(0x80 | (code & 0x3f));
	} else {
		*to++ = (char)(0xf0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
		*to++ = (char)(0x80 | (code & 0x3f));
	}
	return to;
}

static inline void skip_space(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t')
		p->at++;
}

/* Four hex digits at s, or -1. The text ends with a NUL, so this never reads past it. */
static int hex4(const char *s)
{
	int value = 0;
	for (int i = 0; i < 4; i++) {
		int digit;
		if (s[i] >= '0' && s[i] <= '9')
			digit = s[i] - '0';
		else if (s[i] >= 'a' && s[i] <= 'f')
			digit = s[i] - 'a' + 10;
		else if (s[i] >= 'A' && s[i] <= 'F')
			digit = s[i] - 'A' + 10;
		else
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* The escape at p->at (on the backslash) is decoded to *to. */
static bool parse_escape(struct parser *p, char **to)
{
	char *start = p->at;
	char letter = start[1];

	p->at += 2;
	switch (letter) {
	case '"':
	case '\\':
	case '/':
		*(*to)++ = letter;
		return true;
	case 'b':
		*(*to)++ = '\b';
		return true;
	case 'f':
		*(*to)++ = '\f';
		return true;
	case 'n':
		*(*to)++ = '\n';
		return true;
	case 'r':
		*(*to)++ = '\r';
		return true;
	case 't':
		*(*to)++ = '\t';
		return true;
	case 'u':
		break;
	default:
		return fail(p, start, "unknown escape in a string");
	}
	int code = hex4(p->at);
	if (code < 0)
		return fail(p, start, "\\u needs four hexadecimal digits");
	if (code == 0)
		return fail(p, start, "a string holds a NUL");
	p->at += 4;
	unsigned whole = (unsigned)code;
	if (code >= 0xd800 && code <= 0xdfff) {
		int low = code < 0xdc00 && p->at[0] == '\\' && p->at[1] == 'u' ? hex4(p->at + 2) : -1;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(p, start, "half of a surrogate pair in a string");
		p->at += 6;
		whole = 0x10000 + ((whole - 0xd800) << 10) + ((unsigned)low - 0xdc00);
	}
	*to = utf8_put(*to, whole);
	return true;
}

/* p->at stands on the opening quote. */
static bool parse_string(struct parser *p, const char **out)
{
	char *open = p->at++;
	char *to = p->at;

	*out = to;
	for (;;) {
		char *run = p->at;
		while (string_class[(unsigned char)*p->at] == PLAIN)
			p->at++;
		size_t length = (size_t)(p->at - run);
		if (to != run && length)
			memmove(to, run, length);
		to += length;

		switch (string_class[(unsigned char)*p->at]) {
		case END:
			p->at++;
			*to = '\0';
			return true;
		case ESCAPE:
			if (!parse_escape(p, &to))
				return false;
			break;
		case CONTROL:
			if (p->at == p->end)
				return fail(p, open, "a string is not closed");
			return fail(p, p->at, "a control character in a string");
		default:
			length = utf8_length((const unsigned char *)p->at, (size_t)(p->end - p->at));
			if (!length)
				return fail(p, p->at, "a string is not UTF-8");
			if (to != p->at)
				memmove(to, p->at, length);
			to += length;
			p->at += length;
		}
	}
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool parse_number(struct parser *p, struct json *value)
{
	char *start = p->at;
	bool negative = *p->at == '-';
	bool exact = true;
	int64_t sum = 0;

	p->at += negative;
	if (!is_digit(*p->at))
		return fail(
			p, start, negative ? "a digit must follow the minus sign" : "a value was expected");
	if (*p->at == '0' && is_digit(p->at[1]))
		return fail(p, start, "a number begins with a zero");
	for (; is_digit(*p->at); p->at++) {
		int digit = *p->at - '0';
		/* Summed downwards, for INT64_MIN has no positive counterpart. */
		if (__builtin_mul_overflow(sum, (int64_t)10, &sum) ||
			__builtin_sub_overflow(sum, (int64_t)digit, &sum)) {
			exact = false;
			sum = 0;
			while (is_digit(p->at[1]))
				p->at++;
		}
	}
	if (*p->at == '.') {
		exact = false;
		if (!is_digit(*++p->at))
			return fail(p, p->at, "a digit must follow the decimal point");
		while (is_digit(*p->at))
			p->at++;
	}
	if (*p->at == 'e' || *p->at == 'E') {
		exact = false;
		p->at++;
		if (*p->at == '+' || *p->at == '-')
			p->at++;
		if (!is_digit(*p->at))
			return fail(p, p->at, "a digit must follow the exponent's sign");
		while (is_digit(*p->at))
			p->at++;
	}
	if (exact && !negative && __builtin_sub_overflow((int64_t)0, sum, &sum))
		exact = false;
	value->type = exact ? JSON_INTEGER : JSON_REAL;
	if (exact)
		value->integer = sum;
	else
		value->string = arena_memdup(p->arena, start, (size_t)(p->at - start));
	return true;
}

static int compare_keys(const void *a, const void *b)
{
	const char *left = *(const char *const *)a, *right = *(const char *const *)b;
	int order = strcmp(left, right);
	return order ? order : (left > right) - (left < right);
}

/* Refuses a repeated name, in n log n for any n. */
static bool check_names(struct parser *p, const struct json *object)
{
	size_t count = object->list.count;

	if (count <= FEW) {
		for (const struct json *a = object->list.first; a; a = a->next)
			for (const struct json *b = a->next; b; b = b->next)
				if (a->key[0] == b->key[0] && !strcmp(a->key, b->key))
					return fail(p, b->key, "a member's name is repeated");
		return true;
	}
	auto_free const char **keys = calloc(count, sizeof *keys);
	if (!keys)
		return err_set(p->e, ERR_NO_SPACE, 0, "%s is too large for the memory", p->what) == 0;
	size_t i = 0;
	for (const struct json *a = object->list.first; a; a = a->next)
		keys[i++] = a->key;
	qsort(keys, count, sizeof *keys, compare_keys);
	for (i = 1; i < count; i++)
		if (!strcmp(keys[i - 1], keys[i]))
			return fail(p, keys[i], "a member's name is repeated");
	return true;
}

static bool parse_value(struct parser *p, struct json *value);

/* An array or an object; p->at stands behind the bracket. */
static bool parse_list(struct parser *p, struct json *value, bool object)
{
	char close = object ? '}' : ']';
	struct json **link = &value->list.first;

	value->type = object ? JSON_OBJECT : JSON_ARRAY;
	if (++p->depth > JSON_DEPTH)
		return fail(p, p->at - 1, "nested too deeply");
	skip_space(p);
	if (*p->at == close) {
		p->at++;
		p->depth--;
		return true;
	}
	for (;;) {
		struct json *item = arena_new(p->arena, struct json);
		if (object) {
			skip_space(p);
			if (*p->at != '"')
				return fail(p, p->at, "a member's name was expected");
			if (!parse_string(p, &item->key))
				return false;
			skip_space(p);
			if (*p->at != ':')
				return fail(p, p->at, "a colon was expected");
			p->at++;
		}
		if (!parse_value(p, item))
			return false;
		*link = item;
		link = &item->next;
		value->list.count++;
		skip_space(p);
		char next = *p->at;
		if (next != ',' && next != close)
			return fail(
				p, p->at, object ? "a comma or } was expected" : "a comma or ] was expected");
		p->at++;
		if (next == close)
			break;
	}
	p->depth--;
	return !object || check_names(p, value);
}

static bool parse_word(struct parser *p, const char *word)
{
	size_t length = strlen(word);
	if (strncmp(p->at, word, length) != 0)
		return fail(p, p->at, "a value was expected");
	p->at += length;
	return true;
}

static bool parse_value(struct parser *p, struct json *value)
{
	if (++p->values > JSON_VALUES)
		return fail(p, p->at, "too many values");
	skip_space(p);
	switch (*p->at) {
	case '{':
		p->at++;
		return parse_list(p, value, true);
	case '[':
		p->at++;
		return parse_list(p, value, false);
	case '"':
		value->type = JSON_STRING;
		return parse_string(p, &value->string);
	case 't':
		value->type = JSON_BOOL;
		value->boolean = true;
		return parse_word(p, "true");
	case 'f':
		value->type = JSON_BOOL;
		return parse_word(p, "false");
	case 'n':
		return parse_word(p, "null");
	default:
		if (p->at == p->end)
			return fail(p, p->at, "it ends too early");
		return parse_number(p, value);
	}
}

struct json *json_parse(struct arena *arena, const char *text, size_t length, const char *what, struct err *e)
{
	struct parser p = {
		.arena = arena,
		.text = arena_memdup(arena, text, length),
		.what = what,
		.e = e,
	};
	p.at = p.text;
	p.end = p.text + length;

	struct json *value = arena_new(arena, struct json);
	if (!parse_value(&p, value))
		return NULL;
	skip_space(&p);
	if (p.at != p.end) {
		fail(&p, p.at, "something follows the value");
		return NULL;
	}
	return value;
}

const struct json *json_first(const struct json *value)
{
	return value && (value->type == JSON_ARRAY || value->type == JSON_OBJECT) ? value->list.first : NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *member = object->list.first; member; member = member->next)
		if (!strcmp(member->key, key))
			return member;
	return NULL;
}

static const struct json *get_typed(const struct json *object, const char *key, enum json_type type)
{
	const struct json *member = json_get(object, key);
	return member && member->type == type ? member : NULL;
}

const char *json_get_string(const struct json *object, const char *key)
{
	const struct json *member = get_typed(object, key, JSON_STRING);
	return member ? member->string : NULL;
}

const struct json *json_get_object(const struct json *object, const char *key)
{
	return get_typed(object, key, JSON_OBJECT);
}

const struct json *json_get_array(const struct json *object, const char *key)
{
	return get_typed(object, key, JSON_ARRAY);
}

int64_t json_get_integer(const struct json *object, const char *key, int64_t otherwise)
{
	const struct json *member = get_typed(object, key, JSON_INTEGER);
	return member ? member->integer : otherwise;
}

bool json_get_bool(const struct json *object, const char *key, bool otherwise)
{
	const struct json *member = get_typed(object, key, JSON_BOOL);
	return member ? member->boolean : otherwise;
}

/* The writer. */

static void put_quoted(struct json_writer *w, const char *bytes, size_t length)
{
	static const char hex[] = "0123456789abcdef";
	struct buf *out = w->out;
	const char *run = bytes, *at = bytes, *end = bytes + length;

	buf_append(out, "\"", 1);
	while (at < end) {
		unsigned char c = (unsigned char)*at;
		unsigned char class = string_class[c];
		char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		size_t escape_length = 0, taken = 1;

		if (class == PLAIN) {
			if (w->escape_html && (c == '<' || c == '>' || c == '&'))
				escape_length = 6;
		} else if (class == END || class == ESCAPE) {
			escape[1] = (char)c;
			escape_length = 2;
		} else if (class == CONTROL) {
			const char *letter = c ? strchr("\bb\ff\nn\rr\tt", c) : NULL;
			escape_length = 6;
			if (letter) {
				escape[1] = letter[1];
				escape_length = 2;
			}
		} else {
			taken = utf8_length((const unsigned char *)at, (size_t)(end - at));
			if (!taken) {
				taken = 1;
				escape_length = 6;
				memcpy(escape, w->keep_bytes ? "\\udc" : "\\ufffd", w->keep_bytes ? 4 : 6);
			} else if (taken == 3 && !memcmp(at, "\xe2\x80", 2) &&
				   ((unsigned char)at[2] & 0xfe) == 0xa8) {
				/* U+2028 and U+2029 end a line in JavaScript; Go escapes them too. */
				escape_length = 6;
				memcpy(escape, at[2] & 1 ? "\\u2029" : "\\u2028", 6);
			}
		}
		if (escape_length) {
			buf_append(out, run, (size_t)(at - run));
			buf_append(out, escape, escape_length);
			run = at + taken;
		}
		at += taken;
	}
	buf_append(out, run, (size_t)(at - run));
	buf_append(out, "\"", 1);
}

static void break_line(struct json_writer *w)
{
	if (w->indent <= 0)
		return;
	size_t width = (size_t)w->indent * (size_t)w->depth;
	char *to = buf_reserve(w->out, width + 1);
	to[0] = '\n';
	memset(to + 1, ' ', width);
	to[width + 1] = '\0';
	w->out->length += width + 1;
}

/* What stands before a value: comma, line break, name. */
static void begin_value(struct json_writer *w, const char *key)
{
	if (w->filled)
		buf_append(w->out, ",", 1);
	if (w->depth)
		break_line(w);
	w->filled = true;
	if (key) {
		put_quoted(w, key, strlen(key));
		buf_append(w->out, ": ", w->indent > 0 ? 2 : 1);
	}
}

static void begin_list(struct json_writer *w, const char *key, const char *bracket)
{
	begin_value(w, key);
	buf_append(w->out, bracket, 1);
	w->depth++;
	w->filled = false;
}

static void end_list(struct json_writer *w, const char *bracket)
{
	w->depth--;
	if (w->filled)
		break_line(w);
	buf_append(w->out, bracket, 1);
	/* At the top nothing follows, and the writer can be used for another document. */
	w->filled = w->depth > 0;
}

void json_begin_object(struct json_writer *w, const char *key)
{
	begin_list(w, key, "{");
}

void json_end_object(struct json_writer *w)
{
	end_list(w, "}");
}

void json_begin_array(struct json_writer *w, const char *key)
{
	begin_list(w, key, "[");
}

void json_end_array(struct json_writer *w)
{
	end_list(w, "]");
}

static void put_raw(struct json_writer *w, const char *key, const char *text)
{
	begin_value(w, key);
	buf_string(w->out, text);
	w->filled = w->depth > 0;
}

void json_put_bytes(struct json_writer *w, const char *key, const char *bytes, size_t length)
{
	begin_value(w, key);
	put_quoted(w, bytes, length);
	w->filled = w->depth > 0;
}

void json_put_string(struct json_writer *w, const char *key, const char *value)
{
	if (value)
		json_put_bytes(w, key, value, strlen(value));
	else
		json_put_null(w, key);
}

void json_put_integer(struct json_writer *w, const char *key, int64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)value);
	put_raw(w, key, text);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
	put_raw(w, key, value ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
	put_raw(w, key, "null");
}

/* The shortest digits that read back as the same double, laid out as Go does it: with an
 * exponent below 1e-6 and from 1e21 on. */
void json_put_real(struct json_writer *w, const char *key, double value)
{
	char text[48];

	if (!isfinite(value)) {
		json_put_null(w, key);
		return;
	}
	int digits = 1;
	for (; digits < 17; digits++) {
		snprintf(text, sizeof text, "%.*e", digits - 1, value);
		if (strtod(text, NULL) == value)
			break;
	}
	snprintf(text, sizeof text, "%.*e", digits - 1, value);
	const char *e = strchr(text, 'e');
	long exponent = e ? strtol(e + 1, NULL, 10) : 0;
	if (value == 0 || (exponent >= -6 && exponent < 21)) {
		int decimals = digits - 1 - (int)exponent;
		snprintf(text, sizeof text, "%.*f", decimals > 0 ? decimals : 0, value);
	} else {
		size_t head = e ? (size_t)(e - text) : 0;
		snprintf(text + head, sizeof text - head, "e%c%ld", exponent < 0 ? '-' : '+', labs(exponent));
	}
	put_raw(w, key, text);
}

void json_put_tree(struct json_writer *w, const char *key, const struct json *value)
{
	switch (value ? value->type : JSON_NULL) {
	case JSON_NULL:
		json_put_null(w, key);
		break;
	case JSON_BOOL:
		json_put_bool(w, key, value->boolean);
		break;
	case JSON_INTEGER:
		json_put_integer(w, key, value->integer);
		break;
	case JSON_REAL:
		put_raw(w, key, value->string);
		break;
	case JSON_STRING:
		json_put_string(w, key, value->string);
		break;
	case JSON_ARRAY:
		json_begin_array(w, key);
		json_for_each (item, value)
			json_put_tree(w, NULL, item);
		json_end_array(w);
		break;
	case JSON_OBJECT:
		json_begin_object(w, key);
		json_for_each (member, value)
			json_put_tree(w, member->key, member);
		json_end_object(w);
		break;
	}
}

void json_put_strings(struct json_writer *w, const char *key, const char *const *list)
{
	json_begin_array(w, key);
	for (; list && *list; list++)
		json_put_string(w, NULL, *list);
	json_end_array(w);
}
