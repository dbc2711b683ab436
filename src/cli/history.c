/* history.c - brig history: the steps that an image was made by, the last one first. */
#include <string.h>

#include "base/auto.h"
#include "base/table.h"
#include "base/time.h"
#include "cli/format.h"
#include "cli/open.h"
#include "store/image.h"

struct history_options {
	bool exact; /* --human=false */
	bool no_trunc, quiet;
	const char *format;
};

static const struct opt options_table[] = {
	{"format", 0, OPT_STRING, offsetof(struct history_options, format), NULL, FORMAT_HELP},
	{"human", 'H', OPT_BOOL, offsetof(struct history_options, exact), NULL,
		"Print sizes and dates in human readable format (default true)", .flags = OPT_INVERTED},
	{"no-trunc", 0, OPT_BOOL, offsetof(struct history_options, no_trunc), NULL, "Don't truncate output"},
	{"quiet", 'q', OPT_BOOL, offsetof(struct history_options, quiet), NULL, "Only show image IDs"},
	{NULL},
};

static const struct format_column columns[] = {
	{"Comment", "COMMENT"},
	{"CreatedAt", "CREATED AT"},
	{"CreatedBy", "CREATED BY"},
	{"CreatedSince", "CREATED"},
	{"ID", "IMAGE"},
	{"Size", "SIZE"},
	{NULL, NULL},
};

static const struct format_list lists[] = {
	{
		.columns = columns,
		.usual = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
		.type = "*image.historyContext",
		.parse_error = "template parsing error",
		.execute_error = "template parsing error",
	},
	{
		.columns = columns,
		.usual = "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
		.type = "*image.historyContext",
		.parse_error = "template parsing error",
		.execute_error = "template parsing error",
	},
};

struct step {
	const struct history_options *options;
	struct arena *arena;
	int64_t now;
	const char *id;
	int64_t size; /* bytes */
};

/* A table's cell: no tabs, no line ends, 45 characters unless all was asked for. */
static const char *created_by(const struct step *step, const char *text)
{
	auto_buf struct buf out = {0};
	char *clean = arena_strdup(step->arena, text ? text : "");

	for (char *c = clean; *c; c++) {
		if (*c == '\t' || *c == '\n')
			*c = ' ';
	}
	if (step->options->no_trunc)
		return clean;
	table_ellipsis(&out, clean, 45);
	return arena_strdup(step->arena, out.data ? out.data : "");
}

static void fill_row(const struct step *step, const struct oci_history *entry, struct format_row *row)
{
	struct arena *arena = step->arena;
	char time[TIME_TEXT], size[TABLE_QUANTITY];
	bool known = entry->created != TIME_NONE;
	int64_t whole = known ? entry->created - entry->created % TIME_SECOND : 0;

	row->arena = arena;
	format_put(row, "Comment", entry->comment ? entry->comment : "");
	format_put(row, "CreatedAt", known ? arena_strdup(arena, time_format(time, whole)) : "");
	format_put(row, "CreatedBy", created_by(step, entry->created_by));
	format_put(
		row, "CreatedSince", arena_strdup(arena, time_format_ago(time, entry->created, step->now)));
	format_put(row, "ID", step->id);
	format_put(row, "Size",
		step->options->exact ? arena_printf(arena, "%lld", (long long)step->size)
				     : arena_strdup(arena, table_size(size, step->size)));
}

static int run_history(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct history_options *o = given;
	struct arena *arena = &cli->arena;
	struct image image;
	struct oci_config config;
	const char *format = o->format;

	struct engine *engine = cli_engine(cli, ENGINE_READ, e);
	if (!engine || image_find(&engine->store, arena, argv[0], &image, e) < 0 ||
		image_config(&engine->store, arena, &image, &config, e) < 0 ||
		image_all_layers(&engine->store, arena, &image, e) < 0 ||
		image_count(&engine->store, &image, true, e) < 0)
		return -1;
	size_t count = config.history_count, layer = 0;
	struct format_row *rows = arena_array(arena, count + 1, sizeof *rows);
	const char *id = o->no_trunc ? image.id.text : arena_memdup(arena, oci_digest_hex(&image.id), 12);
	struct step step = {.options = o, .arena = arena, .now = time_now()};
	for (size_t i = 0; i < count; i++) {
		const struct oci_history *entry = &config.history[i];
		bool has_layer = !entry->empty_layer && layer < image.layer_count;
		step.size = has_layer ? image.layers[layer++].size : 0;
		step.id = i + 1 == count ? id : "<missing>";
		fill_row(&step, entry, &rows[i]);
		rows[i].next = i ? &rows[i - 1] : NULL;
	}
	if (o->quiet && (!format || !strcmp(format, "table")))
		format = "{{.ID}}";
	struct format_plan plan;
	if (format_plan(cli, &lists[o->exact], format, &plan, e) < 0)
		return -1;
	return format_rows(&plan, count ? &rows[count - 1] : NULL, e);
}

const struct verb verb_history = {
	.name = "history",
	.aliases = "image history",
	.summary = "Show the history of an image",
	.usage = "[OPTIONS] IMAGE",
	.examples = "history debian\thow it was made, the last step first",
	.options = options_table,
	.options_size = sizeof(struct history_options),
	.min_operands = 1,
	.max_operands = 1,
	.run = run_history,
};
