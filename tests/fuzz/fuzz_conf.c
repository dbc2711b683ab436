/* fuzz_conf.c - brig.conf: any bytes are a configuration or an error with a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct config config;
	struct err e = {0};

	config_init(&config);
	if (config_parse(&config, &arena, (const char *)data, size, "f", &e) < 0) {
		if (e.kind != ERR_INVALID || strncmp(e.what, "f:", 2) != 0)
			abort();
	} else if (config.log_max_size < 0 || config.log_max_file < 0 || config.pids_limit < 0) {
		abort();
	}
	arena_free(&arena);
	return 0;
}
