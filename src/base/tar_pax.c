/* tar_pax.c - pax headers, as POSIX.1-2017 pax(1) has them, with GNU's and star's records. */
#include "base/tar_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool tar_decimal(const char **text, uint64_t *out)
{
	const char *p = *text;
	uint64_t value = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	}
	*text = p;
	*out = value;
	return value <= INT64_MAX;
}

bool tar_whole_decimal(const char *text, uint64_t *out)
{
	return tar_decimal(&text, out) && *text == '\0';
}

/* [-]seconds[.fraction], rounded down to nanoseconds. */
static bool pax_time(const char *text, int64_t *seconds, uint32_t *nanoseconds)
{
	bool negative = *text == '-';
	uint64_t whole;
	uint32_t fraction = 0;
	bool more = false;

	text += negative;
	if (!tar_decimal(&text, &whole))
		return false;
	if (*text == '.') {
		uint32_t unit = 100000000;
		for (text++; *text >= '0' && *text <= '9'; text++) {
			fraction += unit * (uint32_t)(*text - '0');
			more |= unit == 0 && *text != '0';
			unit /= 10;
		}
	}
	if (*text)
		return false;
	*seconds = negative ? -(int64_t)whole : (int64_t)whole;
	if (negative && more)
		fraction++;
	if (negative && fraction) {
		(*seconds)--;
		fraction = 1000000000 - fraction;
	}
	*nanoseconds = fraction;
	return true;
}

static int add_xattr(struct tar_reader *r, const char *name, const char *value, size_t size, struct err *e)
{
	size_t length = strlen(name);

	if (length == 0 || length > TAR_XATTR_NAME_LIMIT)
		return tar_damaged(r, e, "an extended attribute's name has %zu bytes", length);
	if (size > TAR_XATTR_LIMIT)
		return tar_damaged(r, e, "an extended attribute has %zu bytes", size);
	if (r->xattr_count == r->xattr_room) {
		size_t room = r->xattr_room ? r->xattr_room * 2 : 8;
		struct tar_xattr *grown = reallocarray(r->xattrs, room, sizeof *grown);
		if (!grown)
			return err_errno(e, ENOMEM, "cannot read the archive");
		r->xattrs = grown;
		r->xattr_room = room;
	}
	r->xattrs[r->xattr_count++] = (struct tar_xattr){name, value, size};
	return 0;
}

static int pax_sparse_record(
	struct tar_reader *r, const char *key, const char *value, struct tar_pax *out, struct err *e)
{
	uint64_t number;

	out->has_sparse = true;
	if (!strcmp(key, "name")) {
		out->sparse_name = value;
		return 0;
	}
	if (!strcmp(key, "map")) {
		out->sparse_map = value;
		return 0;
	}
	if (!tar_whole_decimal(value, &number))
		return tar_damaged(r, e, "a sparse file's map is malformed");
	if (!strcmp(key, "major")) {
		out->sparse_major = number;
	} else if (!strcmp(key, "minor")) {
		out->sparse_minor = number;
	} else if (!strcmp(key, "realsize") || !strcmp(key, "size")) {
		out->sparse_size = number;
		out->has_sparse_size = true;
	} else if (!strcmp(key, "offset")) {
		return tar_add_extent(r, number, UINT64_MAX, e);
	} else if (!strcmp(key, "numbytes")) {
		/* Format 0.0: each belongs to the offset before it. */
		if (!r->extent_count || r->extents[r->extent_count - 1].size != UINT64_MAX)
			return tar_damaged(r, e, "a sparse file's map is malformed");
		r->extents[r->extent_count - 1].size = number;
	}
	return 0;
}

/* One record; value has size bytes and a NUL after them. */
static int pax_record(struct tar_reader *r, const char *key, const char *value, size_t size,
	struct tar_pax *out, bool global, struct err *e)
{
	static const char xattr_prefix[] = "SCHILY.xattr.", sparse_prefix[] = "GNU.sparse.";
	uint64_t number;

	if (!strncmp(key, xattr_prefix, sizeof xattr_prefix - 1))
		return global ? 0 : add_xattr(r, key + sizeof xattr_prefix - 1, value, size, e);
	bool text = !strcmp(key, "path") || !strcmp(key, "linkpath");
	if ((text || !strncmp(key, "GNU.sparse.", 11)) && strlen(value) != size)
		return tar_damaged(r, e, "a name holds a NUL");
	if (!strncmp(key, sparse_prefix, sizeof sparse_prefix - 1))
		return global ? 0 : pax_sparse_record(r, key + sizeof sparse_prefix - 1, value, out, e);

	/* An empty value takes back what a header before has said. */
	if (!strcmp(key, "path")) {
		out->path = size && !global ? value : NULL;
	} else if (!strcmp(key, "linkpath")) {
		out->link = size && !global ? value : NULL;
	} else if (!strcmp(key, "size")) {
		if (size && !tar_whole_decimal(value, &number))
			return tar_damaged(r, e, "a size is malformed");
		out->has_size = size && !global;
		out->size = size ? number : 0;
	} else if (!strcmp(key, "uid")) {
		if (size && (!tar_whole_decimal(value, &number) || !tar_id_fits((int64_t)number)))
			return tar_damaged(r, e, "a user id is malformed");
		out->has_uid = size;
		out->uid = size ? (uint32_t)number : 0;
	} else if (!strcmp(key, "gid")) {
		if (size && (!tar_whole_decimal(value, &number) || !tar_id_fits((int64_t)number)))
			return tar_damaged(r, e, "a group id is malformed");
		out->has_gid = size;
		out->gid = size ? (uint32_t)number : 0;
	} else if (!strcmp(key, "mtime")) {
		if (size && !pax_time(value, &out->mtime, &out->mtime_nanoseconds))
			return tar_damaged(r, e, "a time is malformed");
		out->has_mtime = size;
	}
	return 0;
}

int tar_pax_parse(struct tar_reader *r, struct buf *text, struct tar_pax *out, bool global, struct err *e)
{
	char *p = text->data, *end = text->data + text->length;

	while (p < end) {
		const char *digits = p;
		uint64_t length;
		if (!tar_decimal(&digits, &length) || *digits != ' ' || length > (uint64_t)(end - p))
			return tar_damaged(r, e, "an extended header is malformed");
		char *record_end = p + length;
		char *key = p + (digits - p) + 1;
		if (key >= record_end || record_end[-1] != '\n')
			return tar_damaged(r, e, "an extended header is malformed");
		char *equals = memchr(key, '=', (size_t)(record_end - 1 - key));
		if (!equals || equals == key || memchr(key, '\0', (size_t)(equals - key)))
			return tar_damaged(r, e, "an extended header is malformed");
		*equals = '\0';
		record_end[-1] = '\0';
		int rc = pax_record(
			r, key, equals + 1, (size_t)(record_end - 1 - (equals + 1)), out, global, e);
		/* Put back, for a global header is read again. */
		if (global) {
			*equals = '=';
			record_end[-1] = '\n';
		}
		if (rc < 0)
			return -1;
		p = record_end;
	}
	return 0;
}
