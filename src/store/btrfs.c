/*
 * btrfs.c - the driver for a data root on btrfs: trees are subvolumes, made from each other
 * by snapshots.
 *
 * Theory of operation. layers/HEX/tree is a read-only subvolume that holds the layer and all below
 * it: a snapshot of its parent's, into which the layer was unpacked. containers/ID/rootfs is a
 * writable snapshot of the image's highest. A commit is a snapshot back. So none of these costs
 * more for a larger image, and removing gives the subvolume to the kernel, which frees its
 * space when it has time. Everything is asked of the kernel by ioctl(2) (linux/btrfs.h); what a
 * crash leaves lies in staging, or below a container that is swept, where rootfs_remove finds it.
 *
 * A process in a container may make subvolumes inside its tree: making one needs no rights. They
 * keep the one that they are in from being destroyed, and a snapshot has an empty folder in the place
 * of each. So they are destroyed first, by their ids (their paths are whatever the container made of
 * them), and a commit copies what is in them, as ordinary folders that share data.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "store/driver.h"
#include "store/mount_points.h"
#include "store/place.h"
#include "store/tree.h"

enum {
	ROOT_INODE = 256,       /* of every subvolume: BTRFS_FIRST_FREE_OBJECTID */
	HANDLE_TYPE = 0x4d,     /* FILEID_BTRFS_WITHOUT_PARENT of linux/exportfs.h */
	NESTED_LIMIT = 1 << 20, /* subvolumes below one */
	LITTLE_LEFT = 64 << 20, /* bytes */
};

/* The ioctls. All return 0 or -errno. */

static int create_subvolume(int folder, const char *name)
{
	struct btrfs_ioctl_vol_args_v2 args = {0};

	snprintf(args.name, sizeof args.name, "%s", name);
	return ioctl(folder, BTRFS_IOC_SUBVOL_CREATE_V2, &args) < 0 ? -errno : 0;
}

static int create_snapshot(int source, int folder, const char *name)
{
	struct btrfs_ioctl_vol_args_v2 args = {.fd = source};

	snprintf(args.name, sizeof args.name, "%s", name);
	return ioctl(folder, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0 ? -errno : 0;
}

static int destroy_by_name(int folder, const char *name)
{
	struct btrfs_ioctl_vol_args_v2 args = {0};

	snprintf(args.name, sizeof args.name, "%s", name);
	return ioctl(folder, BTRFS_IOC_SNAP_DESTROY_V2, &args) < 0 ? -errno : 0;
}

static int destroy_by_id(int anywhere, uint64_t id)
{
	struct btrfs_ioctl_vol_args_v2 args = {.flags = BTRFS_SUBVOL_SPEC_BY_ID, .subvolid = id};

	return ioctl(anywhere, BTRFS_IOC_SNAP_DESTROY_V2, &args) < 0 ? -errno : 0;
}

static int set_read_only(int subvolume, bool read_only)
{
	uint64_t flags;

	if (ioctl(subvolume, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) < 0)
		return -errno;
	if (!(flags & BTRFS_SUBVOL_RDONLY) == !read_only)
		return 0;
	flags ^= BTRFS_SUBVOL_RDONLY;
	return ioctl(subvolume, BTRFS_IOC_SUBVOL_SETFLAGS, &flags) < 0 ? -errno : 0;
}

/* The generation of a subvolume's root folder, which is part of its handle; 0 where it cannot be told. Linux
 * before 6.2 wants the right one, later ones take 0 for any. */
static uint32_t root_generation(int anywhere, uint64_t id)
{
	auto_free struct btrfs_ioctl_search_args *search = calloc(1, sizeof *search);
	struct btrfs_ioctl_search_header head;
	struct btrfs_inode_item item;

	if (!search)
		return 0;
	search->key = (struct btrfs_ioctl_search_key){.tree_id = id,
		.min_objectid = ROOT_INODE,
		.max_objectid = ROOT_INODE,
		.min_type = BTRFS_INODE_ITEM_KEY,
		.max_type = BTRFS_INODE_ITEM_KEY,
		.max_transid = UINT64_MAX,
		.nr_items = 1};
	if (ioctl(anywhere, BTRFS_IOC_TREE_SEARCH, search) < 0 || search->key.nr_items != 1)
		return 0;
	memcpy(&head, search->buf, sizeof head);
	if (head.len < sizeof item)
		return 0;
	memcpy(&item, search->buf + sizeof head, sizeof item);
	return (uint32_t)le64toh(item.generation);
}

/* The root folder of the subvolume with this id, wherever it is; anywhere is on its file system. */
static int open_by_id(int anywhere, uint64_t id)
{
	/* struct btrfs_fid of the kernel's fs/btrfs/export.h. */
	struct body {
		uint64_t inode, subvolume;
		uint32_t generation;
	} __attribute__((packed));
	struct body body = {
		.inode = ROOT_INODE, .subvolume = id, .generation = root_generation(anywhere, id)};
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof body];
	} u = {.handle = {.handle_bytes = sizeof body, .handle_type = HANDLE_TYPE}};

	memcpy(u.handle.f_handle, &body, sizeof body);
	int fd = open_by_handle_at(anywhere, &u.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Subvolumes in subvolumes. */

struct nested {
	uint64_t id;
	uint64_t folder; /* the inode that it is in, of the subvolume above */
};

struct nested_list {
	struct nested *items;
	size_t count, room;
};

static void free_nested(struct nested_list *list)
{
	free(steal(list->items));
}

/* Adds those right below the subvolume that is open: how many, or -errno. */
static int add_nested(int subvolume, struct nested_list *list)
{
	auto_free struct btrfs_ioctl_get_subvol_rootref_args *found = calloc(1, sizeof *found);
	int count = 0, rc;

	if (!found)
		return -ENOMEM;
	do {
		rc = ioctl(subvolume, BTRFS_IOC_GET_SUBVOL_ROOTREF, found) < 0 ? -errno : 0;
		/* EOVERFLOW: this many, and there are more from min_treeid on. */
		if (rc < 0 && rc != -EOVERFLOW)
			return rc;
		for (unsigned i = 0; i < found->num_items; i++) {
			if (list->count == NESTED_LIMIT)
				return -E2BIG;
			if (list->count == list->room) {
				size_t room = list->room ? list->room * 2 : 64;
				struct nested *items = realloc(list->items, room * sizeof *items);
				if (!items)
					return -ENOMEM;
				list->items = items;
				list->room = room;
			}
			list->items[list->count++] = (struct nested){
				.id = found->rootref[i].treeid, .folder = found->rootref[i].dirid};
			count++;
		}
	} while (rc == -EOVERFLOW);
	return count;
}

/* Destroys all that is nested in the open subvolume. */
static int destroy_nested(int subvolume)
{
	struct nested_list list = {0};
	int rc = add_nested(subvolume, &list);

	/* Those that others are in are made writable: an entry of theirs goes. */
	if (rc > 0)
		rc = set_read_only(subvolume, false);
	for (size_t i = 0; rc >= 0 && i < list.count; i++) {
		auto_close int fd = open_by_id(subvolume, list.items[i].id);
		rc = fd < 0 ? fd : add_nested(fd, &list);
		if (rc > 0)
			rc = set_read_only(fd, false);
	}
	/* What is in another one was found after it. */
	for (size_t i = list.count; rc >= 0 && i-- > 0;)
		rc = destroy_by_id(subvolume, list.items[i].id);
	free_nested(&list);
	return rc < 0 ? rc : 0;
}

/* Destroys name in folder, with what is nested in it. One that is not there is success. */
static int destroy(int folder, const char *name)
{
	int rc = destroy_by_name(folder, name);

	if (rc == -ENOTEMPTY) {
		auto_close int subvolume = fd_open(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		rc = subvolume < 0 ? subvolume : destroy_nested(subvolume);
		if (rc == 0)
			rc = destroy_by_name(folder, name);
	}
	return rc == -ENOENT ? 0 : rc;
}

/* In a snapshot of the subvolume from there is an empty folder in the place of a nested one: fills it. */
static int fill_one(struct store *store, int from, int snapshot, const struct nested *nested, struct err *e)
{
	static const struct tree_options options = {0};
	struct tree_result result;
	struct btrfs_ioctl_ino_lookup_user_args *where = calloc(1, sizeof *where);
	auto_free void *owner = where;

	if (!where)
		return err_errno(e, ENOMEM, "cannot commit a container");
	where->dirid = nested->folder;
	where->treeid = nested->id;
	if (ioctl(from, BTRFS_IOC_INO_LOOKUP_USER, where) < 0) {
		if (errno == ENOENT)
			return 0; /* the container has removed it meanwhile */
		return err_errno(e, errno, "cannot find a subvolume that the container made");
	}
	/* path ends with a slash, or is empty. */
	const char *path = where->path[0] ? where->path : ".";
	auto_close int parent = fd_open_beneath(snapshot, path, O_PATH | O_DIRECTORY, 0);
	auto_close int source = open_by_id(from, nested->id);
	if (parent < 0 || source < 0)
		return err_errno(
			e, parent < 0 ? parent : source, "cannot open a subvolume that the container made");
	if (unlinkat(parent, where->name, AT_REMOVEDIR) < 0 || mkdirat(parent, where->name, 0700) < 0)
		return err_errno(e, errno, "cannot copy a subvolume that the container made");
	auto_close int to = fd_open(parent, where->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (to < 0)
		return err_errno(e, to, "cannot copy a subvolume that the container made");
	return tree_copy(source, to, &options, &result, e);
}

static int fill_nested(struct store *store, int from, int snapshot, struct err *e)
{
	struct nested_list list = {0};
	int rc = add_nested(from, &list);

	if (rc < 0) {
		free_nested(&list);
		return err_errno(e, rc, "cannot list the subvolumes that a container made");
	}
	rc = 0;
	for (size_t i = 0; rc == 0 && i < list.count; i++)
		rc = fill_one(store, from, snapshot, &list.items[i], e);
	free_nested(&list);
	return rc;
}

/* The driver. */

/* Containers that are root could destroy what is not theirs: SNAP_DESTROY_V2 takes any id, and
 * with this option asks only for the folder's permissions. */
static int check_options(struct store *store, struct err *e)
{
	auto_arena struct arena arena = {0};
	struct place place;

	if (geteuid() != 0 || place_find(&arena, store->root, &place) < 0 ||
		!strstr(place.options, "user_subvol_rm_allowed"))
		return 0;
	err_set(e, ERR_UNSUPPORTED, 0,
		"btrfs at %s is mounted with user_subvol_rm_allowed: a container could remove the subvolumes "
		"of others",
		place.mount_point);
	return err_hint(e, "mount it without that option, or use --storage-driver overlay");
}

static int btrfs_probe(struct store *store, const char **why, struct err *e)
{
	struct store_stage stage;
	struct statfs where;

	*why = "it lies on btrfs";
	if (fstatfs(store->root, &where) < 0)
		return err_errno(e, errno, "cannot look at the file system of %s", store->path);
	if ((unsigned)where.f_type != KERNEL_BTRFS_MAGIC) {
		err_set(e, ERR_UNSUPPORTED, 0, "%s is not on a btrfs filesystem", store->path);
		return err_hint(e,
			"truncate -s 10G /FILE && mkfs.btrfs /FILE && mount -o loop /FILE %s makes one there",
			store->path);
	}
	if (check_options(store, e) < 0 || store_stage(store, "probe", &stage, e) < 0)
		return -1;
	int rc = create_subvolume(stage.fd, "tree");
	if (rc < 0)
		err_errno(e, rc, "cannot make subvolumes in %s", store->path);
	else if ((rc = destroy_by_name(stage.fd, "tree")) < 0)
		err_errno(e, rc, "cannot remove subvolumes in %s", store->path);
	if (rc == -EPERM)
		err_hint(e, "an ordinary user can where it is mounted with -o user_subvol_rm_allowed");
	store_stage_drop(store, &stage);
	return rc < 0 ? -1 : 0;
}

static int out_of(const struct store *store, int number, const char *what, struct err *e)
{
	err_errno(e, number, "cannot %s in %s", what, store->path);
	return e->kind == ERR_NO_SPACE ? err_hint(e, "btrfs filesystem usage tells what takes the space")
				       : -1;
}

/* Makes name in folder, from a layer's tree or empty. */
static int make_tree(struct store *store, const char *chain, int folder, const char *name, struct err *e)
{
	if (!chain) {
		int rc = create_subvolume(folder, name);
		if (rc == 0 && fchmodat(folder, name, 0755, 0) < 0)
			rc = -errno;
		return rc < 0 ? out_of(store, rc, "make a subvolume", e) : 0;
	}
	auto_close int tree = driver_open_tree(store, chain);
	if (tree < 0)
		return err_set(e, tree == -ENOENT ? ERR_CORRUPT : ERR_SYSTEM, tree,
			"cannot open the layer %.12s in %s", chain, store->path);
	int rc = create_snapshot(tree, folder, name);
	return rc < 0 ? out_of(store, rc, "make a snapshot", e) : 0;
}

static int open_tree_in(struct store *store, int folder, const char *name, struct err *e)
{
	int fd = fd_open(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? err_errno(e, fd, "cannot open a subvolume in %s", store->path) : fd;
}

static int btrfs_layer_begin(struct store *store, const char *parent, int stage, struct err *e)
{
	return make_tree(store, parent, stage, "tree", e) < 0 ? -1 : open_tree_in(store, stage, "tree", e);
}

static int btrfs_layer_seal(struct store *store, int stage, struct err *e)
{
	auto_close int tree = open_tree_in(store, stage, "tree", e);

	if (tree < 0)
		return -1;
	int rc = set_read_only(tree, true);
	return rc < 0 ? out_of(store, rc, "make a subvolume read-only", e) : 0;
}

/* What was removed is freed in the background, half a minute later at worst. Where next to nothing is left
 * that is too late for the user's next command: this ends the transaction and wakes who frees. */
static void free_soon(int anywhere)
{
	struct statfs fs;

	if (fstatfs(anywhere, &fs) == 0 && fs.f_bavail * (uint64_t)fs.f_bsize < LITTLE_LEFT)
		ioctl(anywhere, BTRFS_IOC_SYNC);
}

static int remove_subvolume(struct store *store, int folder, const char *name, struct err *e)
{
	int rc = destroy(folder, name);

	if (rc == -EPERM || rc == -EACCES) {
		err_errno(e, rc, "cannot remove a subvolume in %s", store->path);
		return err_hint(e, "an ordinary user can where it is mounted with -o user_subvol_rm_allowed");
	}
	if (rc < 0)
		return err_errno(e, rc, "cannot remove a subvolume in %s", store->path);
	free_soon(folder);
	return 0;
}

static int btrfs_layer_remove(struct store *store, int folder, struct err *e)
{
	/* Its space is free after the kernel's next transaction. Asking for one every time
	 * (BTRFS_IOC_START_SYNC) can take as long: it waits for who has one open. */
	return remove_subvolume(store, folder, "tree", e);
}

static int btrfs_rootfs_create(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	const char *top = rootfs->layer_count ? rootfs->layers[rootfs->layer_count - 1] : NULL;

	return make_tree(store, top, rootfs->folder, "rootfs", e);
}

static int btrfs_rootfs_mount(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	return driver_mount_folder(rootfs->folder, "rootfs", rootfs->read_only, e);
}

static int btrfs_rootfs_remove(struct store *store, int folder, struct err *e)
{
	return remove_subvolume(store, folder, "rootfs", e);
}

static int btrfs_rootfs_commit(
	struct store *store, const struct driver_rootfs *rootfs, int stage, struct err *e)
{
	const char *top = rootfs->layer_count ? rootfs->layers[rootfs->layer_count - 1] : NULL;
	auto_close int from = open_tree_in(store, rootfs->folder, "rootfs", e);

	if (from < 0)
		return -1;
	int rc = create_snapshot(from, stage, "tree");
	if (rc < 0)
		return out_of(store, rc, "make a snapshot", e);
	auto_close int tree = open_tree_in(store, stage, "tree", e);
	auto_close int below = top ? driver_open_tree(store, top) : -1;
	if (tree < 0 || fill_nested(store, from, tree, e) < 0)
		return -1;
	mount_points_trim(tree, below, rootfs->mount_points);
	return 0;
}

static int btrfs_volume_create(struct store *store, int folder, const char *name, struct err *e)
{
	return make_tree(store, NULL, folder, "_data", e);
}

static int btrfs_volume_remove(struct store *store, int folder, struct err *e)
{
	struct stat st;

	/* What somebody has put in its place is removed file by file. */
	if (fstatat(folder, "_data", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(!S_ISDIR(st.st_mode) || st.st_ino != ROOT_INODE))
		return 0;
	return remove_subvolume(store, folder, "_data", e);
}

const struct store_driver driver_btrfs = {
	.name = "btrfs",
	.whiteouts = UNPACK_WHITEOUTS_APPLY,
	.probe = btrfs_probe,
	.layer_begin = btrfs_layer_begin,
	.layer_seal = btrfs_layer_seal,
	.layer_remove = btrfs_layer_remove,
	.rootfs_create = btrfs_rootfs_create,
	.rootfs_mount = btrfs_rootfs_mount,
	.rootfs_remove = btrfs_rootfs_remove,
	.rootfs_commit = btrfs_rootfs_commit,
	.volume_create = btrfs_volume_create,
	.volume_remove = btrfs_volume_remove,
};
