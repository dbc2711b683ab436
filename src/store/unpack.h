/*
 * unpack.h - a layer's tar archive becomes a tree of files, in a confined child process.
 *
 * Archives come from strangers. The child that reads one has the tree as its root folder,
 * no other file, a short list of system calls, and of root's rights only those that
 * writing files for others needs (SECURITY.md 1.4). It reads its input to the end, and
 * the SHA-256 of all of it is the layer's diff_id, for the caller to compare. What was
 * written when unpacking failed stays there for the caller to remove.
 */
#ifndef STORE_UNPACK_H
#define STORE_UNPACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/sha256.h"

/* What becomes of ".wh.NAME" and ".wh..wh..opq" (OCI image-spec, layer.md). */
enum unpack_whiteouts {
	/* The tree is one layer for overlayfs: a device 0:0 in NAME's place, and the attribute
	 * user.overlay.opaque on the folder (so mounts need userxattr). */
	UNPACK_WHITEOUTS_OVERLAY,
	/* The tree starts as a copy of the layer below: what is named goes away. */
	UNPACK_WHITEOUTS_APPLY,
};

struct unpack_options {
	int input;     /* the archive, uncompressed: most often a pipe; stays the caller's */
	int directory; /* the tree's root; stays the caller's */
	enum unpack_whiteouts whiteouts;
	/* Owners that cannot be set are passed over and counted: in a user namespace that has
	 * one id, or few. */
	bool one_owner;
	/* Bytes of the compressed blob: the archive may have 1000 times as many (and 16 MiB
	 * in any case). 0: unknown, no such limit. */
	uint64_t compressed_size;
	uint64_t size_limit; /* bytes of the archive; 0 is 64 GiB */
};

/* A child at work. result becomes readable when it is done. */
struct unpack {
	pid_t pid;
	int result;
};

struct unpack_result {
	unsigned char diff_id[SHA256_SIZE];
	uint64_t bytes;     /* of the archive */
	uint64_t entries;   /* of the archive, whiteouts included */
	uint64_t file_size; /* bytes of all regular files, holes counted */
	/* What was left out, for a warning. */
	uint64_t devices, xattrs, owners;
	bool root_seen; /* the archive has an entry for the root folder itself */
	bool jailed;    /* the tree was its root folder (it needs CAP_SYS_ADMIN) */
};

/* Starts the child. */
int unpack_start(const struct unpack_options *options, struct unpack *out, struct err *e);
/* Waits until it is done and takes its result. ERR_INVALID where the archive is refused. The
 * child is gone either way. */
int unpack_finish(struct unpack *unpack, struct unpack_result *result, struct err *e);
/* Ends the child without a result. Takes one that is finished, or {0, -1}. */
void unpack_stop(struct unpack *unpack);

#endif
