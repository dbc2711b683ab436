/* test_template.c - Go templates: what --format prints, and Go's words for what is wrong. */
#include <string.h>

#include "cli/template.h"
#include "unit.h"

static const char document[] =
	"{\"Id\": \"abc\", \"Name\": \"/web one\", \"Running\": true, \"Pid\": 42, \"Load\": 0.5, \"None\": "
	"null,"
	"\"Env\": [\"A=1\", \"B=2\"], \"Empty\": [], \"Labels\": {\"z\": \"26\", \"a\": \"1 < 2\"},"
	"\"Ports\": {\"80/tcp\": [{\"HostIp\": \"0.0.0.0\", \"HostPort\": \"8080\"}], \"81/tcp\": null},"
	"\"Networks\": {\"net\": {\"IPAddress\": \"172.17.0.2\", \"Len\": 16}, \"alt\": {\"IPAddress\": "
	"\"\", \"Len\": 0}},"
	"\"Image\": \"busybox\", \"State\": \"running\"}";

/* {{.Label "x"}} */
static const struct json *method(void *context, const char *name, const char *argument)
{
	return strcmp(name, "Label") ? NULL
				     : json_get(json_get((const struct json *)context, "Labels"), argument);
}

static void templates_print(void **state)
{
	static const struct {
		const char *template, *expected; /* "!" first: the error */
	} rows[] = {
		{"", ""},
		{"plain } text", "plain } text"},
		{"{{.Id}}", "abc"},
		{"{{ .ID }}-{{.Name}}", "abc-/web one"},
		{"{{.Pid}} {{.Running}} {{.Load}} {{.None}}", "42 true 0.5 <no value>"},
		{"{{.Env}} {{.Empty}} {{.Labels}}", "[A=1 B=2] [] map[a:1 < 2 z:26]"},
		{"{{json .Labels}}", "{\"z\":\"26\",\"a\":\"1 < 2\"}"},
		{"{{json .Name}} {{json .None}} {{json .Pid}}", "\"/web one\" null 42"},
		{"{{.Labels.z}}{{.Networks.net.IPAddress}}", "26172.17.0.2"},
		{"{{/* nothing */}}x{{- /* trimmed */ -}} y", "xy"},
		{"a {{- .Id -}} b", "aabcb"},
		{"a {{.Id -}}\n b", "a abcb"},
		{"{{range .Env}}{{.}};{{end}}", "A=1;B=2;"},
		{"{{range .Env}}{{println .}}{{end}}", "A=1\nB=2\n"},
		{"{{range $i, $v := .Env}}{{$i}}={{$v}} {{end}}", "0=A=1 1=B=2 "},
		{"{{range $v := .Env}}{{$v}}{{$.Id}} {{end}}", "A=1abc B=2abc "},
		{"{{range .Empty}}x{{else}}none{{end}}", "none"},
		{"{{range .None}}x{{end}}", ""},
		{"{{range .Env}}{{if eq . \"B=2\"}}{{break}}{{end}}{{.}}{{end}}", "A=1"},
		{"{{range .Env}}{{if eq . \"A=1\"}}{{continue}}{{end}}{{.}}{{end}}", "B=2"},
		{"{{range $k, $v := .Networks}}{{$k}}:{{$v.IPAddress}}/{{$v.Len}} {{end}}",
			"alt:/0 net:172.17.0.2/16 "},
		{"{{range .Networks}}{{.IPAddress}}{{end}}", "172.17.0.2"},
		{"{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"},
		{"{{index .Labels \"a\"}}|{{index .Labels \"nope\"}}|{{index .Env 1}}", "1 < 2||B=2"},
		{"{{json (index .Ports \"81/tcp\")}}", "null"},
		{"{{len .Env}} {{len .Labels}} {{len .Id}} {{len .None}}", "2 2 3 0"},
		{"{{if .Running}}up{{else}}down{{end}}", "up"},
		{"{{if .Empty}}a{{else if .None}}b{{else if eq .Pid 42}}c{{else}}d{{end}}", "c"},
		{"{{if and .Running (gt .Pid 40) (not .None)}}y{{end}}", "y"},
		{"{{or .None .Empty \"last\"}} {{and 1 0}} {{or .Id .Nope}}", "last 0 abc"},
		{"{{with .Labels}}{{.z}}{{end}}{{with .None}}x{{else}}no{{end}}", "26no"},
		{"{{with $x := .Id}}{{$x}}{{end}}", "abc"},
		{"{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"},
		{"{{eq .State \"created\" \"running\"}} {{ne .Pid 1}} {{lt 1 2}} {{le 2 2}} {{ge 1 2}}",
			"true true true true false"},
		{"{{gt .Load 0.4}} {{eq .Running true}} {{eq .None nil}}", "true true true"},
		{"{{.Id | upper | printf \"%s-%s\" \"x\"}}", "x-ABC"},
		{"{{printf \"%q %5d|%-5s|%05.1f %v %t %%\" .Id .Pid .Id .Load .Env .Running}}",
			"\"abc\"    42|abc  |000.5 [A=1 B=2] true %"},
		{"{{printf \"%d\" .Id}} {{printf \"%s\"}} {{printf \"%x\" 255}}",
			"%!d(string=abc) %!s(MISSING) ff"},
		{"{{print 1 2 \"a\" 3}}{{print}}", "1 2a3"},
		{"{{upper .Image}} {{title .Name}} {{lower \"ABC\"}} {{truncate .Image 4}} {{pad .Id 2 3}}|",
			"BUSYBOX /Web One abc busy   abc   |"},
		{"{{join (split .Image \"s\") \"-\"}} {{join .Env \",\"}}", "bu-ybox A=1,B=2"},
		{"{{slice .Image 1 3}} {{slice .Env 1}} {{slice .Image 4}}", "us [B=2] box"},
		{"{{.Label \"z\"}} {{\"a\" | .Label}}", "26 1 < 2"},
		{"{{`raw \\n`}} {{\"q\\\"\\t\"}}", "raw \\n q\"\t"},
		{"{{-1}} {{0x10}} {{true}}", "-1 16 true"},
		{"{{\"}}\"}}", "}}"},
		{"{{.Nope}}",
			"!template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\""},
		{"\n {{.Labels.Nope}}", "!template: :2:10: executing \"\" at <.Labels.Nope>: map has no "
					"entry for key \"Nope\""},
		{"{{.Id.X}}",
			"!template: :1:5: executing \"\" at <.Id.X>: can't evaluate field X in type string"},
		{"{{.None.X}}",
			"!template: :1:7: executing \"\" at <.None.X>: nil data; no entry for key \"X\""},
		{"{{index .Env 9}}", "!template: :1:2: executing \"\" at <index .Env 9>: error calling "
				     "index: index out of range: 9"},
		{"{{$x}}", "!template: :1:2: executing \"\" at <$x>: undefined variable \"$x\""},
		{"{{eq 1 \"a\"}}", "!template: :1:2: executing \"\" at <eq 1 \"a\">: error calling eq: "
				   "incompatible types for "
				   "comparison"},
		{"{{range .Id}}{{end}}",
			"!template: :1:8: executing \"\" at <.Id>: range can't iterate over abc"},
		{"{{len 1 2}}", "!template: :1:2: executing \"\" at <len 1 2>: wrong number of args for len: "
				"want 1 got 2"},
		{"{{.Id \"x\"}}",
			"!template: :1:2: executing \"\" at <.Id>: Id is not a method but has arguments"},
		{"{{", "!template: :1: unclosed action"},
		{"{{.Id", "!template: :1: unclosed action"},
		{"{{.Id }", "!template: :1: unexpected \"}\" in operand"},
		{"{{}}", "!template: :1: missing value for command"},
		{"{{nofunc .Id}}", "!template: :1: function \"nofunc\" not defined"},
		{"{{if}}x{{end}}", "!template: :1: missing value for if"},
		{"{{if .Id}}x", "!template: :1: unexpected EOF"},
		{"x{{end}}", "!template: :1: unexpected {{end}}"},
		{"{{else}}", "!template: :1: unexpected {{else}}"},
		{"{{break}}", "!template: :1: {{break}} outside {{range}}"},
		{"{{\"abc}}", "!template: :1: unterminated quoted string"},
		{"{{(.Id}}", "!template: :1: unclosed left paren"},
		{"{{/* x}}", "!template: :1: unclosed comment"},
		{"{{define \"x\"}}{{end}}", "!template: :1: {{define}} is not supported"},
		{"{{1 2}}", "!template: :1: can't give argument to non-function 1"},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct arena arena = {0};
		struct buf out = {0};
		struct err e = {0};
		unit_row("%s\n", rows[i].template);
		const struct json *dot = json_parse(&arena, document, sizeof document - 1, "test", &e);
		assert_non_null(dot);
		struct template_data data = {.dot = dot, .method = method, .context = (void *)(uintptr_t)dot};
		const struct template *template = template_parse(&arena, "", rows[i].template, &e);
		int r = template ? template_execute(template, &arena, &data, &out, &e) : -1;
		if (*rows[i].expected == '!') {
			assert_int_equal(r, -1);
			assert_string_equal(e.what, rows[i].expected + 1);
		} else {
			assert_string_equal(e.what, "");
			assert_int_equal(r, 0);
			assert_string_equal(out.data ? out.data : "", rows[i].expected);
		}
		buf_free(&out);
		arena_free(&arena);
	}
}

static void types_are_named(void **state)
{
	struct arena arena = {0};
	struct buf out = {0};
	struct err e = {0};
	struct json dot = {.type = JSON_OBJECT};
	struct template_data data = {.dot = &dot, .type = "*formatter.imageContext"};
	const struct template *template = template_parse(&arena, "version", "a{{.Nope}}", &e);

	assert_int_equal(template_execute(template, &arena, &data, &out, &e), -1);
	assert_string_equal(e.what,
		"template: version:1:3: executing \"version\" at <.Nope>: can't evaluate field Nope in "
		"type *formatter.imageContext");
	assert_string_equal(out.data, "a");
	buf_free(&out);
	arena_free(&arena);
}

static void uses_are_known(void **state)
{
	static const struct {
		const char *template, *field;
		bool used;
	} rows[] = {
		{"{{.ID}}\t{{.Names}}", "ID", true},
		{"{{.ID}}\t{{.Names}}", "Labels", false},
		{"{{.Label \"x\"}}", "Label", true},
		{"{{.Label \"x\"}}", "Labels", false},
		{"{{if eq .State \"x\"}}{{.Names}}{{else}}{{upper .Image}}{{end}}", "Image", true},
		{"{{if eq .State \"x\"}}{{.Names}}{{else}}{{upper .Image}}{{end}}", "Ports", false},
		{"{{json .}}", "Ports", true},
		{"{{$x := $}}{{$x.Ports}}", "Ports", true},
		{"{{$.Ports}}", "ports", true},
		{"{{$.Ports}}", "Names", false},
		{"{{(printf \"%s\" .Ports)}}", "Ports", true},
		{"plain", "Ports", false},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct arena arena = {0};
		struct err e = {0};
		unit_row("%s %s\n", rows[i].template, rows[i].field);
		const struct template *template = template_parse(&arena, "", rows[i].template, &e);
		assert_non_null(template);
		assert_int_equal(template_uses(template, rows[i].field), rows[i].used);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates_print),
		cmocka_unit_test(types_are_named),
		cmocka_unit_test(uses_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
