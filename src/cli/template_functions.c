/*
 * template_functions.c - the functions of templates: text/template's and docker's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "cli/format.h"
#include "cli/template_tree.h"

/* ---- values ---- */

static const struct json null_value = {.type = JSON_NULL};

static struct json *new_value(struct arena *arena, enum json_type type)
{
	struct json *value = arena_new(arena, struct json);

	value->type = type;
	return value;
}

const struct json *template_string(struct arena *arena, const char *text)
{
	struct json *value = new_value(arena, JSON_STRING);

	value->string = text;
	return value;
}

const struct json *template_integer(struct arena *arena, int64_t integer)
{
	struct json *value = new_value(arena, JSON_INTEGER);

	value->integer = integer;
	return value;
}

const struct json *template_bool(struct arena *arena, bool boolean)
{
	struct json *value = new_value(arena, JSON_BOOL);

	value->boolean = boolean;
	return value;
}

/* Known by their address: for json they are all null. */
static const struct json nil_value = {.type = JSON_NULL};
static const struct json nil_list = {.type = JSON_NULL};
static const struct json nil_map = {.type = JSON_NULL};

const struct json *template_zero(enum template_zero_kind kind)
{
	static const struct json no = {.type = JSON_BOOL}, empty = {.type = JSON_STRING, .string = ""};

	switch (kind) {
	case TEMPLATE_ZERO_BOOL:
		return &no;
	case TEMPLATE_ZERO_STRING:
		return &empty;
	case TEMPLATE_ZERO_LIST:
		return &nil_list;
	case TEMPLATE_ZERO_MAP:
		return &nil_map;
	default:
		return &nil_value;
	}
}

bool template_truth(const struct json *value)
{
	switch (value->type) {
	case JSON_NULL:
		return false;
	case JSON_BOOL:
		return value->boolean;
	case JSON_INTEGER:
		return value->integer != 0;
	case JSON_REAL:
		return strtod(value->string, NULL) != 0;
	case JSON_STRING:
		return *value->string != '\0';
	case JSON_ARRAY:
	case JSON_OBJECT:
		return value->list.count != 0;
	}
	return false;
}

const char *template_type(const struct json *value)
{
	static const char *const types[] = {
		[JSON_NULL] = "nil",
		[JSON_BOOL] = "bool",
		[JSON_INTEGER] = "int",
		[JSON_REAL] = "float64",
		[JSON_STRING] = "string",
		[JSON_ARRAY] = "[]interface {}",
		[JSON_OBJECT] = "map[string]interface {}",
	};
	return types[value->type];
}

static int by_key(const void *a, const void *b)
{
	const struct json *const *x = a, *const *y = b;
	return strcmp((*x)->key, (*y)->key);
}

/* As fmt's %v: [a b], map[k:v l:w] in the order of the keys. */
static void print_nested(struct buf *out, const struct json *value)
{
	if (value->type == JSON_NULL && value != &nil_list && value != &nil_map)
		buf_string(out, "<nil>");
	else
		template_print(out, value);
}

static void print_list(struct buf *out, const struct json *value)
{
	bool is_map = value->type == JSON_OBJECT;
	size_t count = 0;
	auto_free const struct json **items = calloc(value->list.count + 1, sizeof *items);

	if (!items)
		abort();
	json_for_each (item, value)
		items[count++] = item;
	if (is_map)
		qsort(items, count, sizeof *items, by_key);
	buf_string(out, is_map ? "map[" : "[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_string(out, " ");
		if (is_map)
			buf_printf(out, "%s:", items[i]->key);
		print_nested(out, items[i]);
	}
	buf_string(out, "]");
}

void template_print(struct buf *out, const struct json *value)
{
	switch (value->type) {
	case JSON_NULL:
		buf_string(out, value == &nil_list    ? "[]"
				: value == &nil_map   ? "map[]"
				: value == &nil_value ? "<nil>"
						      : "<no value>");
		break;
	case JSON_BOOL:
		buf_string(out, value->boolean ? "true" : "false");
		break;
	case JSON_INTEGER:
		buf_printf(out, "%lld", (long long)value->integer);
		break;
	case JSON_REAL:
	case JSON_STRING:
		buf_string(out, value->string);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		print_list(out, value);
		break;
	}
}

static const struct json *from_buf(struct template_call *call, struct buf *buf)
{
	const struct json *value = template_string(
		call->arena, arena_memdup(call->arena, buf->data ? buf->data : "", buf->length));
	buf_free(buf);
	return value;
}

/* The argument's text: a string as it is, anything else printed. */
static const char *text_of(struct template_call *call, int index)
{
	const struct json *value = call->arguments[index];
	struct buf buf = {0};

	if (value->type == JSON_STRING)
		return value->string;
	print_nested(&buf, value);
	return from_buf(call, &buf)->string;
}

static const struct json *fail(struct template_call *call, const char *what, const char *word)
{
	err_set(call->e, ERR_INVALID, 0, "%s%s", what, word);
	return NULL;
}

/* ---- printing ---- */

static const struct json *call_json(struct template_call *call)
{
	struct buf buf = {0};
	struct json_writer writer = {.out = &buf};

	json_put_tree(&writer, NULL, call->arguments[0]);
	return from_buf(call, &buf);
}

/* fmt.Sprint puts a blank between two operands where neither is a string. */
static const struct json *call_print(struct template_call *call)
{
	struct buf buf = {0};

	for (int i = 0; i < call->count; i++) {
		const struct json *value = call->arguments[i];
		if (i && value->type != JSON_STRING && call->arguments[i - 1]->type != JSON_STRING)
			buf_string(&buf, " ");
		print_nested(&buf, value);
	}
	return from_buf(call, &buf);
}

static const struct json *call_println(struct template_call *call)
{
	struct buf buf = {0};

	for (int i = 0; i < call->count; i++) {
		if (i)
			buf_string(&buf, " ");
		print_nested(&buf, call->arguments[i]);
	}
	buf_string(&buf, "\n");
	return from_buf(call, &buf);
}

static double real_of(const struct json *value)
{
	return value->type == JSON_INTEGER ? (double)value->integer : strtod(value->string, NULL);
}

static bool is_number(const struct json *value)
{
	return value->type == JSON_INTEGER || value->type == JSON_REAL;
}

/* One verb of a format: flags, width and precision are C's too. spec is "%-5.2" without the
 * verb's letter. */
static void print_verb(struct buf *out, struct template_call *call, const char *spec, char verb, int index)
{
	const struct json *value = call->arguments[index];
	struct buf text = {0};
	char c_format[40];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (value->type == JSON_INTEGER && strchr("dxXoc", verb)) {
		snprintf(c_format, sizeof c_format, "%sll%c", spec, verb == 'c' ? 'd' : verb);
		buf_printf(out, c_format, (long long)value->integer);
		return;
	}
	if (is_number(value) && strchr("feEgG", verb)) {
		snprintf(c_format, sizeof c_format, "%s%c", spec, verb);
		buf_printf(out, c_format, real_of(value));
		return;
	}
#pragma GCC diagnostic pop
	if (verb == 'q')
		format_quote(&text, text_of(call, index));
	else if (verb == 's' || verb == 'v' || (verb == 't' && value->type == JSON_BOOL))
		print_nested(&text, value);
	else
		buf_printf(&text, "%%!%c(%s=%s)", verb, template_type(value), text_of(call, index));
	int width = 0, precision = -1;
	const char *digits = spec + 1 + strspn(spec + 1, "-+ #0");
	width = (int)strtol(digits, NULL, 10);
	const char *dot = strchr(spec, '.');
	if (dot)
		precision = (int)strtol(dot + 1, NULL, 10);
	const char *shown = text.data ? text.data : "";
	buf_printf(out, "%*.*s", strchr(spec, '-') ? -width : width, precision, shown);
	buf_free(&text);
}

static const struct json *call_printf(struct template_call *call)
{
	struct buf buf = {0};
	int next = 1;

	for (const char *c = text_of(call, 0); *c; c++) {
		if (*c != '%' || !c[1]) {
			buf_append(&buf, c, 1);
			continue;
		}
		size_t length = 1 + strspn(c + 1, "-+ #0123456789.");
		char spec[16];
		char verb = c[length];
		snprintf(spec, sizeof spec, "%.*s", (int)length, c);
		/* A width that nobody can read would only cost memory. */
		bool wide = length > 8;
		c += length;
		if (!verb) {
			buf_string(&buf, "%!(NOVERB)");
			break;
		}
		if (verb == '%')
			buf_string(&buf, "%");
		else if (next >= call->count)
			buf_printf(&buf, "%%!%c(MISSING)", verb);
		else
			print_verb(&buf, call, wide ? "%" : spec, verb, next++);
	}
	return from_buf(call, &buf);
}

/* ---- strings ---- */

static const struct json *change_case(struct template_call *call, char from, char to)
{
	char *text = arena_strdup(call->arena, text_of(call, 0));

	for (char *c = text; *c; c++) {
		if (*c >= from && *c <= to)
			*c ^= 0x20;
	}
	return template_string(call->arena, text);
}

static const struct json *call_lower(struct template_call *call)
{
	return change_case(call, 'A', 'Z');
}

static const struct json *call_upper(struct template_call *call)
{
	return change_case(call, 'a', 'z');
}

static const struct json *call_title(struct template_call *call)
{
	char *text = arena_strdup(call->arena, text_of(call, 0));
	bool starts = true;

	for (char *c = text; *c; c++) {
		if (starts && *c >= 'a' && *c <= 'z')
			*c ^= 0x20;
		starts = strchr(" \t\n\r-/.,;:!?()[]\"'", *c) != NULL;
	}
	return template_string(call->arena, text);
}

static const struct json *call_join(struct template_call *call)
{
	const struct json *list = call->arguments[0];
	const char *separator = text_of(call, 1);
	struct buf buf = {0};

	if (list->type != JSON_ARRAY && list->type != JSON_NULL)
		return fail(call, "wrong type for value; expected []string; got ", template_type(list));
	json_for_each (item, list) {
		if (item != json_first(list))
			buf_string(&buf, separator);
		print_nested(&buf, item);
	}
	return from_buf(call, &buf);
}

static const struct json *call_split(struct template_call *call)
{
	const char *text = text_of(call, 0), *separator = text_of(call, 1);
	size_t length = strlen(separator);
	struct json *list = new_value(call->arena, JSON_ARRAY);
	struct json **link = &list->list.first;

	for (;;) {
		const char *end =
			length ? strstr(text, separator) : text + (*text && text[1] ? 1 : strlen(text));
		bool last = !end || (!length && !*end);
		size_t part = last ? strlen(text) : (size_t)(end - text);
		*link = new_value(call->arena, JSON_STRING);
		(*link)->string = arena_memdup(call->arena, text, part);
		link = &(*link)->next;
		list->list.count++;
		if (last)
			return list;
		text = end + length;
	}
}

static int64_t clamp(const struct json *value, int64_t most)
{
	int64_t number = value->type == JSON_INTEGER ? value->integer : 0;

	return number < 0 ? 0 : number > most ? most : number;
}

static const struct json *call_pad(struct template_call *call)
{
	const char *text = text_of(call, 0);
	int before = (int)clamp(call->arguments[1], 1000), after = (int)clamp(call->arguments[2], 1000);

	if (!*text)
		return template_string(call->arena, "");
	return template_string(
		call->arena, arena_printf(call->arena, "%*s%s%*s", before, "", text, after, ""));
}

static const struct json *call_truncate(struct template_call *call)
{
	const char *text = text_of(call, 0);
	size_t length = strlen(text);

	return template_string(call->arena,
		arena_memdup(call->arena, text, (size_t)clamp(call->arguments[1], (int64_t)length)));
}

/* ---- collections ---- */

static const struct json *call_len(struct template_call *call)
{
	const struct json *value = call->arguments[0];

	switch (value->type) {
	case JSON_NULL: /* a slice or map that is nil in docker */
		return template_integer(call->arena, 0);
	case JSON_STRING:
		return template_integer(call->arena, (int64_t)strlen(value->string));
	case JSON_ARRAY:
	case JSON_OBJECT:
		return template_integer(call->arena, (int64_t)value->list.count);
	default:
		return fail(call, "len of type ", template_type(value));
	}
}

static const struct json *index_one(
	struct template_call *call, const struct json *value, const struct json *key)
{
	if (value->type == JSON_OBJECT && key->type == JSON_STRING) {
		const struct json *found = json_get(value, key->string), *first = json_first(value);
		if (found)
			return found;
		/* Go gives the zero of the map's type, which only its other values tell. */
		bool strings = !first || first->type == JSON_STRING;
		return strings ? template_string(call->arena, "") : &null_value;
	}
	if (value->type == JSON_NULL) {
		if (key->type == JSON_STRING)
			return template_string(call->arena, "");
		return fail(call, "index of untyped nil", "");
	}
	if (key->type != JSON_INTEGER)
		return fail(call, "cannot index slice/array with type ", template_type(key));
	if (value->type == JSON_STRING) {
		if (key->integer < 0 || key->integer >= (int64_t)strlen(value->string))
			return fail(call, "index out of range: ", text_of(call, 1));
		return template_integer(call->arena, (unsigned char)value->string[key->integer]);
	}
	if (value->type != JSON_ARRAY)
		return fail(call, "can't index item of type ", template_type(value));
	int64_t at = 0;
	json_for_each (item, value) {
		if (at++ == key->integer)
			return item;
	}
	err_set(call->e, ERR_INVALID, 0, "index out of range: %lld", (long long)key->integer);
	return NULL;
}

static const struct json *call_index(struct template_call *call)
{
	const struct json *value = call->arguments[0];

	for (int i = 1; value && i < call->count; i++)
		value = index_one(call, value, call->arguments[i]);
	return value;
}

static const struct json *call_slice(struct template_call *call)
{
	const struct json *value = call->arguments[0];
	bool is_string = value->type == JSON_STRING;

	if (!is_string && value->type != JSON_ARRAY)
		return fail(call, "can't slice item of type ", template_type(value));
	int64_t size = is_string ? (int64_t)strlen(value->string) : (int64_t)value->list.count;
	int64_t bounds[2] = {0, size};
	for (int i = 1; i < call->count; i++) {
		const struct json *bound = call->arguments[i];
		if (bound->type != JSON_INTEGER || bound->integer < 0 || bound->integer > size)
			return fail(call, "index out of range: ", text_of(call, i));
		bounds[i - 1] = bound->integer;
	}
	if (bounds[0] > bounds[1])
		return fail(call, "invalid slice index", "");
	if (is_string)
		return template_string(call->arena, arena_memdup(call->arena, value->string + bounds[0],
							    (size_t)(bounds[1] - bounds[0])));
	struct json *list = new_value(call->arena, JSON_ARRAY);
	struct json **link = &list->list.first;
	int64_t at = 0;
	json_for_each (item, value) {
		if (at >= bounds[0] && at < bounds[1]) {
			*link = new_value(call->arena, item->type);
			**link = *item;
			(*link)->next = NULL;
			link = &(*link)->next;
			list->list.count++;
		}
		at++;
	}
	return list;
}

/* ---- comparisons ---- */

/* Sets *order below, at or above 0. */
static bool compare(
	struct template_call *call, const struct json *a, const struct json *b, bool ordered, int *order)
{
	if (is_number(a) && is_number(b)) {
		double x = real_of(a), y = real_of(b);
		*order = a->type == JSON_INTEGER && b->type == JSON_INTEGER
				 ? (a->integer > b->integer) - (a->integer < b->integer)
				 : (x > y) - (x < y);
		return true;
	}
	if (a->type == JSON_STRING && b->type == JSON_STRING) {
		*order = strcmp(a->string, b->string);
		return true;
	}
	if (!ordered && a->type == JSON_BOOL && b->type == JSON_BOOL) {
		*order = a->boolean - b->boolean;
		return true;
	}
	if (!ordered && (a->type == JSON_NULL || b->type == JSON_NULL)) {
		*order = a->type != b->type;
		return true;
	}
	bool incomparable = ordered && (a->type == b->type);
	fail(call, incomparable ? "invalid type for comparison" : "incompatible types for comparison", "");
	return false;
}

static const struct json *call_eq(struct template_call *call)
{
	for (int i = 1; i < call->count; i++) {
		int order;
		if (!compare(call, call->arguments[0], call->arguments[i], false, &order))
			return NULL;
		if (!order)
			return template_bool(call->arena, true);
	}
	return template_bool(call->arena, false);
}

static const struct json *call_order(struct template_call *call)
{
	const char *name = call->function->name;
	int order;

	if (!compare(call, call->arguments[0], call->arguments[1], *name != 'n', &order))
		return NULL;
	bool equal = name[1] == 'e'; /* ne, le, ge */
	bool result = *name == 'n' ? order != 0 : *name == 'l' ? order < 0 : order > 0;
	return template_bool(call->arena, result || (*name != 'n' && equal && !order));
}

static const struct json *call_not(struct template_call *call)
{
	return template_bool(call->arena, !template_truth(call->arguments[0]));
}

static const struct template_function functions[] = {
	{"and", 1, TEMPLATE_ARGUMENTS, NULL},
	{"eq", 2, TEMPLATE_ARGUMENTS, call_eq},
	{"ge", 2, 2, call_order},
	{"gt", 2, 2, call_order},
	{"index", 1, TEMPLATE_ARGUMENTS, call_index},
	{"join", 2, 2, call_join},
	{"json", 1, 1, call_json},
	{"le", 2, 2, call_order},
	{"len", 1, 1, call_len},
	{"lower", 1, 1, call_lower},
	{"lt", 2, 2, call_order},
	{"ne", 2, 2, call_order},
	{"not", 1, 1, call_not},
	{"or", 1, TEMPLATE_ARGUMENTS, NULL},
	{"pad", 3, 3, call_pad},
	{"print", 0, TEMPLATE_ARGUMENTS, call_print},
	{"printf", 1, TEMPLATE_ARGUMENTS, call_printf},
	{"println", 0, TEMPLATE_ARGUMENTS, call_println},
	{"slice", 1, 3, call_slice},
	{"split", 2, 2, call_split},
	{"title", 1, 1, call_title},
	{"truncate", 2, 2, call_truncate},
	{"upper", 1, 1, call_upper},
};

const struct template_function *template_function(const char *name)
{
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		if (!strcmp(functions[i].name, name))
			return &functions[i];
	}
	return NULL;
}
