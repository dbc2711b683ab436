/*
 * commit.h - `brig commit`: an image of what a container has become.
 *
 * Theory of operation. The image's layers are the container's and one more, which holds what it
 * wrote. How that layer comes about is the driver's: a stopped container's files become the layer
 * itself where they can (driver.h, rootfs_push), and it goes on with nothing on top of it; else
 * they are taken as a snapshot or copied, with the processes frozen meanwhile. The layer is named
 * by a random number (store/layer_commit.h), the config holds no more than what is new
 * (store/image.h), so neither grows with the container or with the number of commits before.
 *
 * Order: config, layer, container (where it stands on the layer now), image. Each is on the disk
 * before the next names it. A kill leaves a layer or a config without an image, which are
 * garbage, and of the container what commit_recover() ends.
 */
#ifndef ENGINE_COMMIT_H
#define ENGINE_COMMIT_H

#include "base/err.h"
#include "engine/engine.h"
#include "oci/digest.h"
#include "store/container.h"
#include "store/image.h"

struct commit_options {
	const char *container;
	const char *name; /* as tag's target, or the serial of an image, which is handed over; NULL: none */
	const char *author, *message;
	struct strings changes; /* oci/change.h */
	bool no_pause;
};

struct commit_result {
	struct oci_digest id;
	char serial[IMAGE_SERIAL];
};

int engine_commit(struct engine *engine, const struct commit_options *options, struct commit_result *result,
	struct err *e);

/* Ends or undoes what a killed commit did to a container whose lock is held. */
int commit_recover(struct engine *engine, const struct container *container, struct err *e);
/* Lets a running container go on that a killed commit left frozen. One look where there is none. */
void commit_thaw_lost(struct engine *engine, const struct container *container);

#endif
