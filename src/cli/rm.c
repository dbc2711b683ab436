/* rm.c - brig rm: containers, and an image by its serial name. */
#include <stddef.h>

#include "cli/open.h"
#include "cli/rmi.h"
#include "engine/control.h"
#include "oci/reference.h"
#include "store/image.h"

struct rm_cli {
	bool force;
	bool volumes;
};

static const struct opt rm_options[] = {
	{"force", 'f', OPT_BOOL, offsetof(struct rm_cli, force), NULL,
		"Force the removal of a running container (uses SIGKILL)"},
	{"volumes", 'v', OPT_BOOL, offsetof(struct rm_cli, volumes), NULL,
		"Remove anonymous volumes associated with the container"},
	{NULL},
};

static int rm_one(struct cli *cli, struct engine *engine, const char *name, void *given, struct err *e)
{
	struct rm_cli *options = given;
	struct container container;

	if (container_find(&engine->containers, name, &container, e) < 0) {
		/* ps_NNNNN is a serial too, but a container's. */
		if (e->kind == ERR_NOT_FOUND && reference_is_serial(name) && *name == 'i')
			return cli_remove_image(
				cli, engine, name, options->force ? IMAGE_REMOVE_FORCE : 0, e);
		/* As docker: with -f what is not there is as good as removed. */
		return e->kind == ERR_NOT_FOUND && options->force ? cli_complain(e) - 1 : -1;
	}
	const struct control_removal how = {.force = options->force, .volumes = options->volumes};
	if (control_remove(engine, &container, &how, e) < 0)
		return -1;
	cli_print(cli, "%s\n", name);
	return 0;
}

static int run_rm(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	return engine ? cli_each(cli, engine, argc, argv, rm_one, given) : -1;
}

const struct verb verb_rm = {
	.name = "rm",
	.aliases = "container rm, container remove",
	.summary = "Remove one or more containers",
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.examples = "rm web\ta container that has stopped\nrm -f web\tkill it first\nrm img_42150\tan image, "
		    "by its serial name",
	.options = rm_options,
	.options_size = sizeof(struct rm_cli),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_rm,
};
