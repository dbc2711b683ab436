/*
 * mount_points.h - where the engine mounts something into a root file system.
 *
 * An image may lack them. See driver.h for what that means for a commit.
 */
#ifndef STORE_MOUNT_POINTS_H
#define STORE_MOUNT_POINTS_H

#include <stdbool.h>
#include <stddef.h>

/* Those of every container; a folder stands before what is in it. */
struct mount_point {
	const char *name; /* from the root, without a slash before it */
	bool folder;
};
extern const struct mount_point mount_points[];
extern const size_t mount_point_count;

/*
 * Removes from tree the mount points that only the engine can have made: what is empty and has no
 * counterpart in below (-1: there is nothing below), and the folders above it that are
 * nothing else. more: where else things were mounted, ended by NULL; may be NULL. What cannot
 * be removed stays.
 */
void mount_points_trim(int tree, int below, const char *const *more);

#endif
