/*
 * image.h - images as users see them: removing, and docker's JSON of one.
 */
#ifndef ENGINE_IMAGE_H
#define ENGINE_IMAGE_H

#include "base/json.h"
#include "engine/engine.h"
#include "store/image.h"

/* image_remove() with the containers of this store as the image's users. */
int engine_image_remove(struct engine *engine, const char *text, unsigned flags,
	struct image_removal *removal, struct err *e);

/* Ends what a killed rmi began, and removes what a container stood on that has gone meanwhile.
 * Cheap where there is nothing of the kind. Neither of the store's locks is held. */
void engine_collect_garbage(struct engine *engine);

/* How many containers were made from the image, and whether one runs is in *running; takes NULL. */
size_t engine_image_containers(struct engine *engine, const struct oci_digest *id, bool *running);

/* Writes what `docker image inspect` shows of the image as one object. */
int engine_image_inspect(struct engine *engine, const struct image *image, struct json_writer *w,
	const char *key, struct err *e);

/* The image's config members that a container inherits, as docker writes them ("Config"). */
void engine_image_config(const struct oci_config *config, struct json_writer *w, const char *key);

#endif
