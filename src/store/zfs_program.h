/*
 * zfs_program.h - running zfs(8): there is no stable interface below the program.
 *
 * No shell, a fixed search path, an environment of our own, a time limit. What the program
 * says about a failure becomes one error of ours.
 */
#ifndef STORE_ZFS_PROGRAM_H
#define STORE_ZFS_PROGRAM_H

#include "base/buf.h"
#include "base/err.h"

/* Why it failed, as far as callers act on it. */
enum zfs_reason {
	ZFS_FAILED,
	ZFS_MISSING, /* no such dataset */
	ZFS_BUSY,
	ZFS_CLONED, /* other datasets depend on it */
};

/*
 * Runs "zfs" with the words, which end with NULL. out may be NULL. holds is a descriptor that
 * stays open in the program while it lives, so that a lock outlives us (-1: none). -1 with e and, where
 * reason is not NULL, *reason. pool is for messages.
 */
int zfs_run(const char *const *words, const char *pool, int holds, struct buf *out, enum zfs_reason *reason,
	struct err *e);

/* What the words on the program's stderr mean; for tests too. */
enum zfs_reason zfs_explain(const char *text, const char *pool, struct err *e);

#endif
