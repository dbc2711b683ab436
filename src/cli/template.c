/*
 * template.c - the Go templates of --format: parsing.
 *
 * Recursive descent over the text, no separate list of tokens: an action is read by
 * parse_pipeline() and what it needs. Nodes and strings live in the arena.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"
#include "cli/template.h"
#include "cli/template_tree.h"

#define DEPTH 64 /* of parentheses and of blocks */

struct parser {
	struct arena *arena;
	const char *text;
	const char *at; /* inside an action: the next byte */
	const char *name;
	int depth;
	int loops;     /* how many ranges we are in */
	bool trimming; /* the action before ended with -}} */
	struct err *e;
};

static int line_of(const struct parser *p, const char *at)
{
	int line = 1;

	for (const char *c = p->text; c < at; c++)
		line += *c == '\n';
	return line;
}

/* All mistakes end here; returns NULL. */
__attribute__((format(printf, 2, 3))) static void *fail(struct parser *p, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	const char *what = arena_vprintf(p->arena, format, ap);
	va_end(ap);
	err_set(p->e, ERR_USAGE, 0, "template: %s:%d: %s", p->name, line_of(p, p->at), what);
	return NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       (unsigned char)c >= 0x80;
}

static void skip_blanks(struct parser *p)
{
	while (is_blank(*p->at))
		p->at++;
}

/* Whether the action ends here: "}}" or " -}}". */
static bool at_end(const struct parser *p)
{
	if (!strncmp(p->at, "}}", 2))
		return true;
	return p->at > p->text && is_blank(p->at[-1]) && !strncmp(p->at, "-}}", 3);
}

/* Takes the closing braces. */
static bool take_end(struct parser *p)
{
	skip_blanks(p);
	if (!*p->at) {
		fail(p, "unclosed action");
		return false;
	}
	if (!at_end(p)) {
		size_t length = strcspn(p->at, " \t\n}");
		fail(p, "unexpected <%.*s> in command", (int)(length ? length : 1), p->at);
		return false;
	}
	p->trimming = *p->at == '-';
	p->at += p->trimming ? 3 : 2;
	return true;
}

static char *take_word(struct parser *p)
{
	const char *start = p->at;

	while (is_word(*p->at))
		p->at++;
	return arena_memdup(p->arena, start, (size_t)(p->at - start));
}

/* "..." with Go's escapes, the quote taken already; or `...` as it stands. */
static const char *take_string(struct parser *p, char quote)
{
	char *out = arena_alloc(p->arena, strlen(p->at) + 1);
	size_t length = 0;

	for (; *p->at != quote; p->at++) {
		if (!*p->at || (*p->at == '\n' && quote == '"'))
			return fail(p, "unterminated %squoted string", quote == '`' ? "raw " : "");
		char c = *p->at;
		if (c == '\\' && quote == '"') {
			static const char names[] = "abfnrtv\\\"'", values[] = "\a\b\f\n\r\t\v\\\"'";
			const char *found = *++p->at ? strchr(names, *p->at) : NULL;
			if (!found)
				return fail(p, "invalid syntax");
			c = values[found - names];
		}
		out[length++] = c;
	}
	p->at++;
	out[length] = '\0';
	return out;
}

static struct template_operand *parse_operand(struct parser *p);
static bool take_keyword(struct parser *p, const char *word);

/* .A.B.C at the cursor, appended to the operand's fields. */
static bool take_fields(struct parser *p, struct template_operand *operand)
{
	size_t count = 0;

	while (*p->at == '.' && is_word(p->at[1])) {
		if (count < 2 && operand->kind == OPERAND_FIELD)
			operand->column = p->at; /* where Go says a chain is */
		p->at++;
		strings_add(p->arena, &operand->fields, take_word(p));
		count++;
	}
	if (*p->at == '.') {
		fail(p, "unexpected . after term");
		return false;
	}
	return true;
}

static bool parse_number(struct parser *p, struct template_operand *operand)
{
	const char *start = p->at;

	p->at += *p->at == '-' || *p->at == '+';
	while (is_word(*p->at) || *p->at == '.')
		p->at++;
	char *text = arena_memdup(p->arena, start, (size_t)(p->at - start));
	operand->kind = OPERAND_VALUE;
	if (opt_integer(text, &operand->value.integer) == 0) {
		operand->value.type = JSON_INTEGER;
		return true;
	}
	char *end;
	strtod(text, &end);
	operand->value.type = JSON_REAL;
	operand->value.string = text;
	if (*end || end == text)
		fail(p, "bad number syntax: \"%s\"", text);
	return !*end && end != text;
}

/* true, false, nil, or a function. */
static bool parse_identifier(struct parser *p, struct template_operand *operand)
{
	const char *word = take_word(p);

	operand->kind = OPERAND_VALUE;
	if (!strcmp(word, "true") || !strcmp(word, "false")) {
		operand->value.type = JSON_BOOL;
		operand->value.boolean = *word == 't';
		return true;
	}
	if (!strcmp(word, "nil")) {
		operand->value.type = JSON_NULL;
		return true;
	}
	operand->kind = OPERAND_FUNCTION;
	operand->name = word;
	operand->function = template_function(word);
	if (!operand->function)
		fail(p, "function \"%s\" not defined", word);
	return operand->function != NULL;
}

static bool parse_parentheses(struct parser *p, struct template_operand *operand)
{
	p->at++;
	operand->kind = OPERAND_PIPELINE;
	operand->pipeline = template_parse_pipeline(p);
	if (!operand->pipeline)
		return false;
	skip_blanks(p);
	if (*p->at != ')') {
		fail(p, "unclosed left paren");
		return false;
	}
	p->at++;
	return true;
}

static bool parse_term(struct parser *p, struct template_operand *operand)
{
	char c = *p->at;

	if (c == '"' || c == '`') {
		p->at++;
		operand->kind = OPERAND_VALUE;
		operand->value.type = JSON_STRING;
		operand->value.string = take_string(p, c);
		return operand->value.string != NULL;
	}
	if ((c >= '0' && c <= '9') || ((c == '-' || c == '+') && p->at[1] >= '0' && p->at[1] <= '9'))
		return parse_number(p, operand);
	if (c == '.') {
		operand->kind = is_word(p->at[1]) ? OPERAND_FIELD : OPERAND_DOT;
		p->at += operand->kind == OPERAND_DOT;
		return true;
	}
	if (c == '$') {
		p->at++;
		operand->kind = OPERAND_VARIABLE;
		operand->name = take_word(p);
		return true;
	}
	if (c == '(')
		return parse_parentheses(p, operand);
	if (is_word(c))
		return parse_identifier(p, operand);
	if (!c)
		fail(p, "unclosed action");
	else
		fail(p, "unexpected \"%c\" in operand", c);
	return false;
}

static struct template_operand *parse_operand(struct parser *p)
{
	struct template_operand *operand = arena_new(p->arena, struct template_operand);
	const char *start = p->at;

	operand->column = start;
	if (!parse_term(p, operand))
		return NULL;
	if (operand->kind != OPERAND_FUNCTION && operand->kind != OPERAND_DOT && !take_fields(p, operand))
		return NULL;
	operand->source = arena_memdup(p->arena, start, (size_t)(p->at - start));
	return operand;
}

/* Operands up to | ) or the end. */
static struct template_command *parse_command(struct parser *p)
{
	struct template_command *command = arena_new(p->arena, struct template_command);
	struct template_operand **link = &command->first;
	const char *start = p->at, *end = p->at;

	for (;;) {
		skip_blanks(p);
		if (!*p->at)
			return fail(p, "unclosed action");
		if (*p->at == '|' || *p->at == ')' || at_end(p))
			break;
		if (link != &command->first && !is_blank(p->at[-1]))
			return fail(p, "unexpected <%c> in command", *p->at);
		*link = parse_operand(p);
		if (!*link)
			return NULL;
		link = &(*link)->next;
		end = p->at;
	}
	if (!command->first)
		return fail(p, "missing value for command");
	if (command->first->next && command->first->kind == OPERAND_VALUE)
		return fail(p, "can't give argument to non-function %s", command->first->source);
	command->source = arena_memdup(p->arena, start, (size_t)(end - start));
	command->column = start;
	return command;
}

/* "$x := ", "$x = " or "$k, $v := " before a pipeline; puts the cursor back where there is none. */
static bool parse_declaration(struct parser *p, struct template_pipeline *pipeline)
{
	const char *start = p->at;
	const char *names[2] = {NULL, NULL};
	size_t count = 0;

	while (*p->at == '$' && count < 2) {
		p->at++;
		names[count++] = take_word(p);
		skip_blanks(p);
		if (*p->at == ',' && count < 2) {
			p->at++;
			skip_blanks(p);
			continue;
		}
		break;
	}
	bool declares = !strncmp(p->at, ":=", 2), assigns = *p->at == '=' && count == 1;
	if (!count || (!declares && !assigns)) {
		p->at = start;
		return true;
	}
	p->at += declares ? 2 : 1;
	pipeline->variables[0] = names[0];
	pipeline->variables[1] = names[1];
	pipeline->assigns = assigns;
	return true;
}

struct template_pipeline *template_parse_pipeline(struct parser *p)
{
	struct template_pipeline *pipeline = arena_new(p->arena, struct template_pipeline);
	struct template_command **link = &pipeline->first;

	if (++p->depth > DEPTH)
		return fail(p, "nested too deeply");
	skip_blanks(p);
	parse_declaration(p, pipeline);
	for (;;) {
		skip_blanks(p);
		if (!*p->at)
			return fail(p, "unclosed action");
		*link = parse_command(p);
		if (!*link)
			return NULL;
		if (link != &pipeline->first && (*link)->first->kind != OPERAND_FUNCTION &&
			(*link)->first->kind != OPERAND_FIELD)
			return fail(p, "non executable command in pipeline stage 2");
		link = &(*link)->next;
		if (*p->at != '|')
			break;
		p->at++;
	}
	p->depth--;
	return pipeline;
}

/* ---- blocks ---- */

enum stop { STOP_EOF, STOP_END, STOP_ELSE, STOP_FAILED };

static enum stop parse_list(struct parser *p, struct template_node **list);

static struct template_node *add_node(struct parser *p, struct template_node ***link, enum template_kind kind)
{
	struct template_node *node = arena_new(p->arena, struct template_node);

	node->kind = kind;
	**link = node;
	*link = &node->next;
	return node;
}

/* After "else": its own list, or another if that ends with this one's end. */
static bool parse_else(struct parser *p, struct template_node *node)
{
	skip_blanks(p);
	bool is_if = take_keyword(p, "if"), is_with = !is_if && take_keyword(p, "with");
	if (!is_if && !is_with) {
		if (!take_end(p))
			return false;
		enum stop stop = parse_list(p, &node->otherwise);
		if (stop == STOP_ELSE)
			fail(p, "expected end; found {{else}}");
		else if (stop == STOP_EOF)
			fail(p, "unexpected EOF");
		return stop == STOP_END;
	}
	struct template_node *inner = arena_new(p->arena, struct template_node);
	inner->kind = is_if ? NODE_IF : NODE_WITH;
	node->otherwise = inner;
	return template_parse_block(p, inner);
}

/* The pipeline, the body and the else of if, with and range, up to its end. */
bool template_parse_block(struct parser *p, struct template_node *node)
{
	if (++p->depth > DEPTH) {
		fail(p, "nested too deeply");
		return false;
	}
	skip_blanks(p);
	if (at_end(p)) {
		static const char *const words[] = {
			[NODE_IF] = "if", [NODE_WITH] = "with", [NODE_RANGE] = "range"};
		fail(p, "missing value for %s", words[node->kind]);
		return false;
	}
	node->pipeline = template_parse_pipeline(p);
	if (!node->pipeline || !take_end(p))
		return false;
	p->loops += node->kind == NODE_RANGE;
	enum stop stop = parse_list(p, &node->body);
	p->loops -= node->kind == NODE_RANGE;
	if (stop == STOP_EOF)
		fail(p, "unexpected EOF");
	if (stop == STOP_ELSE && !parse_else(p, node))
		return false;
	p->depth--;
	return stop == STOP_END || stop == STOP_ELSE;
}

static bool take_keyword(struct parser *p, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(p->at, word, length) != 0 || is_word(p->at[length]))
		return false;
	p->at += length;
	return true;
}

/* One action, the opening braces taken. Sets *stop where the list it stands in ends. */
static bool parse_action(struct parser *p, struct template_node ***link, enum stop *stop)
{
	static const char *const unsupported[] = {"define", "template", "block"};

	if (!strncmp(p->at, "/*", 2)) {
		const char *end = strstr(p->at, "*/");
		if (!end) {
			fail(p, "unclosed comment");
			return false;
		}
		p->at = end + 2;
		return take_end(p);
	}
	for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
		if (take_keyword(p, unsupported[i])) {
			fail(p, "{{%s}} is not supported", unsupported[i]);
			return false;
		}
	}
	if (take_keyword(p, "end")) {
		*stop = STOP_END;
		return take_end(p);
	}
	if (take_keyword(p, "else")) {
		*stop = STOP_ELSE;
		return true;
	}
	if (take_keyword(p, "if"))
		return template_parse_block(p, add_node(p, link, NODE_IF));
	if (take_keyword(p, "with"))
		return template_parse_block(p, add_node(p, link, NODE_WITH));
	if (take_keyword(p, "range"))
		return template_parse_block(p, add_node(p, link, NODE_RANGE));
	bool is_break = take_keyword(p, "break");
	if (is_break || take_keyword(p, "continue")) {
		if (!p->loops) {
			fail(p, "{{%s}} outside {{range}}", is_break ? "break" : "continue");
			return false;
		}
		add_node(p, link, is_break ? NODE_BREAK : NODE_CONTINUE);
		return take_end(p);
	}
	struct template_node *node = add_node(p, link, NODE_ACTION);
	node->pipeline = template_parse_pipeline(p);
	return node->pipeline && take_end(p);
}

/* Text and actions, until {{end}}, {{else}} or the end of the text. */
static enum stop parse_list(struct parser *p, struct template_node **list)
{
	struct template_node **link = list;
	enum stop stop = STOP_EOF;

	for (;;) {
		if (p->trimming)
			skip_blanks(p);
		const char *open = strstr(p->at, "{{");
		const char *end = open ? open : p->at + strlen(p->at);
		bool trims = open && open[2] == '-' && is_blank(open[3]);
		const char *last = end;
		while (trims && last > p->at && is_blank(last[-1]))
			last--;
		if (last > p->at) {
			struct template_node *node = add_node(p, &link, NODE_TEXT);
			node->text = p->at;
			node->length = (size_t)(last - p->at);
		}
		p->trimming = false;
		p->at = end;
		if (!open)
			return STOP_EOF;
		p->at += trims ? 3 : 2;
		skip_blanks(p);
		if (!parse_action(p, &link, &stop))
			return STOP_FAILED;
		if (stop != STOP_EOF)
			return stop;
	}
}

struct template *template_parse(struct arena *arena, const char *name, const char *text, struct err *e)
{
	struct template *template = arena_new(arena, struct template);

	template->name = arena_strdup(arena, name);
	template->text = arena_strdup(arena, text);
	struct parser p = {
		.arena = arena, .text = template->text, .at = template->text, .name = template->name, .e = e};
	enum stop stop = parse_list(&p, &template->list);
	if (stop == STOP_END || stop == STOP_ELSE)
		return fail(&p, "unexpected {{%s}}", stop == STOP_END ? "end" : "else");
	return stop == STOP_FAILED ? NULL : template;
}

/* ---- what it looks at ---- */

static bool pipeline_uses(const struct template_pipeline *pipeline, const char *field);

static bool operand_uses(const struct template_operand *operand, const char *field)
{
	switch (operand->kind) {
	case OPERAND_DOT:
		return true;
	case OPERAND_FIELD:
		return !strcasecmp(operand->fields.items[0], field);
	case OPERAND_VARIABLE:
		if (*operand->name)
			return false;
		return !operand->fields.count || !strcasecmp(operand->fields.items[0], field);
	case OPERAND_PIPELINE:
		return pipeline_uses(operand->pipeline, field);
	default:
		return false;
	}
}

static bool pipeline_uses(const struct template_pipeline *pipeline, const char *field)
{
	for (const struct template_command *command = pipeline->first; command; command = command->next) {
		for (const struct template_operand *operand = command->first; operand;
			operand = operand->next) {
			if (operand_uses(operand, field))
				return true;
		}
	}
	return false;
}

static bool list_uses(const struct template_node *list, const char *field)
{
	for (const struct template_node *node = list; node; node = node->next) {
		if (node->pipeline && pipeline_uses(node->pipeline, field))
			return true;
		if (list_uses(node->body, field) || list_uses(node->otherwise, field))
			return true;
	}
	return false;
}

bool template_uses(const struct template *template, const char *field)
{
	return list_uses(template->list, field);
}
