/* fuzz_config.c - a config that was accepted is written to what reads as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct err e = {0};
	struct oci_config config;

	if (oci_config_parse(&arena, (const char *)data, size, &config, &e) == 0) {
		struct buf first = {0}, second = {0};
		oci_chain_ids(&arena, &config);
		oci_config_write(&first, &config);
		if (oci_config_parse(&arena, first.data, first.length, &config, &e) < 0)
			abort();
		oci_config_write(&second, &config);
		if (strcmp(first.data, second.data) != 0)
			abort();
		buf_free(&first);
		buf_free(&second);
	} else if (e.kind != ERR_INVALID) {
		abort();
	}
	arena_free(&arena);
	return 0;
}
