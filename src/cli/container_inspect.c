/* container_inspect.c - brig container inspect. */
#include "cli/inspect.h"

static int run_inspect(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct inspect_one *options = given;

	return cli_inspect(cli, INSPECT_CONTAINER, options->format, argc, argv, e);
}

const struct verb verb_container_inspect = {
	.name = "container inspect",
	.summary = "Display detailed information on one or more containers",
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.options = inspect_one_options,
	.options_size = sizeof(struct inspect_one),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_inspect,
};
