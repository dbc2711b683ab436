/* wait.c - brig wait. */
#include "cli/open.h"
#include "engine/control.h"

static int wait_one(struct cli *cli, struct engine *engine, const char *name, void *context, struct err *e)
{
	struct container container;
	int exit_code;

	if (container_find(&engine->containers, name, &container, e) < 0 ||
		control_wait(engine, &container, &exit_code, e) < 0)
		return -1;
	cli_print(cli, "%d\n", exit_code);
	return cli_flush(cli, e);
}

static int run_wait(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct engine *engine = cli_engine(cli, ENGINE_CHANGE, e);
	return engine ? cli_each(cli, engine, argc, argv, wait_one, NULL) : -1;
}

const struct verb verb_wait = {
	.name = "wait",
	.aliases = "container wait",
	.summary = "Block until one or more containers stop, then print their exit codes",
	.usage = "CONTAINER [CONTAINER...]",
	.examples = "wait job\tprints its exit status when it has ended",
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_wait,
};
