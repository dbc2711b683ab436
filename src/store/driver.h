/*
 * driver.h - what a storage driver does: layers at rest, and root file systems for containers.
 *
 * A driver is a table of functions; what it remembers about a store is store->driver_data.
 * The one thing to know is what a layer's tree holds, which `whiteouts` says: overlay
 * keeps the layer alone and puts layers together when it mounts; all others keep layer and
 * everything below it, so that one tree is a whole image (a copy, a btrfs snapshot, a ZFS
 * clone). A layer is a folder with `tree` and layer.json in it; layer.h makes, names and removes
 * those folders, and a driver only the trees inside. Optional functions are NULL, and
 * what layer.h does then is said here.
 *
 * Where the engine mounts something into a root file system, a mount point has to be there. Overlay
 * has them in a lowest layer that no image shows; in whole trees the engine makes what an image
 * lacks in the container's own tree. A commit must not make a layer of that: rootfs_commit leaves
 * them out, by rootfs->mount_points and mount_points_trim().
 *
 * All run under the locks that store.h asks of their callers.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "store/layer.h"
#include "store/store.h"
#include "store/unpack.h"

/* What a container's root file system is made of. */
struct driver_rootfs {
	int folder;                /* the container's, where the driver keeps what is the container's own */
	const char *const *layers; /* chain ids in hex, the lowest first */
	size_t layer_count;
	/* How many are not listed between the highest and the one before it: layer_below() names
	 * them. Only overlay looks for them. */
	size_t hidden;
	bool ephemeral; /* need not outlive a crash: nothing has to be synced */
	bool read_only;
	/* For rootfs_commit: where things are mounted into it, such as "/data"; NULL ends them. What the
	 * engine itself mounts, such as /proc, need not be named. NULL: nothing else. */
	const char *const *mount_points;
};

struct store_driver {
	const char *name; /* as in the file `driver`, and for --storage-driver */
	enum unpack_whiteouts whiteouts;

	/* Whether it works on this data root: 0, with *why in a few words, or -1 with e saying why
	 * not. Asked once, when the store gets its driver. */
	int (*probe)(struct store *store, const char **why, struct err *e);
	/* Optional: fills and frees store->driver_data. */
	int (*open)(struct store *store, struct err *e);
	void (*close)(struct store *store);

	/* Makes "tree" in the folder stage, with what the layer parent (hex; NULL: none) holds
	 * where trees hold what is below them. Returns it open. NULL: an empty folder. */
	int (*layer_begin)(struct store *store, const char *parent, int stage, struct err *e);
	/* The tree in stage is complete: a snapshot may become read-only. NULL: nothing. */
	int (*layer_seal)(struct store *store, int stage, struct err *e);
	/* Removes "tree" from folder. NULL: file by file. */
	int (*layer_remove)(struct store *store, int folder, struct err *e);
	/* Opens the tree of a layer's or a stage's folder (O_RDONLY): -errno. NULL: its "tree". */
	int (*layer_open)(struct store *store, int folder);

	/* Makes in rootfs->folder what a new container needs. */
	int (*rootfs_create)(struct store *store, const struct driver_rootfs *rootfs, struct err *e);
	/* Before the process that calls rootfs_mount gets its mount namespace: for what has to
	 * happen in ours. NULL: nothing. */
	int (*rootfs_prepare)(struct store *store, const struct driver_rootfs *rootfs, struct err *e);
	/* Mounts it, nodev. Returns a detached mount, for move_mount(2). */
	int (*rootfs_mount)(struct store *store, const struct driver_rootfs *rootfs, struct err *e);
	/* Removes from folder what rootfs_create and mounting made. NULL: file by file. */
	int (*rootfs_remove)(struct store *store, int folder, struct err *e);

	/* A folder, open, that holds just what the container changed, in overlayfs's form.
	 * NULL: only a comparison with the layers tells. */
	int (*rootfs_changes)(struct store *store, const struct driver_rootfs *rootfs, struct err *e);
	/* What the container has now, running or not, becomes a layer's "tree" in stage, in constant
	 * time, without what only the engine made there; stage is layer_begin_bare()'s, and the caller
	 * seals it. NULL: it is copied. */
	int (*rootfs_commit)(
		struct store *store, const struct driver_rootfs *rootfs, int stage, struct err *e);

	/*
	 * The container does not run; what it wrote becomes the tree of a new layer in constant time, and
	 * it goes on on top of that. rootfs_push makes and names the layer, whose fields are all given; then
	 * the caller notes durably that the container stands on it; then rootfs_pushed. Where one of them
	 * fails, rootfs_recover says what has come of it. NULL, all three: rootfs_commit.
	 */
	int (*rootfs_push)(struct store *store, const struct driver_rootfs *rootfs, const struct layer *layer,
		struct err *e);
	int (*rootfs_pushed)(struct store *store, int folder, struct err *e);
	/* After a kill or a failure in the midst of that. 1: the layer chain was made, and the caller goes on
	 * with noting it; 0: as before, and nothing is left; -1. */
	int (*rootfs_recover)(struct store *store, int folder, char chain[65], struct err *e);
	/* Makes later mounts of what was committed cheaper, taking its time. NULL: nothing to do. */
	int (*rootfs_tidy)(struct store *store, const struct driver_rootfs *rootfs, struct err *e);
	/* Opens the trees on which rootfs_changes stands, the highest first; *fds is to be freed, the
	 * descriptors closed. NULL: the tree of the highest layer. */
	int (*rootfs_below)(struct store *store, const struct driver_rootfs *rootfs, int **fds, size_t *count,
		struct err *e);

	/*
	 * Volumes, whose folders volume.h makes, names and removes; a driver only what is in
	 * "_data". All are NULL where that is a plain folder, and a driver takes that for a volume
	 * too: one with options of its own has nothing else.
	 *
	 * Makes "_data" in folder (a subvolume, a dataset), empty, of root's and mode 0755. The
	 * folder is in staging still and becomes volumes/NAME afterwards with what is in it. With
	 * folder's volume.json lost, "_data" is all that is known of the volume.
	 */
	int (*volume_create)(struct store *store, int folder, const char *name, struct err *e);
	/* "_data" is about to be opened: what has to be mounted for that (after a reboot) is.
	 * NULL: nothing has to. */
	int (*volume_open)(struct store *store, int folder, struct err *e);
	/* The volume is about to lose its name: what volume_open mounted goes, or ERR_CONFLICT where
	 * somebody on the host is in it. NULL: nothing has to. */
	int (*volume_release)(struct store *store, int folder, struct err *e);
	/* Removes "_data" from folder, which lies in staging by now; one that is not there, or
	 * was only half made when its maker was killed, is success. */
	int (*volume_remove)(struct store *store, int folder, struct err *e);
};

/* In the order in which they are tried; ends with NULL. */
extern const struct store_driver *const store_drivers[];

/* By name, or NULL with e naming those that there are. */
const struct store_driver *driver_find(const char *name, struct err *e);

/*
 * Sets store->driver: the one that the store was made with, which the file `driver` names.
 * Where there is none yet, the first that works, or wanted (NULL: any), which is then
 * written there. ERR_CONFLICT where wanted is not the one that is there. Needed before anything
 * that makes or mounts trees; does nothing the second time.
 */
int driver_use(struct store *store, const char *wanted, struct err *e);
/* The same for who removes things: a store that has no driver yet stays without, and
 * that is success. */
int driver_use_recorded(struct store *store, struct err *e);
/* For store_close's caller. */
void driver_close(struct store *store);

/* What a store has, or would get: for `brig info`. Changes nothing. */
struct driver_choice {
	const struct store_driver *driver;
	char why[160];
	bool recorded;
};
int driver_explain(struct store *store, const char *wanted, struct driver_choice *choice, struct err *e);

/* Opens a layer's tree (O_RDONLY): layers/HEX/tree. -errno. */
int driver_open_tree(struct store *store, const char *chain);
/* The same for a layer's folder, or a stage's, that is open. */
int driver_open_tree_in(struct store *store, int folder);

/* For drivers. A detached mount of a folder by name, nodev. */
int driver_mount_folder(int folder, const char *name, bool read_only, struct err *e);
#endif
