/*
 * ps.c - brig ps: containers, from the index.
 *
 * The usual table needs nothing but the index. A container's config.json is read only
 * where a filter, a template or --no-trunc asks for what the index has not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/table.h"
#include "base/time.h"
#include "cli/filter.h"
#include "cli/format.h"
#include "cli/open.h"
#include "engine/container.h"
#include "engine/control.h"
#include "engine/diff.h"
#include "engine/ports.h"
#include "oci/port.h"

struct ps_options {
	bool all, latest, no_trunc, quiet, size;
	int64_t last;
	const char *format;
	struct filters filters;
};

static const struct ps_options defaults = {.last = -1};

static const struct opt options_table[] = {
	{"all", 'a', OPT_BOOL, offsetof(struct ps_options, all), NULL,
		"Show all containers (default shows just running)"},
	FILTER_ROW(ps_options, filters),
	{"format", 0, OPT_STRING, offsetof(struct ps_options, format), NULL, FORMAT_HELP},
	{"last", 'n', OPT_INTEGER, offsetof(struct ps_options, last), NULL,
		"Show n last created containers (includes all states) (default -1)"},
	{"latest", 'l', OPT_BOOL, offsetof(struct ps_options, latest), NULL,
		"Show the latest created container (includes all states)"},
	{"no-trunc", 0, OPT_BOOL, offsetof(struct ps_options, no_trunc), NULL, "Don't truncate output"},
	{"quiet", 'q', OPT_BOOL, offsetof(struct ps_options, quiet), NULL, "Only display container IDs"},
	{"size", 's', OPT_BOOL, offsetof(struct ps_options, size), NULL, "Display total file sizes"},
	{NULL},
};

static const char *const filter_keys[] = {"ancestor", "before", "exited", "expose", "id", "is-task", "label",
	"name", "network", "publish", "since", "status", "volume", NULL};
static const char *const states[] = {
	"created", "running", "paused", "restarting", "removing", "exited", "dead", NULL};

/* One line of the list. */
struct item {
	struct container container;
	const struct container_config *config; /* where it was read, else an empty one */
	bool configured;
	const char *state;
	bool lost, unattended;
	struct arena *arena;
};

enum { FIELDS = 15 };
struct field;

struct ps {
	struct cli *cli;
	struct engine *engine;
	const struct ps_options *options;
	struct item **items;
	size_t count;
	struct format_plan plan;
	const struct field *used[FIELDS];
	size_t used_count;
	bool needs_config, needs_size;
	int64_t now;
	int64_t before, since; /* created; 0: no such filter */
};

static const char *state_name(enum control_state state, const struct container_status *status)
{
	switch (state) {
	case CONTROL_CREATED:
		return "created";
	case CONTROL_RUNNING:
	case CONTROL_UNATTENDED:
		return status->state == CONTAINER_PAUSED ? "paused" : "running";
	case CONTROL_BUSY:
		return status->state == CONTAINER_REMOVING ? "removing" : NULL;
	default:
		return "exited";
	}
}

/* ---- filters ---- */

static int check_values(const struct filters *filters, struct err *e)
{
	for (const struct filter *filter = filters->first; filter; filter = filter->next) {
		int64_t number;
		if (!strcmp(filter->key, "exited") && opt_integer(filter->value, &number) < 0)
			return err_set(e, ERR_INVALID, 0,
				"invalid filter 'exited=%s': strconv.Atoi: parsing \"%s\": invalid syntax",
				filter->value, filter->value);
		bool is_task;
		if (!strcmp(filter->key, "is-task") && opt_bool(filter->value, &is_task) < 0)
			return err_set(e, ERR_INVALID, 0, "invalid filter 'is-task=%s'", filter->value);
		if ((!strcmp(filter->key, "publish") || !strcmp(filter->key, "expose"))) {
			auto_arena struct arena arena = {0};
			struct port_spec *specs;
			size_t count;
			if (port_parse_expose(&arena, filter->value, &specs, &count, e) < 0)
				return -1;
		}
		if (strcmp(filter->key, "status") != 0)
			continue;
		const char *const *state = states;
		while (*state && strcmp(*state, filter->value) != 0)
			state++;
		if (!*state)
			return err_set(e, ERR_INVALID, 0,
				"invalid filter 'status=%s': invalid value for state (%s): must be one of "
				"created, "
				"running, paused, restarting, removing, exited, dead",
				filter->value, filter->value);
	}
	return 0;
}

/* When the container that before or since names was created. */
static int find_instant(struct ps *ps, const char *key, int64_t *instant, struct err *e)
{
	for (const struct filter *filter = ps->options->filters.first; filter; filter = filter->next) {
		struct container container;
		if (strcmp(filter->key, key) != 0)
			continue;
		if (container_find(&ps->engine->containers, filter->value, &container, e) < 0)
			return -1;
		*instant = container.record.identity.created;
	}
	return 0;
}

static bool id_fits(void *context, const char *wanted)
{
	return !strncmp(context, wanted, strlen(wanted));
}

/* docker resolves the image; here its name as it was given, with or without the tag, and
 * its id. */
static bool image_fits(void *context, const char *wanted)
{
	const struct item *item = context;
	const char *image = item->container.record.identity.image, *id = item->config->image_id;
	size_t length = strlen(wanted);

	if (!strncmp(image, wanted, length) && (!image[length] || image[length] == ':'))
		return true;
	size_t prefix = strncmp(wanted, "sha256:", 7) ? 0 : 7;
	size_t image_length = strlen(image);
	if (!strncmp(wanted, image, image_length) && !strcmp(wanted + image_length, ":latest"))
		return true;
	return item->configured && id && length - prefix >= 4 &&
	       !strncmp(id, wanted + prefix, length - prefix);
}

/* A task is swarm's. */
static bool is_no_task(void *context, const char *wanted)
{
	bool task;

	return opt_bool(wanted, &task) == 0 && !task;
}

static bool exited_fits(void *context, const char *wanted)
{
	const struct item *item = context;
	int64_t number;

	return !strcmp(item->state, "exited") && opt_integer(wanted, &number) == 0 &&
	       number == item->container.record.status.exit_code;
}

/* By the volume's name or the bind's source, or the place where something is mounted. */
static bool volume_fits(void *context, const char *wanted)
{
	const struct item *item = context;

	for (size_t i = 0; i < item->config->mounts_count; i++) {
		const struct container_mount *mount = &item->config->mounts[i];
		if (mount->type != CONTAINER_MOUNT_TMPFS &&
			(!strcmp(mount->target, wanted) || (mount->name && !strcmp(mount->name, wanted)) ||
				(mount->source && !strcmp(mount->source, wanted))))
			return true;
	}
	return false;
}

/* A container's ports are there while it runs; the index tells which containers have any. */
static size_t rows_of(const struct ps *ps, const struct item *item, struct ports_row **rows)
{
	const struct container_identity *identity = &item->container.record.identity;
	struct container_config *config = NULL;
	struct err ignored = {0};
	size_t count = 0;

	*rows = NULL;
	if (!(identity->flags & (CONTAINER_PUBLISHES | CONTAINER_EXPOSES)) ||
		(strcmp(item->state, "running") != 0 && strcmp(item->state, "paused") != 0))
		return 0;
	if (identity->flags & CONTAINER_EXPOSES && !item->configured) {
		auto_close int dir = container_open_dir(&ps->engine->containers, &item->container, &ignored);
		config = arena_new(item->arena, struct container_config);
		if (dir < 0 || container_config_load(item->arena, dir, config, &ignored) < 0)
			return 0;
	}
	if (ports_of(ps->engine, &item->container, config ? config : item->config, rows, &count, &ignored) <
		0)
		return 0;
	return count;
}

struct ports_question {
	const struct ports_row *rows;
	size_t count;
	bool published;
	struct arena *arena;
};

/* docker's publish is about the host's ports, expose about the container's. */
static bool port_fits(void *context, const char *wanted)
{
	const struct ports_question *question = context;
	struct port_spec *specs;
	struct err ignored = {0};
	size_t count;

	if (port_parse_expose(question->arena, wanted, &specs, &count, &ignored) < 0)
		return false;
	for (size_t i = 0; i < question->count; i++)
		for (size_t k = 0; k < count; k++) {
			const struct net_port *port = &question->rows[i].port;
			unsigned number = question->published ? port->host_port : port->container_port;
			if (number == specs[k].container && port->protocol == specs[k].protocol)
				return true;
		}
	return false;
}

static bool ports_fit(const struct ps *ps, const struct item *item)
{
	const struct filters *filters = &ps->options->filters;
	struct ports_question question = {.arena = item->arena};
	struct ports_row *rows;

	if (!filter_given(filters, "publish") && !filter_given(filters, "expose"))
		return true;
	question.count = rows_of(ps, item, &rows);
	question.rows = rows;
	if (!filter_fits(filters, "expose", false, port_fits, &question))
		return false;
	question.published = true;
	return filter_fits(filters, "publish", false, port_fits, &question);
}

/* Returns 1 where the item is shown, 0 where not, or -1. */
static int passes(struct ps *ps, struct item *item, struct err *e)
{
	const struct filters *filters = &ps->options->filters;
	const struct container_identity *identity = &item->container.record.identity;
	char name[CONTAINER_NAME + 1] = "/";

	if (ps->before && identity->created >= ps->before)
		return 0;
	if (ps->since && identity->created <= ps->since)
		return 0;
	if (!filter_is(filters, "status", item->state) ||
		!filter_fits(filters, "is-task", false, is_no_task, NULL) ||
		!filter_fits(filters, "exited", false, exited_fits, item) ||
		!filter_fits(filters, "id", false, id_fits, item->container.id) ||
		!filter_fits(filters, "ancestor", false, image_fits, item) ||
		!filter_fits(filters, "volume", false, volume_fits, item))
		return 0;
	if (item->configured && (!filter_labels(filters, &item->config->labels) ||
					!filter_is(filters, "network", item->config->network)))
		return 0;
	if (!ports_fit(ps, item))
		return 0;
	/* docker's names begin with a slash, and an expression may or may not say so. */
	memcpy(name + 1, identity->name, sizeof name - 1);
	int r = filter_matches(filters, "name", name + 1, e);
	return r ? r : filter_matches(filters, "name", name, e);
}

/* ---- collecting ---- */

static int load_config(struct ps *ps, struct item *item)
{
	struct err ignored;
	auto_close int dir = container_open_dir(&ps->engine->containers, &item->container, &ignored);

	struct container_config *config = arena_new(&ps->cli->arena, struct container_config);
	if (dir < 0 || container_config_load(&ps->cli->arena, dir, config, &ignored) < 0)
		return -1;
	item->config = config;
	item->configured = true;
	return 0;
}

static int collect(struct ps *ps, struct err *e)
{
	static const struct container_config none;
	const struct ps_options *o = ps->options;
	struct containers *containers = &ps->engine->containers;
	/* docker's: of the filters only "status" looks at what has ended, too. */
	bool all = o->all || o->latest || o->last > 0 || filter_given(&o->filters, "status");

	struct item *item = NULL;
	ps->items = arena_array(&ps->cli->arena, containers->count + 1, sizeof(struct item *));
	for (size_t slot = 0; slot < containers->count; slot++) {
		if (!item)
			item = arena_new(&ps->cli->arena, struct item);
		*item = (struct item){.arena = &ps->cli->arena, .config = &none};
		if (!container_read(containers, slot, &item->container))
			continue;
		enum control_state state = control_observe(ps->engine, &item->container);
		item->lost = state == CONTROL_LOST;
		/* The next command that writes sweeps it. */
		if (item->lost && (item->container.record.identity.flags & CONTAINER_AUTO_REMOVE))
			continue;
		item->unattended = state == CONTROL_UNATTENDED;
		/* What the next command that writes will record. */
		if (item->lost)
			item->container.record.status.exit_code = 255;
		item->state = state_name(state, &item->container.record.status);
		bool shown = item->state &&
			     (all || !strcmp(item->state, "running") || !strcmp(item->state, "paused"));
		/* One on its way out has no name any more: no other command could name it. */
		if (item->container.record.status.state == CONTAINER_REMOVING &&
			!filter_given(&o->filters, "status"))
			continue;
		/* One that disappears just now has no config.json any more. */
		if (!shown || (ps->needs_config && load_config(ps, item) < 0))
			continue;
		int r = passes(ps, item, e);
		if (r < 0)
			return -1;
		if (r) {
			ps->items[ps->count++] = item;
			item = NULL;
		}
	}
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct item *const *x = a, *const *y = b;
	int64_t left = (*x)->container.record.identity.created;
	int64_t right = (*y)->container.record.identity.created;

	return (left < right) - (left > right);
}

/* ---- printing ---- */

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
	{"Platform", "PLATFORM"},
	{"Ports", "PORTS"},
	{"RunningFor", "CREATED"},
	{"Size", "SIZE"},
	{"State", "STATE"},
	{"Status", "STATUS"},
	{NULL, NULL},
};

static const struct json *label_method(void *context, const char *name, const char *argument)
{
	const struct item *item = context;
	struct json *value = arena_new(item->arena, struct json);
	size_t length = strlen(argument);

	if (strcmp(name, "Label") != 0)
		return NULL;
	*value = (struct json){.type = JSON_STRING, .string = ""};
	for (size_t i = 0; i < item->config->labels.count; i++) {
		const char *label = item->config->labels.items[i];
		if (!strncmp(label, argument, length) && label[length] == '=')
			value->string = label + length + 1;
	}
	return value;
}

#define USUAL "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"

static const struct format_list lists[] = {
	{
		.columns = columns,
		.usual = USUAL,
		.type = "*formatter.ContainerContext",
		.parse_error = "failed to parse template",
		.execute_error = "failed to execute template",
		.method = label_method,
	},
	{
		.columns = columns,
		.usual = USUAL "\t{{.Size}}",
		.type = "*formatter.ContainerContext",
		.parse_error = "failed to parse template",
		.execute_error = "failed to execute template",
		.method = label_method,
	},
};

/* "Up 3 minutes", "Exited (0) 2 hours ago" */
static const char *status_text(const struct ps *ps, const struct item *item)
{
	const struct container_status *status = &item->container.record.status;
	struct arena *arena = item->arena;
	char time[TIME_TEXT];

	if (item->lost)
		return "Exited (255)";
	if (!strcmp(item->state, "exited"))
		return arena_printf(arena, "Exited (%d) %s", status->exit_code,
			time_format_ago(time, status->finished, ps->now));
	if (!strcmp(item->state, "created"))
		return "Created";
	if (!strcmp(item->state, "removing"))
		return "Removal In Progress";
	return arena_printf(arena, "Up %s%s", time_format_human(time, ps->now - status->started),
		!strcmp(item->state, "paused") ? " (Paused)"
		: item->unattended             ? " (unattended)"
					       : "");
}

/* Quoted; 20 characters of it unless all was asked for. The index has 63 bytes of it, one blank
 * between the words. */
static const char *command_text(const struct ps *ps, const struct item *item)
{
	auto_buf struct buf cut = {0}, out = {0};
	const char *text = item->container.record.identity.command;

	if (item->configured) {
		struct strings words = container_args(item->arena, item->config);
		text = container_command(item->arena, &words);
	}
	if (!ps->options->no_trunc) {
		table_ellipsis(&cut, text, 20);
		text = cut.data;
	}
	format_quote(&out, text);
	return arena_strdup(item->arena, out.data);
}

static const char *joined(struct arena *arena, const struct strings *words)
{
	auto_buf struct buf out = {0};

	for (size_t i = 0; i < words->count; i++)
		buf_printf(&out, "%s%s", i ? "," : "", words->items[i]);
	return arena_strdup(arena, out.data ? out.data : "");
}

/* Sources of mounts and names of volumes, 15 characters of each. */
static const char *mounts_text(const struct ps *ps, const struct item *item)
{
	auto_buf struct buf out = {0};

	for (size_t i = 0; i < item->config->mounts_count; i++) {
		const struct container_mount *mount = &item->config->mounts[i];
		if (mount->type == CONTAINER_MOUNT_TMPFS)
			continue;
		if (out.length)
			buf_string(&out, ",");
		table_ellipsis(
			&out, mount->name ? mount->name : mount->source, ps->options->no_trunc ? 4096 : 15);
	}
	return arena_strdup(item->arena, out.data ? out.data : "");
}

/* ---- the fields ---- */

static const char *command_field(const struct ps *ps, const struct item *item)
{
	return command_text(ps, item);
}

static const char *created_at_field(const struct ps *ps, const struct item *item)
{
	char time[TIME_TEXT];
	return arena_strdup(item->arena, time_format_local(time, item->container.record.identity.created));
}

static const char *id_field(const struct ps *ps, const struct item *item)
{
	return ps->options->no_trunc ? item->container.id : arena_memdup(item->arena, item->container.id, 12);
}

static const char *image_field(const struct ps *ps, const struct item *item)
{
	return item->container.record.identity.image;
}

static const char *labels_field(const struct ps *ps, const struct item *item)
{
	return joined(item->arena, &item->config->labels);
}

static const char *local_volumes_field(const struct ps *ps, const struct item *item)
{
	size_t count = 0;

	for (size_t i = 0; i < item->config->mounts_count; i++)
		count += item->config->mounts[i].type == CONTAINER_MOUNT_VOLUME;
	return arena_printf(item->arena, "%zu", count);
}

static const char *names_field(const struct ps *ps, const struct item *item)
{
	return item->container.record.identity.name;
}

static const char *networks_field(const struct ps *ps, const struct item *item)
{
	return item->config->network ? item->config->network : "";
}

static const char *null_field(const struct ps *ps, const struct item *item)
{
	return NULL;
}

static const char *ports_field(const struct ps *ps, const struct item *item)
{
	struct ports_row *rows;
	size_t count = rows_of(ps, item, &rows);

	return ports_text(item->arena, rows, count);
}

static const char *running_for_field(const struct ps *ps, const struct item *item)
{
	char time[TIME_TEXT];
	return arena_strdup(
		item->arena, time_format_ago(time, item->container.record.identity.created, ps->now));
}

/* "2B (virtual 1.98MB)": what it wrote, and that with its image. */
static const char *size_field(const struct ps *ps, const struct item *item)
{
	char own[TABLE_QUANTITY], whole[TABLE_QUANTITY];
	struct container_size size;
	struct err ignored;

	if (!ps->needs_size)
		return "0B";
	if (engine_size(ps->engine, &item->container, &size, &ignored) < 0)
		return "N/A";
	return arena_printf(
		item->arena, "%s (virtual %s)", table_size(own, size.own), table_size(whole, size.whole));
}

static const char *state_field(const struct ps *ps, const struct item *item)
{
	return item->state;
}

static const struct field {
	const char *name;
	const char *(*text)(const struct ps *ps, const struct item *item); /* NULL is JSON's null */
	bool from_config;
} fields[FIELDS] = {
	{"Command", command_field},
	{"CreatedAt", created_at_field},
	{"ID", id_field},
	{"Image", image_field},
	{"Labels", labels_field, true},
	{"LocalVolumes", local_volumes_field, true},
	{"Mounts", mounts_text, true},
	{"Names", names_field},
	{"Networks", networks_field, true},
	{"Platform", null_field},
	{"Ports", ports_field},
	{"RunningFor", running_for_field},
	{"Size", size_field},
	{"State", state_field},
	{"Status", status_text},
};

/* Only what the plan uses: a time in the local zone, for one, means reading the zone. */
static void fill_row(struct ps *ps, struct item *item, struct format_row *row)
{
	row->arena = item->arena;
	row->context = item;
	for (size_t i = 0; i < ps->used_count; i++) {
		const char *text = ps->used[i]->text(ps, item);
		if (text)
			format_put(row, ps->used[i]->name, text);
		else
			format_put_json(row, ps->used[i]->name, &(struct json){.type = JSON_NULL});
	}
}

static int print(struct ps *ps, struct err *e)
{
	const struct ps_options *o = ps->options;
	struct format_row *rows = arena_array(&ps->cli->arena, ps->count + 1, sizeof *rows);
	size_t count = o->latest ? 1 : o->last > 0 ? (size_t)o->last : ps->count;

	qsort(ps->items, ps->count, sizeof *ps->items, newest_first);
	count = count < ps->count ? count : ps->count;
	for (size_t i = 0; i < count; i++) {
		fill_row(ps, ps->items[i], &rows[i]);
		rows[i].next = i + 1 < count ? &rows[i + 1] : NULL;
	}
	return format_rows(&ps->plan, count ? rows : NULL, e);
}

static bool needs_config(const struct ps *ps)
{
	static const char *const keys[] = {"ancestor", "label", "network", "volume"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (filter_given(&ps->options->filters, keys[i]))
			return true;
	}
	for (size_t i = 0; i < ps->used_count; i++) {
		if (ps->used[i]->from_config)
			return true;
	}
	return format_uses(&ps->plan, "Label") ||
	       (ps->options->no_trunc && format_uses(&ps->plan, "Command"));
}

/* As docker: where -s asks for it, or a template uses it; --format json alone does not. */
static bool needs_size(const struct ps *ps)
{
	return ps->options->size || (ps->plan.template && template_uses(ps->plan.template, "Size"));
}

/* Whether there is no container at all, be it one that is not listed. */
static bool is_empty(const struct containers *containers)
{
	for (size_t slot = 0; slot < containers->count; slot++) {
		if (containers->records[slot].status.state != CONTAINER_FREE)
			return false;
	}
	return true;
}

static int run_ps(struct cli *cli, void *options, int argc, char **argv, struct err *e)
{
	const struct ps_options *o = options;
	struct ps ps = {.cli = cli, .options = o, .now = time_now()};
	const char *format = o->format;

	if (filter_check(&o->filters, filter_keys, e) < 0 || check_values(&o->filters, e) < 0)
		return -1;
	if (o->quiet) {
		if (format && *format)
			dprintf(STDERR_FILENO, "WARNING: Ignoring custom format, because both --format and "
					       "--quiet are set.\n");
		format = "{{.ID}}";
	}
	if (format_plan(cli, &lists[o->size], format, &ps.plan, e) < 0)
		return -1;
	ps.needs_size = needs_size(&ps) && format_uses(&ps.plan, "Size");
	/* To see all of a container's files takes what making one does. */
	ps.engine = cli_engine(cli, ps.needs_size ? ENGINE_WRITE : ENGINE_READ, e);
	if (!ps.engine || find_instant(&ps, "before", &ps.before, e) < 0 ||
		find_instant(&ps, "since", &ps.since, e) < 0)
		return -1;
	for (size_t i = 0; i < FIELDS; i++) {
		if (format_uses(&ps.plan, fields[i].name))
			ps.used[ps.used_count++] = &fields[i];
	}
	ps.needs_config = needs_config(&ps);
	if (collect(&ps, e) < 0)
		return -1;
	if (!ps.count && !cli->root_named && is_empty(&ps.engine->containers))
		cli_other_stores(cli);
	return print(&ps, e);
}

const struct verb verb_ps = {
	.name = "ps",
	.aliases = "container ls, container list, container ps",
	.summary = "List containers",
	.usage = "[OPTIONS]",
	.examples = "ps\twhat is running\n"
		    "ps -a\twhat has ended, too\n"
		    "ps -aq --filter status=exited\tids for a script",
	.options = options_table,
	.options_size = sizeof(struct ps_options),
	.defaults = &defaults,
	.flags = VERB_COMMON,
	.run = run_ps,
};
