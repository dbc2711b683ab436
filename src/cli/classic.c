/* classic.c - the classic dialect's frame: names, the table of commands, help, the store. */
#include "cli/classic.h"

#include <string.h>

#include "engine/stores.h"

extern const struct verb classic_init, classic_pull, classic_rm, classic_images, classic_ps, classic_run,
	classic_exec, classic_logs, classic_commit, classic_help_verb;

/* In the order of the scripts' help. */
const struct verb *const classic_verbs[] = {
	&classic_init,
	&classic_pull,
	&classic_rm,
	&classic_images,
	&classic_ps,
	&classic_run,
	&classic_exec,
	&classic_logs,
	&classic_commit,
	&classic_help_verb,
	NULL,
};

static const struct dialect dialects[] = {
	{
		.name = "bocker",
		.variable = "BOCKER",
		.sources = true,
	},
	{
		.name = "shocker",
		.variable = "SHOCKER",
		.sources = true,
		.images_width = 16,
		.ps_width = 19,
	},
	{
		.name = "zocker",
		.variable = "ZOCKER",
		.images_width = 16,
		.ps_width = 19,
	},
};

const struct dialect *classic_dialect(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;

	for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++) {
		if (!strcmp(name, dialects[i].name))
			return &dialects[i];
	}
	return NULL;
}

const struct verb *classic_find(const char *name)
{
	for (const struct verb *const *verb = classic_verbs; *verb; verb++) {
		if (!strcmp((*verb)->name, name))
			return *verb;
	}
	return NULL;
}

void classic_help(const struct dialect *dialect, const struct verb *verb, struct buf *out)
{
	for (const struct verb *const *each = classic_verbs; *each; each++) {
		if (verb && *each != verb)
			continue;
		buf_printf(out, "%s:\n\t%s %s%s%s\n\n", (*each)->summary, dialect->name, (*each)->name,
			*(*each)->usage ? " " : "", (*each)->usage);
	}
}

static int run_help(struct cli *cli, void *options, int argc, char **argv, struct err *e)
{
	classic_help(cli->dialect, NULL, &cli->out);
	return 0;
}

const struct verb classic_help_verb = {
	.name = "help",
	.summary = "Display this message",
	.usage = "",
	.max_operands = VERB_ANY,
	.flags = VERB_CLASSIC | VERB_NO_CONFIG,
	.run = run_help,
};

struct engine *classic_engine(struct cli *cli, enum engine_access access, struct err *e)
{
	/* Whoever names a root has chosen already. */
	if (!cli->root_named &&
		stores_choose(&cli->arena, cli->dialect->name, access != ENGINE_READ, &cli->data_root, e) < 0)
		return NULL;
	return cli_engine(cli, access, e);
}

void classic_row(struct cli *cli, unsigned width, const char *first, const char *second)
{
	if (!second)
		cli_print(cli, "%s\n", first);
	else if (!width)
		cli_print(cli, "%s\t\t%s\n", first, second);
	else
		cli_print(cli, "%-*s %s\n", (int)width - 1, first, second);
}

int classic_missing(struct cli *cli, const char *what, const char *name)
{
	char shown[512];

	cli_print(cli, "No %s named '%s' exists\n", what, err_sanitize(shown, sizeof shown, name));
	return 1;
}

int classic_find_image(
	struct cli *cli, struct engine *engine, const char *name, struct image *image, struct err *e)
{
	if (image_find(&engine->store, &cli->arena, name, image, e) == 0)
		return 0;
	return e->kind == ERR_NOT_FOUND ? classic_missing(cli, "image", name) : -1;
}

int classic_find_container(
	struct cli *cli, struct engine *engine, const char *name, struct container *container, struct err *e)
{
	if (container_find(&engine->containers, name, container, e) == 0)
		return 0;
	return e->kind == ERR_NOT_FOUND ? classic_missing(cli, "container", name) : -1;
}
