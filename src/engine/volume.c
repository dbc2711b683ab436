/* volume.c - volumes as users see them: create, inspect, remove, prune. */
#include "engine/volume.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/time.h"
#include "engine/control.h"
#include "engine/volumes.h"
#include "store/driver.h"

/* ---- the local driver's options ---- */

int volume_check_options(const struct strings *options, struct err *e)
{
	static const char *const known[] = {"type", "device", "o"};
	char shown[100];

	for (size_t i = 0; i < options->count; i++) {
		const char *pair = options->items[i];
		size_t length = strcspn(pair, "="), at = 0;
		while (at < 3 && (strlen(known[at]) != length || strncmp(known[at], pair, length) != 0))
			at++;
		if (at == 3)
			return err_set(e, ERR_INVALID, 0, "invalid option: \"%.*s\"", (int)length,
				err_sanitize(shown, sizeof shown, pair));
	}
	for (size_t i = 0; options->count && i < 2; i++) {
		const char *value = volume_value(options, known[1 - i]);
		if (!value || !*value)
			return err_set(e, ERR_INVALID, 0, "missing required option: \"%s\"", known[1 - i]);
	}
	return 0;
}

/* A word of mount(8)'s that is about the mount and not about its file system. */
static bool take_flag(const char *word, struct spec_source *source, bool *bound, bool *recursive)
{
	static const struct {
		const char *word;
		uint64_t flag;
	} flags[] = {
		{"ro", KERNEL_MOUNT_ATTR_RDONLY},
		{"rw", 0},
		{"nosuid", KERNEL_MOUNT_ATTR_NOSUID},
		{"suid", 0},
		{"nodev", KERNEL_MOUNT_ATTR_NODEV},
		{"noexec", KERNEL_MOUNT_ATTR_NOEXEC},
		{"exec", 0},
		{"noatime", KERNEL_MOUNT_ATTR_NOATIME},
		{"relatime", 0},
		{"defaults", 0},
		{"bind", 0},
		{"rbind", 0},
	};
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (!strcmp(flags[i].word, word)) {
			source->attributes |= flags[i].flag;
			*bound = *bound || strstr(word, "bind");
			*recursive = *recursive || !strcmp(word, "rbind");
			return true;
		}
	return false;
}

int volume_options_source(struct arena *arena, const struct volume *volume, const char *subpath,
	struct spec_source *source, struct err *e)
{
	const char *type = volume_value(&volume->options, "type");
	const char *device = volume_value(&volume->options, "device");
	const char *words = volume_value(&volume->options, "o");
	struct spec_source made = {0};
	auto_buf struct buf data = {0};
	bool bound = false, recursive = false;

	if (!type || !device)
		return err_set(e, ERR_CORRUPT, 0, "the volume %s is damaged: its options lack type or device",
			volume->name);
	char *rest = words ? arena_strdup(arena, words) : NULL;
	for (char *word; rest && (word = strsep(&rest, ","));)
		if (*word && !take_flag(word, &made, &bound, &recursive))
			buf_printf(&data, "%s%s", data.length ? "," : "", word);
	made.type = bound || !strcmp(type, "bind") ? "bind" : type;
	made.source = device;
	made.not_recursive = bound && !recursive;
	if (data.length)
		made.data = arena_memdup(arena, data.data, data.length);
	if (subpath)
		return err_set(e, ERR_UNSUPPORTED, 0,
			"cannot mount a sub-path of the volume %s: it has options of its own (type=%s)",
			volume->name, type);
	if (!strcmp(made.type, "bind") && *device != '/')
		return err_set(e, ERR_INVALID, 0,
			"cannot mount the volume %s: its device \"%s\" is not an absolute path", volume->name,
			device);
	*source = made;
	return 0;
}

/* ---- what users do ---- */

int engine_volume_create(struct engine *engine, const char **name, const struct strings *labels,
	const struct strings *options, struct err *e)
{
	struct volume wish = {.name = *name, .labels = *labels, .options = *options};
	struct store *store = &engine->store;

	if (!wish.name) {
		wish.name = volume_new_name(engine->arena);
		strings_add(engine->arena, &wish.labels, VOLUME_ANONYMOUS "=");
	}
	if (volume_check_name(wish.name, e) < 0)
		return -1;
	if (volume_check_options(options, e) < 0) {
		struct err why = *e;
		return err_set(e, why.kind, 0, "create %s: %s", wish.name, why.what);
	}
	if (driver_use(store, engine->config->driver, e) < 0 ||
		store_lock_volumes(store, STORE_SHARED, e) < 0)
		return -1;
	int rc = volume_create(store, &wish, true, e);
	store_unlock_volumes(store);
	if (rc < 0)
		return -1;
	*name = wish.name;
	return 0;
}

const char *engine_volume_mountpoint(const struct engine *engine, struct arena *arena, const char *name)
{
	return arena_printf(arena, "%s/volumes/%s/_data", engine->data_root, name);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, as Go prints its maps; null where there are none. */
static void put_pairs(
	struct arena *arena, struct json_writer *w, const char *key, const struct strings *pairs)
{
	if (!pairs->count) {
		json_put_null(w, key);
		return;
	}
	const char **sorted = arena_array(arena, pairs->count, sizeof *sorted);
	memcpy(sorted, pairs->items, pairs->count * sizeof *sorted);
	qsort(sorted, pairs->count, sizeof *sorted, by_key);
	json_begin_object(w, key);
	for (size_t i = 0; i < pairs->count; i++) {
		size_t length = strcspn(sorted[i], "=");
		const char *name = arena_memdup(arena, sorted[i], length);
		/* Of a key that was given twice the last one counts. */
		if (i + 1 < pairs->count && !strncmp(sorted[i + 1], name, length) &&
			sorted[i + 1][length] == '=')
			continue;
		json_put_string(w, name, volume_value(pairs, name));
	}
	json_end_object(w);
}

int engine_volume_inspect(
	struct engine *engine, const char *name, struct json_writer *w, const char *key, struct err *e)
{
	struct volume volume;
	struct err ignored;
	char time[TIME_TEXT];

	if (volume_read(&engine->store, engine->arena, name, &volume, e) < 0)
		return -1;
	/* Its place is shown, so it shall be there: a dataset may not be mounted since the last boot. */
	auto_close int data = volume_open(&engine->store, name, &ignored);
	/* docker's has no decimals. */
	time_format(time, volume.created - volume.created % TIME_SECOND);
	json_begin_object(w, key);
	json_put_string(w, "CreatedAt", time);
	json_put_string(w, "Driver", "local");
	put_pairs(engine->arena, w, "Labels", &volume.labels);
	json_put_string(w, "Mountpoint", engine_volume_mountpoint(engine, engine->arena, volume.name));
	json_put_string(w, "Name", volume.name);
	put_pairs(engine->arena, w, "Options", &volume.options);
	json_put_string(w, "Scope", "local");
	json_end_object(w);
	return 0;
}

static int in_use(struct engine *engine, const struct volumes_usage *usage, const char *name, struct err *e)
{
	auto_buf struct buf ids = {0};
	const char *last = "";

	for (size_t i = 0; i < usage->count; i++)
		if (!strcmp(usage->uses[i].volume, name) && strcmp(usage->uses[i].container, last) != 0) {
			last = usage->uses[i].container;
			buf_printf(&ids, "%s%s", ids.length ? ", " : "", last);
		}
	if (ids.length) {
		err_set(e, ERR_CONFLICT, 0, "remove %s: volume is in use - [%s]", name, ids.data);
		return err_hint(
			e, "brig ps -a --filter volume=%s lists the containers; remove them first", name);
	}
	if (!usage->unreadable)
		return 0;
	err_set(e, ERR_CONFLICT, 0,
		"remove %s: cannot tell whether the volume is in use: the config.json of the container %.12s "
		"is damaged",
		name, usage->unreadable);
	return err_hint(e, "remove that container first: brig rm -f %.12s", usage->unreadable);
}

int engine_volume_remove(struct engine *engine, const char *name, struct err *e)
{
	auto_arena struct arena arena = {0};
	struct store *store = &engine->store;
	struct volumes_usage usage;
	struct store_stage stage;
	struct volume ignored;
	struct err why;

	if (store_lock_volumes(store, STORE_EXCLUSIVE, e) < 0)
		return -1;
	volumes_usage(engine, &arena, SIZE_MAX, &usage);
	int rc = volume_stage(store, &stage, e);
	/* One that is not there is that, whoever names it. */
	if (rc == 0 && volume_read(store, &arena, name, &ignored, e) < 0 && e->kind == ERR_NOT_FOUND)
		rc = -1;
	if (rc == 0)
		rc = in_use(engine, &usage, name, e);
	if (rc == 0)
		rc = volume_take(store, name, &stage, e);
	if (rc == 0 && store_sync_folder(store->folders[STORE_VOLUMES]) < 0)
		rc = err_set(e, ERR_SYSTEM, 0, "cannot write the removal of the volume %s to the disk", name);
	store_unlock_volumes(store);
	if (volume_stage_drop(store, &stage, &why) < 0 && rc == 0) {
		rc = err_set(e, why.kind, 0, "the volume %s is removed, but not yet what it held: %s", name,
			why.what);
		return err_hint(e, "brig volume prune, and other commands, try again");
	}
	store_sweep(store);
	return rc;
}

int engine_volume_prune(struct engine *engine, bool (*fits)(void *context, const struct volume *volume),
	void *context, struct volume_prune *result, struct err *e)
{
	struct store *store = &engine->store;
	struct volumes_usage usage;
	struct store_stage stage = {.fd = -1};
	struct volume *volumes;
	struct err why;
	size_t count;

	*result = (struct volume_prune){0};
	if (store_lock_volumes(store, STORE_EXCLUSIVE, e) < 0)
		return -1;
	volumes_usage(engine, engine->arena, SIZE_MAX, &usage);
	int rc = volume_list(store, engine->arena, &volumes, &count, e);
	/* Who cannot say what he uses may use any of them. */
	if (rc == 0 && usage.unreadable && count)
		rc = in_use(engine, &usage, "unused volumes", e);
	if (rc == 0 && count)
		rc = volume_stage(store, &stage, e);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (volumes[i].damaged || volumes_users(&usage, volumes[i].name) ||
			!fits(context, &volumes[i]))
			continue;
		int64_t size = volume_size(store, volumes[i].name);
		if (volume_take(store, volumes[i].name, &stage, &why) < 0)
			continue; /* something is mounted on it: it is in use after all */
		result->size += size;
		strings_add(engine->arena, &result->names, volumes[i].name);
	}
	if (result->names.count && store_sync_folder(store->folders[STORE_VOLUMES]) < 0)
		rc = err_set(e, ERR_SYSTEM, 0, "cannot write the removal of volumes to the disk");
	store_unlock_volumes(store);
	if (volume_stage_drop(store, &stage, &why) < 0)
		log_warning("what volumes held is not all removed yet: %s", why.what);
	store_sweep(store);
	return rc;
}
