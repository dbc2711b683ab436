/*
 * image_prune.h - removing all images that nobody needs.
 *
 * Dangling is an image without a name that had one, or that was committed on another. One that was made
 * by init or import, or loaded without a name, is known by its number alone: it is not
 * dangling, only unused. What a container was made from, or another image committed on, stays.
 */
#ifndef ENGINE_IMAGE_PRUNE_H
#define ENGINE_IMAGE_PRUNE_H

#include "engine/engine.h"
#include "store/image.h"

struct image_prune_options {
	bool all; /* every unused one, not only the dangling */
	/* Whether an image may go; may be NULL. */
	bool (*fits)(void *context, const struct image *image);
	void *context;
};

struct image_prune {
	struct strings untagged, deleted; /* as in struct image_removal */
	int64_t freed;                    /* bytes: of the layers' files, and of their blobs */
};

/* Images that cannot be removed are passed over. */
int engine_image_prune(struct engine *engine, const struct image_prune_options *options,
	struct image_prune *result, struct err *e);

#endif
