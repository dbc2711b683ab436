/* stores.c - which store a command works on. stores.h has the theory of operation. */
#include "engine/stores.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "engine/config.h"
#include "store/store.h"

/* The homes of the classic dialect's names. */
static const struct home {
	const char *owner;
	const char *btrfs; /* where a btrfs file system is its home, or NULL */
	const char *pool;  /* the ZFS pool that is, or NULL */
} homes[] = {
	{.owner = "bocker", .btrfs = "/var/bocker"},
	{.owner = "shocker", .btrfs = "/var/shocker"},
	{.owner = "zocker", .pool = "zocker"},
};

enum { HOMES = sizeof homes / sizeof *homes };

enum { MOUNTINFO_LIMIT = 16 << 20, RECORD_LIMIT = 16 << 10 };

/* A line of /proc/self/mountinfo, proc_pid_mountinfo(5). */
struct mounted {
	const char *point, *type, *source;
};

/* A copy of the word at text with its \ooo resolved. */
static const char *word_at(struct arena *arena, const char *text)
{
	size_t length = strcspn(text, " \n"), out = 0;
	char *word = arena_memdup(arena, text, length);

	for (size_t i = 0; i < length; i++) {
		const char *c = word + i;
		bool escaped = c[0] == '\\' && length - i >= 4 && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' &&
			       c[2] <= '7' && c[3] >= '0' && c[3] <= '7';
		word[out++] = escaped ? (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + c[3] - '0') : *c;
		i += escaped ? 3 : 0;
	}
	word[out] = '\0';
	return word;
}

static const char *skip_words(const char *at, unsigned count)
{
	while (count-- && at) {
		at = strchr(at, ' ');
		at += at != NULL;
	}
	return at;
}

/* Looks for what is mounted at point (the last there, which is seen), or, with point NULL, for the
 * first mount of a ZFS pool's own dataset. */
static bool find_mount(struct arena *arena, const char *point, const char *pool, struct mounted *out)
{
	auto_buf struct buf text = {0};
	bool found = false;

	if (fd_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_LIMIT, &text) < 0 || !text.data)
		return false;
	for (char *line = text.data, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		const char *at = skip_words(line, 4), *tail = strstr(line, " - ");
		const char *source = tail ? skip_words(tail + 3, 1) : NULL;
		if (!at || !source)
			continue;
		struct mounted one = {word_at(arena, at), word_at(arena, tail + 3), word_at(arena, source)};
		if (point ? strcmp(one.point, point) != 0
			  : (strcmp(one.type, "zfs") != 0 && strncmp(one.type, "fuse.zfs", 8) != 0 &&
				    strcmp(one.type, "fuse") != 0) ||
					strcmp(one.source, pool) != 0)
			continue;
		*out = one;
		found = true;
		if (!point)
			break;
	}
	return found;
}

bool stores_on_btrfs(const char *path)
{
	struct statfs fs;
	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == KERNEL_BTRFS_MAGIC;
}

const char *stores_pool_mounted(struct arena *arena, const char *pool)
{
	struct mounted mounted;
	return find_mount(arena, NULL, pool, &mounted) ? mounted.point : NULL;
}

/* ---- the record ---- */

struct choice {
	const char *root, *type, *command;
};

static const char *record_name(struct arena *arena, const struct home *home)
{
	return arena_printf(arena, "classic/%s", home->owner);
}

/* 1 where there is one, 0, or -1. */
static int read_record(
	struct arena *arena, const char *usual, const struct home *home, struct choice *choice, struct err *e)
{
	auto_buf struct buf text = {0};
	const char *name = record_name(arena, home);
	auto_close int folder = fd_open(AT_FDCWD, usual, O_RDONLY | O_DIRECTORY, 0);
	int rc = folder < 0 ? folder : fd_read_file(folder, name, RECORD_LIMIT, &text);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	if (rc < 0)
		return err_errno(e, rc, "cannot read %s/%s", usual, name);
	const char *lines[3] = {"", "", ""};
	char *at = text.data ? text.data : NULL;
	for (int i = 0; i < 3 && at; i++) {
		char *end = strchr(at, '\n');
		if (end)
			*end++ = '\0';
		lines[i] = arena_strdup(arena, at);
		at = end;
	}
	if (*lines[0] != '/') {
		err_set(e, ERR_CORRUPT, 0, "%s/%s does not say where the store of %s is", usual, name,
			home->owner);
		return err_hint(e, "write the data root into its first line, or remove it to choose anew");
	}
	*choice = (struct choice){lines[0], lines[1], lines[2]};
	return 1;
}

static int write_record(struct arena *arena, const char *usual, const struct home *home,
	const struct choice *choice, struct err *e)
{
	auto_buf struct buf text = {0};
	struct store store;

	/* As the store that it is: a folder with other things in it would not become one. */
	if (store_open(&store, usual, STORE_WRITE, e) < 0)
		return -1;
	auto_close int folder = fd_open_dir_made(store.root, "classic", 0755);
	store_close(&store);
	buf_printf(&text, "%s\n%s\n%s\n", choice->root, choice->type, choice->command);
	int rc = folder < 0 ? folder : fd_replace(folder, home->owner, text.data, text.length, 0644, true);
	return rc < 0 ? err_errno(e, rc, "cannot note in %s where the store of %s is", usual, home->owner)
		      : 0;
}

static bool is_there(struct arena *arena, const struct choice *choice)
{
	struct mounted mounted;

	if (!strcmp(choice->type, "btrfs"))
		return stores_on_btrfs(choice->root);
	return !*choice->type || find_mount(arena, choice->root, NULL, &mounted);
}

/* The command that mounts what is mounted now. Of a loop device, which is gone when the host goes
 * down, the file below it. */
static const char *mount_command(struct arena *arena, const struct mounted *mounted)
{
	auto_buf struct buf file = {0};
	const char *device = strncmp(mounted->source, "/dev/loop", 9) ? NULL : mounted->source + 5;
	const char *name = device ? arena_printf(arena, "/sys/block/%s/loop/backing_file", device) : NULL;

	if (name && fd_read_file(AT_FDCWD, name, RECORD_LIMIT, &file) == 0 && file.data && *file.data == '/')
		return arena_printf(arena, "mount -t %s -o loop %.*s %s", mounted->type,
			(int)strcspn(file.data, "\n"), file.data, mounted->point);
	return arena_printf(arena, "mount -t %s %s %s", mounted->type, mounted->source, mounted->point);
}

/* Chooses for the first time. */
static struct choice choose(struct arena *arena, const struct home *home, const char *usual)
{
	struct mounted mounted;

	if (home->btrfs && stores_on_btrfs(home->btrfs)) {
		const char *command =
			find_mount(arena, home->btrfs, NULL, &mounted) ? mount_command(arena, &mounted) : "";
		return (struct choice){home->btrfs, "btrfs", command};
	}
	if (home->pool && find_mount(arena, NULL, home->pool, &mounted))
		return (struct choice){mounted.point, "zfs",
			arena_printf(arena, "zpool import %s; zfs mount %s%s", home->pool,
				strcmp(mounted.type, "zfs") ? "" : "-O ", home->pool)};
	return (struct choice){usual, "", ""};
}

int stores_choose(struct arena *arena, const char *owner, bool record, const char **root, struct err *e)
{
	const char *usual = *root;
	const struct home *home = NULL;
	struct choice choice;

	for (size_t i = 0; i < HOMES; i++)
		if (!strcmp(homes[i].owner, owner))
			home = &homes[i];
	if (!home || geteuid() != 0)
		return 0;
	int known = read_record(arena, usual, home, &choice, e);
	if (known < 0)
		return -1;
	if (known && !is_there(arena, &choice)) {
		err_set(e, ERR_NOT_FOUND, 0,
			"the store of %s is on a %s file system at %s, which is not mounted", home->owner,
			choice.type, choice.root);
		return err_hint(e, "mount it: %s", *choice.command ? choice.command : choice.root);
	}
	if (!known) {
		choice = choose(arena, home, usual);
		if (record && write_record(arena, usual, home, &choice, e) < 0)
			return -1;
	}
	*root = choice.root;
	return 0;
}

/* ---- the others ---- */

static bool is_hex(const char *name, size_t digits)
{
	return strspn(name, "0123456789abcdef") == digits;
}

/* Whether the folder has an entry whose name begins with 64 hexadecimal digits. */
static bool holds_any(int root, const char *name)
{
	auto_close int fd = fd_open(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	bool found = false;

	if (!stream)
		return false;
	fd = -1; /* the stream's */
	for (struct dirent *entry; !found && (entry = readdir(stream));)
		found = is_hex(entry->d_name, 64);
	closedir(stream);
	return found;
}

static bool holds_something(const char *path)
{
	auto_close int root = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	return root >= 0 && (holds_any(root, "images") || holds_any(root, "containers"));
}

static bool listed(const struct strings *seen, const char *path)
{
	for (size_t i = 0; i < seen->count; i++)
		if (!strcmp(seen->items[i], path))
			return true;
	return false;
}

void stores_others(struct arena *arena, const char *current, struct strings *out)
{
	const char *usual = config_default_data_root(arena);
	struct strings seen = {0};
	struct err ignored;

	if (current)
		strings_add(arena, &seen, current);
	if (!usual)
		return;
	if (!listed(&seen, usual)) {
		strings_add(arena, &seen, usual);
		if (holds_something(usual))
			strings_add(arena, out, arena_printf(arena, "%s (brig --root %s)", usual, usual));
	}
	for (size_t i = 0; i < HOMES && geteuid() == 0; i++) {
		struct choice choice;
		if (read_record(arena, usual, &homes[i], &choice, &ignored) <= 0)
			choice = choose(arena, &homes[i], usual);
		if (listed(&seen, choice.root))
			continue;
		strings_add(arena, &seen, choice.root);
		if (!is_there(arena, &choice))
			strings_add(arena, out,
				arena_printf(
					arena, "%s, which is not mounted (%s)", choice.root, choice.command));
		else if (holds_something(choice.root))
			strings_add(arena, out,
				arena_printf(arena, "%s (brig --root %s, or %s)", choice.root, choice.root,
					homes[i].owner));
	}
}
