/* template_run.c - the Go templates of --format: walking the tree. */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "cli/template.h"
#include "cli/template_tree.h"

#define VARIABLES 64

struct run {
	const struct template *template;
	struct arena *arena;
	const struct template_data *data;
	struct buf *out;
	struct err *e;
	const struct json *dot;
	struct {
		const char *name;
		const struct json *value;
	} variables[VARIABLES];
	int count; /* of variables */
};

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED };

static const struct json *eval_pipeline(struct run *run, const struct template_pipeline *pipeline);
static enum flow run_list(struct run *run, const struct template_node *list);

/* Go's message with the place; returns NULL. */
__attribute__((format(printf, 4, 5))) static void *fail(
	struct run *run, const char *column, const char *source, const char *format, ...)
{
	int line = 1;
	const char *start = run->template->text;
	va_list ap;

	for (const char *c = start; c < column; c++) {
		if (*c == '\n') {
			line++;
			start = c + 1;
		}
	}
	va_start(ap, format);
	const char *what = arena_vprintf(run->arena, format, ap);
	va_end(ap);
	err_set(run->e, ERR_INVALID, 0, "template: %s:%d:%d: executing \"%s\" at <%s>: %s",
		run->template->name, line, (int)(column - start), run->template->name, source, what);
	return NULL;
}

static const struct json *get_any_case(const struct json *object, const char *name)
{
	const struct json *found = json_get(object, name);

	if (found)
		return found;
	json_for_each (member, object) {
		if (!strcasecmp(member->key, name))
			return member;
	}
	return NULL;
}

static const struct json *get_field(
	struct run *run, const struct template_operand *operand, const struct json *value, const char *name)
{
	if (value->type == JSON_OBJECT) {
		const struct json *member = get_any_case(value, name);
		if (member && member->type != JSON_NULL)
			return member;
		for (const struct template_zero *zero = run->data->zeros; zero && zero->name; zero++) {
			if (!strcmp(zero->name, name))
				return template_zero(zero->kind);
		}
		if (member)
			return member;
		if (value == run->data->dot && run->data->type)
			return fail(run, operand->column, operand->source,
				"can't evaluate field %s in type %s", name, run->data->type);
		return fail(run, operand->column, operand->source, "map has no entry for key \"%s\"", name);
	}
	if (value->type == JSON_NULL)
		return fail(run, operand->column, operand->source, "nil data; no entry for key \"%s\"", name);
	return fail(run, operand->column, operand->source, "can't evaluate field %s in type %s", name,
		template_type(value));
}

static const struct json *find_variable(struct run *run, const struct template_operand *operand)
{
	if (!*operand->name)
		return run->data->dot;
	for (int i = run->count; i--;) {
		if (!strcmp(run->variables[i].name, operand->name))
			return run->variables[i].value;
	}
	return fail(run, operand->column, operand->source, "undefined variable \"$%s\"", operand->name);
}

/* The operand's value with its fields, the last `without` of them left out. */
static const struct json *eval_operand(
	struct run *run, const struct template_operand *operand, size_t without)
{
	const struct json *value = NULL;

	switch (operand->kind) {
	case OPERAND_VALUE:
		return &operand->value;
	case OPERAND_DOT:
	case OPERAND_FIELD:
		value = run->dot;
		break;
	case OPERAND_VARIABLE:
		value = find_variable(run, operand);
		break;
	case OPERAND_PIPELINE:
		value = eval_pipeline(run, operand->pipeline);
		break;
	case OPERAND_FUNCTION:
		return NULL; /* eval_command's business */
	}
	for (size_t i = 0; value && i + without < operand->fields.count; i++)
		value = get_field(run, operand, value, operand->fields.items[i]);
	return value;
}

static const struct json *eval_argument(struct run *run, const struct template_operand *operand);

/* and, or: the first argument that decides, the rest not evaluated. */
static const struct json *eval_junction(
	struct run *run, const struct template_command *command, const struct json *piped, bool stop_at)
{
	const struct json *value = NULL;

	for (const struct template_operand *operand = command->first->next; operand;
		operand = operand->next) {
		value = eval_argument(run, operand);
		if (!value || template_truth(value) == stop_at)
			return value;
	}
	return piped ? piped : value;
}

static const struct json *eval_command(
	struct run *run, const struct template_command *command, const struct json *piped);

static const struct json *eval_argument(struct run *run, const struct template_operand *operand)
{
	if (operand->kind != OPERAND_FUNCTION)
		return eval_operand(run, operand, 0);
	struct template_operand alone = *operand;
	alone.next = NULL;
	struct template_command command = {
		.first = &alone, .source = operand->source, .column = operand->column};
	return eval_command(run, &command, NULL);
}

static const struct json *eval_function(
	struct run *run, const struct template_command *command, const struct json *piped)
{
	const struct template_function *function = command->first->function;
	struct err reason = {0};
	struct template_call call = {.arena = run->arena, .function = function, .e = &reason};
	int count = piped != NULL;

	for (const struct template_operand *operand = command->first->next; operand; operand = operand->next)
		count++;
	if (count < function->min || count > function->max || count > TEMPLATE_ARGUMENTS)
		return fail(run, command->column, command->source,
			"wrong number of args for %s: want %s%d got %d", function->name,
			function->max > function->min ? "at least " : "", function->min, count);
	if (!function->call)
		return eval_junction(run, command, piped, !strcmp(function->name, "or"));
	for (const struct template_operand *operand = command->first->next; operand;
		operand = operand->next) {
		call.arguments[call.count] = eval_argument(run, operand);
		if (!call.arguments[call.count++])
			return NULL;
	}
	if (piped)
		call.arguments[call.count++] = piped;
	const struct json *value = function->call(&call);
	if (!value)
		return fail(run, command->column, command->source, "error calling %s: %s", function->name,
			reason.what);
	return value;
}

/* .NAME "argument": the only calls that are no functions. */
static const struct json *eval_method(
	struct run *run, const struct template_command *command, const struct json *piped)
{
	const struct template_operand *operand = command->first, *argument = operand->next;
	const struct template_data *data = run->data;
	size_t last = operand->fields.count;

	const struct json *on = last ? eval_operand(run, operand, 1) : NULL;
	if (last && !on)
		return NULL;
	const struct json *value = argument ? eval_argument(run, argument) : piped;
	if (!value)
		return NULL;
	bool is_one = (argument && !argument->next && !piped) || !argument;
	if (on == data->dot && data->method && is_one && value->type == JSON_STRING) {
		const struct json *result =
			data->method(data->context, operand->fields.items[last - 1], value->string);
		if (result)
			return result;
	}
	return fail(run, operand->column, operand->source, "%s is not a method but has arguments",
		last ? operand->fields.items[last - 1] : operand->source);
}

static const struct json *eval_command(
	struct run *run, const struct template_command *command, const struct json *piped)
{
	if (command->first->kind == OPERAND_FUNCTION)
		return eval_function(run, command, piped);
	if (command->first->next || piped)
		return eval_method(run, command, piped);
	return eval_operand(run, command->first, 0);
}

static bool set_variable(struct run *run, const char *name, const struct json *value, bool assigns)
{
	for (int i = run->count; assigns && i--;) {
		if (!strcmp(run->variables[i].name, name)) {
			run->variables[i].value = value;
			return true;
		}
	}
	if (run->count == VARIABLES || assigns)
		return fail(run, run->template->text, name,
			       assigns ? "undefined variable \"$%s\"" : "too many variables for $%s",
			       name) != NULL;
	run->variables[run->count].name = name;
	run->variables[run->count++].value = value;
	return true;
}

/* The value before variables are set. */
static const struct json *eval_commands(struct run *run, const struct template_pipeline *pipeline)
{
	const struct json *value = NULL;

	for (const struct template_command *command = pipeline->first; command; command = command->next) {
		value = eval_command(run, command, value);
		if (!value)
			return NULL;
	}
	return value;
}

static const struct json *eval_pipeline(struct run *run, const struct template_pipeline *pipeline)
{
	const struct json *value = eval_commands(run, pipeline);

	if (value && pipeline->variables[0] &&
		!set_variable(run, pipeline->variables[0], value, pipeline->assigns))
		return NULL;
	return value;
}

/* ---- blocks ---- */

static enum flow run_condition(struct run *run, const struct template_node *node)
{
	const struct json *dot = run->dot;
	int variables = run->count;
	const struct json *value = eval_pipeline(run, node->pipeline);

	if (!value)
		return FLOW_FAILED;
	bool truth = template_truth(value);
	if (truth && node->kind == NODE_WITH)
		run->dot = value;
	enum flow flow = run_list(run, truth ? node->body : node->otherwise);
	run->dot = dot;
	run->count = variables;
	return flow;
}

static int by_key(const void *a, const void *b)
{
	const struct json *const *x = a, *const *y = b;
	return strcmp((*x)->key, (*y)->key);
}

/* One turn of a range; key is NULL in an array. */
static enum flow run_turn(
	struct run *run, const struct template_node *node, int64_t index, const struct json *value)
{
	const char *const *names = (const char *const *)node->pipeline->variables;
	int variables = run->count;
	const struct json *key =
		value->key ? template_string(run->arena, value->key) : template_integer(run->arena, index);

	if (names[1] &&
		(!set_variable(run, names[0], key, false) || !set_variable(run, names[1], value, false)))
		return FLOW_FAILED;
	if (names[0] && !names[1] && !set_variable(run, names[0], value, node->pipeline->assigns))
		return FLOW_FAILED;
	run->dot = value;
	enum flow flow = run_list(run, node->body);
	run->count = variables;
	return flow == FLOW_CONTINUE ? FLOW_ON : flow;
}

static enum flow run_range(struct run *run, const struct template_node *node)
{
	const struct json *dot = run->dot;
	const struct json *value = eval_commands(run, node->pipeline);
	enum flow flow = FLOW_ON;

	if (!value)
		return FLOW_FAILED;
	if (!template_truth(value) && value->type != JSON_STRING)
		return run_list(run, node->otherwise);
	if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
		const struct template_command *command = node->pipeline->first;
		fail(run, command->column, command->source, "range can't iterate over %s",
			value->type == JSON_STRING ? value->string : template_type(value));
		return FLOW_FAILED;
	}
	/* Maps are walked in the order of their keys. */
	const struct json **turns = arena_array(run->arena, value->list.count, sizeof *turns);
	size_t count = 0;
	json_for_each (item, value)
		turns[count++] = item;
	if (value->type == JSON_OBJECT)
		qsort(turns, count, sizeof *turns, by_key);
	for (size_t i = 0; i < count && flow == FLOW_ON; i++)
		flow = run_turn(run, node, (int64_t)i, turns[i]);
	run->dot = dot;
	return flow == FLOW_BREAK ? FLOW_ON : flow;
}

static enum flow run_node(struct run *run, const struct template_node *node)
{
	const struct json *value;

	switch (node->kind) {
	case NODE_TEXT:
		buf_append(run->out, node->text, node->length);
		return FLOW_ON;
	case NODE_ACTION:
		value = eval_pipeline(run, node->pipeline);
		if (value && !node->pipeline->variables[0])
			template_print(run->out, value);
		return value ? FLOW_ON : FLOW_FAILED;
	case NODE_IF:
	case NODE_WITH:
		return run_condition(run, node);
	case NODE_RANGE:
		return run_range(run, node);
	case NODE_BREAK:
		return FLOW_BREAK;
	case NODE_CONTINUE:
		return FLOW_CONTINUE;
	}
	return FLOW_ON;
}

static enum flow run_list(struct run *run, const struct template_node *list)
{
	enum flow flow = FLOW_ON;

	for (const struct template_node *node = list; node && flow == FLOW_ON; node = node->next)
		flow = run_node(run, node);
	return flow;
}

int template_execute(const struct template *template, struct arena *arena, const struct template_data *data,
	struct buf *out, struct err *e)
{
	struct run run = {
		.template = template, .arena = arena, .data = data, .out = out, .e = e, .dot = data->dot};

	return run_list(&run, template->list) == FLOW_FAILED ? -1 : 0;
}
