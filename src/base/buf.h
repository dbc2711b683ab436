/*
 * buf.h - bytes that grow.
 *
 * A zeroed struct buf is empty. data is NUL-terminated whenever it is not NULL, the
 * NUL not counted in length. Running out of memory ends the program; what comes from
 * outside is bounded by whoever reads it.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

struct buf {
	char *data;
	size_t length;
	size_t room;
};

void buf_append(struct buf *buf, const void *bytes, size_t length);
void buf_string(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for extra more bytes and a NUL, and returns where they go; the caller adds
 * what it wrote to length. */
char *buf_reserve(struct buf *buf, size_t extra) __attribute__((returns_nonnull));
void buf_free(struct buf *buf);

#define auto_buf __attribute__((cleanup(buf_free)))

#endif
