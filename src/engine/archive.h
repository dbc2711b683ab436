/*
 * archive.h - the members of a tar archive by name, without unpacking it.
 *
 * Theory of operation. The archive is somebody's whom we do not know. A child without rights
 * (archive_index.h) reads it once from beginning to end and reports each member's name, kind
 * and place; if it comes compressed, brig-net inflates it on the way, and if it comes
 * through a pipe or compressed, the child writes what it reads to a nameless file in the
 * store, which ends with this process. A plain file is used where it lies. Afterwards
 * members are looked up by name in that index, links among them included, and read by their
 * place: no name from the archive is ever given to the kernel.
 *
 * Names are as in the archive without "./", leading or doubled slashes. Two members with
 * one name are refused: two readers would take different ones.
 */
#ifndef ENGINE_ARCHIVE_H
#define ENGINE_ARCHIVE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "registry/client.h"
#include "store/blob.h"
#include "store/store.h"

enum {
	ARCHIVE_MEMBERS_MAX = 64 << 10, /* folders not counted */
	ARCHIVE_INDEX_MAX = 32 << 20,   /* bytes of all names */
	ARCHIVE_LINKS_MAX = 16,         /* links one after the other */
};

enum archive_type {
	ARCHIVE_FILE = 1,
	ARCHIVE_SYMLINK,
	ARCHIVE_HARDLINK,
	ARCHIVE_OTHER, /* a device, a pipe, a file with holes: never read */
};

struct archive_member {
	const char *name;
	const char *link; /* a link's target as the archive has it, else "" */
	enum archive_type type;
	uint64_t offset, size; /* of a file's bytes, in the archive's file */
};

struct archive {
	int file;                       /* the members' bytes; the stage's or the caller's */
	const char *name;               /* what the user calls it, for messages; borrowed */
	struct archive_member *members; /* sorted by name */
	size_t count;
	struct buf index; /* holds the names */
	struct blob_stage stage;
};

/* Zeroed is not open; archive_close takes it too. */
struct archive_source {
	int input; /* from where it stands to its end; stays the caller's, and open as long as the archive */
	const char *name;          /* for messages */
	struct net_client *client; /* started where it is needed and was not */
	int signals;               /* a signalfd: readable where the user wants an end */
};

/* Indexes the archive. ERR_INVALID where it is none or damaged, ERR_INTERRUPTED. */
int archive_open(
	struct archive *archive, struct store *store, const struct archive_source *source, struct err *e);
void archive_close(struct archive *archive, struct store *store);

/* The file by that name, links followed. NULL with ERR_NOT_FOUND where there is none, with
 * ERR_INVALID where the name leads to no file. */
const struct archive_member *archive_find(const struct archive *archive, const char *name, struct err *e);
/* Reads a member of at most limit bytes; what is its name in messages ("manifest.json"). */
int archive_read(const struct archive *archive, const struct archive_member *member, size_t limit,
	const char *what, struct buf *out, struct err *e);

enum archive_compression {
	ARCHIVE_PLAIN,
	ARCHIVE_COMPRESSED, /* brig-net's affair, be it to say that it cannot */
};
enum { ARCHIVE_FIRST = 6 /* bytes that tell */ };
/* What the first bytes say. */
enum archive_compression archive_compression_of(const void *first, size_t size);
/* The same of those at offset. */
enum archive_compression archive_compression_at(int file, uint64_t offset, uint64_t size);

#endif
