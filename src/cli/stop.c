/* stop.c - brig stop. */
#include <stddef.h>

#include "cli/open.h"
#include "engine/control.h"

struct stop_cli {
	const char *signal;
	int64_t timeout;
	int number;
};

static const struct stop_cli defaults = {.timeout = -2};

static const struct opt stop_options[] = {
	{"signal", 's', OPT_STRING, offsetof(struct stop_cli, signal), NULL,
		"Signal to send to the container"},
	{"timeout", 't', OPT_INTEGER, offsetof(struct stop_cli, timeout), NULL,
		"Seconds to wait before killing the container"},
	{"time", 0, OPT_INTEGER, offsetof(struct stop_cli, timeout), NULL,
		"Seconds to wait before killing the container", NULL, OPT_HIDDEN},
	{NULL},
};

static int stop_one(struct cli *cli, struct engine *engine, const char *name, void *given, struct err *e)
{
	struct stop_cli *options = given;
	struct container container;

	if (container_find(&engine->containers, name, &container, e) < 0 ||
		control_stop(engine, &container, options->number, options->timeout, e) < 0)
		return -1;
	cli_print(cli, "%s\n", name);
	return 0;
}

static int run_stop(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct stop_cli *options = given;

	if (options->signal && *options->signal &&
		control_signal_number(options->signal, &options->number, e) < 0)
		return -1;
	struct engine *engine = cli_engine(cli, ENGINE_CHANGE, e);
	return engine ? cli_each(cli, engine, argc, argv, stop_one, options) : -1;
}

const struct verb verb_stop = {
	.name = "stop",
	.aliases = "container stop",
	.summary = "Stop one or more running containers",
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.examples = "stop web\tSIGTERM, and SIGKILL ten seconds later\nstop -t 60 db\tgive it a minute",
	.options = stop_options,
	.options_size = sizeof(struct stop_cli),
	.defaults = &defaults,
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_stop,
};
