/* fuzz_store_image.c - image records and the list of names, as a damaged disk gives them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/image_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char id[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct arena arena = {0};
	struct image image = {0};
	struct image_names names = {0};
	struct err e = {0};

	const char *why = image_record_parse(&arena, (const char *)data, size, id, &image);
	if (!why) {
		for (size_t i = 0; i < image.layer_count; i++)
			if (!oci_digest_valid(image.layers[i].chain_id.text))
				abort();
	} else if (!*why) {
		abort();
	}
	if (image_names_parse(&names, (const char *)data, size) == 0) {
		char found[65], serial[IMAGE_SERIAL];
		for (size_t i = 0; i < names.count; i++) {
			if (strlen(names.items[i].id) != 64)
				abort();
			image_names_resolve(&names, names.items[i].name, found, &e);
		}
		image_names_resolve(&names, "aa", found, &e);
		if (image_names_new_serial(&names, serial, &e) < 0 || image_names_get(&names, serial))
			abort();
	}
	image_names_free(&names);
	arena_free(&arena);
	return 0;
}
