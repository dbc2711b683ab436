/*
 * platform.h - operating system, architecture and variant of an image.
 *
 * Values are normalised (x86_64 is amd64, aarch64 is arm64 without "v8", armhf is arm v7),
 * so that two platforms are the same where their fields are.
 */
#ifndef OCI_PLATFORM_H
#define OCI_PLATFORM_H

#include "base/err.h"

#define OCI_PLATFORM_TEXT 100

struct oci_platform {
	char os[32];
	char architecture[32];
	char variant[32]; /* "" is none */
};

/* "linux/arm64/v8", "linux/amd64", or one part alone: "arm64" means linux, "linux" the
 * host's architecture. ERR_INVALID. */
int oci_platform_parse(const char *text, struct oci_platform *out, struct err *e);
/* From a document's fields, each may be NULL; what is too long or malformed becomes
 * "unknown". */
void oci_platform_from(
	const char *os, const char *architecture, const char *variant, struct oci_platform *out);
/* linux and what this program was compiled for. */
void oci_platform_host(struct oci_platform *out);
/* "linux/arm/v7"; out has OCI_PLATFORM_TEXT bytes and is returned. */
char *oci_platform_format(char out[OCI_PLATFORM_TEXT], const struct oci_platform *platform);

/*
 * How well an image made for have suits want: 0 is exact, larger is worse, -1 not at
 * all. An older variant of an architecture runs on a newer one (arm v6 on v7), 386 on
 * amd64, 32-bit arm on arm64.
 */
int oci_platform_rank(const struct oci_platform *want, const struct oci_platform *have);

#endif
