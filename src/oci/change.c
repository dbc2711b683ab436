/* change.c - Dockerfile instructions applied to an image's config. */
#include "oci/change.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/opt.h"
#include "oci/change_words.h"

struct changer {
	struct arena *arena;
	struct oci_config *config;
	bool command_set; /* by a CMD among the instructions */
	struct err *e;
};

static int invalid(struct changer *c, const char *instruction, const char *why)
{
	return err_set(c->e, ERR_INVALID, 0, "%s %s", instruction, why);
}

/* ["a", "b"]: true, and the words. Anything else is a line for a shell. */
static bool json_words(struct changer *c, const char *text, struct strings *words)
{
	struct err ignored;
	const struct json *list;

	if (*text != '[' || !(list = json_parse(c->arena, text, strlen(text), "it", &ignored)))
		return false;
	*words = (struct strings){0};
	json_for_each (item, list) {
		if (item->type != JSON_STRING)
			return false;
		strings_add(c->arena, words, item->string);
	}
	if (!words->items) /* an empty list is not a missing one */
		words->items = arena_array(c->arena, 1, sizeof *words->items);
	return true;
}

/* A command in either form. */
static struct strings command_words(struct changer *c, const char *text)
{
	struct strings words = {0};

	if (json_words(c, text, &words))
		return words;
	for (size_t i = 0; i < c->config->shell.count; i++)
		strings_add(c->arena, &words, c->config->shell.items[i]);
	if (!words.count) {
		strings_add(c->arena, &words, "/bin/sh");
		strings_add(c->arena, &words, "-c");
	}
	strings_add(c->arena, &words, text);
	return words;
}

static int change_cmd(struct changer *c, const char *rest)
{
	c->config->cmd = command_words(c, rest);
	c->config->args_escaped = false;
	c->command_set = true;
	return 0;
}

static int change_entrypoint(struct changer *c, const char *rest)
{
	c->config->entrypoint = command_words(c, rest);
	/* What was meant for another entrypoint. */
	if (!c->command_set)
		c->config->cmd = (struct strings){0};
	return 0;
}

/* A copy that can grow without touching what others hold. */
static struct strings copy_list(struct changer *c, const struct strings *list)
{
	struct strings copy = {0};
	for (size_t i = 0; i < list->count; i++)
		strings_add(c->arena, &copy, list->items[i]);
	return copy;
}

static void set_env(struct changer *c, struct strings *env, const char *name, const char *value)
{
	size_t length = strlen(name);
	const char *item = arena_printf(c->arena, "%s=%s", name, value);

	for (size_t i = 0; i < env->count; i++) {
		if (!strncmp(env->items[i], name, length) && env->items[i][length] == '=') {
			env->items[i] = item;
			return;
		}
	}
	strings_add(c->arena, env, item);
}

/* NAME=VALUE …, or NAME and the rest of the line; calls set for each, with variables put in. */
static int each_pair(struct changer *c, const char *instruction, const char *rest,
	void (*set)(struct changer *c, void *context, const char *name, const char *value), void *context)
{
	struct strings words = change_words(c->arena, rest), old = copy_list(c, &c->config->env);
	const char *name, *value, *equals = words.count ? strchr(words.items[0], '=') : NULL;

	if (!equals && words.count < 2)
		return invalid(c, instruction, "must have two arguments");
	for (size_t i = 0; i < words.count; i++) {
		const char *word = words.items[i];
		if (!equals) {
			/* The old form: blanks belong to the value. */
			size_t length = strlen(word);
			const char *after = rest + length;
			while (isspace((unsigned char)*after))
				after++;
			name = change_expand(c->arena, word, &old, c->e);
			value = change_expand(c->arena, after, &old, c->e);
			i = words.count;
		} else {
			const char *split = strchr(word, '=');
			if (!split)
				return err_set(c->e, ERR_INVALID, 0,
					"Syntax error - can't find = in \"%s\". Must be of the form: "
					"name=value",
					word);
			name = change_expand(
				c->arena, arena_memdup(c->arena, word, (size_t)(split - word)), &old, c->e);
			value = name ? change_expand(c->arena, split + 1, &old, c->e) : NULL;
		}
		if (!name || !value)
			return -1;
		if (!*name)
			return invalid(c, instruction, "names can not be blank");
		set(c, context, name, value);
	}
	return 0;
}

static void set_env_pair(struct changer *c, void *context, const char *name, const char *value)
{
	set_env(c, context, name, value);
}

static int change_env(struct changer *c, const char *rest)
{
	struct strings env = copy_list(c, &c->config->env);

	if (each_pair(c, "ENV", rest, set_env_pair, &env) < 0)
		return -1;
	c->config->env = env;
	return 0;
}

static void set_label(struct changer *c, void *context, const char *name, const char *value)
{
	struct oci_config *config = c->config;
	size_t count = config->label_count;

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(config->labels[i].key, name)) {
			config->labels[i].value = value;
			return;
		}
	}
	struct oci_pair *labels = arena_array(c->arena, count + 1, sizeof *labels);
	if (count)
		memcpy(labels, config->labels, count * sizeof *labels);
	labels[count] = (struct oci_pair){name, value};
	config->labels = labels;
	config->label_count++;
}

static int change_label(struct changer *c, const char *rest)
{
	return each_pair(c, "LABEL", rest, set_label, NULL);
}

/* One word, with variables put in; NULL with e. */
static const char *one_word(struct changer *c, const char *instruction, const char *rest)
{
	struct strings words = change_words(c->arena, rest);

	if (words.count != 1 && strcmp(instruction, "WORKDIR") != 0) {
		invalid(c, instruction, "requires exactly one argument");
		return NULL;
	}
	return change_expand(c->arena, rest, &c->config->env, c->e);
}

static bool has(const struct strings *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], text))
			return true;
	return false;
}

/* "8000-8005/udp" into ports. */
static int add_ports(struct changer *c, struct strings *ports, const char *word)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp"};
	const char *slash = strchr(word, '/'), *protocol = slash ? slash + 1 : "tcp";
	char *range = arena_memdup(c->arena, word, slash ? (size_t)(slash - word) : strlen(word));
	char *dash = strchr(range, '-');
	int64_t first, last;
	size_t known = 0;

	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		known += !strcasecmp(protocol, protocols[i]);
	if (!known)
		return err_set(c->e, ERR_INVALID, 0, "invalid proto: %s", protocol);
	if (dash)
		*dash++ = '\0';
	if (opt_integer(range, &first) < 0 || opt_integer(dash ? dash : range, &last) < 0 || first < 1 ||
		last > 65535 || last < first || !isdigit((unsigned char)*range))
		return err_set(c->e, ERR_INVALID, 0, "invalid containerPort: %s", word);
	for (int64_t port = first; port <= last; port++) {
		char *item = arena_printf(c->arena, "%lld/%s", (long long)port, protocol);
		for (char *p = item; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		if (!has(ports, item))
			strings_add(c->arena, ports, item);
	}
	return 0;
}

static int change_expose(struct changer *c, const char *rest)
{
	struct strings words = change_words(c->arena, rest);
	struct strings ports = copy_list(c, &c->config->exposed_ports);

	if (!words.count)
		return invalid(c, "EXPOSE", "requires at least one argument");
	for (size_t i = 0; i < words.count; i++) {
		const char *expanded = change_expand(c->arena, words.items[i], &c->config->env, c->e);
		if (!expanded)
			return -1;
		struct strings parts = change_words(c->arena, expanded);
		for (size_t k = 0; k < parts.count; k++)
			if (add_ports(c, &ports, parts.items[k]) < 0)
				return -1;
	}
	c->config->exposed_ports = ports;
	return 0;
}

static int change_volume(struct changer *c, const char *rest)
{
	struct strings words, volumes = copy_list(c, &c->config->volumes);

	if (!json_words(c, rest, &words))
		words = change_words(c->arena, rest);
	if (!words.count)
		return invalid(c, "VOLUME", "requires at least one argument");
	for (size_t i = 0; i < words.count; i++) {
		const char *path = change_expand(c->arena, words.items[i], &c->config->env, c->e);
		if (!path)
			return -1;
		if (!path[strspn(path, " \t")])
			return invalid(c, "VOLUME", "specified can not be an empty string");
		if (!has(&volumes, path))
			strings_add(c->arena, &volumes, path);
	}
	c->config->volumes = volumes;
	return 0;
}

static int change_user(struct changer *c, const char *rest)
{
	const char *user = one_word(c, "USER", rest);

	if (!user)
		return -1;
	c->config->user = user;
	return 0;
}

static int change_stopsignal(struct changer *c, const char *rest)
{
	const char *name = one_word(c, "STOPSIGNAL", rest);

	if (!name)
		return -1;
	c->config->stop_signal = name;
	return 0;
}

/* Without ".", ".." and doubled slashes. */
static const char *clean_path(struct arena *arena, const char *path)
{
	char *out = arena_alloc(arena, strlen(path) + 2);
	size_t length = 0;

	for (const char *at = path; *at;) {
		size_t part = strcspn(at, "/");
		if (part == 2 && !strncmp(at, "..", 2)) {
			while (length && out[--length] != '/')
				;
		} else if (part && !(part == 1 && *at == '.')) {
			out[length++] = '/';
			memcpy(out + length, at, part);
			length += part;
		}
		at += part + (at[part] == '/');
	}
	if (!length)
		out[length++] = '/';
	out[length] = '\0';
	return out;
}

static int change_workdir(struct changer *c, const char *rest)
{
	const char *path = one_word(c, "WORKDIR", rest);

	if (!path)
		return -1;
	if (*path != '/')
		path = arena_printf(c->arena, "%s/%s", c->config->working_dir, path);
	c->config->working_dir = clean_path(c->arena, path);
	return 0;
}

static int change_onbuild(struct changer *c, const char *rest)
{
	size_t length = strcspn(rest, " \t");
	const char *trigger = arena_memdup(c->arena, rest, length);
	struct strings list = copy_list(c, &c->config->on_build);

	if (!strcasecmp(trigger, "ONBUILD"))
		return err_set(c->e, ERR_INVALID, 0, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	if (!strcasecmp(trigger, "MAINTAINER") || !strcasecmp(trigger, "FROM"))
		return err_set(c->e, ERR_INVALID, 0, "%s isn't allowed as an ONBUILD trigger", trigger);
	strings_add(c->arena, &list, rest);
	c->config->on_build = list;
	return 0;
}

/* ---- HEALTHCHECK ---- */

static int health_duration(struct changer *c, const char *name, const char *value, int64_t *out)
{
	if (time_parse_duration(value, out) < 0)
		return err_set(c->e, ERR_INVALID, 0, "invalid duration \"%s\" for --%s", value, name);
	if (*out < 0 || (*out && *out < 1000000))
		return err_set(c->e, ERR_INVALID, 0, "--%s \"%s\" cannot be less than 1ms", name, value);
	return 0;
}

static int health_flag(struct changer *c, const char *word, struct oci_healthcheck *check)
{
	const struct {
		const char *name;
		int64_t *value;
	} durations[] = {
		{"interval", &check->interval},
		{"timeout", &check->timeout},
		{"start-period", &check->start_period},
		{"start-interval", &check->start_interval},
	};
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);
	const char *name = arena_memdup(c->arena, word + 2, length - 2);
	const char *value = equals ? equals + 1 : "";

	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		if (!strcmp(name, durations[i].name))
			return *value ? health_duration(c, name, value, durations[i].value)
				      : err_set(c->e, ERR_INVALID, 0, "missing a value on flag: %s", name);
	}
	if (strcmp(name, "retries") != 0)
		return err_set(c->e, ERR_INVALID, 0, "unknown flag: %s", name);
	if (opt_integer(value, &check->retries) < 0 || check->retries < 0)
		return err_set(c->e, ERR_INVALID, 0,
			"--retries must be a number that is not negative (not %s)", value);
	return 0;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

static int change_healthcheck(struct changer *c, const char *rest)
{
	struct oci_healthcheck check = {0};

	while (!strncmp(rest, "--", 2)) {
		size_t length = strcspn(rest, " \t");
		if (health_flag(c, arena_memdup(c->arena, rest, length), &check) < 0)
			return -1;
		rest = skip_blanks(rest + length);
	}
	size_t length = strcspn(rest, " \t");
	const char *type = arena_memdup(c->arena, rest, length);
	rest = skip_blanks(rest + length);
	if (!strcasecmp(type, "NONE")) {
		if (*rest)
			return invalid(c, "HEALTHCHECK", "NONE takes no arguments");
		strings_add(c->arena, &check.test, "NONE");
	} else if (!strcasecmp(type, "CMD")) {
		struct strings words;
		bool exact = json_words(c, rest, &words);
		if (exact ? !words.count : !*rest)
			return err_set(c->e, ERR_INVALID, 0, "Missing command after HEALTHCHECK CMD");
		strings_add(c->arena, &check.test, exact ? "CMD" : "CMD-SHELL");
		for (size_t i = 0; exact && i < words.count; i++)
			strings_add(c->arena, &check.test, words.items[i]);
		if (!exact)
			strings_add(c->arena, &check.test, rest);
	} else {
		return err_set(c->e, ERR_INVALID, 0, "Unknown type \"%s\" in HEALTHCHECK (try CMD)", type);
	}
	c->config->healthcheck = check;
	c->config->has_healthcheck = true;
	return 0;
}

/* ---- lines ---- */

static const struct {
	const char *name;
	int (*change)(struct changer *c, const char *rest);
} instructions[] = {
	{"CMD", change_cmd},
	{"ENTRYPOINT", change_entrypoint},
	{"ENV", change_env},
	{"EXPOSE", change_expose},
	{"HEALTHCHECK", change_healthcheck},
	{"LABEL", change_label},
	{"ONBUILD", change_onbuild},
	{"STOPSIGNAL", change_stopsignal},
	{"USER", change_user},
	{"VOLUME", change_volume},
	{"WORKDIR", change_workdir},
};

static int apply_line(struct changer *c, char *line)
{
	size_t length = strcspn(line, " \t");
	char *name = arena_memdup(c->arena, line, length);
	const char *rest = skip_blanks(line + length);
	char shown[80];

	for (char *p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	for (size_t i = 0; i < sizeof instructions / sizeof *instructions; i++)
		if (!strcmp(name, instructions[i].name))
			return *rest ? instructions[i].change(c, rest)
				     : invalid(c, name, "requires at least one argument");
	err_set(c->e, ERR_INVALID, 0, "%s is not a valid change command",
		err_sanitize(shown, sizeof shown, name));
	return err_hint(c->e, "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, "
			      "VOLUME and WORKDIR are");
}

/* Takes blanks from the end; whether a backslash stood there, which goes too. */
static bool trim_end(char *line)
{
	size_t length = strlen(line);

	while (length && isspace((unsigned char)line[length - 1]))
		line[--length] = '\0';
	if (!length || line[length - 1] != '\\')
		return false;
	line[length - 1] = '\0';
	return true;
}

int oci_change_apply(struct arena *arena, const char *text, struct oci_config *config, struct err *e)
{
	struct changer c = {.arena = arena, .config = config, .e = e};
	char *line = NULL;

	for (const char *at = text; *at || line;) {
		size_t length = strcspn(at, "\n");
		char *part = arena_memdup(arena, at, length);
		bool last = !at[length];
		at += length + !last;
		const char *start = skip_blanks(part);
		/* Comments, and empty lines, may stand within an instruction. */
		if ((*start == '#' || !*start) && !last)
			continue;
		bool goes_on = *start != '#' && trim_end(part);
		line = *start == '#' ? line
				     : arena_printf(arena, "%s%s", line ? line : "", line ? part : start);
		if (goes_on && !last)
			continue;
		char *whole = line;
		line = NULL;
		if (whole && *skip_blanks(whole) && apply_line(&c, whole) < 0)
			return -1;
		if (last)
			break;
	}
	return 0;
}
