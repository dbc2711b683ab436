/* fd.c - files by descriptor. */
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/kernel.h"

enum {
	SEND_FDS = 8,
	REMOVE_DEPTH = 100, /* folders that fd_remove_tree has open at once */
};

int fd_open(int dir, const char *name, int flags, mode_t mode)
{
	int fd;
	do {
		fd = openat(dir, name, flags | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static int open_resolved(int dir, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct kernel_open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? mode : 0,
		.resolve = resolve | KERNEL_RESOLVE_NO_MAGICLINKS,
	};
	struct timespec began = {0}, now;

	for (;;) {
		int fd = kernel_openat2(dir, path, &how);
		if (fd != -EAGAIN && fd != -EINTR)
			return fd;
		/* EAGAIN: a rename or mount raced with a "..". Somebody who keeps
		 * racing does not get to keep us here. */
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (!began.tv_sec)
			began = now;
		if (now.tv_sec - began.tv_sec > 1)
			return fd;
	}
}

int fd_open_in_root(int root, const char *path, int flags, mode_t mode)
{
	return open_resolved(root, path, flags, mode, KERNEL_RESOLVE_IN_ROOT);
}

int fd_open_beneath(int dir, const char *path, int flags, mode_t mode)
{
	return open_resolved(dir, path, flags, mode, KERNEL_RESOLVE_BENEATH);
}

ssize_t fd_read_full(int fd, void *bytes, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t n = read(fd, (char *)bytes + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_write_full(int fd, const void *bytes, size_t size)
{
	const char *p = bytes;
	while (size) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int fd_slurp(int fd, size_t limit, struct buf *out)
{
	struct stat st;
	size_t step = 4096;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		if ((uint64_t)st.st_size > limit)
			return -EFBIG;
		step = (size_t)st.st_size + 1;
	}
	size_t start = out->length;
	for (;;) {
		char *to = buf_reserve(out, step);
		ssize_t n = fd_read_full(fd, to, step);
		if (n < 0)
			return (int)n;
		out->length += (size_t)n;
		out->data[out->length] = '\0';
		if (out->length - start > limit)
			return -EFBIG;
		if ((size_t)n < step)
			return 0;
		step = 65536;
	}
}

int fd_read_file(int dir, const char *name, size_t limit, struct buf *out)
{
	/* O_NONBLOCK: a FIFO in its place must not make us wait. */
	auto_close int fd = fd_open(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	int rc = fd_expect(fd, S_IFREG);
	return rc < 0 ? rc : fd_slurp(fd, limit, out);
}

int fd_replace(int dir, const char *name, const void *bytes, size_t size, mode_t mode, bool durable)
{
	char temporary[300];
	uint64_t random;

	fd_random(&random, sizeof random);
	int length =
		snprintf(temporary, sizeof temporary, ".%s.%016llx.new", name, (unsigned long long)random);
	if (length < 0 || (size_t)length >= sizeof temporary)
		return -ENAMETOOLONG;
	auto_close int fd = fd_open(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	if (fd < 0)
		return fd;
	int rc = fd_write_full(fd, bytes, size);
	if (rc == 0 && durable && fdatasync(fd) < 0)
		rc = -errno;
	if (rc == 0 && renameat(dir, temporary, dir, name) < 0)
		rc = -errno;
	if (rc < 0) {
		unlinkat(dir, temporary, 0);
		return rc;
	}
	if (durable) {
		/* dir may be opened with O_PATH, or be AT_FDCWD: sync what it names. */
		auto_close int sync_fd = fd_open(dir, ".", O_RDONLY | O_DIRECTORY, 0);
		if (sync_fd < 0 || fsync(sync_fd) < 0)
			return -errno;
	}
	return 0;
}

int fd_mkdirs(int dir, const char *path, mode_t mode)
{
	char *copy = strdup(path);
	auto_free char *owner = copy;
	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; *copy; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char saved = *p;
		*p = '\0';
		if (mkdirat(dir, copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = saved;
		if (saved == '\0')
			break;
	}
	return 0;
}

int fd_open_dir_made(int dir, const char *path, mode_t mode)
{
	int fd = fd_open(dir, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd != -ENOENT)
		return fd;
	int rc = fd_mkdirs(dir, path, mode);
	return rc < 0 ? rc : fd_open(dir, path, O_RDONLY | O_DIRECTORY, 0);
}

/* A removal that is under way. */
struct removal {
	int top;
	bool lifted; /* something was put into the top folder */
};

/* A folder in the same mount; -EXDEV where something is mounted there. A subvolume of btrfs, which
 * whoever fills a folder may make in it, is another device, and no mount: it goes with the rest. */
static int open_inside(int folder, const char *name)
{
	return kernel_openat2(folder, name,
		&(const struct kernel_open_how){
			.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			.resolve = KERNEL_RESOLVE_NO_XDEV | KERNEL_RESOLVE_NO_SYMLINKS,
		});
}

/* Takes a folder that lies too deep out of its own: it becomes one of the top folder's. */
static int lift(struct removal *removal, int folder, const char *name)
{
	char lifted[32];
	uint64_t random;

	fd_random(&random, sizeof random);
	snprintf(lifted, sizeof lifted, ".rm.%016llx", (unsigned long long)random);
	removal->lifted = true;
	return renameat(folder, name, removal->top, lifted) < 0 ? -errno : 0;
}

/* Empties the folder that fd names; fd is taken over. Whoever fills a folder decides how
 * deep it is, so that descriptors and stack must not follow: see lift(). */
static int empty_directory(struct removal *removal, int fd, unsigned depth)
{
	DIR *stream = fdopendir(fd);
	if (!stream) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	int rc = 0;
	struct dirent *entry;
	while (rc == 0 && (errno = 0, entry = readdir(stream))) {
		const char *name = entry->d_name;
		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		if (entry->d_type != DT_DIR) {
			if (unlinkat(dirfd(stream), name, 0) == 0 || errno == ENOENT)
				continue;
			if (errno != EISDIR && errno != EPERM) {
				rc = -errno;
				break;
			}
		}
		if (depth == REMOVE_DEPTH) {
			rc = lift(removal, dirfd(stream), name);
			continue;
		}
		int child = open_inside(dirfd(stream), name);
		if (child == -EACCES && fchmodat(dirfd(stream), name, 0700, 0) == 0)
			child = open_inside(dirfd(stream), name);
		if (child < 0) {
			rc = child == -ENOENT ? 0 : child;
			continue;
		}
		rc = empty_directory(removal, child, depth + 1);
		if (rc == 0 && unlinkat(dirfd(stream), name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			rc = -errno;
	}
	if (rc == 0 && errno)
		rc = -errno;
	closedir(stream);
	return rc;
}

int fd_remove_tree(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	/* An empty folder, the common case, needs no look inside. */
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	auto_close int top = fd_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (top < 0)
		return top == -ENOENT ? 0 : top;
	struct removal removal = {.top = top};
	for (;;) {
		removal.lifted = false;
		int fd = fd_open(top, ".", O_RDONLY | O_DIRECTORY, 0);
		int rc = fd < 0 ? fd : empty_directory(&removal, fd, 0);
		if (rc < 0)
			return rc;
		if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		/* What was lifted out of the depths has come to lie here. */
		if (!removal.lifted)
			return -errno;
	}
}

int fd_is_empty(int folder)
{
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 1;

	if (!stream) {
		rc = fd < 0 ? fd : -errno;
		close_fd(&fd);
		return rc;
	}
	while (rc == 1 && (errno = 0, entry = readdir(stream)))
		rc = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (rc == 1 && errno)
		rc = -errno;
	closedir(stream);
	return rc;
}

int fd_pipe(int ends[2], int flags)
{
	return pipe2(ends, flags | O_CLOEXEC) < 0 ? -errno : 0;
}

int fd_send(int socket, const void *bytes, size_t size, const int *fds, size_t count)
{
	union {
		char space[CMSG_SPACE(SEND_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (count > SEND_FDS)
		return -E2BIG;
	if (count) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	ssize_t n;
	do {
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EMSGSIZE;
}

ssize_t fd_receive(int socket, void *bytes, size_t size, int *fds, size_t *count)
{
	union {
		char space[CMSG_SPACE(SEND_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof control.space,
	};
	size_t room = count ? *count : 0, got = 0;
	bool reset = false;
	ssize_t n;

	for (;;) {
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
		if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
			break;
		/* A peer that closed without having read all of ours: that is said once,
		 * before what it had sent, which may well be the reason. */
		reset |= errno == ECONNRESET;
	}
	if (n < 0)
		return -errno;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
		header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t sent = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < sent; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
			if (got < room)
				fds[got++] = fd;
			else
				close(fd);
		}
	}
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (got)
			close(fds[--got]);
		return -EMSGSIZE;
	}
	if (count)
		*count = got;
	return n;
}

int fd_expect(int fd, mode_t type)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	return (st.st_mode & S_IFMT) == type ? 0 : -EINVAL;
}

void fd_random(void *bytes, size_t size)
{
	char *p = bytes;
	while (size) {
		ssize_t n = getrandom(p, size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort();
		p += n;
		size -= (size_t)n;
	}
}
