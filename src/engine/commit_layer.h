/*
 * commit_layer.h - the layer that a commit makes of a container. For commit.c.
 */
#ifndef ENGINE_COMMIT_LAYER_H
#define ENGINE_COMMIT_LAYER_H

#include "engine/container.h"
#include "engine/engine.h"
#include "store/container.h"
#include "store/driver.h"
#include "store/layer.h"

struct commit_layer {
	int folder; /* the container's */
	struct driver_rootfs rootfs;
	bool empty; /* it has changed nothing: there is no layer */
	struct layer layer;
};

/* Fills rootfs, empty and layer; the folder is open. */
int commit_layer_begin(struct store *store, struct arena *arena, const struct container_config *config,
	struct commit_layer *layer, struct err *e);
/* Moves what a stopped container wrote into the layer, and notes in its document, with, that it
 * stands on it. Its lock is held. */
int commit_push(struct engine *engine, struct container *container, const struct container_config *with,
	struct commit_layer *layer, struct err *e);
/* Takes a copy, or the driver's snapshot. freeze: the container whose processes stand still meanwhile,
 * or NULL. */
int commit_copy(struct engine *engine, const struct container *freeze, const struct container_config *config,
	struct commit_layer *layer, struct err *e);

/* Where the engine mounted something into a container: "/proc", "/data"; ended by NULL. */
const char *const *commit_mount_points(struct arena *arena, const struct container_config *config);

/* Puts a layer on top of those of a document. */
void commit_stand_on(
	struct store *store, struct arena *arena, struct container_config *config, const char *chain);
/* The container's layers above the one called end, the lowest first. */
int commit_layers_above(struct store *store, struct arena *arena, const struct container_config *config,
	const char *end, struct layer **layers, size_t *count, struct err *e);

#endif
