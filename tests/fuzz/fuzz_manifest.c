/* fuzz_manifest.c - a manifest that was accepted keeps its promises and can be written. */
#include <stdint.h>
#include <stdlib.h>

#include "oci/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct err e = {0};
	struct oci_manifest first, again;

	if (oci_manifest_parse(&arena, (const char *)data, size, NULL, &first, &e) == 0) {
		struct buf out = {0};
		for (size_t i = 0; i < first.count; i++)
			if (!oci_digest_valid(first.layers[i].digest.text) || first.layers[i].size < 0)
				abort();
		oci_manifest_write(&out, &first);
		if (oci_manifest_parse(&arena, out.data, out.length, first.media_type, &again, &e) < 0 ||
			again.count != first.count)
			abort();
		buf_free(&out);
	} else if (e.kind != ERR_INVALID && e.kind != ERR_UNSUPPORTED) {
		abort();
	}
	arena_free(&arena);
	return 0;
}
