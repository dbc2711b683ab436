/* volume_prune.c - brig volume prune. */
#include <string.h>

#include "base/table.h"
#include "cli/open.h"
#include "cli/prune.h"
#include "engine/control.h"
#include "engine/volume.h"

struct volume_prune_cli {
	bool all, force;
	struct filters filters;
};

static const struct opt options_table[] = {
	{"all", 'a', OPT_BOOL, offsetof(struct volume_prune_cli, all), NULL,
		"Remove all unused volumes, not just anonymous ones"},
	{"filter", 0, OPT_PARSE, offsetof(struct volume_prune_cli, filters), "filter",
		"Provide filter values (e.g. \"label=<label>\")", filter_parse, 0},
	{"force", 'f', OPT_BOOL, offsetof(struct volume_prune_cli, force), NULL,
		"Do not prompt for confirmation"},
	{NULL},
};

static const char *const filter_keys[] = {"all", "label", "label!", NULL};

static bool fits(void *context, const struct volume *volume)
{
	const struct volume_prune_cli *options = context;

	if (!options->all && !volume_value(&volume->labels, VOLUME_ANONYMOUS))
		return false;
	return prune_labels(&options->filters, &volume->labels);
}

static int check_filters(struct volume_prune_cli *options, struct err *e)
{
	if (filter_check(&options->filters, filter_keys, e) < 0)
		return -1;
	for (const struct filter *filter = options->filters.first; filter; filter = filter->next) {
		bool value;
		if (strcmp(filter->key, "all") != 0)
			continue;
		if (opt_bool(filter->value, &value) < 0)
			return err_set(e, ERR_INVALID, 0, "invalid filter 'all=%s'", filter->value);
		options->all = options->all || value;
	}
	return 0;
}

static int run_prune(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct volume_prune_cli *options = given;
	struct volume_prune result;
	char size[TABLE_QUANTITY];

	if (check_filters(options, e) < 0)
		return -1;
	if (!options->force) {
		int yes = prune_confirmed(cli,
			options->all ? "all local volumes not used by at least one container"
				     : "anonymous local volumes not used by at least one container",
			e);
		if (yes <= 0)
			return yes;
	}
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	if (!engine)
		return -1;
	control_settle_all(engine);
	if (engine_volume_prune(engine, fits, options, &result, e) < 0)
		return -1;
	if (result.names.count)
		cli_print(cli, "Deleted Volumes:\n");
	for (size_t i = 0; i < result.names.count; i++)
		cli_print(cli, "%s\n", result.names.items[i]);
	cli_print(cli, "%sTotal reclaimed space: %s\n", result.names.count ? "\n" : "",
		table_size(size, result.size));
	return 0;
}

const struct verb verb_volume_prune = {
	.name = "volume prune",
	.summary = "Remove unused local volumes",
	.usage = "[OPTIONS]",
	.examples = "volume prune\tanonymous volumes that no container uses\n"
		    "volume prune -a --filter label!=keep\tnamed ones, too, but for those",
	.options = options_table,
	.options_size = sizeof(struct volume_prune_cli),
	.run = run_prune,
};
