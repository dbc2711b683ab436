/*
 * unpack_tree.c - the entries of a layer's archive, one by one, as files below a folder.
 *
 * Theory of operation. A name is cleaned (no leading "/", no "."; ".." is refused) and cut
 * into its folder and its last component. The folder is opened beneath the root, links
 * on the way resolved as if the tree were "/" (a layer may have lib -> usr/lib and files
 * below lib/); what is missing is made. The last component is never followed: things are
 * made with O_EXCL and the like, and what stood there before is removed first, but for a
 * folder that stays one. Nothing else changes the tree meanwhile.
 *
 * Open folders are kept, least recently used first out, since an archive goes through a
 * tree folder by folder. They are let go when anything is removed: a name may lead
 * elsewhere afterwards.
 *
 * Order for a file: data, owner (which takes set-user-ID bits and capabilities away),
 * mode, attributes (which writing would take away), time. Folders' times come last of
 * all, since each entry made in one changes its time.
 */
#include "store/unpack_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"

static const char whiteout_prefix[] = ".wh.";
static const char whiteout_meta_prefix[] = ".wh..wh.";
static const char whiteout_opaque[] = ".wh..wh..opq";
enum { WHITEOUT_PREFIX = sizeof whiteout_prefix - 1, PRUNE_DEPTH = 1000 };

static int refuse(const char *path, struct err *e, const char *why)
{
	char shown[400];
	return err_set(e, ERR_INVALID, 0, "the layer cannot be unpacked: \"%s\" %s",
		err_sanitize(shown, sizeof shown, path), why);
}

static int failed(const char *path, int number, struct err *e)
{
	char shown[400];
	return err_errno(
		e, number, "the layer's \"%s\" cannot be written", err_sanitize(shown, sizeof shown, path));
}

/* Names. */

static int clean_path(const char *text, char out[TAR_PATH_LIMIT + 1], struct err *e)
{
	size_t at = 0;

	for (const char *p = text; *p;) {
		size_t length = strcspn(p, "/");
		if (length == 2 && p[0] == '.' && p[1] == '.')
			return refuse(text, e, "leads out of its folder with \"..\"");
		if (length > 255)
			return refuse(text, e, "has a component of more than 255 bytes");
		if (length && !(length == 1 && *p == '.')) {
			if (at)
				out[at++] = '/';
			memcpy(out + at, p, length);
			at += length;
		}
		p += length + (p[length] == '/');
	}
	out[at] = '\0';
	return 0;
}

/* The last component; *length becomes the folder's length without the slash. */
static const char *last_component(const char *path, size_t *length)
{
	const char *slash = strrchr(path, '/');
	*length = slash ? (size_t)(slash - path) : 0;
	return slash ? slash + 1 : path;
}

/* Inodes of this layer. */

static size_t inode_place(const struct unpack_inodes *set, uint64_t inode)
{
	size_t at = (size_t)(inode * 0x9e3779b97f4a7c15ULL >> 20) & (set->room - 1);
	while (set->items[at] && set->items[at] != inode)
		at = (at + 1) & (set->room - 1);
	return at;
}

static bool inode_known(const struct unpack_tree *tree, uint64_t inode)
{
	return tree->inodes.room && tree->inodes.items[inode_place(&tree->inodes, inode)];
}

static void inode_add(struct unpack_tree *tree, uint64_t inode)
{
	struct unpack_inodes *set = &tree->inodes;

	if (set->count * 2 >= set->room) {
		struct unpack_inodes grown = {.room = set->room ? set->room * 2 : 1024};
		grown.items = calloc(grown.room, sizeof *grown.items);
		if (!grown.items)
			abort();
		for (size_t i = 0; i < set->room; i++) {
			if (set->items[i])
				grown.items[inode_place(&grown, set->items[i])] = set->items[i];
		}
		free(set->items);
		set->items = grown.items;
		set->room = grown.room;
	}
	uint64_t *place = &set->items[inode_place(set, inode)];
	set->count += !*place;
	*place = inode;
}

/* Notes that name belongs to this layer. */
static void note_name(struct unpack_tree *tree, int parent, const char *name)
{
	struct stat st;
	if (tree->whiteouts == UNPACK_WHITEOUTS_APPLY && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		inode_add(tree, st.st_ino);
}

static void note_fd(struct unpack_tree *tree, int fd)
{
	struct stat st;
	if (tree->whiteouts == UNPACK_WHITEOUTS_APPLY && fstat(fd, &st) == 0)
		inode_add(tree, st.st_ino);
}

/* Removing. */

static void forget_folders(struct unpack_tree *tree, int except, int or_except)
{
	for (struct unpack_slot *slot = tree->slots; slot < tree->slots + UNPACK_SLOTS; slot++) {
		if (!slot->path || slot->fd == except || slot->fd == or_except)
			continue;
		close(slot->fd);
		free(slot->path);
		*slot = (struct unpack_slot){.fd = -1};
	}
}

/* Removes name whatever it is; the open folders parent and keep (or -1) stay open. */
static int remove_name(struct unpack_tree *tree, int parent, const char *name, int keep)
{
	forget_folders(tree, parent, keep);
	tree->replaced = true;
	return fd_remove_tree(parent, name);
}

/* Removes what the layer below has put into the folder. fd is taken over. */
static int prune(struct unpack_tree *tree, int fd, unsigned depth)
{
	DIR *stream = depth < PRUNE_DEPTH ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int rc = 0;

	if (!stream) {
		close(fd);
		return depth < PRUNE_DEPTH ? -ENOMEM : -ELOOP;
	}
	while (rc == 0 && (errno = 0, entry = readdir(stream))) {
		struct stat st;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
			fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!inode_known(tree, st.st_ino)) {
			rc = fd_remove_tree(fd, entry->d_name);
		} else if (S_ISDIR(st.st_mode)) {
			int child = fd_open(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
			rc = child < 0 ? child : prune(tree, child, depth + 1);
		}
	}
	closedir(stream);
	return rc;
}

/* Folders. */

static bool is_whiteout(const struct unpack_tree *tree, const struct stat *st)
{
	return tree->whiteouts == UNPACK_WHITEOUTS_OVERLAY && S_ISCHR(st->st_mode) &&
	       st->st_rdev == makedev(0, 0);
}

/* Hides what the layers below have in the folder. */
static int set_opaque(int parent, const char *name)
{
	auto_close int fd = fd_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	return fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0 ? -errno : 0;
}

/* A folder where this layer said before that what is there below goes away: it hides that. */
static int replace_whiteout(int parent, const char *name, mode_t mode)
{
	if (unlinkat(parent, name, 0) < 0 || mkdirat(parent, name, mode) < 0)
		return -errno;
	return set_opaque(parent, name);
}

static uint32_t path_hash(const char *path, size_t length)
{
	uint32_t hash = 2166136261U;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)path[i]) * 16777619U;
	return hash;
}

static int find_folder(struct unpack_tree *tree, const char *path, size_t length, uint32_t hash)
{
	for (struct unpack_slot *slot = tree->slots; slot < tree->slots + UNPACK_SLOTS; slot++) {
		if (slot->hash == hash && slot->length == length && slot->path &&
			!memcmp(slot->path, path, length)) {
			slot->used = ++tree->clock;
			tree->inherits = slot->inherits;
			return slot->fd;
		}
	}
	return -1;
}

/* Keeps fd, which is taken over and returned. */
static int keep_folder(struct unpack_tree *tree, const char *path, size_t length, uint32_t hash, int fd)
{
	struct unpack_slot *oldest = NULL;
	struct stat st;

	tree->inherits = fstat(fd, &st) < 0 || st.st_mode & S_ISGID;
	for (struct unpack_slot *slot = tree->slots; slot < tree->slots + UNPACK_SLOTS; slot++) {
		if ((!oldest || slot->used < oldest->used) && !(slot->path && slot->fd == tree->pinned))
			oldest = slot;
	}
	if (oldest->path) {
		close(oldest->fd);
		free(oldest->path);
	}
	*oldest = (struct unpack_slot){.path = strndup(path, length),
		.length = length,
		.hash = hash,
		.fd = fd,
		.inherits = tree->inherits,
		.used = ++tree->clock};
	if (!oldest->path)
		abort();
	return fd;
}

/* Resolves a whole path as if the tree were the root folder. */
static int open_resolved(struct unpack_tree *tree, const char *path, size_t length)
{
	char copy[TAR_PATH_LIMIT + 1];
	int fd, tries = 0;

	memcpy(copy, path, length);
	copy[length] = '\0';
	do {
		fd = kernel_openat2(tree->root, copy,
			&(const struct kernel_open_how){
				.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = KERNEL_RESOLVE_IN_ROOT | KERNEL_RESOLVE_NO_MAGICLINKS |
					   KERNEL_RESOLVE_NO_XDEV,
			});
		/* EAGAIN: somewhere on this machine something was renamed meanwhile. */
	} while (fd == -EAGAIN && ++tries < 10000);
	return fd;
}

/*
 * The folder that the path's first length bytes name, open (O_PATH, owned by the tree and
 * good until another is opened, but for a pinned one). With make, what is missing of it is made; without,
 * -ENOENT says so. Other failures are negative too; e is filled only for those.
 */
static int open_folder(struct unpack_tree *tree, const char *path, size_t length, bool make, struct err *e)
{
	if (!length) {
		tree->inherits = tree->root_inherits;
		return tree->root;
	}
	uint32_t hash = path_hash(path, length);
	int fd = find_folder(tree, path, length, hash);
	if (fd >= 0)
		return fd;

	/* Each folder through the one above: only one step is looked up. */
	size_t above = length;
	while (above && path[above - 1] != '/')
		above--;
	char name[256];
	memcpy(name, path + above, length - above);
	name[length - above] = '\0';
	int parent = open_folder(tree, path, above ? above - 1 : 0, make, e);
	if (parent < 0)
		return parent;

	struct stat st;
	int rc = 0;
	fd = fd_open(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT) {
		if (!make)
			return -ENOENT;
		rc = mkdirat(parent, name, 0755) < 0 ? -errno : 0;
	} else if (fd == -ENOTDIR && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (is_whiteout(tree, &st)) {
			if (!make)
				return -ENOENT;
			rc = replace_whiteout(parent, name, 0755);
			fd = -ENOENT;
		} else if (S_ISLNK(st.st_mode)) {
			fd = open_resolved(tree, path, length);
			if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
				return refuse(path, e, "lies below a link that leads to no folder");
		} else {
			return refuse(path, e, "lies below something that is no folder");
		}
	}
	if (fd == -ENOENT && rc == 0)
		fd = fd_open(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0 || rc < 0)
		return failed(path, rc < 0 ? rc : fd, e);
	note_fd(tree, fd);
	return keep_folder(tree, path, length, hash, fd);
}

/* Owners, modes, attributes, times. */

static const struct timespec *times_of(const struct tar_entry *entry, struct timespec out[2])
{
	out[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	out[1] = (struct timespec){.tv_sec = entry->mtime, .tv_nsec = entry->mtime_nanoseconds};
	return out;
}

/* Whether a new file in the folder that was opened last has to be given to somebody. */
static bool needs_owner(const struct unpack_tree *tree, const struct tar_entry *entry)
{
	return tree->inherits || entry->uid != tree->uid || entry->gid != tree->gid;
}

static int owner_result(struct unpack_tree *tree, int result)
{
	if (result == 0)
		return 0;
	/* EINVAL: the id does not exist in this user namespace. */
	if (!tree->one_owner || (errno != EPERM && errno != EINVAL))
		return -errno;
	tree->owners++;
	return 0;
}

/* version 2 and 3 of struct vfs_cap_data (linux/capability.h), nothing else. */
static bool is_capability(const struct tar_xattr *xattr)
{
	const unsigned char *value = (const unsigned char *)xattr->value;
	return (xattr->size == 20 && value[3] == 2) || (xattr->size == 24 && value[3] == 3);
}

static bool xattr_allowed(const struct tar_xattr *xattr, bool file)
{
	static const char ours[] = "user.overlay.";

	if (!strcmp(xattr->name, "security.capability"))
		return file && is_capability(xattr);
	return !strncmp(xattr->name, "user.", 5) && strncmp(xattr->name, ours, sizeof ours - 1);
}

static int set_xattrs(struct unpack_tree *tree, int fd, const struct tar_entry *entry)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		const struct tar_xattr *xattr = &entry->xattrs[i];
		if (!xattr_allowed(xattr, entry->type == TAR_FILE)) {
			tree->xattrs++;
			continue;
		}
		if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) == 0)
			continue;
		/* Where the file system has none, the image does without, as everywhere. */
		if (errno != ENOTSUP && !(tree->one_owner && (errno == EPERM || errno == EINVAL)))
			return -errno;
		tree->xattrs++;
	}
	return 0;
}

/* Kinds of entries. Each makes name in parent; -EEXIST where something is there. */

static int make_folder(struct unpack_tree *tree, int parent, const char *name, const struct tar_entry *entry)
{
	bool fresh = mkdirat(parent, name, entry->mode & 01777) == 0;
	int rc = 0;

	if (!fresh) {
		struct stat st;
		if (errno != EEXIST)
			return -errno;
		if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (is_whiteout(tree, &st)) {
			rc = replace_whiteout(parent, name, entry->mode & 01777);
			fresh = true;
		} else if (!S_ISDIR(st.st_mode)) {
			return -EEXIST;
		}
	}
	if (rc == 0 && (!fresh || needs_owner(tree, entry)))
		rc = owner_result(tree, fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW));
	if (rc == 0 && (!fresh || tree->inherits || entry->mode & 06000))
		rc = fchmodat(parent, name, entry->mode, 0) < 0 ? -errno : 0;
	/* It may be open already, by a link's name, too. */
	if (!fresh && entry->mode & S_ISGID)
		forget_folders(tree, parent, -1);
	if (rc == 0 && entry->xattr_count) {
		auto_close int fd = fd_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		rc = fd < 0 ? fd : set_xattrs(tree, fd, entry);
	}
	return rc;
}

static int write_data(int fd, const void *bytes, size_t size, uint64_t offset)
{
	const char *p = bytes;
	while (size) {
		ssize_t n = pwrite(fd, p, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* Returns 0, -errno of writing, or 1 where the archive failed, with e filled. */
static int fill_file(struct unpack_tree *tree, int fd, struct tar_reader *reader,
	const struct tar_entry *entry, struct err *e)
{
	const void *bytes;
	uint64_t offset, end = 0;
	ssize_t n = 0;
	int rc = 0;

	while (rc == 0 && entry->size && (n = tar_data(reader, &bytes, &offset, e)) > 0) {
		rc = write_data(fd, bytes, (size_t)n, offset);
		end = offset + (uint64_t)n;
	}
	if (n < 0)
		return 1;
	if (rc == 0 && end < entry->size && ftruncate(fd, (off_t)entry->size) < 0)
		rc = -errno;
	if (rc == 0 && needs_owner(tree, entry))
		rc = owner_result(tree, fchown(fd, entry->uid, entry->gid));
	if (rc == 0 && (tree->inherits || entry->mode & 07000) && fchmod(fd, entry->mode) < 0)
		rc = -errno;
	if (rc == 0 && entry->xattr_count)
		rc = set_xattrs(tree, fd, entry);
	struct timespec times[2];
	if (rc == 0 && futimens(fd, times_of(entry, times)) < 0)
		rc = -errno;
	tree->file_size += entry->size;
	return rc;
}

static int make_symlink(struct unpack_tree *tree, int parent, const char *name, const struct tar_entry *entry)
{
	struct timespec times[2];

	if (symlinkat(entry->link, parent, name) < 0)
		return -errno;
	if (needs_owner(tree, entry)) {
		int rc = owner_result(
			tree, fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW));
		if (rc < 0)
			return rc;
	}
	tree->xattrs += entry->xattr_count;
	return utimensat(parent, name, times_of(entry, times), AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int make_node(struct unpack_tree *tree, int parent, const char *name, const struct tar_entry *entry)
{
	struct timespec times[2];
	mode_t type = entry->type == TAR_FIFO ? S_IFIFO : entry->type == TAR_BLOCK ? S_IFBLK : S_IFCHR;

	if (mknodat(parent, name, type | (entry->mode & 01777), makedev(entry->major, entry->minor)) < 0) {
		/* No user namespace but the first may make devices. */
		if (errno != EPERM || entry->type == TAR_FIFO)
			return -errno;
		tree->devices++;
		return 0;
	}
	if (needs_owner(tree, entry)) {
		int rc = owner_result(
			tree, fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW));
		if (rc < 0)
			return rc;
	}
	tree->xattrs += entry->xattr_count;
	return utimensat(parent, name, times_of(entry, times), AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* The devices a container's /dev has anyway; all others are left out. */
static bool is_harmless_device(const char *path, const struct tar_entry *entry)
{
	static const struct {
		const char *path;
		uint32_t major, minor;
	} rows[] = {
		{"dev/null", 1, 3},
		{"dev/zero", 1, 5},
		{"dev/full", 1, 7},
		{"dev/random", 1, 8},
		{"dev/urandom", 1, 9},
		{"dev/tty", 5, 0},
		{"dev/console", 5, 1},
		{"dev/ptmx", 5, 2},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (entry->type == TAR_CHARACTER && !strcmp(path, rows[i].path) &&
			entry->major == rows[i].major && entry->minor == rows[i].minor)
			return true;
	}
	return false;
}

static int make_link(
	struct unpack_tree *tree, int parent, const char *name, const struct tar_entry *entry, struct err *e)
{
	struct stat st, there;
	size_t length;

	if (clean_path(entry->link, tree->target, e) < 0)
		return -1;
	const char *target = last_component(tree->target, &length);
	tree->pinned = parent;
	int folder = open_folder(tree, tree->target, length, false, e);
	tree->pinned = -1;
	if (folder < 0 && folder != -ENOENT)
		return -1;
	if (folder == -ENOENT || !*target || fstatat(folder, target, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		is_whiteout(tree, &st))
		return refuse(tree->path, e, "is a hard link to something that is not there");
	if (S_ISDIR(st.st_mode))
		return refuse(tree->path, e, "is a hard link to a folder");
	for (int tries = 0; linkat(folder, target, parent, name, 0) < 0; tries++) {
		if (errno != EEXIST || tries)
			return failed(tree->path, errno, e);
		/* A second entry for one name of a file: removing it first could lose the file. */
		if (fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == st.st_ino)
			break;
		int rc = remove_name(tree, parent, name, folder);
		if (rc < 0)
			return failed(tree->path, rc, e);
	}
	return 0;
}

/* Whiteouts. */

/* 0: an ordinary entry. 1: to be left out. -1 with e filled. Else one of: */
enum { NAME_WHITEOUT = 2, NAME_OPAQUE = 3 };

static int classify(const char *path, const char *last, struct err *e)
{
	for (const char *p = path; p < last;) {
		if (!strncmp(p, whiteout_meta_prefix, sizeof whiteout_meta_prefix - 1))
			return 1;
		if (!strncmp(p, whiteout_prefix, WHITEOUT_PREFIX))
			return refuse(path, e, "lies below a whiteout");
		p = strchr(p, '/') + 1;
	}
	if (strncmp(last, whiteout_prefix, WHITEOUT_PREFIX))
		return 0;
	if (!strcmp(last, whiteout_opaque))
		return NAME_OPAQUE;
	if (!strncmp(last, whiteout_meta_prefix, sizeof whiteout_meta_prefix - 1))
		return 1; /* what aufs kept for itself */
	const char *name = last + WHITEOUT_PREFIX;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return refuse(path, e, "is a whiteout of nothing");
	return NAME_WHITEOUT;
}

/* Takes away what the layers below have under this name; what this layer has put there stays. */
static int whiteout(struct unpack_tree *tree, int parent, const char *name)
{
	struct stat st;

	if (tree->whiteouts == UNPACK_WHITEOUTS_OVERLAY) {
		if (mknodat(parent, name, S_IFCHR, makedev(0, 0)) == 0)
			return 0;
		if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		return S_ISDIR(st.st_mode) ? set_opaque(parent, name) : 0;
	}
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!inode_known(tree, st.st_ino))
		return remove_name(tree, parent, name, -1);
	if (!S_ISDIR(st.st_mode))
		return 0;
	forget_folders(tree, parent, -1);
	tree->replaced = true;
	int fd = fd_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? fd : prune(tree, fd, 0);
}

static int opaque(struct unpack_tree *tree, int folder)
{
	if (tree->whiteouts == UNPACK_WHITEOUTS_OVERLAY)
		return set_opaque(folder, ".");
	forget_folders(tree, folder, -1);
	tree->replaced = true;
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? fd : prune(tree, fd, 0);
}

/* Entries. */

static void keep_time(struct unpack_tree *tree, const char *path, const struct tar_entry *entry)
{
	size_t length = strlen(path);
	struct unpack_time *time = arena_alloc(&tree->arena, sizeof *time + length + 1);

	memcpy(time->path, path, length + 1);
	time->mtime = entry->mtime;
	time->nanoseconds = entry->mtime_nanoseconds;
	*tree->times_end = time;
	tree->times_end = &time->next;
}

static int set_times(struct unpack_tree *tree, struct err *e)
{
	for (const struct unpack_time *time = tree->times; time; time = time->next) {
		struct tar_entry entry = {.mtime = time->mtime, .mtime_nanoseconds = time->nanoseconds};
		struct timespec times[2];
		struct stat st;
		size_t length;
		struct err ignored;
		const char *name = last_component(time->path, &length);
		int parent = open_folder(tree, time->path, length, false, tree->replaced ? &ignored : e);

		if (parent < 0 && tree->replaced)
			continue; /* what took its place has its own time */
		if (parent < 0)
			return parent == -ENOENT ? failed(time->path, ENOENT, e) : -1;
		if (!*name)
			name = ".";
		if (tree->replaced &&
			(fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)))
			continue;
		if (utimensat(parent, name, times_of(&entry, times), AT_SYMLINK_NOFOLLOW) < 0)
			return failed(time->path, errno, e);
	}
	return 0;
}

static int take_root(struct unpack_tree *tree, const struct tar_entry *entry, struct err *e)
{
	if (entry->type != TAR_DIRECTORY)
		return refuse(entry->path, e, "has no name");
	int rc = make_folder(tree, tree->root, ".", entry);
	tree->root_inherits |= entry->mode & S_ISGID;
	if (rc < 0)
		return failed(entry->path, rc, e);
	keep_time(tree, "", entry);
	tree->root_seen = true;
	return 0;
}

/* Makes name in parent: 0, -errno, or 1 with e filled. */
static int make(struct unpack_tree *tree, int parent, const char *name, struct tar_reader *reader,
	const struct tar_entry *entry, struct err *e)
{
	switch (entry->type) {
	case TAR_FILE: {
		auto_close int fd =
			fd_open(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, entry->mode & 0777);
		if (fd < 0)
			return fd;
		note_fd(tree, fd);
		return fill_file(tree, fd, reader, entry, e);
	}
	case TAR_DIRECTORY:
		return make_folder(tree, parent, name, entry);
	case TAR_SYMLINK:
		return make_symlink(tree, parent, name, entry);
	default:
		return make_node(tree, parent, name, entry);
	}
}

static int take_entry(
	struct unpack_tree *tree, struct tar_reader *reader, const struct tar_entry *entry, struct err *e)
{
	size_t length;

	if (clean_path(entry->path, tree->path, e) < 0)
		return -1;
	if (!tree->path[0])
		return take_root(tree, entry, e);
	const char *name = last_component(tree->path, &length);
	int kind = classify(tree->path, name, e);
	if (kind < 0 || kind == 1)
		return kind < 0 ? -1 : 0;

	if (entry->type == TAR_CHARACTER && entry->major == 0 && entry->minor == 0)
		return refuse(tree->path, e, "is a device 0:0, which overlayfs keeps for itself");
	if (!kind && (entry->type == TAR_CHARACTER || entry->type == TAR_BLOCK) &&
		!is_harmless_device(tree->path, entry)) {
		tree->devices++;
		return 0;
	}
	bool missing_is_fine = kind && tree->whiteouts == UNPACK_WHITEOUTS_APPLY;
	int parent = open_folder(tree, tree->path, length, !missing_is_fine, e);
	if (parent < 0)
		return missing_is_fine && parent == -ENOENT ? 0 : -1;
	if (kind) {
		int rc = kind == NAME_OPAQUE ? opaque(tree, parent)
					     : whiteout(tree, parent, name + WHITEOUT_PREFIX);
		return rc < 0 ? failed(tree->path, rc, e) : 0;
	}
	if (entry->type == TAR_HARDLINK)
		return make_link(tree, parent, name, entry, e);

	int rc = make(tree, parent, name, reader, entry, e);
	if (rc == -EEXIST) {
		rc = remove_name(tree, parent, name, -1);
		if (rc == 0)
			rc = make(tree, parent, name, reader, entry, e);
	}
	if (rc)
		return rc > 0 ? -1 : failed(tree->path, rc, e);
	if (entry->type != TAR_FILE)
		note_name(tree, parent, name);
	if (entry->type == TAR_DIRECTORY)
		keep_time(tree, tree->path, entry);
	return 0;
}

int unpack_tree(struct unpack_tree *tree, struct tar_reader *reader, uint64_t *entries, struct err *e)
{
	struct tar_entry entry;
	struct stat st;
	int status;

	if (fstat(tree->root, &st) < 0)
		return err_errno(e, errno, "cannot look at the layer's folder");
	tree->root_inherits = st.st_mode & S_ISGID;
	tree->pinned = -1;
	tree->times_end = &tree->times;
	*entries = 0;
	while ((status = tar_next(reader, &entry, e)) == 1) {
		if (take_entry(tree, reader, &entry, e) < 0)
			return -1;
		++*entries;
	}
	return status < 0 ? -1 : set_times(tree, e);
}
