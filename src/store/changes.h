/*
 * changes.h - how a tree differs from what is below it: docker's A, C and D.
 *
 * Both sides are one or more trees, the highest first, seen as overlayfs shows them: the first
 * that has a name counts, a whiteout hides it in those after, folders are put together until
 * one is opaque. Those that are compared hold only what changed (`overlay`: whiteouts tell what was
 * deleted), or there is one and it is whole, and what it lacks was deleted.
 */
#ifndef STORE_CHANGES_H
#define STORE_CHANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum change_kind { CHANGE_ADDED = 'A', CHANGE_MODIFIED = 'C', CHANGE_DELETED = 'D' };

struct change {
	enum change_kind kind;
	const char *path; /* "/etc/passwd" */
};

struct changes_of {
	const int *trees;
	size_t count;
	bool overlay;
	const int *below;
	size_t below_count;
	/* Paths, ended by NULL: new and empty they do not count, as somebody made them to mount something
	 * there. NULL: none. */
	const char *const *mount_points;
};

/*
 * The changes, a folder before what is in it, names sorted. A folder in which something changed is
 * itself modified, as in docker. The root is never listed. Two things are the same where type,
 * mode, owner and attributes that a layer keeps are, and for what is no folder time and size (docker's rule).
 */
int changes_list(
	struct arena *arena, const struct changes_of *of, struct change **list, size_t *count, struct err *e);

#endif
