/* fuzz_index.c - an index that was accepted is no manifest, and a choice from it is sound. */
#include <stdint.h>
#include <stdlib.h>

#include "oci/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct oci_platform wants[] = {
		{"linux", "amd64", "v3"}, {"linux", "arm64", ""}, {"linux", "arm", "v7"}};
	struct arena arena = {0};
	struct err e = {0};
	struct oci_document document;

	if (oci_document_parse(&arena, (const char *)data, size, OCI_TYPE_INDEX, &document, &e) == 0) {
		if (document.kind != OCI_DOCUMENT_INDEX)
			abort();
		for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
			const struct oci_descriptor *chosen =
				oci_index_choose(&document.index, &wants[i], &e);
			if (chosen && !oci_digest_valid(chosen->digest.text))
				abort();
		}
	} else if (e.kind != ERR_INVALID && e.kind != ERR_UNSUPPORTED) {
		abort();
	}
	arena_free(&arena);
	return 0;
}
