/* base64.c - bytes as text. */
#include "base/base64.h"

#include <stdint.h>

void base64_encode(struct buf *out, const void *bytes, size_t length)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = bytes;

	for (size_t i = 0; i < length; i += 3) {
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < length ? p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buf_append(out, i + k <= length ? &letters[v >> (18 - 6 * k) & 63] : "=", 1);
	}
}
