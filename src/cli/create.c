/* create.c - brig create. */
#include "cli/container_options.h"
#include "cli/open.h"

struct create_cli {
	struct container_options container;
};

static const struct create_cli defaults = {.container = CONTAINER_DEFAULTS};

static const struct opt create_options[] = {
	CONTAINER_ROWS(struct create_cli, container),
	{NULL},
};

static int run_create(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct create_cli *options = given;
	struct create_options create;
	struct container container;
	struct container_config config;

	if (container_options_apply(cli, &options->container, argc, argv, &create, e) < 0) {
		/* As docker: what cannot be understood is 125, what cannot be done is 1. */
		e->kind = ERR_USAGE;
		return -1;
	}
	if (container_options_check(&create, e) < 0 ||
		container_options_cidfile(&options->container, &create, e) < 0)
		return -1;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	if (!engine || engine_create(engine, &create, &container, &config, e) < 0) {
		container_options_no_cidfile(&options->container);
		return -1;
	}
	container_unlock(&container);
	cli_print(cli, "%s\n", container.id);
	return 0;
}

const struct verb verb_create = {
	.name = "create",
	.aliases = "container create",
	.summary = "Create a new container",
	.usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.examples = "create --name job debian make\ta container that brig start runs later",
	.options = create_options,
	.options_size = sizeof(struct create_cli),
	.defaults = &defaults,
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.flags = VERB_USAGE_125 | VERB_STOP_AT_OPERAND,
	.run = run_create,
};
