/*
 * layer.h - unpacked layers by chain id: layers/HEX/{tree,layer.json}.
 *
 * Theory of operation. A layer that has its name is whole and on the disk, and so is its
 * parent. It is made in staging in four steps, so that one sync serves a whole image:
 *
 *	layer_begin	for each layer, the lowest first
 *	layer_unpack	or layer_fill, in any order where the driver lets it
 *	layer_seal	writes layer.json, the lowest first
 *	store_sync	once
 *	layer_publish	renames, the lowest first
 *	store_sync_folder of layers/, once
 *
 * Two processes that want one layer: layer_begin takes a lock on its chain id (one byte of
 * the file layers.lock, at a place that the id gives), so the second waits until the first
 * has published or given up, and then finds the layer or makes it. The kernel lets go of the lock
 * when its holder dies. Since all begin from the lowest layer, nobody waits in a circle.
 * What a crash leaves is staging, for store_sweep().
 *
 * The caller holds the content lock shared; layer_remove's holds it exclusively.
 */
#ifndef STORE_LAYER_H
#define STORE_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/digest.h"
#include "store/store.h"
#include "store/tree.h"
#include "store/unpack.h"

/* layer.json */
struct layer {
	struct oci_digest chain_id;
	struct oci_digest parent; /* the chain id below; none at the bottom */
	struct oci_digest diff_id;
	struct oci_digest blob;    /* what it was unpacked from; none where it was made here */
	bool provisional;          /* diff_id is a random number: see layer_commit.h */
	struct oci_digest content; /* of such a one: the true diff_id, once somebody has asked for it */
	int64_t size;              /* bytes of its files; -1: not counted yet */
	int64_t total;             /* with those of all layers below; -1: not known */
	int64_t entries;
	int64_t created; /* when it was made here, nanoseconds since 1970; 0 is now */
};

/* A layer that is being made. Zeroed, or after layer_drop and layer_publish, it holds nothing. */
struct layer_stage {
	struct store_stage stage;
	int tree; /* the folder to fill */
	enum unpack_whiteouts whiteouts;
	int lock;
	bool begun;
	bool root_missing; /* the archive does not say what the root folder is like */
	struct layer layer;
};

/* By the hex of its chain id. */
bool layer_has(struct store *store, const char *chain);
/* Reads layer.json: ERR_NOT_FOUND, ERR_CORRUPT. */
int layer_read(struct store *store, const char *chain, struct layer *layer, struct err *e);
/* Opens its tree. */
int layer_open_tree(struct store *store, const char *chain, struct err *e);

/*
 * Begins the layer chain_id (NULL: not known yet; then nothing is locked) on top of parent
 * (NULL: none), which is published where the driver's trees hold what is below them. Needs
 * driver_use(). 1: begun, with an open tree in the stage; 0: the layer is there already,
 * maybe after waiting for whoever was making it; -1.
 */
int layer_begin(struct store *store, const struct oci_digest *chain_id, const struct oci_digest *parent,
	struct layer_stage *stage, struct err *e);
/* The same without waiting: 2 where somebody else is making it. Who begins layers while he holds
 * others that are not published yet has to begin them the lowest first, or not wait. */
int layer_try_begin(struct store *store, const struct oci_digest *chain_id, const struct oci_digest *parent,
	struct layer_stage *stage, struct err *e);
/* A stage without a tree (stage->tree is -1), which the driver's rootfs_commit makes. 0 or -1. */
int layer_begin_bare(struct store *store, struct layer_stage *stage, struct err *e);
/* Starts to unpack an archive into the stage; options' directory and whiteouts are set here. */
int layer_unpack(
	struct layer_stage *stage, struct unpack_options options, struct unpack *unpack, struct err *e);
/*
 * Waits for it. ERR_CORRUPT where the archive's digest is not diff_id (NULL: not known). The
 * stage's layer gets diff_id, size and entries; what was left out is in *result.
 */
int layer_unpacked(struct layer_stage *stage, struct unpack *unpack, const struct oci_digest *diff_id,
	struct unpack_result *result, struct err *e);
/* Writes layer.json; stage->layer has all its fields but created. below is the stage of the layer
 * below where that is not published yet, else NULL. */
int layer_seal(
	struct store *store, struct layer_stage *stage, const struct layer_stage *below, struct err *e);
/* Gives the layer its name, and ends the stage. One that is there already stays. */
int layer_publish(struct store *store, struct layer_stage *stage, struct err *e);
/* Ends a stage without a layer. */
void layer_drop(struct store *store, struct layer_stage *stage);

/* Writes layer.json into a folder that nobody reads yet; 0 or -errno. */
int layer_write(int folder, const struct layer *layer);
/* Changes what layer.json says, under the lock on the chain id: change gets it as it is now. */
int layer_update(struct store *store, const char *chain,
	void (*change)(struct layer *layer, const void *context), const void *context, struct err *e);

/* One that is not there is success. */
int layer_remove(struct store *store, const char *chain, struct err *e);

/*
 * Fills a stage from a folder: one of the host, as init does (options->foreign), or what a container
 * changed (options->overlay, where trees are single layers). Copies it, and takes the digest of the
 * archive that the copy would be: a layer's archive is made when somebody needs it, from the
 * tree, and is the same each time. The stage's layer gets diff_id, chain_id, size and
 * entries. *skipped counts what was left out.
 */
int layer_fill(struct layer_stage *stage, int folder, const struct tree_options *options, uint64_t *skipped,
	struct err *e);

#endif
