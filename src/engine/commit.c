/* commit.c - the image around a container's layer. */
#include "engine/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/time.h"
#include "engine/commit_layer.h"
#include "engine/container.h"
#include "engine/control.h"
#include "engine/image.h"
#include "engine/tidy.h"
#include "oci/change.h"
#include "oci/reference.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/layer_commit.h"

/* ---- the name ---- */

/* What the image is to be called: a reference, or another image's serial. */
static int check_name(struct engine *engine, const struct commit_options *options,
	struct reference *reference, struct image *image, struct err *e)
{
	struct image holder;

	if (!options->name)
		return 0;
	if (reference_is_serial(options->name) && !strncmp(options->name, "img_", 4) &&
		image_find(&engine->store, engine->arena, options->name, &holder, e) == 0) {
		memcpy(image->serial, holder.serial, sizeof image->serial);
		return 0;
	}
	if (reference_parse(engine->arena, options->name, reference, e) < 0)
		return -1;
	if (reference->digest)
		return err_set(e, ERR_INVALID, 0, "refusing to create a tag with a digest reference");
	reference_default_tag(reference);
	return reference_check_new(reference, e) < 0 ? -1 : 1;
}

/* ---- the config ---- */

static struct oci_pair *pairs_of(struct arena *arena, const struct strings *labels)
{
	struct oci_pair *pairs = arena_array(arena, labels->count + 1, sizeof *pairs);

	for (size_t i = 0; i < labels->count; i++) {
		const char *text = labels->items[i], *equals = strchr(text, '=');
		pairs[i] = (struct oci_pair){
			.key = arena_memdup(arena, text, equals ? (size_t)(equals - text) : strlen(text)),
			.value = equals ? equals + 1 : "",
		};
	}
	return pairs;
}

/* What a container made from the new image inherits: what this one was made with, changed as asked. */
static int make_config(struct engine *engine, const struct commit_options *options,
	const struct container_config *container, const struct oci_config *image, struct oci_config *config,
	struct err *e)
{
	struct arena *arena = engine->arena;
	auto_buf struct buf changes = {0};

	*config = (struct oci_config){
		.platform = image->platform,
		.created = time_now(),
		.author = options->author,
		.user = container->user ? container->user : "",
		.working_dir = container->working_dir ? container->working_dir : "",
		.stop_signal = container->stop_signal ? container->stop_signal : "",
		.hostname = "",
		.env = container->env,
		.entrypoint = container->entrypoint,
		.cmd = container->command,
		.exposed_ports = container->expose,
		.volumes = container->volumes,
		.labels = pairs_of(arena, &container->labels),
		.label_count = container->labels.count,
		.has_healthcheck = image->has_healthcheck,
		.healthcheck = image->healthcheck,
		.has_stop_timeout = container->has_stop_timeout,
		.stop_timeout = container->stop_timeout,
	};
	/* Which the container has for want of another. */
	if (!strcmp(config->working_dir, "/") && !*image->working_dir)
		config->working_dir = "";
	for (size_t i = 0; i < options->changes.count; i++)
		buf_printf(&changes, "%s\n", options->changes.items[i]);
	if (changes.length && oci_change_apply(arena, changes.data, config, e) < 0)
		return -1;
	int ignored;
	if (*config->stop_signal && control_signal_number(config->stop_signal, &ignored, e) < 0)
		return -1;
	/* docker's rule: with neither, it is the container's again. */
	if (!config->entrypoint.count && !config->cmd.count)
		config->cmd = container->command;
	return 0;
}

/* ---- the story ---- */

struct commit {
	struct engine *engine;
	const struct commit_options *options;
	struct container container;
	struct container_config config;
	struct commit_layer layer;
	struct oci_config document;
	struct image from; /* the container's image */
	struct image image;
	struct reference name;
	bool named;
};

/* The container's document and its image, under the locks that keep both. */
static int read_container(struct commit *c, struct err *e)
{
	struct engine *engine = c->engine;
	struct oci_config config;

	c->layer.folder = container_open_dir(&engine->containers, &c->container, e);
	if (c->layer.folder < 0)
		return -1;
	/* Commits of one container come one after the other by this: one of a running container holds no
	 * other lock of its, and would find what it copies moved away where the container ends meanwhile. */
	while (flock(c->layer.folder, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_errno(e, errno, "cannot lock the folder of container %s",
				c->container.record.identity.name);
	if (container_config_load(engine->arena, c->layer.folder, &c->config, e) < 0)
		return -1;
	if (image_find(&engine->store, engine->arena,
		    arena_printf(engine->arena, "sha256:%s", c->config.image_id), &c->from, e) < 0) {
		if (e->kind == ERR_NOT_FOUND)
			err_set(e, ERR_CONFLICT, 0,
				"the image of container %s was removed (%.12s): nothing can be committed on "
				"it",
				c->config.name, c->config.image_id);
		return -1;
	}
	if (image_config_own(&engine->store, engine->arena, &c->from, &config, e) < 0)
		return -1;
	return make_config(engine, c->options, &c->config, &config, &c->document, e);
}

/* The layers that the container has and its image has not, the lowest first; with the history of
 * each but the last, which is ours. */
static int add_layers(struct commit *c, struct err *e)
{
	struct arena *arena = c->engine->arena;
	struct store *store = &c->engine->store;
	struct oci_config *document = &c->document;
	struct oci_digest known;
	struct layer *own;
	size_t count = 0;

	document->below = c->from.id;
	document->below_stacked = c->from.stacked;
	const char *end =
		c->from.layer_count ? oci_digest_hex(&c->from.layers[c->from.layer_count - 1].chain_id) : "";
	/* Most often the last commit of this container has put them together. */
	if (c->config.committed) {
		oci_digest_from_hex(c->config.committed, &known);
		if (blob_has(store, &known, NULL)) {
			document->below = known;
			document->below_stacked = true;
			end = c->config.layers.items[c->config.layers.count - 1];
		}
	}
	if (commit_layers_above(store, arena, &c->config, end, &own, &count, e) < 0)
		return -1;
	document->diff_ids = arena_array(arena, count + 1, sizeof *document->diff_ids);
	document->history = arena_array(arena, count + 1, sizeof *document->history);
	auto_buf struct buf command = {0};
	for (size_t i = 0; i < c->config.command.count; i++)
		buf_printf(&command, "%s%s", i ? " " : "", c->config.command.items[i]);
	const char *by = arena_memdup(arena, command.data ? command.data : "", command.length);
	for (size_t i = 0; i < count; i++) {
		document->diff_ids[i] = own[i].diff_id;
		document->history[i] = (struct oci_history){.created = own[i].created, .created_by = by};
	}
	document->history[count] = (struct oci_history){
		.created = document->created,
		.created_by = by,
		.author = c->options->author,
		.comment = c->options->message,
		.empty_layer = c->layer.empty,
	};
	document->history_count = count + 1;
	if (!c->layer.empty)
		document->diff_ids[count++] = c->layer.layer.diff_id;
	document->layer_count = count;
	return 0;
}

/* The record's layers: those that the container's document lists. */
static int fill_record(struct commit *c, const struct strings *layers, int64_t hidden, struct err *e)
{
	struct image *image = &c->image;

	image->created = c->document.created;
	image->tagged = TIME_NONE;
	image->platform = c->document.platform;
	image->parent = c->from.id;
	image->stacked = true;
	image->hidden = (size_t)hidden;
	image->size =
		c->layer.empty && layers->count == c->from.layer_count && hidden == (int64_t)c->from.hidden
			? c->from.size
			: -1;
	image->layers = arena_array(c->engine->arena, layers->count + 1, sizeof *image->layers);
	for (size_t i = 0; i < layers->count; i++) {
		struct image_layer *out = &image->layers[image->layer_count++];
		for (size_t k = 0; k < c->from.layer_count && !out->chain_id.text[0]; k++) {
			if (!strcmp(oci_digest_hex(&c->from.layers[k].chain_id), layers->items[i]))
				*out = c->from.layers[k];
		}
		if (out->chain_id.text[0])
			continue;
		struct layer layer;
		if (layer_read(&c->engine->store, layers->items[i], &layer, e) < 0)
			return -1;
		*out = (struct image_layer){.diff_id = layer.diff_id, .chain_id = layer.chain_id, .size = -1};
	}
	return 0;
}

/* Config and layer, with the container's lock held or its processes frozen. */
static int make_content(struct commit *c, bool running, struct err *e)
{
	struct store *store = &c->engine->store;
	auto_buf struct buf text = {0};
	const char **targets = arena_array(c->engine->arena, c->config.mounts_count + 1, sizeof *targets);

	if (commit_layer_begin(store, c->engine->arena, &c->config, &c->layer, e) < 0 || add_layers(c, e) < 0)
		return -1;
	for (size_t i = 0; i < c->config.mounts_count; i++)
		targets[i] = c->config.mounts[i].target;
	c->layer.rootfs.mount_points = targets;
	oci_config_write(&text, &c->document);
	if (blob_write(store, text.data, text.length, &c->image.id, e) < 0)
		return -1;
	struct container_config with = c->config;
	if (!c->layer.empty)
		commit_stand_on(store, c->engine->arena, &with, oci_digest_hex(&c->layer.layer.chain_id));
	int rc = 0;
	if (!c->layer.empty && !running && store->driver->rootfs_push) {
		with.committed = oci_digest_hex(&c->image.id);
		rc = commit_push(c->engine, &c->container, &with, &c->layer, e);
	} else if (!c->layer.empty) {
		rc = commit_copy(c->engine, running && !c->options->no_pause ? &c->container : NULL,
			&c->config, &c->layer, e);
	}
	return rc < 0 ? -1 : fill_record(c, &with.layers, with.layers_hidden, e);
}

/* With the content lock held. */
static int make_image(struct commit *c, struct err *e)
{
	struct engine *engine = c->engine;
	struct image_names_given names = {.references = &c->name, .count = c->named, .synced = true};

	if (container_find(&engine->containers, c->options->container, &c->container, e) < 0)
		return -1;
	int running = control_lock(engine, &c->container, e);
	if (running < 0)
		return -1;
	int rc = read_container(c, e);
	if (rc == 0)
		rc = make_content(c, running, e);
	close_fd(&c->layer.folder);
	if (!running)
		container_unlock(&c->container);
	return rc < 0 ? -1 : image_add(&engine->store, &c->image, &names, e);
}

int engine_commit(struct engine *engine, const struct commit_options *options, struct commit_result *result,
	struct err *e)
{
	struct store *store = &engine->store;
	struct commit c = {.engine = engine, .options = options, .layer.folder = -1};
	struct image_note note;

	c.container.lock = -1;
	int named = check_name(engine, options, &c.name, &c.image, e);
	if (named < 0)
		return -1;
	c.named = named;
	/* Looked for before anything is made for it. */
	if (container_find(&engine->containers, options->container, &c.container, e) < 0 ||
		driver_use(store, engine->config->driver, e) < 0)
		return -1;
	engine_collect_garbage(engine);
	if (store_lock(store, STORE_SHARED, e) < 0)
		return -1;
	int rc = image_expect_garbage(store, &note, e);
	if (rc == 0) {
		rc = make_image(&c, e);
		/* A layer that has come to nothing is the container's now, or was never made. */
		if (rc == 0)
			image_no_garbage(store, &note);
	}
	store_unlock(store);
	if (rc < 0)
		return -1;
	result->id = c.image.id;
	memcpy(result->serial, c.image.serial, sizeof result->serial);
	tidy_later(engine, &c.image);
	return 0;
}
