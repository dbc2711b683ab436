/*
 * store.h - the data root: folders, locks, staging.
 *
 * Theory of operation.
 *
 *	format			"brig 1": what this is, and in which version
 *	lock			the content lock
 *	blobs/sha256/HEX	manifests, configs and compressed layers, by digest
 *	layers/CHAINHEX/	unpacked layers, by chain id; see layer_commit.h and overlay.h
 *	images/HEX.json		one record for each image, by config digest
 *	images/names		every name of every image: see image.h
 *	images/lock		the lock on records and names
 *	images/garbage		content may be there that no image names: image_has_garbage()
 *	containers/		see container.h
 *	volumes/NAME/		see volume.h
 *	volumes/.lock		the lock on volumes
 *	places/tree		mount points for images that lack them: see overlay.c
 *	tmp/KIND-RANDOM/	staging
 *
 * Content (blobs, layers) is written in staging, synced and renamed to its name, so what
 * has a name is whole. An image exists from the moment its line is in images/names, which is
 * replaced last. What a crash leaves is therefore staging, or content that no record
 * names; the former is removed by store_sweep(), the latter by image_collect().
 *
 * Locks, in the order in which they are taken (a later one may be held alone):
 *
 *   1. `lock`. Shared by who adds content (pull, load, build, commit, init), from the first
 *	question "is this layer here already?" until its image's record is in place. Exclusive by who
 *	removes layers or blobs, who does not wait for it: what cannot be removed now is
 *	garbage for the next one.
 *   2. `images/lock`. Exclusive, for milliseconds, by who changes names or records. Shared by who
 *	makes a container: from image_find() until the container's record, which names
 *	the image, is in place. So either `rmi` sees the container, or the container's maker does not find
 *	the image.
 *   3. `volumes/.lock`. Shared by who gives volumes to a container: from writing the config.json
 *	that names them until they are there. Exclusive by who removes volumes, from the look at the
 *	containers until they have lost their names. So either the remover sees the
 *	container, or the container's maker makes the volume anew. Both may hold the container's own lock
 *	by then; who holds this one waits for no container's.
 *   4. One volume's own, on its folder: see volume.h.
 *   5. The index of containers.
 *
 * Besides, `format` is locked while the store gets its driver (driver.c), whatever else is held; who holds
 * it takes only the locks of staging.
 *
 * They are flock(2) locks: they end with the last process that holds the descriptor, and
 * store_unlock() ends them for copies in forked children too. A staging folder is locked the
 * same way through its own descriptor: a child that still writes there keeps it alive.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct store_driver;

enum store_folder {
	STORE_BLOBS, /* blobs/sha256 */
	STORE_LAYERS,
	STORE_IMAGES,
	STORE_CONTAINERS,
	STORE_TMP,
	STORE_VOLUMES,
	STORE_FOLDERS, /* their number */
};

struct store {
	char *path; /* of the data root, for messages */
	int root;   /* -1: there is no store, and it reads as empty */
	bool writable;
	int folders[STORE_FOLDERS]; /* opened when first needed; -1 */
	int lock;                   /* the file `lock` while it is held, else -1 */
	int images_lock;            /* images/lock, likewise */
	const char *dataset;        /* brig.conf's zfs_dataset, borrowed; or NULL */
	int volumes_lock;           /* volumes/.lock, likewise */
	bool sweeping;              /* what is busy can stay for the next sweep */
	const struct store_driver *driver;
	void *driver_data;
};

enum { STORE_WRITE = 1 /* make what is missing; without it nothing is changed */ };

/* Opens the data root. Reading one that is not there gives an empty store. A newer
 * format is ERR_UNSUPPORTED; a folder that holds other people's things, ERR_CONFLICT. */
int store_open(struct store *store, const char *path, int flags, struct err *e);
/* Takes a zeroed struct too. The driver's data is the driver's business. */
void store_close(struct store *store);

/* The folder's descriptor, which stays the store's. ERR_NOT_FOUND where a store that was
 * opened for reading has none. */
int store_folder(struct store *store, enum store_folder folder, struct err *e);

enum store_lock { STORE_SHARED, STORE_EXCLUSIVE };

/* Takes the content lock (or changes it); waits for it. */
int store_lock(struct store *store, enum store_lock mode, struct err *e);
/* The same without waiting: 1 taken, 0 somebody else has it, -1 error. */
int store_try_lock(struct store *store, enum store_lock mode, struct err *e);
void store_unlock(struct store *store);

/* Takes images/lock, or changes it; waits. A modifier of image.h takes it itself and may
 * not be called while it is held. */
int store_lock_images(struct store *store, enum store_lock mode, struct err *e);
void store_unlock_images(struct store *store);

/* Takes volumes/.lock, or changes it; waits. */
int store_lock_volumes(struct store *store, enum store_lock mode, struct err *e);
void store_unlock_volumes(struct store *store);

/* A folder below tmp that is its maker's alone. */
struct store_stage {
	int fd; /* locked; close it last */
	char name[48];
};

/* Makes tmp/KIND-RANDOM; kind is one of ours, lower case, at most 16 letters. */
int store_stage(struct store *store, const char *kind, struct store_stage *stage, struct err *e);
/* Removes it with what is left in it. */
void store_stage_drop(struct store *store, struct store_stage *stage);

/* Removes staging whose maker is gone. Two readdirs when there is none. Returns how many. */
int store_sweep(struct store *store);

/* syncfs(2): all that was written to the data root's file system is on the disk. */
int store_sync(struct store *store, struct err *e);
/* fsync(2) of a folder: its renames are on the disk. Takes an O_PATH descriptor too. 0 or -errno. */
int store_sync_folder(int folder);

#endif
