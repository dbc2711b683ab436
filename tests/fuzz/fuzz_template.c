/* fuzz_template.c - any text is a template that prints something, or an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char document[] =
		"{\"A\": \"x y\", \"B\": [1, 2.5, null, {\"C\": true}], \"D\": {\"k\": \"v\", \"l\": \"w\"}}";
	struct arena arena = {0};
	struct buf out = {0};
	struct err e = {0};
	const char *text = arena_memdup(&arena, data, size);

	const struct json *dot = json_parse(&arena, document, sizeof document - 1, "input", &e);
	const struct template *template = template_parse(&arena, "", text, &e);
	struct template_data with = {.dot = dot};
	int r = template ? template_execute(template, &arena, &with, &out, &e) : -1;
	if (r < 0 && !e.what[0])
		abort();
	buf_free(&out);
	arena_free(&arena);
	return 0;
}
