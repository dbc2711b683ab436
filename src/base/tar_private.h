/* tar_private.h - what the files of the tar reader and writer share. */
#ifndef BASE_TAR_PRIVATE_H
#define BASE_TAR_PRIVATE_H

#include "base/tar.h"

enum { TAR_BLOCK_SIZE = 512 };

struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[8]; /* with the version */
	char uname[32];
	char gname[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char rest[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK_SIZE, "a header is a block");

/* What pax headers say; strings lie in the header's own bytes. */
struct tar_pax {
	const char *path;
	const char *link;
	const char *sparse_name;
	const char *sparse_map;
	bool has_size, has_uid, has_gid, has_mtime, has_sparse, has_sparse_size;
	uint64_t size;
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_nanoseconds;
	uint64_t sparse_size, sparse_major, sparse_minor;
};

struct tar_reader {
	tar_read_function *read;
	void *context;
	unsigned char *buffer; /* TAR_READ_SIZE; start..end is unread */
	size_t start, end;
	uint64_t offset; /* of buffer[start] in the archive */
	bool finished;   /* nothing more to read */

	uint64_t entries;
	uint64_t holes; /* bytes, of all files together */
	uint64_t left;  /* bytes of this entry's data in the archive */
	unsigned padding;
	uint64_t position; /* in the file, of the next data */

	bool sparse;
	struct tar_extent *extents;
	size_t extent_count, extent_room, extent;
	uint64_t extent_done;

	struct tar_xattr *xattrs;
	size_t xattr_count, xattr_room;

	struct buf pax, global;
	struct buf long_name, long_link;
	bool has_pax, has_long_name, has_long_link;
	char path[TAR_PATH_LIMIT + 1], link[TAR_PATH_LIMIT + 1];
};

/* Fails with ERR_INVALID: "the archive cannot be unpacked: FORMAT (at byte N)". */
int tar_damaged(const struct tar_reader *r, struct err *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int tar_truncated(const struct tar_reader *r, struct err *e);

/* Has size bytes (a block at most) lie at buffer[start], fewer only at the stream's end.
 * Returns how many lie there. */
ssize_t tar_fill(struct tar_reader *r, size_t size, struct err *e);
/* Goes past size bytes that lie there. */
void tar_take(struct tar_reader *r, size_t size);
int tar_skip(struct tar_reader *r, uint64_t size, struct err *e);
/* The next block, good until more is read, or NULL: *status is -1 where that is an error,
 * 0 at the stream's end. */
const struct tar_header *tar_next_block(struct tar_reader *r, int *status, struct err *e);

/* A header's field of 12 bytes, not negative. */
bool tar_header_size(const char *field, uint64_t *out);
/* 2^32 - 1 means "leave as it is" to chown(2) and is no id. */
bool tar_id_fits(int64_t value);
/* Decimal digits from *text on, which moves past them. At least one, below 2^63. */
bool tar_decimal(const char **text, uint64_t *out);
bool tar_whole_decimal(const char *text, uint64_t *out);

/* Records "LENGTH KEY=VALUE\n", LENGTH counting all of it. Their strings stay in text,
 * whose keys and values are ended with NULs in place, but for a global header's: that is
 * parsed again for each entry. */
int tar_pax_parse(struct tar_reader *r, struct buf *text, struct tar_pax *out, bool global, struct err *e);

int tar_add_extent(struct tar_reader *r, uint64_t offset, uint64_t size, struct err *e);
/* Reads the map of a sparse file; *size becomes the file's size with its holes. */
int tar_sparse_apply(struct tar_reader *r, const struct tar_header *header, const struct tar_pax *pax,
	uint64_t *size, struct err *e);

#endif
