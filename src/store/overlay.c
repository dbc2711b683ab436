/*
 * overlay.c - the driver for overlayfs: a layer's tree is the layer alone.
 *
 * A container's folder has `upper`, what it wrote, and `work`, overlayfs's own. Mounts are
 * made with userxattr everywhere, so that the unpacker can mark folders without rights
 * and one store serves root and user namespaces alike (from kernel 5.11); the kernel then has
 * redirect_dir and metacopy off whatever an image holds.
 *
 * Theory of operation. All layers are opened by us and given to the kernel as descriptors,
 * so no path is put together. How depends on the kernel:
 *
 *	6.13	fsconfig(FSCONFIG_SET_FD, "lowerdir+"), one call for each
 *	6.5	fsconfig(FSCONFIG_SET_STRING, "lowerdir+", "/proc/self/fd/N")
 *	before	fsconfig takes no value longer than 255 bytes, mount(2) takes a page: a child in
 *		a mount namespace of its own goes to /proc/self/fd, where a layer's name is
 *		"12", mounts, and sends the copy that open_tree(2) makes of it
 *
 * `volatile` leaves a mark in work that forbids a second mount, which we take away: what
 * a running kernel has in its memory is sound, and after a crash ephemeral containers
 * are gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "store/driver.h"
#include "store/mount_points.h"
#include "store/overlay.h"

/*
 * The store's places/tree is the lowest layer of every mount: the folders and empty files on
 * which the engine mounts, for images that lack them. So nothing is made in upper for an engine's
 * sake, which costs time at each start and would show as a change of the container's.
 */
static const char places_tree[] = "places/tree";

static int fill_places(int stage)
{
	if (mkdirat(stage, "tree", 0755) < 0)
		return -errno;
	auto_close int tree = fd_open(stage, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int rc = tree < 0 ? tree : 0;
	for (size_t i = 0; rc == 0 && i < mount_point_count; i++) {
		const char *name = mount_points[i].name;
		const bool is_folder = mount_points[i].folder;
		if (is_folder && mkdirat(tree, name, 0755) < 0)
			return -errno;
		auto_close int fd = fd_open(tree, name,
			is_folder ? O_RDONLY | O_DIRECTORY : O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
		if (fd < 0)
			return fd;
		/* Whatever the caller's umask is. */
		if (fchmod(fd, is_folder ? 0755 : 0644) < 0)
			return -errno;
	}
	if (rc == 0 && fchmod(tree, 0755) < 0)
		rc = -errno;
	return rc;
}

/* Makes them for this store, once. */
static int make_places(struct store *store, struct err *e)
{
	struct store_stage stage;
	struct stat st;

	if (fstatat(store->root, places_tree, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	int tmp = store_folder(store, STORE_TMP, e);
	if (tmp < 0 || store_stage(store, "places", &stage, e) < 0)
		return -1;
	int rc = fill_places(stage.fd);
	if (rc < 0)
		err_errno(e, rc, "cannot make the mount points of %s", store->path);
	else
		rc = store_sync(store, e);
	/* Two at once make the same: the second one's stays behind and goes with its stage. */
	if (rc == 0 && renameat(tmp, stage.name, store->root, "places") == 0)
		stage.name[0] = '\0';
	else if (rc == 0 && errno != EEXIST && errno != ENOTEMPTY)
		rc = err_errno(e, errno, "cannot put the mount points into %s", store->path);
	store_stage_drop(store, &stage);
	close_fd(&stage.fd);
	return rc;
}

/* The descriptors that make a mount. */
struct parts {
	struct overlay_stack stack;
	int *lower; /* the highest first */
	size_t lower_count;
	int upper, work;
};

static void close_parts(struct parts *parts)
{
	for (size_t i = 0; i < parts->lower_count; i++)
		close_fd(&parts->lower[i]);
	free(parts->lower);
	overlay_stack_free(&parts->stack);
	close_fd(&parts->upper);
	close_fd(&parts->work);
}

static int open_own(const struct driver_rootfs *rootfs, const char *name, struct err *e)
{
	int fd = fd_open(rootfs->folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? err_errno(e, fd, "cannot open a container's folder \"%s\"", name) : fd;
}

/* The layers' trees and, below them, the mount points. */
static int open_lower(
	struct store *store, const struct driver_rootfs *rootfs, struct parts *parts, struct err *e)
{
	if (overlay_stack_find(store, rootfs, &parts->stack, e) < 0)
		return -1;
	parts->lower = calloc(parts->stack.count + 2, sizeof *parts->lower);
	if (!parts->lower)
		return err_errno(e, ENOMEM, "cannot mount a root file system");
	for (size_t i = 0; i < parts->stack.count; i++) {
		const struct overlay_tree *tree = &parts->stack.trees[i];
		int fd = fd_open(
			store->folders[STORE_LAYERS], tree->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd < 0)
			return err_set(e, fd == -ENOENT ? ERR_CORRUPT : ERR_SYSTEM, fd,
				"cannot open the layer %.12s in %s", tree->chain, store->path);
		parts->lower[parts->lower_count++] = fd;
	}
	/* Without a layer there must be one all the same: an empty folder. */
	if (!parts->lower_count) {
		parts->lower[0] = open_own(rootfs, "empty", e);
		if (parts->lower[0] < 0)
			return -1;
		parts->lower_count = 1;
	}
	/* Not there while the driver is tried out. */
	int fd = fd_open(store->root, places_tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd >= 0)
		parts->lower[parts->lower_count++] = fd;
	else if (fd != -ENOENT)
		return err_errno(e, fd, "cannot open the mount points of %s", store->path);
	return 0;
}

static int open_parts(
	struct store *store, const struct driver_rootfs *rootfs, struct parts *parts, struct err *e)
{
	*parts = (struct parts){.upper = -1, .work = -1};
	if (open_lower(store, rootfs, parts, e) < 0)
		return -1;
	parts->upper = open_own(rootfs, "upper", e);
	if (parts->upper >= 0)
		parts->work = open_own(rootfs, "work", e);
	return parts->work < 0 ? -1 : 0;
}

/* What the kernel says about a file system that it does not mount. */
static void last_message(int fs, char *out, size_t size)
{
	char text[512];
	ssize_t n;

	*out = '\0';
	while ((n = read(fs, text, sizeof text - 1)) > 0) {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		/* "e " and "w " stand before errors and warnings. */
		if (text[0] == 'e' && text[1] == ' ')
			err_sanitize(out, size, text + 2);
	}
}

static int set_string(int fs, const char *key, const char *value)
{
	return kernel_fsconfig(fs, KERNEL_FSCONFIG_SET_STRING, key, value, 0);
}

static int set_folder(int fs, const char *key, int folder, bool by_path)
{
	char path[32];

	if (!by_path)
		return kernel_fsconfig(fs, KERNEL_FSCONFIG_SET_FD, key, NULL, folder);
	snprintf(path, sizeof path, "/proc/self/fd/%d", folder);
	return set_string(fs, key, path);
}

static unsigned mount_attributes(const struct driver_rootfs *rootfs)
{
	return KERNEL_MOUNT_ATTR_NODEV | (rootfs->read_only ? KERNEL_MOUNT_ATTR_RDONLY : 0);
}

/*
 * The mount API. From *step "lowerdir+", -EINVAL means that this kernel does not take a layer that
 * way, and -EOPNOTSUPP that it is older than 6.5: its overlayfs has no mount API of its own, takes no
 * descriptor, and would keep any string without a look at it, to refuse all of them at the mount.
 */
static int mount_by_context(const struct driver_rootfs *rootfs, const struct parts *parts, bool by_path,
	const char **step, char *message, size_t size)
{
	*step = "fsopen";
	*message = '\0';
	auto_close int fs = kernel_fsopen("overlay", KERNEL_FSOPEN_CLOEXEC);
	if (fs < 0)
		return fs;
	int rc = 0;
	*step = "lowerdir+";
	for (size_t i = 0; i < parts->lower_count; i++) {
		rc = set_folder(fs, "lowerdir+", parts->lower[i], by_path);
		if (rc < 0)
			return i || (rc != -EINVAL && rc != -EOPNOTSUPP) ? (*step = "a layer", rc) : rc;
	}
	*step = "upperdir";
	rc = set_folder(fs, "upperdir", parts->upper, by_path);
	if (rc == 0)
		rc = set_folder(fs, "workdir", parts->work, by_path);
	*step = "options";
	if (rc == 0)
		rc = set_string(fs, "source", "overlay");
	if (rc == 0)
		rc = set_string(fs, "index", "off");
	if (rc == 0)
		rc = kernel_fsconfig(fs, KERNEL_FSCONFIG_SET_FLAG, "userxattr", NULL, 0);
	if (rc == 0 && rootfs->ephemeral)
		rc = kernel_fsconfig(fs, KERNEL_FSCONFIG_SET_FLAG, "volatile", NULL, 0);
	if (rc == 0) {
		*step = "mount";
		rc = kernel_fsconfig(fs, KERNEL_FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	}
	if (rc == 0)
		rc = kernel_fsmount(fs, KERNEL_FSMOUNT_CLOEXEC, mount_attributes(rootfs));
	if (rc < 0)
		last_message(fs, message, size);
	return rc;
}

/* A detached copy of the mount that dir/name is in, beginning there; private, as one that stays a
 * peer of the host's would take along what is mounted on it later. -errno. */
static int copy_of(int dir, const char *name)
{
	struct kernel_mount_attr attr = {.propagation = MS_PRIVATE};
	auto_close int tree =
		*name ? kernel_open_tree(dir, name,
				KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW)
		      : kernel_open_tree(
				dir, name, KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	int rc = tree < 0 ? tree : kernel_mount_setattr(tree, "", AT_EMPTY_PATH, &attr);

	return rc < 0 ? rc : steal_fd(&tree);
}

/*
 * In the child: mounts in a namespace of its own, and returns a detached copy of that mount.
 * A descriptor leads into the namespace in which it was opened, and only folders of one's own
 * can be mounted or mounted upon. So the folders come along as copies of their mounts,
 * laid over "/" (where nobody looks), and all is opened again below those.
 */
static int mount_in_namespace(
	const struct store *store, const struct driver_rootfs *rootfs, const struct overlay_stack *stack)
{
	auto_buf struct buf data = {0};
	char name[40];
	int layers = copy_of(store->folders[STORE_LAYERS], "");
	int own = copy_of(rootfs->folder, "");
	int below = copy_of(store->root, places_tree);

	if (layers < 0 || own < 0)
		return layers < 0 ? layers : own;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	int rc = kernel_move_mount(layers, "", AT_FDCWD, "/", KERNEL_MOVE_MOUNT_F_EMPTY);
	if (rc == 0)
		rc = kernel_move_mount(own, "", AT_FDCWD, "/", KERNEL_MOVE_MOUNT_F_EMPTY);
	if (rc == 0 && below >= 0)
		rc = kernel_move_mount(below, "", AT_FDCWD, "/", KERNEL_MOVE_MOUNT_F_EMPTY);
	if (rc < 0)
		return rc;
	/* Descriptors are not closed: the process ends soon. */
	int names = fd_open(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY, 0);
	int upper = fd_open(own, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	int work = fd_open(own, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (names < 0 || upper < 0 || work < 0)
		return -ENOENT;
	buf_string(&data, "lowerdir=");
	for (size_t i = 0; i < stack->count; i++) {
		int fd = fd_open(layers, stack->trees[i].path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd < 0)
			return fd;
		buf_printf(&data, "%s%d", i ? ":" : "", fd);
	}
	if (!stack->count) {
		int fd = fd_open(own, "empty", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd < 0)
			return fd;
		buf_printf(&data, "%d", fd);
	}
	if (below >= 0)
		buf_printf(&data, ":%d", below);
	buf_printf(&data, ",upperdir=%d,workdir=%d,userxattr,index=off%s", upper, work,
		rootfs->ephemeral ? ",volatile" : "");
	if (data.length >= 4096)
		return -E2BIG;
	/* By a name that is walked: a descriptor alone leads below the mount. */
	snprintf(name, sizeof name, "%d/work", own);
	unsigned long flags = MS_NODEV | (rootfs->read_only ? MS_RDONLY : 0);
	if (fchdir(names) < 0 || mount("overlay", name, "overlay", flags, data.data) < 0)
		return -errno;
	return kernel_open_tree(AT_FDCWD, name, KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
}

static int mount_in_child(
	struct store *store, const struct driver_rootfs *rootfs, const struct overlay_stack *stack)
{
	int pair[2], rc = 0, mount_fd = -1;
	size_t count = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		mount_fd = mount_in_namespace(store, rootfs, stack);
		rc = mount_fd < 0 ? mount_fd : 0;
		_exit(fd_send(pair[1], &rc, sizeof rc, &mount_fd, mount_fd >= 0) < 0);
	}
	int number = errno;
	close(pair[1]);
	if (pid > 0) {
		ssize_t n = fd_receive(pair[0], &rc, sizeof rc, &mount_fd, &count);
		if (n != sizeof rc)
			rc = n < 0 ? (int)n : -EIO;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(pair[0]);
	if (pid < 0)
		return -number;
	if (rc < 0)
		return rc;
	return count == 1 ? mount_fd : -EIO;
}

static int mount_somehow(struct store *store, const struct driver_rootfs *rootfs, const struct parts *parts,
	enum overlay_way way, char *message, size_t size)
{
	const char *step = "";
	int rc = -EINVAL;

	*message = '\0';
	if (way <= OVERLAY_BY_DESCRIPTOR)
		rc = mount_by_context(rootfs, parts, false, &step, message, size);
	if (way == OVERLAY_BY_PATH || (way == OVERLAY_ANY && rc == -EINVAL && !strcmp(step, "lowerdir+")))
		rc = mount_by_context(rootfs, parts, true, &step, message, size);
	if (way == OVERLAY_BY_CHILD || (way == OVERLAY_ANY && rc < 0 && !strcmp(step, "lowerdir+")))
		rc = mount_in_child(store, rootfs, &parts->stack);
	return rc;
}

int overlay_mount(
	struct store *store, const struct driver_rootfs *rootfs, enum overlay_way way, struct err *e)
{
	struct parts parts;
	char message[400];

	if (store_folder(store, STORE_LAYERS, e) < 0)
		return -1;
	if (open_parts(store, rootfs, &parts, e) < 0) {
		close_parts(&parts);
		return -1;
	}
	size_t count = parts.lower_count;
	int rc = mount_somehow(store, rootfs, &parts, way, message, sizeof message);
	if (rc == -EINVAL && fd_remove_tree(parts.work, "work/incompat") == 0)
		rc = mount_somehow(store, rootfs, &parts, way, message, sizeof message);
	close_parts(&parts);
	if (rc < 0)
		return err_errno(e, rc, "cannot mount a root file system of %zu layers by overlayfs%s%s%s",
			count, *message ? " (" : "", message, *message ? ")" : "");
	return rc;
}

static int overlay_rootfs_mount(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	return overlay_mount(store, rootfs, OVERLAY_ANY, e);
}

static int overlay_rootfs_create(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	struct stat st = {.st_mode = 0755};

	if (store->driver && make_places(store, e) < 0)
		return -1;
	/* More than the kernel takes, or nearly: once for an image. */
	if (rootfs->layer_count > OVERLAY_MANY && overlay_rootfs_tidy(store, rootfs, e) < 0)
		return -1;
	/* The root folder's owner and mode are upper's, and the image's are its top layer's. */
	if (rootfs->layer_count) {
		const char *top = rootfs->layers[rootfs->layer_count - 1];
		auto_close int tree = driver_open_tree(store, top);
		if (tree < 0 || fstat(tree, &st) < 0)
			return err_set(e, tree == -ENOENT ? ERR_CORRUPT : ERR_SYSTEM, tree < 0 ? tree : errno,
				"cannot open the layer %.12s in %s", top, store->path);
	} else if (mkdirat(rootfs->folder, "empty", 0755) < 0) {
		return err_errno(e, errno, "cannot make a container's folder");
	}
	if (mkdirat(rootfs->folder, "upper", 0700) < 0 || mkdirat(rootfs->folder, "work", 0700) < 0)
		return err_errno(e, errno, "cannot make a container's folder");
	if (((st.st_uid || st.st_gid) &&
		    fchownat(rootfs->folder, "upper", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0) ||
		fchmodat(rootfs->folder, "upper", st.st_mode & 07777, 0) < 0)
		return err_errno(e, errno, "cannot set the owner of a container's root folder");
	return 0;
}

static int overlay_rootfs_changes(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	return open_own(rootfs, "upper", e);
}

int overlay_rootfs_below(
	struct store *store, const struct driver_rootfs *rootfs, int **fds, size_t *count, struct err *e)
{
	struct parts parts = {.upper = -1, .work = -1};

	if (store_folder(store, STORE_LAYERS, e) < 0 || open_lower(store, rootfs, &parts, e) < 0) {
		close_parts(&parts);
		return -1;
	}
	*fds = steal(parts.lower);
	*count = parts.lower_count;
	parts.lower_count = 0;
	close_parts(&parts);
	return 0;
}

/* A real mount, in which a file of a lower layer can be removed: all that containers need. */
static int overlay_probe(struct store *store, const char **why, struct err *e)
{
	struct store_stage stage;
	struct driver_rootfs rootfs = {.ephemeral = true};
	int rc = -1;

	*why = "overlayfs works there";
	if (store_stage(store, "probe", &stage, e) < 0)
		return -1;
	rootfs.folder = stage.fd;
	if (overlay_rootfs_create(store, &rootfs, e) == 0) {
		auto_close int lower = fd_open(stage.fd, "empty", O_RDONLY | O_DIRECTORY, 0);
		if (lower < 0 || mkdirat(lower, "f", 0755) < 0 ||
			fsetxattr(lower, "user.brig", "y", 1, 0) < 0) {
			err_errno(e, errno,
				"the file system of %s keeps no extended attributes for overlayfs",
				store->path);
		} else {
			auto_close int mount_fd = overlay_rootfs_mount(store, &rootfs, e);
			if (mount_fd >= 0 && unlinkat(mount_fd, "f", AT_REMOVEDIR) < 0)
				err_errno(e, errno, "overlayfs cannot remove files on the file system of %s",
					store->path);
			else if (mount_fd >= 0)
				rc = 0;
		}
	}
	store_stage_drop(store, &stage);
	return rc;
}

const struct store_driver driver_overlay = {
	.name = "overlay",
	.whiteouts = UNPACK_WHITEOUTS_OVERLAY,
	.probe = overlay_probe,
	.rootfs_create = overlay_rootfs_create,
	.rootfs_mount = overlay_rootfs_mount,
	.rootfs_changes = overlay_rootfs_changes,
	.rootfs_push = overlay_rootfs_push,
	.rootfs_pushed = overlay_rootfs_pushed,
	.rootfs_recover = overlay_rootfs_recover,
	.rootfs_tidy = overlay_rootfs_tidy,
	.rootfs_below = overlay_rootfs_below,
};
