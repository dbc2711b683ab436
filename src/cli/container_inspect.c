/* container_inspect.c - brig container inspect. */
#include <stddef.h>

#include "cli/format.h"
#include "cli/inspect.h"

static const struct inspect_wish defaults = {.kinds = INSPECT_CONTAINER};

static const struct opt options_table[] = {
	{"format", 'f', OPT_STRING, offsetof(struct inspect_wish, format), NULL, FORMAT_OBJECT_HELP},
	{"size", 's', OPT_BOOL, offsetof(struct inspect_wish, size), NULL, "Display total file sizes"},
	{NULL},
};

static int run_inspect(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	return cli_inspect(cli, given, argc, argv, e);
}

const struct verb verb_container_inspect = {
	.name = "container inspect",
	.summary = "Display detailed information on one or more containers",
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.options = options_table,
	.options_size = sizeof(struct inspect_wish),
	.defaults = &defaults,
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_inspect,
};
