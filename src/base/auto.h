/*
 * auto.h - owners that clean up after themselves.
 *
 * `auto_free char *p = ...` is freed, `auto_close int fd = ...` is closed when the
 * scope ends; steal() takes the value out so that the caller may keep it. Initialise
 * every owner where it is declared (NULL, or -1 for a descriptor).
 */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void auto_free_cleanup(void *pointer)
{
	free(*(void **)pointer);
}

static inline void auto_close_cleanup(const int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

#define auto_free  __attribute__((cleanup(auto_free_cleanup)))
#define auto_close __attribute__((cleanup(auto_close_cleanup)))

/* Takes a descriptor out of its owner, which is left at -1. */
static inline int steal_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* Takes a pointer out of its owner, which is left at NULL. */
#define steal(pointer)                                                                                       \
	({                                                                                                   \
		__auto_type steal_from_ = &(pointer);                                                        \
		__auto_type stolen_ = *steal_from_;                                                          \
		*steal_from_ = NULL;                                                                         \
		stolen_;                                                                                     \
	})

/* Closes *fd if it is open and leaves -1. */
static inline void close_fd(int *fd)
{
	auto_close_cleanup(fd);
	*fd = -1;
}

/* A large buffer that is written before it is read: the build's zeroing of every variable would touch
 * all its pages, and a page's first touch costs more than most system calls. */
#define not_zeroed __attribute__((uninitialized))

#endif
