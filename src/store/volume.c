/* volume.c - volumes: folders with a name that outlive the containers they are mounted in. */
#include "store/volume.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/kernel.h"
#include "base/time.h"
#include "store/driver.h"

enum { RECORD_LIMIT = 4 << 20, SIZE_DEPTH = 200 };

static const char record_name[] = "volume.json", data_name[] = "_data";
static const char *const states[] = {"fresh", "filling", "used"};

static bool is_name(const char *name)
{
	size_t length = strlen(name);
	bool good = length >= 2 && length <= VOLUME_NAME_LIMIT && isalnum((unsigned char)*name);

	for (const char *p = name; good && *p; p++)
		good = isalnum((unsigned char)*p) || strchr("_.-", *p);
	return good;
}

int volume_check_name(const char *name, struct err *e)
{
	char shown[300];

	if (is_name(name))
		return 0;
	err_sanitize(shown, sizeof shown, name);
	if (strlen(name) == 1)
		return err_set(e, ERR_INVALID, 0,
			"create %s: volume name is too short, names should be at least two alphanumeric "
			"characters",
			shown);
	if (strlen(name) > VOLUME_NAME_LIMIT)
		return err_set(e, ERR_INVALID, 0,
			"create %.32s…: the volume name is longer than %d characters", shown,
			VOLUME_NAME_LIMIT);
	return err_set(e, ERR_INVALID, 0,
		"create %s: \"%s\" includes invalid characters for a local volume name, only "
		"\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use "
		"absolute path",
		shown, shown);
}

const char *volume_new_name(struct arena *arena)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char random[32];
	char *name = arena_alloc(arena, 65);

	fd_random(random, sizeof random);
	for (int i = 0; i < 32; i++) {
		name[2 * i] = hex[random[i] >> 4];
		name[2 * i + 1] = hex[random[i] & 15];
	}
	return name;
}

const char *volume_value(const struct strings *pairs, const char *key)
{
	size_t length = strlen(key);

	for (size_t i = 0; i < pairs->count; i++)
		if (!strncmp(pairs->items[i], key, length) && pairs->items[i][length] == '=')
			return pairs->items[i] + length + 1;
	return NULL;
}

/* ---- the record ---- */

static int write_record(int folder, const struct volume *volume, bool durable)
{
	auto_buf struct buf text = {0};
	struct json_writer w = {.out = &text};

	json_begin_object(&w, NULL);
	json_put_integer(&w, "version", 1);
	json_put_string(&w, "name", volume->name);
	json_put_string(&w, "driver", "local");
	json_put_integer(&w, "created", volume->created);
	json_put_string(&w, "state", states[volume->state]);
	if (volume->labels.count)
		json_put_strings(&w, "labels", volume->labels.items);
	if (volume->options.count)
		json_put_strings(&w, "options", volume->options.items);
	json_end_object(&w);
	return fd_replace(folder, record_name, text.data, text.length, 0600, durable);
}

static void read_list(struct arena *arena, const struct json *root, const char *key, struct strings *list)
{
	json_for_each (item, json_get_array(root, key))
		if (item->type == JSON_STRING && strchr(item->string, '='))
			strings_add(arena, list, item->string);
}

static int damaged(const char *name, const char *why, struct err *e)
{
	err_set(e, ERR_CORRUPT, 0, "the volume %s is damaged: %s", name, why);
	return err_hint(e,
		"save what %s/%s in the data root's volumes holds, and remove it: brig volume rm %s", name,
		data_name, name);
}

static int read_record(
	struct arena *arena, int folder, const char *name, struct volume *volume, struct err *e)
{
	auto_buf struct buf text = {0};
	int rc = fd_read_file(folder, record_name, RECORD_LIMIT, &text);

	if (rc < 0 && rc != -ENOENT && rc != -ELOOP && rc != -EINVAL && rc != -EFBIG)
		return err_errno(e, rc, "cannot read the record of the volume %s", name);
	const struct json *root =
		rc < 0 ? NULL : json_parse(arena, text.data ? text.data : "", text.length, "volume.json", e);
	const char *state = root ? json_get_string(root, "state") : NULL;
	size_t at = 0;
	while (state && at < sizeof states / sizeof *states && strcmp(states[at], state))
		at++;
	if (!state || at == sizeof states / sizeof *states || json_get_integer(root, "version", 0) != 1)
		return damaged(name, "its volume.json cannot be read", e);
	*volume = (struct volume){
		.name = arena_strdup(arena, name),
		.created = json_get_integer(root, "created", 0),
		.state = (enum volume_state)at,
	};
	read_list(arena, root, "labels", &volume->labels);
	read_list(arena, root, "options", &volume->options);
	return 0;
}

/* ---- folders ---- */

static int no_such(const char *name, struct err *e)
{
	char shown[300];
	return err_set(
		e, ERR_NOT_FOUND, 0, "get %s: no such volume", err_sanitize(shown, sizeof shown, name));
}

/* volumes/NAME, O_RDONLY. */
static int open_folder(struct store *store, const char *name, struct err *e)
{
	if (!is_name(name))
		return no_such(name, e);
	int volumes = store_folder(store, STORE_VOLUMES, e);
	if (volumes < 0)
		return e->kind == ERR_NOT_FOUND ? no_such(name, e) : -1;
	int fd = fd_open(volumes, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT)
		return no_such(name, e);
	if (fd == -ELOOP || fd == -ENOTDIR)
		return damaged(name, "it is not a folder", e);
	return fd < 0 ? err_errno(e, fd, "cannot open the volume %s", name) : fd;
}

static int open_data(struct store *store, int folder, const char *name, struct err *e)
{
	if (driver_use(store, NULL, e) < 0 ||
		(store->driver->volume_open && store->driver->volume_open(store, folder, e) < 0))
		return -1;
	int fd = fd_open(folder, data_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
		return damaged(name, fd == -ENOENT ? "its _data is missing" : "its _data is not a folder", e);
	return fd < 0 ? err_errno(e, fd, "cannot open the volume %s", name) : fd;
}

static int make_data(struct store *store, int folder, const struct volume *volume, struct err *e)
{
	if (driver_use(store, NULL, e) < 0)
		return -1;
	/* With options, something else is mounted in its place. */
	if (store->driver->volume_create && !volume->options.count)
		return store->driver->volume_create(store, folder, volume->name, e);
	if (mkdirat(folder, data_name, 0755) < 0 || fchmodat(folder, data_name, 0755, 0) < 0)
		return err_errno(e, errno, "cannot make a volume's folder in %s", store->path);
	return 0;
}

static int remove_data(struct store *store, int folder, struct err *e)
{
	if (driver_use(store, NULL, e) < 0 ||
		(store->driver->volume_remove && store->driver->volume_remove(store, folder, e) < 0))
		return -1;
	int rc = fd_remove_tree(folder, data_name);
	return rc < 0 ? err_errno(e, rc, "cannot remove what a volume in %s holds", store->path) : 0;
}

/* ---- making and finding ---- */

/* In staging: the whole folder, whose name is the volume's. */
static int make_folder(
	struct store *store, int stage, const struct volume *volume, bool durable, struct err *e)
{
	if (mkdirat(stage, volume->name, 0700) < 0)
		return err_errno(e, errno, "cannot make the volume %s in %s", volume->name, store->path);
	auto_close int folder = fd_open(stage, volume->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder < 0)
		return err_errno(e, folder, "cannot make the volume %s in %s", volume->name, store->path);
	if (make_data(store, folder, volume, e) < 0)
		return -1;
	int rc = write_record(folder, volume, durable);
	return rc < 0 ? err_errno(e, rc, "cannot write the record of the volume %s", volume->name) : 0;
}

int volume_create(struct store *store, const struct volume *wish, bool durable, struct err *e)
{
	struct volume volume = *wish;
	struct store_stage stage;
	struct stat st;

	if (volume_check_name(wish->name, e) < 0)
		return -1;
	int volumes = store_folder(store, STORE_VOLUMES, e);
	if (volumes < 0)
		return -1;
	if (fstatat(volumes, wish->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (!volume.created)
		volume.created = time_now();
	if (volume_stage(store, &stage, e) < 0)
		return -1;
	int rc = make_folder(store, stage.fd, &volume, durable, e);
	if (rc == 0 && renameat(stage.fd, volume.name, volumes, volume.name) == 0)
		rc = 1;
	else if (rc == 0 && errno != ENOTEMPTY && errno != EEXIST)
		rc = err_errno(e, errno, "cannot make the volume %s in %s", volume.name, store->path);
	struct err ignored;
	volume_stage_drop(store, &stage, &ignored);
	/* Who looks at its place on the host shall find it; who opens it hears what is wrong. */
	if (rc == 1 && store->driver->volume_open) {
		auto_close int folder = open_folder(store, volume.name, &ignored);
		if (folder >= 0)
			store->driver->volume_open(store, folder, &ignored);
	}
	int synced = rc == 1 && durable ? store_sync_folder(volumes) : 0;
	return synced < 0 ? err_errno(e, synced, "cannot write the volume %s to the disk", volume.name) : rc;
}

int volume_read(
	struct store *store, struct arena *arena, const char *name, struct volume *volume, struct err *e)
{
	auto_close int folder = open_folder(store, name, e);
	return folder < 0 ? -1 : read_record(arena, folder, name, volume, e);
}

static int by_name(const void *a, const void *b)
{
	const struct volume *left = a, *right = b;
	return strcmp(left->name, right->name);
}

int volume_list(
	struct store *store, struct arena *arena, struct volume **volumes, size_t *count, struct err *e)
{
	struct strings names = {0};
	struct dirent *entry;
	int folder = store_folder(store, STORE_VOLUMES, e);

	*volumes = NULL;
	*count = 0;
	if (folder < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		int rc = fd < 0 ? fd : -errno;
		close_fd(&fd);
		return err_errno(e, rc, "cannot read the volumes in %s", store->path);
	}
	while ((errno = 0, entry = readdir(stream)))
		if (is_name(entry->d_name))
			strings_add(arena, &names, arena_strdup(arena, entry->d_name));
	int number = errno;
	closedir(stream);
	if (number)
		return err_errno(e, number, "cannot read the volumes in %s", store->path);
	struct volume *list = arena_array(arena, names.count + 1, sizeof *list);
	size_t found = 0;
	for (size_t i = 0; i < names.count; i++) {
		struct err why = {0};
		int rc = volume_read(store, arena, names.items[i], &list[found], &why);
		if (rc < 0 && why.kind == ERR_NOT_FOUND)
			continue; /* removed just now */
		if (rc < 0)
			list[found] = (struct volume){.name = names.items[i], .damaged = true};
		found++;
	}
	qsort(list, found, sizeof *list, by_name);
	*volumes = list;
	*count = found;
	return 0;
}

int volume_open(struct store *store, const char *name, struct err *e)
{
	auto_close int folder = open_folder(store, name, e);
	return folder < 0 ? -1 : open_data(store, folder, name, e);
}

/* With O_NOFOLLOW a link at the end would be what is opened. */
static int open_beneath(int data, const char *path)
{
	return kernel_openat2(data, path,
		&(const struct kernel_open_how){
			.flags = O_PATH | O_CLOEXEC,
			.resolve = KERNEL_RESOLVE_BENEATH | KERNEL_RESOLVE_NO_SYMLINKS |
				   KERNEL_RESOLVE_NO_MAGICLINKS,
		});
}

int volume_open_below(int data, const char *name, const char *path, struct err *e)
{
	char shown[200];
	int fd = open_beneath(data, path);

	/* A rename that raced with it: once more is enough for whoever means well. */
	if (fd == -EAGAIN)
		fd = open_beneath(data, path);
	if (fd >= 0)
		return fd;
	err_sanitize(shown, sizeof shown, path);
	if (fd == -ENOENT)
		return err_set(e, ERR_INVALID, 0,
			"the volume %s has no \"%s\": a sub-path must be there before it is mounted", name,
			shown);
	if (fd == -ELOOP || fd == -EXDEV)
		return err_set(e, ERR_DENIED, 0,
			"cannot mount \"%s\" of the volume %s: it is a symbolic link, leads through one, or "
			"out of the volume",
			shown, name);
	return err_errno(e, fd, "cannot open \"%s\" of the volume %s", shown, name);
}

/* ---- filling ---- */

/* 0, or -errno: what is left of what was half copied would be taken for the user's. */
static int empty_folder(int folder)
{
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!stream) {
		rc = fd < 0 ? fd : -errno;
		close_fd(&fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			rc = fd_remove_tree(folder, entry->d_name);
	if (rc == 0 && errno)
		rc = -errno;
	closedir(stream);
	return rc;
}

static int set_state(int folder, struct volume *volume, enum volume_state state, bool durable, struct err *e)
{
	if (volume->state == state)
		return 0;
	volume->state = state;
	int rc = write_record(folder, volume, durable);
	return rc < 0 ? err_errno(e, rc, "cannot write the record of the volume %s", volume->name) : 0;
}

static void let_go(struct volume_fill *fill)
{
	if (fill->folder >= 0)
		flock(fill->folder, LOCK_UN);
	close_fd(&fill->folder);
	close_fd(&fill->data);
}

/* With its lock held. */
static int prepare_fill(struct store *store, struct arena *arena, const char *name, bool wanted,
	struct volume_fill *fill, struct err *e)
{
	struct volume volume;

	if (read_record(arena, fill->folder, name, &volume, e) < 0)
		return -1;
	if (volume.state == VOLUME_USED)
		return 0;
	fill->data = open_data(store, fill->folder, name, e);
	if (fill->data < 0)
		return -1;
	/* Somebody was killed at it. The folder itself stays: it may be open, for a mount. */
	int rc = volume.state == VOLUME_FILLING ? empty_folder(fill->data) : 0;
	if (rc < 0)
		return err_errno(e, rc, "cannot empty the volume %s, which was half filled", name);
	int empty = fd_is_empty(fill->data);
	if (empty < 0)
		return err_errno(e, empty, "cannot read the volume %s", name);
	if (!wanted || !empty || volume.options.count)
		return set_state(fill->folder, &volume, VOLUME_USED, fill->durable, e);
	/* On the disk before the first byte is: else what is half copied would look like the user's. */
	return set_state(fill->folder, &volume, VOLUME_FILLING, fill->durable, e) < 0 ? -1 : 1;
}

int volume_fill_begin(
	struct store *store, const char *name, bool wanted, struct volume_fill *fill, struct err *e)
{
	auto_arena struct arena arena = {0};

	*fill = (struct volume_fill){.folder = -1, .data = -1, .durable = fill->durable};
	fill->folder = open_folder(store, name, e);
	if (fill->folder < 0)
		return -1;
	while (flock(fill->folder, LOCK_EX) < 0)
		if (errno != EINTR) {
			int number = errno;
			let_go(fill);
			return err_errno(e, number, "cannot lock the volume %s", name);
		}
	int rc = prepare_fill(store, &arena, name, wanted, fill, e);
	if (rc <= 0)
		let_go(fill);
	return rc;
}

int volume_fill_end(struct store *store, const char *name, struct volume_fill *fill, struct err *e)
{
	auto_arena struct arena arena = {0};
	struct volume volume;
	int rc = 0;

	if (fill->durable && syncfs(fill->data) < 0)
		rc = err_errno(e, errno, "cannot write the volume %s to the disk", name);
	if (rc == 0)
		rc = read_record(&arena, fill->folder, name, &volume, e);
	if (rc == 0)
		rc = set_state(fill->folder, &volume, VOLUME_USED, fill->durable, e);
	let_go(fill);
	return rc;
}

void volume_fill_undo(struct volume_fill *fill)
{
	/* Half of an image's files on a disk that is full, say, would be in the way of all else. */
	if (fill->data >= 0)
		empty_folder(fill->data);
	let_go(fill);
}

/* ---- removing ---- */

int volume_stage(struct store *store, struct store_stage *stage, struct err *e)
{
	*stage = (struct store_stage){.fd = -1};
	return store_stage(store, "volume", stage, e);
}

/* What is mounted there would be hidden, or lost, with the name. */
static int release(struct store *store, int folder, const char *name, struct err *e)
{
	struct err why;

	if (driver_use(store, NULL, e) < 0)
		return -1;
	if (store->driver->volume_release && store->driver->volume_release(store, folder, &why) < 0) {
		err_set(e, why.kind, 0, "remove %s: %s", name, why.what);
		return err_hint(e, "fuser -vm %s/volumes/%s/%s tells which", store->path, name, data_name);
	}
	if (kernel_is_mount_point(folder, data_name) == 1) {
		err_set(e, ERR_CONFLICT, 0, "remove %s: a file system is mounted on %s/volumes/%s/%s", name,
			store->path, name, data_name);
		return err_hint(e, "unmount it first");
	}
	return 0;
}

int volume_take(struct store *store, const char *name, const struct store_stage *stage, struct err *e)
{
	if (!is_name(name))
		return no_such(name, e);
	int volumes = store_folder(store, STORE_VOLUMES, e);
	if (volumes < 0)
		return e->kind == ERR_NOT_FOUND ? no_such(name, e) : -1;
	auto_close int folder = fd_open(volumes, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder >= 0 && release(store, folder, name, e) < 0)
		return -1;
	if (renameat(volumes, name, stage->fd, name) < 0)
		return errno == ENOENT ? no_such(name, e)
				       : err_errno(e, errno, "cannot remove the volume %s", name);
	return 0;
}

int volume_stage_empty(struct store *store, int stage, struct err *e)
{
	struct dirent *entry;
	int fd = fd_open(stage, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	int rc = 0;

	if (!stream) {
		int number = fd < 0 ? fd : errno;
		close_fd(&fd);
		return err_errno(e, number, "cannot read a folder in %s/tmp", store->path);
	}
	while ((errno = 0, entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		auto_close int folder = fd_open(stage, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		int number = 0;
		if (folder >= 0 && remove_data(store, folder, e) < 0)
			rc = -1;
		else if ((number = fd_remove_tree(stage, entry->d_name)) < 0)
			rc = err_errno(e, number, "cannot remove what a volume in %s holds", store->path);
	}
	/* What was not seen is still there. */
	if (rc == 0 && errno)
		rc = err_errno(e, errno, "cannot read a folder in %s/tmp", store->path);
	closedir(stream);
	return rc;
}

int volume_stage_drop(struct store *store, struct store_stage *stage, struct err *e)
{
	if (stage->fd < 0)
		return 0;
	int rc = volume_stage_empty(store, stage->fd, e);
	/* What cannot be removed now keeps its stage, which is all that tells of it, for a sweep. */
	if (rc == 0)
		store_stage_drop(store, stage);
	close_fd(&stage->fd);
	return rc;
}

/* ---- how large ---- */

static int64_t size_below(int folder, int depth)
{
	struct dirent *entry;
	struct stat st;
	int64_t size = 0;
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream) {
		close_fd(&fd);
		return 0;
	}
	while ((entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
			fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
			size += (int64_t)st.st_size;
		if (!S_ISDIR(st.st_mode) || depth == SIZE_DEPTH)
			continue;
		auto_close int below = fd_open(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (below >= 0)
			size += size_below(below, depth + 1);
	}
	closedir(stream);
	return size;
}

int64_t volume_size(struct store *store, const char *name)
{
	struct err ignored;
	auto_close int data = volume_open(store, name, &ignored);
	return data < 0 ? 0 : size_below(data, 0);
}
