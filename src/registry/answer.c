/* answer.c - what a registry or token server says when it says no. */
#include "registry/answer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

enum { QUOTED = 300 };

/* Adds text to out at most once, after a separator where something is there already. */
static void add(char *out, size_t size, const char *separator, const char *text)
{
	char shown[QUOTED];
	size_t at = strlen(out);

	if (!text || !*text)
		return;
	err_sanitize(shown, sizeof shown, text);
	snprintf(out + at, size - at, "%s%s", at ? separator : "", shown);
}

static void add_error(char *out, size_t size, const struct json *error)
{
	const char *code = json_get_string(error, "code"), *message = json_get_string(error, "message");
	char words[64] = "";

	if (code && strlen(code) < sizeof words)
		for (size_t i = 0; code[i]; i++)
			words[i] = code[i] == '_' ? ' ' : (char)tolower((unsigned char)code[i]);
	if (message && !strcmp(message, words))
		message = NULL;
	add(out, size, "; ", words);
	add(out, size, words[0] ? ": " : "; ", message);
}

char *answer_quote(const struct buf *body, char *out, size_t size)
{
	auto_arena struct arena arena = {0};
	struct err ignored;

	out[0] = '\0';
	if (!body->length)
		return out;
	const struct json *root = json_parse(&arena, body->data, body->length, "answer", &ignored);
	if (!root)
		return out;
	size_t shown = 0;
	json_for_each (error, json_get_array(root, "errors"))
		if (shown++ < 3)
			add_error(out, size, error);
	static const char *const others[] = {"error_description", "message", "details", "error"};
	for (size_t i = 0; !out[0] && i < sizeof others / sizeof *others; i++)
		add(out, size, "; ", json_get_string(root, others[i]));
	return out;
}

char *answer_token(struct arena *arena, const struct buf *body, struct err *e)
{
	if (!body->length) {
		err_set(e, ERR_INVALID, 0, "the token server sent nothing");
		return NULL;
	}
	const struct json *root = json_parse(arena, body->data, body->length, "token server's answer", e);
	if (!root)
		return NULL;
	const char *token = json_get_string(root, "token");
	if (!token || !*token)
		token = json_get_string(root, "access_token");
	if (!token || !*token) {
		err_set(e, ERR_INVALID, 0, "the token server sent no token");
		return NULL;
	}
	size_t length = strlen(token);
	bool visible = length <= ANSWER_TOKEN_MAX;
	for (size_t i = 0; visible && i < length; i++)
		visible = token[i] > 0x20 && token[i] < 0x7f;
	if (!visible) {
		err_set(e, ERR_INVALID, 0, "the token server sent a malformed token");
		return NULL;
	}
	return arena_strdup(arena, token);
}
