/*
 * mount_spec.h - docker's grammars for mounts: -v, --mount, --tmpfs, --volumes-from.
 *
 * Pure: nothing is opened, looked at or made here, so that a fuzzer can have it; whether a
 * bind's source is there is create's business. Errors are docker's where they can be.
 */
#ifndef ENGINE_MOUNT_SPEC_H
#define ENGINE_MOUNT_SPEC_H

#include "base/arena.h"
#include "base/err.h"
#include "engine/container.h"

/* -v [NAME|/HOST/PATH]:/PATH[:OPTIONS] and -v /PATH. here is the folder that a source which begins
 * with a dot is relative to; "" where nobody knows. */
int mount_spec_volume(struct arena *arena, const char *here, const char *text, struct container_mount *mount,
	struct err *e);
/* --mount type=volume,source=…,target=…,… */
int mount_spec_mount(struct arena *arena, const char *text, struct container_mount *mount, struct err *e);
/* --tmpfs /PATH[:OPTIONS] */
int mount_spec_tmpfs(struct arena *arena, const char *text, struct container_mount *mount, struct err *e);

/* --volumes-from CONTAINER[:ro|rw] */
struct mount_spec_from {
	const char *container;
	bool readonly;
};
int mount_spec_from(struct arena *arena, const char *text, struct mount_spec_from *from, struct err *e);

/* Checks a place in the container and cleans it: absolute, not the root, nothing in /proc but
 * what lxcfs replaces. what is the whole wish, for the message. */
int mount_spec_target(
	struct arena *arena, const char *target, const char *what, const char **clean, struct err *e);
/* An image's VOLUME: that, and nothing in /sys. One that is not absolute is below the root. */
int mount_spec_image_volume(struct arena *arena, const char *target, const char **clean, struct err *e);

#endif
