/*
 * init.h - `brig init DIR`: an image from a folder of the host.
 */
#ifndef ENGINE_INIT_H
#define ENGINE_INIT_H

#include "base/err.h"
#include "engine/engine.h"
#include "store/image.h"

/* Copies the folder into the store as an image of one layer without a name other than its
 * serial. The folder is only read. Warns of what no layer can hold: sockets, devices, mounted
 * file systems. */
int engine_init(struct engine *engine, const char *folder, char serial[IMAGE_SERIAL], struct err *e);

#endif
