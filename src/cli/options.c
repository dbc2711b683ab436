/*
 * options.c - every option of every verb, one a line, for programs: completion and the
 * check of the man pages against the tables.
 *
 * A line has a verb, the option's name, its letter, the word for its value, what the
 * value is and flags ("hidden"), separated by tabs; "-" where there is none. A verb
 * itself is a line of its name, "", and its aliases.
 */
#include "cli/cli.h"

static void append_table(struct cli *cli, const char *verb, const struct opt *table)
{
	for (const struct opt *opt = table; opt && opt->name; opt++) {
		const char *value = opt_value_word(opt);
		char letter[2] = {opt->letter ? opt->letter : '-'};
		cli_print(cli, "option\t%s\t%s\t%s\t%s\t%s\n", verb, opt->name, letter, value ? value : "-",
			opt->flags & OPT_HIDDEN ? "hidden" : "-");
	}
}

static int run_options(struct cli *cli, void *options, int argc, char **argv, struct err *e)
{
	append_table(cli, "-", cli_global_options);
	for (const struct verb *const *verb = cli_verbs; *verb; verb++) {
		cli_print(cli, "verb\t%s\t%s\t%s\n", (*verb)->name, (*verb)->aliases ? (*verb)->aliases : "-",
			(*verb)->flags & VERB_HIDDEN ? "hidden" : "-");
		append_table(cli, (*verb)->name, (*verb)->options);
	}
	for (size_t i = 0;; i++) {
		const char *key = config_key(&cli->arena, i);
		if (!key)
			break;
		cli_print(cli, "config\t%s\n", key);
	}
	return 0;
}

const struct verb verb_options = {
	.name = "__options",
	.summary = "Print every option of every command",
	.usage = "",
	.flags = VERB_HIDDEN | VERB_NO_CONFIG,
	.run = run_options,
};
