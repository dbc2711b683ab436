/* image_prune.c - removing all images that nobody needs. */
#include "engine/image_prune.h"

#include <string.h>

#include "base/time.h"
#include "engine/image.h"

static bool is_dangling(const struct image *image)
{
	return !image->tags.count && !image->digests.count &&
	       (image->parent.text[0] || image->tagged != TIME_NONE);
}

static void add_all(struct arena *arena, struct strings *to, const struct strings *from)
{
	for (size_t i = 0; i < from->count; i++)
		strings_add(arena, to, from->items[i]);
}

/* What went with the image, by the sizes that were known before. */
static int64_t bytes_of(const struct image *image, const struct strings *deleted)
{
	int64_t sum = 0;

	for (size_t i = 0; i < deleted->count; i++)
		for (size_t k = 0; k < image->layer_count; k++) {
			const struct image_layer *layer = &image->layers[k];
			if (strcmp(layer->chain_id.text, deleted->items[i]) != 0)
				continue;
			sum += layer->size > 0 ? layer->size : 0;
			sum += layer->blob.text[0] ? layer->blob_size : 0;
			break;
		}
	return sum;
}

/* By its names, the last of which takes it along: without force, so that a container that was made from it
 * meanwhile keeps it. */
static void remove_one(struct engine *engine, struct image *image, struct image_prune *result)
{
	struct arena *arena = engine->arena;
	struct image_removal removal;
	struct err ignored;
	struct strings names = {0};

	if (image_all_layers(&engine->store, arena, image, &ignored) < 0 ||
		image_count(&engine->store, image, true, &ignored) < 0)
		return;
	add_all(arena, &names, &image->tags);
	if (!names.count)
		strings_add(arena, &names, image->id.text);
	for (size_t i = 0; i < names.count; i++) {
		removal = (struct image_removal){0};
		if (engine_image_remove(engine, names.items[i], 0, &removal, &ignored) < 0)
			return;
		add_all(arena, &result->untagged, &removal.untagged);
		add_all(arena, &result->deleted, &removal.deleted);
		result->freed += bytes_of(image, &removal.deleted);
	}
}

int engine_image_prune(struct engine *engine, const struct image_prune_options *options,
	struct image_prune *result, struct err *e)
{
	struct image *images;
	size_t count;

	*result = (struct image_prune){0};
	if (image_list(&engine->store, engine->arena, &images, &count, e) < 0)
		return -1;
	/* The youngest first, so what was committed on others goes before those. */
	for (size_t i = 0; i < count; i++) {
		struct image *image = &images[i];
		if (image->damaged || image->intermediate || !(options->all || is_dangling(image)) ||
			(options->fits && !options->fits(options->context, image)) ||
			engine_image_containers(engine, &image->id, NULL))
			continue;
		remove_one(engine, image, result);
	}
	return 0;
}
