/*
 * reexec.h - running from a read-only clone of the program's own file.
 *
 * A container that is root may open what /proc/self/exe of a process inside it leads to,
 * and an image may name /proc/self/exe as its command: the file behind it must not be
 * the host's brig, or it could be overwritten (CVE-2019-5736). So a command that will
 * enter a container first executes itself again from a detached, read-only mount of that
 * one file, which no path leads to and no namespace can make writable. Where a user
 * namespace stands between container and host, files of the host's root are safe and
 * this is left out.
 */
#ifndef BASE_REEXEC_H
#define BASE_REEXEC_H

#include "base/err.h"

/* The variable in which the clone, to which no path leads, finds the path of its origin. */
#define REEXEC_ORIGIN "BRIG_ORIGIN"

/* Returns 0 when the program runs from a read-only mount, having executed itself again
 * with argv where it did not before. Fails where no clone can be made: then no container
 * may be entered. */
int reexec_readonly(char **argv, struct err *e);

#endif
