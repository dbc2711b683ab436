/* mount_points.c - where the engine mounts something, and taking that out of a tree again. */
#include "store/mount_points.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"

const struct mount_point mount_points[] = {
	{"dev", true},
	{"etc", true},
	{"etc/hostname", false},
	{"etc/hosts", false},
	{"etc/resolv.conf", false},
	{"proc", true},
	{"sys", true},
};
const size_t mount_point_count = sizeof mount_points / sizeof *mount_points;

static bool is_below(int below, const char *path)
{
	auto_close int fd = below < 0 ? -1 : fd_open_in_root(below, path, O_PATH | O_NOFOLLOW, 0);
	return fd >= 0;
}

/* Whether the path was there and went. */
static bool remove_empty(int tree, int below, const char *path)
{
	char above[PATH_MAX];
	struct stat st;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t length = slash ? (size_t)(slash - path) : 0;

	if (length >= sizeof above || !*name || !strcmp(name, ".") || !strcmp(name, "..") ||
		is_below(below, path))
		return false;
	memcpy(above, path, length);
	above[length] = '\0';
	auto_close int parent = fd_open_in_root(tree, length ? above : "/", O_PATH | O_DIRECTORY, 0);
	if (parent < 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (S_ISDIR(st.st_mode))
		return unlinkat(parent, name, AT_REMOVEDIR) == 0;
	return S_ISREG(st.st_mode) && !st.st_size && st.st_nlink == 1 && unlinkat(parent, name, 0) == 0;
}

/* The path, and upwards what becomes empty by that. */
static void trim(int tree, int below, const char *path)
{
	char rest[PATH_MAX];
	size_t length = strlen(path);

	if (length >= sizeof rest)
		return;
	memcpy(rest, path, length + 1);
	for (;;) {
		while (length && rest[length - 1] == '/')
			rest[--length] = '\0';
		if (!length || !remove_empty(tree, below, rest))
			return;
		while (length && rest[length - 1] != '/')
			rest[--length] = '\0';
	}
}

void mount_points_trim(int tree, int below, const char *const *more)
{
	for (; more && *more; more++)
		trim(tree, below, *more);
	/* Backwards: a folder after what is in it. */
	for (size_t i = mount_point_count; i-- > 0;)
		trim(tree, below, mount_points[i].name);
}
