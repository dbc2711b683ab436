/*
 * log.h - what goes to stderr besides the one error: warnings, and the trace of run.
 *
 * The level is the program's only mutable global. stdout is data and never passes here.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

/* Turns the trace on, times counted from now. */
void log_trace_on(void);
bool log_traced(void);

/* One line on stderr: "brig: warning: ...". */
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* With --trace: "[   1234 µs] who: what" on stderr, microseconds since log_trace_on and
 * since the line before. who is "parent", "child" or "monitor". */
void log_trace(const char *who, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
