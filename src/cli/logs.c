/* logs.c - brig logs. */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/time.h"
#include "cli/open.h"
#include "engine/control.h"
#include "engine/logs.h"

struct logs_cli {
	bool details, follow, timestamps;
	const char *tail, *since, *until;
};

static const struct opt logs_options[] = {
	{"details", 0, OPT_BOOL, offsetof(struct logs_cli, details), NULL,
		"Show extra details provided to logs"},
	{"follow", 'f', OPT_BOOL, offsetof(struct logs_cli, follow), NULL, "Follow log output"},
	{"since", 0, OPT_STRING, offsetof(struct logs_cli, since), NULL,
		"Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 "
		"minutes)"},
	{"tail", 'n', OPT_STRING, offsetof(struct logs_cli, tail), NULL,
		"Number of lines to show from the end of the logs (default \"all\")"},
	{"timestamps", 't', OPT_BOOL, offsetof(struct logs_cli, timestamps), NULL, "Show timestamps"},
	{"until", 0, OPT_STRING, offsetof(struct logs_cli, until), NULL,
		"Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for "
		"42 minutes)"},
	{NULL},
};

struct followed {
	struct engine *engine;
	struct container container;
};

static bool still_running(void *context)
{
	struct followed *followed = context;
	struct container now;

	if (!container_read(&followed->engine->containers, followed->container.slot, &now) ||
		strcmp(now.id, followed->container.id))
		return false;
	enum control_state state = control_observe(followed->engine, &now);
	return state == CONTROL_RUNNING;
}

static int parse_time(const char *text, int64_t *when, const char *option, struct err *e)
{
	if (text && time_parse_since(text, time_now(), when) < 0)
		return err_set(
			e, ERR_INVALID, 0, "invalid value for \"%s\": \"%s\" is no time", option, text);
	return 0;
}

static int run_logs(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct logs_cli *options = given;
	struct followed followed;
	struct logs_options logs = {
		.follow = options->follow,
		.timestamps = options->timestamps,
		.details = options->details,
		.tail = -1,
		.running = still_running,
		.context = &followed,
	};

	if (options->tail && *options->tail && strcmp(options->tail, "all") &&
		(opt_integer(options->tail, &logs.tail) < 0))
		return err_set(
			e, ERR_INVALID, 0, "invalid value for \"tail\": \"%s\" is no number", options->tail);
	if (parse_time(options->since, &logs.since, "since", e) < 0 ||
		parse_time(options->until, &logs.until, "until", e) < 0)
		return -1;
	followed.engine = cli_engine(cli, ENGINE_READ, e);
	if (!followed.engine ||
		container_find(&followed.engine->containers, argv[0], &followed.container, e) < 0)
		return -1;
	auto_close int dir = container_open_dir(&followed.engine->containers, &followed.container, e);
	if (dir < 0)
		return -1;
	return logs_read(dir, &logs, STDOUT_FILENO, STDERR_FILENO, e);
}

const struct verb verb_logs = {
	.name = "logs",
	.aliases = "container logs",
	.summary = "Fetch the logs of a container",
	.usage = "[OPTIONS] CONTAINER",
	.examples = "logs -f web\twhat it printed, and what it prints from now on\nlogs --since 10m -t "
		    "web\tthe last ten minutes, with times",
	.options = logs_options,
	.options_size = sizeof(struct logs_cli),
	.min_operands = 1,
	.max_operands = 1,
	.flags = VERB_COMMON,
	.run = run_logs,
};
