/*
 * doctor.h - what this host has of what brig needs, and what to do about the rest.
 *
 * A table of checks, each a row: what it is about, a function that looks, and one that mends, where
 * brig can. Looking changes nothing. A finding that brig copes with is a note: there is no bridge
 * yet, say, which the first container brings.
 */
#ifndef ENGINE_DOCTOR_H
#define ENGINE_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

enum doctor_status {
	DOCTOR_OK,
	DOCTOR_NOTE, /* brig works, without something or by itself */
	DOCTOR_BAD,  /* it will fail */
};

enum { DOCTOR_TEXT = 320, DOCTOR_FIX = 640 };

struct doctor_finding {
	enum doctor_status status;
	char text[DOCTOR_TEXT];
	char fix[DOCTOR_FIX]; /* what the user can do: lines, or "" */
	/* What doctor_fix would do, as it stands in "shall brig … ?"; "": it can do nothing. */
	char offer[128];
};

struct doctor_check {
	const char *name;
	const char *about; /* one line, for the manual and the help */
	void (*look)(struct engine *engine, struct doctor_finding *finding);
	int (*fix)(struct engine *engine, struct err *e); /* or NULL */
};

/* The table; ends with a row without a name. */
extern const struct doctor_check doctor_checks[];

const struct doctor_check *doctor_find(const char *name, struct err *e);

/* ---- for the rows: doctor_fix.c ---- */

/* Makes a btrfs file system in the file image and mounts it at folder; what is there already is used. */
int doctor_make_btrfs(const char *image, const char *folder, struct err *e);
int doctor_switch_on_forwarding(struct engine *engine, struct err *e);
int doctor_make_bridge(struct engine *engine, struct err *e);

#endif
