/* attach.c - brig attach. */
#include <stddef.h>

#include "cli/open.h"
#include "engine/run.h"

static const struct opt attach_options[] = {
	{"detach-keys", 0, OPT_STRING, offsetof(struct start_options, detach_keys), NULL,
		"Override the key sequence for detaching a container"},
	{"no-stdin", 0, OPT_BOOL, offsetof(struct start_options, interactive), NULL, "Do not attach STDIN",
		NULL, OPT_INVERTED},
	{"sig-proxy", 0, OPT_BOOL, offsetof(struct start_options, no_signals), NULL,
		"Proxy all received signals to the process (default true)", NULL, OPT_INVERTED},
	{NULL},
};

static const struct start_options defaults = {.interactive = true};

static int run_attach(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct run_result result;
	struct engine *engine = cli_engine(cli, ENGINE_CHANGE, e);

	if (!engine || engine_attach(engine, argv[0], given, &result, e) < 0)
		return -1;
	return result.status;
}

const struct verb verb_attach = {
	.name = "attach",
	.aliases = "container attach",
	.summary = "Attach local standard input, output, and error streams to a running container",
	.usage = "[OPTIONS] CONTAINER",
	.examples = "attach web\tjoin its output; ctrl-p ctrl-q leaves a terminal",
	.options = attach_options,
	.options_size = sizeof(struct start_options),
	.defaults = &defaults,
	.min_operands = 1,
	.max_operands = 1,
	.run = run_attach,
};
