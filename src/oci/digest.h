/*
 * digest.h - a content digest: the algorithm's name, a colon, lower case hex.
 *
 * Only sha256 and sha512 with exactly their number of digits exist (OCI image-spec,
 * descriptor.md); a struct oci_digest that was filled by oci_digest_parse() is therefore
 * safe to build file names from. Paths are made from its hex, never from what came in.
 */
#ifndef OCI_DIGEST_H
#define OCI_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define OCI_DIGEST_TEXT (7 + 128 + 1)

struct oci_digest {
	char text[OCI_DIGEST_TEXT]; /* "sha256:…"; "" is no digest */
};

/* Fails with ERR_INVALID. */
int oci_digest_parse(const char *text, struct oci_digest *digest, struct err *e);
bool oci_digest_valid(const char *text);
/* From the 32 bytes of a SHA-256. */
void oci_digest_from_sha256(const unsigned char bytes[32], struct oci_digest *digest);
/* The SHA-256 of bytes. */
void oci_digest_of(const void *bytes, size_t size, struct oci_digest *digest);
/* From 64 hex digits that are known to be good. */
void oci_digest_from_hex(const char *hex, struct oci_digest *digest);

/* The hex behind the colon, or "" where there is no digest. */
const char *oci_digest_hex(const struct oci_digest *digest);
bool oci_digest_is_sha256(const struct oci_digest *digest);
bool oci_digest_equal(const struct oci_digest *a, const struct oci_digest *b);

/*
 * The chain id of a layer on top of others (image-spec, config.md): the diff id of the
 * lowest layer itself, then SHA-256 over "CHAIN DIFF". below is NULL or empty for the
 * lowest; out may be the same as below.
 */
void oci_chain_id(const struct oci_digest *below, const struct oci_digest *diff, struct oci_digest *out);

#endif
