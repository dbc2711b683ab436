/* image.c - images as users see them: removing, and docker's JSON of one. */
#include "engine/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/time.h"
#include "engine/container.h"
#include "engine/control.h"
#include "store/driver.h"
#include "store/layer_commit.h"

/* ---- who uses an image ---- */

/* Calls use for every container with its configuration, NULL where that cannot be read, until
 * it returns true. */
static bool any_container(struct engine *engine,
	bool (*use)(void *context, const struct container *container, const struct container_config *config),
	void *context)
{
	struct containers *containers = &engine->containers;
	bool found = false;

	/* Those, too, that were made while we waited for a lock. */
	if (containers_refresh(containers) < 0)
		return use(context, &(struct container){.lock = -1}, NULL);
	for (size_t slot = 0; slot < containers->count && !found; slot++) {
		struct arena arena = {0};
		struct container container;
		struct container_config config;
		struct err ignored;
		if (!container_read(containers, slot, &container))
			continue;
		auto_close int dir = container_open_dir(containers, &container, &ignored);
		if (dir >= 0 && container_config_load(&arena, dir, &config, &ignored) == 0)
			found = use(context, &container, &config);
		else if (dir >= 0 || ignored.kind != ERR_NOT_FOUND ||
			 container.record.status.state != CONTAINER_REMOVING)
			found = use(context, &container, NULL);
		arena_free(&arena);
	}
	return found;
}

struct usage {
	struct engine *engine;
	const char *image; /* 64 hex digits */
	char *container;   /* 65 bytes: the one that was found, a running one rather than another */
	bool running;
	size_t count;
};

/* By its configuration; while there is none yet, by its record. */
static bool is_made_of(
	const struct container *container, const struct container_config *config, const char *image)
{
	unsigned char id[CONTAINER_IMAGE_ID];

	if (config)
		return !strcmp(config->image_id, image);
	container_image_id(image, id);
	return !memcmp(container->record.identity.image_id, id, sizeof id);
}

static bool uses_image(
	void *context, const struct container *container, const struct container_config *config)
{
	struct usage *usage = context;

	if (!is_made_of(container, config, usage->image))
		return false;
	enum control_state state = control_observe(usage->engine, container);
	bool running = state == CONTROL_RUNNING || state == CONTROL_UNATTENDED;
	if (usage->container && (!usage->count || (running && !usage->running)))
		memcpy(usage->container, container->id, CONTAINER_ID);
	usage->running |= running;
	usage->count++;
	return false;
}

static bool image_used(void *context, const char *image, char container[65], bool *running)
{
	struct usage usage = {.engine = context, .image = image, .container = container};

	any_container(context, uses_image, &usage);
	*running = usage.running;
	return usage.count > 0;
}

struct layers_use {
	struct engine *engine;
	bool (*use)(void *marks, const char *chain);
	void *marks;
};

/* True where they cannot be told. */
static bool name_layers_of(
	void *context, const struct container *container, const struct container_config *config)
{
	struct layers_use *layers = context;
	char chain[65];

	/* Whoever cannot say what he stands on may stand on anything. One that is being committed: a
	 * layer was just made of it, and its document may not say so yet. */
	if (!config || container->record.status.flags & CONTAINER_COMMITTING)
		return true;
	size_t count = config->layers.count;
	for (size_t i = 0; i < count; i++)
		layers->use(layers->marks, config->layers.items[i]);
	if (!config->layers_hidden)
		return false;
	snprintf(chain, sizeof chain, "%.64s", config->layers.items[count - 1]);
	const char *end = count > 1 ? config->layers.items[count - 2] : "";
	while (strcmp(chain, end) != 0) {
		int rc = layer_below(&layers->engine->store, chain, chain);
		if (rc != 1)
			return rc < 0; /* damaged: who knows */
		/* Where another container's have led here, they have led on. */
		if (!layers->use(layers->marks, chain))
			break;
	}
	return false;
}

static bool name_layers(void *context, bool (*use)(void *marks, const char *chain), void *marks)
{
	struct layers_use layers = {.engine = context, .use = use, .marks = marks};

	return !any_container(context, name_layers_of, &layers);
}

void engine_collect_garbage(struct engine *engine)
{
	const struct image_users users = {
		.context = engine, .image_used = image_used, .name_layers = name_layers};
	struct err ignored;

	if (image_has_garbage(&engine->store))
		image_collect(&engine->store, &users, NULL, &ignored);
}

/* With the last image goes what unfinished commands have left of others. */
static void collect_last(struct engine *engine, const struct image_users *users)
{
	auto_arena struct arena arena = {0};
	struct image *images;
	struct err ignored;
	size_t count;

	if (image_list(&engine->store, &arena, &images, &count, &ignored) == 0 && !count)
		image_collect(&engine->store, users, NULL, &ignored);
}

/* Containers that are on their way out stand on their images until they are gone: those of --rm
 * for some milliseconds after their end was reported. */
static void wait_for_removals(struct engine *engine)
{
	struct containers *containers = &engine->containers;

	containers_refresh(containers);
	for (size_t slot = 0; slot < containers->count; slot++) {
		if (containers->records[slot].status.state == CONTAINER_REMOVING &&
			container_locked(containers, slot))
			container_wait_unlocked(containers, slot);
	}
}

int engine_image_remove(
	struct engine *engine, const char *text, unsigned flags, struct image_removal *removal, struct err *e)
{
	const struct image_users users = {
		.context = engine, .image_used = image_used, .name_layers = name_layers};

	/* What crashed commands have left of containers shall keep no layer. */
	if (engine->containers.index >= 0) {
		wait_for_removals(engine);
		control_settle_all(engine);
		containers_sweep(&engine->containers);
	}
	if (image_remove(&engine->store, engine->arena, text, flags, &users, removal, e) < 0) {
		/* Maybe it went already, but for its content. */
		engine_collect_garbage(engine);
		return -1;
	}
	if (removal->deleted.count)
		collect_last(engine, &users);
	return 0;
}

size_t engine_image_containers(struct engine *engine, const struct oci_digest *id, bool *running)
{
	struct usage usage = {.engine = engine, .image = oci_digest_hex(id)};

	any_container(engine, uses_image, &usage);
	if (running)
		*running = usage.running;
	return usage.count;
}

/* ---- inspect ---- */

static void put_list(struct json_writer *w, const char *key, const struct strings *list)
{
	if (list->items && list->count)
		json_put_strings(w, key, list->items);
}

static void put_text(struct json_writer *w, const char *key, const char *text)
{
	if (text && *text)
		json_put_string(w, key, text);
}

/* {"80/tcp": {}} */
static void put_set(struct json_writer *w, const char *key, const struct strings *list)
{
	if (!list->count)
		return;
	json_begin_object(w, key);
	for (size_t i = 0; i < list->count; i++) {
		json_begin_object(w, list->items[i]);
		json_end_object(w);
	}
	json_end_object(w);
}

static void put_duration(struct json_writer *w, const char *key, int64_t nanoseconds)
{
	if (nanoseconds)
		json_put_integer(w, key, nanoseconds);
}

static void put_healthcheck(struct json_writer *w, const struct oci_healthcheck *check)
{
	json_begin_object(w, "Healthcheck");
	put_list(w, "Test", &check->test);
	put_duration(w, "Interval", check->interval);
	put_duration(w, "Timeout", check->timeout);
	put_duration(w, "StartPeriod", check->start_period);
	put_duration(w, "StartInterval", check->start_interval);
	put_duration(w, "Retries", check->retries);
	json_end_object(w);
}

void engine_image_config(const struct oci_config *config, struct json_writer *w, const char *key)
{
	json_begin_object(w, key);
	put_text(w, "User", config->user);
	put_set(w, "ExposedPorts", &config->exposed_ports);
	put_list(w, "Env", &config->env);
	put_list(w, "Entrypoint", &config->entrypoint);
	put_list(w, "Cmd", &config->cmd);
	put_set(w, "Volumes", &config->volumes);
	put_text(w, "WorkingDir", config->working_dir);
	if (config->label_count) {
		json_begin_object(w, "Labels");
		for (size_t i = 0; i < config->label_count; i++)
			json_put_string(w, config->labels[i].key, config->labels[i].value);
		json_end_object(w);
	}
	put_text(w, "StopSignal", config->stop_signal);
	if (config->args_escaped)
		json_put_bool(w, "ArgsEscaped", true);
	if (config->has_healthcheck)
		put_healthcheck(w, &config->healthcheck);
	put_list(w, "OnBuild", &config->on_build);
	put_list(w, "Shell", &config->shell);
	json_end_object(w);
}

/* docker's overlay driver names the folders of the image's layers. */
static void put_driver(struct engine *engine, const struct image *image, struct json_writer *w)
{
	size_t count = image->layer_count;
	auto_buf struct buf lower = {0};

	json_begin_object(w, "GraphDriver");
	json_begin_object(w, "Data");
	for (size_t i = count; i-- > 1;)
		buf_printf(&lower, "%s%s/layers/%s/tree", lower.length ? ":" : "", engine->data_root,
			oci_digest_hex(&image->layers[i - 1].chain_id));
	if (lower.length)
		json_put_string(w, "LowerDir", lower.data);
	if (count)
		json_put_string(w, "UpperDir",
			arena_printf(engine->arena, "%s/layers/%s/tree", engine->data_root,
				oci_digest_hex(&image->layers[count - 1].chain_id)));
	json_end_object(w);
	json_put_string(w, "Name", engine->store.driver ? engine->store.driver->name : "overlay");
	json_end_object(w);
}

/* Docker's own field, or what the last step of the history says. */
static const char *comment_of(const struct oci_config *config)
{
	const char *comment = json_get_string(config->document, "comment");

	if (comment && *comment)
		return comment;
	comment = config->history_count ? config->history[config->history_count - 1].comment : NULL;
	return comment ? comment : "";
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static const char *const *items_of(const struct strings *list)
{
	static const char *const none[] = {NULL};
	return list->items ? list->items : none;
}

/* The true ones, for an image that was committed here. They are remembered, by who may write. */
static int find_diff_ids(
	struct engine *engine, const struct image *image, struct oci_config *config, struct err *e)
{
	struct store writable;
	struct store *store = &engine->store;
	struct err ignored;
	int rc = 0;

	if (!store->writable && store_open(&writable, engine->data_root, STORE_WRITE, &ignored) == 0)
		store = &writable;
	for (size_t i = 0; rc == 0 && i < image->layer_count && i < config->layer_count; i++)
		rc = layer_content(
			store, oci_digest_hex(&image->layers[i].chain_id), &config->diff_ids[i], e);
	if (store == &writable)
		store_close(&writable);
	return rc;
}

int engine_image_inspect(struct engine *engine, const struct image *given, struct json_writer *w,
	const char *key, struct err *e)
{
	struct oci_config config;
	struct image whole = *given;
	const struct image *image = &whole;
	char time[TIME_TEXT];

	if (image_config(&engine->store, engine->arena, image, &config, e) < 0 ||
		image_all_layers(&engine->store, engine->arena, &whole, e) < 0 ||
		image_count(&engine->store, &whole, false, e) < 0 ||
		(image->stacked && find_diff_ids(engine, image, &config, e) < 0))
		return -1;
	json_begin_object(w, key);
	json_put_string(w, "Id", image->id.text);
	json_put_strings(w, "RepoTags", items_of(&image->tags));
	json_put_strings(w, "RepoDigests", items_of(&image->digests));
	json_put_string(w, "Parent", image->parent.text);
	json_put_string(w, "Comment", comment_of(&config));
	if (config.created != TIME_NONE)
		json_put_string(w, "Created", time_format(time, config.created));
	json_put_string(w, "DockerVersion", or_empty(json_get_string(config.document, "docker_version")));
	json_put_string(w, "Author", or_empty(config.author));
	engine_image_config(&config, w, "Config");
	json_put_string(w, "Architecture", config.platform.architecture);
	put_text(w, "Variant", config.platform.variant);
	json_put_string(w, "Os", config.platform.os);
	json_put_integer(w, "Size", image->size);
	put_driver(engine, image, w);
	json_begin_object(w, "RootFS");
	json_put_string(w, "Type", "layers");
	if (config.layer_count) {
		json_begin_array(w, "Layers");
		for (size_t i = 0; i < config.layer_count; i++)
			json_put_string(w, NULL, config.diff_ids[i].text);
		json_end_array(w);
	}
	json_end_object(w);
	json_begin_object(w, "Metadata");
	json_put_string(w, "LastTagTime",
		image->tagged == TIME_NONE ? "0001-01-01T00:00:00Z" : time_format(time, image->tagged));
	json_end_object(w);
	json_end_object(w);
	return 0;
}
