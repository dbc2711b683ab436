/* volumes.c - a container's volumes: which it gets, filling and mounting them, what goes with it. */
#include "engine/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "engine/mount_spec.h"
#include "engine/volume.h"
#include "store/driver.h"
#include "store/tree.h"
#include "store/volume.h"

bool volumes_any(const struct container_config *config)
{
	for (size_t i = 0; i < config->mounts_count; i++)
		if (config->mounts[i].type == CONTAINER_MOUNT_VOLUME)
			return true;
	return false;
}

bool volumes_anonymous(const struct container_config *config)
{
	for (size_t i = 0; i < config->mounts_count; i++)
		if (config->mounts[i].type == CONTAINER_MOUNT_VOLUME && config->mounts[i].anonymous)
			return true;
	return false;
}

/* ---- which ---- */

/* --volumes-from: another container's volumes and binds, where nothing was asked for. */
static int borrow(struct engine *engine, const char *text, struct container_config *config, struct err *e)
{
	struct mount_spec_from from;
	struct container container;
	struct container_config theirs;

	if (mount_spec_from(engine->arena, text, &from, e) < 0 ||
		container_find(&engine->containers, from.container, &container, e) < 0)
		return -1;
	auto_close int dir = container_open_dir(&engine->containers, &container, e);
	if (dir < 0 || container_config_load(engine->arena, dir, &theirs, e) < 0)
		return -1;
	for (size_t i = 0; i < theirs.mounts_count; i++) {
		struct container_mount mount = theirs.mounts[i];
		struct container_mount *ours = container_find_mount(config, mount.target);
		/* The last one counts; what was asked for by name counts more. */
		if (mount.type == CONTAINER_MOUNT_TMPFS ||
			(ours && !ours->borrowed && !(ours->anonymous && !ours->detailed)))
			continue;
		mount.borrowed = mount.nocopy = true;
		mount.create_source = mount.detailed = false;
		mount.bind = NULL;
		mount.readonly = mount.readonly || from.readonly;
		*(ours ? ours : container_add_mount(engine->arena, config)) = mount;
	}
	return 0;
}

static void note_volume(struct engine *engine, struct container_config *config, const char *target)
{
	for (size_t i = 0; i < config->volumes.count; i++)
		if (!strcmp(config->volumes.items[i], target))
			return;
	strings_add(engine->arena, &config->volumes, target);
}

static int add_image_volumes(
	struct engine *engine, const struct oci_config *image, struct container_config *config, struct err *e)
{
	for (size_t i = 0; i < image->volumes.count; i++) {
		const char *target;
		if (mount_spec_image_volume(engine->arena, image->volumes.items[i], &target, e) < 0)
			return -1;
		note_volume(engine, config, target);
		if (container_find_mount(config, target))
			continue;
		*container_add_mount(engine->arena, config) = (struct container_mount){
			.type = CONTAINER_MOUNT_VOLUME, .target = target, .anonymous = true};
	}
	return 0;
}

static int check_bind(const struct container_mount *mount, struct err *e)
{
	char shown[300];
	struct stat st;

	if (stat(mount->source, &st) == 0)
		return 0;
	int rc = -errno;
	err_sanitize(shown, sizeof shown, mount->source);
	if (!mount->create_source)
		return rc == -ENOENT
			       ? err_set(e, ERR_INVALID, 0,
					 "invalid mount config for type \"bind\": bind source path does "
					 "not exist: %s",
					 shown)
			       : err_errno(e, rc, "cannot look at the folder %s for the mount", shown);
	if (rc == -ENOENT)
		rc = fd_mkdirs(AT_FDCWD, mount->source, 0755);
	return rc < 0 ? err_errno(e, rc, "cannot make the folder %s for the mount", shown) : 0;
}

int volumes_plan(
	struct engine *engine, const struct oci_config *image, struct container_config *config, struct err *e)
{
	for (size_t i = 0; i < config->mounts_count; i++) {
		const struct container_mount *mount = &config->mounts[i];
		if (mount->volume_options.count && volume_check_options(&mount->volume_options, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < config->volumes_from.count; i++)
		if (borrow(engine, config->volumes_from.items[i], config, e) < 0)
			return -1;
	if (add_image_volumes(engine, image, config, e) < 0)
		return -1;
	for (size_t i = 0; i < config->mounts_count; i++) {
		struct container_mount *mount = &config->mounts[i];
		if (mount->type == CONTAINER_MOUNT_BIND && check_bind(mount, e) < 0)
			return -1;
		if (mount->type == CONTAINER_MOUNT_VOLUME && !mount->name)
			mount->name = volume_new_name(engine->arena);
	}
	return 0;
}

/* ---- making and filling ---- */

/* The image's folder at the place of the mount: -1 with e->kind ERR_NONE where there is none. */
static int open_content(int root, const char *target, struct err *e)
{
	int fd = fd_open_in_root(root, target, O_RDONLY | O_DIRECTORY, 0);

	e->kind = ERR_NONE;
	if (fd >= 0 || fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return fd < 0 ? -1 : fd;
	return err_errno(e, fd, "cannot open the image's %s", target);
}

static int fill(
	struct engine *engine, const struct container_mount *mount, bool durable, int root, struct err *e)
{
	struct volume_fill fill = {.durable = durable};
	struct tree_result result;
	const struct tree_options options = {.foreign = true, .one_owner = engine->user_namespace};
	bool wanted = !mount->nocopy && !mount->subpath;
	auto_close int content = wanted ? open_content(root, mount->target, e) : -1;

	if (wanted && content < 0 && e->kind != ERR_NONE)
		return -1;
	int rc = volume_fill_begin(&engine->store, mount->name, content >= 0, &fill, e);
	if (rc <= 0)
		return rc;
	if (tree_copy(content, fill.data, &options, &result, e) < 0) {
		struct err why = *e;
		volume_fill_undo(&fill);
		return err_set(e, why.kind, 0, "cannot fill the volume %s with the image's %s: %s",
			mount->name, mount->target, why.what);
	}
	return volume_fill_end(&engine->store, mount->name, &fill, e);
}

/* A volume without a name is worth as much as its container. */
static bool is_durable(const struct container_config *config, const struct container_mount *mount)
{
	return !mount->anonymous || create_durable(config);
}

/* 1 where a container was given it before, 0, -1. */
static int is_used(struct engine *engine, const struct container_mount *mount, struct err *e)
{
	struct volume volume;

	if (mount->type != CONTAINER_MOUNT_VOLUME)
		return 1;
	if (volume_read(&engine->store, engine->arena, mount->name, &volume, e) < 0)
		return -1;
	return volume.state == VOLUME_USED;
}

int volumes_fill(struct engine *engine, const struct container_config *config, int root, struct err *e)
{
	for (size_t i = 0; i < config->mounts_count; i++) {
		int rc = is_used(engine, &config->mounts[i], e);
		if (rc == 0)
			rc = fill(
				engine, &config->mounts[i], is_durable(config, &config->mounts[i]), root, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* The same without a mount of the container's root file system at hand. */
static int fill_by_mounting(
	struct engine *engine, const struct container_config *config, int dir, struct err *e)
{
	struct store *store = &engine->store;
	size_t i = 0;
	int rc;

	while ((rc = i < config->mounts_count ? is_used(engine, &config->mounts[i], e) : -1) > 0)
		i++;
	if (i == config->mounts_count || rc < 0)
		return i == config->mounts_count ? 0 : -1;
	/* Nothing is written there, so nothing has to be synced when it is let go of. */
	struct driver_rootfs rootfs = {
		.folder = dir,
		.layers = config->layers.items,
		.layer_count = config->layers.count,
		.ephemeral = true,
		.read_only = true,
	};
	auto_close int root = store->driver->rootfs_mount(store, &rootfs, e);
	return root < 0 ? -1 : volumes_fill(engine, config, root, e);
}

/* Makes what is missing; made[i] says which. */
static int make_missing(
	struct engine *engine, const struct container_config *config, bool *made, struct err *e)
{
	static const char anonymous[] = VOLUME_ANONYMOUS "=";

	for (size_t i = 0; i < config->mounts_count; i++) {
		const struct container_mount *mount = &config->mounts[i];
		if (mount->type != CONTAINER_MOUNT_VOLUME)
			continue;
		struct volume wish = {
			.name = mount->name, .labels = mount->labels, .options = mount->volume_options};
		if (mount->anonymous)
			strings_add(engine->arena, &wish.labels, anonymous);
		int rc = volume_create(&engine->store, &wish, is_durable(config, mount), e);
		if (rc < 0)
			return -1;
		made[i] = rc > 0;
	}
	return 0;
}

/* Those that were made for a container that will not be, and that nobody else has got meanwhile. */
static void unmake(struct engine *engine, const struct container *container,
	const struct container_config *config, const bool *made)
{
	struct volumes_usage usage;
	struct store_stage stage;
	struct err ignored;

	if (store_lock_volumes(&engine->store, STORE_EXCLUSIVE, &ignored) < 0)
		return;
	volumes_usage(engine, engine->arena, container->slot, &usage);
	if (volume_stage(&engine->store, &stage, &ignored) == 0) {
		for (size_t i = 0; i < config->mounts_count; i++)
			if (made[i] && !volumes_users(&usage, config->mounts[i].name) && !usage.unreadable)
				volume_take(&engine->store, config->mounts[i].name, &stage, &ignored);
		volume_stage_drop(&engine->store, &stage, &ignored);
	}
	store_unlock_volumes(&engine->store);
}

int volumes_make(struct engine *engine, const struct container *container,
	const struct container_config *config, int dir, bool start_follows, struct err *e)
{
	struct store *store = &engine->store;
	bool *made = arena_array(engine->arena, config->mounts_count + 1, sizeof *made);

	if (store_lock_volumes(store, STORE_SHARED, e) < 0)
		return -1;
	int rc = container_config_save(dir, config, create_durable(config), e);
	if (rc == 0)
		rc = make_missing(engine, config, made, e);
	store_unlock_volumes(store);
	if (rc == 0 && !start_follows)
		rc = fill_by_mounting(engine, config, dir, e);
	if (rc < 0)
		unmake(engine, container, config, made);
	return rc;
}

/* ---- mounting ---- */

static int open_source(struct engine *engine, struct arena *arena, const struct container_mount *mount,
	struct spec_source *source, struct err *e)
{
	struct volume volume;

	if (volume_read(&engine->store, arena, mount->name, &volume, e) < 0)
		return -1;
	if (volume.options.count)
		return volume_options_source(arena, &volume, mount->subpath, source, e);
	auto_close int data = volume_open(&engine->store, mount->name, e);
	if (data < 0)
		return -1;
	auto_close int below = mount->subpath ? volume_open_below(data, mount->name, mount->subpath, e) : -1;
	if (mount->subpath && below < 0)
		return -1;
	/* A mount of its own from here on: whoever renames what was opened changes nothing. */
	int tree = kernel_open_tree(below >= 0 ? below : data, "",
		AT_EMPTY_PATH | KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC | KERNEL_AT_RECURSIVE);
	if (tree < 0)
		return err_errno(e, tree, "cannot mount the volume %s", mount->name);
	*source = (struct spec_source){.tree = tree + 1,
		.type = "bind",
		.source = arena_printf(arena, "the volume %s", mount->name)};
	return 0;
}

int volumes_open(struct engine *engine, struct arena *arena, const struct container_config *config,
	struct spec_source **sources, struct err *e)
{
	*sources = NULL;
	if (!volumes_any(config))
		return 0;
	struct spec_source *list = arena_array(arena, config->mounts_count, sizeof *list);
	for (size_t i = 0; i < config->mounts_count; i++)
		if (config->mounts[i].type == CONTAINER_MOUNT_VOLUME &&
			open_source(engine, arena, &config->mounts[i], &list[i], e) < 0) {
			volumes_close(list, config->mounts_count);
			return -1;
		}
	*sources = list;
	return 0;
}

void volumes_close(struct spec_source *sources, size_t count)
{
	for (size_t i = 0; sources && i < count; i++) {
		int fd = sources[i].tree - 1;
		close_fd(&fd);
		sources[i].tree = 0;
	}
}

/* ---- who uses them, and what goes with a container ---- */

void volumes_usage(struct engine *engine, struct arena *arena, size_t except, struct volumes_usage *usage)
{
	struct containers *containers = &engine->containers;
	size_t room = 0;

	*usage = (struct volumes_usage){0};
	containers_refresh(containers);
	for (size_t slot = 0; slot < containers->count; slot++) {
		struct container container;
		struct container_config config;
		struct err why = {0};
		if (slot == except || !container_read(containers, slot, &container) ||
			container.record.status.state == CONTAINER_REMOVING)
			continue;
		auto_close int dir = container_open_dir(containers, &container, &why);
		if (dir < 0 || container_config_load(arena, dir, &config, &why) < 0) {
			/* One that is just being made names its volumes before it makes them; one that
			 * has gone just now has none. */
			struct container now;
			if (container.record.status.state != CONTAINER_CREATING &&
				container_read(containers, slot, &now) && !strcmp(now.id, container.id) &&
				now.record.status.state != CONTAINER_REMOVING)
				usage->unreadable = arena_strdup(arena, container.id);
			continue;
		}
		for (size_t i = 0; i < config.mounts_count; i++) {
			if (config.mounts[i].type != CONTAINER_MOUNT_VOLUME)
				continue;
			if (usage->count == room) {
				room = room ? 2 * room : 16;
				struct volumes_use *uses = arena_array(arena, room, sizeof *uses);
				if (usage->count)
					memcpy(uses, usage->uses, usage->count * sizeof *uses);
				usage->uses = uses;
			}
			usage->uses[usage->count++] = (struct volumes_use){.volume = config.mounts[i].name,
				.container = arena_strdup(arena, container.id)};
		}
	}
}

size_t volumes_users(const struct volumes_usage *usage, const char *volume)
{
	const char *last = "";
	size_t count = 0;

	for (size_t i = 0; i < usage->count; i++)
		if (!strcmp(usage->uses[i].volume, volume) && strcmp(usage->uses[i].container, last) != 0) {
			last = usage->uses[i].container;
			count++;
		}
	return count;
}

void volumes_take(struct engine *engine, const struct container *container, struct store_stage *stage)
{
	auto_arena struct arena arena = {0};
	struct container_config config;
	struct volumes_usage usage;
	struct err ignored;

	*stage = (struct store_stage){.fd = -1};
	auto_close int dir = container_open_dir(&engine->containers, container, &ignored);
	if (dir < 0 || container_config_load(&arena, dir, &config, &ignored) < 0 ||
		!volumes_anonymous(&config) ||
		store_lock_volumes(&engine->store, STORE_EXCLUSIVE, &ignored) < 0)
		return;
	volumes_usage(engine, &arena, container->slot, &usage);
	if (!usage.unreadable && volume_stage(&engine->store, stage, &ignored) == 0)
		for (size_t i = 0; i < config.mounts_count; i++) {
			const struct container_mount *mount = &config.mounts[i];
			/* One that is shared goes with the last who has it. */
			if (mount->type == CONTAINER_MOUNT_VOLUME && mount->anonymous &&
				!volumes_users(&usage, mount->name))
				volume_take(&engine->store, mount->name, stage, &ignored);
		}
	store_unlock_volumes(&engine->store);
}

int container_discard(struct engine *engine, struct container *container, bool volumes, struct err *e)
{
	struct store_stage stage = {.fd = -1};
	struct err ignored;

	volumes = volumes && container->record.identity.flags & CONTAINER_VOLUMES;
	if (volumes)
		container->record.status.flags |= CONTAINER_TAKES_VOLUMES;
	if (container_remove_begin(&engine->containers, container, e) < 0)
		return -1;
	if (volumes) {
		volumes_take(engine, container, &stage);
		volume_stage_drop(&engine->store, &stage, &ignored);
	}
	return container_remove_finish(&engine->containers, container, e);
}
