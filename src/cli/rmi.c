/* rmi.c - brig rmi. */
#include "cli/rmi.h"

#include "engine/image.h"

struct rmi_options {
	bool force;
	bool no_prune;
};

static const struct opt options_table[] = {
	{"force", 'f', OPT_BOOL, offsetof(struct rmi_options, force), NULL, "Force removal of the image"},
	{"no-prune", 0, OPT_BOOL, offsetof(struct rmi_options, no_prune), NULL,
		"Do not delete untagged parents"},
	{NULL},
};

int cli_remove_image(struct cli *cli, struct engine *engine, const char *name, unsigned flags, struct err *e)
{
	struct image_removal removal = {0};

	if (engine_image_remove(engine, name, flags, &removal, e) < 0)
		return -1;
	for (size_t i = 0; i < removal.untagged.count; i++)
		cli_print(cli, "Untagged: %s\n", removal.untagged.items[i]);
	for (size_t i = 0; i < removal.deleted.count; i++)
		cli_print(cli, "Deleted: %s\n", removal.deleted.items[i]);
	return 0;
}

static int run_rmi(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct rmi_options *options = given;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	unsigned flags =
		(options->force ? IMAGE_REMOVE_FORCE : 0) | (options->no_prune ? IMAGE_REMOVE_NO_PRUNE : 0);
	int status = 0;

	if (!engine)
		return -1;
	for (int i = 0; i < argc; i++) {
		struct err why = {0};
		if (cli_remove_image(cli, engine, argv[i], flags, &why) >= 0)
			continue;
		cli_complain(&why);
		/* As docker: with -f what is not there is as good as removed. */
		if (why.kind != ERR_NOT_FOUND || !options->force)
			status = 1;
	}
	return status;
}

const struct verb verb_rmi = {
	.name = "rmi",
	.aliases = "image rm, image remove",
	.summary = "Remove one or more images",
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.examples = "rmi debian:11\ta name, and the image if that was its last\n"
		    "rmi -f 634fde8ab1f2\tan image with all of its names",
	.options = options_table,
	.options_size = sizeof(struct rmi_options),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_rmi,
};
