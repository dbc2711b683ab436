/*
 * cli.h - the frame of the command line: what a verb is, and what it is given.
 *
 * A verb is one file with a `const struct verb verb_NAME` and its NAME in meson.build's
 * list. main finds the verb, fills its options from its table, checks the number of
 * operands, calls run() and prints the one error. stdout is data: verbs append it to
 * cli->out, which main writes when run() returns; cli_flush() writes it sooner.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/opt.h"
#include "engine/config.h"

struct cli;

/* Verbs whose errors all exit with 125 (run): the status is otherwise the container's. */
#define VERB_EXIT_125 0x01
/* Options end at the first operand: what follows belongs to the container. */
#define VERB_STOP_AT_OPERAND 0x02
/* Runs without reading brig.conf. */
#define VERB_NO_CONFIG 0x04
/* Not in the help. */
#define VERB_HIDDEN 0x08
/* In the help's first list. */
#define VERB_COMMON 0x10
/* A command that is missing or not executable exits with 127 or 126 (run, exec). */
#define VERB_EXECUTES 0x20
/* Enters containers: runs from a read-only clone of brig (base/reexec.h). */
#define VERB_ENTERS 0x40
/* A command of the classic dialect (classic.h), where nothing is an option. */
#define VERB_CLASSIC 0x80
/* A value that cannot be understood exits with 125, as an option does (create). */
#define VERB_USAGE_125 0x100

#define VERB_ANY -1 /* max_operands: no limit */

struct verb {
	const char *name;          /* what is typed: "run", "network create" */
	const char *aliases;       /* docker's other names for it: "container ls, container list"; or NULL */
	const char *summary;       /* one line */
	const char *usage;         /* what follows the name: "[OPTIONS] IMAGE [COMMAND] [ARG...]" */
	const char *examples;      /* lines of "COMMAND\tWHAT IT DOES", without the "brig "; or NULL */
	const struct opt *options; /* or NULL */
	size_t options_size;       /* of the struct they fill, given to run() */
	const void *defaults;      /* its initial bytes; NULL: zeros */
	int min_operands, max_operands;
	unsigned flags;
	/* Returns the exit status, or -1 with e filled. argv holds the operands. */
	int (*run)(struct cli *cli, void *options, int argc, char **argv, struct err *e);
};

/* Every verb in the order of meson.build's list, NULL at the end. */
extern const struct verb *const cli_verbs[];

struct engine;
struct dialect;

struct cli {
	struct arena arena; /* lives as long as the command */
	struct buf out;     /* stdout's bytes so far */
	const struct verb *verb;
	struct config config;
	/* Global options, or the environment, or brig.conf, or the default place; in that order. */
	const char *data_root, *run_root, *config_path;
	const char *storage_driver;    /* the option only; find_places puts it into config */
	bool config_named;             /* config_path was asked for: it has to exist */
	bool root_named;               /* data_root was asked for, and is not just the default place */
	const struct dialect *dialect; /* of the name that brig was called by (classic.h), or NULL */
	bool trace, debug;
	bool version;     /* -v */
	char **arguments; /* all that main was given, to execute brig again */
	struct engine *engine;
};

/* Appends to cli->out. */
void cli_print(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes cli->out to stdout now. A stdout that nobody reads is ERR_SYSTEM. */
int cli_flush(struct cli *cli, struct err *e);

/* Prints an error that does not end the command: one of several operands failed. Returns 1,
 * for the exit status. */
int cli_complain(const struct err *e);

/* The platform of --platform, or of docker's variable for it, or NULL. */
const char *cli_platform(const char *option);

/* ---- for main.c and help.c ---- */

struct cli_found {
	const struct verb *verb; /* or NULL */
	const char *group;       /* where verb is NULL: "container", of "brig container bogus" */
	int words;               /* how many of argv name it */
};

/* Walks the names of a verb: its own, then its aliases. Start with a zeroed struct. */
struct cli_name {
	const char *text; /* length bytes, not NUL-terminated */
	size_t length;
	size_t group_length; /* of "container" in "container ls"; 0 where it is one word */
	bool in_aliases;
};
bool cli_next_name(const struct verb *verb, struct cli_name *name);

/* Looks for the verb that argv starts with. */
struct cli_found cli_find(int argc, char **argv);
/* The closest name to what was typed, for a hint; or NULL. words is 1 or 2. */
const char *cli_nearest(struct arena *arena, const char *group, const char *word);

/* Appends the error as the user sees it. */
void cli_report(const struct err *e, struct buf *out);

extern const struct opt cli_global_options[];

/* brig --help, brig GROUP --help, brig VERB --help. */
void cli_help(struct buf *out);
void cli_help_group(const char *group, struct buf *out);
void cli_help_verb(const struct verb *verb, struct buf *out);
/* "Usage:  brig run [OPTIONS] ..." and a newline; verb may be NULL. */
void cli_usage(const struct verb *verb, struct buf *out);

#endif
