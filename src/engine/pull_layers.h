/*
 * pull_layers.h - the layers of one image, several at once: see pull.h.
 */
#ifndef ENGINE_PULL_LAYERS_H
#define ENGINE_PULL_LAYERS_H

#include "base/err.h"
#include "engine/pull.h"
#include "oci/image.h"
#include "registry/client.h"
#include "store/image.h"
#include "store/store.h"

struct pull_layers {
	struct store *store;
	struct net_client *client; /* set up for the registry */
	int signals;               /* a signalfd: readable where the user wants an end */
	const char *repository;
	const struct pull_options *options;
	const struct oci_manifest *manifest;
	const struct oci_config *config;
	const struct oci_digest *chains;
	bool one_owner; /* see unpack.h */
};

/* Brings all layers into the store. On success, and on failure, what is whole has its name
 * and is on the disk. sizes gets each layer's bytes of files, *synced whether
 * a sync was made after all that was written before. The store's content lock is held
 * shared. */
int pull_layers(
	const struct pull_layers *pull, struct arena *arena, int64_t *sizes, bool *synced, struct err *e);

/* Waits for the one answer to the request id (a manifest, a config). */
int pull_wait(struct net_client *client, int signals, uint32_t id, struct net_event *event, struct err *e);

#endif
