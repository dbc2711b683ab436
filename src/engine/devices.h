/* devices.h - the host's device nodes, for privileged containers. */
#ifndef ENGINE_DEVICES_H
#define ENGINE_DEVICES_H

#include <stddef.h>

#include "base/arena.h"
#include "oci/spec.h"

/* All character and block devices below /dev but terminals and what a container has of its
 * own. What cannot be read is left out. Returns the arena's list and its length. */
const struct spec_device *devices_of_host(struct arena *arena, size_t *count);

#endif
