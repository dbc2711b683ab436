/* sha256.c - SHA-256 in plain C and with the x86 SHA extensions. */
#include "base/sha256.h"

#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

/* Below this many bytes plain C is done before cpuid would be. */
enum { ASK_PROCESSOR_FROM = 2048 };

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes
 * (FIPS 180-4, 4.2.2). */
static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
	0x428a2f98,
	0x71374491,
	0xb5c0fbcf,
	0xe9b5dba5,
	0x3956c25b,
	0x59f111f1,
	0x923f82a4,
	0xab1c5ed5,
	0xd807aa98,
	0x12835b01,
	0x243185be,
	0x550c7dc3,
	0x72be5d74,
	0x80deb1fe,
	0x9bdc06a7,
	0xc19bf174,
	0xe49b69c1,
	0xefbe4786,
	0x0fc19dc6,
	0x240ca1cc,
	0x2de92c6f,
	0x4a7484aa,
	0x5cb0a9dc,
	0x76f988da,
	0x983e5152,
	0xa831c66d,
	0xb00327c8,
	0xbf597fc7,
	0xc6e00bf3,
	0xd5a79147,
	0x06ca6351,
	0x14292967,
	0x27b70a85,
	0x2e1b2138,
	0x4d2c6dfc,
	0x53380d13,
	0x650a7354,
	0x766a0abb,
	0x81c2c92e,
	0x92722c85,
	0xa2bfe8a1,
	0xa81a664b,
	0xc24b8b70,
	0xc76c51a3,
	0xd192e819,
	0xd6990624,
	0xf40e3585,
	0x106aa070,
	0x19a4c116,
	0x1e376c08,
	0x2748774c,
	0x34b0bcb5,
	0x391c0cb3,
	0x4ed8aa4a,
	0x5b9cca4f,
	0x682e6ff3,
	0x748f82ee,
	0x78a5636f,
	0x84c87814,
	0x8cc70208,
	0x90befffa,
	0xa4506ceb,
	0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint32_t load_be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be32(unsigned char *p, uint32_t x)
{
	p[0] = (unsigned char)(x >> 24);
	p[1] = (unsigned char)(x >> 16);
	p[2] = (unsigned char)(x >> 8);
	p[3] = (unsigned char)x;
}

static void blocks_portable(uint32_t state[8], const unsigned char *p, size_t blocks)
{
	for (; blocks; blocks--, p += 64) {
		uint32_t w[16], v[8];

		memcpy(v, state, sizeof v);
		/* Unrolled, so that v's moves and w's indices cost nothing. */
		for (unsigned group = 0; group < 64; group += 16) {
#pragma GCC unroll 16
			for (unsigned t = 0; t < 16; t++) {
				if (group == 0) {
					w[t] = load_be32(p + t * 4UL);
				} else {
					uint32_t w15 = w[(t + 1) & 15], w2 = w[(t + 14) & 15];
					w[t] += w[(t + 9) & 15] +
						(rotate(w15, 7) ^ rotate(w15, 18) ^ w15 >> 3) +
						(rotate(w2, 17) ^ rotate(w2, 19) ^ w2 >> 10);
				}
				uint32_t a = v[0], e = v[4];
				uint32_t t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
					      ((e & v[5]) ^ (~e & v[6])) + round_constants[group + t] + w[t];
				uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
					      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
				v[7] = v[6];
				v[6] = v[5];
				v[5] = e;
				v[4] = v[3] + t1;
				v[3] = v[2];
				v[2] = v[1];
				v[1] = a;
				v[0] = t1 + t2;
			}
		}
		for (unsigned i = 0; i < 8; i++)
			state[i] += v[i];
	}
}

#ifdef __x86_64__
/* The instructions keep a, b, e, f in one register and c, d, g, h in the other, the
 * first in the highest lane, and do two rounds at a time (Intel SDM, SHA256RNDS2). */
__attribute__((target("sha,sse4.1,ssse3"))) static void blocks_instructions(
	uint32_t state[8], const unsigned char *p, size_t blocks)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
	__m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1b);
	__m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
	__m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);

	for (; blocks; blocks--, p += 64) {
		__m128i w[4], abef_before = abef, cdgh_before = cdgh;
#pragma GCC unroll 16
		for (unsigned i = 0; i < 16; i++) {
			__m128i word;
			if (i < 4) {
				word = _mm_loadu_si128((const __m128i *)(const void *)(p + i * 16UL));
				word = _mm_shuffle_epi8(word, swap);
			} else {
				__m128i last = w[(i + 3) & 3];
				word = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
				word = _mm_add_epi32(word, _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
				word = _mm_sha256msg2_epu32(word, last);
			}
			w[i & 3] = word;
			word = _mm_add_epi32(word,
				_mm_load_si128((const __m128i *)(const void *)(round_constants + i * 4UL)));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, word);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(word, 0x0e));
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	__m128i feba = _mm_shuffle_epi32(abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}
#endif

enum sha256_path sha256_best_path(void)
{
#ifdef __x86_64__
	unsigned a, b, c, d;
	enum { SSSE3 = 1 << 9, SSE4_1 = 1 << 19, SHA = 1 << 29 };

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & SSSE3) && (c & SSE4_1) &&
		__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & SHA))
		return SHA256_INSTRUCTIONS;
#endif
	return SHA256_PORTABLE;
}

static void blocks(struct sha256 *sha, const unsigned char *p, size_t count)
{
	if (sha->path == SHA256_AUTO && sha->length + count * 64 >= ASK_PROCESSOR_FROM)
		sha->path = sha256_best_path();
#ifdef __x86_64__
	if (sha->path == SHA256_INSTRUCTIONS) {
		blocks_instructions(sha->state, p, count);
		return;
	}
#endif
	blocks_portable(sha->state, p, count);
}

void sha256_init(struct sha256 *sha)
{
	static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
		0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memcpy(sha->state, start, sizeof start);
	sha->length = 0;
	sha->path = SHA256_AUTO;
}

void sha256_update(struct sha256 *sha, const void *bytes, size_t size)
{
	const unsigned char *p = bytes;
	size_t held = sha->length % 64;

	if (held && size) {
		size_t part = 64 - held < size ? 64 - held : size;
		memcpy(sha->block + held, p, part);
		if (held + part == 64)
			blocks(sha, sha->block, 1);
		sha->length += part;
		p += part;
		size -= part;
	}
	if (size >= 64) {
		size_t whole = size / 64;
		blocks(sha, p, whole);
		sha->length += whole * 64;
		p += whole * 64;
		size -= whole * 64;
	}
	if (size) {
		memcpy(sha->block, p, size);
		sha->length += size;
	}
}

void sha256_final(struct sha256 *sha, unsigned char out[SHA256_SIZE])
{
	static const unsigned char padding[64] = {0x80};
	unsigned char bits[8];
	uint64_t length = sha->length;

	store_be32(bits, (uint32_t)(length >> 29));
	store_be32(bits + 4, (uint32_t)(length << 3));
	sha256_update(sha, padding, 1 + (119 - length % 64) % 64);
	sha256_update(sha, bits, sizeof bits);
	for (unsigned i = 0; i < 8; i++)
		store_be32(out + i * 4UL, sha->state[i]);
}

void sha256_hex(const unsigned char digest[SHA256_SIZE], char out[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < SHA256_SIZE; i++) {
		out[i * 2] = digits[digest[i] >> 4];
		out[i * 2 + 1] = digits[digest[i] & 15];
	}
	out[64] = '\0';
}
