/*
 * json.h - JSON documents: a tree in an arena, and a streaming writer.
 *
 * The parser takes RFC 8259 strictly: UTF-8 only, no trailing bytes, nesting bounded by
 * JSON_DEPTH, the number of values by JSON_VALUES (a value takes some 50 bytes, so that a
 * hostile "[0,0,…" stays affordable); a repeated member name is refused (two readers would disagree on which
 * counts). Integers that fit are exact int64; other numbers keep their text. Member
 * order is kept. Strings may hold no NUL (a "\u0000" is refused), so they are plain C
 * strings.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define JSON_DEPTH  64
#define JSON_VALUES 1000000

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_INTEGER,
	JSON_REAL, /* a fraction, an exponent, or past int64: `string` is its text */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json {
	enum json_type type;
	const char *key; /* the member's name where the parent is an object, else NULL */
	union {
		bool boolean;
		int64_t integer;
		const char *string;
		struct {
			struct json *first;
			size_t count;
		} list; /* an array's elements, an object's members */
	};
	struct json *next;
};

/* Parses a whole document. what is its name for the error message ("manifest").
 * Fails with ERR_INVALID and the byte offset. The tree and its strings are the arena's. */
struct json *json_parse(
	struct arena *arena, const char *text, size_t length, const char *what, struct err *e);

/* Walks an array or an object; does nothing where list is NULL or neither. */
#define json_for_each(item, array) for (const struct json *item = json_first(array); item; item = item->next)

/* The first child, or NULL; takes NULL. */
const struct json *json_first(const struct json *value);
/* A member by name, or NULL where it is missing or object is no object. Takes NULL. */
const struct json *json_get(const struct json *object, const char *key);
/* A member of that type, or NULL where it is missing, null, or of another type. */
const char *json_get_string(const struct json *object, const char *key);
const struct json *json_get_object(const struct json *object, const char *key);
const struct json *json_get_array(const struct json *object, const char *key);
/* A member's value, or otherwise where it is missing or of another type. */
int64_t json_get_integer(const struct json *object, const char *key, int64_t otherwise);
bool json_get_bool(const struct json *object, const char *key, bool otherwise);

/*
 * The writer: zero the struct, set out. Commas, quotes and escapes are its business; key
 * is NULL inside an array and at the top. With indent > 0 lines are broken as docker's
 * inspect does it (4 spaces a level when indent is 4). `escape_html` writes <, > and &
 * as \u003c and so on, as Go's encoder does.
 */
struct json_writer {
	struct buf *out;
	int indent;
	bool escape_html;
	bool keep_bytes; /* a byte that is not UTF-8 becomes \udc80 to \udcff instead of U+FFFD */
	int depth;
	bool filled; /* the innermost container has a member already */
};

void json_begin_object(struct json_writer *w, const char *key);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w, const char *key);
void json_end_array(struct json_writer *w);
void json_put_string(struct json_writer *w, const char *key, const char *value); /* NULL is null */
void json_put_bytes(struct json_writer *w, const char *key, const char *bytes,
	size_t length); /* bad UTF-8 becomes U+FFFD */
void json_put_integer(struct json_writer *w, const char *key, int64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
void json_put_real(struct json_writer *w, const char *key, double value);
/* Writes a parsed tree again, under key. */
void json_put_tree(struct json_writer *w, const char *key, const struct json *value);
/* ["a", "b"]; list may be NULL and ends with NULL. */
void json_put_strings(struct json_writer *w, const char *key, const char *const *list);

#endif
