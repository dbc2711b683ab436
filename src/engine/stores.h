/*
 * stores.h - which store a command works on where a host may have several.
 *
 * Theory of operation. brig's own store lies where the options, the environment or brig.conf say,
 * else in the usual place. The classic dialect's names have homes of their own: a btrfs file
 * system at /var/shocker or /var/bocker, a ZFS pool called zocker. Where such a home is there when
 * the first command makes something, it is taken, else the usual place; and what was taken is
 * written to USUAL/classic/OWNER, three lines:
 *
 *	/var/shocker				the data root
 *	btrfs					the file system's type, "" for the usual place
 *	mount -t btrfs /dev/sdb1 /var/shocker	the command that mounts it
 *
 * From then on that place is meant, whatever else appears: a file system that is not mounted is an
 * error with that command, never another store in its place. Removing the file chooses anew.
 *
 * Only root has these homes; an ordinary user's store is always the usual one.
 */
#ifndef ENGINE_STORES_H
#define ENGINE_STORES_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

/* The data root for a command of the dialect owner ("shocker"); record says that it is going to make
 * something. *root is what the caller has as the usual place, and is replaced. ERR_NOT_FOUND where what was
 * chosen once is not mounted. */
int stores_choose(struct arena *arena, const char *owner, bool record, const char **root, struct err *e);

/* The stores of this host besides the one at current that hold an image or a container, or would if they
 * were mounted: a line for each, "/var/shocker (brig --root /var/shocker, or shocker)". */
void stores_others(struct arena *arena, const char *current, struct strings *out);

/* Whether a btrfs file system is at path. */
bool stores_on_btrfs(const char *path);
/* Where a pool is mounted, or NULL. */
const char *stores_pool_mounted(struct arena *arena, const char *pool);

#endif
