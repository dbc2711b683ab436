/*
 * load.h - images from an archive: what docker save, podman save, skopeo and buildkit write.
 *
 * Theory of operation. The archive is indexed (archive.h), its documents are read from
 * that index, and what they name is checked as in a pull: the digests of manifests and
 * configs here, of kept blobs while they are copied, each diff_id by the confined process that
 * unpacks the layer, out of what brig-net inflates. Everything is in staging until it is
 * whole; then one syncfs, names for layers and blobs, and last the images' records. What fails
 * leaves nothing but, where a driver or the number of layers wants more than one round, whole layers.
 *
 * Two forms: docker's (manifest.json, which counts where both are there) and an OCI layout
 * (oci-layout, index.json, blobs/). The latter's blobs are kept; of docker's, which
 * holds no manifest, compressed layers that lie in blobs/sha256 under their digest.
 */
#ifndef ENGINE_LOAD_H
#define ENGINE_LOAD_H

#include <stdbool.h>

#include "engine/engine.h"
#include "oci/digest.h"

struct load_options {
	int input;        /* the archive, or a folder with a layout in it; stays the caller's */
	const char *name; /* what the user calls it, for messages */
};

/* One name that an image got, or an image without one. */
struct load_name {
	const char *name; /* "debian:12"; NULL: none */
	struct oci_digest id;
	struct oci_digest replaced; /* the image that had the name; none where there was none */
};

struct load_result {
	struct load_name *names; /* in the archive's order; the arena's */
	size_t count;
};

/* SIGINT, SIGTERM and SIGHUP end it with ERR_INTERRUPTED. */
int engine_load(
	struct engine *engine, const struct load_options *options, struct load_result *result, struct err *e);

#endif
