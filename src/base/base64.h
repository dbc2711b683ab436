/*
 * base64.h - bytes as text (RFC 4648, section 4).
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

#include "base/buf.h"

/* Appends the text, padded with "=". */
void base64_encode(struct buf *out, const void *bytes, size_t length);

#endif
