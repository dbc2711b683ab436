/* test_opt.c - option tables: docker's grammar and docker's words for what is wrong. */
#include <errno.h>
#include <string.h>

#include "base/nearest.h"
#include "base/opt.h"
#include "unit.h"

struct options {
	bool interactive, tty, remove, no_proxy;
	const char *name;
	struct strings ports;
	int64_t last, memory, swap, interval;
	int streams;
};

static int parse_stream(
	void *options, const struct opt *opt, const char *value, struct arena *arena, struct err *e)
{
	if (strcmp(value, "stdin") != 0) {
		err_set(e, ERR_USAGE, 0, "valid streams are STDIN, STDOUT and STDERR");
		return err_hint(e, "stdin");
	}
	((struct options *)options)->streams++;
	return 0;
}

#define AT(member) offsetof(struct options, member)
static const struct opt table[] = {
	{"tty", 't', OPT_BOOL, AT(tty), NULL, "Allocate a pseudo-TTY"},
	{"interactive", 'i', OPT_BOOL, AT(interactive), NULL, "Keep STDIN open even if not attached"},
	{"rm", 0, OPT_BOOL, AT(remove), NULL, "Remove it when it exits"},
	{"sig-proxy", 0, OPT_BOOL, AT(no_proxy), NULL, "Proxy signals (default true)", .flags = OPT_INVERTED},
	{"name", 0, OPT_STRING, AT(name), NULL, "Assign a name"},
	{"nom", 0, OPT_STRING, AT(name), NULL, "Assign a name", .flags = OPT_HIDDEN},
	{"publish", 'p', OPT_LIST, AT(ports), NULL, "Publish a port"},
	{"last", 'n', OPT_INTEGER, AT(last), NULL, "Show the last ones"},
	{"memory", 'm', OPT_SIZE, AT(memory), NULL, "Memory limit"},
	{"memory-swap", 0, OPT_SIZE, AT(swap), NULL, "Swap limit: -1 for none", .flags = OPT_MINUS_ONE},
	{"interval", 0, OPT_DURATION, AT(interval), NULL, "Time between runs"},
	{"attach", 'a', OPT_PARSE, 0, "list", "Attach", parse_stream},
	{NULL},
};

/* Splits a line at blanks; '' is an empty word. */
static int split(char *line, char **words)
{
	int count = 0;
	for (char *word = strtok_r(line, " ", &line); word; word = strtok_r(NULL, " ", &line)) {
		if (!strcmp(word, "''"))
			*word = '\0';
		words[count++] = word;
	}
	words[count] = NULL;
	return count;
}

/* What was parsed, in one line. */
static void render(const struct options *o, int argc, char **argv, struct buf *out)
{
	buf_printf(out, "%s%s%s%s", o->interactive ? "i" : "", o->tty ? "t" : "", o->remove ? "r" : "",
		o->no_proxy ? "x" : "");
	if (o->name)
		buf_printf(out, " name=%s", o->name);
	for (size_t i = 0; i < o->ports.count; i++)
		buf_printf(out, " p=%s", o->ports.items[i]);
	if (o->last)
		buf_printf(out, " n=%d", (int)o->last);
	if (o->memory)
		buf_printf(out, " m=%lld", (long long)o->memory);
	if (o->swap)
		buf_printf(out, " swap=%lld", (long long)o->swap);
	if (o->streams)
		buf_printf(out, " a=%d", o->streams);
	buf_string(out, " |");
	for (int i = 0; i < argc; i++)
		buf_printf(out, " %s", argv[i]);
}

static void lines_are_parsed(void **state)
{
	static const struct {
		const char *line;
		unsigned mode;
		const char *expected;
	} rows[] = {
		{"", 0, " |"},
		{"-it busybox sh -c x", OPT_STOP_AT_OPERAND, "it | busybox sh -c x"},
		{"-it --rm busybox sh --rm=no", OPT_STOP_AT_OPERAND, "itr | busybox sh --rm=no"},
		{"-tip 80:80 -p81:81 -p=82:82 x", OPT_STOP_AT_OPERAND, "it p=80:80 p=81:81 p=82:82 | x"},
		{"--publish 80 --publish=81 x", 0, " p=80 p=81 | x"},
		{"--rm=false -i=1 -t=F x", 0, "i | x"},
		{"--rm false", 0, "r | false"},
		{"a -i b -n 3 c", 0, "i n=3 | a b c"},
		{"a -i -- -t b", 0, "i | a -t b"},
		{"-i -- -t b", OPT_STOP_AT_OPERAND, "i | -t b"},
		{"-i - -t", 0, "it | -"},
		{"--name a --name b", 0, " name=b |"},
		{"--nom a", 0, " name=a |"},
		{"--name= x", 0, " name= | x"},
		{"--name '' x", 0, " name= | x"},
		{"--name -i x", 0, " name=-i | x"},
		{"--name -- x", 0, " name=-- | x"},
		{"--sig-proxy=false", 0, "x |"},
		{"--sig-proxy", 0, " |"},
		{"-m 64m --memory-swap -1", 0, " m=67108864 swap=-1 |"},
		{"-n -1", 0, " n=-1 |"},
		{"-n0x10", 0, " n=16 |"},
		{"-a stdin -a stdin", 0, " a=2 |"},
		{"a --help", 0, "help"},
		{"-ih", 0, "help"},
		{"-i x --help", OPT_STOP_AT_OPERAND, "i | x --help"},
		{"--bogus x", 0, "unknown flag: --bogus"},
		{"--bogus=1 x", 0, "unknown flag: --bogus"},
		{"--nmae x", 0, "unknown flag: --nmae (did you mean --name?)"},
		{"--", 0, " |"},
		{"---x", 0, "bad flag syntax: ---x"},
		{"--=x", 0, "bad flag syntax: --=x"},
		{"-z", 0, "unknown shorthand flag: 'z' in -z"},
		{"-izt", 0, "unknown shorthand flag: 'z' in -zt"},
		{"--name", 0, "flag needs an argument: --name"},
		{"-p", 0, "flag needs an argument: 'p' in -p"},
		{"-ip", 0, "flag needs an argument: 'p' in -p"},
		{"--rm=maybe", 0,
			"invalid argument \"maybe\" for \"--rm\" flag: strconv.ParseBool: parsing \"maybe\": "
			"invalid "
			"syntax"},
		{"-m bogus", 0,
			"invalid argument \"bogus\" for \"-m, --memory\" flag: invalid size: 'bogus'"},
		{"-m -1", 0, "invalid argument \"-1\" for \"-m, --memory\" flag: invalid size: '-1'"},
		{"-n x", 0,
			"invalid argument \"x\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"x\": "
			"invalid syntax"},
		{"-n 9223372036854775808", 0,
			"invalid argument \"9223372036854775808\" for \"-n, --last\" flag: strconv.ParseInt: "
			"parsing "
			"\"9223372036854775808\": value out of range"},
		{"-a bogus", 0,
			"invalid argument \"bogus\" for \"-a, --attach\" flag: valid streams are STDIN, "
			"STDOUT and "
			"STDERR (stdin)"},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		unit_row("%s\n", rows[i].line);
		char line[128], *words[32], **argv = words;
		struct options options = {0};
		struct arena arena = {0};
		struct err e = {0};
		struct buf out = {0};

		strncpy(line, rows[i].line, sizeof line - 1);
		line[sizeof line - 1] = '\0';
		int argc = split(line, words);
		int r = opt_parse(table, &options, &arena, &argc, &argv, rows[i].mode, &e);
		if (r > 0) {
			buf_string(&out, "help");
		} else if (r < 0) {
			assert_int_equal(e.kind, ERR_USAGE);
			buf_string(&out, e.what);
			if (e.hint[0])
				buf_printf(&out, " (%s)", e.hint);
		} else {
			render(&options, argc, argv, &out);
			assert_null(argv[argc]);
		}
		assert_string_equal(out.data, rows[i].expected);
		buf_free(&out);
		arena_free(&arena);
	}
}

static void sizes_are_dockers(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t bytes;
	} rows[] = {
		{"0", 0, 0},
		{"10", 0, 10},
		{"10b", 0, 10},
		{"10B", 0, 10},
		{"1k", 0, 1024},
		{"1K", 0, 1024},
		{"1kb", 0, 1024},
		{"1KiB", 0, 1024},
		{"1 kb", 0, 1024},
		{"1.5g", 0, 1610612736},
		{"0.1k", 0, 102},
		{".5m", 0, 524288},
		{"7p", 0, 7881299347898368},
		{"1.33333333333333k", 0, 1365},
		{"8192p", -ERANGE, 0},
		{"99999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"x", -EINVAL, 0},
		{"k", -EINVAL, 0},
		{".", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1x", -EINVAL, 0},
		{"1kx", -EINVAL, 0},
		{"1bb", -EINVAL, 0},
		{"1.2.3", -EINVAL, 0},
		{"1  k", -EINVAL, 0},
		{" 1", -EINVAL, 0},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		int64_t bytes = 0;
		unit_row("'%s'\n", rows[i].text);
		assert_int_equal(opt_size(rows[i].text, &bytes), rows[i].result);
		assert_int_equal(bytes, rows[i].bytes);
	}
}

static void help_is_aligned_and_wrapped(void **state)
{
	static const struct opt few[] = {
		{"size", 's', OPT_BOOL, 0, NULL, "Display total file sizes"},
		{"filter", 'f', OPT_LIST, 0, "filter", "Filter output"},
		{"quiet", 0, OPT_BOOL, 0, NULL,
			"Only display what fits into a line that is broken between words"},
		{"relic", 0, OPT_BOOL, 0, NULL, "Not shown", .flags = OPT_HIDDEN},
		{NULL},
	};
	struct buf out = {0};

	opt_help(few, 60, &out);
	assert_string_equal(out.data, "  -f, --filter filter   Filter output\n"
				      "      --quiet           Only display what fits into a line\n"
				      "                        that is broken between words\n"
				      "  -s, --size            Display total file sizes\n");
	buf_free(&out);
	opt_help(few + 4, 60, &out);
	assert_null(out.data);
}

static void nearest_words(void **state)
{
	static const struct {
		const char *wanted, *expected;
	} rows[] = {
		{"rnu", "run"},
		{"iamges", "images"},
		{"image", "images"},
		{"pul", "pull"},
		{"bogus", NULL},
		{"x", NULL},
		{"", NULL},
		{"inspekt", "inspect"},
	};
	static const char *const words[] = {"run", "images", "pull", "inspect", "ps"};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct nearest nearest = {0};
		unit_row("%s\n", rows[i].wanted);
		for (size_t j = 0; j < unit_count(words); j++)
			nearest_offer(&nearest, rows[i].wanted, words[j]);
		if (rows[i].expected)
			assert_string_equal(nearest.word, rows[i].expected);
		else
			assert_null(nearest.word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_parsed),
		cmocka_unit_test(sizes_are_dockers),
		cmocka_unit_test(help_is_aligned_and_wrapped),
		cmocka_unit_test(nearest_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
