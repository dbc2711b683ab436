/*
 * overlay.h - inside the driver for overlayfs: mounts in the way of one kernel or another, and
 * the trees that stand for a stack of layers.
 *
 * Theory of operation of flat trees. Overlayfs takes 500 trees, each costs some microseconds when
 * a container starts, and commits onto one name make a layer each. So from time to time several
 * layers get a tree in common: the folder `flat` of the highest of them, with
 *
 *	tree	what overlayfs would show of these layers alone: hard links to their files, folders
 *		of its own; whiteouts and opaque marks where something below is hidden
 *	below	a link, "LEVEL/HEX" (or "LEVEL/"): the layer on which it stands, and how often its files
 *		were put together
 *
 * Whenever the highest OVERLAY_FAN neighbours have one level they get a flat tree of the next, so that
 * N layers are at most some 7 times log8(N) trees, and a file is linked log8(N) times. The layers
 * themselves stay as they are: digests are taken from them. Layers that were pulled are left alone, but where
 *there are more than OVERLAY_MANY, when the first container is made of them. A flat tree is made in staging
 * and gets its name by one rename; a layer's goes with the layer. It is worth having only, so
 * whoever makes it is in no hurry, and nobody waits for it.
 */
#ifndef STORE_OVERLAY_H
#define STORE_OVERLAY_H

#include "store/driver.h"
#include "store/layer.h"

enum overlay_way { OVERLAY_ANY, OVERLAY_BY_DESCRIPTOR, OVERLAY_BY_PATH, OVERLAY_BY_CHILD };

/* As the driver's rootfs_mount; way is OVERLAY_ANY but in tests. */
int overlay_mount(
	struct store *store, const struct driver_rootfs *rootfs, enum overlay_way way, struct err *e);

enum {
	OVERLAY_FAN = 8,
	OVERLAY_MANY = 64, /* an image that was pulled with more layers gets flat trees as well */
};

/* A tree of a mount. */
struct overlay_tree {
	char path[64 + sizeof "/flat/tree"]; /* below layers/ */
	char chain[65];                      /* the layer that it belongs to */
	char below[65];                      /* the layer on which it stands; "": none */
	unsigned level;                      /* 0: a layer's own */
};

/* All trees that make a root file system, the highest first; to be freed. The mount points (places)
 * are not among them. */
struct overlay_stack {
	struct overlay_tree *trees;
	size_t count;
	size_t walked; /* the first ones, which no list names */
};
int overlay_stack_find(
	struct store *store, const struct driver_rootfs *rootfs, struct overlay_stack *stack, struct err *e);
void overlay_stack_free(struct overlay_stack *stack);
#define auto_stack __attribute__((cleanup(overlay_stack_free)))

/* The driver's. */
int overlay_rootfs_tidy(struct store *store, const struct driver_rootfs *rootfs, struct err *e);
int overlay_rootfs_below(
	struct store *store, const struct driver_rootfs *rootfs, int **fds, size_t *count, struct err *e);
int overlay_rootfs_push(
	struct store *store, const struct driver_rootfs *rootfs, const struct layer *layer, struct err *e);
int overlay_rootfs_pushed(struct store *store, int folder, struct err *e);
int overlay_rootfs_recover(struct store *store, int folder, char chain[65], struct err *e);

#endif
