/*
 * pull.h - an image from a registry into the store.
 *
 * Theory of operation. brig-net downloads and inflates (registry/protocol.h), a confined
 * child per layer writes the tree (store/unpack.h), and this process judges: it computes the
 * digests of manifest and config itself, and compares each layer's diff_id with the config's.
 *
 *	brig-net --tar pipe--> unpacker --diff_id--> brig
 *	    |                      |
 *	    +-- blob (staging)     +-- tree (staging)
 *
 * Several layers are on their way at once. When all are whole there is one syncfs, then every
 * layer and blob gets its name, the lowest first, then the image its record and its name. When
 * something fails, or the user stops it, layers that are whole and stand on whole ones are
 * synced and named just the same, and of others the blobs, so that the next pull starts there; all
 * else was staging.
 *
 * Two pulls of one layer at once (store/layer.h locks it by its chain id): who finds it taken goes
 * on with other layers; with nothing else left to do it names what it has, which releases
 * its own locks, and looks again now and then. So nobody waits while holding what another
 * waits for.
 */
#ifndef ENGINE_PULL_H
#define ENGINE_PULL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "oci/digest.h"

enum pull_event_kind {
	PULL_STARTED,        /* the manifest is here: tag, repository, layers */
	PULL_LAYER_EXISTS,   /* nothing to do */
	PULL_LAYER_PENDING,  /* to be pulled */
	PULL_LAYER_BUSY,     /* another brig is pulling it */
	PULL_LAYER_PROGRESS, /* done of total bytes */
	PULL_LAYER_RETRY,    /* again in `seconds` */
	PULL_LAYER_FETCHED,  /* downloaded */
	PULL_LAYER_COMPLETE, /* its tree is whole */
};

struct pull_event {
	enum pull_event_kind kind;
	const char *tag;        /* "latest", or a whole reference with a digest */
	const char *repository; /* "library/debian" */
	size_t layers;
	size_t layer;   /* its number, 0 is the lowest */
	const char *id; /* the first 12 digits of its digest */
	int64_t done, total;
	unsigned seconds;
};

struct pull_options {
	const char *reference; /* as the user wrote it */
	const char *platform;  /* "linux/arm64", or NULL: the host's */
	/* Told what happens; may be NULL. Events of one layer come in the order above. */
	void (*tell)(void *context, const struct pull_event *event);
	void *context;
};

struct pull_result {
	struct oci_digest id;     /* of the image: its config */
	struct oci_digest digest; /* of what the reference names: an index or a manifest */
	bool current;             /* the name stood for this image already */
	const char *familiar;     /* "debian:latest" */
	const char *full;         /* "docker.io/library/debian:latest" */
};

/* SIGINT, SIGTERM and SIGHUP end it with ERR_INTERRUPTED. The engine is open for writing; the
 * result's strings are its arena's. */
int engine_pull(
	struct engine *engine, const struct pull_options *options, struct pull_result *result, struct err *e);

#endif
