/* volume_ls.c - brig volume ls. */
#include <stdint.h>
#include <string.h>

#include "base/auto.h"
#include "cli/filter.h"
#include "cli/format.h"
#include "cli/open.h"
#include "engine/volume.h"
#include "engine/volumes.h"

struct volume_ls_cli {
	bool quiet;
	const char *format;
	struct filters filters;
};

static const struct opt options_table[] = {
	FILTER_ROW(volume_ls_cli, filters),
	{"format", 0, OPT_STRING, offsetof(struct volume_ls_cli, format), NULL, FORMAT_HELP},
	{"quiet", 'q', OPT_BOOL, offsetof(struct volume_ls_cli, quiet), NULL, "Only display volume names"},
	{NULL},
};

static const char *const filter_keys[] = {"dangling", "driver", "label", "name", NULL};

static const struct format_column columns[] = {
	{"Availability", "AVAILABILITY"},
	{"Driver", "DRIVER"},
	{"Group", "GROUP"},
	{"Labels", "LABELS"},
	{"Links", "LINKS"},
	{"Mountpoint", "MOUNTPOINT"},
	{"Name", "VOLUME NAME"},
	{"Scope", "SCOPE"},
	{"Size", "SIZE"},
	{"Status", "STATUS"},
	{NULL, NULL},
};

/* One line of the list. */
struct item {
	const struct volume *volume;
	struct arena *arena;
};

static const struct json *label_method(void *context, const char *name, const char *argument)
{
	const struct item *item = context;

	if (strcmp(name, "Label") != 0)
		return NULL;
	const char *value = volume_value(&item->volume->labels, argument);
	struct json *found = arena_new(item->arena, struct json);
	*found = (struct json){.type = JSON_STRING, .string = value ? value : ""};
	return found;
}

static const struct format_list list = {
	.columns = columns,
	.usual = "table {{.Driver}}\t{{.Name}}",
	.type = "*volume.volumeContext",
	.parse_error = "failed to parse template",
	.execute_error = "failed to execute template",
	.method = label_method,
};

/* "true", "1", "false", "0": 1 or 0; -1 where no value makes sense of it. */
static int dangling_wish(const struct filters *filters, struct err *e)
{
	int wish = -1;

	for (const struct filter *filter = filters->first; filter; filter = filter->next) {
		bool value;
		if (strcmp(filter->key, "dangling") != 0)
			continue;
		if (opt_bool(filter->value, &value) < 0)
			return err_set(e, ERR_INVALID, 0, "invalid filter 'dangling=%s'", filter->value) - 1;
		wish = value;
	}
	return wish;
}

static const char *labels_text(struct arena *arena, const struct strings *labels)
{
	auto_buf struct buf out = {0};

	for (size_t i = 0; i < labels->count; i++)
		buf_printf(&out, "%s%s", i ? "," : "", labels->items[i]);
	return arena_strdup(arena, out.data ? out.data : "");
}

static void fill_row(struct engine *engine, const struct volume *volume, struct format_row *row)
{
	struct item *item = arena_new(engine->arena, struct item);

	*item = (struct item){.volume = volume, .arena = engine->arena};
	row->arena = engine->arena;
	row->context = item;
	format_put(row, "Availability", "N/A");
	format_put(row, "Driver", "local");
	format_put(row, "Group", "N/A");
	format_put(row, "Labels", labels_text(engine->arena, &volume->labels));
	format_put(row, "Links", "N/A");
	format_put(row, "Mountpoint", engine_volume_mountpoint(engine, engine->arena, volume->name));
	format_put(row, "Name", volume->name);
	format_put(row, "Scope", "local");
	format_put(row, "Size", "N/A");
	format_put(row, "Status", "N/A");
}

static int run_ls(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct volume_ls_cli *options = given;
	const char *format = options->format;
	struct volumes_usage usage = {0};
	struct format_row *last = NULL;
	struct format_plan plan;
	struct volume *volumes;
	size_t count;

	if (filter_check(&options->filters, filter_keys, e) < 0)
		return -1;
	int dangling = dangling_wish(&options->filters, e);
	if (dangling < -1)
		return -1;
	if (options->quiet && (!format || !strcmp(format, "table")))
		format = "{{.Name}}";
	if (format_plan(cli, &list, format, &plan, e) < 0)
		return -1;
	struct engine *engine = cli_engine(cli, ENGINE_READ, e);
	if (!engine || volume_list(&engine->store, engine->arena, &volumes, &count, e) < 0)
		return -1;
	if (dangling >= 0)
		volumes_usage(engine, engine->arena, SIZE_MAX, &usage);
	struct format_row *rows = arena_array(engine->arena, count + 1, sizeof *rows);
	for (size_t i = 0; i < count; i++) {
		const struct volume *volume = &volumes[i];
		if (!filter_is(&options->filters, "driver", "local") ||
			!filter_labels(&options->filters, &volume->labels) ||
			(dangling >= 0 && (volumes_users(&usage, volume->name) == 0) != dangling))
			continue;
		int fits = filter_matches(&options->filters, "name", volume->name, e);
		if (fits < 0)
			return -1;
		if (!fits)
			continue;
		fill_row(engine, volume, &rows[i]);
		if (last)
			last->next = &rows[i];
		last = &rows[i];
	}
	const struct format_row *first = rows;
	while (last && !first->arena)
		first++;
	return format_rows(&plan, last ? first : NULL, e);
}

const struct verb verb_volume_ls = {
	.name = "volume ls",
	.aliases = "volume list",
	.summary = "List volumes",
	.usage = "[OPTIONS]",
	.examples = "volume ls\tall of them\n"
		    "volume ls -q --filter dangling=true\tthose that no container uses",
	.options = options_table,
	.options_size = sizeof(struct volume_ls_cli),
	.run = run_ls,
};
