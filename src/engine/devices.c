/* devices.c - the host's device nodes, for privileged containers. */
#include "engine/devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/auto.h"
#include "base/fd.h"

enum { DEVICES = 4096, DEEPEST = 8 };

struct found {
	struct arena *arena;
	struct spec_device *list;
	size_t count, room;
};

/* The container has its own of these. */
static bool is_own(const char *name)
{
	static const char *const own[] = {"pts", "shm", "mqueue", "fd", "console", "ptmx", "tty", "null",
		"zero", "full", "random", "urandom"};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (!strcmp(own[i], name))
			return true;
	return false;
}

static void add(struct found *found, const char *path, const struct stat *st)
{
	if (found->count == found->room) {
		size_t room = found->room ? 2 * found->room : 64;
		struct spec_device *list = arena_array(found->arena, room, sizeof *list);
		if (found->count)
			memcpy(list, found->list, found->count * sizeof *list);
		found->list = list;
		found->room = room;
	}
	found->list[found->count++] = (struct spec_device){
		.path = arena_strdup(found->arena, path),
		.type = S_ISBLK(st->st_mode) ? 'b' : 'c',
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
	};
}

static void walk(struct found *found, int parent, const char *name, const char *path, int depth)
{
	auto_close int fd = fd_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream)
		return;
	steal_fd(&fd);
	for (struct dirent *entry; found->count < DEVICES && (entry = readdir(stream));) {
		struct stat st;
		char below[512];
		if (*entry->d_name == '.' || (!depth && is_own(entry->d_name)) ||
			fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		int length = snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
		if (length < 0 || (size_t)length >= sizeof below)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEEPEST)
			walk(found, dirfd(stream), entry->d_name, below, depth + 1);
		else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			add(found, below, &st);
	}
	closedir(stream);
}

const struct spec_device *devices_of_host(struct arena *arena, size_t *count)
{
	struct found found = {.arena = arena};

	walk(&found, AT_FDCWD, "/dev", "/dev", 0);
	*count = found.count;
	return found.list;
}
