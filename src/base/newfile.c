/* newfile.c - files that appear whole. */
#include "base/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"

static int open_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!slash)
		return fd_open(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0);
	/* With the slash, which is all of "/file"'s. */
	size_t length = (size_t)(slash - path) + 1;
	if (length >= sizeof folder)
		return -ENAMETOOLONG;
	memcpy(folder, path, length);
	folder[length] = '\0';
	return fd_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
}

int new_file_open(struct new_file *file, const char *path)
{
	uint64_t random;
	struct stat st;

	*file = (struct new_file){.fd = -1, .dir = -1};
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		file->fd = S_ISDIR(st.st_mode) ? -EISDIR : fd_open(AT_FDCWD, path, O_WRONLY, 0);
		return file->fd < 0 ? file->fd : 0;
	}
	auto_close int dir = open_folder(path);
	if (dir < 0)
		return dir;
	fd_random(&random, sizeof random);
	snprintf(file->name, sizeof file->name, ".brig.%016llx.new", (unsigned long long)random);
	file->fd = fd_open(dir, ".", O_WRONLY | O_TMPFILE, 0666);
	if (file->fd == -EOPNOTSUPP || file->fd == -EISDIR || file->fd == -ENOENT) {
		file->fd = fd_open(dir, file->name, O_WRONLY | O_CREAT | O_EXCL, 0666);
		file->named = file->fd >= 0;
	}
	if (file->fd < 0)
		return file->fd;
	file->dir = steal_fd(&dir);
	return 0;
}

int new_file_commit(struct new_file *file, const char *path)
{
	int rc = 0;

	if (file->dir >= 0 && !file->named) {
		char self[32];
		snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
		if (linkat(AT_FDCWD, self, file->dir, file->name, AT_SYMLINK_FOLLOW) < 0)
			rc = -errno;
		file->named = rc == 0;
	}
	if (rc == 0 && file->dir >= 0) {
		/* In the folder that was opened: the process may have another mount namespace by now. */
		const char *slash = strrchr(path, '/');
		if (renameat(file->dir, file->name, file->dir, slash ? slash + 1 : path) < 0)
			rc = -errno;
		else
			file->named = false;
	}
	new_file_drop(file);
	return rc;
}

void new_file_drop(struct new_file *file)
{
	if (file->named)
		unlinkat(file->dir, file->name, 0);
	file->named = false;
	close_fd(&file->fd);
	close_fd(&file->dir);
}
