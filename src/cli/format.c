/* format.c - lists of things in docker's tables, or as --format wants them. */
#include "cli/format.h"

#include <string.h>

#include "base/table.h"

void format_put_json(struct format_row *row, const char *field, const struct json *value)
{
	struct json *member = arena_new(row->arena, struct json);

	*member = *value;
	member->key = field;
	member->next = NULL;
	row->object.type = JSON_OBJECT;
	if (row->last)
		row->last->next = member;
	else
		row->object.list.first = member;
	row->last = member;
	row->object.list.count++;
}

void format_put(struct format_row *row, const char *field, const char *value)
{
	format_put_json(row, field, &(struct json){.type = JSON_STRING, .string = value});
}

/* As strconv.Quote, but that bytes past ASCII stay as they are. */
void format_quote(struct buf *out, const char *text)
{
	static const char names[] = "abfnrtv\\\"", values[] = "\a\b\f\n\r\t\v\\\"";

	buf_string(out, "\"");
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		const char *found = strchr(values, *c);
		if (found)
			buf_printf(out, "\\%c", names[found - values]);
		else if (*c < 0x20 || *c == 0x7f)
			buf_printf(out, "\\x%02x", *c);
		else
			buf_append(out, c, 1);
	}
	buf_string(out, "\"");
}

/* \t and \n as people type them between single quotes. */
static char *unescape(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);
	char *to = copy;

	for (const char *from = text; *from; from++) {
		bool escape = *from == '\\' && (from[1] == 't' || from[1] == 'n');
		*to++ = !escape ? *from : *++from == 't' ? '\t' : '\n';
	}
	*to = '\0';
	return copy;
}

static int prefix_error(struct err *e, const char *before)
{
	return err_set(e, ERR_INVALID, 0, "%s: %s", before, e->what);
}

/* A row's headers are the fields of a row of their own; .Label "x" is the header x. */
static const struct json *header_method(void *context, const char *name, const char *argument)
{
	struct json *value = arena_new((struct arena *)context, struct json);

	*value = (struct json){.type = JSON_STRING, .string = argument};
	return value;
}

static int execute(const struct format_list *list, const struct template *template, struct arena *arena,
	const struct template_data *data, struct buf *out, struct err *e)
{
	if (template_execute(template, arena, data, out, e) < 0)
		return prefix_error(e, list->execute_error);
	buf_append(out, "\n", 1);
	return 0;
}

static int add_header(struct cli *cli, const struct format_list *list, const struct template *template,
	struct buf *out, struct err *e)
{
	struct format_row headers = {.arena = &cli->arena};

	for (const struct format_column *column = list->columns; column->field; column++)
		format_put(&headers, column->field, column->header);
	struct template_data data = {
		.dot = &headers.object,
		.type = list->type,
		.method = list->method ? header_method : NULL,
		.context = &cli->arena,
	};
	return execute(list, template, &cli->arena, &data, out, e);
}

/* One object a line, members sorted, <, > and & escaped: as Go's json.Marshal. */
static void add_json(const struct format_row *row, struct buf *out)
{
	struct json_writer writer = {.out = out, .escape_html = true};

	json_put_tree(&writer, NULL, &row->object);
	buf_append(out, "\n", 1);
}

int format_plan(struct cli *cli, const struct format_list *list, const char *format, struct format_plan *plan,
	struct err *e)
{
	bool is_table = !format || !*format || !strncmp(format, "table", 5);

	*plan = (struct format_plan){.cli = cli, .list = list, .is_table = is_table};
	if (is_table && (!format || !*format || !strcmp(format, "table")))
		format = list->usual;
	if (!is_table && !strcmp(format, "json"))
		return 0;
	char *text = unescape(&cli->arena, is_table ? format + 5 : format);
	text += strspn(text, " ");
	plan->template = template_parse(&cli->arena, "", text, e);
	return plan->template ? 0 : prefix_error(e, list->parse_error);
}

bool format_uses(const struct format_plan *plan, const char *field)
{
	return !plan->template || template_uses(plan->template, field);
}

int format_rows(const struct format_plan *plan, const struct format_row *rows, struct err *e)
{
	struct cli *cli = plan->cli;
	const struct format_list *list = plan->list;
	struct buf lines = {0};
	struct buf *out = plan->is_table ? &lines : &cli->out;
	size_t before = cli->out.length;

	if (!plan->template) {
		for (const struct format_row *row = rows; row; row = row->next)
			add_json(row, &cli->out);
		return 0;
	}
	int r = plan->is_table ? add_header(cli, list, plan->template, out, e) : 0;
	for (const struct format_row *row = rows; row && r >= 0; row = row->next) {
		/* An object even where no field was put into it. */
		struct json object = row->object;
		object.type = JSON_OBJECT;
		struct template_data data = {
			.dot = &object, .type = list->type, .method = list->method, .context = row->context};
		r = execute(list, plan->template, &cli->arena, &data, out, e);
	}
	if (plan->is_table && r >= 0)
		table_align(lines.data, &cli->out);
	if (r < 0)
		cli->out.length = before;
	buf_free(&lines);
	return r;
}

int format_object(struct cli *cli, const struct json *object, const char *format, const char *name,
	const char *type, const char *before, struct err *e)
{
	if (!strcmp(format, "json")) {
		struct json_writer writer = {.out = &cli->out};
		json_put_tree(&writer, NULL, object);
		buf_append(&cli->out, "\n", 1);
		return 0;
	}
	const struct template *template = template_parse(&cli->arena, name, format, e);
	struct template_data data = {.dot = object, .type = type};
	if (!template)
		return err_set(e, ERR_INVALID, 0, "%s%s", before, e->what);
	int r = template_execute(template, &cli->arena, &data, &cli->out, e);
	buf_append(&cli->out, "\n", 1);
	return r < 0 ? err_set(e, ERR_INVALID, 0, "%s%s", before, e->what) : 0;
}
