/* place.c - which file system a data root lies on. place.h has the theory of operation. */
#include "store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/kernel.h"

enum { MOUNTINFO_LIMIT = 16 << 20, NOTE_LIMIT = 16 << 10 };

static const char note_title[] = "A store of brig belongs here, on a file system that is not mounted.\n";

/* mountinfo */

/* The next word of *at, a copy with \ooo resolved; NULL at the line's end. */
static const char *next_word(struct arena *arena, const char **at)
{
	const char *p = *at + strspn(*at, " ");
	size_t length = strcspn(p, " \n"), out = 0;

	*at = p + length;
	if (!length)
		return NULL;
	char *word = arena_memdup(arena, p, length);
	for (size_t i = 0; i < length; i++) {
		const char *c = word + i;
		if (length - i >= 4 && c[0] == '\\' && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' &&
			c[2] <= '7' && c[3] >= '0' && c[3] <= '7') {
			word[out++] = (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0'));
			i += 3;
		} else {
			word[out++] = *c;
		}
	}
	word[out] = '\0';
	return word;
}

bool place_parse(struct arena *arena, const char *text, const char *id, struct place *place)
{
	struct place found = {0};
	const char *line = text;
	size_t length = strlen(id);

	while (*line && (strncmp(line, id, length) != 0 || line[length] != ' ')) {
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	/* ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [FIELD…] - TYPE SOURCE SUPEROPTIONS */
	for (int i = 0; i < 3; i++) {
		if (!next_word(arena, &line))
			return false;
	}
	found.root = next_word(arena, &line);
	found.mount_point = next_word(arena, &line);
	const char *word = next_word(arena, &line);
	while (word && strcmp(word, "-") != 0)
		word = next_word(arena, &line);
	if (!word)
		return false;
	found.type = next_word(arena, &line);
	found.source = next_word(arena, &line);
	found.options = next_word(arena, &line);
	if (!found.options)
		return false;
	*place = found;
	return true;
}

int place_find(struct arena *arena, int folder, struct place *place)
{
	static const char key[] = "mnt_id:";
	char path[40];
	auto_buf struct buf info = {0}, mounts = {0};

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", folder);
	int rc = fd_read_file(AT_FDCWD, path, 4096, &info);
	if (rc == 0)
		rc = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_LIMIT, &mounts);
	if (rc < 0)
		return rc;
	const char *id = info.data ? strstr(info.data, key) : NULL;
	if (!id || !mounts.data)
		return -ENOENT;
	id += sizeof key - 1;
	id += strspn(id, " \t");
	id = arena_memdup(arena, id, strspn(id, "0123456789"));
	return *id && place_parse(arena, mounts.data, id, place) ? 0 : -ENOENT;
}

int place_open_above(struct arena *arena, const char *path, const char **nearest)
{
	char *shown = arena_strdup(arena, path), *slash;
	int fd;

	while ((fd = fd_open(AT_FDCWD, shown, O_PATH, 0)) == -ENOENT && (slash = strrchr(shown, '/')) &&
		shown[1])
		slash[slash == shown] = '\0';
	if (nearest)
		*nearest = shown;
	return fd;
}

const char *place_type(struct arena *arena, const char *path)
{
	struct place place;
	auto_close int fd = place_open_above(arena, path, NULL);

	return fd >= 0 && place_find(arena, fd, &place) == 0 ? place.type : "";
}

/* The mount command. */

/* Quoted for a shell where that needs it. */
static const char *quoted(struct arena *arena, const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:=,@%";
	auto_buf struct buf text = {0};

	if (*word && !word[strspn(word, plain)])
		return word;
	buf_string(&text, "'");
	for (; *word; word++) {
		if (*word == '\'')
			buf_string(&text, "'\\''");
		else
			buf_append(&text, word, 1);
	}
	buf_string(&text, "'");
	return arena_memdup(arena, text.data, text.length);
}

/* The file behind a loop device, whose number is another one next time; NULL: none. */
static const char *loop_file(struct arena *arena, const char *source)
{
	static const char prefix[] = "/dev/loop";
	auto_buf struct buf text = {0};
	char path[80];

	if (strncmp(source, prefix, sizeof prefix - 1) != 0)
		return NULL;
	int length = snprintf(path, sizeof path, "/sys/block/%s/loop/backing_file", source + 5);
	if (length >= (int)sizeof path || strchr(source + 5, '/') ||
		fd_read_file(AT_FDCWD, path, 4096, &text) < 0 || !text.length)
		return NULL;
	return arena_memdup(arena, text.data, strcspn(text.data, "\n"));
}

static bool is_zfs(const char *type)
{
	return !strcmp(type, "zfs") || !strcmp(type, "fuse.zfs");
}

const char *place_mount_command(struct arena *arena, const struct place *place)
{
	const char *point = quoted(arena, place->mount_point);

	if (is_zfs(place->type)) {
		const char *pool = arena_memdup(arena, place->source, strcspn(place->source, "/"));
		return arena_printf(arena, "zpool import %s; zfs mount %s", quoted(arena, pool),
			quoted(arena, place->source));
	}
	const char *file = loop_file(arena, place->source);
	const char *source = quoted(arena, file ? file : place->source);
	const char *loop = file ? "loop" : "";
	/* One of several subvolumes. */
	if (!strcmp(place->type, "btrfs") && strcmp(place->root, "/") != 0)
		return arena_printf(arena, "mount -o %s%ssubvol=%s %s %s", loop, file ? "," : "",
			quoted(arena, place->root), source, point);
	return file ? arena_printf(arena, "mount -o loop %s %s", source, point)
		    : arena_printf(arena, "mount %s %s", source, point);
}

/* The note. */

/* Whether path is the mount point or below it, by its words. */
static bool is_below(const char *path, const char *point)
{
	size_t length = strlen(point);

	return !strncmp(path, point, length) && (!path[length] || path[length] == '/');
}

/* Below the mount: the folder at path, made where it is missing. -errno. */
static int open_hidden(struct arena *arena, const struct place *place, const char *path, int root)
{
	const char *slash = strrchr(place->mount_point, '/');
	struct stat hidden, shown;

	/* The first file system has none above it; a path through links is not looked into. */
	if (!slash || !slash[1] || !is_below(path, place->mount_point))
		return -ENOENT;
	const char *above = slash == place->mount_point ? "/"
							: arena_memdup(arena, place->mount_point,
								  (size_t)(slash - place->mount_point));
	auto_close int parent = kernel_open_tree(
		AT_FDCWD, above, KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (parent < 0)
		return parent;
	auto_close int point = fd_open(parent, slash + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (point < 0)
		return point;
	if (fstat(point, &hidden) < 0 || fstat(root, &shown) < 0)
		return -errno;
	/* A mount of a folder upon itself hides nothing. */
	if (hidden.st_dev == shown.st_dev)
		return -EXDEV;
	const char *rest = path + strlen(place->mount_point);
	rest += strspn(rest, "/");
	if (!*rest)
		return steal_fd(&point);
	return fd_open_dir_made(point, rest, 0700);
}

/* For a mount point, or another folder, of that path: the folder that it is in, open (-errno), and the note's
 * name there. */
static int open_beside(struct arena *arena, const char *path, const char **name, const char **note)
{
	const char *slash = strrchr(path, '/');

	if (!slash || !slash[1])
		return -ENOENT;
	*name = arena_strdup(arena, slash + 1);
	*note = arena_printf(arena, ".%s." PLACE_NOTE, *name);
	const char *above = slash == path ? "/" : arena_memdup(arena, path, (size_t)(slash - path));
	return fd_open(AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0);
}

void place_mark(const char *path, int root)
{
	auto_arena struct arena arena = {0};
	auto_buf struct buf text = {0};
	const char *name, *note = PLACE_NOTE;
	struct place place;

	if (place_find(&arena, root, &place) < 0)
		return;
	bool beside = !strcmp(place.type, "fuse.zfs");
	if (beside && !is_below(path, place.mount_point))
		return;
	auto_close int folder = beside ? open_beside(&arena, place.mount_point, &name, &note)
				       : open_hidden(&arena, &place, path, root);
	if (folder < 0)
		return;
	buf_printf(&text,
		"%s%s\nmounts it. If it is gone for good, remove this file, and brig makes a new store "
		"%s.\n",
		note_title, place_mount_command(&arena, &place), beside ? "there" : "here");
	fd_replace(folder, note, text.data, text.length, 0600, true);
}

/* -1 with e where a note of ours has this name. */
static int read_note(const char *path, int folder, const char *name, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_close int fd = fd_open(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	char command[300];
	struct stat st;

	if (fd < 0)
		return 0;
	/* What anybody else left there says nothing. */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()))
		return 0;
	err_set(e, ERR_NOT_FOUND, 0, "the store %s is not there: its file system is not mounted", path);
	if (fd_slurp(fd, NOTE_LIMIT, &text) < 0 || !text.data ||
		strncmp(text.data, note_title, sizeof note_title - 1) != 0)
		return err_hint(e, "%s may say more", name);
	char *line = text.data + sizeof note_title - 1;
	line[strcspn(line, "\n")] = '\0';
	return err_hint(e, "mount it: %s", err_sanitize(command, sizeof command, line));
}

int place_check(const char *path, int root, struct err *e)
{
	auto_arena struct arena arena = {0};
	char *at = arena_strdup(&arena, path);
	const char *name, *note;

	if (root >= 0 && read_note(path, root, PLACE_NOTE, e) < 0)
		return -1;
	for (char *slash; (slash = strrchr(at, '/')); *slash = '\0') {
		auto_close int folder = open_beside(&arena, at, &name, &note);
		if (folder >= 0 && kernel_is_mount_point(folder, name) != 1 &&
			read_note(path, folder, note, e) < 0)
			return -1;
	}
	return 0;
}

const char *place_remote(int folder)
{
	static const struct {
		unsigned magic;
		const char *name;
	} rows[] = {
		{0x6969, "NFS"},
		{0x517b, "SMB"},
		{0xfe534d42, "SMB"},
		{0xff534d42, "CIFS"},
		{0x00c36400, "Ceph"},
		{0x5346414f, "AFS"},
		{0x01021997, "9p"},
	};
	struct statfs where;

	if (fstatfs(folder, &where) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if ((unsigned)where.f_type == rows[i].magic)
			return rows[i].name;
	}
	return NULL;
}
