/*
 * tar.h - tar archives: a reader that trusts nothing, and a writer.
 *
 * Both work on a stream: the reader pulls bytes from a callback, which sees every byte of
 * the archive once and in order (tar_next reads on to the end of the stream after the
 * last entry), so that the callback can hash it. Understood are v7, ustar, star, GNU (long
 * names, base-256 numbers, old sparse files) and pax with GNU's sparse formats 0.0, 0.1
 * and 1.0 and SCHILY.xattr. What names mean below a directory (links, "..", whiteouts)
 * is the unpacker's affair: store/unpack.h.
 */
#ifndef BASE_TAR_H
#define BASE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum tar_type {
	TAR_FILE,
	TAR_HARDLINK,
	TAR_SYMLINK,
	TAR_DIRECTORY,
	TAR_CHARACTER,
	TAR_BLOCK,
	TAR_FIFO,
};

/* SECURITY.md 1.4 */
enum {
	TAR_PATH_LIMIT = 4095,          /* bytes of a path or a link's target */
	TAR_PAX_LIMIT = 1 << 20,        /* bytes of one pax header */
	TAR_LONG_NAME_LIMIT = 64 << 10, /* bytes of GNU's long name headers */
	TAR_SPARSE_LIMIT = 64 << 10,    /* extents of a sparse file */
	TAR_XATTR_LIMIT = 64 << 10,     /* bytes of one value */
	TAR_XATTR_NAME_LIMIT = 255,     /* bytes */
	TAR_ENTRY_LIMIT = 4 << 20,      /* entries of an archive */
	TAR_READ_SIZE = 256 << 10,      /* the reader's buffer */
};
#define TAR_SIZE_LIMIT (64ULL << 30) /* bytes of a file, holes counted, and of all holes */

struct tar_xattr {
	const char *name; /* with its namespace: "user.x" */
	const char *value;
	size_t size;
};

/* A part of a sparse file that holds data; the rest is holes. */
struct tar_extent {
	uint64_t offset;
	uint64_t size;
};

struct tar_entry {
	enum tar_type type;
	const char *path; /* as the archive has it: may start with "/", hold "..", end with "/" */
	const char *link; /* the target of a hard or symbolic link, else "" */
	mode_t mode;      /* the permission bits, 07777 */
	uint32_t uid;
	uint32_t gid;
	int64_t mtime; /* seconds since 1970 */
	uint32_t mtime_nanoseconds;
	uint64_t size; /* bytes of the file as it shall be, holes counted; 0 for what is no file */
	uint32_t major;
	uint32_t minor;
	const struct tar_xattr *xattrs;
	size_t xattr_count;
};

/* Fills bytes with 1..size bytes, 0 at the end, or -errno. */
typedef ssize_t tar_read_function(void *context, void *bytes, size_t size);

struct tar_reader;

/* A reader; NULL with e filled where memory is short. To be closed with tar_close, which takes NULL. */
struct tar_reader *tar_open(tar_read_function *read, void *context, struct err *e);
void tar_close(struct tar_reader *reader);

/*
 * Goes to the next entry, past what is left of this one. 1 with *entry filled (its
 * pointers are good until the next call), 0 at the end of the archive, after the stream
 * was read to its end; -1 with ERR_INVALID where the archive is damaged or passes a
 * limit, ERR_SYSTEM and so on where reading failed.
 */
int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct err *e);

/*
 * The next piece of the entry's data: *bytes (good until the next call) belong at *offset
 * of the file. Returns their number, 0 at the end of the file, -1 on failure. Pieces come
 * with growing offsets; what lies between, and up to the entry's size, is a hole.
 */
ssize_t tar_data(struct tar_reader *reader, const void **bytes, uint64_t *offset, struct err *e);

/* Where the reader is, for messages: bytes from the start of the archive. */
uint64_t tar_offset(const struct tar_reader *reader);

/* Takes all of bytes; 0, or -errno. */
typedef int tar_write_function(void *context, const void *bytes, size_t size);

/*
 * The writer. Set write and context, zero the rest. The same entries always give the same
 * bytes. ustar headers, and pax ones before them for what does not fit and for xattrs
 * (written in the order they come in: sort them).
 */
struct tar_writer {
	tar_write_function *write;
	void *context;
	uint64_t left; /* bytes of this entry's data still to come */
	unsigned padding;
	struct buf pax;
};

/* Writes an entry's header; a file's data follow by tar_write_data, exactly entry->size bytes.
 * 0, -errno of the write function, -EINVAL for what cannot be an entry. */
int tar_write_entry(struct tar_writer *w, const struct tar_entry *entry);
int tar_write_data(struct tar_writer *w, const void *bytes, size_t size);
/* The end of the archive: two empty blocks, no further padding. Frees what the writer holds. */
int tar_write_end(struct tar_writer *w);

#endif
