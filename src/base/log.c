/* log.c - warnings and the trace. */
#include "base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* The log level: 0, or the microsecond at which the trace began. */
static int64_t trace_began;

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void log_trace_on(void)
{
	trace_began = now_us();
}

bool log_traced(void)
{
	return trace_began != 0;
}

void log_warning(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "brig: warning: %s\n", text);
}

void log_trace(const char *who, const char *format, ...)
{
	char text[512];
	va_list ap;

	if (!trace_began)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "[%7lld µs] %-7s %s\n", (long long)(now_us() - trace_began), who, text);
}
