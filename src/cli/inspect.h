/* inspect.h - brig inspect, for one kind of thing or for all. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "cli/open.h"

enum inspect_kind {
	INSPECT_CONTAINER = 1,
	INSPECT_IMAGE = 2,
	INSPECT_VOLUME = 4,
	INSPECT_ANY = INSPECT_CONTAINER | INSPECT_IMAGE | INSPECT_VOLUME,
};

/* The options of the verbs for one kind. */
struct inspect_one {
	const char *format;
};
extern const struct opt inspect_one_options[];

/* What is asked for. */
struct inspect_wish {
	enum inspect_kind kinds;
	const char *format; /* NULL or "": the whole document */
	bool size;          /* of containers, which takes time */
};

/* Prints an array with the document of each name, or what format says of each, a line
 * each. A name that is not there is complained about, and the status is 1. */
int cli_inspect(struct cli *cli, const struct inspect_wish *wish, int argc, char **argv, struct err *e);

#endif
