/* start.c - brig start. */
#include <stddef.h>

#include "cli/open.h"
#include "engine/run.h"

static const struct opt start_options[] = {
	{"attach", 'a', OPT_BOOL, offsetof(struct start_options, attach), NULL,
		"Attach STDOUT/STDERR and forward signals"},
	{"detach-keys", 0, OPT_STRING, offsetof(struct start_options, detach_keys), NULL,
		"Override the key sequence for detaching a container"},
	{"interactive", 'i', OPT_BOOL, offsetof(struct start_options, interactive), NULL,
		"Attach container's STDIN"},
	{NULL},
};

static int start_one(struct cli *cli, struct engine *engine, const char *name, void *options, struct err *e)
{
	struct run_result result;
	if (engine_start(engine, name, options, &result, e) < 0)
		return -1;
	cli_print(cli, "%s\n", name);
	return 0;
}

static int run_start(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct start_options *options = given;
	struct run_result result;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);

	if (!engine)
		return -1;
	if (!options->attach && !options->interactive)
		return cli_each(cli, engine, argc, argv, start_one, options);
	if (argc > 1)
		return err_set(e, ERR_INVALID, 0, "you cannot start and attach multiple containers at once");
	if (engine_start(engine, argv[0], options, &result, e) < 0)
		return -1;
	return result.status;
}

const struct verb verb_start = {
	.name = "start",
	.aliases = "container start",
	.summary = "Start one or more stopped containers",
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.examples = "start web\tstart it in the background\nstart -ai job\tstart it and stay with it",
	.options = start_options,
	.options_size = sizeof(struct start_options),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.flags = VERB_EXECUTES | VERB_ENTERS,
	.run = run_start,
};
