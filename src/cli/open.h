/* open.h - a verb's way to the engine. */
#ifndef CLI_OPEN_H
#define CLI_OPEN_H

#include "cli/cli.h"
#include "engine/engine.h"

/* Opens the engine for this command; closed with the process. NULL with e. */
struct engine *cli_engine(struct cli *cli, enum engine_access access, struct err *e);

/* Says on stderr which other stores of this host hold something, where the caller may be looking for
 * one of those. */
void cli_other_stores(struct cli *cli);

/* Does one thing for each operand, as docker: an error is printed and the others are still
 * done. each prints what it has to print. Returns 0, or 1 if one failed. */
int cli_each(struct cli *cli, struct engine *engine, int argc, char **argv,
	int (*each)(struct cli *cli, struct engine *engine, const char *name, void *context, struct err *e),
	void *context);

#endif
