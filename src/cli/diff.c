/* diff.c - brig diff. */
#include "cli/open.h"
#include "engine/diff.h"

static int run_diff(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct change *changes;
	size_t count;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);

	if (!engine || engine_diff(engine, argv[0], &changes, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		cli_print(cli, "%c %s\n", changes[i].kind, changes[i].path);
	return 0;
}

const struct verb verb_diff = {
	.name = "diff",
	.aliases = "container diff",
	.summary = "Inspect changes to files or directories on a container's filesystem",
	.usage = "CONTAINER",
	.examples = "diff web\tA added, C changed, D deleted",
	.min_operands = 1,
	.max_operands = 1,
	.run = run_diff,
};
