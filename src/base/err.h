/*
 * err.h - the one shape of an error.
 *
 * A function that can fail takes `struct err *e` last and returns a negative int or
 * NULL; on failure e is filled, the outputs are untouched and nothing was printed.
 * struct err is plain data without pointers, so that a child hands it to its parent in
 * one write. Callers branch on the kind, never on the text. `what` is the whole
 * sentence for the user (what cannot be, and why); `hint` is what to do about it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum err_kind {
	ERR_NONE = 0,
	ERR_SYSTEM,         /* the kernel refused something that should have worked */
	ERR_USAGE,          /* the command line cannot be understood */
	ERR_INVALID,        /* a value, document or archive is malformed */
	ERR_NOT_FOUND,      /* no such image, container, file */
	ERR_CONFLICT,       /* the name is taken, the thing is in use or in the wrong state */
	ERR_DENIED,         /* not allowed: permissions, policy, credentials */
	ERR_UNSUPPORTED,    /* this host or this version cannot do it */
	ERR_CORRUPT,        /* something in the store does not match its digest or its format */
	ERR_UNREACHABLE,    /* a registry or another host does not answer */
	ERR_NO_SPACE,       /* disk, quota or memory is used up */
	ERR_INTERRUPTED,    /* the user stopped it */
	ERR_CANNOT_EXECUTE, /* the command is there but cannot be executed: 126 */
	ERR_NO_COMMAND,     /* the command is not in the container: 127 */
};

struct err {
	enum err_kind kind;
	int number; /* errno, or 0 */
	char what[768];
	char hint[384];
};

/* Fills e and returns -1. number is an errno (either sign) or 0; where it is not 0,
 * ": " and strerror's text are appended to what. e may not be NULL. */
int err_set(struct err *e, enum err_kind kind, int number, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* As err_set with the kind that fits the errno (ENOSPC is ERR_NO_SPACE, ENOENT
 * ERR_NOT_FOUND, EACCES and EPERM ERR_DENIED, else ERR_SYSTEM). Returns -1. */
int err_errno(struct err *e, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Adds what the user can do about it. Returns -1, so that it can end a function. */
int err_hint(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Copies text into out (at most size bytes with the NUL), bytes that could steer a
 * terminal replaced by \xNN. Every string that an image, an archive or a registry
 * controls passes through here before it is shown. Returns out. */
char *err_sanitize(char *out, size_t size, const char *text);

#endif
