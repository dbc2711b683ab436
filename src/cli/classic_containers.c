/* classic_containers.c - the classic dialect's containers: run, ps, exec, logs, commit, rm. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/opt.h"
#include "cli/classic.h"
#include "engine/commit.h"
#include "engine/control.h"
#include "engine/exec.h"
#include "engine/image.h"
#include "engine/logs.h"
#include "engine/monitor.h"
#include "engine/run.h"

/* What the scripts' containers have from their caller. */
static void take_environment(struct cli *cli, struct strings *env)
{
	static const char *const names[] = {"PATH", "TERM"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]);
		if (value)
			strings_add(&cli->arena, env, arena_printf(&cli->arena, "%s=%s", names[i], value));
	}
}

/* ---- run ---- */

enum { CPU_SHARES = 512, MEMORY = 512, MEGABYTE = 1000 * 1000 };

/* SHOCKER_CPU_SHARE and the like: a number from low to high, or what it is by default. */
static int read_limit(
	struct cli *cli, const char *name, int64_t low, int64_t high, int64_t *out, struct err *e)
{
	const char *variable = arena_printf(&cli->arena, "%s_%s", cli->dialect->variable, name);
	const char *value = getenv(variable);
	char shown[64];

	if (!value || !*value)
		return 0;
	if (opt_integer(value, out) == 0 && *out >= low && *out <= high)
		return 0;
	return err_set(e, ERR_INVALID, 0, "%s is \"%s\", and has to be a number from %lld to %lld", variable,
		err_sanitize(shown, sizeof shown, value), (long long)low, (long long)high);
}

static int read_limits(struct cli *cli, struct container_limits *limits, struct err *e)
{
	int64_t shares = CPU_SHARES, memory = MEMORY;

	/* The kernel's bounds, and docker's least memory, 6 MB. */
	if (read_limit(cli, "CPU_SHARE", 2, 262144, &shares, e) < 0 ||
		read_limit(cli, "MEM_LIMIT", 7, INT64_MAX / MEGABYTE, &memory, e) < 0)
		return -1;
	limits->cpu_shares = shares;
	limits->memory = memory * MEGABYTE;
	return 0;
}

static const char *join(struct cli *cli, int argc, char **argv)
{
	auto_buf struct buf out = {0};

	for (int i = 0; i < argc; i++)
		buf_printf(&out, "%s%s", i ? " " : "", argv[i]);
	return arena_strdup(&cli->arena, out.data ? out.data : "");
}

static int run_run(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct run_options run = {
		.create =
			{
				.image = argv[0],
				.pull = CREATE_PULL_NEVER,
				.entrypoint = "",
				.classic = true,
				.config =
					{
						/* The scripts' chroot is root's, in /, whatever the image
						   says. */
						.user = "",
						.working_dir = "/",
						.network = "bridge0",
						.open_stdin = true,
						.stdin_once = true,
						.one_output = true,
						.attach_stdin = true,
						.attach_stdout = true,
						.attach_stderr = true,
						.no_new_privileges = cli->config.no_new_privileges,
						.log_max_size = cli->config.log_max_size,
						.log_max_files = cli->config.log_max_file,
					},
			},
		.attach = MONITOR_STDIN | MONITOR_STDOUT,
		.attaching = {.input = true},
	};
	struct container_config *config = &run.create.config;
	struct run_result result;
	struct image image;

	if (read_limits(cli, &config->limits, e) < 0)
		return -1;
	strings_add(&cli->arena, &run.create.command, "/bin/sh");
	strings_add(&cli->arena, &run.create.command, "-c");
	strings_add(&cli->arena, &run.create.command, join(cli, argc - 1, argv + 1));
	take_environment(cli, &config->env);
	/* docker's fourteen: MKNOD is the one that brig leaves out by default. */
	strings_add(&cli->arena, &config->cap_add, "MKNOD");
	struct engine *engine = classic_engine(cli, ENGINE_WRITE, e);
	if (!engine)
		return -1;
	if (engine->user_namespace)
		return err_set(
			e, ERR_UNSUPPORTED, 0, "%s run needs root, as the script did", cli->dialect->name);
	int missing = classic_find_image(cli, engine, argv[0], &image, e);
	if (missing)
		return missing;
	/* Whatever became of the command. */
	return engine_run(engine, &run, &result, e);
}

const struct verb classic_run = {
	.name = "run",
	.summary = "Create a container",
	.usage = "<image_id> <command>",
	.min_operands = 2,
	.max_operands = VERB_ANY,
	.flags = VERB_CLASSIC | VERB_ENTERS,
	.run = run_run,
};

/* ---- ps ---- */

struct listed {
	const char *name, *command;
};

static int by_name(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* What was typed behind run: of a container of the dialect, what its shell was given. */
static const char *command_of(struct cli *cli, struct engine *engine, const struct container *container)
{
	struct container_config config;
	struct err ignored;
	const char *text = container->record.identity.command;
	auto_close int dir = container_open_dir(&engine->containers, container, &ignored);

	if (dir >= 0 && container_config_load(&cli->arena, dir, &config, &ignored) == 0) {
		struct strings words = container_args(&cli->arena, &config);
		bool classic = *container->record.identity.cgroup && words.count == 3;
		text = classic ? words.items[2] : container_command(&cli->arena, &words);
	}
	size_t room = 4 * strlen(text) + 1;
	return err_sanitize(arena_alloc(&cli->arena, room), room, text);
}

static int run_ps(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct engine *engine = classic_engine(cli, ENGINE_READ, e);
	struct container container;
	size_t count = 0;

	if (!engine)
		return -1;
	struct listed *list = arena_array(&cli->arena, engine->containers.count + 1, sizeof *list);
	for (size_t slot = 0; slot < engine->containers.count; slot++) {
		if (!container_read(&engine->containers, slot, &container) ||
			control_observe(engine, &container) == CONTROL_BUSY)
			continue;
		list[count++] = (struct listed){
			.name = arena_strdup(&cli->arena, container.record.identity.name),
			.command = command_of(cli, engine, &container),
		};
	}
	if (count)
		qsort(list, count, sizeof *list, by_name);
	classic_row(cli, cli->dialect->ps_width, "CONTAINER_ID", "COMMAND");
	for (size_t i = 0; i < count; i++)
		classic_row(cli, cli->dialect->ps_width, list[i].name, list[i].command);
	if (!count)
		cli_other_stores(cli);
	return 0;
}

const struct verb classic_ps = {
	.name = "ps",
	.summary = "List containers",
	.usage = "",
	.flags = VERB_CLASSIC,
	.run = run_ps,
};

/* ---- exec ---- */

static int run_exec(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	struct exec_options exec = {
		.container = argv[0],
		.working_dir = "/",
		.terminal = terminal,
		.input = true,
		.attaching = {.terminal = terminal, .input = true},
	};
	struct container container;
	enum attach_end end;
	int status;

	struct engine *engine = classic_engine(cli, ENGINE_CHANGE, e);
	if (!engine)
		return -1;
	int missing = classic_find_container(cli, engine, argv[0], &container, e);
	if (missing)
		return missing;
	enum control_state state = control_observe(engine, &container);
	if (state != CONTROL_RUNNING && state != CONTROL_UNATTENDED) {
		char shown[512];
		cli_print(cli, "Container '%s' exists but is not running\n",
			err_sanitize(shown, sizeof shown, argv[0]));
		return 1;
	}
	for (int i = 1; i < argc; i++)
		strings_add(&cli->arena, &exec.args, argv[i]);
	take_environment(cli, &exec.env);
	return engine_exec(engine, &exec, &end, &status, e) < 0 ? -1 : status;
}

const struct verb classic_exec = {
	.name = "exec",
	.summary = "Execute a command in a running container",
	.usage = "<container_id> <command>",
	.min_operands = 2,
	.max_operands = VERB_ANY,
	.flags = VERB_CLASSIC | VERB_EXECUTES | VERB_ENTERS,
	.run = run_exec,
};

/* ---- logs ---- */

static int run_logs(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct logs_options logs = {.tail = -1};
	struct container container;
	struct engine *engine = classic_engine(cli, ENGINE_READ, e);

	if (!engine)
		return -1;
	int missing = classic_find_container(cli, engine, argv[0], &container, e);
	if (missing)
		return missing;
	auto_close int dir = container_open_dir(&engine->containers, &container, e);
	return dir < 0 ? -1 : logs_read(dir, &logs, STDOUT_FILENO, STDOUT_FILENO, e);
}

const struct verb classic_logs = {
	.name = "logs",
	.summary = "View logs from a container",
	.usage = "<container_id>",
	.min_operands = 1,
	.max_operands = 1,
	.flags = VERB_CLASSIC,
	.run = run_logs,
};

/* ---- commit ---- */

/* The new image has the serial now. The other names go with it, and the old image, which nobody can
 * name any more, is a part of the new one and ends with it. */
static int replace(struct cli *cli, struct engine *engine, const struct image *old,
	const struct commit_result *made, struct err *e)
{
	struct image_removal removal = {0};
	struct reference name;

	for (size_t i = 0; i < old->tags.count; i++) {
		if (reference_parse(&cli->arena, old->tags.items[i], &name, e) < 0 ||
			image_tag(&engine->store, &made->id, &name, NULL, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < old->digests.count; i++) {
		if (engine_image_remove(engine, old->digests.items[i], IMAGE_REMOVE_FORCE, &removal, e) < 0 &&
			e->kind != ERR_NOT_FOUND)
			return -1;
	}
	return 0;
}

static int run_commit(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct commit_options commit = {.container = argv[0], .name = argv[1]};
	struct commit_result made;
	struct container container;
	struct image image;

	struct engine *engine = classic_engine(cli, ENGINE_WRITE, e);
	if (!engine)
		return -1;
	int missing = classic_find_container(cli, engine, argv[0], &container, e);
	if (missing)
		return missing;
	bool serial = reference_is_serial(argv[1]);
	bool replaced = image_find(&engine->store, &cli->arena, argv[1], &image, e) == 0;
	if (!replaced && e->kind != ERR_NOT_FOUND)
		return -1;
	/* Serials are brig's to give. */
	if (!replaced && serial)
		return classic_missing(cli, "image", argv[1]);
	if (engine_commit(engine, &commit, &made, e) < 0 ||
		(replaced && serial && replace(cli, engine, &image, &made, e) < 0))
		return -1;
	if (replaced)
		cli_print(cli, "Removed: %s\n", argv[1]);
	cli_print(cli, "Created: %s\n", argv[1]);
	return 0;
}

const struct verb classic_commit = {
	.name = "commit",
	.summary = "Commit a container to an image",
	.usage = "<container_id> <image_id>",
	.min_operands = 2,
	.max_operands = 2,
	.flags = VERB_CLASSIC,
	.run = run_commit,
};

/* ---- rm ---- */

/* A container, killed if it runs, or an image by its serial. */
static int run_rm(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct container container;
	struct image_removal removal = {0};

	struct engine *engine = classic_engine(cli, ENGINE_WRITE, e);
	if (!engine)
		return -1;
	if (container_find(&engine->containers, argv[0], &container, e) == 0) {
		if (control_remove(engine, &container, &(struct control_removal){.force = true}, e) < 0)
			return -1;
	} else if (e->kind != ERR_NOT_FOUND) {
		return -1;
	} else if (!reference_is_serial(argv[0])) {
		return classic_missing(cli, "container", argv[0]);
	} else if (engine_image_remove(engine, argv[0], IMAGE_REMOVE_FORCE, &removal, e) < 0) {
		return e->kind == ERR_NOT_FOUND ? classic_missing(cli, "container", argv[0]) : -1;
	}
	cli_print(cli, "Removed: %s\n", argv[0]);
	return 0;
}

const struct verb classic_rm = {
	.name = "rm",
	.summary = "Delete an image or container",
	.usage = "<image_id or container_id>",
	.min_operands = 1,
	.max_operands = 1,
	.flags = VERB_CLASSIC,
	.run = run_rm,
};
