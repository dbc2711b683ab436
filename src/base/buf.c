/* buf.c - bytes that grow. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *buf_reserve(struct buf *buf, size_t extra)
{
	size_t need;
	if (__builtin_add_overflow(buf->length, extra, &need) || __builtin_add_overflow(need, 1, &need))
		abort();
	if (need > buf->room) {
		size_t room = buf->room ? buf->room : 128;
		/* In large steps as long as it is small: from some size on each is a system call. */
		while (room < need)
			room = room > SIZE_MAX / 4 ? need : room < 32768 ? room * 4 : room * 2;
		char *data = realloc(buf->data, room);
		if (!data) {
			fputs("brig: out of memory\n", stderr);
			abort();
		}
		buf->data = data;
		buf->room = room;
		buf->data[buf->length] = '\0';
	}
	return buf->data + buf->length;
}

void buf_append(struct buf *buf, const void *bytes, size_t length)
{
	char *to = buf_reserve(buf, length);
	if (length)
		memcpy(to, bytes, length);
	buf->length += length;
	buf->data[buf->length] = '\0';
}

void buf_string(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int length = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (length < 0)
		abort();
	char *to = buf_reserve(buf, (size_t)length);
	va_start(ap, format);
	vsnprintf(to, (size_t)length + 1, format, ap);
	va_end(ap);
	buf->length += (size_t)length;
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}
