/* tree_write.c - a tree of files as a tar archive. */
#include "store/tree_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "store/changes.h"

enum {
	BUFFER_SIZE = 256 << 10,
	XATTRS_MAX = 256, /* of one file */
};

struct archive_walk {
	struct tree_walk walk;
	bool flat; /* folders without what is in them */
	struct tar_writer *w;
	char *buffer; /* for data */
	struct buf values;
	struct tar_xattr xattrs[XATTRS_MAX];
};

static int write_folder(struct archive_walk *a, int folder, struct err *e);

/* The attributes of an open file into entry, in the order of their names. */
static int read_xattrs(struct archive_walk *a, int fd, struct tar_entry *entry, bool *opaque)
{
	const char *names[XATTRS_MAX];
	size_t offsets[XATTRS_MAX], count = 0;
	int found = tree_xattr_names(&a->walk, fd, names, XATTRS_MAX);

	a->values.length = 0;
	for (int i = 0; i < found; i++) {
		if (!tree_xattr_allowed(&a->walk, names[i], entry->type == TAR_FILE))
			continue;
		char *to = buf_reserve(&a->values, TAR_XATTR_LIMIT);
		ssize_t n = fgetxattr(fd, names[i], to, TAR_XATTR_LIMIT);
		if (n < 0)
			return -errno;
		if (!strcmp(names[i], "user.overlay.opaque")) {
			*opaque = n == 1 && *to == 'y';
			continue;
		}
		offsets[count] = a->values.length;
		a->xattrs[count++] = (struct tar_xattr){.name = names[i], .size = (size_t)n};
		a->values.length += (size_t)n;
	}
	/* The buffer has stopped moving. */
	for (size_t i = 0; i < count; i++)
		a->xattrs[i].value = a->values.data + offsets[i];
	entry->xattrs = a->xattrs;
	entry->xattr_count = count;
	return found < 0 ? found : 0;
}

static void from_stat(struct tar_entry *entry, const struct stat *st)
{
	entry->mode = st->st_mode & 07777;
	entry->uid = st->st_uid;
	entry->gid = st->st_gid;
	entry->mtime = st->st_mtim.tv_sec;
}

/* As many bytes as the header said, whatever has become of the file since: zeros for what is gone. */
static int write_data(struct archive_walk *a, int fd, uint64_t left)
{
	while (left) {
		size_t want = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE;
		ssize_t n = fd_read_full(fd, a->buffer, want);
		if (n < 0)
			return (int)n;
		memset(a->buffer + n, 0, want - (size_t)n);
		int rc = tar_write_data(a->w, a->buffer, want);
		if (rc < 0)
			return rc;
		left -= want;
	}
	return 0;
}

static int write_file(struct archive_walk *a, int folder, const char *name, struct tar_entry *entry)
{
	struct stat st;
	bool opaque;
	auto_close int fd = fd_open(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EAGAIN;
	entry->type = TAR_FILE;
	entry->size = (uint64_t)st.st_size;
	from_stat(entry, &st);
	int rc = read_xattrs(a, fd, entry, &opaque);
	if (rc == 0)
		rc = tar_write_entry(a->w, entry);
	if (rc == 0)
		rc = write_data(a, fd, entry->size);
	a->walk.result.file_size += entry->size;
	return rc;
}

static int write_symlink(struct archive_walk *a, int folder, const char *name, struct tar_entry *entry)
{
	char target[TAR_PATH_LIMIT + 1];
	ssize_t n = readlinkat(folder, name, target, sizeof target);

	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof target)
		return -ENAMETOOLONG;
	target[n] = '\0';
	entry->type = TAR_SYMLINK;
	entry->link = target;
	return tar_write_entry(a->w, entry);
}

/* An empty file "PARENT/.wh.NAME" or "PARENT/.wh..wh..opq". */
static int write_whiteout(struct archive_walk *a, const char *name, const struct tar_entry *like)
{
	size_t length = a->walk.path.length;
	auto_buf struct buf path = {0};
	struct tar_entry entry = {.type = TAR_FILE, .mode = 0644, .mtime = like->mtime};

	/* The folder's part of the path of what is at hand, or all of it for its own mark. */
	if (name) {
		const char *slash = strrchr(a->walk.path.data, '/');
		length = slash ? (size_t)(slash - a->walk.path.data) : 0;
	}
	buf_append(&path, a->walk.path.data, length);
	buf_printf(&path, "%s.wh.%s", length ? "/" : "", name ? name : ".wh..opq");
	entry.path = path.data;
	return tar_write_entry(a->w, &entry);
}

static int write_node(
	struct archive_walk *a, int folder, const char *name, struct tar_entry *entry, const struct stat *st)
{
	bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);

	if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0) && a->walk.options.overlay) {
		/* Its own time is when it was made, be it by unpacking; the folder's time is kept. */
		struct stat above;
		if (fstat(folder, &above) < 0)
			return -errno;
		return write_whiteout(a, name, &(const struct tar_entry){.mtime = above.st_mtim.tv_sec});
	}
	if (S_ISSOCK(st->st_mode) || (device && (a->walk.options.foreign || st->st_rdev == makedev(0, 0)))) {
		a->walk.result.skipped++;
		return 0;
	}
	entry->type = S_ISCHR(st->st_mode) ? TAR_CHARACTER : S_ISBLK(st->st_mode) ? TAR_BLOCK : TAR_FIFO;
	entry->major = device ? major(st->st_rdev) : 0;
	entry->minor = device ? minor(st->st_rdev) : 0;
	return tar_write_entry(a->w, entry);
}

static int write_subfolder(struct archive_walk *a, int folder, const char *name, struct err *e)
{
	auto_close int fd = kernel_openat2(folder, name,
		&(const struct kernel_open_how){
			.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			.resolve = KERNEL_RESOLVE_NO_XDEV | KERNEL_RESOLVE_NO_SYMLINKS,
		});
	if (fd == -EXDEV) {
		a->walk.result.skipped++; /* something is mounted there */
		return 0;
	}
	return fd < 0 ? tree_failed(&a->walk, fd, "read", e) : write_folder(a, fd, e);
}

static int write_name(struct archive_walk *a, int folder, const char *name, struct err *e)
{
	struct stat st;
	struct tar_entry entry = {.path = a->walk.path.data, .link = ""};
	int rc;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : tree_failed(&a->walk, errno, "read", e);
	a->walk.result.entries++;
	if (S_ISDIR(st.st_mode))
		return write_subfolder(a, folder, name, e);
	from_stat(&entry, &st);
	/* Whiteouts share an inode, and sockets may have names, but no archive has links to them. */
	bool linked = st.st_nlink > 1 && (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) || S_ISFIFO(st.st_mode));
	const char *first = linked ? tree_link_seen(&a->walk, &st) : NULL;
	if (first) {
		entry.type = TAR_HARDLINK;
		entry.link = first;
		rc = tar_write_entry(a->w, &entry);
	} else if (S_ISREG(st.st_mode)) {
		rc = write_file(a, folder, name, &entry);
	} else if (S_ISLNK(st.st_mode)) {
		rc = write_symlink(a, folder, name, &entry);
	} else {
		rc = write_node(a, folder, name, &entry, &st);
	}
	return rc < 0 ? tree_failed(&a->walk, rc, "archive", e) : 0;
}

/* The folder itself, then what is in it. */
static int write_folder(struct archive_walk *a, int folder, struct err *e)
{
	struct tar_entry entry = {
		.type = TAR_DIRECTORY, .path = a->walk.path.length ? a->walk.path.data : "./"};
	struct stat st;
	bool opaque = false;
	auto_free char **names = tree_names(folder);

	if (!names || fstat(folder, &st) < 0)
		return tree_failed(&a->walk, errno, "read", e);
	if (++a->walk.depth > TREE_DEPTH)
		return tree_failed(&a->walk, ELOOP, "archive", e);
	from_stat(&entry, &st);
	int rc = read_xattrs(a, folder, &entry, &opaque);
	if (rc == 0)
		rc = tar_write_entry(a->w, &entry);
	if (rc == 0 && opaque)
		rc = write_whiteout(a, NULL, &entry);
	if (rc < 0)
		return tree_failed(&a->walk, rc, "archive", e);
	for (char **name = names; *name && !a->flat; name++) {
		size_t length = tree_enter(&a->walk, *name);
		if (write_name(a, folder, *name, e) < 0)
			return -1;
		tree_leave(&a->walk, length);
	}
	a->walk.depth--;
	return 0;
}

/* The path of a change in its folder, which the tree's root is where it has none. */
static int write_change(struct archive_walk *a, int tree, const struct change *change, struct err *e)
{
	const char *path = change->path + 1, *slash = strrchr(path, '/');
	auto_buf struct buf above = {0};
	struct stat st = {0};

	buf_append(&above, path, slash ? (size_t)(slash - path) : 0);
	a->walk.path.length = 0;
	buf_string(&a->walk.path, path);
	auto_close int folder = above.length ? fd_open_beneath(tree, above.data, O_RDONLY | O_DIRECTORY, 0)
					     : fd_open(tree, ".", O_RDONLY | O_DIRECTORY, 0);
	if (folder < 0)
		return tree_failed(&a->walk, folder, "read", e);
	const char *name = slash ? slash + 1 : path;
	if (change->kind != CHANGE_DELETED)
		return write_name(a, folder, name, e);
	if (fstat(folder, &st) < 0)
		return tree_failed(&a->walk, errno, "read", e);
	int rc = write_whiteout(a, name, &(const struct tar_entry){.mtime = st.st_mtim.tv_sec});
	return rc < 0 ? tree_failed(&a->walk, rc, "archive", e) : 0;
}

/* All of the tree, or the changes in it. */
struct selection {
	bool chosen;
	const struct change *changes;
	size_t count;
};

static int write_archive(int tree, struct tar_writer *w, const struct tree_options *options,
	const struct selection *selection, struct tree_result *result, struct err *e)
{
	struct archive_walk *a = calloc(1, sizeof *a);
	auto_free char *buffer = malloc(BUFFER_SIZE);

	if (!a || !buffer) {
		free(a);
		return err_errno(e, ENOMEM, "cannot make an archive");
	}
	a->walk.options = *options;
	a->w = w;
	a->buffer = buffer;
	a->flat = selection->chosen;
	buf_string(&a->walk.path, "");
	int rc = write_folder(a, tree, e);
	for (size_t i = 0; rc == 0 && i < selection->count; i++)
		rc = write_change(a, tree, &selection->changes[i], e);
	if (rc == 0) {
		int number = tar_write_end(w);
		rc = number < 0 ? err_errno(e, number, "cannot make an archive") : 0;
	} else {
		buf_free(&w->pax);
	}
	if (rc == 0)
		*result = a->walk.result;
	tree_walk_end(&a->walk);
	buf_free(&a->values);
	free(a);
	return rc;
}

int tree_write(int tree, struct tar_writer *w, const struct tree_options *options, struct tree_result *result,
	struct err *e)
{
	const struct selection all = {.chosen = false};
	return write_archive(tree, w, options, &all, result, e);
}

int tree_write_changes(
	int tree, struct tar_writer *w, const struct change *changes, size_t count, struct err *e)
{
	const struct tree_options options = {.overlay = false};
	const struct selection chosen = {.chosen = true, .changes = changes, .count = count};
	struct tree_result ignored;
	return write_archive(tree, w, &options, &chosen, &ignored, e);
}
