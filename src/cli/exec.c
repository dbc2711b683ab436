/* exec.c - brig exec. */
#include <stddef.h>
#include <unistd.h>

#include "cli/container_options.h"
#include "cli/open.h"
#include "engine/exec.h"

struct exec_cli {
	bool detach, interactive, privileged, tty;
	const char *detach_keys, *user, *workdir;
	struct strings env, env_file;
};

static const struct opt exec_options[] = {
	{"detach", 'd', OPT_BOOL, offsetof(struct exec_cli, detach), NULL,
		"Detached mode: run command in the background"},
	{"detach-keys", 0, OPT_STRING, offsetof(struct exec_cli, detach_keys), NULL,
		"Override the key sequence for detaching a container"},
	{"env", 'e', OPT_LIST, offsetof(struct exec_cli, env), NULL, "Set environment variables"},
	{"env-file", 0, OPT_LIST, offsetof(struct exec_cli, env_file), NULL,
		"Read in a file of environment variables"},
	{"interactive", 'i', OPT_BOOL, offsetof(struct exec_cli, interactive), NULL,
		"Keep STDIN open even if not attached"},
	{"privileged", 0, OPT_BOOL, offsetof(struct exec_cli, privileged), NULL,
		"Give extended privileges to the command"},
	{"tty", 't', OPT_BOOL, offsetof(struct exec_cli, tty), NULL, "Allocate a pseudo-TTY"},
	{"user", 'u', OPT_STRING, offsetof(struct exec_cli, user), NULL,
		"Username or UID (format: \"<name|uid>[:<group|gid>]\")"},
	{"workdir", 'w', OPT_STRING, offsetof(struct exec_cli, workdir), NULL,
		"Working directory inside the container"},
	{NULL},
};

static int run_exec(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct exec_cli *options = given;
	struct exec_options exec = {
		.container = argv[0],
		/* An empty text is none. */
		.user = options->user && *options->user ? options->user : NULL,
		.working_dir = options->workdir && *options->workdir ? options->workdir : NULL,
		.terminal = options->tty,
		.input = options->interactive && !options->detach,
		.detach = options->detach,
		.privileged = options->privileged,
		.attaching = {.terminal = options->tty, .input = options->interactive},
	};
	enum attach_end end;
	int status;

	for (int i = 1; i < argc; i++)
		strings_add(&cli->arena, &exec.args, argv[i]);
	if (attach_parse_keys(options->detach_keys, &exec.attaching, e) < 0 ||
		container_options_env(&cli->arena, &options->env, &options->env_file, &exec.env, e) < 0)
		return -1;
	if (exec.working_dir && *exec.working_dir != '/')
		return err_set(e, ERR_INVALID, 0, "Cwd must be an absolute path");
	if (exec.terminal && exec.input && !isatty(STDIN_FILENO))
		return err_set(e, ERR_INVALID, 0, "the input device is not a TTY");
	struct engine *engine = cli_engine(cli, ENGINE_CHANGE, e);
	if (!engine || engine_exec(engine, &exec, &end, &status, e) < 0)
		return -1;
	return status;
}

const struct verb verb_exec = {
	.name = "exec",
	.aliases = "container exec",
	.summary = "Execute a command in a running container",
	.usage = "[OPTIONS] CONTAINER COMMAND [ARG...]",
	.examples = "exec -it web bash\ta shell beside what runs there\nexec -u 1000 -w /tmp web id\tas "
		    "somebody else",
	.options = exec_options,
	.options_size = sizeof(struct exec_cli),
	.min_operands = 2,
	.max_operands = VERB_ANY,
	.flags = VERB_STOP_AT_OPERAND | VERB_COMMON | VERB_EXECUTES | VERB_ENTERS | VERB_USAGE_125,
	.run = run_exec,
};
