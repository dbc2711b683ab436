/* overlay.h - overlayfs mounts in the way of one kernel or another; for tests. */
#ifndef STORE_OVERLAY_H
#define STORE_OVERLAY_H

#include "store/driver.h"

enum overlay_way { OVERLAY_ANY, OVERLAY_BY_DESCRIPTOR, OVERLAY_BY_PATH, OVERLAY_BY_CHILD };

/* As the driver's rootfs_mount; way is OVERLAY_ANY but in tests. */
int overlay_mount(
	struct store *store, const struct driver_rootfs *rootfs, enum overlay_way way, struct err *e);

#endif
