/*
 * mounts.c - the container's file systems, in the child's mount namespace.
 *
 * Everything is done by descriptor: a mount is made detached, its target is resolved
 * inside the root file system by openat2 (links of the image cannot lead out), and
 * move_mount joins the two. No path is resolved a second time. The engine's own mounts
 * (/proc, /dev, /sys) do not follow links at all: an image whose /proc is a link is
 * refused, not obeyed. (SECURITY: mount and symlink races.)
 */
#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "runtime/init.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

enum { LINKS = 40 /* as the kernel */ };

/* The files in /proc that may be covered by a mount of the user's (lxcfs does it). */
static const char *const proc_files[] = {
	"/proc/cpuinfo",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/uptime",
	"/proc/loadavg",
	"/proc/swaps",
	"/proc/diskstats",
	NULL,
};

static bool listed(const char *const *list, const char *text)
{
	for (; *list; list++)
		if (!strcmp(*list, text))
			return true;
	return false;
}

/* Sets "a=1,b" on a file system that is being configured. */
static int configure(int fs, const char *data)
{
	char copy[512];

	if (!data)
		return 0; /* the file system's own defaults */
	if (strlen(data) >= sizeof copy)
		return -ENAMETOOLONG;
	memcpy(copy, data, strlen(data) + 1);
	for (char *next = copy, *item; (item = strsep(&next, ","));) {
		if (!*item)
			continue;
		char *value = strchr(item, '=');
		int rc;
		if (value) {
			*value++ = '\0';
			rc = kernel_fsconfig(fs, KERNEL_FSCONFIG_SET_STRING, item, value, 0);
		} else {
			rc = kernel_fsconfig(fs, KERNEL_FSCONFIG_SET_FLAG, item, NULL, 0);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A new detached mount of a file system, or -errno. */
static int make_mount(const char *type, const char *source, const char *data, uint64_t attributes)
{
	auto_close int fs = kernel_fsopen(type, KERNEL_FSOPEN_CLOEXEC);
	if (fs < 0)
		return fs;
	int rc = source ? kernel_fsconfig(fs, KERNEL_FSCONFIG_SET_STRING, "source", source, 0) : 0;
	if (rc == 0)
		rc = configure(fs, data);
	if (rc == 0)
		rc = kernel_fsconfig(fs, KERNEL_FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (rc < 0)
		return rc;
	return kernel_fsmount(fs, KERNEL_FSMOUNT_CLOEXEC, (unsigned)attributes);
}

/* Makes what is missing in parent: 0, or -errno. */
static int make_entry(int parent, const char *name, bool folder)
{
	if (folder)
		return mkdirat(parent, name, 0755) < 0 ? -errno : 0;
	int file = fd_open(parent, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
	if (file >= 0)
		close(file);
	return file < 0 ? file : 0;
}

/* The usual case: only the last component is missing. False where there is more to do. */
static bool make_last(int root, const char *path, bool folder)
{
	char above[256];
	const char *name = strrchr(path, '/');

	if (!name || !name[1] || !strcmp(name, "/.") || !strcmp(name, "/..") ||
		(size_t)(name - path) >= sizeof above)
		return false;
	memcpy(above, path, (size_t)(name - path));
	above[name - path] = '\0';
	auto_close int parent = fd_open_in_root(root, *above ? above : "/", O_PATH | O_DIRECTORY, 0);
	return parent >= 0 && make_entry(parent, name + 1, folder) == 0;
}

/* Makes the missing parents of path and its last component in root, as mkdir -p or
 * touch would, each component resolved inside root. A link that leads to what is not there
 * is followed by us, the same way: links is how many more may be. */
static int make_target(int root, const char *path, bool folder, int links)
{
	char part[4096] not_zeroed, name[256];

	if (strlen(path) >= sizeof part)
		return -ENAMETOOLONG;
	if (make_last(root, path, folder))
		return 0;
	for (const char *at = path + strspn(path, "/"); *at;) {
		size_t length = strcspn(at, "/");
		const char *rest = at + length + strspn(at + length, "/");
		if (length >= sizeof name)
			return -ENAMETOOLONG;
		memcpy(name, at, length);
		name[length] = '\0';
		memcpy(part, path, (size_t)(at - path));
		part[at - path] = '\0';
		auto_close int parent = fd_open_in_root(root, *part ? part : "/", O_PATH | O_DIRECTORY, 0);
		if (parent < 0)
			return parent;
		if (!strcmp(name, ".") || !strcmp(name, "..")) {
			at = rest;
			continue;
		}
		int rc = make_entry(parent, name, *rest || folder);
		if (rc < 0 && rc != -EEXIST)
			return rc;
		if (rc < 0) {
			char target[4096] not_zeroed, whole[4096] not_zeroed;
			memcpy(part, path, (size_t)(at - path) + length);
			part[(size_t)(at - path) + length] = '\0';
			auto_close int there = fd_open_in_root(root, part, O_PATH, 0);
			ssize_t n =
				there == -ENOENT ? readlinkat(parent, name, target, sizeof target - 1) : -1;
			if (n >= 0) {
				target[n] = '\0';
				int size = snprintf(whole, sizeof whole, "%.*s/%s/%s",
					*target == '/' ? 0 : (int)(at - path), path, target, rest);
				if (size < 0 || (size_t)size >= sizeof whole)
					return -ENAMETOOLONG;
				return links ? make_target(root, whole, folder, links - 1) : -ELOOP;
			}
		}
		at = rest;
	}
	return 0;
}

int mounts_make_folder(int root, const char *path)
{
	return make_target(root, path, true, LINKS);
}

/* Opens the place in the root where something is to be mounted, made if missing. */
static int open_target(
	const struct mounts *mounts, const struct spec_mount *mount, bool folder, struct err *e)
{
	const char *path = mount->destination;
	int fd;

	if (mount->engine) {
		struct kernel_open_how how = {
			.flags = O_PATH | O_CLOEXEC,
			.resolve = KERNEL_RESOLVE_IN_ROOT | KERNEL_RESOLVE_NO_SYMLINKS |
				   KERNEL_RESOLVE_NO_MAGICLINKS,
		};
		fd = kernel_openat2(mounts->root, path, &how);
		if (fd == -ENOENT) {
			int rc = make_target(mounts->root, path, folder, LINKS);
			fd = rc < 0 ? rc : kernel_openat2(mounts->root, path, &how);
		}
		if (fd == -ELOOP || fd == -ENOTDIR) {
			err_set(e, ERR_INVALID, 0, "the image's %s is a symbolic link or runs through one",
				path);
			err_hint(e,
				"a container needs a real folder there: rebuild the image without that link");
			return -1;
		}
	} else {
		fd = fd_open_in_root(mounts->root, path, O_PATH, 0);
		if (fd == -ENOENT) {
			int rc = make_target(mounts->root, path, folder, LINKS);
			fd = rc < 0 ? rc : fd_open_in_root(mounts->root, path, O_PATH, 0);
		}
	}
	auto_close int owner = fd;
	if (fd < 0)
		return err_errno(e, fd, "cannot make the mount point %s in the container", path);

	struct stat st;
	struct statfs fs;
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return err_errno(e, errno, "cannot look at the mount point %s", path);
	if (st.st_dev == mounts->root_device && st.st_ino == mounts->root_inode)
		return err_set(e, ERR_DENIED, 0, "cannot mount %s: it is the container's root", path);
	if (folder != S_ISDIR(st.st_mode)) {
		if (mount->engine)
			return err_set(e, ERR_INVALID, 0, "the image's %s is not a %s", path,
				folder ? "folder" : "file");
		return err_set(e, ERR_INVALID, 0, "cannot mount a %s on %s, which is a %s",
			folder ? "folder" : "file", path, folder ? "file" : "folder");
	}
	/* A link of the image may have led the user's mount into the container's own
	 * /proc, whatever its name said. */
	if (fs.f_type == KERNEL_PROC_SUPER_MAGIC && !listed(proc_files, path))
		return err_set(e, ERR_DENIED, 0, "cannot mount %s: it lies in the container's /proc", path);
	return steal_fd(&owner);
}

/* Joins a detached mount, which is taken over, with its place. */
static int attach(const struct mounts *mounts, const struct spec_mount *mount, int detached, struct err *e)
{
	auto_close int owner = detached;
	struct stat st;

	if (fstat(detached, &st) < 0)
		return err_errno(e, errno, "cannot look at the mount for %s", mount->destination);
	auto_close int target = open_target(mounts, mount, S_ISDIR(st.st_mode), e);
	if (target < 0)
		return -1;
	int rc = kernel_move_mount(
		detached, "", target, "", KERNEL_MOVE_MOUNT_F_EMPTY | KERNEL_MOVE_MOUNT_T_EMPTY);
	if (rc < 0)
		return err_errno(e, rc, "cannot mount on %s", mount->destination);
	return 0;
}

/* A detached copy of a bind's source. */
static int copy_source(const struct spec_mount *mount, struct err *e)
{
	/* Ours alone: descriptors are copies in here. */
	if (mount->tree)
		return mount->tree - 1;
	unsigned flags = KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC;
	if (mount->recursive)
		flags |= KERNEL_AT_RECURSIVE;
	int tree = kernel_open_tree(AT_FDCWD, mount->source, flags);
	if (tree < 0) {
		err_errno(e, tree, "cannot mount %s on %s", mount->source, mount->destination);
		if (tree == -ENOENT)
			e->kind = ERR_INVALID;
		return -1;
	}
	return tree;
}

static bool stays_joined(const struct spec_mount *mount)
{
	return !strcmp(mount->type, "bind") && mount->propagation && mount->propagation != MS_PRIVATE;
}

int mounts_copy(struct mounts *mounts, const struct spec *spec, struct err *e)
{
	*mounts =
		(struct mounts){.spec = spec, .root = -1, .proc = -1, .devpts = -1, .null = -1, .empty = -1};
	for (size_t i = 0; i < spec->mounts_count; i++) {
		const struct spec_mount *mount = &spec->mounts[i];
		if (!stays_joined(mount))
			continue;
		if (!mounts->copies)
			mounts->copies = calloc(spec->mounts_count, sizeof *mounts->copies);
		int tree = mounts->copies ? copy_source(mount, e) : err_errno(e, ENOMEM, "cannot mount");
		if (tree < 0)
			return -1;
		struct kernel_mount_attr attr = {.propagation = mount->propagation};
		int rc = kernel_mount_setattr(tree, "",
			AT_EMPTY_PATH | (mount->recursive_propagation ? KERNEL_AT_RECURSIVE : 0), &attr);
		if (rc < 0)
			return err_errno(e, rc, "cannot set the propagation of %s", mount->destination);
		mounts->copies[i] = tree + 1;
	}
	return 0;
}

static int bind(const struct mounts *mounts, const struct spec_mount *mount, struct err *e)
{
	bool copied = mounts->copies && stays_joined(mount);
	auto_close int tree =
		copied ? mounts->copies[mount - mounts->spec->mounts] - 1 : copy_source(mount, e);
	if (tree < 0)
		return -1;
	struct kernel_mount_attr attr = {
		.attr_set = mount->attributes,
		.attr_clr = mount->attributes_clear,
		.propagation = copied ? 0 : MS_PRIVATE,
	};
	int rc = kernel_mount_setattr(
		tree, "", AT_EMPTY_PATH | (mount->recursive_attributes ? KERNEL_AT_RECURSIVE : 0), &attr);
	if (rc < 0)
		return err_errno(e, rc, "cannot set the mount options of %s", mount->destination);
	return attach(mounts, mount, steal_fd(&tree), e);
}

/* Makes its node in the new tmpfs: 0; 1 where it has to be bound: its path lies elsewhere, or we
 * are in a user namespace, where nodes cannot be made. */
static int make_device(int dev, const struct spec_device *device, struct err *e)
{
	static const char prefix[] = "/dev/";
	mode_t type = device->type == 'b' ? S_IFBLK : device->type == 'p' ? S_IFIFO : S_IFCHR;

	if (strncmp(device->path, prefix, sizeof prefix - 1) != 0)
		return 1;
	const char *name = device->path + sizeof prefix - 1;
	const char *slash = strrchr(name, '/');
	if (slash) {
		char folder[256];
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
		int rc = fd_mkdirs(dev, folder, 0755);
		if (rc < 0)
			return err_errno(e, rc, "cannot make the folder of the device %s", device->path);
	}
	if (mknodat(dev, name, type | device->mode, makedev(device->major, device->minor)) < 0)
		return errno == EPERM ? 1 : err_errno(e, errno, "cannot make the device %s", device->path);
	if ((device->uid || device->gid) &&
		fchownat(dev, name, device->uid, device->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "cannot give the device %s its owner", device->path);
	return 0;
}

/* Binds the host's devices where no nodes were made. */
static int bind_devices(const struct mounts *mounts, int dev, struct err *e)
{
	static const char prefix[] = "/dev/";

	for (size_t i = 0; i < mounts->spec->devices_count; i++) {
		const struct spec_device *device = &mounts->spec->devices[i];
		struct spec_mount mount = {
			.destination = device->path,
			.source = device->host_path ? device->host_path : device->path,
			.attributes = KERNEL_MOUNT_ATTR_NOSUID | KERNEL_MOUNT_ATTR_NOEXEC,
		};
		struct stat st;
		bool inside = !strncmp(device->path, prefix, sizeof prefix - 1);
		if (inside && fstatat(dev, device->path + sizeof prefix - 1, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (bind(mounts, &mount, e) < 0)
			return -1;
	}
	return 0;
}

/* Keeps the container's own null device, if dev has it. */
static void keep_null(struct mounts *mounts, int dev)
{
	struct stat st;
	auto_close int fd = fd_open(dev, "null", O_PATH | O_NOFOLLOW, 0);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return;
	close_fd(&mounts->null);
	mounts->null = steal_fd(&fd);
	mounts->null_is_own = true;
}

static int fill_dev(struct mounts *mounts, int dev, struct err *e)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{"fd", "/proc/self/fd"},
		{"stdin", "/proc/self/fd/0"},
		{"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"},
		{"ptmx", "pts/ptmx"},
		{"core", "/proc/kcore"},
	};

	/* What else of ours comes here finds its place, and need not look for it. */
	for (size_t i = 0; i < mounts->spec->mounts_count; i++) {
		const struct spec_mount *mount = &mounts->spec->mounts[i];
		if (mount->engine && !strncmp(mount->destination, "/dev/", 5) &&
			mkdirat(dev, mount->destination + 5, 0755) < 0 && errno != EEXIST)
			return err_errno(e, errno, "cannot make %s", mount->destination);
	}
	for (size_t i = 0; i < mounts->spec->devices_count; i++) {
		int rc = make_device(dev, &mounts->spec->devices[i], e);
		if (rc < 0)
			return -1;
		mounts->devices_left = mounts->devices_left || rc > 0;
	}
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
			return err_errno(e, errno, "cannot make /dev/%s", links[i].name);
	return 0;
}

/* A tmpfs on an image's own folder keeps that folder's mode, as docker's --tmpfs /tmp does. */
static int tmpfs_mode(const struct mounts *mounts, const struct spec_mount *mount, char *data, size_t size)
{
	struct stat st;
	const char *given = mount->data ? mount->data : "";

	if (strlen(given) + sizeof ",mode=07777" > size)
		return -E2BIG;
	snprintf(data, size, "%s", given);
	if (strstr(given, "mode="))
		return 0;
	auto_close int fd = fd_open_in_root(mounts->root, mount->destination, O_PATH | O_DIRECTORY, 0);
	mode_t mode = fd >= 0 && fstat(fd, &st) == 0 ? st.st_mode & 07777 : 01777;
	snprintf(data, size, "%s%smode=%o", given, *given ? "," : "", (unsigned)mode);
	return 0;
}

static bool is_dev(const struct spec_mount *mount)
{
	return !strcmp(mount->type, "tmpfs") && !strcmp(mount->destination, "/dev");
}

/* The file system, detached; /dev is filled. data is instead of the mount's own where not NULL. */
static int make_detached(
	struct mounts *mounts, const struct spec_mount *mount, const char *data, struct err *e)
{
	auto_close int fd =
		make_mount(mount->type, mount->source, data ? data : mount->data, mount->attributes);
	if (fd < 0) {
		err_errno(e, fd, "cannot make a %s for %s", mount->type, mount->destination);
		if (fd == -EINVAL && mount->data)
			err_hint(e, "the options were: %s", mount->data);
		return -1;
	}
	if (is_dev(mount) && fill_dev(mounts, fd, e) < 0)
		return -1;
	return steal_fd(&fd);
}

int mounts_make_ahead(struct mounts *mounts, struct err *e)
{
	const struct spec *spec = mounts->spec;

	mounts->made = calloc(spec->mounts_count + 1, sizeof *mounts->made);
	if (!mounts->made)
		return err_errno(e, ENOMEM, "cannot mount");
	for (size_t i = 0; i < spec->mounts_count; i++) {
		const struct spec_mount *mount = &spec->mounts[i];
		if (!mount->engine || mount->late || !strcmp(mount->type, "bind") ||
			!strcmp(mount->type, "cgroup"))
			continue;
		int fd = make_detached(mounts, mount, NULL, e);
		if (fd < 0)
			return -1;
		mounts->made[i] = fd + 1;
	}
	return 0;
}

/* What was made ahead for it, which is taken out, or -1. */
static int take_made(struct mounts *mounts, const struct spec_mount *mount)
{
	size_t i = (size_t)(mount - mounts->spec->mounts);

	if (!mounts->made || mount < mounts->spec->mounts || i >= mounts->spec->mounts_count)
		return -1;
	int fd = mounts->made[i] - 1;
	mounts->made[i] = 0;
	return fd;
}

static int make_one(struct mounts *mounts, const struct spec_mount *mount, struct err *e)
{
	char data[512] not_zeroed;

	if (!strcmp(mount->type, "bind"))
		return bind(mounts, mount, e);
	bool own_mode = !strcmp(mount->type, "tmpfs") && !mount->engine;
	int rc = own_mode ? tmpfs_mode(mounts, mount, data, sizeof data) : 0;
	if (rc < 0)
		return err_errno(e, rc, "cannot set the options of the tmpfs on %s", mount->destination);
	auto_close int fd = take_made(mounts, mount);
	if (fd < 0)
		fd = make_detached(mounts, mount, own_mode ? data : NULL, e);
	if (fd < 0)
		return -1;
	if (is_dev(mount)) {
		/* Nodes bound from the host need the mount in place first. */
		if (attach(mounts, mount, fcntl(fd, F_DUPFD_CLOEXEC, 3), e) < 0 ||
			(mounts->devices_left && bind_devices(mounts, fd, e) < 0))
			return -1;
		keep_null(mounts, fd);
		return 0;
	}
	bool proc = !strcmp(mount->type, "proc") && mounts->proc < 0;
	bool devpts = !strcmp(mount->type, "devpts") && mounts->devpts < 0;
	rc = attach(mounts, mount, proc || devpts ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : steal_fd(&fd), e);
	if (rc == 0 && proc)
		mounts->proc = steal_fd(&fd);
	else if (rc == 0 && devpts)
		mounts->devpts = steal_fd(&fd);
	return rc;
}

int mounts_begin(struct mounts *mounts, int root, struct err *e)
{
	struct stat st;

	if (fstat(root, &st) < 0)
		return err_errno(e, errno, "cannot look at the root file system");
	mounts->root = root;
	mounts->root_device = st.st_dev;
	mounts->root_inode = st.st_ino;
	mounts->null = fd_open(AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW, 0);
	if (mounts->null < 0)
		return err_errno(e, mounts->null, "cannot open /dev/null");
	/* It becomes the mask over files of /proc: anything else there would be a hole. */
	if (fstat(mounts->null, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ERR_SYSTEM, 0, "the host's /dev/null is not the null device");
	return 0;
}

static int make_all(struct mounts *mounts, bool late, struct err *e)
{
	for (size_t i = 0; i < mounts->spec->mounts_count; i++) {
		const struct spec_mount *mount = &mounts->spec->mounts[i];
		if (mount->late == late && strcmp(mount->type, "cgroup") != 0 &&
			make_one(mounts, mount, e) < 0)
			return -1;
	}
	return 0;
}

int mounts_make(struct mounts *mounts, struct err *e)
{
	return make_all(mounts, false, e);
}

int mounts_make_late(struct mounts *mounts, struct err *e)
{
	return make_all(mounts, true, e);
}

/*
 * The hierarchies of v1 lie in a tmpfs of ours, which becomes read-only when they are there.
 * Each is a bind of the group's own folder and not a new mount of the hierarchy: that is what the
 * cgroup namespace would show of one, and the kernel makes a superblock for each such mount.
 */
static int make_cgroup_v1(
	struct mounts *mounts, const struct spec_mount *mount, const struct cgroup *cgroup, struct err *e)
{
	struct kernel_mount_attr attr = {.attr_set = mount->attributes, .propagation = MS_PRIVATE};
	struct cgroup_mount one;
	auto_close int top = make_mount("tmpfs", "tmpfs", "mode=755,size=64k",
		mount->attributes & ~(uint64_t)KERNEL_MOUNT_ATTR_RDONLY);

	if (top < 0)
		return err_errno(e, top, "cannot make a tmpfs for %s", mount->destination);
	if (attach(mounts, mount, fcntl(top, F_DUPFD_CLOEXEC, 3), e) < 0)
		return -1;
	for (unsigned i = 0; cgroup_mount_at(cgroup, i, &one); i++) {
		auto_close int tree = kernel_open_tree(
			AT_FDCWD, one.folder, KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
		int rc = tree < 0 ? tree : kernel_mount_setattr(tree, "", AT_EMPTY_PATH, &attr);
		if (rc == 0 && mkdirat(top, one.name, 0755) < 0)
			rc = -errno;
		/* Nobody but us has been in this tmpfs: the name is what we made. */
		if (rc == 0)
			rc = kernel_move_mount(tree, "", top, one.name, KERNEL_MOVE_MOUNT_F_EMPTY);
		if (rc < 0)
			return err_errno(
				e, rc, "cannot mount %s on %s/%s", one.folder, mount->destination, one.name);
	}
	if (!(mount->attributes & KERNEL_MOUNT_ATTR_RDONLY))
		return 0;
	attr = (struct kernel_mount_attr){.attr_set = KERNEL_MOUNT_ATTR_RDONLY};
	int rc = kernel_mount_setattr(top, "", AT_EMPTY_PATH, &attr);
	return rc < 0 ? err_errno(e, rc, "cannot make %s read-only", mount->destination) : 0;
}

int mounts_make_cgroup(struct mounts *mounts, const struct cgroup *cgroup, struct err *e)
{
	for (size_t i = 0; i < mounts->spec->mounts_count; i++) {
		const struct spec_mount *mount = &mounts->spec->mounts[i];
		struct cgroup_mount first;
		if (strcmp(mount->type, "cgroup") || !cgroup_mount_at(cgroup, 0, &first))
			continue;
		struct spec_mount whole = *mount;
		whole.type = first.type;
		if (*first.name ? make_cgroup_v1(mounts, mount, cgroup, e) < 0
				: make_one(mounts, &whole, e) < 0)
			return -1;
	}
	return 0;
}

static int clone_mount(int fd)
{
	return kernel_open_tree(fd, "", AT_EMPTY_PATH | KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
}

int mounts_null(const struct mounts *mounts)
{
	struct kernel_mount_attr attr = {
		.attr_set = KERNEL_MOUNT_ATTR_RDONLY | KERNEL_MOUNT_ATTR_NOSUID | KERNEL_MOUNT_ATTR_NOEXEC};
	auto_close int clone = clone_mount(mounts->null);
	if (clone < 0 || mounts->null_is_own)
		return steal_fd(&clone);
	int rc = kernel_mount_setattr(clone, "", AT_EMPTY_PATH, &attr);
	return rc < 0 ? rc : steal_fd(&clone);
}

/* Covers one path: a file by /dev/null, a folder by the one empty tmpfs. */
static int mask(struct mounts *mounts, const char *path, struct err *e)
{
	struct stat st;
	auto_close int target = fd_open_in_root(mounts->root, path, O_PATH, 0);

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0 || fstat(target, &st) < 0)
		return err_errno(e, target < 0 ? target : errno, "cannot hide %s", path);
	if (S_ISDIR(st.st_mode) && mounts->empty < 0) {
		mounts->empty = make_mount("tmpfs", "tmpfs", "size=0,nr_inodes=2,mode=555",
			KERNEL_MOUNT_ATTR_RDONLY | KERNEL_MOUNT_ATTR_NOSUID | KERNEL_MOUNT_ATTR_NODEV |
				KERNEL_MOUNT_ATTR_NOEXEC);
		if (mounts->empty < 0)
			return err_errno(e, mounts->empty, "cannot make an empty folder to hide %s", path);
		int rc = kernel_move_mount(
			mounts->empty, "", target, "", KERNEL_MOVE_MOUNT_F_EMPTY | KERNEL_MOVE_MOUNT_T_EMPTY);
		return rc < 0 ? err_errno(e, rc, "cannot hide %s", path) : 0;
	}
	auto_close int cover = S_ISDIR(st.st_mode) ? clone_mount(mounts->empty) : mounts_null(mounts);
	if (cover < 0)
		return err_errno(e, cover, "cannot hide %s", path);
	int rc = kernel_move_mount(
		cover, "", target, "", KERNEL_MOVE_MOUNT_F_EMPTY | KERNEL_MOVE_MOUNT_T_EMPTY);
	return rc < 0 ? err_errno(e, rc, "cannot hide %s", path) : 0;
}

static int make_readonly(const struct mounts *mounts, const char *path, struct err *e)
{
	struct kernel_mount_attr attr = {.attr_set = KERNEL_MOUNT_ATTR_RDONLY};
	auto_close int target = fd_open_in_root(mounts->root, path, O_PATH, 0);

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return err_errno(e, target, "cannot make %s read-only", path);
	auto_close int clone = kernel_open_tree(target, "",
		AT_EMPTY_PATH | KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC | KERNEL_AT_RECURSIVE);
	int rc = clone < 0 ? clone
			   : kernel_mount_setattr(clone, "", AT_EMPTY_PATH | KERNEL_AT_RECURSIVE, &attr);
	if (rc == 0)
		rc = kernel_move_mount(
			clone, "", target, "", KERNEL_MOVE_MOUNT_F_EMPTY | KERNEL_MOVE_MOUNT_T_EMPTY);
	return rc < 0 ? err_errno(e, rc, "cannot make %s read-only", path) : 0;
}

/* Masks every .../cpuN/NAME for a path that ends in "cpu?*" "/NAME". */
static int mask_each_cpu(struct mounts *mounts, const char *folder, const char *name, struct err *e)
{
	auto_close int fd = fd_open_in_root(mounts->root, folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return 0;
	DIR *stream = fdopendir(fd);
	if (!stream)
		return err_errno(e, errno, "cannot read %s", folder);
	steal_fd(&fd);
	int rc = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(stream));) {
		if (strncmp(entry->d_name, "cpu", 3) || entry->d_name[3] < '0' || entry->d_name[3] > '9')
			continue;
		char path[1024];
		snprintf(path, sizeof path, "%s/%s/%s", folder, entry->d_name, name);
		rc = mask(mounts, path, e);
	}
	closedir(stream);
	return rc;
}

int mounts_hide(struct mounts *mounts, struct err *e)
{
	const char *const *path;

	for (path = mounts->spec->readonly_paths; path && *path; path++)
		if (make_readonly(mounts, *path, e) < 0)
			return -1;
	for (path = mounts->spec->masked_paths; path && *path; path++) {
		static const char cpus[] = "/cpu*/";
		const char *star = strstr(*path, cpus);
		if (star) {
			char folder[256];
			snprintf(folder, sizeof folder, "%.*s", (int)(star - *path), *path);
			if (mask_each_cpu(mounts, folder, star + sizeof cpus - 1, e) < 0)
				return -1;
		} else if (mask(mounts, *path, e) < 0) {
			return -1;
		}
	}
	return 0;
}

int mounts_terminal(struct mounts *mounts, bool with_console, int *master, int *slave, struct err *e)
{
	struct stat st;
	struct statfs fs;
	int unlock = 0;

	if (mounts->devpts < 0)
		return err_set(
			e, ERR_UNSUPPORTED, 0, "cannot make a terminal: the container has no /dev/pts");
	auto_close int ours = fd_open(mounts->devpts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW, 0);
	if (ours < 0)
		return err_errno(e, ours, "cannot open the container's /dev/pts/ptmx");
	if (fstat(ours, &st) < 0 || st.st_rdev != makedev(5, 2) || fstatfs(ours, &fs) < 0 ||
		fs.f_type != KERNEL_DEVPTS_MAGIC)
		return err_set(
			e, ERR_DENIED, 0, "the container's /dev/pts/ptmx is not a terminal multiplexer");
	if (ioctl(ours, TIOCSPTLCK, &unlock) < 0)
		return err_errno(e, errno, "cannot unlock the container's terminal");
	auto_close int theirs = ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (theirs < 0)
		return err_errno(e, errno, "cannot open the container's terminal");
	if (with_console) {
		auto_close int clone = kernel_open_tree(
			theirs, "", AT_EMPTY_PATH | KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
		struct spec_mount console = {.destination = "/dev/console", .engine = true};
		if (clone < 0)
			return err_errno(e, clone, "cannot mount the terminal on /dev/console");
		auto_close int target = open_target(mounts, &console, false, e);
		if (target < 0)
			return -1;
		int rc = kernel_move_mount(
			clone, "", target, "", KERNEL_MOVE_MOUNT_F_EMPTY | KERNEL_MOVE_MOUNT_T_EMPTY);
		if (rc < 0)
			return err_errno(e, rc, "cannot mount the terminal on /dev/console");
	}
	*master = steal_fd(&ours);
	*slave = steal_fd(&theirs);
	return 0;
}
