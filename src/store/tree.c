/* tree.c - going through trees of files, and copying them. */
#include "store/tree_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"

#define FICLONE_REQUEST _IOW(0x94, 9, int) /* FICLONE of linux/fs.h */

enum {
	COPY_AT_ONCE = 1 << 30,
	BUFFER_SIZE = 256 << 10,
	XATTRS_MAX = 256,           /* of one file */
	XATTR_NAMES_MAX = 64 << 10, /* bytes; XATTR_LIST_MAX */
};

/* For both. */

int tree_failed(const struct tree_walk *walk, int number, const char *what, struct err *e)
{
	char shown[400];
	const char *path = walk->path.length ? walk->path.data : ".";
	return err_errno(e, number, "cannot %s \"%s\"", what, err_sanitize(shown, sizeof shown, path));
}

void tree_walk_end(struct tree_walk *walk)
{
	arena_free(&walk->arena);
	buf_free(&walk->path);
	buf_free(&walk->xattr_names);
	free(steal(walk->links));
}

const char *tree_link_seen(struct tree_walk *walk, const struct stat *st)
{
	if (!walk->links)
		walk->links = calloc(TREE_LINK_LISTS, sizeof *walk->links);
	if (!walk->links)
		abort();
	struct tree_link **list = &walk->links[(size_t)(st->st_ino ^ st->st_ino >> 10) % TREE_LINK_LISTS];
	for (const struct tree_link *link = *list; link; link = link->next) {
		if (link->inode == st->st_ino && link->device == st->st_dev)
			return link->path;
	}
	struct tree_link *link = arena_alloc(&walk->arena, sizeof *link + walk->path.length + 1);
	link->next = *list;
	link->device = st->st_dev;
	link->inode = st->st_ino;
	memcpy(link->path, walk->path.data, walk->path.length + 1);
	*list = link;
	return NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **tree_names(int folder)
{
	auto_buf struct buf text = {0};
	size_t count = 0;
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!stream) {
		close_fd(&fd);
		return NULL;
	}
	while ((errno = 0, entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		buf_append(&text, entry->d_name, strlen(entry->d_name) + 1);
		count++;
	}
	int number = errno;
	closedir(stream);
	char **names = number ? NULL : malloc((count + 1) * sizeof *names + text.length);
	if (!names) {
		errno = number ? number : ENOMEM;
		return NULL;
	}
	/* The bytes behind the pointers. */
	char *p = (char *)(names + count + 1);
	if (text.length)
		memcpy(p, text.data, text.length);
	for (size_t i = 0; i < count; i++, p += strlen(p) + 1)
		names[i] = p;
	names[count] = NULL;
	tree_sort_names(names, count);
	return names;
}

void tree_sort_names(char **names, size_t count)
{
	qsort(names, count, sizeof *names, compare_names);
}

bool tree_is_opaque(int folder)
{
	char value[2];
	return fgetxattr(folder, "user.overlay.opaque", value, sizeof value) == 1 && *value == 'y';
}

size_t tree_enter(struct tree_walk *walk, const char *name)
{
	size_t length = walk->path.length;
	if (length)
		buf_append(&walk->path, "/", 1);
	buf_string(&walk->path, name);
	return length;
}

void tree_leave(struct tree_walk *walk, size_t length)
{
	walk->path.length = length;
	walk->path.data[length] = '\0';
}

bool tree_xattr_allowed(struct tree_walk *walk, const char *name, bool file)
{
	static const char overlay[] = "user.overlay.";
	bool allowed;

	/* SECURITY.md 1.4, as for archives. */
	if (!strcmp(name, "security.capability"))
		allowed = file;
	else if (!strncmp(name, overlay, sizeof overlay - 1))
		allowed = walk->options.overlay && !strcmp(name, "user.overlay.opaque");
	else
		allowed = !strncmp(name, "user.", 5);
	walk->result.skipped += !allowed;
	return allowed;
}

int tree_xattr_names(struct tree_walk *walk, int fd, const char **names, size_t room)
{
	struct buf *text = &walk->xattr_names;
	size_t count = 0;

	text->length = 0;
	/* Most files have none, and asking for the length says so. */
	ssize_t n = flistxattr(fd, NULL, 0);
	if (n > 0)
		n = flistxattr(fd, buf_reserve(text, XATTR_NAMES_MAX), XATTR_NAMES_MAX);
	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *p = text->data; n > 0 && p < text->data + n; p += strlen(p) + 1) {
		if (count == room)
			return -E2BIG;
		names[count++] = p;
	}
	qsort(names, count, sizeof *names, compare_names);
	return (int)count;
}

/* The attributes of one, "NAME\0LENGTH VALUE" after another, into text. */
static int read_attributes(int folder, const char *name, struct buf *text)
{
	struct tree_walk walk = {.options.overlay = false};
	const char *names[XATTRS_MAX];
	struct stat st;
	auto_close int fd = fd_open(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	int count = tree_xattr_names(&walk, fd, names, XATTRS_MAX), rc = count < 0 ? count : 0;
	for (int i = 0; rc == 0 && i < count; i++) {
		if (!tree_xattr_allowed(&walk, names[i], S_ISREG(st.st_mode)))
			continue;
		buf_append(text, names[i], strlen(names[i]) + 1);
		char *to = buf_reserve(text, TAR_XATTR_LIMIT);
		ssize_t n = fgetxattr(fd, names[i], to, TAR_XATTR_LIMIT);
		rc = n < 0 ? -errno : 0;
		text->length += n < 0 ? 0 : (size_t)n;
		buf_printf(text, " %zd;", n);
	}
	buf_free(&walk.xattr_names);
	return rc;
}

bool tree_xattrs_differ(int a, int b, const char *name)
{
	auto_buf struct buf x = {0}, y = {0};

	if (read_attributes(a, name, &x) < 0 || read_attributes(b, name, &y) < 0)
		return true;
	return x.length != y.length || (x.length && memcmp(x.data, y.data, x.length) != 0);
}

static int count_folder(struct tree_walk *walk, int folder, struct err *e)
{
	auto_free char **names = tree_names(folder);

	if (!names)
		return tree_failed(walk, errno, "read", e);
	if (++walk->depth > TREE_DEPTH)
		return tree_failed(walk, ELOOP, "read", e);
	for (char **name = names; *name; name++) {
		struct stat st;
		size_t length = tree_enter(walk, *name);
		if (fstatat(folder, *name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return tree_failed(walk, errno, "read", e);
		walk->result.entries++;
		if (S_ISREG(st.st_mode) && (st.st_nlink == 1 || !tree_link_seen(walk, &st)))
			walk->result.file_size += (uint64_t)st.st_size;
		if (S_ISDIR(st.st_mode)) {
			auto_close int fd = fd_open(folder, *name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
			if (fd < 0)
				return tree_failed(walk, fd, "read", e);
			if (count_folder(walk, fd, e) < 0)
				return -1;
		}
		tree_leave(walk, length);
	}
	walk->depth--;
	return 0;
}

int tree_count(int tree, struct tree_result *result, struct err *e)
{
	struct tree_walk walk = {0};

	buf_string(&walk.path, "");
	int rc = count_folder(&walk, tree, e);
	if (rc == 0)
		*result = walk.result;
	tree_walk_end(&walk);
	return rc;
}

/* Copying. */

static int owner_result(const struct tree_walk *walk, int result)
{
	if (result == 0 || (walk->options.one_owner && (errno == EPERM || errno == EINVAL)))
		return 0;
	return -errno;
}

static int copy_xattrs(struct tree_walk *walk, int from, int to, bool file)
{
	const char *names[XATTRS_MAX];
	int count = tree_xattr_names(walk, from, names, XATTRS_MAX);
	auto_buf struct buf value = {0};

	for (int i = 0; i < count; i++) {
		if (!tree_xattr_allowed(walk, names[i], file))
			continue;
		ssize_t n = fgetxattr(from, names[i], buf_reserve(&value, TAR_XATTR_LIMIT), TAR_XATTR_LIMIT);
		if (n < 0)
			return -errno;
		if (fsetxattr(to, names[i], value.data, (size_t)n, 0) == 0)
			continue;
		if (errno != ENOTSUP && !(walk->options.one_owner && (errno == EPERM || errno == EINVAL)))
			return -errno;
		walk->result.skipped++;
	}
	return count < 0 ? count : 0;
}

/* size bytes from offset on, by whatever is fastest here. */
static int copy_range(int from, int to, off_t offset, off_t size)
{
	off_t in = offset, out = offset, end = offset + size;

	while (in < end) {
		size_t want = end - in > COPY_AT_ONCE ? COPY_AT_ONCE : (size_t)(end - in);
		ssize_t n = copy_file_range(from, &in, to, &out, want, 0);
		if (n == 0)
			return 0; /* it has become shorter meanwhile */
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
			break;
		if (n < 0)
			return -errno;
	}
	if (in >= end)
		return 0;
	auto_free char *buffer = malloc(BUFFER_SIZE);
	if (!buffer)
		return -ENOMEM;
	while (in < end) {
		size_t want = end - in > BUFFER_SIZE ? BUFFER_SIZE : (size_t)(end - in);
		ssize_t n = pread(from, buffer, want, in);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (ssize_t done = 0; done < n;) {
			ssize_t written = pwrite(to, buffer + done, (size_t)(n - done), in + done);
			if (written < 0 && errno != EINTR)
				return -errno;
			done += written < 0 ? 0 : written;
		}
		in += n;
	}
	return 0;
}

static int copy_data(int from, int to, const struct stat *st)
{
	if (!st->st_size)
		return 0;
	if (ioctl(to, FICLONE_REQUEST, from) == 0)
		return 0;
	/* Fewer blocks than bytes: it has holes. */
	if (st->st_blocks >= st->st_size / 512)
		return copy_range(from, to, 0, st->st_size);
	for (off_t at = 0; at < st->st_size;) {
		off_t data = lseek(from, at, SEEK_DATA);
		if (data < 0)
			break; /* ENXIO: only a hole is left */
		off_t hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || hole > st->st_size)
			hole = st->st_size;
		int rc = copy_range(from, to, data, hole - data);
		if (rc < 0)
			return rc;
		at = hole;
	}
	return ftruncate(to, st->st_size) < 0 ? -errno : 0;
}

int tree_copy_metadata(struct tree_walk *walk, int from, int to, const struct stat *st)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	int rc = owner_result(walk, fchown(to, st->st_uid, st->st_gid));

	if (rc == 0 && fchmod(to, st->st_mode & 07777) < 0)
		rc = -errno;
	if (rc == 0)
		rc = copy_xattrs(walk, from, to, S_ISREG(st->st_mode));
	if (rc == 0 && futimens(to, times) < 0)
		rc = -errno;
	return rc;
}

static int copy_file(struct tree_walk *walk, int from, int to, const char *name)
{
	struct stat st;
	/* O_NONBLOCK: what was a file may be a pipe by now. */
	auto_close int in = fd_open(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (in < 0)
		return in;
	if (fstat(in, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EAGAIN;
	auto_close int out = fd_open(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (out < 0)
		return out;
	int rc = copy_data(in, out, &st);
	walk->result.file_size += (uint64_t)st.st_size;
	return rc < 0 ? rc : tree_copy_metadata(walk, in, out, &st);
}

static int copy_symlink(
	const struct tree_walk *walk, int from, int to, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	char target[TAR_PATH_LIMIT + 1];
	ssize_t n = readlinkat(from, name, target, sizeof target);

	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof target)
		return -ENAMETOOLONG;
	target[n] = '\0';
	if (symlinkat(target, to, name) < 0)
		return -errno;
	int rc = owner_result(walk, fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW));
	if (rc == 0 && utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		rc = -errno;
	return rc;
}

/* Pipes and, from layers, devices. */
static int copy_node(struct tree_walk *walk, int to, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	bool whiteout = S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);

	if (S_ISSOCK(st->st_mode) || (!S_ISFIFO(st->st_mode) && walk->options.foreign) ||
		(whiteout && !walk->options.overlay)) {
		walk->result.skipped++;
		return 0;
	}
	if (mknodat(to, name, st->st_mode & (S_IFMT | 01777), st->st_rdev) < 0) {
		if (errno != EPERM || S_ISFIFO(st->st_mode))
			return -errno;
		walk->result.skipped++;
		return 0;
	}
	int rc = owner_result(walk, fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW));
	if (rc == 0 && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		rc = -errno;
	if (rc == 0 && utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		rc = -errno;
	return rc;
}

static int copy_folder(struct tree_walk *walk, int root, int from, int to, struct err *e);

/* Where something is mounted: an empty folder like the root of that, as other archivers of one file
 * system make it. So /tmp stays writable, and a second copy is the same as the first. */
static int copy_mount_point(
	struct tree_walk *walk, int to, const char *name, const struct stat *st, struct err *e)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	int rc = mkdirat(to, name, 0700) < 0 ? -errno : 0;

	walk->result.skipped++;
	if (rc == 0)
		rc = owner_result(walk, fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW));
	if (rc == 0 && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		rc = -errno;
	if (rc == 0 && utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		rc = -errno;
	return rc < 0 ? tree_failed(walk, rc, "copy", e) : 0;
}

static int copy_subfolder(struct tree_walk *walk, int root, int from, int to, const char *name,
	const struct stat *st, struct err *e)
{
	auto_close int in = kernel_openat2(from, name,
		&(const struct kernel_open_how){
			.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			.resolve = KERNEL_RESOLVE_NO_XDEV | KERNEL_RESOLVE_NO_SYMLINKS,
		});
	if (in == -EXDEV)
		return copy_mount_point(walk, to, name, st, e);
	if (in < 0)
		return tree_failed(walk, in, "read", e);
	if (mkdirat(to, name, 0700) < 0)
		return tree_failed(walk, errno, "copy", e);
	auto_close int out = fd_open(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (out < 0)
		return tree_failed(walk, out, "copy", e);
	return copy_folder(walk, root, in, out, e);
}

int tree_copy_name(struct tree_walk *walk, int root, int from, int to, const char *name, struct err *e)
{
	struct stat st;
	int rc;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : tree_failed(walk, errno, "read", e);
	if (walk->path.length > TAR_PATH_LIMIT)
		return tree_failed(walk, ENAMETOOLONG, "copy", e);
	walk->result.entries++;
	if (S_ISDIR(st.st_mode))
		return copy_subfolder(walk, root, from, to, name, &st, e);
	const char *first = st.st_nlink > 1 ? tree_link_seen(walk, &st) : NULL;
	if (first) {
		/* Ours all the way: the folders of its path were made here. */
		rc = linkat(root, first, to, name, 0) < 0 ? -errno : 0;
		/* Its first name was left out. */
		if (rc == -ENOENT)
			rc = 0;
	} else if (S_ISREG(st.st_mode)) {
		rc = copy_file(walk, from, to, name);
	} else if (S_ISLNK(st.st_mode)) {
		rc = copy_symlink(walk, from, to, name, &st);
	} else {
		rc = copy_node(walk, to, name, &st);
	}
	return rc < 0 ? tree_failed(walk, rc, "copy", e) : 0;
}

/* What is below from goes into to; then to becomes like from. */
static int copy_folder(struct tree_walk *walk, int root, int from, int to, struct err *e)
{
	struct stat st;
	auto_free char **names = tree_names(from);

	if (!names || fstat(from, &st) < 0)
		return tree_failed(walk, errno, "read", e);
	if (++walk->depth > TREE_DEPTH)
		return tree_failed(walk, ELOOP, "copy", e);
	for (char **name = names; *name; name++) {
		size_t length = tree_enter(walk, *name);
		if (tree_copy_name(walk, root, from, to, *name, e) < 0)
			return -1;
		tree_leave(walk, length);
	}
	walk->depth--;
	int rc = tree_copy_metadata(walk, from, to, &st);
	return rc < 0 ? tree_failed(walk, rc, "copy", e) : 0;
}

int tree_copy(int from, int to, const struct tree_options *options, struct tree_result *result, struct err *e)
{
	struct tree_walk walk = {.options = *options};
	int rc;

	buf_string(&walk.path, "");
	rc = copy_folder(&walk, to, from, to, e);
	if (rc == 0)
		*result = walk.result;
	tree_walk_end(&walk);
	return rc;
}
