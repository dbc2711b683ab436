/*
 * template.h - the Go templates of --format.
 *
 * The language of text/template as people use it with docker: fields, variables,
 * pipelines, parentheses, if, with, range (else, break, continue), trim markers,
 * comments, Go's builtin functions (but html, js, urlquery and call) and docker's (json
 * split join title lower upper pad truncate). Not in it: define, template, block, and calling
 * values. Data is a JSON tree; an object's member is a field, whatever the case of its
 * letters (docker's Go names and JSON names differ by that: .ID is "Id").
 */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct template;

/* name is what errors call it; docker's is mostly "". ERR_USAGE with Go's message
 * ("template: :1: unclosed action"). */
struct template *template_parse(struct arena *arena, const char *name, const char *text, struct err *e);

/* Whether it may look at this field of dot: names it, or uses dot as a whole. */
bool template_uses(const struct template *template, const char *field);

/* A field that Go's struct has where the JSON leaves it out, or has null. */
enum template_zero_kind {
	TEMPLATE_ZERO_NIL = 1, /* prints as <nil> */
	TEMPLATE_ZERO_BOOL,
	TEMPLATE_ZERO_STRING,
	TEMPLATE_ZERO_LIST, /* prints as [], is null for json */
	TEMPLATE_ZERO_MAP,  /* prints as map[], is null for json */
};

struct template_zero {
	const char *name; /* NULL ends the list */
	enum template_zero_kind kind;
};

/* What errors and fields depend on besides the data. */
struct template_data {
	const struct json *dot;
	/* The Go type that a missing field of dot is reported for; NULL: it is a map. */
	const char *type;
	const struct template_zero *zeros; /* wherever in the tree; may be NULL */
	/* .NAME "argument", as in {{.Label "app"}}: the value, or NULL where there is no such
	 * method. May be NULL. */
	const struct json *(*method)(void *context, const char *name, const char *argument);
	void *context;
};

/* Appends the result to out; on failure ERR_INVALID in Go's words, with what came before
 * the mistake already in out. */
int template_execute(const struct template *template, struct arena *arena, const struct template_data *data,
	struct buf *out, struct err *e);

#endif
