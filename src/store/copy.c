/*
 * copy.c - the driver for file systems without a better one: a layer's tree holds all layers
 * below it too, and a container's `rootfs` is a copy of its image's highest.
 *
 * Where the file system shares data between files (xfs, btrfs, bcachefs), copies cost
 * only their names.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/driver.h"
#include "store/tree.h"

static int copy_probe(struct store *store, const char **why, struct err *e)
{
	*why = "it works everywhere, and nothing better does here";
	return 0;
}

/* Makes name in folder and copies a layer there. Returns it open. */
static int copy_layer(struct store *store, const char *chain, int folder, const char *name, struct err *e)
{
	static const struct tree_options options = {.one_owner = true};
	struct tree_result result;

	if (mkdirat(folder, name, 0755) < 0 || fchmodat(folder, name, 0755, 0) < 0)
		return err_errno(e, errno, "cannot make a folder in %s", store->path);
	auto_close int to = fd_open(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (to < 0)
		return err_errno(e, to, "cannot open a folder in %s", store->path);
	if (!chain)
		return steal_fd(&to);
	auto_close int from = driver_open_tree(store, chain);
	if (from < 0)
		return err_set(e, from == -ENOENT ? ERR_CORRUPT : ERR_SYSTEM, from,
			"cannot open the layer %.12s in %s", chain, store->path);
	return tree_copy(from, to, &options, &result, e) < 0 ? -1 : steal_fd(&to);
}

static int copy_layer_begin(struct store *store, const char *parent, int stage, struct err *e)
{
	return copy_layer(store, parent, stage, "tree", e);
}

static int copy_rootfs_create(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	const char *top = rootfs->layer_count ? rootfs->layers[rootfs->layer_count - 1] : NULL;
	int fd = copy_layer(store, top, rootfs->folder, "rootfs", e);

	if (fd < 0)
		return -1;
	close(fd);
	/* What a container is made of is there after a crash, whatever becomes of what it writes. */
	return rootfs->ephemeral ? 0 : store_sync(store, e);
}

static int copy_rootfs_mount(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	return driver_mount_folder(rootfs->folder, "rootfs", rootfs->read_only, e);
}

const struct store_driver driver_copy = {
	.name = "copy",
	.whiteouts = UNPACK_WHITEOUTS_APPLY,
	.probe = copy_probe,
	.layer_begin = copy_layer_begin,
	.rootfs_create = copy_rootfs_create,
	.rootfs_mount = copy_rootfs_mount,
};
