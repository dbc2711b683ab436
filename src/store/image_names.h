/*
 * image_names.h - the file images/names in memory. For image*.c only.
 *
 * Whoever writes holds images/lock exclusively from load to save. Who only wants to know
 * one image maps the file and parses no more than that image's lines: a page that is
 * touched costs more than scanning it.
 */
#ifndef STORE_IMAGE_NAMES_H
#define STORE_IMAGE_NAMES_H

#include "store/image.h"

enum image_name_kind { IMAGE_NAME_SERIAL, IMAGE_NAME_TAG, IMAGE_NAME_DIGEST };

struct image_name {
	const char *name;
	enum image_name_kind kind;
	char id[65]; /* the image's hex */
	int64_t when;
};

struct image_names {
	struct arena arena; /* holds the rest */
	struct image_name *items;
	size_t count, room;
	const char *mapped; /* image_names_map() only: the file's bytes */
	size_t mapped_length;
};

/* Maps the file, items stay empty: image_names_resolve() works, and image_names_take(). */
int image_names_map(struct store *store, struct image_names *names, struct err *e);
/* Parses the lines of one image. */
int image_names_take(struct store *store, struct image_names *names, const char *id, struct err *e);

int image_names_load(struct store *store, struct image_names *names, struct err *e);
/* Durable. */
int image_names_save(struct store *store, const struct image_names *names, struct err *e);
void image_names_free(struct image_names *names);
#define auto_names __attribute__((cleanup(image_names_free)))

/* The entry of that name, or NULL. */
struct image_name *image_names_get(const struct image_names *names, const char *name);
/* The serial of an image, or NULL where it has no line. */
const struct image_name *image_names_serial(const struct image_names *names, const char *id);
void image_names_set(struct image_names *names, const char *name, const char *id, int64_t when);
void image_names_drop(struct image_names *names, const char *name);
/* A serial that nobody has. ERR_NO_SPACE when there is none. */
int image_names_new_serial(const struct image_names *names, char serial[IMAGE_SERIAL], struct err *e);
/* Takes images/lock exclusively, and loads the names as they are under it, with every record
 * among them. The caller ends with store_unlock_images(). */
int image_names_begin(struct store *store, struct image_names *names, struct err *e);
/* Gives records without a line their serial again. Returns how many, or -1. */
int image_names_adopt(struct store *store, struct image_names *names, struct err *e);

/* What text means, as image_find; id gets its hex. */
int image_names_resolve(const struct image_names *names, const char *text, char id[65], struct err *e);

/* Parses a file's bytes: 0, or the number of the line that is damaged. */
size_t image_names_parse(struct image_names *names, const char *bytes, size_t length);
/* Parses a record's bytes: NULL, or what is wrong with it (the arena's). */
const char *image_record_parse(
	struct arena *arena, const char *bytes, size_t length, const char *id, struct image *image);

/* Reads images/HEX.json and what the image is called. */
int image_read(struct store *store, struct arena *arena, const struct image_names *names, const char *id,
	struct image *image, struct err *e);
/* Calls each for every record's hex (64 digits) until it returns non-zero. */
int image_each_record(
	struct store *store, int (*each)(void *context, const char *id), void *context, struct err *e);

#endif
