/* opt.c - command line options from a table. */
#include "base/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/nearest.h"
#include "base/time.h"

/* ---- values ---- */

int opt_bool(const char *text, bool *out)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		if (!strcmp(text, yes[i])) {
			*out = true;
			return 0;
		}
		if (!strcmp(text, no[i])) {
			*out = false;
			return 0;
		}
	}
	return -EINVAL;
}

int opt_integer(const char *text, int64_t *out)
{
	const char *digits = text + (*text == '-' || *text == '+');

	/* strtoll would also take leading blanks. */
	if (*digits < '0' || *digits > '9')
		return -EINVAL;
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 0);
	if (*end)
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*out = value;
	return 0;
}

/* Reads "12.25" as a number of units, each worth unit; moves *text past it. Digits of the
 * fraction that are worth less than one are dropped. */
static int read_decimal(const char **text, int64_t unit, int64_t *out)
{
	const char *p = *text;
	int64_t total = 0, worth = unit;
	bool any = false;

	for (; *p >= '0' && *p <= '9'; p++, any = true) {
		if (__builtin_mul_overflow(total, 10, &total) ||
			__builtin_add_overflow(total, *p - '0', &total))
			return -ERANGE;
	}
	if (__builtin_mul_overflow(total, unit, &total))
		return -ERANGE;
	if (*p == '.') {
		/* A long fraction in exact steps: what is left of the unit is carried as a remainder. */
		uint64_t carried = 0, scale = 1;
		for (p++; *p >= '0' && *p <= '9'; p++, any = true) {
			if (scale > 100000000)
				continue;
			carried = carried * 10 + (uint64_t)(*p - '0');
			scale *= 10;
		}
		worth = (int64_t)((unsigned __int128)carried * (uint64_t)unit / scale);
		if (__builtin_add_overflow(total, worth, &total))
			return -ERANGE;
	}
	if (!any)
		return -EINVAL;
	*text = p;
	*out = total;
	return 0;
}

/* The number is read twice: its unit comes after it. */
int opt_size(const char *text, int64_t *out)
{
	static const char units[] = "bkmgtp";
	const char *suffix = text + strspn(text, "0123456789.");
	int64_t unit = 1, value;

	if (*suffix == ' ')
		suffix++;
	if (*suffix) {
		char first = (char)(*suffix | 0x20);
		const char *found = strchr(units, first);
		if (!found)
			return -EINVAL;
		unit = (int64_t)1 << (10 * (found - units));
		const char *rest = suffix + 1;
		if (*rest && first == 'b')
			return -EINVAL;
		if (*rest && strcasecmp(rest, "b") && strcasecmp(rest, "ib"))
			return -EINVAL;
	}
	const char *p = text;
	int r = read_decimal(&p, unit, &value);
	if (r < 0)
		return r;
	if (p != suffix && !(*p == ' ' && p + 1 == suffix))
		return -EINVAL;
	*out = value;
	return 0;
}

/* ---- one option ---- */

const char *opt_value_word(const struct opt *opt)
{
	if (opt->kind == OPT_BOOL)
		return NULL;
	if (opt->value)
		return opt->value;
	switch (opt->kind) {
	case OPT_LIST:
		return "list";
	case OPT_INTEGER:
		return "int";
	case OPT_SIZE:
		return "bytes";
	case OPT_DURATION:
		return "duration";
	default:
		return "string";
	}
}

/* Why a value is bad, in the words of Go's strconv, which docker's callers know. */
static int bad_value(struct err *e, int r, const char *function, const char *value)
{
	return err_set(e, ERR_USAGE, 0, "%s: parsing \"%s\": %s", function, value,
		r == -ERANGE ? "value out of range" : "invalid syntax");
}

static int store_value(
	const struct opt *opt, void *options, const char *value, struct arena *arena, struct err *e)
{
	void *member = (char *)options + opt->offset;
	bool boolean;
	int r;

	switch (opt->kind) {
	case OPT_BOOL:
		r = opt_bool(value, &boolean);
		if (r < 0)
			return bad_value(e, r, "strconv.ParseBool", value);
		*(bool *)member = boolean != ((opt->flags & OPT_INVERTED) != 0);
		return 0;
	case OPT_STRING:
		*(const char **)member = value;
		return 0;
	case OPT_LIST:
		strings_add(arena, member, value);
		return 0;
	case OPT_INTEGER:
		r = opt_integer(value, member);
		return r < 0 ? bad_value(e, r, "strconv.ParseInt", value) : 0;
	case OPT_SIZE:
		if ((opt->flags & OPT_MINUS_ONE) && !strcmp(value, "-1")) {
			*(int64_t *)member = -1;
			return 0;
		}
		r = opt_size(value, member);
		return r < 0 ? err_set(e, ERR_USAGE, 0, "invalid size: '%s'", value) : 0;
	case OPT_DURATION:
		r = time_parse_duration(value, member);
		return r < 0 ? err_set(e, ERR_USAGE, 0, "time: invalid duration \"%s\"", value) : 0;
	case OPT_PARSE:
		return opt->parse(options, opt, value, arena, e);
	}
	return 0;
}

static int set_value(
	const struct opt *opt, void *options, const char *value, struct arena *arena, struct err *e)
{
	char called[64] = "";

	if (store_value(opt, options, value, arena, e) >= 0)
		return 0;
	char hint[sizeof e->hint];
	memcpy(hint, e->hint, sizeof hint);
	if (opt->letter) {
		called[0] = '-';
		called[1] = opt->letter;
		called[2] = ',';
		called[3] = ' ';
	}
	err_set(e, ERR_USAGE, 0, "invalid argument \"%s\" for \"%s--%s\" flag: %s", value, called, opt->name,
		e->what);
	return hint[0] ? err_hint(e, "%s", hint) : -1;
}

static const struct opt *find_name(const struct opt *table, const char *name, size_t length)
{
	for (const struct opt *opt = table; opt && opt->name; opt++) {
		if (!strncmp(opt->name, name, length) && !opt->name[length])
			return opt;
	}
	return NULL;
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
	for (const struct opt *opt = table; opt && opt->name; opt++) {
		if (opt->letter == letter)
			return opt;
	}
	return NULL;
}

/* ---- the command line ---- */

struct parser {
	const struct opt *table;
	void *options;
	struct arena *arena;
	int argc, at;
	char **argv;
};

static int unknown_name(const struct opt *table, const char *name, size_t length, struct err *e)
{
	char wanted[64];
	struct nearest nearest = {0};

	err_set(e, ERR_USAGE, 0, "unknown flag: --%.*s", (int)(length > 256 ? 256 : length), name);
	if (length >= sizeof wanted)
		return -1;
	memcpy(wanted, name, length);
	wanted[length] = '\0';
	for (const struct opt *opt = table; opt && opt->name; opt++) {
		if (!(opt->flags & OPT_HIDDEN))
			nearest_offer(&nearest, wanted, opt->name);
	}
	return nearest.word ? err_hint(e, "did you mean --%s?", nearest.word) : -1;
}

/* word is "--name" or "--name=value". Returns as opt_parse. */
static int parse_long(struct parser *p, const char *word, struct err *e)
{
	const char *name = word + 2;
	size_t length = strcspn(name, "=");

	if (!length || *name == '-')
		return err_set(e, ERR_USAGE, 0, "bad flag syntax: %s", word);
	const struct opt *opt = find_name(p->table, name, length);
	if (!opt) {
		if (length == 4 && !strncmp(name, "help", 4))
			return 1;
		return unknown_name(p->table, name, length, e);
	}
	const char *value;
	if (name[length] == '=')
		value = name + length + 1;
	else if (opt->kind == OPT_BOOL)
		value = "true";
	else if (p->at < p->argc)
		value = p->argv[p->at++];
	else
		return err_set(e, ERR_USAGE, 0, "flag needs an argument: --%s", opt->name);
	return set_value(opt, p->options, value, p->arena, e);
}

/* letters is a cluster without its dash: booleans, then at most one option with a value. */
static int parse_letters(struct parser *p, const char *letters, struct err *e)
{
	while (*letters) {
		const struct opt *opt = find_letter(p->table, *letters);
		if (!opt) {
			if (*letters == 'h')
				return 1;
			return err_set(
				e, ERR_USAGE, 0, "unknown shorthand flag: '%c' in -%s", *letters, letters);
		}
		const char *value;
		size_t taken = strlen(letters);
		if (taken > 2 && letters[1] == '=') {
			value = letters + 2;
		} else if (opt->kind == OPT_BOOL) {
			value = "true";
			taken = 1;
		} else if (taken > 1) {
			value = letters + 1;
		} else if (p->at < p->argc) {
			value = p->argv[p->at++];
		} else {
			return err_set(
				e, ERR_USAGE, 0, "flag needs an argument: '%c' in -%s", *letters, letters);
		}
		if (set_value(opt, p->options, value, p->arena, e) < 0)
			return -1;
		letters += taken;
	}
	return 0;
}

int opt_parse(const struct opt *table, void *options, struct arena *arena, int *argc, char ***argv,
	unsigned mode, struct err *e)
{
	struct parser p = {.table = table, .options = options, .arena = arena, .argc = *argc, .argv = *argv};
	int kept = 0; /* operands, moved to the front */

	while (p.at < p.argc) {
		char *word = p.argv[p.at];
		bool is_operand = word[0] != '-' || !word[1];
		if (is_operand && (mode & OPT_STOP_AT_OPERAND))
			break;
		p.at++;
		if (is_operand) {
			p.argv[kept++] = word;
			continue;
		}
		if (!strcmp(word, "--"))
			break;
		int r = word[1] == '-' ? parse_long(&p, word, e) : parse_letters(&p, word + 1, e);
		if (r)
			return r;
	}
	int rest = p.argc - p.at;
	if (kept) {
		memmove(p.argv + kept, p.argv + p.at, (size_t)rest * sizeof *p.argv);
		p.argv[kept + rest] = NULL;
	} else {
		*argv = p.argv + p.at; /* already a tail of argv, NULL after it */
	}
	*argc = kept + rest;
	return 0;
}

/* ---- help ---- */

static int by_name(const void *a, const void *b)
{
	const struct opt *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

/* Appends text after a column of width `at`, broken between words at the right margin. */
static void append_wrapped(struct buf *out, const char *text, unsigned at, unsigned width)
{
	unsigned room = width > at + 20 ? width - at : 20;
	unsigned column = 0;

	while (*text) {
		size_t word = strcspn(text, " \n");
		if (column && column + 1 + word > room) {
			buf_printf(out, "\n%*s", (int)at, "");
			column = 0;
		} else if (column) {
			buf_append(out, " ", 1);
			column++;
		}
		buf_append(out, text, word);
		column += (unsigned)word;
		text += word;
		if (*text == '\n') {
			buf_printf(out, "\n%*s", (int)at, "");
			column = 0;
			text++;
			size_t blanks = strspn(text, " ");
			buf_append(out, text, blanks);
			text += blanks;
		} else if (*text == ' ') {
			text++;
		}
	}
	buf_append(out, "\n", 1);
}

void opt_help(const struct opt *table, unsigned width, struct buf *out)
{
	size_t count = 0;
	unsigned widest = 0;

	for (const struct opt *opt = table; opt && opt->name; opt++)
		count++;
	if (!count)
		return;
	auto_free const struct opt **shown = calloc(count, sizeof *shown);
	if (!shown)
		abort();
	count = 0;
	for (const struct opt *opt = table; opt->name; opt++) {
		if (opt->flags & OPT_HIDDEN)
			continue;
		shown[count++] = opt;
		const char *word = opt_value_word(opt);
		unsigned length = (unsigned)(strlen(opt->name) + (word ? strlen(word) + 1 : 0));
		widest = length > widest ? length : widest;
	}
	qsort(shown, count, sizeof *shown, by_name);
	for (size_t i = 0; i < count; i++) {
		const struct opt *opt = shown[i];
		const char *word = opt_value_word(opt);
		size_t start = out->length;
		if (opt->letter)
			buf_printf(out, "  -%c, --%s", opt->letter, opt->name);
		else
			buf_printf(out, "      --%s", opt->name);
		if (word)
			buf_printf(out, " %s", word);
		unsigned at = 8 + widest + 3;
		buf_printf(out, "%*s", (int)(at - (out->length - start)), "");
		append_wrapped(out, opt->help ? opt->help : "", at, width);
	}
}
