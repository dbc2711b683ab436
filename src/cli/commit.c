/* commit.c - brig commit. */
#include "cli/open.h"
#include "engine/commit.h"

struct commit_cli {
	const char *author, *message;
	struct strings changes;
	bool no_pause;
};

static const struct opt options_table[] = {
	{"author", 'a', OPT_STRING, offsetof(struct commit_cli, author), NULL,
		"Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"},
	{"change", 'c', OPT_LIST, offsetof(struct commit_cli, changes), NULL,
		"Apply Dockerfile instruction to the created image"},
	{"message", 'm', OPT_STRING, offsetof(struct commit_cli, message), NULL, "Commit message"},
	{"pause", 'p', OPT_BOOL, offsetof(struct commit_cli, no_pause), NULL,
		"Pause container during commit (default true)", .flags = OPT_INVERTED},
	{NULL},
};

static int run_commit(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct commit_cli *o = given;
	struct commit_options options = {
		.container = argv[0],
		.name = argc > 1 && *argv[1] ? argv[1] : NULL,
		.author = o->author,
		.message = o->message,
		.changes = o->changes,
		.no_pause = o->no_pause,
	};
	struct commit_result result;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);

	if (!engine || engine_commit(engine, &options, &result, e) < 0)
		return -1;
	cli_print(cli, "%s\n", result.id.text);
	return 0;
}

const struct verb verb_commit = {
	.name = "commit",
	.aliases = "container commit",
	.summary = "Create a new image from a container's changes",
	.usage = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
	.examples = "commit web mine:2\tan image of what the container web has become\n"
		    "commit -c 'CMD [\"nginx\"]' web mine\tand what it runs by default\n"
		    "commit ps_42150 img_42150\tin the place of the image with that number",
	.options = options_table,
	.options_size = sizeof(struct commit_cli),
	.min_operands = 1,
	.max_operands = 2,
	.run = run_commit,
};
