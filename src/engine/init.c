/* init.c - an image from a folder of the host. */
#include "engine/init.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"
#include "engine/image.h"
#include "oci/image.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/layer.h"

/* Copies the folder into a staged layer and seals it. */
static int fill_layer(struct engine *engine, int folder, const char *path, struct layer_stage *stage,
	uint64_t *skipped, struct err *e)
{
	struct store *store = &engine->store;
	struct tree_options options = {.foreign = true, .one_owner = engine->user_namespace};

	if (layer_begin(store, NULL, NULL, stage, e) < 0 ||
		layer_fill(stage, folder, &options, skipped, e) < 0)
		return -1;
	if (!stage->layer.entries)
		return err_set(e, ERR_INVALID, 0, "cannot make an image of %s: the folder is empty", path);
	return layer_seal(store, stage, NULL, e);
}

/* The image around the layer: config, manifest of none, record. */
static int add_image(struct engine *engine, const char *path, const struct layer *layer,
	char serial[IMAGE_SERIAL], struct err *e)
{
	struct arena *arena = engine->arena;
	auto_buf struct buf document = {0};
	struct oci_history history = {
		.created = time_now(),
		.created_by = arena_printf(arena, "brig init %s", path),
	};
	struct oci_digest diff_id = layer->diff_id;
	struct oci_config config = {
		.created = history.created,
		.user = "",
		.working_dir = "",
		.stop_signal = "",
		.hostname = "",
		.history = &history,
		.history_count = 1,
		.diff_ids = &diff_id,
		.layer_count = 1,
	};
	struct image_layer image_layer = {
		.diff_id = layer->diff_id,
		.chain_id = layer->chain_id,
		.size = layer->size,
	};
	struct image image = {
		.created = history.created,
		.tagged = TIME_NONE,
		.size = layer->size,
		.layers = &image_layer,
		.layer_count = 1,
	};
	struct image_names_given none = {.synced = false};

	oci_platform_host(&config.platform);
	image.platform = config.platform;
	oci_config_write(&document, &config);
	if (blob_write(&engine->store, document.data, document.length, &image.id, e) < 0 ||
		image_add(&engine->store, &image, &none, e) < 0)
		return -1;
	memcpy(serial, image.serial, IMAGE_SERIAL);
	return 0;
}

int engine_init(struct engine *engine, const char *path, char serial[IMAGE_SERIAL], struct err *e)
{
	struct store *store = &engine->store;
	struct layer_stage stage = {0};
	uint64_t skipped = 0;
	auto_close int folder = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	if (folder < 0) {
		err_errno(e, folder, "cannot make an image of %s", path);
		return folder == -ENOTDIR
			       ? err_hint(e, "brig init takes a folder; brig load reads an archive")
			       : -1;
	}
	if (driver_use(store, engine->config->driver, e) < 0)
		return -1;
	store_sweep(store);
	engine_collect_garbage(engine);
	if (store_lock(store, STORE_SHARED, e) < 0)
		return -1;
	int rc = fill_layer(engine, folder, path, &stage, &skipped, e);
	struct layer layer = stage.layer;
	if (rc == 0)
		rc = store_sync(store, e);
	if (rc == 0)
		rc = layer_publish(store, &stage, e);
	if (rc == 0)
		rc = add_image(engine, path, &layer, serial, e);
	layer_drop(store, &stage);
	store_unlock(store);
	if (rc == 0 && skipped)
		log_warning("%llu things of %s are not in the image: sockets, devices, mounted file systems",
			(unsigned long long)skipped, path);
	return rc;
}
