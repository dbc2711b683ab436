/* fuzz_reference.c - a reference, its full form and its familiar form mean the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/digest.h"
#include "oci/platform.h"
#include "oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct err e = {0};
	struct reference first, again;
	struct oci_platform platform, same;
	struct oci_digest digest;
	char *text = malloc(size + 1), shown[OCI_PLATFORM_TEXT];

	memcpy(text, data, size);
	text[size] = '\0';
	if (reference_parse(&arena, text, &first, &e) == 0) {
		const char *full = reference_full(&arena, &first);
		if (reference_parse(&arena, full, &again, &e) < 0 ||
			strcmp(full, reference_full(&arena, &again)) != 0)
			abort();
		const char *familiar = reference_familiar(&arena, &first);
		/* 64 hex digits alone are an image id, and refused as a name. */
		if (strlen(familiar) != 64 && (reference_parse(&arena, familiar, &again, &e) < 0 ||
						      strcmp(full, reference_full(&arena, &again)) != 0))
			abort();
		reference_check_new(&first, &e);
	} else if (e.kind != ERR_INVALID) {
		abort();
	}
	if (oci_platform_parse(text, &platform, &e) == 0) {
		oci_platform_format(shown, &platform);
		if (oci_platform_parse(shown, &same, &e) < 0 || oci_platform_rank(&platform, &same) != 0)
			abort();
	}
	if (oci_digest_parse(text, &digest, &e) == 0 && strcmp(digest.text, text) != 0)
		abort();
	free(text);
	arena_free(&arena);
	return 0;
}
