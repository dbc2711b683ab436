/* fuzz_json.c - what the parser accepts, the writer writes and the parser accepts again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct err e = {0};
	struct json *value = json_parse(&arena, (const char *)data, size, "input", &e);

	if (value) {
		struct buf first = {0}, second = {0};
		struct json_writer w = {.out = &first, .indent = size % 3, .escape_html = size & 1};
		json_put_tree(&w, NULL, value);
		value = json_parse(&arena, first.data, first.length, "output", &e);
		if (!value)
			abort();
		w.out = &second;
		json_put_tree(&w, NULL, value);
		if (first.length != second.length || memcmp(first.data, second.data, first.length))
			abort();
		buf_free(&first);
		buf_free(&second);
	} else if (e.kind != ERR_INVALID || !e.what[0]) {
		abort();
	}
	arena_free(&arena);
	return 0;
}
