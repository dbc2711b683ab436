/* export.c - brig export. */
#include <unistd.h>

#include "cli/open.h"
#include "engine/export.h"

struct export_cli {
	const char *output;
};

static const struct opt options_table[] = {
	{"output", 'o', OPT_STRING, offsetof(struct export_cli, output), "string",
		"Write to a file, instead of STDOUT"},
	{NULL},
};

static int run_export(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct export_cli *o = given;
	const char *path = o->output && *o->output ? o->output : NULL;

	if (!path && isatty(STDOUT_FILENO))
		return err_set(e, ERR_INVALID, 0,
			"cowardly refusing to save to a terminal. Use the -o flag or redirect");
	struct engine *engine = cli_engine(cli, ENGINE_CHANGE, e);
	return engine ? engine_export(engine, argv[0], path, STDOUT_FILENO, e) : -1;
}

const struct verb verb_export = {
	.name = "export",
	.aliases = "container export",
	.summary = "Export a container's filesystem as a tar archive",
	.usage = "[OPTIONS] CONTAINER",
	.examples = "export -o web.tar web\tall its files, without its volumes\n"
		    "export web | tar -t\twhat is in there",
	.options = options_table,
	.options_size = sizeof(struct export_cli),
	.min_operands = 1,
	.max_operands = 1,
	.run = run_export,
};
