/*
 * transfer.h - a manifest or a blob from a registry into descriptors.
 *
 * Endpoints are tried in order; what stops on the way is asked for again with growing
 * pauses, a blob from where it stopped. The digest is computed as the bytes stream; a blob
 * is exactly as long as it was said to be.
 */
#ifndef REGISTRY_TRANSFER_H
#define REGISTRY_TRANSFER_H

#include "base/err.h"
#include "registry/http.h"
#include "registry/protocol.h"
#include "registry/session.h"

struct transfer {
	struct session *session;
	struct http *http;
	const char *repository;
	int file; /* borrowed, or -1 */
	int tar;  /* borrowed, or -1 */
	/* Called now and then while bytes come, and before a pause of `seconds`. */
	void (*progress)(void *context, int64_t done, int64_t inflated, unsigned seconds);
	void *context;
	unsigned status; /* out: of the HTTP answer that failed, or 0 */
};

/* Fills done's size, media_type and digest. reference is a tag or a digest. */
int transfer_manifest(struct transfer *t, const char *reference, struct net_done *done, struct err *e);

/* Asks for nothing but to be let in (GET /v2/). Only progress and context of t count. */
int transfer_login(struct transfer *t, struct err *e);

/* Fills done's size and inflated. */
int transfer_blob(struct transfer *t, const char *digest, int64_t size, struct net_done *done, struct err *e);

/* From a file or pipe into t->tar; only tar, progress and context of t count. */
int transfer_inflate(struct transfer *t, int in, struct net_done *done, struct err *e);

#endif
