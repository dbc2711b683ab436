/* commit_layer.c - a layer of what a container wrote. */
#include "engine/commit_layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/time.h"
#include "engine/commit.h"
#include "engine/launch.h"
#include "store/layer_commit.h"
#include "store/mount_points.h"
#include "store/tree.h"

void commit_stand_on(
	struct store *store, struct arena *arena, struct container_config *config, const char *chain)
{
	const struct strings *old = &config->layers;
	struct strings layers = {0};
	char below[65];
	/* One that was committed has a link to the next, so it need not be listed. */
	bool linked = old->count && layer_below(store, old->items[old->count - 1], below) == 1;

	for (size_t i = 0; i + linked < old->count; i++)
		strings_add(arena, &layers, old->items[i]);
	strings_add(arena, &layers, arena_strdup(arena, chain));
	config->layers = layers;
	config->layers_hidden += linked;
	config->committed = NULL;
}

int commit_layers_above(struct store *store, struct arena *arena, const struct container_config *config,
	const char *end, struct layer **layers, size_t *count, struct err *e)
{
	struct layer *found = NULL;
	size_t number = 0, room = 0;
	char chain[65];

	snprintf(chain, sizeof chain, "%.64s", config->layers.items[config->layers.count - 1]);
	while (strcmp(chain, end) != 0) {
		if (number == room) {
			room = room ? room * 2 : 4;
			struct layer *items = arena_array(arena, room, sizeof *items);
			/* From the end, as the highest come first. */
			if (number)
				memcpy(items + room - number, found + room / 2 - number,
					number * sizeof *items);
			found = items;
		}
		number++;
		if (layer_read(store, chain, &found[room - number], e) < 0)
			return -1;
		int rc = layer_below(store, chain, chain);
		if (rc != 1)
			return err_set(e, ERR_CORRUPT, rc, "the layers of container %s are not its image's",
				config->name);
	}
	*layers = number ? found + room - number : NULL;
	*count = number;
	return 0;
}

const char *const *commit_mount_points(struct arena *arena, const struct container_config *config)
{
	struct strings paths = {0};

	for (size_t i = 0; i < config->mounts_count; i++)
		strings_add(arena, &paths, config->mounts[i].target);
	for (size_t i = 0; i < mount_point_count; i++)
		strings_add(arena, &paths, arena_printf(arena, "/%s", mount_points[i].name));
	return paths.items;
}

/* Whether the container has changed nothing, where that is known without looking at everything. */
static bool has_no_changes(struct store *store, const struct driver_rootfs *rootfs)
{
	struct stat is, was;
	struct err ignored;

	if (!store->driver->rootfs_changes || !rootfs->layer_count)
		return false;
	auto_close int changes = store->driver->rootfs_changes(store, rootfs, &ignored);
	auto_close int below = driver_open_tree(store, rootfs->layers[rootfs->layer_count - 1]);
	return changes >= 0 && below >= 0 && fd_is_empty(changes) == 1 && fstat(changes, &is) == 0 &&
	       fstat(below, &was) == 0 && is.st_mode == was.st_mode && is.st_uid == was.st_uid &&
	       is.st_gid == was.st_gid;
}

int commit_layer_begin(struct store *store, struct arena *arena, const struct container_config *config,
	struct commit_layer *layer, struct err *e)
{
	struct oci_digest parent;

	layer->rootfs = (struct driver_rootfs){
		.folder = layer->folder,
		.layers = config->layers.items,
		.layer_count = config->layers.count,
		.hidden = (size_t)config->layers_hidden,
		.read_only = true,
		.mount_points = commit_mount_points(arena, config),
	};
	layer->empty = has_no_changes(store, &layer->rootfs);
	oci_digest_from_hex(config->layers.items[config->layers.count - 1], &parent);
	layer_provisional(&layer->layer, &parent);
	layer->layer.created = time_now();
	return 0;
}

/* ---- a stopped one ---- */

static int set_committing(struct engine *engine, struct container *container, bool on, struct err *e)
{
	struct container_status status = container->record.status;

	status.flags =
		on ? status.flags | CONTAINER_COMMITTING : status.flags & ~(uint32_t)CONTAINER_COMMITTING;
	return container_write_status(&engine->containers, container, &status, e);
}

int commit_push(struct engine *engine, struct container *container, const struct container_config *with,
	struct commit_layer *layer, struct err *e)
{
	struct store *store = &engine->store;
	struct err ignored;

	if (set_committing(engine, container, true, e) < 0)
		return -1;
	if (store->driver->rootfs_push(store, &layer->rootfs, &layer->layer, e) < 0) {
		/* Where this fails too, it is left to who takes the lock next: without the mark, nobody would
		 * know that what the container wrote is not in its place. */
		if (commit_recover(engine, container, &ignored) == 0)
			set_committing(engine, container, false, &ignored);
		return -1;
	}
	if (container_config_save(layer->folder, with, true, e) < 0 ||
		store->driver->rootfs_pushed(store, layer->folder, e) < 0)
		return -1;
	return set_committing(engine, container, false, e);
}

int commit_recover(struct engine *engine, const struct container *container, struct err *e)
{
	struct store *store = &engine->store;
	auto_arena struct arena arena = {0};
	struct container_config config;
	char chain[65];

	if (driver_use(store, NULL, e) < 0)
		return -1;
	if (!store->driver->rootfs_recover)
		return 0;
	auto_close int folder = container_open_dir(&engine->containers, container, e);
	int rc = folder < 0 ? -1 : store->driver->rootfs_recover(store, folder, chain, e);
	if (rc <= 0)
		return rc;
	if (container_config_load(&arena, folder, &config, e) < 0)
		return -1;
	if (strcmp(config.layers.items[config.layers.count - 1], chain) != 0) {
		commit_stand_on(store, &arena, &config, chain);
		if (container_config_save(folder, &config, true, e) < 0)
			return -1;
	}
	return store->driver->rootfs_pushed(store, folder, e);
}

/* ---- a copy ---- */

/*
 * Processes that stand still until thaw(), or until we are killed: a child of ours waits for
 * that. Where it is killed as well, the file `frozen` in the container's folder tells the next
 * command that means the container (commit_thaw_lost). Who holds the folder's lock is at work; the
 * child holds it too.
 */
static const char frozen_mark[] = "frozen";

struct freeze {
	int folder; /* the container's */
	struct cgroup_host host;
	struct cgroup cgroup;
	int pipe;
	pid_t guard;
};

static int let_go(const struct freeze *frozen)
{
	struct err ignored;

	if (cgroup_freeze(&frozen->cgroup, false, &ignored) < 0)
		return -1;
	return unlinkat(frozen->folder, frozen_mark, 0);
}

static int freeze(const struct container *container, int folder, struct freeze *frozen, struct err *e)
{
	int ends[2];

	*frozen = (struct freeze){.pipe = -1, .guard = -1, .folder = folder};
	/* Somebody else has paused it, and will let it go on. */
	if (!container || container->record.status.state == CONTAINER_PAUSED)
		return 0;
	if (launch_open_cgroup(container, &frozen->host, &frozen->cgroup, e) < 0)
		return -1;
	auto_close int mark = fd_open(folder, frozen_mark, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
	int rc = mark < 0 ? mark : fd_pipe(ends, 0);
	if (rc < 0)
		return err_errno(e, rc, "cannot pause container %s", container->record.identity.name);
	frozen->guard = fork();
	if (frozen->guard == 0) {
		char byte;
		setsid(); /* a terminal's signals are for our parent */
		close(ends[1]);
		while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
			;
		_exit(let_go(frozen) < 0);
	}
	close(ends[0]);
	frozen->pipe = ends[1];
	if (frozen->guard < 0)
		return err_errno(e, errno, "cannot pause container %s", container->record.identity.name);
	return cgroup_freeze(&frozen->cgroup, true, e);
}

static void thaw(struct freeze *frozen)
{
	int status = 1;

	close_fd(&frozen->pipe);
	if (frozen->guard > 0) {
		while (waitpid(frozen->guard, &status, 0) < 0 && errno == EINTR)
			;
		if (status)
			let_go(frozen);
	}
	if (frozen->cgroup.host)
		cgroup_close(&frozen->cgroup);
}

void commit_thaw_lost(struct engine *engine, const struct container *container)
{
	char path[CONTAINER_ID + sizeof frozen_mark];
	struct freeze frozen = {.folder = -1};
	struct stat st;
	struct err ignored;

	snprintf(path, sizeof path, "%s/%s", container->id, frozen_mark);
	if (fstatat(engine->containers.dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	auto_close int folder = container_open_dir(&engine->containers, container, &ignored);
	if (folder < 0 || flock(folder, LOCK_EX | LOCK_NB) < 0 ||
		launch_open_cgroup(container, &frozen.host, &frozen.cgroup, &ignored) < 0)
		return;
	frozen.folder = folder;
	let_go(&frozen);
	cgroup_close(&frozen.cgroup);
}

/* The container's files into the stage's tree. */
static int fill_tree(
	struct engine *engine, const struct commit_layer *layer, struct layer_stage *stage, struct err *e)
{
	struct store *store = &engine->store;
	const struct store_driver *driver = store->driver;
	struct tree_options options = {
		.overlay = driver->rootfs_changes != NULL, .one_owner = engine->user_namespace};
	struct tree_result result;

	if (driver->rootfs_commit)
		return driver->rootfs_commit(store, &layer->rootfs, stage->stage.fd, e);
	auto_close int from = driver->rootfs_changes ? driver->rootfs_changes(store, &layer->rootfs, e)
						     : driver->rootfs_mount(store, &layer->rootfs, e);
	if (from < 0)
		return -1;
	auto_close int folder = fd_open(from, ".", O_RDONLY | O_DIRECTORY, 0);
	if (folder < 0)
		return err_errno(e, folder, "cannot open a container's root file system");
	if (tree_copy(folder, stage->tree, &options, &result, e) < 0)
		return -1;
	if (!driver->rootfs_changes) {
		size_t count = layer->rootfs.layer_count;
		auto_close int below = count ? driver_open_tree(store, layer->rootfs.layers[count - 1]) : -1;
		mount_points_trim(stage->tree, below, layer->rootfs.mount_points);
	}
	return 0;
}

int commit_copy(struct engine *engine, const struct container *container,
	const struct container_config *config, struct commit_layer *layer, struct err *e)
{
	struct store *store = &engine->store;
	struct layer_stage stage = {0};
	struct freeze frozen;

	if ((store->driver->rootfs_commit ? layer_begin_bare(store, &stage, e)
					  : layer_begin(store, NULL, NULL, &stage, e)) < 0)
		return -1;
	int rc = freeze(container, layer->folder, &frozen, e);
	if (rc < 0)
		err_hint(e, "commit it while it runs: brig commit --pause=false %s", config->name);
	else
		rc = fill_tree(engine, layer, &stage, e);
	thaw(&frozen);
	stage.layer = layer->layer;
	if (rc == 0) {
		int number = layer_link_below(stage.stage.fd, &stage.layer);
		rc = number < 0 ? err_errno(e, number, "cannot make a layer in %s", store->path) : 0;
	}
	if (rc == 0)
		rc = layer_seal(store, &stage, NULL, e);
	if (rc == 0)
		rc = store_sync(store, e);
	if (rc == 0)
		rc = layer_publish(store, &stage, e);
	layer_drop(store, &stage);
	if (rc == 0) {
		int number = store_sync_folder(store_folder(store, STORE_LAYERS, e));
		rc = number < 0 ? err_errno(e, number, "cannot write a layer in %s", store->path) : 0;
	}
	return rc < 0 ? -1 : 0;
}
