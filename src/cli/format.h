/*
 * format.h - lists of things in docker's tables, or as --format wants them.
 *
 * A verb makes one JSON object for each row, its members named as docker's template fields
 * ("ID", "Image"), and hands them over with the headers and the template of its usual
 * table.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include "base/json.h"
#include "cli/cli.h"
#include "cli/template.h"

struct format_column {
	const char *field;  /* NULL ends the list */
	const char *header; /* "CONTAINER ID" */
};

struct format_list {
	const struct format_column *columns; /* every field a row has, sorted as --format json prints them */
	const char *usual;                   /* "table {{.ID}}\t{{.Image}}" */
	const char *type;                    /* Go's name of a row: "*formatter.ContainerContext" */
	const char *parse_error;   /* what docker says before Go's words: "failed to parse template" */
	const char *execute_error; /* "failed to execute template" */
	/* {{.NAME "argument"}} of a row, as struct template_data; may be NULL. */
	const struct json *(*method)(void *row, const char *name, const char *argument);
};

/* What the user wants of a list: known before the rows are made, so that only what is shown
 * has to be found out. */
struct format_plan {
	struct cli *cli;
	const struct format_list *list;
	const struct template *template; /* NULL: JSON */
	bool is_table;
};

/* format is the user's, or NULL for the usual table. */
int format_plan(struct cli *cli, const struct format_list *list, const char *format, struct format_plan *plan,
	struct err *e);
/* Whether rows need this field. */
bool format_uses(const struct format_plan *plan, const char *field);

/* A row being made: an object of strings in an arena. Zero it, set arena and plan. Fields
 * that the plan does not use can be left out. */
struct format_row {
	struct arena *arena;
	struct json object;
	struct json *last;
	void *context; /* for method */
	struct format_row *next;
};

void format_put(struct format_row *row, const char *field, const char *value);
void format_put_json(struct format_row *row, const char *field, const struct json *value);

/* Appends the rows to cli->out. */
int format_rows(const struct format_plan *plan, const struct format_row *rows, struct err *e);

/* Appends text in double quotes with Go's escapes. */
void format_quote(struct buf *out, const char *text);

#define FORMAT_HELP                                                                                          \
	"Format output using a custom template:\n"                                                           \
	"'table':            Print output in table format with column headers (default)\n"                   \
	"'table TEMPLATE':   Print output in table format using the given Go template\n"                     \
	"'json':             Print in JSON format\n"                                                         \
	"'TEMPLATE':         Print output using the given Go template"
#define FORMAT_OBJECT_HELP                                                                                   \
	"Format output using a custom template:\n"                                                           \
	"'json':             Print in JSON format\n"                                                         \
	"'TEMPLATE':         Print output using the given Go template"

/* One object by the user's template (inspect, info, version) and a newline. name and type are for
 * errors, as in template.h; before is what docker says before them ("template parsing error: "). */
int format_object(struct cli *cli, const struct json *object, const char *format, const char *name,
	const char *type, const char *before, struct err *e);

#endif
