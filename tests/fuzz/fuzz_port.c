/* fuzz_port.c - -p and --expose: what is taken is given again, and means the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "oci/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = {0};
	char *text = arena_memdup(&arena, (const char *)data, size);
	struct port_spec *rows, *again;
	struct err e = {0};
	size_t count, one;

	port_parse_expose(&arena, text, &rows, &count, &e);
	if (port_parse_publish(&arena, text, &rows, &count, &e) < 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (!rows[i].container || (rows[i].host_first && rows[i].host_last < rows[i].host_first))
			abort();
		if (i > 0 && i + 1 < count)
			continue;
		if (port_parse_publish(&arena, port_format(&arena, &rows[i]), &again, &one, &e) < 0 ||
			one != 1 || memcmp(again, &rows[i], sizeof *again) != 0)
			abort();
	}
	return 0;
}
