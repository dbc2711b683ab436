/*
 * opt.h - command line options from a table.
 *
 * A verb's options are a struct of its own and a table of rows that say which member
 * each option fills; parsing, help, completion and the check of the man pages come from
 * the same rows. The grammar and the words of the errors are docker's (its library is
 * pflag): clusters of letters (-it, -p80:80), --name=value and --name value, booleans
 * that never take a separate word (--rm=false), "--" ends the options, "-" is an operand.
 *
 * Values are borrowed from argv. Where zero is no good default, the owner of the options
 * sets others before parsing.
 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum opt_kind {
	OPT_BOOL,     /* bool */
	OPT_STRING,   /* const char * */
	OPT_LIST,     /* struct strings: one entry each time the option is given */
	OPT_INTEGER,  /* int64_t */
	OPT_SIZE,     /* int64_t, bytes: 10, 10b, 1.5k, 64m, 2g, 1t, binary units */
	OPT_DURATION, /* int64_t, nanoseconds, as time_parse_duration: 1h2m3.5s, 300ms, 0 */
	OPT_PARSE,    /* whatever parse() makes of it */
};

#define OPT_HIDDEN    0x1 /* not in the help: another spelling, or a relic */
#define OPT_INVERTED  0x2 /* OPT_BOOL that stores the opposite (--sig-proxy into no_sig_proxy) */
#define OPT_MINUS_ONE 0x4 /* OPT_SIZE that also takes -1, for "no limit" */

struct opt {
	const char *name; /* without the dashes; NULL ends the table */
	char letter;      /* or 0 */
	enum opt_kind kind;
	size_t offset;     /* of the member that is filled; OPT_PARSE need not use it */
	const char *value; /* what the help calls the value; NULL: a word for the kind */
	const char *help;
	/* OPT_PARSE: returns 0, or -1 with e's what saying why the value is bad (opt_parse puts
	 * 'invalid argument "x" for "-m, --memory" flag: ' before it). */
	int (*parse)(
		void *options, const struct opt *opt, const char *value, struct arena *arena, struct err *e);
	unsigned flags;
};

#define OPT_STOP_AT_OPERAND 0x1 /* the first operand ends the options, as for run and exec */

/*
 * Takes the options out of argv (its first word is the first argument, not the program)
 * and leaves the operands: *argv may be reordered in place and *argc shrinks. Returns 0;
 * 1 where --help (or -h, if no row has that letter) was met and nothing else matters; or
 * -1 with an ERR_USAGE. A later value replaces an earlier one, a list grows.
 */
int opt_parse(const struct opt *table, void *options, struct arena *arena, int *argc, char ***argv,
	unsigned mode, struct err *e);

/* Appends the options of the help, sorted by name and wrapped to width columns, each line
 * indented as docker does. Appends nothing where none is shown. */
void opt_help(const struct opt *table, unsigned width, struct buf *out);

/* The help's word for the option's value ("list", "bytes"), or NULL for a boolean. */
const char *opt_value_word(const struct opt *opt);

/* The grammars of single values; 0, or -EINVAL (not of that form) or -ERANGE, *out untouched. */
int opt_size(const char *text, int64_t *out);
int opt_integer(const char *text, int64_t *out);
int opt_bool(const char *text, bool *out);

#endif
