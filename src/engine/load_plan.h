/*
 * load_plan.h - what an archive's documents say: the images in it and where their parts are.
 *
 * Nothing is written here, and nothing is believed: a plan's digests were computed from the
 * bytes, its names obey the grammar and may be given, its numbers are bounded.
 */
#ifndef ENGINE_LOAD_PLAN_H
#define ENGINE_LOAD_PLAN_H

#include "base/arena.h"
#include "base/err.h"
#include "engine/archive.h"
#include "oci/digest.h"
#include "oci/platform.h"
#include "oci/reference.h"

enum {
	LOAD_IMAGES_MAX = 1024,
	LOAD_NAMES_MAX = 4096,
	LOAD_LAYERS_MAX = 16384,       /* of all images */
	LOAD_DOCUMENTS_MAX = 64 << 20, /* bytes of all manifests and configs */
};

struct load_source {
	struct oci_digest diff, chain;
	const char *member;     /* its name in the archive */
	struct oci_digest blob; /* its digest there, where it is to be kept; else none */
	int64_t blob_size;
};

struct load_image {
	struct oci_digest id, manifest; /* manifest: none in docker's form */
	struct buf config_bytes, manifest_bytes;
	int64_t created;
	struct oci_platform platform;
	struct load_source *layers; /* the lowest first */
	size_t layer_count;
	struct reference *names;
	size_t name_count;
};

struct load_plan {
	struct load_image *images;
	size_t count;
};

/* Strings and lists are the arena's. */
int load_plan_make(struct load_plan *plan, const struct archive *archive, struct arena *arena, struct err *e);
void load_plan_free(struct load_plan *plan);

#endif
