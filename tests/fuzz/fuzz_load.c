/* fuzz_load.c - what a plan says of an archive of images is true, whatever the archive says. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tar.h"
#include "engine/archive_index.h"
#include "engine/load_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t left;
};

static ssize_t read_input(void *context, void *bytes, size_t size)
{
	struct input *in = context;
	size_t n = size < in->left ? size : in->left;

	memcpy(bytes, in->data, n);
	in->data += n;
	in->left -= n;
	return (ssize_t)n;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct archive_member *)a)->name, ((const struct archive_member *)b)->name);
}

/* The index as the confined child makes it, in this process. */
static void make_index(struct archive *archive, struct arena *arena, const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct err e = {0};
	struct tar_entry entry;
	struct tar_reader *reader = tar_open(read_input, &in, &e);

	archive->members = calloc(64, sizeof *archive->members);
	while (archive->count < 64 && tar_next(reader, &entry, &e) > 0) {
		char *name = arena_strdup(arena, entry.path);
		archive_clean_name(name);
		archive->members[archive->count++] = (struct archive_member){
			.name = name,
			.link = arena_strdup(arena, entry.link),
			.type = entry.type == TAR_FILE       ? ARCHIVE_FILE
				: entry.type == TAR_SYMLINK  ? ARCHIVE_SYMLINK
				: entry.type == TAR_HARDLINK ? ARCHIVE_HARDLINK
							     : ARCHIVE_OTHER,
			.offset = tar_offset(reader),
			.size = entry.size < size - tar_offset(reader) ? entry.size : 0,
		};
	}
	tar_close(reader);
	qsort(archive->members, archive->count, sizeof *archive->members, compare);
}

static void check(const struct load_plan *plan)
{
	if (!plan->count || plan->count > LOAD_IMAGES_MAX)
		abort();
	for (size_t i = 0; i < plan->count; i++) {
		const struct load_image *image = &plan->images[i];
		struct oci_digest digest;
		oci_digest_of(image->config_bytes.data, image->config_bytes.length, &digest);
		if (!oci_digest_equal(&digest, &image->id))
			abort();
		if (image->manifest.text[0]) {
			oci_digest_of(image->manifest_bytes.data, image->manifest_bytes.length, &digest);
			if (!oci_digest_equal(&digest, &image->manifest))
				abort();
		}
		for (size_t k = 0; k < image->layer_count; k++)
			if (!image->layers[k].member || !oci_digest_valid(image->layers[k].diff.text) ||
				!oci_digest_is_sha256(&image->layers[k].chain))
				abort();
		struct err e;
		for (size_t k = 0; k < image->name_count; k++)
			if (reference_check_new(&image->names[k], &e) < 0 ||
				(!image->names[k].tag && !image->names[k].digest))
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct archive archive = {.name = "the archive", .file = memfd_create("archive", MFD_CLOEXEC)};
	struct load_plan plan;
	struct err e = {0};

	if (archive.file < 0 || fd_write_full(archive.file, data, size) < 0)
		abort();
	make_index(&archive, &arena, data, size);
	if (load_plan_make(&plan, &archive, &arena, &e) == 0) {
		check(&plan);
		load_plan_free(&plan);
	} else if (!e.kind || !memchr(e.what, '\0', sizeof e.what)) {
		abort();
	}
	free(archive.members);
	close(archive.file);
	arena_free(&arena);
	return 0;
}
