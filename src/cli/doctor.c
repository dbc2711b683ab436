/* doctor.c - brig doctor. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/open.h"
#include "engine/doctor.h"

struct doctor_options {
	bool fix, yes;
};

static const struct opt options_table[] = {
	{"fix", 0, OPT_BOOL, offsetof(struct doctor_options, fix), NULL,
		"Mend what brig can mend, asking before each"},
	{"yes", 'y', OPT_BOOL, offsetof(struct doctor_options, yes), NULL, "With --fix: do not ask"},
	{NULL},
};

static void print_finding(
	struct cli *cli, const struct doctor_check *check, const struct doctor_finding *finding)
{
	static const char *const words[] = {[DOCTOR_OK] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_BAD] = "BAD"};

	cli_print(cli, "%-5s %-11s %s\n", words[finding->status], check->name, finding->text);
	for (const char *line = finding->fix; *line;) {
		size_t length = strcspn(line, "\n");
		cli_print(
			cli, "%18s%s %.*s\n", "", line == finding->fix ? "fix:" : "    ", (int)length, line);
		line += length + (line[length] == '\n');
	}
}

/* Asks on the terminal; anything but a yes is a no. */
static int ask(struct cli *cli, const char *offer, struct err *e)
{
	char answer[64];

	if (cli_flush(cli, e) < 0)
		return -1;
	dprintf(STDERR_FILENO, "%18sshall brig %s? [y/N] ", "", offer);
	ssize_t length = read(STDIN_FILENO, answer, sizeof answer - 1);
	if (length <= 0)
		return err_set(e, ERR_INTERRUPTED, 0, "nobody answered");
	answer[length] = '\0';
	return answer[0] == 'y' || answer[0] == 'Y';
}

/* Looks, mends if that is wanted, and looks again. Returns the finding's status, or -1. */
static int examine(struct cli *cli, struct engine *engine, const struct doctor_options *options,
	const struct doctor_check *check, struct err *e)
{
	struct doctor_finding finding = {0};

	check->look(engine, &finding);
	print_finding(cli, check, &finding);
	if (!options->fix || finding.status == DOCTOR_OK || !finding.offer[0] || !check->fix)
		return (int)finding.status;
	int yes = options->yes ? 1 : ask(cli, finding.offer, e);
	if (yes <= 0)
		return yes < 0 ? -1 : (int)finding.status;
	struct err why = {0};
	if (cli_flush(cli, e) < 0)
		return -1;
	if (check->fix(engine, &why) < 0) {
		cli_complain(&why);
		return DOCTOR_BAD;
	}
	finding = (struct doctor_finding){0};
	check->look(engine, &finding);
	print_finding(cli, check, &finding);
	return (int)finding.status;
}

static int run_doctor(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct doctor_options *options = given;
	struct engine engine = {
		.arena = &cli->arena,
		.config = &cli->config,
		.data_root = cli->data_root,
		.run_root = cli->run_root,
		.run = -1,
	};
	int status = 0;

	if (options->yes && !options->fix)
		return err_set(e, ERR_USAGE, 0, "--yes belongs to --fix");
	if (options->fix && !options->yes && !isatty(STDIN_FILENO)) {
		err_set(e, ERR_INVALID, 0,
			"--fix asks before it changes this host, and there is no terminal to ask on");
		return err_hint(e, "add --yes, or run it without --fix to see what there is to do");
	}
	for (int i = 0; i < argc; i++) {
		if (!doctor_find(argv[i], e))
			return -1;
	}
	for (const struct doctor_check *check = doctor_checks; check->name; check++) {
		bool named = false;
		for (int i = 0; i < argc; i++)
			named = named || !strcmp(argv[i], check->name);
		if (argc && !named)
			continue;
		int found = examine(cli, &engine, options, check, e);
		if (found < 0)
			return -1;
		/* Who asks for one thing wants that, and not what brig does without it. */
		if (found == DOCTOR_BAD || (named && found == DOCTOR_NOTE))
			status = 1;
	}
	return status;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.summary = "Check what this host has, and say what to do about the rest",
	.usage = "[OPTIONS] [CHECK...]",
	.examples = "doctor\twhat is there, what is missing, and what to do\n"
		    "doctor --fix\tmend what can be mended, asking first\n"
		    "doctor --fix shocker\ta btrfs file system for shocker",
	.options = options_table,
	.options_size = sizeof(struct doctor_options),
	.max_operands = VERB_ANY,
	.run = run_doctor,
};
