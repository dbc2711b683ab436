/*
 * layer_commit.h - layers that were committed here: named before their digest is known.
 *
 * Theory of operation. To know a layer's diff_id all of it has to be read, so commit does not
 * ask. It draws a random number in its place (layer.json says "provisional") and makes the chain id of
 * that as of any other: all that stands on the layer, and every record and config here,
 * goes by these two, for good. What leaves the store (an archive, a push) needs the true one:
 * layer_content() takes it from the tree when it is first asked for, and layer.json keeps it.
 *
 * How much such a layer holds is not counted by commit either: layer_count() does that later.
 *
 * The folder of such a layer has the link `below`, whose text is the chain id of the layer
 * below, so that long chains are walked without reading documents: records and containers name
 * the lowest layers (those that were pulled or made by init) and the highest of all, and
 * between the two stands what these links tell.
 */
#ifndef STORE_LAYER_COMMIT_H
#define STORE_LAYER_COMMIT_H

#include "store/layer.h"

/* A new one's random diff_id, and the chain id on top of parent (NULL or none: the lowest). */
void layer_provisional(struct layer *layer, const struct oci_digest *parent);
/* Makes the link in the layer's folder. 0 or -errno. */
int layer_link_below(int folder, const struct layer *layer);
/* Reads it: 1, and the hex of the layer below; 0 where there is none; or -errno. */
int layer_below(struct store *store, const char *chain, char below[65]);

/* The digest of the layer's archive: its diff_id, or what stands in for a provisional one. */
int layer_content(struct store *store, const char *chain, struct oci_digest *content, struct err *e);

/*
 * Writes the layer's archive, from its tree, to the end (tar_write_end is called here); needs driver_use().
 * The same each time, and that of layer_content() where the layer was made here. Of one that was
 * unpacked it holds the same files, but its bytes may be others than those that came.
 */
int layer_archive(struct store *store, const char *chain, struct tar_writer *w, struct err *e);

/* Reads layer.json with size and total, which are counted where they are not known; a store
 * that was opened for writing remembers them. */
int layer_count(struct store *store, const char *chain, struct layer *layer, struct err *e);

#endif
