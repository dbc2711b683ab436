/*
 * tidy.h - what is better done after a commit was reported than before.
 */
#ifndef ENGINE_TIDY_H
#define ENGINE_TIDY_H

#include "engine/engine.h"
#include "store/image.h"

/* Starts a process of its own, which nobody waits for: it counts how large the image is, and puts
 * layers together that containers would mount one by one. Failures are nobody's: the next
 * commit tries again. */
void tidy_later(struct engine *engine, const struct image *image);

#endif
