/* image_parts.c - what an image consists of: its config, its layers, how large they are. */
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/layer_commit.h"

static int damaged(const struct image *image, struct err *e)
{
	e->kind = ERR_CORRUPT;
	return err_hint(
		e, "remove the image with brig rmi -f %.12s, and pull it again", oci_digest_hex(&image->id));
}

static int read_config(struct store *store, struct arena *arena, const struct image *image,
	const struct oci_digest *digest, struct oci_config *config, struct err *e)
{
	auto_buf struct buf text = {0};

	if (blob_read(store, digest, OCI_CONFIG_LIMIT, &text, e) < 0)
		return e->kind == ERR_NOT_FOUND ? damaged(image, e) : -1;
	return oci_config_parse(arena, text.data, text.length, config, e);
}

int image_config_own(struct store *store, struct arena *arena, const struct image *image,
	struct oci_config *config, struct err *e)
{
	return read_config(store, arena, image, &image->id, config, e);
}

int image_config_below(const struct oci_config *config, struct oci_digest *below, bool *stacked)
{
	const struct json *member = json_get_object(config->document, "brig.below");
	const char *digest = json_get_string(member, "config");
	struct err ignored;

	if (!digest || oci_digest_parse(digest, below, &ignored) < 0)
		return 0;
	*stacked = json_get_bool(member, "stacked", false);
	return 1;
}

/* Configs that are put together, the highest first. */
struct parts {
	struct oci_config *items;
	size_t count, room;
};

static void add_part(struct arena *arena, struct parts *parts, const struct oci_config *config)
{
	if (parts->count == parts->room) {
		size_t room = parts->room ? parts->room * 2 : 8;
		struct oci_config *items = arena_array(arena, room, sizeof *items);
		if (parts->count)
			memcpy(items, parts->items, parts->count * sizeof *items);
		parts->items = items;
		parts->room = room;
	}
	parts->items[parts->count++] = *config;
}

int image_config(struct store *store, struct arena *arena, const struct image *image,
	struct oci_config *config, struct err *e)
{
	struct oci_config whole, part;
	struct oci_digest below;
	struct parts parts = {0};
	size_t histories = 0, layers = 0;

	if (image_config_own(store, arena, image, &whole, e) < 0)
		return -1;
	add_part(arena, &parts, &whole);
	/* Only a config of ours is asked for what is below it: another's may say anything. */
	for (bool stacked = image->stacked; stacked;) {
		if (!image_config_below(&parts.items[parts.count - 1], &below, &stacked))
			break;
		if (read_config(store, arena, image, &below, &part, e) < 0)
			return -1;
		add_part(arena, &parts, &part);
	}
	for (size_t i = 0; i < parts.count; i++) {
		histories += parts.items[i].history_count;
		layers += parts.items[i].layer_count;
	}
	struct oci_history *history = arena_array(arena, histories + 1, sizeof *history);
	struct oci_digest *diff_ids = arena_array(arena, layers + 1, sizeof *diff_ids);
	whole.history = history;
	whole.diff_ids = diff_ids;
	whole.history_count = histories;
	whole.layer_count = layers;
	for (size_t i = parts.count; i-- > 0;) {
		const struct oci_config *from = &parts.items[i];
		if (from->history_count)
			memcpy(history, from->history, from->history_count * sizeof *history);
		if (from->layer_count)
			memcpy(diff_ids, from->diff_ids, from->layer_count * sizeof *diff_ids);
		history += from->history_count;
		diff_ids += from->layer_count;
	}
	*config = whole;
	return 0;
}

int image_all_layers(struct store *store, struct arena *arena, struct image *image, struct err *e)
{
	size_t count = image->layer_count + image->hidden;
	char chain[65];

	if (!image->hidden)
		return 0;
	struct image_layer *layers = arena_array(arena, count, sizeof *layers);
	memcpy(layers, image->layers, (image->layer_count - 1) * sizeof *layers);
	layers[count - 1] = image->layers[image->layer_count - 1];
	memcpy(chain, oci_digest_hex(&layers[count - 1].chain_id), sizeof chain);
	for (size_t i = count - 1; i-- > image->layer_count - 1;) {
		struct layer layer;
		int rc = layer_below(store, chain, chain);
		if (rc != 1)
			return err_set(e, ERR_CORRUPT, rc,
				"a layer of image %.12s is missing: the one below %.12s",
				oci_digest_hex(&image->id), chain);
		if (layer_read(store, chain, &layer, e) < 0)
			return -1;
		layers[i] = (struct image_layer){
			.diff_id = layer.diff_id, .chain_id = layer.chain_id, .size = layer.size};
	}
	image->layers = layers;
	image->layer_count = count;
	image->hidden = 0;
	return 0;
}

int image_count(struct store *store, struct image *image, bool layers, struct err *e)
{
	struct layer layer;

	if (image->size < 0 && image->layer_count) {
		const struct oci_digest *top = &image->layers[image->layer_count - 1].chain_id;
		if (layer_count(store, oci_digest_hex(top), &layer, e) < 0)
			return -1;
		image->size = layer.total;
	}
	for (size_t i = 0; layers && i < image->layer_count; i++) {
		if (image->layers[i].size >= 0)
			continue;
		if (layer_count(store, oci_digest_hex(&image->layers[i].chain_id), &layer, e) < 0)
			return -1;
		image->layers[i].size = layer.size;
	}
	return 0;
}
