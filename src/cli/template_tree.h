/*
 * template_tree.h - a parsed template: what template.c makes, template_run.c walks and
 * template_functions.c is called from. Private to these three.
 */
#ifndef CLI_TEMPLATE_TREE_H
#define CLI_TEMPLATE_TREE_H

#include <stdbool.h>

#include "cli/template.h"

struct parser;
struct template_call;

enum template_operand_kind {
	OPERAND_VALUE,    /* a literal */
	OPERAND_DOT,      /* . */
	OPERAND_FIELD,    /* .A.B: fields of dot */
	OPERAND_VARIABLE, /* $x.A */
	OPERAND_FUNCTION,
	OPERAND_PIPELINE, /* (...).A */
};

struct template_operand {
	enum template_operand_kind kind;
	struct json value; /* OPERAND_VALUE */
	const char *name;  /* of the variable, "" for $; of the function */
	const struct template_function *function;
	struct template_pipeline *pipeline;
	struct strings fields;
	const char *source; /* as written */
	const char *column; /* where errors say it is, in the template's text */
	struct template_operand *next;
};

struct template_command {
	struct template_operand *first; /* what is called, if others follow; else the value */
	const char *source;
	const char *column;
	struct template_command *next; /* takes this one's value as its last argument */
};

struct template_pipeline {
	const char *variables[2]; /* declared or assigned; NULL: none */
	bool assigns;             /* = and not := */
	struct template_command *first;
};

enum template_kind {
	NODE_TEXT,
	NODE_ACTION,
	NODE_IF,
	NODE_WITH,
	NODE_RANGE,
	NODE_BREAK,
	NODE_CONTINUE,
};

struct template_node {
	enum template_kind kind;
	const char *text; /* NODE_TEXT: length bytes */
	size_t length;
	struct template_pipeline *pipeline;
	struct template_node *body, *otherwise;
	struct template_node *next;
};

struct template
{
	const char *name;
	const char *text;
	struct template_node *list;
};

struct template_pipeline *template_parse_pipeline(struct parser *p);
bool template_parse_block(struct parser *p, struct template_node *node);

/* ---- functions ---- */

#define TEMPLATE_ARGUMENTS 16

struct template_call {
	struct arena *arena;
	const struct template_function *function;
	const struct json *arguments[TEMPLATE_ARGUMENTS];
	int count;
	struct err *e; /* filled with the reason alone: "index out of range: 9" */
};

struct template_function {
	const char *name;
	int min, max; /* arguments */
	/* Returns the value, or NULL with call->e filled. */
	const struct json *(*call)(struct template_call *call);
};

/* NULL where there is none. `and` and `or` have no call: they stop at the first that decides. */
const struct template_function *template_function(const char *name);

const struct json *template_string(struct arena *arena, const char *text);
const struct json *template_integer(struct arena *arena, int64_t value);
const struct json *template_bool(struct arena *arena, bool value);

/* The value of a field that is not there; never NULL. */
const struct json *template_zero(enum template_zero_kind kind);

/* What if asks: not null, false, 0, "" or empty. */
bool template_truth(const struct json *value);
/* Appends a value as {{.}} prints it. */
void template_print(struct buf *out, const struct json *value);
/* Go's words for a value's type. */
const char *template_type(const struct json *value);

#endif
