/* help.c - help, all of it made from the verbs' rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "cli/cli.h"

static const struct {
	const char *name;
	const char *summary;
} groups[] = {
	{"builder", "Manage builds"},
	{"container", "Manage containers"},
	{"context", "Manage contexts"},
	{"image", "Manage images"},
	{"network", "Manage networks"},
	{"system", "Manage brig"},
	{"volume", "Manage volumes"},
};

/* docker wraps its help at the terminal's width, and at 80 without one. */
static unsigned help_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 40)
		return 80;
	return size.ws_col;
}

void cli_usage(const struct verb *verb, struct buf *out)
{
	if (!verb)
		buf_string(out, "Usage:  brig [OPTIONS] COMMAND [ARG...]\n");
	else
		buf_printf(out, "Usage:  brig %s%s%s\n", verb->name, *verb->usage ? " " : "", verb->usage);
}

/* "COMMAND\tWHAT" lines, the second column aligned. */
static void append_examples(const char *examples, struct buf *out)
{
	size_t widest = 0;

	for (const char *line = examples; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t length = strcspn(line, "\t\n");
		widest = length > widest ? length : widest;
	}
	buf_string(out, "\nExamples:\n");
	for (const char *line = examples; *line;) {
		size_t whole = strcspn(line, "\n"), command = strcspn(line, "\t\n");
		buf_printf(out, "  brig %.*s", (int)command, line);
		if (command < whole) {
			buf_printf(out, "%*s", (int)(widest - command + 3), "");
			buf_append(out, line + command + 1, whole - command - 1);
		}
		buf_append(out, "\n", 1);
		line += whole + (line[whole] == '\n');
	}
}

void cli_help_verb(const struct verb *verb, struct buf *out)
{
	cli_usage(verb, out);
	buf_printf(out, "\n%s\n", verb->summary);
	if (verb->examples)
		append_examples(verb->examples, out);
	if (verb->aliases) {
		struct cli_name name = {0};
		buf_string(out, "\nAliases:\n ");
		while (cli_next_name(verb, &name)) {
			if (name.in_aliases)
				buf_printf(out, " brig %.*s,", (int)name.length, name.text);
		}
		buf_printf(out, " brig %s\n", verb->name);
	}
	if (verb->options) {
		size_t start = out->length;
		buf_string(out, "\nOptions:\n");
		size_t heading = out->length;
		opt_help(verb->options, help_width(), out);
		if (out->length == heading)
			out->length = start;
	}
}

static void append_command(struct buf *out, const char *name, size_t length, const char *summary)
{
	buf_printf(out, "  %-11.*s %s\n", (int)length, name, summary);
}

/* The verbs of a help list, sorted. */
struct listed {
	const char *name;
	size_t length;
	const char *summary;
};

static int by_name(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	size_t length = x->length < y->length ? x->length : y->length;
	int order = strncmp(x->name, y->name, length);
	return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* Every verb that has a name in group ("" for one-word names), by its first such name. */
static void append_list(const char *group, unsigned without, struct buf *out)
{
	size_t count = 0, group_length = strlen(group);

	for (const struct verb *const *verb = cli_verbs; *verb; verb++)
		count++;
	auto_free struct listed *list = calloc(count + 1, sizeof *list);
	if (!list)
		abort();
	count = 0;
	for (const struct verb *const *verb = cli_verbs; *verb; verb++) {
		struct cli_name name = {0};
		if ((*verb)->flags & (VERB_HIDDEN | without))
			continue;
		while (cli_next_name(*verb, &name)) {
			if (name.group_length != group_length || strncmp(name.text, group, group_length) != 0)
				continue;
			size_t skipped = group_length ? group_length + 1 : 0;
			list[count++] =
				(struct listed){name.text + skipped, name.length - skipped, (*verb)->summary};
			break;
		}
	}
	qsort(list, count, sizeof *list, by_name);
	for (size_t i = 0; i < count; i++)
		append_command(out, list[i].name, list[i].length, list[i].summary);
}

static bool group_used(const char *group)
{
	char *words[] = {(char[16]){0}, NULL};

	snprintf(words[0], 16, "%s", group);
	return cli_find(1, words).group != NULL;
}

void cli_help(struct buf *out)
{
	buf_string(out, "Usage:  brig [OPTIONS] COMMAND\n\nContainers without a daemon\n");
	append_examples("pull debian\tfetch an image from a registry\n"
			"run --rm -it debian\ta shell in a container that is gone afterwards\n"
			"run -d --name web nginx\ta server in the background\n"
			"ps\twhat is running\n",
		out);
	buf_string(out, "\nCommon Commands:\n");
	for (const struct verb *const *verb = cli_verbs; *verb; verb++) {
		if (((*verb)->flags & (VERB_COMMON | VERB_HIDDEN)) == VERB_COMMON)
			append_command(out, (*verb)->name, strlen((*verb)->name), (*verb)->summary);
	}
	buf_string(out, "\nManagement Commands:\n");
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		if (group_used(groups[i].name))
			append_command(out, groups[i].name, strlen(groups[i].name), groups[i].summary);
	}
	buf_string(out, "\nCommands:\n");
	append_list("", VERB_COMMON, out);
	buf_string(out, "\nGlobal Options:\n");
	opt_help(cli_global_options, help_width(), out);
	buf_string(out, "\nRun 'brig COMMAND --help' for more information on a command.\n");
}

void cli_help_group(const char *group, struct buf *out)
{
	buf_printf(out, "Usage:  brig %s COMMAND\n\n", group);
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		if (!strcmp(groups[i].name, group))
			buf_printf(out, "%s\n\n", groups[i].summary);
	}
	buf_string(out, "Commands:\n");
	append_list(group, 0, out);
	buf_printf(out, "\nRun 'brig %s COMMAND --help' for more information on a command.\n", group);
}

/* ---- brig help [COMMAND] ---- */

static int run_help(struct cli *cli, void *options, int argc, char **argv, struct err *e)
{
	if (!argc) {
		cli_help(&cli->out);
		return 0;
	}
	struct cli_found found = cli_find(argc, argv);
	if (found.verb) {
		cli_help_verb(found.verb, &cli->out);
		return 0;
	}
	if (found.group && argc == 1) {
		cli_help_group(found.group, &cli->out);
		return 0;
	}
	err_set(e, ERR_NOT_FOUND, 0, "unknown help topic: %s", argv[argc - 1]);
	const char *nearest = cli_nearest(&cli->arena, found.group, argv[found.group ? 1 : 0]);
	return nearest ? err_hint(e, "did you mean '%s'?", nearest) : -1;
}

const struct verb verb_help = {
	.name = "help",
	.summary = "Show the help of a command",
	.usage = "[COMMAND]",
	.max_operands = 2,
	.flags = VERB_NO_CONFIG,
	.run = run_help,
};
