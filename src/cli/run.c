/* run.c - brig run: options to struct run_options. The story is in engine/run.c. */
#include <stddef.h>
#include <unistd.h>

#include "cli/container_options.h"
#include "cli/open.h"
#include "engine/run.h"

struct run_cli {
	struct container_options container;
	bool detach;
	bool no_signals;
	const char *detach_keys;
};

static const struct run_cli defaults = {.container = CONTAINER_DEFAULTS};

static const struct opt run_options[] = {
	CONTAINER_ROWS(struct run_cli, container),
	{"detach", 'd', OPT_BOOL, offsetof(struct run_cli, detach), NULL,
		"Run container in background and print container ID"},
	{"detach-keys", 0, OPT_STRING, offsetof(struct run_cli, detach_keys), NULL,
		"Override the key sequence for detaching a container"},
	{"sig-proxy", 0, OPT_BOOL, offsetof(struct run_cli, no_signals), NULL,
		"Proxy received signals to the process (default true)", NULL, OPT_INVERTED},
	{NULL},
};

static int run_run(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct run_cli *options = given;
	struct run_options run = {.detach = options->detach};
	struct run_result result = {0};

	if (container_options_apply(cli, &options->container, argc, argv, &run.create, e) < 0 ||
		container_options_check(&run.create, e) < 0 ||
		attach_parse_keys(options->detach_keys, &run.attaching, e) < 0)
		return -1;
	struct container_config *config = &run.create.config;
	if (options->detach && options->container.attach.count) {
		err_set(e, ERR_INVALID, 0, "conflicting options: cannot specify both --attach and --detach");
		return cli_complain(e);
	}
	if (options->detach) {
		config->attach_stdin = config->attach_stdout = config->attach_stderr = config->stdin_once =
			false;
	} else {
		/* docker's status for this, which is not the engine's, is 1. */
		if (config->terminal && config->attach_stdin && !isatty(STDIN_FILENO)) {
			err_set(e, ERR_INVALID, 0, "the input device is not a TTY");
			return cli_complain(e);
		}
		run.attaching.terminal = config->terminal;
		run.attaching.input = config->open_stdin && config->attach_stdin;
		run.attaching.no_signals = options->no_signals;
		run.attach = (config->attach_stdout ? MONITOR_STDOUT : 0) |
			     (config->attach_stderr && !config->terminal ? MONITOR_STDERR : 0) |
			     (run.attaching.input ? MONITOR_STDIN : 0);
	}
	if (container_options_cidfile(&options->container, &run.create, e) < 0)
		return -1;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	if (!engine || engine_run(engine, &run, &result, e) < 0) {
		struct container container;
		struct err ignored;
		if (!engine || !*result.id ||
			container_find(&engine->containers, result.id, &container, &ignored) < 0)
			container_options_no_cidfile(&options->container);
		return -1;
	}
	if (options->detach)
		cli_print(cli, "%s\n", result.id);
	return result.status;
}

const struct verb verb_run = {
	.name = "run",
	.aliases = "container run",
	.summary = "Create and run a new container from an image",
	.usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.examples =
		"run -it --rm debian bash\ta shell in a new container that is gone afterwards\n"
		"run -d --name web -v /srv/www:/usr/share/nginx/html:ro nginx\ta server in the background\n"
		"run --rm -m 256m --cpus 0.5 debian make\ta job with limits",
	.options = run_options,
	.options_size = sizeof(struct run_cli),
	.defaults = &defaults,
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.flags = VERB_EXIT_125 | VERB_STOP_AT_OPERAND | VERB_COMMON | VERB_EXECUTES | VERB_ENTERS,
	.run = run_run,
};
