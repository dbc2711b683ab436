/* unpack_private.h - between the confined process (unpack.c) and what it does (unpack_tree.c). */
#ifndef STORE_UNPACK_PRIVATE_H
#define STORE_UNPACK_PRIVATE_H

#include "base/arena.h"
#include "base/tar.h"
#include "store/unpack.h"

enum { UNPACK_SLOTS = 32 };

/* An open folder of the tree, by the path that led to it. */
struct unpack_slot {
	char *path;
	size_t length;
	uint32_t hash;
	int fd;        /* O_PATH */
	bool inherits; /* gives its group to what is made in it: owners and modes have to be set */
	uint64_t used;
};

/* A folder's time, set when nothing is put into it any more. */
struct unpack_time {
	struct unpack_time *next;
	int64_t mtime;
	uint32_t nanoseconds;
	char path[];
};

/* The inodes of this layer, where the tree holds the one below as well. */
struct unpack_inodes {
	uint64_t *items; /* 0 is free */
	size_t count;
	size_t room; /* a power of 2 */
};

struct unpack_tree {
	int root;
	enum unpack_whiteouts whiteouts;
	bool one_owner;
	uid_t uid; /* what new files belong to */
	gid_t gid;
	bool root_inherits; /* as a slot's */
	bool inherits;      /* of the folder that was opened last */
	bool replaced;      /* something was removed: times may name what is gone */

	struct unpack_slot slots[UNPACK_SLOTS];
	uint64_t clock;
	int pinned; /* a folder that is not let go for another, or -1 */
	struct arena arena;
	struct unpack_time *times, **times_end;
	struct unpack_inodes inodes;
	char path[TAR_PATH_LIMIT + 1];   /* the entry's, cleaned */
	char target[TAR_PATH_LIMIT + 1]; /* a hard link's, cleaned */

	uint64_t file_size, devices, xattrs, owners; /* as in struct unpack_result */
	bool root_seen;
};

/* Takes all entries of the archive; tree has root, whiteouts, one_owner, uid and gid set. */
int unpack_tree(struct unpack_tree *tree, struct tar_reader *reader, uint64_t *entries, struct err *e);

#endif
