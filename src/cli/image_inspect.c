/* image_inspect.c - brig image inspect. */
#include "cli/inspect.h"

static int run_inspect(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct inspect_one *options = given;

	return cli_inspect(cli, &(struct inspect_wish){INSPECT_IMAGE, options->format, false}, argc, argv, e);
}

const struct verb verb_image_inspect = {
	.name = "image inspect",
	.summary = "Display detailed information on one or more images",
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.options = inspect_one_options,
	.options_size = sizeof(struct inspect_one),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_inspect,
};
