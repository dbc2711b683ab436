/* image_prune.c - brig image prune. */
#include "engine/image_prune.h"

#include <string.h>

#include "base/table.h"
#include "base/time.h"
#include "cli/open.h"
#include "cli/prune.h"

struct image_prune_cli {
	bool all, force;
	struct filters filters;
};

static const struct opt options_table[] = {
	{"all", 'a', OPT_BOOL, offsetof(struct image_prune_cli, all), NULL,
		"Remove all unused images, not just dangling ones"},
	{"filter", 0, OPT_PARSE, offsetof(struct image_prune_cli, filters), "filter",
		"Provide filter values (e.g. \"until=<timestamp>\")", filter_parse, 0},
	{"force", 'f', OPT_BOOL, offsetof(struct image_prune_cli, force), NULL,
		"Do not prompt for confirmation"},
	{NULL},
};

static const char *const filter_keys[] = {"dangling", "label", "label!", "until", NULL};

struct wanted {
	struct cli *cli;
	const struct image_prune_cli *options;
	int64_t until; /* 0: any */
};

static int read_filters(struct wanted *wanted, struct image_prune_cli *options, struct err *e)
{
	if (filter_check(&options->filters, filter_keys, e) < 0)
		return -1;
	for (const struct filter *filter = options->filters.first; filter; filter = filter->next) {
		bool dangling;
		if (!strcmp(filter->key, "until") &&
			time_parse_since(filter->value, time_now(), &wanted->until) < 0)
			return err_set(
				e, ERR_INVALID, 0, "invalid filter 'until=%s': not a time", filter->value);
		if (strcmp(filter->key, "dangling") != 0)
			continue;
		if (opt_bool(filter->value, &dangling) < 0)
			return err_set(e, ERR_INVALID, 0, "invalid filter 'dangling=%s'", filter->value);
		options->all = !dangling;
	}
	return 0;
}

static bool fits(void *context, const struct image *image)
{
	const struct wanted *wanted = context;
	struct arena *arena = &wanted->cli->arena;
	struct strings labels = {0};
	struct oci_config config;
	struct err ignored;

	if (wanted->until && image->created >= wanted->until)
		return false;
	if (!filter_given(&wanted->options->filters, "label") &&
		!filter_given(&wanted->options->filters, "label!"))
		return true;
	if (image_config(&wanted->cli->engine->store, arena, image, &config, &ignored) < 0)
		return false;
	for (size_t i = 0; i < config.label_count; i++)
		strings_add(arena, &labels,
			arena_printf(arena, "%s=%s", config.labels[i].key, config.labels[i].value));
	return prune_labels(&wanted->options->filters, &labels);
}

static int run_prune(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct image_prune_cli *options = given;
	struct wanted wanted = {.cli = cli, .options = options};
	struct image_prune result;
	char size[TABLE_QUANTITY];

	if (read_filters(&wanted, options, e) < 0)
		return -1;
	if (!options->force) {
		int yes = prune_confirmed(cli,
			options->all ? "all images without at least one container associated to them"
				     : "all dangling images",
			e);
		if (yes <= 0)
			return yes;
	}
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	const struct image_prune_options prune = {.all = options->all, .fits = fits, .context = &wanted};
	if (!engine || engine_image_prune(engine, &prune, &result, e) < 0)
		return -1;
	bool any = result.untagged.count || result.deleted.count;
	if (any)
		cli_print(cli, "Deleted Images:\n");
	for (size_t i = 0; i < result.untagged.count; i++)
		cli_print(cli, "untagged: %s\n", result.untagged.items[i]);
	for (size_t i = 0; i < result.deleted.count; i++)
		cli_print(cli, "deleted: %s\n", result.deleted.items[i]);
	cli_print(cli, "%sTotal reclaimed space: %s\n", any ? "\n" : "", table_size(size, result.freed));
	return 0;
}

const struct verb verb_image_prune = {
	.name = "image prune",
	.summary = "Remove unused images",
	.usage = "[OPTIONS]",
	.examples = "image prune\timages that have lost their names\n"
		    "image prune -a --filter until=240h\tall that no container uses, older than ten days",
	.options = options_table,
	.options_size = sizeof(struct image_prune_cli),
	.run = run_prune,
};
