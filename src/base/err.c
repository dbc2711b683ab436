/* err.c - filling in an error. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct err *e, enum err_kind kind, int number, const char *format, va_list ap)
{
	struct err next = {.kind = kind, .number = number < 0 ? -number : number};

	/* format's arguments may point into *e itself, so it is written at the end. */
	int n = vsnprintf(next.what, sizeof next.what, format, ap);
	if (next.number && n >= 0 && (size_t)n < sizeof next.what)
		snprintf(next.what + n, sizeof next.what - (size_t)n, ": %s", strerror(next.number));
	*e = next;
}

int err_set(struct err *e, enum err_kind kind, int number, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fill(e, kind, number, format, ap);
	va_end(ap);
	return -1;
}

static enum err_kind kind_of_errno(int number)
{
	switch (number < 0 ? -number : number) {
	case ENOENT:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	case ENOSPC:
	case EDQUOT:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return ERR_NO_SPACE;
	case EINTR:
		return ERR_INTERRUPTED;
	default:
		return ERR_SYSTEM;
	}
}

int err_errno(struct err *e, int number, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fill(e, kind_of_errno(number), number, format, ap);
	va_end(ap);
	return -1;
}

int err_hint(struct err *e, const char *format, ...)
{
	char text[sizeof e->hint];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	memcpy(e->hint, text, sizeof text);
	return -1;
}

char *err_sanitize(char *out, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;

	if (!size)
		return out;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		/* C0, DEL, and C1 as UTF-8 encodes it (0xc2 0x80..0x9f). */
		bool c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
		if (*p >= 0x20 && *p != 0x7f && !c1) {
			if (at + 1 >= size)
				break;
			out[at++] = (char)*p;
			continue;
		}
		unsigned char shown = c1 ? p[1] : *p;
		if (at + 4 >= size)
			break;
		out[at++] = '\\';
		out[at++] = 'x';
		out[at++] = hex[shown >> 4];
		out[at++] = hex[shown & 15];
		p += c1;
	}
	out[at] = '\0';
	return out;
}
