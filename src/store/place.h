/*
 * place.h - which file system a data root lies on, and noticing that it is not mounted.
 *
 * Theory of operation. A data root on a file system of its own (a btrfs loop file, a pool) is
 * an empty folder before that is mounted: after a reboot, a brig that makes what is missing would
 * show the user an empty store and fill the disk below the real one. So when a store gets
 * its driver, place_mark() writes a note into the folder that the mount hides: under the mount point,
 * at the data root's own path. Nobody sees it while the file system is mounted; who finds it is
 * not where he should be. The note holds the command that mounts.
 *
 * The hidden folder is reached by a copy of the mount above it, without what is mounted on
 * that: open_tree(2), not recursive. Where that cannot be had (an ordinary user, a read-only file system
 * above) there is no note.
 *
 * zfs-fuse mounts over nothing but an empty folder (`zfs mount -O` ends its daemon). There the note lies
 * beside the mount point, as .NAME.BRIG-STORE-NOT-MOUNTED, and says something only while nothing is
 * mounted on NAME. So where no store is found, the path's folders are looked at, too.
 */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

#define PLACE_NOTE "BRIG-STORE-NOT-MOUNTED"

/* A line of /proc/self/mountinfo: proc_pid_mountinfo(5). Strings are the arena's, with
 * their \ooo resolved. */
struct place {
	const char *mount_point;
	const char *type;    /* "btrfs", "fuse.zfs" */
	const char *source;  /* "/dev/loop0", "pool/dataset" */
	const char *root;    /* what of the file system is mounted: "/" */
	const char *options; /* the file system's, such as "rw,subvolid=5,subvol=/" */
};

/* Where the open folder lies: 0, or -errno. */
int place_find(struct arena *arena, int folder, struct place *place);
/* Opens (O_PATH) a path or, as long as that is not there, the nearest folder above. A descriptor or
 * -errno; *nearest, which may be NULL, is what was opened. */
int place_open_above(struct arena *arena, const char *path, const char **nearest);
/* What kind of file system that lies on: "ext4", "fuse.zfs"; "" where it cannot be said. */
const char *place_type(struct arena *arena, const char *path);
/* The line of a mount, by its id in digits, in the text of a mountinfo file; false where it
 * is not there or not whole. */
bool place_parse(struct arena *arena, const char *text, const char *id, struct place *place);

/* The command that mounts it. */
const char *place_mount_command(struct arena *arena, const struct place *place);

/* Leaves the note for the data root at path, open as root. Best effort. */
void place_mark(const char *path, int root);
/* 0, or ERR_NOT_FOUND where the note lies in the folder, which has no store, or beside it or one above:
 * something is to be mounted there first. root -1: there is no folder. */
int place_check(const char *path, int root, struct err *e);

/* "NFS" and the like: a name where the file system is another machine's, else NULL. */
const char *place_remote(int folder);

#endif
