/* fuzz_change.c - any text is a row of Dockerfile instructions that change a config, or an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct oci_config config = {.user = "", .working_dir = "/w", .stop_signal = "", .hostname = ""};
	struct err e = {0};
	const char *text = arena_memdup(&arena, data, size);

	strings_add(&arena, &config.env, "A=1");
	if (oci_change_apply(&arena, text, &config, &e) < 0 && !e.what[0])
		abort();
	/* What came of it is a config: it can be written. */
	struct buf out = {0};
	oci_config_write(&out, &config);
	buf_free(&out);
	arena_free(&arena);
	return 0;
}
