/*
 * inflate.h - from the bytes of a layer to the tar within them, into a pipe.
 *
 * The format is what the first bytes say: gzip (with as many members as come), zstd (as
 * many frames as come), else the bytes pass as they are. Output goes to a descriptor in
 * pieces of OUTPUT bytes; where that is a pipe, by vmsplice(2), without a copy.
 *
 * Why the buffers may be used again: a page given to a pipe stays ours, and the reader
 * copies from it later. There are two buffers, each as large as the whole pipe; by the time
 * that all of the second is in the pipe, all of the first has been read out of it. A reader
 * that got there by splice(2) or tee(2) could still see a page change; ours reads, and
 * hashes what it has read.
 */
#ifndef REGISTRY_INFLATE_H
#define REGISTRY_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct inflate;

/* Writes to fd (borrowed) what inflate_feed takes in; a new one for each stream. what
 * names the stream in errors and is borrowed. */
struct inflate *inflate_new(int fd, const char *what);
void inflate_free(struct inflate *inflate);

/* Takes size more bytes. Fails with ERR_INVALID for a malformed stream or one that grows
 * past reason (INFLATE_RATIO_MAX after INFLATE_RATIO_FROM bytes of output, or
 * INFLATE_MAX), with ERR_SYSTEM where the output cannot be written: EPIPE when the reader
 * has gone. */
int inflate_feed(struct inflate *inflate, const void *bytes, size_t size, struct err *e);
/* Says that all has been fed; fails where the stream is cut. Flushes. */
int inflate_finish(struct inflate *inflate, struct err *e);

/* Bytes that have come out so far. */
int64_t inflate_output(const struct inflate *inflate);

#define INFLATE_MAX        (64LL << 30)
#define INFLATE_RATIO_MAX  1000
#define INFLATE_RATIO_FROM (16LL << 20)

#endif
