/*
 * tar_sparse.c - the maps of sparse files.
 *
 * GNU tar has four ways to say which parts of a file the data are: its old one (type S,
 * rows in the header and in blocks after it) and, in pax headers, 0.0 (offset and numbytes
 * again and again), 0.1 (all in one record) and 1.0 (lines of digits before the data). All
 * become the reader's list of extents.
 */
#include "base/tar_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where GNU's old sparse files (type S) keep their map instead of a prefix. */
enum {
	SPARSE_AT = 386,
	SPARSE_ROWS = 4,
	SPARSE_MORE_AT = 482,
	SPARSE_SIZE_AT = 483,
	SPARSE_NEXT_ROWS = 21,
	SPARSE_NEXT_MORE_AT = 504,
	SPARSE_ROW = 24,
};

int tar_add_extent(struct tar_reader *r, uint64_t offset, uint64_t size, struct err *e)
{
	if (r->extent_count == TAR_SPARSE_LIMIT)
		return tar_damaged(r, e, "a sparse file has more than %d parts", TAR_SPARSE_LIMIT);
	if (r->extent_count == r->extent_room) {
		size_t room = r->extent_room ? r->extent_room * 2 : 64;
		struct tar_extent *grown = reallocarray(r->extents, room, sizeof *grown);
		if (!grown)
			return err_errno(e, ENOMEM, "cannot read the archive");
		r->extents = grown;
		r->extent_room = room;
	}
	r->extents[r->extent_count++] = (struct tar_extent){offset, size};
	return 0;
}

/* Rows of GNU's old map; an empty row ends it. */
static int old_sparse_rows(struct tar_reader *r, const unsigned char *row, size_t rows, struct err *e)
{
	for (; rows && *row; rows--, row += SPARSE_ROW) {
		uint64_t offset, size;
		if (!tar_header_size((const char *)row, &offset) ||
			!tar_header_size((const char *)row + 12, &size))
			return tar_damaged(r, e, "a sparse file's map is malformed");
		if (tar_add_extent(r, offset, size, e) < 0)
			return -1;
	}
	return 0;
}

static int old_sparse_map(
	struct tar_reader *r, const struct tar_header *header, uint64_t *size, struct err *e)
{
	const unsigned char *block = (const void *)header;
	bool more = block[SPARSE_MORE_AT];

	r->extent_count = 0;
	if (!tar_header_size((const char *)block + SPARSE_SIZE_AT, size))
		return tar_damaged(r, e, "a sparse file's size is malformed");
	if (old_sparse_rows(r, block + SPARSE_AT, SPARSE_ROWS, e) < 0)
		return -1;
	/* Each extension costs a block of the archive, but empty ones would not run
	 * into the limit on extents. */
	for (unsigned blocks = 0; more; blocks++) {
		int status;
		block = (const void *)tar_next_block(r, &status, e);
		if (!block)
			return status < 0 ? -1 : tar_truncated(r, e);
		if (blocks > TAR_SPARSE_LIMIT / SPARSE_NEXT_ROWS)
			return tar_damaged(r, e, "a sparse file has more than %d parts", TAR_SPARSE_LIMIT);
		more = block[SPARSE_NEXT_MORE_AT];
		if (old_sparse_rows(r, block, SPARSE_NEXT_ROWS, e) < 0)
			return -1;
	}
	return 0;
}

/* Format 0.1: "offset,size,offset,size". */
static int text_sparse_map(struct tar_reader *r, const char *text, struct err *e)
{
	r->extent_count = 0;
	while (*text) {
		uint64_t offset, size;
		if (!tar_decimal(&text, &offset) || *text++ != ',' || !tar_decimal(&text, &size) ||
			(*text && (*text++ != ',' || !*text)))
			return tar_damaged(r, e, "a sparse file's map is malformed");
		if (tar_add_extent(r, offset, size, e) < 0)
			return -1;
	}
	return 0;
}

/* One line of format 1.0's map, which lies before the data: decimal digits. */
static int sparse_line(struct tar_reader *r, uint64_t *out, struct err *e)
{
	char line[24];
	size_t length = 0;

	for (;;) {
		if (!r->left)
			return tar_damaged(r, e, "a sparse file's map is longer than its data");
		ssize_t n = tar_fill(r, 1, e);
		if (n <= 0)
			return n < 0 ? -1 : tar_truncated(r, e);
		char c = (char)r->buffer[r->start];
		tar_take(r, 1);
		r->left--;
		if (c == '\n')
			break;
		if (length == sizeof line - 1)
			return tar_damaged(r, e, "a sparse file's map is malformed");
		line[length++] = c;
	}
	line[length] = '\0';
	return tar_whole_decimal(line, out) ? 0 : tar_damaged(r, e, "a sparse file's map is malformed");
}

static int data_sparse_map(struct tar_reader *r, struct err *e)
{
	uint64_t before = r->left, count;

	r->extent_count = 0;
	if (sparse_line(r, &count, e) < 0)
		return -1;
	if (count > TAR_SPARSE_LIMIT)
		return tar_damaged(r, e, "a sparse file has more than %d parts", TAR_SPARSE_LIMIT);
	while (count--) {
		uint64_t offset, size;
		if (sparse_line(r, &offset, e) < 0 || sparse_line(r, &size, e) < 0 ||
			tar_add_extent(r, offset, size, e) < 0)
			return -1;
	}
	uint64_t fill_up = (TAR_BLOCK_SIZE - (before - r->left) % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE;
	if (fill_up > r->left)
		return tar_damaged(r, e, "a sparse file's map is longer than its data");
	r->left -= fill_up;
	return tar_skip(r, fill_up, e);
}

/* Parts in order, none over another, inside the file, and as long together as the data. */
static int check_sparse_map(struct tar_reader *r, uint64_t size, struct err *e)
{
	uint64_t end = 0, data = 0;

	for (size_t i = 0; i < r->extent_count; i++) {
		const struct tar_extent *part = &r->extents[i];
		if (part->offset < end || part->offset > size || part->size > size - part->offset)
			return tar_damaged(r, e, "a sparse file's parts overlap or pass its end");
		end = part->offset + part->size;
		data += part->size;
	}
	if (data != r->left)
		return tar_damaged(r, e, "a sparse file's map does not match its data");
	r->holes += size - data;
	if (r->holes > TAR_SIZE_LIMIT)
		return tar_damaged(r, e, "its sparse files are too large");
	r->sparse = true;
	return 0;
}

int tar_sparse_apply(struct tar_reader *r, const struct tar_header *header, const struct tar_pax *pax,
	uint64_t *size, struct err *e)
{
	if (header->type == 'S') {
		if (old_sparse_map(r, header, size, e) < 0)
			return -1;
	} else {
		if (!pax->has_sparse_size)
			return tar_damaged(r, e, "a sparse file's size is missing");
		*size = pax->sparse_size;
		if (pax->sparse_major == 1 && pax->sparse_minor == 0) {
			if (data_sparse_map(r, e) < 0)
				return -1;
		} else if (pax->sparse_major != 0 || pax->sparse_minor > 1) {
			return tar_damaged(r, e, "a sparse file has an unknown format");
		} else if (pax->sparse_map && text_sparse_map(r, pax->sparse_map, e) < 0) {
			return -1;
		}
	}
	if (*size > TAR_SIZE_LIMIT)
		return tar_damaged(r, e, "a file is too large");
	return check_sparse_map(r, *size, e);
}
