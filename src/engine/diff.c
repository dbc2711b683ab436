/* diff.c - a container's files beside those of its image. */
#include "engine/diff.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "engine/commit_layer.h"
#include "engine/container.h"
#include "engine/control.h"
#include "store/driver.h"
#include "store/image.h"
#include "store/layer_commit.h"

/* The trees that are compared. */
struct sides {
	int *trees;
	size_t count;
	int *below;
	size_t below_count;
};

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close_fd(&fds[i]);
	free(fds);
}

static int add_tree(struct sides *sides, int fd, struct err *e)
{
	int *trees = realloc(sides->trees, (sides->count + 1) * sizeof *trees);

	if (!trees)
		abort();
	sides->trees = trees;
	sides->trees[sides->count++] = fd;
	return fd < 0 ? err_errno(e, fd, "cannot open a container's files") : 0;
}

/* What the container's image consists of, or, if that was removed by force, what it stands on. */
static int find_image(struct store *store, struct arena *arena, const struct container_config *config,
	struct driver_rootfs *image, struct err *e)
{
	struct image from;
	struct strings layers = {0};

	image->layers = config->layers.items;
	image->layer_count = config->layers.count;
	image->hidden = (size_t)config->layers_hidden;
	if (image_find(store, arena, arena_printf(arena, "sha256:%s", config->image_id), &from, e) < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	for (size_t i = 0; i < from.layer_count; i++)
		strings_add(arena, &layers, arena_strdup(arena, oci_digest_hex(&from.layers[i].chain_id)));
	image->layers = layers.items;
	image->layer_count = layers.count;
	image->hidden = from.hidden;
	return 0;
}

/* What it wrote, and what commits have made layers of meanwhile. */
static int open_own(struct store *store, const struct container_config *config, int folder, const char *end,
	struct sides *sides, struct err *e)
{
	const struct store_driver *driver = store->driver;
	struct driver_rootfs rootfs = {
		.folder = folder,
		.layers = config->layers.items,
		.layer_count = config->layers.count,
		.hidden = (size_t)config->layers_hidden,
		.read_only = true,
	};
	char chain[65];
	auto_close int from = driver->rootfs_changes ? driver->rootfs_changes(store, &rootfs, e)
						     : driver->rootfs_mount(store, &rootfs, e);

	if (from < 0 || add_tree(sides, fd_open(from, ".", O_RDONLY | O_DIRECTORY, 0), e) < 0)
		return -1;
	if (!driver->rootfs_changes || !config->layers.count)
		return 0;
	snprintf(chain, sizeof chain, "%.64s", config->layers.items[config->layers.count - 1]);
	while (strcmp(chain, end) != 0) {
		if (add_tree(sides, driver_open_tree(store, chain), e) < 0)
			return -1;
		int rc = layer_below(store, chain, chain);
		if (rc != 1)
			return err_set(e, ERR_CORRUPT, rc, "the layers of container %s are not its image's",
				config->name);
	}
	return 0;
}

static int open_below(
	struct store *store, const struct driver_rootfs *image, struct sides *sides, struct err *e)
{
	if (store->driver->rootfs_below)
		return store->driver->rootfs_below(store, image, &sides->below, &sides->below_count, e);
	sides->below = calloc(1, sizeof *sides->below);
	if (!sides->below)
		abort();
	if (!image->layer_count)
		return 0;
	sides->below[0] = layer_open_tree(store, image->layers[image->layer_count - 1], e);
	sides->below_count = 1;
	return sides->below[0] < 0 ? -1 : 0;
}

/* Bytes of the files among the changes. One that is gone by now counts nothing. */
static int64_t sum_sizes(const struct sides *sides, const struct change *changes, size_t count)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < sides->count && changes[i].kind != CHANGE_DELETED; k++) {
			auto_close int fd =
				fd_open_in_root(sides->trees[k], changes[i].path, O_PATH | O_NOFOLLOW, 0);
			struct stat st;
			if (fd < 0 || fstat(fd, &st) < 0)
				continue;
			sum += S_ISDIR(st.st_mode) ? 0 : st.st_size;
			break;
		}
	return sum;
}

/* size may be NULL. */
static int compare(struct engine *engine, const struct container *container, struct change **changes,
	size_t *count, int64_t *size, struct err *e)
{
	struct arena *arena = engine->arena;
	struct store *store = &engine->store;
	struct container_config config;
	struct driver_rootfs image = {0};
	struct sides sides = {0};
	auto_close int folder = container_open_dir(&engine->containers, container, e);

	if (folder < 0 || container_config_load(arena, folder, &config, e) < 0 ||
		driver_use(store, NULL, e) < 0 || find_image(store, arena, &config, &image, e) < 0)
		return -1;
	image.folder = folder;
	const char *top = image.layer_count ? image.layers[image.layer_count - 1] : "";
	int rc = open_own(store, &config, folder, top, &sides, e);
	if (rc == 0)
		rc = open_below(store, &image, &sides, e);
	const struct changes_of of = {
		.trees = sides.trees,
		.count = sides.count,
		.overlay = store->driver->rootfs_changes != NULL,
		.below = sides.below,
		.below_count = sides.below_count,
		/* Overlay has its own elsewhere; what a user's mounts made is a change, as in docker. */
		.mount_points = store->driver->rootfs_changes ? NULL : commit_mount_points(arena, &config),
	};
	if (rc == 0)
		rc = changes_list(arena, &of, changes, count, e);
	if (rc == 0 && size)
		*size = sum_sizes(&sides, *changes, *count);
	close_all(sides.trees, sides.count);
	close_all(sides.below, sides.below_count);
	return rc;
}

/* Found as a container of another command's may be: it is not changed meanwhile. */
static int compare_locked(struct engine *engine, struct container *container, struct change **changes,
	size_t *count, int64_t *size, struct err *e)
{
	int running = control_lock(engine, container, e);

	if (running < 0)
		return -1;
	int rc = compare(engine, container, changes, count, size, e);
	if (!running)
		container_unlock(container);
	return rc;
}

int engine_diff(
	struct engine *engine, const char *name, struct change **changes, size_t *count, struct err *e)
{
	struct container container;

	if (container_find(&engine->containers, name, &container, e) < 0)
		return -1;
	return compare_locked(engine, &container, changes, count, NULL, e);
}

int engine_size(
	struct engine *engine, const struct container *container, struct container_size *size, struct err *e)
{
	struct container copy = *container;
	struct container_config config;
	struct change *changes;
	struct image image;
	struct err ignored;
	size_t count;
	auto_close int folder = container_open_dir(&engine->containers, container, e);

	if (folder < 0 || container_config_load(engine->arena, folder, &config, e) < 0 ||
		compare_locked(engine, &copy, &changes, &count, &size->own, e) < 0)
		return -1;
	size->whole = size->own;
	/* An image that was removed by force is not known any more. */
	if (image_find(&engine->store, engine->arena,
		    arena_printf(engine->arena, "sha256:%s", config.image_id), &image, &ignored) == 0 &&
		image_count(&engine->store, &image, false, &ignored) == 0)
		size->whole += image.size;
	return 0;
}
