/* driver.c - which storage driver a store has. */
#include "store/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

extern const struct store_driver driver_overlay, driver_copy;

const struct store_driver *const store_drivers[] = {&driver_overlay, &driver_copy, NULL};

static const struct store_driver *find(const char *name)
{
	for (const struct store_driver *const *driver = store_drivers; *driver; driver++) {
		if (!strcmp((*driver)->name, name))
			return *driver;
	}
	return NULL;
}

/* The driver in the file, NULL where there is no file; *status -1 where that is an error. */
static const struct store_driver *recorded(struct store *store, int *status, struct err *e)
{
	auto_buf struct buf text = {0};
	char shown[64];
	int rc = fd_read_file(store->root, "driver", 64, &text);

	*status = rc == -ENOENT ? 0 : -1;
	if (rc == -ENOENT)
		return NULL;
	if (rc < 0) {
		err_errno(e, rc, "cannot read %s/driver", store->path);
		return NULL;
	}
	if (text.length && text.data[text.length - 1] == '\n')
		text.data[--text.length] = '\0';
	const struct store_driver *driver = find(text.data ? text.data : "");
	if (!driver) {
		err_set(e, ERR_UNSUPPORTED, 0,
			"the store %s was made with the storage driver \"%s\", which is unknown here",
			store->path, err_sanitize(shown, sizeof shown, text.data ? text.data : ""));
		return NULL;
	}
	*status = 0;
	return driver;
}

static const struct store_driver *choose(struct store *store, const char *wanted, struct err *e)
{
	const struct store_driver *driver = wanted ? find(wanted) : NULL;
	char shown[64];

	if (wanted && !driver) {
		err_set(e, ERR_INVALID, 0, "there is no storage driver \"%s\"",
			err_sanitize(shown, sizeof shown, wanted));
		err_hint(e, "overlay and copy are built in");
		return NULL;
	}
	if (driver)
		return driver->probe(store, e) < 0 ? NULL : driver;
	for (const struct store_driver *const *each = store_drivers; *each; each++) {
		if ((*each)->probe(store, e) == 0)
			return *each;
	}
	return NULL;
}

int driver_use(struct store *store, const char *wanted, struct err *e)
{
	int status;

	if (store->driver)
		return 0;
	if (store->root < 0)
		return err_set(e, ERR_NOT_FOUND, 0, "there is no store at %s", store->path);
	const struct store_driver *driver = recorded(store, &status, e);
	if (status < 0)
		return -1;
	if (driver && wanted && strcmp(driver->name, wanted) != 0) {
		err_set(e, ERR_CONFLICT, 0, "the store %s was made with the storage driver %s, not %s",
			store->path, driver->name, wanted);
		return err_hint(e, "choose another data root with --root");
	}
	if (!driver) {
		char line[32];
		driver = choose(store, wanted, e);
		if (!driver)
			return -1;
		int length = snprintf(line, sizeof line, "%s\n", driver->name);
		int rc = store->writable ? fd_replace(store->root, "driver", line, (size_t)length, 0600, true)
					 : 0;
		if (rc < 0)
			return err_errno(e, rc, "cannot write %s/driver", store->path);
	}
	if (driver->open && driver->open(store, e) < 0)
		return -1;
	store->driver = driver;
	return 0;
}

void driver_close(struct store *store)
{
	if (store->driver && store->driver->close)
		store->driver->close(store);
	store->driver = NULL;
}

int driver_open_tree(struct store *store, const char *chain)
{
	struct err ignored;
	char path[64 + sizeof "/tree"];
	int layers = store_folder(store, STORE_LAYERS, &ignored);

	if (layers < 0)
		return -ENOENT;
	/* A chain id is 64 digits that were checked. */
	snprintf(path, sizeof path, "%.64s/tree", chain);
	return fd_open(layers, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}
