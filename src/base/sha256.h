/*
 * sha256.h - SHA-256 (FIPS 180-4) of a stream.
 *
 * Whether the processor's SHA instructions are used is found out in each stream, and only
 * once it is long enough for that to pay (cpuid leaves a virtual machine: microseconds).
 * Nothing is remembered outside struct sha256, which is plain data.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE     32
#define SHA256_HEX_SIZE 65 /* with the NUL */

enum sha256_path {
	SHA256_AUTO,        /* not known yet */
	SHA256_PORTABLE,    /* plain C */
	SHA256_INSTRUCTIONS /* x86 SHA extensions */
};

struct sha256 {
	uint32_t state[8];
	uint64_t length; /* bytes so far */
	enum sha256_path path;
	unsigned char block[64]; /* length % 64 bytes wait here */
};

void sha256_init(struct sha256 *sha);
void sha256_update(struct sha256 *sha, const void *bytes, size_t size);
/* Writes the digest; sha must be initialised again before it is used again. */
void sha256_final(struct sha256 *sha, unsigned char out[SHA256_SIZE]);

/* 64 lower case hexadecimal digits and a NUL. */
void sha256_hex(const unsigned char digest[SHA256_SIZE], char out[SHA256_HEX_SIZE]);

/* What this processor can do: SHA256_PORTABLE or SHA256_INSTRUCTIONS. */
enum sha256_path sha256_best_path(void);

#endif
