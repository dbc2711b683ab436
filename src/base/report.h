/*
 * report.h - how it went in a child process, through a pipe.
 *
 * The child calls report_send() once, in one write; the parent report_receive(). Both are the
 * same program: the bytes are struct err as it lies in memory.
 */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H

#include "base/err.h"

/* rc is what a function with e returned. 0 or -errno. */
int report_send(int fd, int rc, const struct err *e);
/* Waits for it: 0; -1 with the child's e; 1 where the child ended without a word. */
int report_receive(int fd, struct err *e);

#endif
