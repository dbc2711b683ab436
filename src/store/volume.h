/*
 * volume.h - volumes: folders with a name that outlive the containers they are mounted in.
 *
 * Theory of operation. A volume is a folder volumes/NAME with
 *
 *	_data		what containers see, docker's Mountpoint; a plain folder, or what the
 *			storage driver makes (a btrfs subvolume, a ZFS dataset)
 *	volume.json	when it was made, its labels and options, and its state
 *
 * It is made in staging, synced, and renamed to its name; it is removed by a rename into
 * staging, and what it holds after that. So a name is there with all that belongs to it or not
 * at all, and what a crash leaves is staging, for store_sweep().
 *
 * Nobody counts who uses a volume: containers' config.json say so, and are asked. store.h has the
 * lock that makes the answer last.
 *
 * The state is about what the image has at the place where the volume is mounted first, which is
 * copied into an empty new volume:
 *
 *	fresh	no container has been given it; what it holds, if anything, is the user's
 *	filling	somebody copies into it, or was killed while doing so: all it holds is that
 *	used	a container has been given it; nothing is ever copied into it again
 *
 * "fresh" becomes "filling", and "filling" "used", only by who holds the volume's own lock, a
 * flock(2) on its folder; no container gets to see the volume before it is "used". Who finds it
 * "filling" with the lock free empties it and begins anew.
 */
#ifndef STORE_VOLUME_H
#define STORE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"

/* docker's label of volumes that nobody has named; they go with their container. */
#define VOLUME_ANONYMOUS "com.docker.volume.anonymous"

enum { VOLUME_NAME_LIMIT = 255 /* it is a folder's */ };

enum volume_state { VOLUME_FRESH, VOLUME_FILLING, VOLUME_USED };

struct volume {
	const char *name;
	int64_t created;                /* nanoseconds since 1970 */
	struct strings labels, options; /* KEY=VALUE */
	enum volume_state state;
	bool damaged; /* volume_list only: its volume.json cannot be read */
};

/* docker's grammar: [a-zA-Z0-9][a-zA-Z0-9_.-]+, so that it can be no path. ERR_INVALID. */
int volume_check_name(const char *name, struct err *e);
/* A name for one that has none: 64 hexadecimal digits. */
const char *volume_new_name(struct arena *arena);

/* The value of KEY in a list of KEY=VALUE, or NULL. */
const char *volume_value(const struct strings *pairs, const char *key);

/* Makes a volume, created now if that is 0. 1 where it was made, 0 where one of that name is
 * there already, which stays as it is; -1. durable syncs it. Under volumes/.lock. */
int volume_create(struct store *store, const struct volume *wish, bool durable, struct err *e);

/* ERR_NOT_FOUND ("get NAME: no such volume"), ERR_CORRUPT. A name that cannot be one's is not
 * found either. */
int volume_read(
	struct store *store, struct arena *arena, const char *name, struct volume *volume, struct err *e);

/* All of them by name. */
int volume_list(
	struct store *store, struct arena *arena, struct volume **volumes, size_t *count, struct err *e);

/* Opens what it holds, never through a link: O_RDONLY. ERR_CORRUPT where a folder of it was
 * replaced by something else. */
int volume_open(struct store *store, const char *name, struct err *e);
/* Opens a place in what volume_open gave, which whoever wrote into the volume controls: neither
 * links nor ".." are followed. Returns an O_PATH descriptor. */
int volume_open_below(int data, const char *name, const char *path, struct err *e);

/* A volume that is given to a container for the first time. */
struct volume_fill {
	bool durable; /* for volume_fill_begin: it outlives a crash. Else a rename that the disk has before
			 the record's bytes would leave it damaged. */
	int folder;   /* its own lock; -1 where there is none to end */
	int data;
};

/* Waits until nobody else fills it. 1: it is empty and the caller is to fill fill->data, and then
 * to end this; 0: there is nothing to do, or, without wanted, never will be; -1. */
int volume_fill_begin(
	struct store *store, const char *name, bool wanted, struct volume_fill *fill, struct err *e);
/* It holds all that it shall. */
int volume_fill_end(struct store *store, const char *name, struct volume_fill *fill, struct err *e);
/* Gives up: what is there already goes, and whoever is given it next begins anew. */
void volume_fill_undo(struct volume_fill *fill);

/* Begins a removal: staging that volumes are moved to. */
int volume_stage(struct store *store, struct store_stage *stage, struct err *e);
/* Takes the volume's name away; what it holds goes with the stage. One that is damaged can be
 * taken too. ERR_NOT_FOUND, ERR_CONFLICT where something is mounted on it, or, with a dataset, a
 * process of the host is in it. Under volumes/.lock, exclusive. */
int volume_take(struct store *store, const char *name, const struct store_stage *stage, struct err *e);
/* Removes what was taken; takes a stage whose fd is -1. What could not be removed (-1) is left
 * to a sweep. */
int volume_stage_drop(struct store *store, struct store_stage *stage, struct err *e);
/* For store_sweep(): empties such a stage. */
int volume_stage_empty(struct store *store, int stage, struct err *e);

/* The bytes that it takes on the disk. */
int64_t volume_size(struct store *store, const char *name);

#endif
