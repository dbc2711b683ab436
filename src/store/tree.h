/*
 * tree.h - whole trees of files: copying one, and writing one as a tar archive.
 *
 * Both go through a tree by descriptor, sorted by name, never through a link and never
 * into another mounted file system. The source may be changed by others meanwhile: each thing
 * is looked at through the descriptor that it is read by.
 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/tar.h"

struct tree_options {
	/* The source is a folder of the host, not a layer: devices and whiteouts are left out. */
	bool foreign;
	/* Keep what overlayfs has in an upper folder: devices 0:0, user.overlay.opaque. */
	bool overlay;
	/* Owners that cannot be set are passed over. */
	bool one_owner;
};

struct tree_result {
	uint64_t entries;   /* the root not counted */
	uint64_t file_size; /* bytes of all regular files, each counted once */
	uint64_t skipped;   /* sockets, devices, mounted file systems, attributes that no layer has */
};

/*
 * Copies what is below from into the folder to, which is empty, and gives to from's own
 * mode, owner, time and attributes. Data are shared where the file system can (FICLONE);
 * holes and hard links stay what they are. What a failure leaves in to stays there.
 */
int tree_copy(
	int from, int to, const struct tree_options *options, struct tree_result *result, struct err *e);

/* Entries and bytes of a tree that is a layer's. */
int tree_count(int tree, struct tree_result *result, struct err *e);

/*
 * Writes a tree as a whole archive, from the root as "./" to the end (tar_write_end is called
 * here); equal trees give equal bytes. Times are in
 * seconds, as docker writes them. With options->overlay, whiteouts become ".wh." names.
 */
int tree_write(int tree, struct tar_writer *w, const struct tree_options *options, struct tree_result *result,
	struct err *e);

/* Writes only what changes_list() found in a whole tree, likewise to the end of the archive. */
struct change;
int tree_write_changes(
	int tree, struct tar_writer *w, const struct change *changes, size_t count, struct err *e);

#endif
