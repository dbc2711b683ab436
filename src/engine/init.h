/*
 * init.h - `brig init DIR`: an image from a folder of the host.
 */
#ifndef ENGINE_INIT_H
#define ENGINE_INIT_H

#include "base/err.h"
#include "engine/engine.h"
#include "store/image.h"

/* What was left out of the image, as no layer can hold it. */
struct init_result {
	char serial[IMAGE_SERIAL];
	uint64_t skipped; /* sockets, devices, mounted file systems, attributes */
};

/* Copies the folder into the store as an image of one layer without a name other than its
 * serial. The folder is only read. */
int engine_init(struct engine *engine, const char *folder, struct init_result *result, struct err *e);

#endif
