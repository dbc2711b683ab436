/*
 * main.c - global options, the verb, the one error, the exit status.
 *
 * Everything that can go wrong ends here as one struct err and is printed once.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/reexec.h"
#include "cli/classic.h"

/* The words of docker's global options that choose a daemon: brig has none, and says so. */
static int parse_daemon_option(
	void *options, const struct opt *opt, const char *value, struct arena *arena, struct err *e)
{
	if (!strcmp(opt->name, "context") && !strcmp(value, "default"))
		return 0;
	err_set(e, ERR_USAGE, 0, "brig has no daemon that could be chosen");
	return err_hint(e, "--root chooses another store");
}

static int parse_log_level(
	void *options, const struct opt *opt, const char *value, struct arena *arena, struct err *e)
{
	struct cli *cli = options;

	if (!strcmp(value, "debug")) {
		cli->debug = true;
		return 0;
	}
	/* What brig says without being asked is what docker calls "warn"; there is nothing at "info". */
	if (!strcmp(value, "info") || !strcmp(value, "warn"))
		return 0;
	return err_set(e, ERR_USAGE, 0, "the levels are debug, info and warn");
}

#define AT(member) offsetof(struct cli, member)
const struct opt cli_global_options[] = {
	{"root", 0, OPT_STRING, AT(data_root), "dir",
		"Where images and containers are kept (default /var/lib/brig; a user's: "
		"~/.local/share/brig)"},
	{"run-root", 0, OPT_STRING, AT(run_root), "dir",
		"Where the state of what runs is kept (default /run/brig; a user's: $XDG_RUNTIME_DIR/brig)"},
	{"storage-driver", 0, OPT_STRING, AT(storage_driver), "name",
		"How a new store keeps layers: btrfs, zfs, overlay or copy (default: by its file system)"},
	{"config", 0, OPT_STRING, AT(config_path), "file",
		"The configuration (default /etc/brig/brig.conf; a user's: ~/.config/brig/brig.conf)"},
	{"trace", 0, OPT_BOOL, AT(trace), NULL, "Print what is done, and how long it takes, on stderr"},
	{"debug", 'D', OPT_BOOL, AT(debug), NULL, "Say so in 'brig info'; --trace prints what is done"},
	{"version", 'v', OPT_BOOL, AT(version), NULL, "Print version information and quit"},
	{"log-level", 'l', OPT_PARSE, 0, "string", "Set the logging level", parse_log_level, OPT_HIDDEN},
	{"context", 'c', OPT_PARSE, 0, "string", "Only \"default\"", parse_daemon_option, OPT_HIDDEN},
	{"host", 'H', OPT_PARSE, 0, "list", "Not in brig: there is no daemon", parse_daemon_option,
		OPT_HIDDEN},
	{NULL},
};

/* Kinds of errors with an exit status of their own; all others end with 1, or with 125 where
 * the verb's status is otherwise the container's. */
static const struct {
	enum err_kind kind;
	int status;
	unsigned flags; /* the verb's, that have to be set */
} statuses[] = {
	{ERR_NO_COMMAND, 127, VERB_EXECUTES},
	{ERR_CANNOT_EXECUTE, 126, VERB_EXECUTES},
	{ERR_USAGE, 125, VERB_USAGE_125},
	{ERR_INTERRUPTED, 130, 0},
};

static int status_of(const struct verb *verb, const struct err *e)
{
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		if (statuses[i].kind == e->kind && (verb->flags & statuses[i].flags) == statuses[i].flags)
			return statuses[i].status;
	}
	return verb->flags & VERB_EXIT_125 ? 125 : 1;
}

static void say(const struct buf *out)
{
	fd_write_full(STDERR_FILENO, out->data, out->length);
}

/* "See" where docker says it: its checks of the number of arguments differ. */
static void append_pointer(struct buf *out, const char *word, const struct verb *verb)
{
	buf_printf(out, "\n%s 'brig %s%s--help' for more information\n", word, verb ? verb->name : "",
		verb ? " " : "");
}

/* An option that cannot be understood: docker's words and layout. verb may be NULL. */
static int refuse_options(const struct verb *verb, const struct err *e)
{
	auto_buf struct buf out = {0};

	cli_report(e, &out);
	buf_string(&out, "\n");
	cli_usage(verb, &out);
	append_pointer(&out, "Run", verb);
	say(&out);
	return 125;
}

static int refuse_verb(struct cli *cli, int argc, char **argv, struct cli_found found)
{
	auto_buf struct buf out = {0};
	const char *word = argv[found.words];
	struct err e = {0};

	err_set(&e, ERR_USAGE, 0, "unknown command: brig %s%s%s", found.group ? found.group : "",
		found.group ? " " : "", word);
	const char *nearest = cli_nearest(&cli->arena, found.group, word);
	if (nearest)
		err_hint(&e, "did you mean '%s'?", nearest);
	cli_report(&e, &out);
	if (found.group)
		buf_printf(&out, "\nUsage:  brig %s\n", found.group);
	buf_printf(&out, "\nRun 'brig %s%s--help' for more information\n", found.group ? found.group : "",
		found.group ? " " : "");
	say(&out);
	return 1;
}

/* Returns whether the number of operands is right; complains where it is not. */
static bool count_operands(const struct cli *cli, const struct verb *verb, int count)
{
	int min = verb->min_operands, max = verb->max_operands;
	auto_buf struct buf out = {0};
	const char *pointer = "Run";

	if (count >= min && (max == VERB_ANY || count <= max))
		return true;
	if (cli->dialect) {
		classic_help(cli->dialect, verb, &out);
		say(&out);
		return false;
	}
	buf_printf(&out, "brig: 'brig %s' ", verb->name);
	if (max == 0) {
		buf_string(&out, "accepts no arguments");
	} else if (min == max) {
		buf_printf(&out, "requires %d argument%s", min, min == 1 ? "" : "s");
	} else if (max == VERB_ANY) {
		buf_printf(&out, "requires at least %d argument%s", min, min == 1 ? "" : "s");
		pointer = "See";
	} else if (min == 0) {
		buf_printf(&out, "requires at most %d argument%s", max, max == 1 ? "" : "s");
	} else {
		buf_printf(&out, "requires at least %d and at most %d arguments", min, max);
	}
	buf_string(&out, "\n\n");
	cli_usage(verb, &out);
	append_pointer(&out, pointer, verb);
	say(&out);
	return false;
}

/* The option if it was given, else the environment, else brig.conf, else the default; absolute. */
static const char *place(struct cli *cli, const char *option, const char *variable, const char *configured,
	const char *otherwise)
{
	const char *path = option;

	if (!path || !*path)
		path = getenv(variable);
	if (!path || !*path)
		path = configured;
	if (!path || !*path)
		path = otherwise;
	if (!path || *path == '/')
		return path;
	char here[4096];
	return getcwd(here, sizeof here) ? arena_printf(&cli->arena, "%s/%s", here, path) : NULL;
}

static int find_places(struct cli *cli, struct err *e)
{
	struct arena *arena = &cli->arena;
	bool named = (cli->config_path && *cli->config_path) || getenv("BRIG_CONFIG");

	config_init(&cli->config);
	cli->root_named =
		(cli->data_root && *cli->data_root) || (getenv("BRIG_ROOT") && *getenv("BRIG_ROOT"));
	cli->config_path = place(cli, cli->config_path, "BRIG_CONFIG", NULL, config_default_path(arena));
	if (cli->config_path && config_load(&cli->config, arena, cli->config_path, named, e) < 0)
		return -1;
	if (cli->storage_driver && *cli->storage_driver)
		cli->config.driver = cli->storage_driver;
	cli->root_named = cli->root_named || (cli->config.data_root && *cli->config.data_root);
	cli->data_root = place(
		cli, cli->data_root, "BRIG_ROOT", cli->config.data_root, config_default_data_root(arena));
	cli->run_root = place(
		cli, cli->run_root, "BRIG_RUN_ROOT", cli->config.run_root, config_default_run_root(arena));
	if (!cli->data_root) {
		err_set(e, ERR_NOT_FOUND, 0,
			"there is no place for the store: neither XDG_DATA_HOME nor HOME is set");
		return err_hint(e, "name a folder with --root or BRIG_ROOT");
	}
	if (!cli->run_root) {
		err_set(e, ERR_NOT_FOUND, 0, "there is no place for what runs: XDG_RUNTIME_DIR is not set");
		return err_hint(e, "name a folder on a tmpfs with --run-root or BRIG_RUN_ROOT");
	}
	return 0;
}

/* What else the caller has open is not ours: a monitor would hold it for days. But where an
 * argument names a descriptor (--env-file <(...) is /dev/fd/63), they all stay. */
static void let_go_of_inherited(char *const *arguments)
{
	for (; *arguments; arguments++)
		if (strstr(*arguments, "/fd/"))
			return;
	kernel_close_range(3, ~0U, 0);
}

static int run_verb(struct cli *cli, int argc, char **argv)
{
	const struct verb *verb = cli->verb;
	struct err e = {0};
	unsigned mode = verb->flags & VERB_STOP_AT_OPERAND ? OPT_STOP_AT_OPERAND : 0;
	void *options = arena_alloc(&cli->arena, verb->options_size + 1);

	if (verb->defaults)
		memcpy(options, verb->defaults, verb->options_size);
	int r = verb->flags & VERB_CLASSIC
			? 0
			: opt_parse(verb->options, options, &cli->arena, &argc, &argv, mode, &e);
	if (r < 0)
		return refuse_options(verb, &e);
	if (r > 0) {
		cli_help_verb(verb, &cli->out);
		return cli_flush(cli, &e) < 0;
	}
	if (!count_operands(cli, verb, argc))
		return 1;
	if (verb->flags & VERB_ENTERS)
		let_go_of_inherited(cli->arguments);
	/* Root's own file is at stake; an ordinary user's containers cannot write to it. */
	r = (verb->flags & VERB_ENTERS) && geteuid() == 0 ? reexec_readonly(cli->arguments, &e) : 0;
	if (r >= 0)
		r = verb->flags & VERB_NO_CONFIG ? 0 : find_places(cli, &e);
	if (r >= 0)
		r = verb->run(cli, options, argc, argv, &e);
	struct err late = {0};
	if (cli_flush(cli, &late) < 0 && r >= 0) {
		r = -1;
		e = late;
	}
	if (r >= 0)
		return r;
	auto_buf struct buf out = {0};
	cli_report(&e, &out);
	if (e.kind == ERR_USAGE && !cli->dialect)
		append_pointer(&out, "Run", verb);
	say(&out);
	return status_of(verb, &e);
}

/* A descriptor 0, 1 or 2 that is closed would be given to the first file that is opened. */
static void hold_standard_streams(void)
{
	struct pollfd fds[3] = {{.fd = 0}, {.fd = 1}, {.fd = 2}};

	if (poll(fds, 3, 0) <= 0)
		return;
	for (int fd = 0; fd < 3; fd++) {
		if ((fds[fd].revents & POLLNVAL) && open("/dev/null", fd ? O_WRONLY : O_RDONLY) < 0)
			abort();
	}
}

/* Called by the name of one of the scripts: no option comes before the command, or behind it. */
static int run_classic(struct cli *cli, int argc, char **argv)
{
	struct err e = {0};
	auto_buf struct buf out = {0};
	const char *word = argc ? argv[0] : "help";

	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		word = "help";
	cli->verb = classic_find(word);
	if (cli->verb)
		return run_verb(cli, argc - (argc > 0), argv + (argc > 0));
	err_set(&e, ERR_USAGE, 0, "unknown command: %s %s", cli->dialect->name, word);
	cli_report(&e, &out);
	buf_string(&out, "\n");
	classic_help(cli->dialect, NULL, &out);
	say(&out);
	return 1;
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct err e = {0};
	if (cli->dialect)
		return run_classic(cli, argc, argv);
	int r = opt_parse(cli_global_options, cli, &cli->arena, &argc, &argv, OPT_STOP_AT_OPERAND, &e);
	if (r < 0)
		return refuse_options(NULL, &e);
	if (cli->version)
		buf_string(&cli->out, "brig version " BRIG_VERSION "\n");
	else if (r > 0 || !argc)
		cli_help(&cli->out);
	if (cli->out.length) {
		/* Help that nobody asked for is talk. */
		bool asked = r > 0 || cli->version;
		return fd_write_full(asked ? STDOUT_FILENO : STDERR_FILENO, cli->out.data, cli->out.length) <
		       0;
	}
	if (cli->trace)
		log_trace_on();
	struct cli_found found = cli_find(argc, argv);
	if (!found.verb && found.group && argc == 1) {
		cli_help_group(found.group, &cli->out);
		say(&cli->out);
		return 0;
	}
	if (!found.verb && found.group && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		cli_help_group(found.group, &cli->out);
		return cli_flush(cli, &e) < 0;
	}
	if (!found.verb)
		return refuse_verb(cli, argc, argv, found);
	cli->verb = found.verb;
	return run_verb(cli, argc - found.words, argv + found.words);
}

int main(int argc, char **argv)
{
	struct cli cli = {0};

	hold_standard_streams();
	/* A caller that ignores its children's end would have ours reaped by the kernel, and
	 * their status be lost. */
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	/* A copy: the parser moves operands to the front. */
	cli.arguments = arena_array(&cli.arena, (size_t)argc + 1, sizeof *cli.arguments);
	memcpy(cli.arguments, argv, (size_t)argc * sizeof *argv);
	cli.dialect = classic_dialect(argc > 0 ? argv[0] : "");
	/* What the command held is given back by its end, which is quicker than we are. */
	return run(&cli, argc - (argc > 0), argv + (argc > 0));
}
