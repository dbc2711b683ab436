/*
 * blob.h - manifests, configs and compressed layers by their digest.
 *
 * A blob that has its name is whole: it was written without one (or in staging), synced,
 * and linked to it. Nothing is ever written in place. Only sha256 digests name blobs.
 */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/digest.h"
#include "store/store.h"

/* A blob that is being written: fd is for reading and writing. */
struct blob_stage {
	int fd;
	struct store_stage stage; /* only where the file system has no nameless files */
};

/* Whether it is there; its size in bytes goes to *size, which may be NULL. */
bool blob_has(struct store *store, const struct oci_digest *digest, int64_t *size);
/* Opens it for reading; ERR_NOT_FOUND. Its bytes are not verified. */
int blob_open(struct store *store, const struct oci_digest *digest, struct err *e);
/* Reads all of it, at most limit bytes, and verifies them: ERR_CORRUPT. */
int blob_read(
	struct store *store, const struct oci_digest *digest, size_t limit, struct buf *out, struct err *e);

int blob_stage(struct store *store, struct blob_stage *stage, struct err *e);
/*
 * Gives the bytes in stage their name, and ends the stage. That they have this digest is
 * the caller's word. Where the blob exists already it stays. synced says that the caller
 * has called store_sync() since the last write, so that one call serves many blobs;
 * without it the bytes are synced here.
 */
int blob_publish(struct store *store, struct blob_stage *stage, const struct oci_digest *digest, bool synced,
	struct err *e);
/* Forgets a stage; one that was published already is left alone. */
void blob_drop(struct store *store, struct blob_stage *stage);
/* Writes a small blob and gives its digest. */
int blob_write(struct store *store, const void *bytes, size_t size, struct oci_digest *digest, struct err *e);

/* One that is not there is success. The content lock is held exclusively. */
int blob_remove(struct store *store, const struct oci_digest *digest, struct err *e);

#endif
