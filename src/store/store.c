/* store.c - the data root: folders, locks, staging. */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/driver.h"
#include "store/place.h"
#include "store/volume.h"

static const char *const folder_names[STORE_FOLDERS] = {
	"blobs/sha256", "layers", "images", "containers", "tmp", "volumes"};
static const char format_text[] = "brig 1\n";
enum { FORMAT = 1 };

static int damaged_format(const struct store *store, struct err *e)
{
	err_set(e, ERR_CORRUPT, 0, "%s/format is damaged: it does not say which format the store has",
		store->path);
	return err_hint(e, "if it is brig's data root, write the line \"brig %d\" into it", FORMAT);
}

/* Whether the folder holds nothing, or only what a crash while it was being made, or mkfs,
 * leaves; -1 where it cannot be read. */
static int looks_new(int root)
{
	int fd = fd_open(root, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	int is_new = 1;

	if (!stream) {
		close_fd(&fd);
		return -1;
	}
	struct dirent *entry;
	while (is_new == 1 && (errno = 0, entry = readdir(stream))) {
		const char *name = entry->d_name;
		is_new = !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "lost+found") ||
			 !strncmp(name, ".format.", 8);
	}
	if (is_new == 1 && errno)
		is_new = -1;
	int number = errno;
	closedir(stream);
	errno = number;
	return is_new;
}

/* For whoever writes: what was copied there, or made on the other machine, is refused as well. */
static int check_place(const struct store *store, struct err *e)
{
	const char *remote = store->writable ? place_remote(store->root) : NULL;

	if (!remote)
		return 0;
	err_set(e, ERR_UNSUPPORTED, 0,
		"%s is on %s: a store needs locks, owners and devices that are this host's own", store->path,
		remote);
	return err_hint(e, "choose a folder on a local disk with --root");
}

/* The descriptor of `format`, which is made where the folder is new; -1 with *e, or with
 * e->kind ERR_NONE where a reader finds nothing. */
static int open_format(struct store *store, struct err *e)
{
	e->kind = ERR_NONE;
	/* Another process may make the store at the same time: then the second look finds it. */
	for (int look = 0; look < 2; look++) {
		int fd = fd_open(store->root, "format", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
		if (fd >= 0)
			return fd;
		if (fd != -ENOENT)
			return err_errno(e, fd, "cannot read %s/format", store->path);
		if (place_check(store->path, store->root, e) < 0)
			return -1;
		int is_new = looks_new(store->root);
		if (is_new < 0)
			return err_errno(e, errno, "cannot read the data root %s", store->path);
		if (is_new && !store->writable)
			return -1;
		if (!is_new)
			continue;
		int rc = fd_replace(store->root, "format", format_text, sizeof format_text - 1, 0600, true);
		if (rc < 0 && rc != -ENOENT)
			return err_errno(e, rc, "cannot write %s/format", store->path);
	}
	int fd = fd_open(store->root, "format", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd >= 0)
		return fd;
	err_set(e, ERR_CONFLICT, 0, "%s is not a data root of brig: it holds other things", store->path);
	return err_hint(e, "choose an empty or a new folder with --root");
}

static int check_format(struct store *store, struct err *e)
{
	char text[32];
	auto_close int fd = open_format(store, e);

	if (fd < 0 && e->kind == ERR_NONE) {
		close_fd(&store->root);
		return 0;
	}
	if (fd < 0)
		return -1;
	ssize_t n = fd_read_full(fd, text, sizeof text - 1);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read %s/format", store->path);
	text[n] = '\0';
	if (strncmp(text, "brig ", 5) != 0)
		return damaged_format(store, e);
	char *end;
	long version = strtol(text + 5, &end, 10);
	if (end == text + 5 || *end != '\n' || version < 1)
		return damaged_format(store, e);
	if (version > FORMAT) {
		err_set(e, ERR_UNSUPPORTED, 0,
			"the data root %s was made by a newer brig (format %ld, not %d)", store->path,
			version, FORMAT);
		return err_hint(e, "update brig, or choose another data root with --root");
	}
	return 0;
}

static int check_owner(const struct store *store, struct stat *st, struct err *e)
{
	if (fstat(store->root, st) < 0)
		return err_errno(e, errno, "cannot look at the data root %s", store->path);
	if (st->st_uid != geteuid() && st->st_uid != 0) {
		err_set(e, ERR_DENIED, 0, "the data root %s belongs to another user (uid %u)", store->path,
			(unsigned)st->st_uid);
		return err_hint(e, "choose a folder of your own with --root");
	}
	return 0;
}

/* The store holds setuid files and keys of all images: nobody else gets in. Only when the
 * folder is known to be a store: /tmp is not to be closed to others by mistake. */
static int check_mode(const struct store *store, const struct stat *st, struct err *e)
{
	if (store->root >= 0 && store->writable && st->st_mode & 0077 && fchmod(store->root, 0700) < 0)
		return err_errno(e, errno, "cannot close the data root %s to other users", store->path);
	return 0;
}

int store_open(struct store *store, const char *path, int flags, struct err *e)
{
	struct stat st;

	*store = (struct store){.root = -1,
		.lock = -1,
		.images_lock = -1,
		.volumes_lock = -1,
		.writable = flags & STORE_WRITE};
	for (size_t i = 0; i < STORE_FOLDERS; i++)
		store->folders[i] = -1;
	store->path = strdup(path);
	if (!store->path)
		return err_errno(e, ENOMEM, "cannot open the data root %s", path);

	int root = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (root == -ENOENT) {
		if (place_check(path, -1, e) < 0) {
			store_close(store);
			return -1;
		}
		if (!store->writable)
			return 0;
		/* Its parents are everybody's, as mkdir -p makes them; the root itself is not. */
		const char *slash = strrchr(path, '/');
		auto_free char *parent =
			slash && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;
		int rc = parent ? fd_mkdirs(AT_FDCWD, parent, 0755) : 0;
		if (rc == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
			rc = -errno;
		root = rc < 0 ? rc : fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	}
	if (root < 0) {
		err_errno(e, root, "cannot open the data root %s", path);
		store_close(store);
		return -1;
	}
	store->root = root;
	if (check_owner(store, &st, e) < 0 || check_place(store, e) < 0 || check_format(store, e) < 0 ||
		check_mode(store, &st, e) < 0) {
		store_close(store);
		return -1;
	}
	return 0;
}

void store_close(struct store *store)
{
	if (!store->path) /* zeroed, or closed already */
		return;
	store_unlock_volumes(store);
	store_unlock_images(store);
	store_unlock(store);
	for (size_t i = 0; i < STORE_FOLDERS; i++)
		close_fd(&store->folders[i]);
	close_fd(&store->root);
	free(steal(store->path));
}

int store_folder(struct store *store, enum store_folder folder, struct err *e)
{
	const char *name = folder_names[folder];
	int *fd = &store->folders[folder];

	if (*fd >= 0)
		return *fd;
	if (store->root < 0)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "cannot open %s/%s", store->path, name);
	int rc = store->writable ? fd_open_dir_made(store->root, name, 0700)
				 : fd_open(store->root, name, O_RDONLY | O_DIRECTORY, 0);
	if (rc < 0)
		return err_errno(e, rc, "cannot open %s/%s", store->path, name);
	return *fd = rc;
}

static void release(int *lock)
{
	if (*lock < 0)
		return;
	flock(*lock, LOCK_UN);
	close_fd(lock);
}

/* Locks name in folder and keeps its descriptor in *lock: 1, 0 (somebody else has it), -1. */
static int take_lock(
	struct store *store, int folder, const char *name, int *lock, int operation, struct err *e)
{
	if (*lock < 0) {
		int flags = store->writable ? O_RDWR | O_CREAT | O_NOFOLLOW : O_RDONLY | O_NOFOLLOW;
		int fd = fd_open(folder, name, flags, 0600);
		if (fd == -ENOENT)
			return 1; /* nobody has written yet */
		if (fd < 0)
			return err_errno(e, fd, "cannot open a lock in %s", store->path);
		*lock = fd;
	}
	while (flock(*lock, operation) < 0) {
		if (errno == EINTR)
			continue;
		int number = errno;
		/* A change of mode may have lost the lock that we had: flock(2) gives it up first. */
		release(lock);
		return number == EWOULDBLOCK ? 0
					     : err_errno(e, number, "cannot take a lock in %s", store->path);
	}
	return 1;
}

static int operation_of(enum store_lock mode)
{
	return mode == STORE_EXCLUSIVE ? LOCK_EX : LOCK_SH;
}

int store_lock(struct store *store, enum store_lock mode, struct err *e)
{
	if (store->root < 0)
		return 0; /* nothing is there that could change */
	return take_lock(store, store->root, "lock", &store->lock, operation_of(mode), e) < 0 ? -1 : 0;
}

int store_try_lock(struct store *store, enum store_lock mode, struct err *e)
{
	if (store->root < 0)
		return 1;
	return take_lock(store, store->root, "lock", &store->lock, operation_of(mode) | LOCK_NB, e);
}

void store_unlock(struct store *store)
{
	release(&store->lock);
}

/* The lock of one folder's things. */
static int lock_folder(struct store *store, enum store_folder which, const char *name, int *lock,
	enum store_lock mode, struct err *e)
{
	if (store->root < 0)
		return 0;
	int folder = store_folder(store, which, e);
	if (folder < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	return take_lock(store, folder, name, lock, operation_of(mode), e) < 0 ? -1 : 0;
}

int store_lock_images(struct store *store, enum store_lock mode, struct err *e)
{
	return lock_folder(store, STORE_IMAGES, "lock", &store->images_lock, mode, e);
}

void store_unlock_images(struct store *store)
{
	release(&store->images_lock);
}

int store_lock_volumes(struct store *store, enum store_lock mode, struct err *e)
{
	return lock_folder(store, STORE_VOLUMES, ".lock", &store->volumes_lock, mode, e);
}

void store_unlock_volumes(struct store *store)
{
	release(&store->volumes_lock);
}

int store_stage(struct store *store, const char *kind, struct store_stage *stage, struct err *e)
{
	int tmp = store_folder(store, STORE_TMP, e);

	if (tmp < 0)
		return -1;
	for (int tries = 0; tries < 16; tries++) {
		uint64_t random;
		struct stat st;
		fd_random(&random, sizeof random);
		snprintf(stage->name, sizeof stage->name, "%.16s-%016llx", kind, (unsigned long long)random);
		if (mkdirat(tmp, stage->name, 0700) < 0) {
			if (errno == EEXIST)
				continue;
			return err_errno(e, errno, "cannot make a folder in %s/tmp", store->path);
		}
		auto_close int fd = fd_open(tmp, stage->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd == -ENOENT)
			continue; /* a sweep was faster */
		int rc = fd;
		while (rc >= 0 && flock(fd, LOCK_EX) < 0 && errno != EINTR)
			rc = -errno;
		if (rc < 0) {
			unlinkat(tmp, stage->name, AT_REMOVEDIR);
			return err_errno(e, rc, "cannot lock a folder in %s/tmp", store->path);
		}
		/* A sweep may have taken it between mkdir and flock. */
		if (fstatat(tmp, stage->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		stage->fd = steal_fd(&fd);
		return 0;
	}
	return err_set(e, ERR_SYSTEM, 0, "cannot make a folder in %s/tmp: another process removes them",
		store->path);
}

void store_stage_drop(struct store *store, struct store_stage *stage)
{
	int tmp = store->folders[STORE_TMP];

	if (stage->fd < 0 || !stage->name[0])
		return;
	if (tmp >= 0)
		fd_remove_tree(tmp, stage->name);
	close_fd(&stage->fd);
	stage->name[0] = '\0';
}

/* Who was killed while it made the store left a file beside `format`. */
static void sweep_format(struct store *store)
{
	int fd = fd_open(store->root, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream) {
		close_fd(&fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(stream));)
		if (!strncmp(entry->d_name, ".format.", 8))
			unlinkat(store->root, entry->d_name, 0);
	closedir(stream);
}

/* Removes a stage; trees that are more than files (snapshots) by the driver that makes them:
 * a layer being made has its tree in the stage itself, one being removed in "layer". What the
 * driver cannot remove now keeps its stage, which is all that tells of it, for the next sweep. */
static int remove_stage(struct store *store, int tmp, const char *name, int stage)
{
	struct err ignored;

	if (stage >= 0 && !strncmp(name, "volume-", 7))
		return volume_stage_empty(store, stage, &ignored) < 0 ? -EBUSY : fd_remove_tree(tmp, name);
	if (stage < 0)
		return fd_remove_tree(tmp, name);
	if (driver_use_recorded(store, &ignored) < 0)
		return -1;
	if (store->driver && store->driver->layer_remove) {
		auto_close int layer = fd_open(stage, "layer", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if ((layer >= 0 && store->driver->layer_remove(store, layer, &ignored) < 0) ||
			store->driver->layer_remove(store, stage, &ignored) < 0)
			return -1;
	}
	return fd_remove_tree(tmp, name);
}

int store_sweep(struct store *store)
{
	struct err ignored;
	int tmp = store_folder(store, STORE_TMP, &ignored), removed = 0;

	if (tmp < 0 || !store->writable)
		return 0;
	sweep_format(store);
	int fd = fd_open(tmp, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		close_fd(&fd);
		return 0;
	}
	store->sweeping = true;
	for (struct dirent *entry; (entry = readdir(stream));) {
		const char *name = entry->d_name;
		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		auto_close int stage = fd_open(tmp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (stage >= 0 ? flock(stage, LOCK_EX | LOCK_NB) < 0 : stage != -ENOTDIR && stage != -ELOOP)
			continue;
		removed += remove_stage(store, tmp, name, stage) == 0;
	}
	store->sweeping = false;
	closedir(stream);
	return removed;
}

int store_sync(struct store *store, struct err *e)
{
	if (store->root >= 0 && syncfs(store->root) < 0)
		return err_errno(e, errno, "cannot write %s to the disk", store->path);
	return 0;
}

int store_sync_folder(int folder)
{
	auto_close int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? -errno : 0;
}
