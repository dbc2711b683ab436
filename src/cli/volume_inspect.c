/* volume_inspect.c - brig volume inspect. */
#include "cli/format.h"
#include "cli/inspect.h"

struct inspect_options {
	const char *format;
};

static const struct opt options_table[] = {
	{"format", 'f', OPT_STRING, offsetof(struct inspect_options, format), NULL, FORMAT_OBJECT_HELP},
	{NULL},
};

static int run_inspect(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct inspect_options *options = given;

	return cli_inspect(cli, INSPECT_VOLUME, options->format, argc, argv, e);
}

const struct verb verb_volume_inspect = {
	.name = "volume inspect",
	.summary = "Display detailed information on one or more volumes",
	.usage = "[OPTIONS] VOLUME [VOLUME...]",
	.examples = "volume inspect -f '{{.Mountpoint}}' data\twhere its files are",
	.options = options_table,
	.options_size = sizeof(struct inspect_options),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_inspect,
};
