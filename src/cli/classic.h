/*
 * classic.h - the classic dialect: brig called as bocker, shocker or zocker.
 *
 * The three scripts' commands, over the same engine functions as brig's own. What a script
 * printed on stdout is printed there, its complaints ("No container named 'x' exists") too, and
 * each ends with the script's exit status; what only brig has to say goes to stderr. Commands are
 * const rows of struct verb as brig's are, in a table of their own (classic.c); what differs
 * between the three names is a row of dialects.
 */
#ifndef CLI_CLASSIC_H
#define CLI_CLASSIC_H

#include "cli/open.h"
#include "store/image.h"

struct dialect {
	const char *name;     /* "shocker" */
	const char *variable; /* "SHOCKER", before _CPU_SHARE and _MEM_LIMIT */
	bool sources;         /* images tells where they came from */
	/* The first column's width in images and ps; 0: two tabs end it. */
	unsigned images_width, ps_width;
};

/* The dialect of the name that a program is called by, NULL where that is none of the three. */
const struct dialect *classic_dialect(const char *program);

/* The commands, NULL at the end; and one by its name, or NULL. */
extern const struct verb *const classic_verbs[];
const struct verb *classic_find(const char *name);

/* Each command with its usage; verb NULL: all of them. */
void classic_help(const struct dialect *dialect, const struct verb *verb, struct buf *out);

/* ---- for the commands ---- */

/* cli_engine() on the store of the dialect. */
struct engine *classic_engine(struct cli *cli, enum engine_access access, struct err *e);

/* A row of images or ps, or its heading; second may be NULL. */
void classic_row(struct cli *cli, unsigned width, const char *first, const char *second);

/* "No container named 'x' exists", on stdout. Returns 1, the exit status. */
int classic_missing(struct cli *cli, const char *what, const char *name);

/* Finds an image by its serial, or as brig does. 0; 1 after classic_missing(); -1. */
int classic_find_image(
	struct cli *cli, struct engine *engine, const char *name, struct image *image, struct err *e);
int classic_find_container(
	struct cli *cli, struct engine *engine, const char *name, struct container *container, struct err *e);

#endif
