/* fuzz_mountinfo.c - a mountinfo file, whose names are others', and what zfs(8) says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/place.h"
#include "store/zfs_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct err e = {0};
	struct place place;
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (place_parse(&arena, text, "12", &place)) {
		if (strchr(text, '\n') == text || !*place.mount_point || !*place.type || !*place.options)
			abort();
		/* One line for a shell and an error. */
		if (strlen(place_mount_command(&arena, &place)) < strlen("mount"))
			abort();
	}
	if (zfs_explain(text, "tank", &e) != ZFS_FAILED && e.kind == ERR_NONE)
		abort();
	free(text);
	arena_free(&arena);
	return 0;
}
