/* volume_rm.c - brig volume rm. */
#include <stddef.h>

#include "cli/open.h"
#include "engine/control.h"
#include "engine/volume.h"

struct volume_rm_cli {
	bool force;
};

static const struct opt options_table[] = {
	{"force", 'f', OPT_BOOL, offsetof(struct volume_rm_cli, force), NULL,
		"Force the removal of one or more volumes"},
	{NULL},
};

static int rm_one(struct cli *cli, struct engine *engine, const char *name, void *given, struct err *e)
{
	const struct volume_rm_cli *options = given;

	/* As docker: -f makes one that is not there a success, and nothing else. */
	if (engine_volume_remove(engine, name, e) < 0 && !(options->force && e->kind == ERR_NOT_FOUND))
		return -1;
	cli_print(cli, "%s\n", name);
	return 0;
}

static int run_rm(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);

	if (!engine)
		return -1;
	/* What a killed command left uses nothing any more. */
	control_settle_all(engine);
	return cli_each(cli, engine, argc, argv, rm_one, given);
}

const struct verb verb_volume_rm = {
	.name = "volume rm",
	.aliases = "volume remove",
	.summary = "Remove one or more volumes",
	.usage = "[OPTIONS] VOLUME [VOLUME...]",
	.examples = "volume rm data\ta volume that no container uses, with all that it holds",
	.options = options_table,
	.options_size = sizeof(struct volume_rm_cli),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_rm,
};
