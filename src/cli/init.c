/* init.c - brig init. */
#include "cli/open.h"
#include "engine/init.h"

static int run_init(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	char serial[IMAGE_SERIAL];
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);

	if (!engine || engine_init(engine, argv[0], serial, e) < 0)
		return -1;
	cli_print(cli, "Created: %s\n", serial);
	return 0;
}

const struct verb verb_init = {
	.name = "init",
	.summary = "Create an image from a directory",
	.usage = "DIRECTORY",
	.examples = "init base-image/\tprints the serial name of the new image\n"
		    "run -it --rm img_42150 sh\truns it",
	.min_operands = 1,
	.max_operands = 1,
	.flags = VERB_COMMON,
	.run = run_init,
};
