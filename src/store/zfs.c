/*
 * zfs.c - the driver for ZFS: trees are datasets, made from each other by snapshot and clone.
 *
 * Theory of operation. The store's file zfs.parent names a parent dataset: the one that the data root lies
 * on, or brig.conf's. Every tree is a dataset right below it, PARENT/brig-RANDOM, whose last
 * component stands in the file `dataset` of the folder it belongs to: a stage, a layer, a
 * container. That file is written before the dataset is made and goes after it, so whatever a crash
 * leaves is named in a folder that is swept.
 *
 * A layer is sealed by a snapshot of its dataset, which has the dataset's own name: the next layer and
 * containers are clones of it. A commit snapshots the container, clones that, and promotes the
 * clone: then the container depends on the new layer, not the layer on the container, which
 * can go at any time. A dataset that others depend on, such as a layer that was committed twice, is
 * removed after one of them was promoted; snapshots that come to lie in that one by it are destroyed
 * as soon as nothing is cloned from them (destroy -d).
 *
 * Two kinds. The kernel's ZFS: datasets have mountpoint=legacy and are mounted by us, where and
 * when they are needed; a container's only in its own namespace, so that `run` starts one program, for
 * the clone. zfs-fuse: the daemon mounts, in its own namespace, which is ours too, and only at
 * mountpoint=, which is zfs/NAME in the data root; a container gets a bind of that. There
 * everything stays mounted until it is destroyed: the daemon loses its way when mounts come and go at
 * the same time, and would mount it all again after a reboot anyway.
 *
 * A volume is a dataset too, mounted at its _data, on the host: by us with the kernel's ZFS, by the
 * daemon else, at the latest when it is opened. A volume's folder without the file `dataset` holds
 * files, as all did once.
 *
 * A program may outlive a brig that is killed, and the daemon's work the program: whoever removes
 * waits for a lock on the folder, which the program holds too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "store/driver.h"
#include "store/mount_points.h"
#include "store/place.h"
#include "store/zfs_program.h"

enum {
	NAME = 22,        /* "brig-" and 16 digits, NUL */
	DATASET = 256,    /* ZFS_MAX_DATASET_NAME_LEN */
	BUSY_TRIES = 100, /* while a namespace that had it mounted goes away */
	SWEEP_TRIES = 10, /* where nobody asked for just that */
	BUSY_PAUSE = 100 * 1000 * 1000,
};

/* store->driver_data */
struct zfs {
	char parent[DATASET - NAME - NAME - 4]; /* NAME@NAME-c has to fit behind it */
	char pool[DATASET];
	bool fuse;
};

static const struct zfs *zfs_of(const struct store *store)
{
	return store->driver_data;
}

/* PARENT/NAME, or PARENT/NAME@SNAPSHOT. */
static const char *full(char out[DATASET], const struct store *store, const char *name, const char *snapshot,
	const char *more)
{
	snprintf(out, DATASET, "%s/%s%s%s%s", zfs_of(store)->parent, name, snapshot ? "@" : "",
		snapshot ? snapshot : "", more);
	return out;
}

/* Waits for a lock, which goes with the descriptor. 0 or -errno. */
static int lock(int folder)
{
	while (flock(folder, LOCK_EX) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* zfs-fuse mixes up mounts that are made at the same time, and then answers nobody: a lock, or -1 where
 * none is needed. */
static int take_turn(const struct store *store)
{
	if (!zfs_of(store)->fuse)
		return -1;
	int turn = fd_open(store->root, "zfs.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (turn >= 0)
		lock(turn);
	return turn;
}

/* *reason may be NULL. A pool that is gone is told from a dataset that is. */
static int run(const struct store *store, int holds, const char *const *words, struct buf *out,
	enum zfs_reason *reason, struct err *e)
{
	const struct zfs *zfs = zfs_of(store);
	const char *const look[] = {"zfs", "list", "-H", "-o", "name", zfs->parent, NULL};
	enum zfs_reason why;
	struct err missing;

	auto_close int turn = take_turn(store);
	int rc = zfs_run(words, zfs->pool, holds, out, &why, e);
	if (rc < 0 && why == ZFS_MISSING && zfs_run(look, zfs->pool, -1, NULL, NULL, &missing) < 0) {
		why = ZFS_FAILED;
		err_set(e, missing.kind, 0, "the dataset %s of the store %s is not there", zfs->parent,
			store->path);
		err_hint(e, "zpool import %s", zfs->pool);
	}
	if (reason)
		*reason = why;
	return rc;
}

/* The file `dataset` of a folder. */

static bool is_name(const char *text)
{
	return !strncmp(text, "brig-", 5) && strlen(text) == NAME - 1 &&
	       strspn(text + 5, "0123456789abcdef") == 16;
}

/* 0, or -errno; -ENOENT where the folder has none. */
static int read_name(int folder, char name[NAME])
{
	auto_buf struct buf text = {0};
	int rc = fd_read_file(folder, "dataset", 64, &text);

	if (rc < 0)
		return rc;
	if (text.length && text.data[text.length - 1] == '\n')
		text.data[--text.length] = '\0';
	/* Empty: killed between making the file and writing it, before there was a dataset. */
	if (!text.length)
		return -ENOENT;
	if (!is_name(text.data))
		return -EUCLEAN;
	memcpy(name, text.data, NAME);
	return 0;
}

static int new_name(struct store *store, int folder, char name[NAME], struct err *e)
{
	uint64_t random;
	char line[NAME + 1];

	fd_random(&random, sizeof random);
	snprintf(name, NAME, "brig-%016llx", (unsigned long long)random);
	snprintf(line, sizeof line, "%s\n", name);
	auto_close int fd = fd_open(folder, "dataset", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	/* Who removes waits for the program, which holds this lock too. A stage's own descriptor has it. */
	int rc = fd < 0 ? fd : lock(folder);
	if (rc == 0)
		rc = fd_write_full(fd, line, strlen(line));
	/* Nothing on the disk would tell of the dataset else. */
	if (rc == 0 && fdatasync(fd) < 0)
		rc = -errno;
	return rc < 0 ? err_errno(e, rc, "cannot note a dataset in %s", store->path) : 0;
}

/* Mounts. */

/* "mountpoint=" for a new dataset. */
static char *mountpoint(const struct store *store, const char *name)
{
	auto_buf struct buf text = {0};

	if (zfs_of(store)->fuse)
		buf_printf(&text, "mountpoint=%s/zfs/%s", store->path, name);
	else
		buf_string(&text, "mountpoint=legacy");
	return strdup(text.data);
}

/* The kernel's ZFS, detached. -errno. */
static int mount_detached(const struct store *store, const char *name, unsigned attributes)
{
	char dataset[DATASET];
	auto_close int fs = kernel_fsopen("zfs", KERNEL_FSOPEN_CLOEXEC);

	if (fs < 0)
		return fs;
	full(dataset, store, name, NULL, "");
	int rc = kernel_fsconfig(fs, KERNEL_FSCONFIG_SET_STRING, "source", dataset, 0);
	if (rc == 0)
		rc = kernel_fsconfig(fs, KERNEL_FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	return rc < 0 ? rc : kernel_fsmount(fs, KERNEL_FSMOUNT_CLOEXEC, attributes);
}

/* Whether something is mounted at zfs/NAME: then it is another device than the data root. */
static bool is_mounted(const struct store *store, const char *name)
{
	char path[32];
	struct stat st, root;

	snprintf(path, sizeof path, "zfs/%s", name);
	return fstatat(store->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && fstat(store->root, &root) == 0 &&
	       st.st_dev != root.st_dev;
}

/* Mounts a dataset at zfs/NAME, where it is not mounted there. */
static int mount_at_place(const struct store *store, const char *name, struct err *e)
{
	char path[32], dataset[DATASET];

	if (is_mounted(store, name))
		return 0;
	if (zfs_of(store)->fuse) {
		const char *const words[] = {"zfs", "mount", full(dataset, store, name, NULL, ""), NULL};
		return run(store, -1, words, NULL, NULL, e);
	}
	snprintf(path, sizeof path, "zfs/%s", name);
	auto_close int tree = mount_detached(store, name, KERNEL_MOUNT_ATTR_NODEV);
	int rc = tree < 0 ? tree : fd_mkdirs(store->root, path, 0700);
	if (rc == 0)
		rc = kernel_move_mount(tree, "", store->root, path, KERNEL_MOVE_MOUNT_F_EMPTY);
	return rc < 0 ? err_errno(e, rc, "cannot mount the dataset %s", full(dataset, store, name, NULL, ""))
		      : 0;
}

static int open_at_place(const struct store *store, const char *name)
{
	char path[32];

	if (!is_mounted(store, name))
		return -ENOTCONN;
	snprintf(path, sizeof path, "zfs/%s", name);
	return fd_open(store->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

static void unmount(const struct store *store, const char *name)
{
	auto_buf struct buf path = {0};

	if (zfs_of(store)->fuse || !is_mounted(store, name))
		return;
	buf_printf(&path, "%s/zfs/%s", store->path, name);
	umount2(path.data, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* Making and removing datasets. */

static int create(struct store *store, const char *name, const char *origin, int holds, struct err *e)
{
	char dataset[DATASET];
	auto_free char *where = mountpoint(store, name);
	const char *const create_words[] = {
		"zfs", "create", "-o", where, full(dataset, store, name, NULL, ""), NULL};
	const char *const clone_words[] = {"zfs", "clone", "-o", where, origin, dataset, NULL};

	if (zfs_of(store)->fuse) {
		int rc = fd_mkdirs(store->root, "zfs", 0700);
		if (rc < 0)
			return err_errno(e, rc, "cannot make the folder %s/zfs", store->path);
	}
	return run(store, holds, origin ? clone_words : create_words, NULL, NULL, e);
}

static int snapshot(struct store *store, const char *name, const char *as, const char *more, struct err *e)
{
	char target[DATASET];
	const char *const words[] = {"zfs", "snapshot", full(target, store, name, as, more), NULL};

	return run(store, -1, words, NULL, NULL, e);
}

static int promote(struct store *store, const char *dataset, struct err *e)
{
	const char *const words[] = {"zfs", "promote", dataset, NULL};

	return run(store, -1, words, NULL, NULL, e);
}

/* Promotes the first dataset found that is a clone of name's: its own name into heir. */
static int promote_one(struct store *store, const char *name, char heir[DATASET], struct err *e)
{
	char dataset[DATASET], prefix[DATASET + 1];
	auto_buf struct buf list = {0};
	const char *const words[] = {"zfs", "list", "-H", "-t", "filesystem", "-o", "name,origin", "-r",
		zfs_of(store)->parent, NULL};

	if (run(store, -1, words, &list, NULL, e) < 0)
		return -1;
	snprintf(prefix, sizeof prefix, "%s@", full(dataset, store, name, NULL, ""));
	for (char *line = list.data; line && *line;) {
		char *end = line + strcspn(line, "\n"), *tab = memchr(line, '\t', (size_t)(end - line));
		char *next = *end ? end + 1 : end;
		*end = '\0';
		if (tab)
			*tab = '\0';
		if (tab && !strncmp(tab + 1, prefix, strlen(prefix)) && strlen(line) < DATASET) {
			memcpy(heir, line, strlen(line) + 1);
			return promote(store, heir, e);
		}
		line = next;
	}
	return err_set(e, ERR_CONFLICT, 0, "what depends on the dataset %s is not below %s", dataset,
		zfs_of(store)->parent);
}

/* The snapshots of a dataset that are not its own came from removed ones: they go when nothing
 * is cloned from them any more. */
static void drop_inherited(struct store *store, const char *dataset)
{
	auto_buf struct buf list = {0};
	struct err ignored;
	const char *own = strrchr(dataset, '/');
	const char *const words[] = {
		"zfs", "list", "-H", "-t", "snapshot", "-o", "name", "-r", dataset, NULL};

	if (!own || run(store, -1, words, &list, NULL, &ignored) < 0)
		return;
	for (char *line = list.data; line && *line;) {
		char *end = line + strcspn(line, "\n"), *at = memchr(line, '@', (size_t)(end - line));
		char *next = *end ? end + 1 : end;
		*end = '\0';
		if (at && is_name(own + 1) && !strncmp(at + 1, "brig-", 5) && strcmp(at + 1, own + 1) != 0) {
			const char *const destroy[] = {"zfs", "destroy", "-d", line, NULL};
			run(store, -1, destroy, NULL, NULL, &ignored);
		}
		line = next;
	}
}

/* One that is not there is success. */
static int destroy(struct store *store, const char *name, struct err *e)
{
	char dataset[DATASET], heir[DATASET] = "", path[32];
	const char *const words[] = {"zfs", "destroy", "-r", full(dataset, store, name, NULL, ""), NULL};
	enum zfs_reason reason;
	int promoted = 0;

	unmount(store, name);
	for (int tries = 0; run(store, -1, words, NULL, &reason, e) < 0;) {
		if (reason == ZFS_MISSING)
			break;
		if (reason == ZFS_CLONED && promoted++ < BUSY_TRIES) {
			if (promote_one(store, name, heir, e) < 0)
				return -1;
			continue;
		}
		if (reason != ZFS_BUSY || tries++ == (store->sweeping ? SWEEP_TRIES : BUSY_TRIES))
			return -1;
		nanosleep(&(const struct timespec){.tv_nsec = BUSY_PAUSE}, NULL);
	}
	if (*heir)
		drop_inherited(store, heir);
	snprintf(path, sizeof path, "zfs/%s", name);
	unlinkat(store->root, path, AT_REMOVEDIR);
	return 0;
}

static int remove_from(struct store *store, int folder, struct err *e)
{
	char name[NAME];
	int rc = lock(folder);

	if (rc == 0)
		rc = read_name(folder, name);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_errno(e, rc, "cannot read which dataset a folder of %s has", store->path);
	if (destroy(store, name, e) < 0)
		return -1;
	unlinkat(folder, "dataset", 0);
	return 0;
}

/* The snapshot that a layer is: PARENT/NAME@NAME. */
static int find_layer(struct store *store, const char *chain, char out[DATASET], struct err *e)
{
	char path[64 + sizeof "/"], name[NAME];
	int layers = store_folder(store, STORE_LAYERS, e);

	if (layers < 0)
		return -1;
	snprintf(path, sizeof path, "%.64s", chain);
	auto_close int folder = fd_open(layers, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int rc = folder < 0 ? folder : read_name(folder, name);
	if (rc < 0)
		return err_set(e, rc == -ENOENT ? ERR_CORRUPT : ERR_SYSTEM, rc,
			"cannot open the layer %.12s in %s", chain, store->path);
	full(out, store, name, name, "");
	return 0;
}

/* Makes folder's dataset from a layer, or empty. */
static int make_tree(struct store *store, const char *chain, int folder, char name[NAME], struct err *e)
{
	char origin[DATASET];

	if (chain && find_layer(store, chain, origin, e) < 0)
		return -1;
	if (new_name(store, folder, name, e) < 0)
		return -1;
	return create(store, name, chain ? origin : NULL, folder, e);
}

/* The driver. */

/* What ZFS allows in names of pools and datasets, less the blank; not an option. */
static bool is_dataset(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-/";
	size_t length = strlen(text);

	return length && length < sizeof((struct zfs *)0)->parent && text[strspn(text, allowed)] == '\0' &&
	       *text != '-' && *text != '/' && text[length - 1] != '/';
}

static bool kernel_has_zfs(void)
{
	auto_buf struct buf text = {0};

	return fd_read_file(AT_FDCWD, "/proc/filesystems", 1 << 16, &text) == 0 && text.data &&
	       strstr(text.data, "\tzfs\n");
}

static int set_parent(struct store *store, const char *parent, struct zfs *zfs, struct err *e)
{
	char shown[300];

	if (!is_dataset(parent))
		return err_set(e, ERR_INVALID, 0, "\"%s\" cannot be the name of a dataset",
			err_sanitize(shown, sizeof shown, parent));
	*zfs = (struct zfs){.fuse = !kernel_has_zfs()};
	snprintf(zfs->parent, sizeof zfs->parent, "%s", parent);
	snprintf(zfs->pool, sizeof zfs->pool, "%.*s", (int)strcspn(parent, "/"), parent);
	return 0;
}

/* Where the data root lies, by the mount: "pool/dataset", or NULL. */
static const char *dataset_below(struct arena *arena, const struct store *store)
{
	struct place place;

	if (place_find(arena, store->root, &place) < 0 ||
		(strcmp(place.type, "zfs") != 0 && strcmp(place.type, "fuse.zfs") != 0))
		return NULL;
	return place.source;
}

static int zfs_probe(struct store *store, const char **why, struct err *e)
{
	auto_arena struct arena arena = {0};
	const char *parent = store->dataset ? store->dataset : dataset_below(&arena, store);
	struct zfs zfs;
	char line[DATASET + 1];

	*why = store->dataset ? "brig.conf names a dataset" : "it lies on ZFS";
	if (!parent) {
		err_set(e, ERR_UNSUPPORTED, 0, "%s is not on ZFS", store->path);
		return err_hint(e,
			"choose a folder on a dataset with --root, or name one: zfs_dataset in brig.conf(5)");
	}
	if (set_parent(store, parent, &zfs, e) < 0)
		return -1;
	const char *const words[] = {"zfs", "list", "-H", "-o", "name", parent, NULL};
	if (zfs_run(words, zfs.pool, -1, NULL, NULL, e) < 0)
		return -1;
	if (geteuid() != 0)
		return err_set(e, ERR_DENIED, 0, "only root can make datasets in %s", parent);
	int length = snprintf(line, sizeof line, "%s\n", parent);
	int rc = fd_replace(store->root, "zfs.parent", line, (size_t)length, 0600, true);
	return rc < 0 ? err_errno(e, rc, "cannot write %s/zfs.parent", store->path) : 0;
}

static int zfs_open(struct store *store, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_free struct zfs *zfs = calloc(1, sizeof *zfs);
	int rc = fd_read_file(store->root, "zfs.parent", DATASET + 1, &text);

	if (rc < 0 || !zfs || !text.data)
		return err_set(e, ERR_CORRUPT, rc, "cannot read which dataset the store %s has", store->path);
	text.data[strcspn(text.data, "\n")] = '\0';
	if (set_parent(store, text.data, zfs, e) < 0)
		return -1;
	if (store->dataset && strcmp(store->dataset, zfs->parent) != 0) {
		err_set(e, ERR_CONFLICT, 0, "the store %s is in the dataset %s, not %s", store->path,
			zfs->parent, store->dataset);
		return err_hint(e, "choose another data root with --root");
	}
	store->driver_data = steal(zfs);
	return 0;
}

static void zfs_close(struct store *store)
{
	free(steal(store->driver_data));
}

static int zfs_layer_begin(struct store *store, const char *parent, int stage, struct err *e)
{
	char name[NAME];

	if (make_tree(store, parent, stage, name, e) < 0 || mount_at_place(store, name, e) < 0)
		return -1;
	int fd = open_at_place(store, name);
	if (fd >= 0 && !parent && fchmod(fd, 0755) < 0) {
		close(fd);
		fd = -errno;
	}
	return fd < 0 ? err_errno(e, fd, "cannot open a new dataset of %s", store->path) : fd;
}

static int zfs_layer_seal(struct store *store, int stage, struct err *e)
{
	char name[NAME];
	int rc = read_name(stage, name);

	if (rc < 0)
		return err_errno(e, rc, "cannot read which dataset a folder of %s has", store->path);
	unmount(store, name);
	return snapshot(store, name, name, "", e);
}

static int zfs_layer_open(struct store *store, int folder)
{
	struct err ignored;
	char name[NAME];
	int rc = read_name(folder, name);

	if (rc < 0)
		return rc;
	if (is_mounted(store, name)) /* it is being made */
		return open_at_place(store, name);
	if (zfs_of(store)->fuse) {
		if (mount_at_place(store, name, &ignored) < 0)
			return ignored.number ? -abs(ignored.number) : -EIO;
		return open_at_place(store, name);
	}
	auto_close int tree = mount_detached(store, name, KERNEL_MOUNT_ATTR_NODEV | KERNEL_MOUNT_ATTR_RDONLY);
	return tree < 0 ? tree : fd_open(tree, ".", O_RDONLY | O_DIRECTORY, 0);
}

static int zfs_rootfs_create(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	const char *top = rootfs->layer_count ? rootfs->layers[rootfs->layer_count - 1] : NULL;
	char name[NAME];

	return make_tree(store, top, rootfs->folder, name, e);
}

static int own_name(
	const struct store *store, const struct driver_rootfs *rootfs, char name[NAME], struct err *e)
{
	int rc = read_name(rootfs->folder, name);
	return rc < 0 ? err_set(e, ERR_CORRUPT, rc, "cannot read which dataset a container of %s has",
				store->path)
		      : 0;
}

/* The daemon mounts in its own namespace: the container's can only get a copy of that mount. */
static int zfs_rootfs_prepare(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	char name[NAME];

	if (!zfs_of(store)->fuse)
		return 0;
	return own_name(store, rootfs, name, e) < 0 ? -1 : mount_at_place(store, name, e);
}

static int zfs_rootfs_mount(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	char name[NAME], path[32], dataset[DATASET];

	if (own_name(store, rootfs, name, e) < 0)
		return -1;
	if (zfs_of(store)->fuse) {
		if (!is_mounted(store, name))
			return err_set(e, ERR_SYSTEM, 0, "a container's dataset is not mounted at %s/zfs/%s",
				store->path, name);
		snprintf(path, sizeof path, "zfs/%s", name);
		return driver_mount_folder(store->root, path, rootfs->read_only, e);
	}
	int fd = mount_detached(
		store, name, KERNEL_MOUNT_ATTR_NODEV | (rootfs->read_only ? KERNEL_MOUNT_ATTR_RDONLY : 0));
	return fd < 0 ? err_errno(e, fd, "cannot mount the dataset %s", full(dataset, store, name, NULL, ""))
		      : fd;
}

static int zfs_rootfs_commit(
	struct store *store, const struct driver_rootfs *rootfs, int stage, struct err *e)
{
	const char *top = rootfs->layer_count ? rootfs->layers[rootfs->layer_count - 1] : NULL;
	char from[NAME], to[NAME], origin[DATASET], dataset[DATASET];

	if (own_name(store, rootfs, from, e) < 0 || new_name(store, stage, to, e) < 0)
		return -1;
	/* Not the layer's own snapshot, which is made when it is sealed, but what both stem from. */
	if (snapshot(store, from, to, "-c", e) < 0)
		return -1;
	full(origin, store, from, to, "-c");
	if (create(store, to, origin, stage, e) < 0) {
		struct err ignored;
		const char *const words[] = {"zfs", "destroy", origin, NULL};
		run(store, -1, words, NULL, NULL, &ignored);
		return -1;
	}
	if (promote(store, full(dataset, store, to, NULL, ""), e) < 0 || mount_at_place(store, to, e) < 0)
		return -1;
	auto_close int tree = open_at_place(store, to);
	auto_close int below = top ? driver_open_tree(store, top) : -1;
	if (tree < 0)
		return err_errno(e, tree, "cannot open a new dataset of %s", store->path);
	mount_points_trim(tree, below, rootfs->mount_points);
	return 0;
}

/* Volumes. */

static const char data_name[] = "_data";

/* Whether what is to be seen at _data is the folder's dataset. */
static bool shows_data(const struct store *store, int folder)
{
	auto_arena struct arena arena = {0};
	char name[NAME], dataset[DATASET];
	struct place place;

	if (kernel_is_mount_point(folder, data_name) != 1 || read_name(folder, name) < 0)
		return false;
	auto_close int data = fd_open(folder, data_name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	return data >= 0 && place_find(&arena, data, &place) == 0 &&
	       !strcmp(place.source, full(dataset, store, name, NULL, ""));
}

/* 0 or -errno. */
static int unmount_data(const struct store *store, int folder, int flags)
{
	char path[64];
	auto_close int turn = take_turn(store);

	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, data_name);
	return umount2(path, flags | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

/* Mounts the dataset at _data. */
static int mount_data(struct store *store, int folder, const char *name, struct err *e)
{
	char dataset[DATASET];
	const char *const words[] = {"zfs", "mount", full(dataset, store, name, NULL, ""), NULL};

	if (!zfs_of(store)->fuse) {
		auto_close int tree = mount_detached(store, name, 0);
		int rc = tree < 0 ? tree
				  : kernel_move_mount(tree, "", folder, data_name, KERNEL_MOVE_MOUNT_F_EMPTY);
		if (rc == 0)
			return 0;
		err_set(e, ERR_SYSTEM, rc, "cannot mount the dataset %s of a volume", dataset);
		return err_hint(e, "zfs list -r %s shows what is there", zfs_of(store)->parent);
	}
	if (run(store, -1, words, NULL, NULL, e) < 0)
		return -1;
	if (kernel_is_mount_point(folder, data_name) == 1)
		return 0;
	err_set(e, ERR_SYSTEM, 0, "the dataset %s of a volume is mounted, but not in %s", dataset,
		store->path);
	return err_hint(e, "zfs get mountpoint %s tells where", dataset);
}

static int zfs_volume_open(struct store *store, int folder, struct err *e)
{
	char name[NAME];
	struct stat st;

	if (kernel_is_mount_point(folder, data_name) == 1)
		return 0;
	/* What somebody has put in its place is not for us to hide. */
	if (fstatat(folder, data_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	int rc = read_name(folder, name);
	if (rc == -ENOENT)
		return 0; /* a folder of files */
	/* Two that open it at once; the folder's own lock may be held by who fills it. */
	auto_close int turn = rc < 0 ? rc : fd_open(folder, "dataset", O_RDONLY | O_NOFOLLOW, 0);
	rc = turn < 0 ? turn : lock(turn);
	if (rc < 0)
		return err_errno(e, rc, "cannot read which dataset a volume of %s has", store->path);
	return kernel_is_mount_point(folder, data_name) == 1 ? 0 : mount_data(store, folder, name, e);
}

/* The daemon has to know the place for good, so it mounts when the volume has its name. Neither it nor
 * anybody else does so by itself: what was made by half shall not appear at the next boot. */
static int zfs_volume_create(struct store *store, int folder, const char *volume, struct err *e)
{
	char name[NAME], dataset[DATASET];
	bool fuse = zfs_of(store)->fuse;
	auto_buf struct buf where = {0};

	if (fuse)
		buf_printf(&where, "mountpoint=%s/volumes/%s/%s", store->path, volume, data_name);
	else
		buf_string(&where, "mountpoint=legacy");
	if (mkdirat(folder, data_name, 0755) < 0)
		return err_errno(e, errno, "cannot make a volume's folder in %s", store->path);
	if (new_name(store, folder, name, e) < 0)
		return -1;
	const char *const words[] = {"zfs", "create", "-o", "canmount=noauto", "-o", where.data,
		full(dataset, store, name, NULL, ""), NULL};
	if (run(store, folder, words, NULL, NULL, e) < 0)
		return -1;
	return fuse ? 0 : mount_data(store, folder, name, e);
}

static int zfs_volume_release(struct store *store, int folder, struct err *e)
{
	/* Another mount on top of it is somebody else's, and for the caller to find. */
	int rc = shows_data(store, folder) ? unmount_data(store, folder, 0) : 0;
	if (rc == -EBUSY)
		return err_set(e, ERR_CONFLICT, 0, "a process or a mount of this host is in it");
	return rc < 0 ? err_errno(e, rc, "cannot unmount its dataset") : 0;
}

static int zfs_volume_remove(struct store *store, int folder, struct err *e)
{
	if (shows_data(store, folder))
		unmount_data(store, folder, MNT_DETACH);
	return remove_from(store, folder, e);
}

const struct store_driver driver_zfs = {
	.name = "zfs",
	.whiteouts = UNPACK_WHITEOUTS_APPLY,
	.probe = zfs_probe,
	.open = zfs_open,
	.close = zfs_close,
	.layer_begin = zfs_layer_begin,
	.layer_seal = zfs_layer_seal,
	.layer_remove = remove_from,
	.layer_open = zfs_layer_open,
	.rootfs_create = zfs_rootfs_create,
	.rootfs_prepare = zfs_rootfs_prepare,
	.rootfs_mount = zfs_rootfs_mount,
	.rootfs_remove = remove_from,
	.rootfs_commit = zfs_rootfs_commit,
	.volume_create = zfs_volume_create,
	.volume_open = zfs_volume_open,
	.volume_release = zfs_volume_release,
	.volume_remove = zfs_volume_remove,
};
