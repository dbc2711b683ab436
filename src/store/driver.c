/* driver.c - which storage driver a store has. */
#include "store/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "store/place.h"

extern const struct store_driver driver_btrfs, driver_zfs, driver_overlay, driver_copy;

const struct store_driver *const store_drivers[] = {
	&driver_btrfs, &driver_zfs, &driver_overlay, &driver_copy, NULL};

/* The file `driver`: a line with the name, and one that says why, for `brig info`. */
enum { RECORD_LIMIT = 512 };

static const struct store_driver *find(const char *name)
{
	for (const struct store_driver *const *driver = store_drivers; *driver; driver++) {
		if (!strcmp((*driver)->name, name))
			return *driver;
	}
	return NULL;
}

const struct store_driver *driver_find(const char *name, struct err *e)
{
	const struct store_driver *driver = find(name);
	auto_buf struct buf names = {0};
	char shown[64];

	if (driver)
		return driver;
	err_set(e, ERR_INVALID, 0, "there is no storage driver \"%s\"",
		err_sanitize(shown, sizeof shown, name));
	for (const struct store_driver *const *each = store_drivers; *each; each++)
		buf_printf(&names, "%s%s",
			each == store_drivers ? ""
			: each[1]             ? ", "
					      : " and ",
			(*each)->name);
	err_hint(e, "%s are built in", names.data);
	return NULL;
}

/* The driver in the file, NULL where there is no file; *status -1 where that is an error.
 * why may be NULL. */
static const struct store_driver *recorded(
	struct store *store, char *why, size_t size, int *status, struct err *e)
{
	auto_buf struct buf text = {0};
	char shown[64];
	int rc = fd_read_file(store->root, "driver", RECORD_LIMIT, &text);

	*status = rc == -ENOENT ? 0 : -1;
	if (rc == -ENOENT)
		return NULL;
	if (rc < 0) {
		err_errno(e, rc, "cannot read %s/driver", store->path);
		return NULL;
	}
	char none[] = "", *name = text.data ? text.data : none, *second = strchr(name, '\n');
	if (second)
		*second++ = '\0';
	const struct store_driver *driver = find(name);
	if (!driver) {
		err_set(e, ERR_UNSUPPORTED, 0,
			"the store %s was made with the storage driver \"%s\", which is unknown here",
			store->path, err_sanitize(shown, sizeof shown, name));
		return NULL;
	}
	if (why) {
		if (second)
			second[strcspn(second, "\n")] = '\0';
		err_sanitize(why, size, second ? second : "");
	}
	*status = 0;
	return driver;
}

static const struct store_driver *choose(
	struct store *store, const char *wanted, const char **why, struct err *e)
{
	const struct store_driver *driver = wanted ? driver_find(wanted, e) : NULL;

	if (wanted && !driver)
		return NULL;
	if (driver) {
		if (driver->probe(store, why, e) < 0)
			return NULL;
		*why = "it was asked for";
		return driver;
	}
	/* Who names a dataset wants it used. */
	if (store->dataset)
		return driver_zfs.probe(store, why, e) < 0 ? NULL : &driver_zfs;
	for (const struct store_driver *const *each = store_drivers; *each; each++) {
		if ((*each)->probe(store, why, e) == 0)
			return *each;
	}
	return NULL;
}

/* The lock on choosing, which is one on the file `format`. */
static int lock_choice(struct store *store, struct err *e)
{
	auto_close int fd = fd_open(store->root, "format", O_RDONLY | O_NOFOLLOW, 0);
	int rc = fd < 0 ? fd : 0;

	while (rc == 0 && flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			rc = -errno;
	return rc < 0 ? err_errno(e, rc, "cannot lock %s/format", store->path) : steal_fd(&fd);
}

/* Opens what the store has; where it has none yet, and may get one, chooses. */
static int use(struct store *store, const char *wanted, bool may_choose, struct err *e)
{
	const char *why = "";
	int status;

	if (store->driver)
		return 0;
	if (store->root < 0)
		return err_set(e, ERR_NOT_FOUND, 0, "there is no store at %s", store->path);
	const struct store_driver *driver = recorded(store, NULL, 0, &status, e);
	if (status < 0)
		return -1;
	if (!driver && !may_choose)
		return 0;
	/* Two who choose at once choose one after the other, and the second one finds what the first chose.
	 */
	auto_close int lock = !driver && store->writable ? lock_choice(store, e) : -1;
	if (!driver && store->writable) {
		if (lock < 0)
			return -1;
		driver = recorded(store, NULL, 0, &status, e);
		if (status < 0)
			return -1;
	}
	if (driver && wanted && strcmp(driver->name, wanted) != 0) {
		if (!driver_find(wanted, e))
			return -1;
		err_set(e, ERR_CONFLICT, 0, "the store %s was made with the storage driver %s, not %s",
			store->path, driver->name, wanted);
		return err_hint(e, "choose another data root with --root");
	}
	bool is_new = !driver;
	if (is_new)
		driver = choose(store, wanted, &why, e);
	if (!driver || (driver->open && driver->open(store, e) < 0))
		return -1;
	if (is_new && store->writable) {
		char text[RECORD_LIMIT];
		int length = snprintf(text, sizeof text, "%s\n%s\n", driver->name, why);
		int rc = fd_replace(store->root, "driver", text, (size_t)length, 0600, true);
		if (rc < 0) {
			if (driver->close)
				driver->close(store);
			return err_errno(e, rc, "cannot write %s/driver", store->path);
		}
		place_mark(store->path, store->root);
	}
	store->driver = driver;
	return 0;
}

int driver_use(struct store *store, const char *wanted, struct err *e)
{
	return use(store, wanted, true, e);
}

int driver_use_recorded(struct store *store, struct err *e)
{
	return use(store, NULL, false, e);
}

void driver_close(struct store *store)
{
	if (store->driver && store->driver->close)
		store->driver->close(store);
	store->driver = NULL;
}

/* What a new store would get, without trying it out. */
static const struct store_driver *guess(struct store *store, const char **why)
{
	static const struct {
		const char *type;
		const struct store_driver *driver;
		const char *why;
	} rows[] = {
		{"btrfs", &driver_btrfs, "it lies on btrfs"},
		{"zfs", &driver_zfs, "it lies on ZFS"},
		{"fuse.zfs", &driver_zfs, "it lies on ZFS"},
	};
	auto_arena struct arena arena = {0};

	if (store->dataset) {
		*why = "brig.conf names a dataset";
		return &driver_zfs;
	}
	const char *type = place_type(&arena, store->path);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!strcmp(type, rows[i].type)) {
			*why = rows[i].why;
			return rows[i].driver;
		}
	}
	*why = "where overlayfs works; else copy";
	return &driver_overlay;
}

int driver_explain(struct store *store, const char *wanted, struct driver_choice *choice, struct err *e)
{
	const char *why = "it was asked for";
	int status = 0;

	*choice = (struct driver_choice){0};
	if (store->root >= 0)
		choice->driver = recorded(store, choice->why, sizeof choice->why, &status, e);
	if (status < 0)
		return -1;
	choice->recorded = choice->driver;
	if (choice->driver)
		return 0;
	choice->driver = wanted ? driver_find(wanted, e) : guess(store, &why);
	snprintf(choice->why, sizeof choice->why, "%s", why);
	return choice->driver ? 0 : -1;
}

int driver_open_tree_in(struct store *store, int folder)
{
	if (store->driver && store->driver->layer_open)
		return store->driver->layer_open(store, folder);
	return fd_open(folder, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

int driver_open_tree(struct store *store, const char *chain)
{
	struct err ignored;
	char path[64 + sizeof "/tree"];
	int layers = store_folder(store, STORE_LAYERS, &ignored);

	if (layers < 0)
		return -ENOENT;
	/* Who only looks has not asked for it. */
	if (!store->driver && driver_use_recorded(store, &ignored) < 0)
		return -EIO;
	if (store->driver && store->driver->layer_open) {
		auto_close int folder = fd_open(layers, chain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		return folder < 0 ? folder : store->driver->layer_open(store, folder);
	}
	/* A chain id is 64 digits that were checked. */
	snprintf(path, sizeof path, "%.64s/tree", chain);
	return fd_open(layers, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

int driver_mount_folder(int folder, const char *name, bool read_only, struct err *e)
{
	/* A copy of a shared mount (systemd makes all of them so) is its peer: what the container mounts
	 * in it would appear on the host, and pivot_root(2) refuses it. */
	const struct kernel_mount_attr attributes = {
		.attr_set = KERNEL_MOUNT_ATTR_NODEV | (read_only ? KERNEL_MOUNT_ATTR_RDONLY : 0),
		.propagation = MS_PRIVATE,
	};
	auto_close int fd = kernel_open_tree(
		folder, name, KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	int rc = fd < 0 ? fd : kernel_mount_setattr(fd, "", AT_EMPTY_PATH, &attributes);

	return rc < 0 ? err_errno(e, rc, "cannot mount a container's root file system") : steal_fd(&fd);
}
