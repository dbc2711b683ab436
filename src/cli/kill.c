/* kill.c - brig kill. */
#include <signal.h>
#include <stddef.h>

#include "cli/open.h"
#include "engine/control.h"

struct kill_cli {
	const char *signal;
	int number;
};

static const struct kill_cli defaults = {.number = SIGKILL};

static const struct opt kill_options[] = {
	{"signal", 's', OPT_STRING, offsetof(struct kill_cli, signal), NULL,
		"Signal to send to the container"},
	{NULL},
};

static int kill_one(struct cli *cli, struct engine *engine, const char *name, void *given, struct err *e)
{
	struct kill_cli *options = given;
	struct container container;

	if (container_find(&engine->containers, name, &container, e) < 0)
		return -1;
	if (control_kill(engine, &container, options->number, e) < 0) {
		struct err why = *e;
		err_set(e, why.kind, 0, "cannot kill container: %s: %s", name, why.what);
		return -1;
	}
	cli_print(cli, "%s\n", name);
	return 0;
}

static int run_kill(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct kill_cli *options = given;

	if (options->signal && *options->signal &&
		control_signal_number(options->signal, &options->number, e) < 0)
		return -1;
	struct engine *engine = cli_engine(cli, ENGINE_CHANGE, e);
	return engine ? cli_each(cli, engine, argc, argv, kill_one, options) : -1;
}

const struct verb verb_kill = {
	.name = "kill",
	.aliases = "container kill",
	.summary = "Kill one or more running containers",
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.examples = "kill web\tSIGKILL\nkill -s HUP web\tmake it read its configuration again",
	.options = kill_options,
	.options_size = sizeof(struct kill_cli),
	.defaults = &defaults,
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_kill,
};
