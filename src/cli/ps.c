/* ps.c - brig ps. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/time.h"
#include "cli/format.h"
#include "cli/open.h"
#include "engine/container.h"
#include "engine/control.h"

struct ps_cli {
	bool all, quiet, no_trunc, latest;
	int64_t last;
	const char *format;
};

static const struct ps_cli defaults = {.last = -1};

static const struct opt ps_options[] = {
	{"all", 'a', OPT_BOOL, offsetof(struct ps_cli, all), NULL,
		"Show all containers (default shows just running)"},
	{"format", 0, OPT_STRING, offsetof(struct ps_cli, format), NULL,
		"Format output: 'table', 'table TEMPLATE', 'json' or a Go template"},
	{"last", 'n', OPT_INTEGER, offsetof(struct ps_cli, last), NULL,
		"Show n last created containers (includes all states)"},
	{"latest", 'l', OPT_BOOL, offsetof(struct ps_cli, latest), NULL,
		"Show the latest created container (includes all states)"},
	{"no-trunc", 0, OPT_BOOL, offsetof(struct ps_cli, no_trunc), NULL, "Don't truncate output"},
	{"quiet", 'q', OPT_BOOL, offsetof(struct ps_cli, quiet), NULL, "Only display container IDs"},
	{NULL},
};

static const struct format_column columns[] = {
	{"Command", "COMMAND"},
	{"CreatedAt", "CREATED AT"},
	{"ID", "CONTAINER ID"},
	{"Image", "IMAGE"},
	{"Labels", "LABELS"},
	{"LocalVolumes", "LOCAL VOLUMES"},
	{"Mounts", "MOUNTS"},
	{"Names", "NAMES"},
	{"Networks", "NETWORKS"},
	{"Ports", "PORTS"},
	{"RunningFor", "CREATED"},
	{"Size", "SIZE"},
	{"State", "STATE"},
	{"Status", "STATUS"},
	{NULL, NULL},
};

static const struct format_list list = {
	.columns = columns,
	.usual = "table "
		 "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
	.type = "*formatter.ContainerContext",
	.parse_error = "failed to parse template",
	.execute_error = "failed to execute template",
};

/* docker's words for how a container is; *state gets the short form. */
static const char *describe(struct arena *arena, enum control_state now,
	const struct container_status *status, int64_t at, const char **state)
{
	char text[TIME_TEXT];

	switch (now) {
	case CONTROL_CREATED:
		*state = "created";
		return "Created";
	case CONTROL_RUNNING:
		*state = "running";
		return arena_printf(arena, "Up %s", time_format_human(text, at - status->started));
	case CONTROL_UNATTENDED:
		*state = "running";
		return arena_printf(
			arena, "Up %s (unattended)", time_format_human(text, at - status->started));
	case CONTROL_EXITED:
		*state = "exited";
		return arena_printf(arena, "Exited (%d) %s", status->exit_code,
			time_format_ago(text, status->finished, at));
	case CONTROL_LOST:
		*state = "exited";
		return "Exited (255)";
	case CONTROL_BUSY:
	default:
		*state = "removing";
		return "Removal In Progress";
	}
}

/* The command in quotes, cut as docker cuts it unless all is wanted. */
static const char *command_of(struct engine *engine, const struct container *container, bool whole)
{
	const char *command = container->record.identity.command;

	if (whole) {
		struct container_config config;
		struct err ignored;
		auto_close int dir = container_open_dir(&engine->containers, container, &ignored);
		if (dir >= 0 && container_config_load(engine->arena, dir, &config, &ignored) == 0) {
			struct strings args = container_args(engine->arena, &config);
			struct buf joined = {0};
			for (size_t i = 0; i < args.count; i++)
				buf_printf(&joined, "%s%s", i ? " " : "", args.items[i]);
			command = arena_memdup(engine->arena, joined.data ? joined.data : "", joined.length);
			buf_free(&joined);
		}
		return arena_printf(engine->arena, "\"%s\"", command);
	}
	/* 20 columns, the last of them an ellipsis; cut between characters. */
	size_t bytes = 0, characters = 0;
	while (command[bytes]) {
		if ((command[bytes] & 0xc0) != 0x80 && characters++ == 20)
			break;
		bytes++;
	}
	if (!command[bytes])
		return arena_printf(engine->arena, "\"%s\"", command);
	bytes = characters = 0;
	while ((command[bytes] & 0xc0) == 0x80 || characters < 19)
		characters += (command[bytes++] & 0xc0) != 0x80;
	while ((command[bytes] & 0xc0) == 0x80)
		bytes++;
	return arena_printf(engine->arena, "\"%.*s…\"", (int)bytes, command);
}

static int newest_first(const void *a, const void *b)
{
	const struct container *left = a, *right = b;
	int64_t x = left->record.identity.created, y = right->record.identity.created;
	return x < y ? 1 : x > y ? -1 : 0;
}

static void fill_row(struct engine *engine, const struct ps_cli *options, const struct container *container,
	enum control_state now, int64_t at, struct format_row *row)
{
	const struct container_record *record = &container->record;
	char text[TIME_TEXT], clean[4 * 130];
	const char *state;
	const char *status = describe(engine->arena, now, &record->status, at, &state);
	const char *command = command_of(engine, container, options->no_trunc);
	char *shown = arena_alloc(engine->arena, strlen(command) * 4 + 1);

	format_put(row, "Command", err_sanitize(shown, strlen(command) * 4 + 1, command));
	format_put(row, "CreatedAt",
		arena_strdup(engine->arena, time_format_local(text, record->identity.created)));
	format_put(row, "ID",
		options->no_trunc ? container->id : arena_memdup(engine->arena, container->id, 12));
	format_put(row, "Image",
		arena_strdup(engine->arena, err_sanitize(clean, sizeof clean, record->identity.image)));
	format_put(row, "Labels", "");
	format_put(row, "LocalVolumes", "0");
	format_put(row, "Mounts", "");
	format_put(row, "Names", record->identity.name);
	format_put(row, "Networks", *record->status.address ? "bridge" : "");
	format_put(row, "Ports", "");
	format_put(row, "RunningFor",
		arena_strdup(engine->arena, time_format_ago(text, record->identity.created, at)));
	format_put(row, "Size", "0B");
	format_put(row, "State", state);
	format_put(row, "Status", status);
}

static int run_ps(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct ps_cli *options = given;
	struct engine *engine = cli_engine(cli, ENGINE_READ, e);

	if (!engine)
		return -1;
	int64_t at = time_now();
	size_t total = engine->containers.count, count = 0;
	struct container *containers = arena_array(&cli->arena, total, sizeof *containers);
	enum control_state *states = arena_array(&cli->arena, total, sizeof *states);

	if (options->latest)
		options->last = 1;
	bool all = options->all || options->last > 0;
	for (size_t slot = 0; slot < total; slot++) {
		if (!container_read(&engine->containers, slot, &containers[count]))
			continue;
		enum control_state now = control_observe(engine, &containers[count]);
		uint32_t state = containers[count].record.status.state;
		if (state == CONTAINER_CREATING || state == CONTAINER_REMOVING)
			continue;
		if (now == CONTROL_LOST && (containers[count].record.identity.flags & CONTAINER_AUTO_REMOVE))
			continue;
		if (all || now == CONTROL_RUNNING || now == CONTROL_UNATTENDED)
			count++;
	}
	qsort(containers, count, sizeof *containers, newest_first);
	if (options->last > 0 && (size_t)options->last < count)
		count = (size_t)options->last;
	for (size_t i = 0; i < count; i++)
		states[i] = control_observe(engine, &containers[i]);
	if (options->quiet && !options->format) {
		for (size_t i = 0; i < count; i++)
			cli_print(cli, "%.*s\n", options->no_trunc ? 64 : 12, containers[i].id);
		return 0;
	}
	struct format_row *rows = arena_array(&cli->arena, count + 1, sizeof *rows);
	for (size_t i = 0; i < count; i++) {
		rows[i].arena = &cli->arena;
		rows[i].next = i + 1 < count ? &rows[i + 1] : NULL;
		fill_row(engine, options, &containers[i], states[i], at, &rows[i]);
	}
	return format_rows(cli, &list, options->format, count ? rows : NULL, e);
}

const struct verb verb_ps = {
	.name = "ps",
	.aliases = "container ls, container list, container ps",
	.summary = "List containers",
	.usage = "[OPTIONS]",
	.examples = "ps\twhat runs\nps -a\twhat has ended too",
	.options = ps_options,
	.options_size = sizeof(struct ps_cli),
	.defaults = &defaults,
	.flags = VERB_COMMON,
	.run = run_ps,
};
