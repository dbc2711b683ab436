/*
 * image.h - the images of the store: records, names, and what removing one means.
 *
 * Theory of operation. An image is the digest of its config, as in docker. Its record,
 * images/HEX.json, lists its layers and the blobs that it came from. What it is called stands in
 * images/names, whose first line is "brig names 1" and every other
 *
 *	NAME <tab> HEX of the image <tab> when it was named, in nanoseconds since 1970
 *
 * NAME is its serial "img_NNNNN" (one for each image, so the file lists all images), a
 * tag "docker.io/library/debian:12", or the digest by which it was pulled,
 * "docker.io/library/debian@sha256:…". Tags move; the image that had one keeps the rest.
 *
 * Adding writes the record, then replaces names; removing replaces names, then deletes
 * the record, then content that nobody else uses. A crash between the two leaves a
 * record without a line, which the next writer gives its serial again: an image without
 * a tag, which can be removed. So even when names is lost or deleted by hand, only tags are
 * lost: the records still hold the serials.
 *
 * Locks: store.h. Everything here that changes something takes them itself.
 */
#ifndef STORE_IMAGE_H
#define STORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/digest.h"
#include "oci/image.h"
#include "oci/reference.h"
#include "store/store.h"

enum { IMAGE_SERIAL = 16 };

struct image_layer {
	struct oci_digest diff_id, chain_id;
	struct oci_digest blob; /* the compressed layer; none where it was made here */
	int64_t blob_size;
	int64_t size; /* of its files, bytes; -1: see image_count() */
};

struct image {
	struct oci_digest id;       /* of the config */
	char serial[IMAGE_SERIAL];  /* "img_12345" */
	struct oci_digest manifest; /* none where it was made here */
	int64_t created;            /* as its config says; TIME_NONE */
	int64_t added;              /* when this store got it */
	int64_t tagged;             /* when it was last given a tag; TIME_NONE */
	struct oci_platform platform;
	struct oci_digest parent;   /* the image that it was committed on; none */
	bool stacked;               /* its config is one part of several: image_config() */
	int64_t size;               /* of its layers' files; -1: see image_count() */
	struct image_layer *layers; /* the lowest first */
	size_t layer_count;
	size_t hidden;          /* layers between the last of these and the one before: image_all_layers() */
	struct strings tags;    /* familiar: "debian:12" */
	struct strings digests; /* familiar: "debian@sha256:…" */
	bool damaged;      /* image_list only: the record cannot be read; id, serial and names are good */
	bool intermediate; /* image_list only: no name, and another was committed on it */
};

/* The names that an image gets. */
struct image_names_given {
	const struct reference *references;
	size_t count;
	bool synced; /* store_sync() was called since the last blob and layer were written */
};

/*
 * Puts an image into the store, whose layers and blobs are there already; the caller holds
 * the content lock shared. An image with that id keeps its serial; else a serial that
 * stands in image->serial is handed over to it (its old holder gets another), and where
 * that is "" it gets a new one. image->serial and image->added are filled. Of each name, the
 * tag ("latest" where it has neither tag nor digest) is moved to the image, and the digest
 * noted. When it returns all is on the disk, blobs and layers too.
 */
int image_add(struct store *store, struct image *image, const struct image_names_given *names, struct err *e);

/*
 * Finds an image as docker does: by its whole id, its serial, a name (a digest in it counts
 * more than its tag; without both it is "latest"), the first digits of its id.
 * ERR_NOT_FOUND says "No such image: X:latest"; ERR_CORRUPT where its record is damaged.
 */
int image_find(
	struct store *store, struct arena *arena, const char *text, struct image *image, struct err *e);

/* All images, the youngest first. */
int image_list(struct store *store, struct arena *arena, struct image **images, size_t *count, struct err *e);

/* Moves a name (with a tag, or "latest") to the image. *previous is the image that had it, or
 * none; it may be NULL. ERR_NOT_FOUND where the image is gone meanwhile. */
int image_tag(struct store *store, const struct oci_digest *id, const struct reference *name,
	struct oci_digest *previous, struct err *e);

/*
 * The image's config, parsed and verified. One that was committed here holds only what it has
 * beyond the image that it was committed on: its "brig.below" names the config whose history and
 * diff_ids come before, so that a commit does not cost more the longer the chain is.
 * image_config() puts them together; image_config_own() leaves history and diff_ids as they
 * stand, for who wants the rest.
 */
int image_config(struct store *store, struct arena *arena, const struct image *image,
	struct oci_config *config, struct err *e);
int image_config_own(struct store *store, struct arena *arena, const struct image *image,
	struct oci_config *config, struct err *e);
/* The config below one of ours: 1 with its digest and whether it is one of ours too, or 0. */
int image_config_below(const struct oci_config *config, struct oci_digest *below, bool *stacked);
/* Replaces image->layers by all of them: none is hidden then. */
int image_all_layers(struct store *store, struct arena *arena, struct image *image, struct err *e);
/* Fills image->size where it is not known, and with layers the sizes of those listed. */
int image_count(struct store *store, struct image *image, bool layers, struct err *e);
/* Whether the folders of all its layers are there: ERR_CORRUPT names the missing one. */
int image_check_layers(struct store *store, const struct image *image, struct err *e);

/* Who else uses what an image consists of; asked under the locks that make the answer
 * last. A NULL function stands for nobody. */
struct image_users {
	void *context;
	/* Whether a container was made from the image (64 hex digits): its id, and whether it runs. */
	bool (*image_used)(void *context, const char *image, char container[65], bool *running);
	/* Calls use for every layer (its chain id's hex) that anything but images needs; use tells whether
	 * it had not been named yet. False where they cannot all be told: then none is removed. */
	bool (*name_layers)(void *context, bool (*use)(void *marks, const char *chain), void *marks);
	/* Whether a blob is. */
	bool (*blob_used)(void *context, const char *blob);
};

struct image_removal {
	struct oci_digest id;    /* the image that text meant */
	struct strings untagged; /* familiar names, in docker's order */
	struct strings deleted; /* digests: the image, then chain ids, the highest first; empty if it stays */
};

/*
 * docker's rmi. A name is taken away; when it was the image's last tag, the image goes
 * too. An id, or serial, removes the image with all of its names, which need force where they
 * are in more than one repository. ERR_CONFLICT in docker's words where a container uses
 * it (force helps unless that runs), or another image was committed on it. A damaged record
 * is no hindrance. The caller holds neither of the two locks.
 */
enum image_remove_flags {
	IMAGE_REMOVE_FORCE = 1,
	IMAGE_REMOVE_NO_PRUNE =
		2, /* parents without a name stay, though nothing was committed on them any more */
};
int image_remove(struct store *store, struct arena *arena, const char *text, unsigned flags,
	const struct image_users *users, struct image_removal *removal, struct err *e);

/* Whether an image was removed whose content may not all have gone: the command was killed, or a
 * container stood on it. image_collect() ends this, if it can. */
bool image_has_garbage(struct store *store);

/* Notes that content is about to come which no image names yet, and forgets that when one does; where
 * the command is killed in between, the note stays. */
struct image_note {
	uint64_t number;
	bool before; /* there was one already */
};
int image_expect_garbage(struct store *store, struct image_note *note, struct err *e);
void image_no_garbage(struct store *store, const struct image_note *note);

/* Removes content that nothing refers to. 0, or how many layers and blobs; does nothing while
 * somebody adds content. The bytes of the blobs removed are added to *freed, which may be
 * NULL. The caller holds neither of the two locks. */
int image_collect(struct store *store, const struct image_users *users, int64_t *freed, struct err *e);

#endif
