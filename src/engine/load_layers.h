/*
 * load_layers.h - the layers of an archive's images, several at once: see load.h.
 *
 * Theory of operation. A layer's bytes go from the archive's file into a pipe, by this
 * process, to brig-net where they are compressed, and on to the unpacker:
 *
 *	archive --pipe--> unpacker --diff_id--> brig
 *	archive --pipe--> brig-net --pipe--> unpacker --diff_id--> brig
 *	    |
 *	    +-- blob (staging), hashed on the way, where it is to be kept
 *
 * Layers are begun in the order of (depth, chain id), whatever images they belong to, so
 * that of two loads that want the same ones no two wait for each other in a circle. They
 * are begun, unpacked, sealed, synced and published in rounds of ROUND, which is more than
 * most archives hold: so one sync is all. Where the driver's trees hold what is below them a
 * round is one layer.
 */
#ifndef ENGINE_LOAD_LAYERS_H
#define ENGINE_LOAD_LAYERS_H

#include <stdbool.h>

#include "base/err.h"
#include "engine/archive.h"
#include "engine/load_plan.h"
#include "registry/client.h"
#include "store/store.h"

struct load_layers {
	struct store *store;
	const struct archive *archive;
	const struct load_plan *plan;
	struct net_client *client; /* started where it is needed and was not */
	int signals;               /* a signalfd: readable where the user wants an end */
	bool one_owner;
};

/* Brings all layers into the store, and what blobs of them there are. *synced says whether a
 * sync was made after all that was written before. The content lock is held shared. */
int load_layers(const struct load_layers *load, bool *synced, struct err *e);

#endif
