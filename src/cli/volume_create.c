/* volume_create.c - brig volume create. */
#include <stddef.h>
#include <string.h>

#include "cli/open.h"
#include "engine/volume.h"

struct volume_create_cli {
	const char *driver, *name;
	struct strings labels, options;
};

static const struct opt options_table[] = {
	{"driver", 'd', OPT_STRING, offsetof(struct volume_create_cli, driver), NULL,
		"Specify volume driver name (default \"local\")"},
	{"label", 0, OPT_LIST, offsetof(struct volume_create_cli, labels), NULL, "Set metadata for a volume"},
	{"name", 0, OPT_STRING, offsetof(struct volume_create_cli, name), NULL, "Specify volume name", NULL,
		OPT_HIDDEN},
	{"opt", 'o', OPT_LIST, offsetof(struct volume_create_cli, options), "map",
		"Set driver specific options"},
	{NULL},
};

/* KEY alone is KEY= for a label, and a mistake for an option. */
static int complete(struct arena *arena, struct strings *list, const char *flag, bool bare, struct err *e)
{
	char shown[100];

	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];
		if (!*item || *item == '=' || (!bare && !strchr(item, '=')))
			return err_set(e, ERR_INVALID, 0,
				"invalid argument \"%s\" for \"%s\" flag: it must be KEY=VALUE",
				err_sanitize(shown, sizeof shown, item), flag);
		if (!strchr(item, '='))
			list->items[i] = arena_printf(arena, "%s=", item);
	}
	return 0;
}

static int run_create(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct volume_create_cli *options = given;
	const char *name = argc ? argv[0] : options->name;
	char shown[100];

	if (argc && options->name)
		return err_set(e, ERR_USAGE, 0,
			"conflicting options: cannot specify a volume-name through both --name and as a "
			"positional arg");
	if (options->driver && *options->driver && strcmp(options->driver, "local") != 0)
		return err_set(e, ERR_NOT_FOUND, 0,
			"there is no volume driver \"%s\": volumes here are of the driver \"local\"",
			err_sanitize(shown, sizeof shown, options->driver));
	if (complete(&cli->arena, &options->labels, "--label", true, e) < 0 ||
		complete(&cli->arena, &options->options, "-o, --opt", false, e) < 0)
		return -1;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	if (name && !*name)
		name = NULL;
	if (!engine || engine_volume_create(engine, &name, &options->labels, &options->options, e) < 0)
		return -1;
	cli_print(cli, "%s\n", name);
	return 0;
}

const struct verb verb_volume_create = {
	.name = "volume create",
	.summary = "Create a volume",
	.usage = "[OPTIONS] [VOLUME]",
	.examples =
		"volume create data\ta volume, which run -v data:/path mounts\n"
		"volume create --label backup=daily db\tone that filters find\n"
		"volume create -o type=tmpfs -o device=tmpfs -o o=size=64m scratch\ta file system of its own",
	.options = options_table,
	.options_size = sizeof(struct volume_create_cli),
	.max_operands = 1,
	.run = run_create,
};
