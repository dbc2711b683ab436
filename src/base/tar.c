/*
 * tar.c - reading tar archives.
 *
 * An archive is 512-byte blocks: a header, the data padded to whole blocks, the next
 * header, …, two empty blocks. Headers of type x (pax) and L, K (GNU) hold what does not
 * fit into the one that follows them; g holds defaults for all that follow. The formats:
 * POSIX.1-2017 pax(1), the GNU tar manual's appendix on tar internals, star(5). Where
 * readers differ in what they make of an archive we do as Go's archive/tar, since it is
 * what made and will read most layers: what is no file has no data whatever its size field
 * says, and a later extended header replaces an earlier one. Where that reader would guess,
 * we refuse.
 *
 * A crafted number may be anything: sizes are checked to be no more than their limit
 * before they are added to or multiplied.
 */
#include "base/tar_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t tar_offset(const struct tar_reader *r)
{
	return r->offset;
}

int tar_damaged(const struct tar_reader *r, struct err *e, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	return err_set(e, ERR_INVALID, 0, "the archive cannot be unpacked: %s (at byte %llu)", text,
		(unsigned long long)r->offset);
}

struct tar_reader *tar_open(tar_read_function *read, void *context, struct err *e)
{
	struct tar_reader *r = calloc(1, sizeof *r);
	unsigned char *buffer = malloc(TAR_READ_SIZE);

	if (!r || !buffer) {
		free(r);
		free(buffer);
		err_errno(e, ENOMEM, "cannot read an archive");
		return NULL;
	}
	r->read = read;
	r->context = context;
	r->buffer = buffer;
	return r;
}

void tar_close(struct tar_reader *r)
{
	if (!r)
		return;
	buf_free(&r->pax);
	buf_free(&r->global);
	buf_free(&r->long_name);
	buf_free(&r->long_link);
	free(r->extents);
	free(r->xattrs);
	free(r->buffer);
	free(r);
}

/* Bytes. */

ssize_t tar_fill(struct tar_reader *r, size_t size, struct err *e)
{
	while (r->end - r->start < size && !r->finished) {
		if (r->start == r->end) {
			r->start = r->end = 0;
		} else if (TAR_READ_SIZE - r->start < size) {
			memmove(r->buffer, r->buffer + r->start, r->end - r->start);
			r->end -= r->start;
			r->start = 0;
		}
		ssize_t n = r->read(r->context, r->buffer + r->end, TAR_READ_SIZE - r->end);
		if (n < 0)
			return err_errno(e, (int)n, "cannot read the archive");
		if (n == 0)
			r->finished = true;
		r->end += (size_t)n;
	}
	return (ssize_t)(r->end - r->start);
}

void tar_take(struct tar_reader *r, size_t size)
{
	r->start += size;
	r->offset += size;
}

int tar_truncated(const struct tar_reader *r, struct err *e)
{
	return tar_damaged(r, e, "it ends too early");
}

const struct tar_header *tar_next_block(struct tar_reader *r, int *status, struct err *e)
{
	ssize_t n = tar_fill(r, TAR_BLOCK_SIZE, e);
	*status = -1;
	if (n < 0)
		return NULL;
	if (n == 0) {
		*status = 0;
		return NULL;
	}
	if (n < TAR_BLOCK_SIZE) {
		tar_truncated(r, e);
		return NULL;
	}
	const struct tar_header *block = (const void *)(r->buffer + r->start);
	tar_take(r, TAR_BLOCK_SIZE);
	return block;
}

int tar_skip(struct tar_reader *r, uint64_t size, struct err *e)
{
	while (size) {
		ssize_t n = tar_fill(r, 1, e);
		if (n < 0)
			return -1;
		if (n == 0)
			return tar_truncated(r, e);
		size_t part = (uint64_t)n < size ? (size_t)n : (size_t)size;
		tar_take(r, part);
		size -= part;
	}
	return 0;
}

/* Reads an extended header's data into out. */
static int collect(struct tar_reader *r, uint64_t size, size_t limit, struct buf *out, struct err *e)
{
	out->length = 0;
	if (size > limit)
		return tar_damaged(r, e, "an extended header has %llu bytes", (unsigned long long)size);
	for (uint64_t left = size; left;) {
		ssize_t n = tar_fill(r, 1, e);
		if (n < 0)
			return -1;
		if (n == 0)
			return tar_truncated(r, e);
		size_t part = (uint64_t)n < left ? (size_t)n : (size_t)left;
		buf_append(out, r->buffer + r->start, part);
		tar_take(r, part);
		left -= part;
	}
	buf_append(out, "", 0);
	return tar_skip(r, (TAR_BLOCK_SIZE - size % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE, e);
}

/* Numbers. */

/* A header's number: octal digits between spaces and NULs, or base 256 with the top bit
 * set, negative with the next one set. */
static bool header_number(const char *field, size_t size, int64_t *out)
{
	const unsigned char *p = (const unsigned char *)field;
	uint64_t value = 0;

	if (p[0] & 0x80) {
		unsigned char flip = p[0] & 0x40 ? 0xff : 0;
		for (size_t i = 0; i < size; i++) {
			unsigned char c = p[i] ^ flip;
			if (i == 0)
				c &= 0x7f;
			if (value >> 55)
				return false;
			value = value << 8 | c;
		}
		*out = flip ? (int64_t)~value : (int64_t)value;
		return true;
	}
	while (size && (*p == ' ' || *p == '\0'))
		p++, size--;
	for (; size && *p >= '0' && *p <= '7'; p++, size--) {
		if (value >> 60)
			return false;
		value = value << 3 | (uint64_t)(*p - '0');
	}
	for (; size; p++, size--) {
		if (*p != ' ' && *p != '\0')
			return false;
	}
	*out = (int64_t)value;
	return true;
}

bool tar_header_size(const char *field, uint64_t *out)
{
	int64_t value;
	if (!header_number(field, 12, &value) || value < 0)
		return false;
	*out = (uint64_t)value;
	return true;
}

bool tar_id_fits(int64_t value)
{
	return value >= 0 && value < UINT32_MAX;
}

/* Entries. */

/* Of bytes as they are, or of signed ones, with spaces where the sum itself stands. */
static int64_t checksum(const struct tar_header *header, bool with_sign)
{
	const unsigned char *p = (const void *)header;
	const size_t from = offsetof(struct tar_header, checksum);
	int32_t sum = ' ' * (int32_t)sizeof header->checksum;
	const int32_t flip = with_sign ? 0x80 : 0;

	/* All first, without a branch, so that the compiler takes many at once. */
	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
		sum += (p[i] ^ flip) - flip;
	for (size_t i = from; i < from + sizeof header->checksum; i++)
		sum -= (p[i] ^ flip) - flip;
	return sum;
}

static bool checksum_holds(const struct tar_header *header)
{
	int64_t said;

	/* Some old programs summed signed characters. */
	return header_number(header->checksum, sizeof header->checksum, &said) &&
	       (said == checksum(header, false) || said == checksum(header, true));
}

static bool is_empty(const struct tar_header *header)
{
	static const struct tar_header empty;
	return !memcmp(header, &empty, sizeof empty);
}

/* Copies a name that ends with a NUL or with its field. */
static size_t field_text(char *out, const char *field, size_t size)
{
	size_t length = strnlen(field, size);
	memcpy(out, field, length);
	out[length] = '\0';
	return length;
}

static int set_text(const struct tar_reader *r, char out[TAR_PATH_LIMIT + 1], const char *text, struct err *e)
{
	size_t length = strlen(text);
	if (length > TAR_PATH_LIMIT)
		return tar_damaged(r, e, "a name has %zu bytes", length);
	memcpy(out, text, length + 1);
	return 0;
}

/* The names in the header itself. */
static void header_names(struct tar_reader *r, const struct tar_header *header)
{
	size_t length = 0;

	if (!memcmp(header->magic, "ustar\0", 6)) {
		/* star keeps times behind a shorter prefix. */
		bool star = !memcmp(header->rest + 8, "tar", 4);
		length = field_text(r->path, header->prefix, star ? 131 : sizeof header->prefix);
		if (length)
			r->path[length++] = '/';
	}
	field_text(r->path + length, header->name, sizeof header->name);
	field_text(r->link, header->link, sizeof header->link);
}

static bool entry_type(char type, enum tar_type *out)
{
	switch (type) {
	case '\0':
	case '0':
	case '7': /* "contiguous", a file to everybody */
	case 'S':
		*out = TAR_FILE;
		return true;
	case '1':
		*out = TAR_HARDLINK;
		return true;
	case '2':
		*out = TAR_SYMLINK;
		return true;
	case '3':
		*out = TAR_CHARACTER;
		return true;
	case '4':
		*out = TAR_BLOCK;
		return true;
	case '5':
		*out = TAR_DIRECTORY;
		return true;
	case '6':
		*out = TAR_FIFO;
		return true;
	default:
		return false;
	}
}

/* Numbers that every entry has. */
static int header_metadata(
	struct tar_reader *r, const struct tar_header *header, struct tar_entry *out, struct err *e)
{
	int64_t mode, uid, gid;

	if (!header_number(header->mode, sizeof header->mode, &mode) ||
		!header_number(header->uid, sizeof header->uid, &uid) || !tar_id_fits(uid) ||
		!header_number(header->gid, sizeof header->gid, &gid) || !tar_id_fits(gid) ||
		!header_number(header->mtime, sizeof header->mtime, &out->mtime))
		return tar_damaged(r, e, "a header holds a malformed number");
	out->mode = (mode_t)(mode & 07777);
	out->uid = (uint32_t)uid;
	out->gid = (uint32_t)gid;
	if (out->type == TAR_CHARACTER || out->type == TAR_BLOCK) {
		int64_t major, minor;
		if (!header_number(header->major, sizeof header->major, &major) || !tar_id_fits(major) ||
			!header_number(header->minor, sizeof header->minor, &minor) || !tar_id_fits(minor))
			return tar_damaged(r, e, "a device number is malformed");
		out->major = (uint32_t)major;
		out->minor = (uint32_t)minor;
	}
	return 0;
}

/* Puts together what the header and those before it say. */
static int make_entry(
	struct tar_reader *r, const struct tar_header *from, struct tar_entry *out, struct err *e)
{
	/* A copy: reading on moves the buffer. */
	const struct tar_header header = *from;
	struct tar_entry entry = {.path = r->path, .link = r->link};
	struct tar_pax pax = {0};
	uint64_t size;

	if (!entry_type(header.type, &entry.type)) {
		char type[8], shown[8];
		snprintf(type, sizeof type, "%c", header.type);
		return tar_damaged(r, e, "it holds an entry of the unknown type \"%s\"",
			err_sanitize(shown, sizeof shown, type));
	}
	r->extent_count = 0;
	r->xattr_count = 0;
	if ((r->global.length && tar_pax_parse(r, &r->global, &pax, true, e) < 0) ||
		(r->has_pax && tar_pax_parse(r, &r->pax, &pax, false, e) < 0))
		return -1;

	header_names(r, &header);
	if ((pax.path && set_text(r, r->path, pax.path, e) < 0) ||
		(pax.link && set_text(r, r->link, pax.link, e) < 0) ||
		(pax.sparse_name && set_text(r, r->path, pax.sparse_name, e) < 0) ||
		(r->has_long_name && set_text(r, r->path, r->long_name.data, e) < 0) ||
		(r->has_long_link && set_text(r, r->link, r->long_link.data, e) < 0))
		return -1;
	size_t length = strlen(r->path);
	if (header.type == '\0' && length && r->path[length - 1] == '/')
		entry.type = TAR_DIRECTORY;

	if (header_metadata(r, &header, &entry, e) < 0)
		return -1;
	if (pax.has_uid)
		entry.uid = pax.uid;
	if (pax.has_gid)
		entry.gid = pax.gid;
	if (pax.has_mtime) {
		entry.mtime = pax.mtime;
		entry.mtime_nanoseconds = pax.mtime_nanoseconds;
	}
	if (!tar_header_size(header.size, &size))
		return tar_damaged(r, e, "a size is malformed");
	if (pax.has_size)
		size = pax.size;
	if (entry.type == TAR_FILE) {
		if (size > TAR_SIZE_LIMIT)
			return tar_damaged(r, e, "a file is too large");
		r->left = size;
		r->padding = (unsigned)((TAR_BLOCK_SIZE - size % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE);
		if ((pax.has_sparse || header.type == 'S') &&
			tar_sparse_apply(r, &header, &pax, &size, e) < 0)
			return -1;
		entry.size = size;
	}
	entry.xattrs = r->xattrs;
	entry.xattr_count = r->xattr_count;
	*out = entry;
	return 1;
}

/* What follows the last entry is read, for whoever hashes the stream, and means nothing. */
static int read_to_end(struct tar_reader *r, struct err *e)
{
	for (;;) {
		ssize_t n = tar_fill(r, 1, e);
		if (n <= 0)
			return (int)n;
		tar_take(r, (size_t)n);
	}
}

int tar_next(struct tar_reader *r, struct tar_entry *entry, struct err *e)
{
	if (tar_skip(r, r->left + r->padding, e) < 0)
		return -1;
	r->left = r->position = r->extent_done = 0;
	r->padding = 0;
	r->extent = 0;
	r->sparse = r->has_pax = r->has_long_name = r->has_long_link = false;
	for (;;) {
		int status;
		uint64_t size;
		const struct tar_header *header = tar_next_block(r, &status, e);
		bool begun = r->has_pax || r->has_long_name || r->has_long_link;
		if (!header) {
			/* An end without empty blocks: GNU tar and Go let it pass. */
			return status == 0 && begun ? tar_truncated(r, e) : status;
		}
		if (is_empty(header)) {
			header = tar_next_block(r, &status, e);
			if (!header && status < 0)
				return -1;
			if (begun || (header && !is_empty(header)))
				return tar_damaged(r, e, "an empty block stands between entries");
			return read_to_end(r, e);
		}
		if (!checksum_holds(header))
			return tar_damaged(r, e, "a header's checksum is wrong");
		if (++r->entries > TAR_ENTRY_LIMIT)
			return tar_damaged(r, e, "it has more than %d entries", TAR_ENTRY_LIMIT);
		char type = header->type;
		if (type != 'x' && type != 'X' && type != 'g' && type != 'L' && type != 'K' && type != 'V')
			return make_entry(r, header, entry, e);
		if (!tar_header_size(header->size, &size))
			return tar_damaged(r, e, "a size is malformed");
		switch (type) {
		case 'x':
		case 'X': /* Solaris */
			if (collect(r, size, TAR_PAX_LIMIT, &r->pax, e) < 0)
				return -1;
			r->has_pax = true;
			break;
		case 'g':
			if (collect(r, size, TAR_PAX_LIMIT, &r->global, e) < 0)
				return -1;
			break;
		case 'L':
			if (collect(r, size, TAR_LONG_NAME_LIMIT, &r->long_name, e) < 0)
				return -1;
			r->has_long_name = true;
			break;
		case 'K':
			if (collect(r, size, TAR_LONG_NAME_LIMIT, &r->long_link, e) < 0)
				return -1;
			r->has_long_link = true;
			break;
		default: /* V: the volume's name */
			if (collect(r, size, TAR_LONG_NAME_LIMIT, &r->pax, e) < 0)
				return -1;
			r->has_pax = false;
		}
	}
}

ssize_t tar_data(struct tar_reader *r, const void **bytes, uint64_t *offset, struct err *e)
{
	uint64_t want = r->left;

	if (!want)
		return 0;
	if (r->sparse) {
		/* The map was checked to hold exactly the bytes that are left. */
		while (r->extent_done == r->extents[r->extent].size) {
			r->extent++;
			r->extent_done = 0;
		}
		const struct tar_extent *part = &r->extents[r->extent];
		want = part->size - r->extent_done;
		r->position = part->offset + r->extent_done;
	}
	ssize_t n = tar_fill(r, 1, e);
	if (n < 0)
		return -1;
	if (n == 0)
		return tar_truncated(r, e);
	if ((uint64_t)n > want)
		n = (ssize_t)want;
	*bytes = r->buffer + r->start;
	*offset = r->position;
	tar_take(r, (size_t)n);
	r->left -= (uint64_t)n;
	r->position += (uint64_t)n;
	r->extent_done += (uint64_t)n;
	return n;
}
