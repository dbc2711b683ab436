/*
 * idle.h - waiting for days with next to nothing in memory.
 *
 * Every running container has a process that mostly sleeps. Of the program that it is, a sleeping
 * process needs the one page which holds the system call that it sleeps in: all other pages of
 * text and constants are given back before, and come from the page cache when it wakes; so is the
 * stack below, into which the last event went. The pages cost nobody anything where hundreds of such
 * processes share them, but there need not be hundreds.
 */
#ifndef BASE_IDLE_H
#define BASE_IDLE_H

#include <poll.h>
#include <stddef.h>

enum { IDLE_RANGES = 4 };

struct idle {
	struct {
		void *start;
		size_t length;
	} ranges[IDLE_RANGES]; /* the program's segments that nobody writes */
	size_t count;
};

/* Finds them; makes the page of idle_poll() a mapping of its own, as the kernel maps the pages
 * around one that is asked for too, up to the mapping's edges. */
void idle_prepare(struct idle *idle);

/* poll(2) without a time limit, with those pages given back first: for when nothing is
 * expected soon, since each waking costs some page faults. Returns as the system call: -errno. */
int idle_poll(const struct idle *idle, struct pollfd *polls, size_t count);

#endif
