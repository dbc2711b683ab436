/* layer_commit.c - provisional names, and what is found out later. */
#include "store/layer_commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "store/changes.h"
#include "store/driver.h"

void layer_provisional(struct layer *layer, const struct oci_digest *parent)
{
	unsigned char random[SHA256_SIZE];

	fd_random(random, sizeof random);
	oci_digest_from_sha256(random, &layer->diff_id);
	oci_chain_id(parent, &layer->diff_id, &layer->chain_id);
	layer->parent = parent ? *parent : (struct oci_digest){0};
	layer->content = (struct oci_digest){0};
	layer->provisional = true;
	layer->size = layer->total = -1;
}

int layer_link_below(int folder, const struct layer *layer)
{
	if (!layer->parent.text[0])
		return 0;
	return symlinkat(oci_digest_hex(&layer->parent), folder, "below") < 0 ? -errno : 0;
}

int layer_below(struct store *store, const char *chain, char below[65])
{
	char path[64 + sizeof "/below"], text[66];
	struct err ignored;
	int layers = store_folder(store, STORE_LAYERS, &ignored);

	snprintf(path, sizeof path, "%.64s/below", chain);
	ssize_t n = layers < 0 ? -1 : readlinkat(layers, path, text, sizeof text);
	if (n < 0)
		return layers < 0 || errno == ENOENT ? 0 : -errno;
	if (n != 64 || strspn(text, "0123456789abcdef") < 64)
		return -EINVAL;
	memcpy(below, text, 64);
	below[64] = '\0';
	return 1;
}

/* ---- its digest ---- */

static int hash_bytes(void *context, const void *bytes, size_t size)
{
	sha256_update(context, bytes, size);
	return 0;
}

/* Writes the layer's archive: the tree, or how it differs from the tree below. */
static int write_archive(struct store *store, const struct layer *layer, struct tar_writer *w, struct err *e)
{
	struct tree_options options = {.overlay = store->driver->whiteouts == UNPACK_WHITEOUTS_OVERLAY};
	struct tree_result result;
	auto_close int tree = layer_open_tree(store, oci_digest_hex(&layer->chain_id), e);

	if (tree < 0)
		return -1;
	if (options.overlay || !layer->parent.text[0])
		return tree_write(tree, w, &options, &result, e);
	auto_close int below = layer_open_tree(store, oci_digest_hex(&layer->parent), e);
	if (below < 0)
		return -1;
	auto_arena struct arena arena = {0};
	const struct changes_of of = {.trees = &tree, .count = 1, .below = &below, .below_count = 1};
	struct change *changes;
	size_t count;
	if (changes_list(&arena, &of, &changes, &count, e) < 0)
		return -1;
	return tree_write_changes(tree, w, changes, count, e);
}

static void set_content(struct layer *layer, const void *context)
{
	layer->content = *(const struct oci_digest *)context;
}

int layer_archive(struct store *store, const char *chain, struct tar_writer *w, struct err *e)
{
	struct layer layer;
	return layer_read(store, chain, &layer, e) < 0 ? -1 : write_archive(store, &layer, w, e);
}

int layer_content(struct store *store, const char *chain, struct oci_digest *content, struct err *e)
{
	struct layer layer;
	struct sha256 sha;
	unsigned char raw[SHA256_SIZE];
	struct tar_writer w = {.write = hash_bytes, .context = &sha};

	if (layer_read(store, chain, &layer, e) < 0)
		return -1;
	if (!layer.provisional || layer.content.text[0]) {
		*content = layer.provisional ? layer.content : layer.diff_id;
		return 0;
	}
	if (driver_use(store, NULL, e) < 0)
		return -1;
	sha256_init(&sha);
	if (write_archive(store, &layer, &w, e) < 0)
		return -1;
	sha256_final(&sha, raw);
	oci_digest_from_sha256(raw, &layer.content);
	if (store->writable && layer_update(store, chain, set_content, &layer.content, e) < 0)
		return -1;
	*content = layer.content;
	return 0;
}

/* ---- its size ---- */

/* Layers above a known total, the highest first. */
struct uncounted {
	struct layer *items;
	size_t count, room;
};

static void set_size(struct layer *layer, const void *context)
{
	const struct layer *counted = context;

	layer->size = counted->size;
	layer->total = counted->total;
	layer->entries = counted->entries;
}

/* One whose layers below hold that much. */
static int count_one(struct store *store, struct layer *layer, int64_t below, struct err *e)
{
	bool alone = store->driver->whiteouts == UNPACK_WHITEOUTS_OVERLAY;
	struct tree_result found;

	if (layer->size < 0) {
		auto_close int tree = layer_open_tree(store, oci_digest_hex(&layer->chain_id), e);
		if (tree < 0 || tree_count(tree, &found, e) < 0)
			return -1;
		layer->size = (int64_t)found.file_size - (alone ? 0 : below);
		/* A whole tree from which more was removed than came to it. */
		if (layer->size < 0)
			layer->size = 0;
		layer->entries = (int64_t)found.entries;
	}
	layer->total = below + layer->size;
	if (!store->writable || !layer->provisional)
		return 0;
	return layer_update(store, oci_digest_hex(&layer->chain_id), set_size, layer, e);
}

static void add_uncounted(struct uncounted *list, const struct layer *layer)
{
	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 16;
		struct layer *items = realloc(list->items, list->room * sizeof *items);
		if (!items)
			abort();
		list->items = items;
	}
	list->items[list->count++] = *layer;
}

int layer_count(struct store *store, const char *chain, struct layer *layer, struct err *e)
{
	struct uncounted list = {0};
	struct layer found;
	int64_t below = 0;
	int rc = 0;

	if (layer_read(store, chain, &found, e) < 0)
		return -1;
	if (found.total >= 0) {
		*layer = found;
		return 0;
	}
	if (driver_use(store, NULL, e) < 0)
		return -1;
	add_uncounted(&list, &found);
	while (rc == 0 && found.parent.text[0]) {
		rc = layer_read(store, oci_digest_hex(&found.parent), &found, e);
		if (rc == 0 && found.total >= 0) {
			below = found.total;
			break;
		}
		if (rc == 0)
			add_uncounted(&list, &found);
	}
	for (size_t i = list.count; rc == 0 && i-- > 0;) {
		rc = count_one(store, &list.items[i], below, e);
		below = list.items[i].total;
	}
	if (rc == 0)
		*layer = list.items[0];
	free(list.items);
	return rc;
}
