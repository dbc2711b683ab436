/*
 * config.c - brig.conf(5).
 *
 * Grammar: a line is blank, a comment ("#" or ";" first), [section], [section "name"] or
 * `key = value`. Blanks around key and value do not count; a value in double quotes keeps
 * its own. There are no continuations and no escapes: nothing here needs them.
 */
#include "engine/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/nearest.h"
#include "base/opt.h"

#define LIMIT (1 << 20) /* bytes of a file that anybody wrote by hand */

enum key_kind { KEY_STRING, KEY_LIST, KEY_BOOL, KEY_COUNT, KEY_SIZE, KEY_PATH, KEY_ADDRESS };

struct key {
	const char *section;
	const char *name;
	enum key_kind kind;
	size_t offset; /* in struct config, or in struct config_registry */
};

#define AT(member)          offsetof(struct config, member)
#define AT_REGISTRY(member) offsetof(struct config_registry, member)
static const struct key keys[] = {
	{"storage", "root", KEY_PATH, AT(data_root)},
	{"storage", "run_root", KEY_PATH, AT(run_root)},
	{"storage", "driver", KEY_STRING, AT(driver)},
	{"storage", "zfs_dataset", KEY_STRING, AT(zfs_dataset)},
	{"network", "dns", KEY_LIST, AT(dns)},
	{"network", "publish_address", KEY_ADDRESS, AT(publish_address)},
	{"container", "pids_limit", KEY_COUNT, AT(pids_limit)},
	{"network", "ready", KEY_BOOL, AT(ready_networks)},
	{"container", "no_new_privileges", KEY_BOOL, AT(no_new_privileges)},
	{"log", "max_size", KEY_SIZE, AT(log_max_size)},
	{"log", "max_file", KEY_COUNT, AT(log_max_file)},
	{"registry", "mirror", KEY_LIST, AT_REGISTRY(mirrors)},
	{"registry", "insecure", KEY_BOOL, AT_REGISTRY(insecure)},
};
#define KEYS (sizeof keys / sizeof *keys)

void config_init(struct config *config)
{
	*config = (struct config){
		.ready_networks = true,
		.publish_address = "0.0.0.0",
		.pids_limit = 4096,
		.log_max_size = 10 << 20,
		.log_max_file = 3,
	};
}

const char *config_key(struct arena *arena, size_t index)
{
	return index < KEYS ? arena_printf(arena, "%s.%s", keys[index].section, keys[index].name) : NULL;
}

const struct config_registry *config_registry(const struct config *config, const char *name)
{
	for (const struct config_registry *r = config->registries; r; r = r->next) {
		if (!strcmp(r->name, name))
			return r;
	}
	return NULL;
}

/* ---- parsing ---- */

struct parser {
	struct config *config;
	struct arena *arena;
	const char *path;
	int line;
	const char *section;              /* a name out of keys, or NULL before the first heading */
	struct config_registry *registry; /* of [registry "x"] */
};

/* Cuts blanks off both ends of the NUL-terminated text, in place. */
static char *trim(char *text)
{
	text += strspn(text, " \t\r");
	size_t length = strlen(text);
	while (length && strchr(" \t\r", text[length - 1]))
		length--;
	text[length] = '\0';
	return text;
}

/* Takes the quotes off "text"; -1 where one is missing its other half. */
static int unquote(char **text)
{
	size_t length = strlen(*text);

	if ((*text)[0] != '"')
		return 0;
	if (length < 2 || (*text)[length - 1] != '"')
		return -1;
	(*text)[length - 1] = '\0';
	(*text)++;
	return 0;
}

static struct config_registry *registry_named(struct parser *p, const char *name)
{
	struct config_registry **link = &p->config->registries;

	for (; *link; link = &(*link)->next) {
		if (!strcmp((*link)->name, name))
			return *link;
	}
	*link = arena_new(p->arena, struct config_registry);
	(*link)->name = arena_strdup(p->arena, name);
	return *link;
}

static int fail(const struct parser *p, struct err *e, const char *what, const char *word)
{
	char clean[128];
	return err_set(e, ERR_INVALID, 0, "%s:%d: %s%s", p->path, p->line, what,
		err_sanitize(clean, sizeof clean, word));
}

/* heading is what stands between the brackets. */
static int parse_heading(struct parser *p, char *heading, struct err *e)
{
	struct nearest nearest = {0};
	size_t length = strcspn(heading, " \t\"");
	char *name = trim(heading + length);

	if (unquote(&name) < 0)
		return fail(p, e, "a quote is not closed in the section ", heading);
	char *section = arena_memdup(p->arena, heading, length);
	p->section = NULL;
	p->registry = NULL;
	for (size_t i = 0; i < KEYS; i++) {
		nearest_offer(&nearest, section, keys[i].section);
		if (!strcmp(section, keys[i].section))
			p->section = keys[i].section;
	}
	if (!p->section) {
		fail(p, e, "unknown section ", section);
		return nearest.word ? err_hint(e, "did you mean [%s]?", nearest.word) : -1;
	}
	bool named = !strcmp(section, "registry");
	if (named && !*name) {
		fail(p, e, "a registry section needs a name", "");
		return err_hint(e, "write [registry \"docker.io\"]");
	}
	if (!named && *name)
		return fail(p, e, "this section takes no name: ", section);
	if (named)
		p->registry = registry_named(p, name);
	return 0;
}

static int set_key(struct parser *p, const struct key *key, const char *value, struct err *e)
{
	void *member = (p->registry ? (char *)p->registry : (char *)p->config) + key->offset;
	unsigned char bytes[sizeof(struct in6_addr)];
	int64_t number;

	switch (key->kind) {
	case KEY_PATH:
		if (*value != '/') {
			fail(p, e, "not an absolute path: ", value);
			return -1;
		}
		*(const char **)member = arena_strdup(p->arena, value);
		return 0;
	case KEY_STRING:
		*(const char **)member = arena_strdup(p->arena, value);
		return 0;
	case KEY_ADDRESS:
		if (inet_pton(strchr(value, ':') ? AF_INET6 : AF_INET, value, bytes) != 1) {
			fail(p, e, "not an IP address: ", value);
			return -1;
		}
		*(const char **)member = arena_strdup(p->arena, value);
		return 0;
	case KEY_LIST:
		strings_add(p->arena, member, arena_strdup(p->arena, value));
		return 0;
	case KEY_BOOL:
		if (!strcmp(value, "yes") || !strcmp(value, "no")) {
			*(bool *)member = *value == 'y';
			return 0;
		}
		if (opt_bool(value, member) < 0) {
			fail(p, e, "neither yes nor no: ", value);
			return -1;
		}
		return 0;
	case KEY_COUNT:
		if (opt_integer(value, &number) < 0 || number < 0) {
			fail(p, e, "not a number that counts something: ", value);
			return -1;
		}
		*(int64_t *)member = number;
		return 0;
	case KEY_SIZE:
		if (opt_size(value, &number) < 0) {
			fail(p, e, "not a size: ", value);
			return err_hint(e, "a number with b, k, m, g or t, such as 10m");
		}
		*(int64_t *)member = number;
		return 0;
	}
	return 0;
}

static int parse_line(struct parser *p, char *line, struct err *e)
{
	line = trim(line);
	if (!*line || *line == '#' || *line == ';')
		return 0;
	if (*line == '[') {
		size_t length = strlen(line);
		if (line[length - 1] != ']')
			return fail(p, e, "a section heading does not end with ]: ", line);
		line[length - 1] = '\0';
		return parse_heading(p, trim(line + 1), e);
	}
	char *equals = strchr(line, '=');
	if (!equals)
		return fail(p, e, "neither a [section] nor a key = value: ", line);
	*equals = '\0';
	char *name = trim(line), *value = trim(equals + 1);
	if (unquote(&value) < 0)
		return fail(p, e, "a quote is not closed in the value of ", name);
	if (!p->section) {
		fail(p, e, "a key before the first section: ", name);
		return err_hint(e, "start with a heading such as [storage]");
	}
	struct nearest nearest = {0};
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, p->section) != 0)
			continue;
		if (!strcmp(keys[i].name, name))
			return set_key(p, &keys[i], value, e);
		nearest_offer(&nearest, name, keys[i].name);
	}
	fail(p, e, "unknown key ", name);
	return nearest.word ? err_hint(e, "did you mean %s?", nearest.word)
			    : err_hint(e, "brig.conf(5) lists the keys of [%s]", p->section);
}

int config_parse(struct config *config, struct arena *arena, const char *text, size_t length,
	const char *path, struct err *e)
{
	struct parser p = {.config = config, .arena = arena, .path = path};
	const char *end = text + length;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t line_length = (size_t)((newline ? newline : end) - text);
		p.line++;
		if (memchr(text, '\0', line_length))
			return fail(&p, e, "a NUL byte", "");
		if (parse_line(&p, arena_memdup(arena, text, line_length), e) < 0)
			return -1;
		text += line_length + 1;
	}
	return 0;
}

int config_load(struct config *config, struct arena *arena, const char *path, bool must_exist, struct err *e)
{
	auto_close int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	if (fd < 0) {
		if ((fd == -ENOENT || fd == -ENOTDIR) && !must_exist)
			return 0;
		return err_errno(e, fd, "cannot read the configuration %s", path);
	}
	auto_buf struct buf text = {0};
	int r = fd_slurp(fd, LIMIT, &text);
	if (r < 0)
		return err_errno(e, r, "cannot read the configuration %s", path);
	return config_parse(config, arena, text.data ? text.data : "", text.length, path, e);
}

/* ---- places ---- */

/* $variable/rest, or $HOME/fallback/rest; NULL without either. XDG wants absolute paths. */
static const char *user_place(
	struct arena *arena, const char *variable, const char *fallback, const char *rest)
{
	const char *base = getenv(variable), *home = getenv("HOME");

	if (base && *base == '/')
		return arena_printf(arena, "%s/%s", base, rest);
	if (!fallback || !home || *home != '/')
		return NULL;
	return arena_printf(arena, "%s/%s/%s", home, fallback, rest);
}

const char *config_default_data_root(struct arena *arena)
{
	return geteuid() == 0 ? "/var/lib/brig" : user_place(arena, "XDG_DATA_HOME", ".local/share", "brig");
}

const char *config_default_run_root(struct arena *arena)
{
	return geteuid() == 0 ? "/run/brig" : user_place(arena, "XDG_RUNTIME_DIR", NULL, "brig");
}

const char *config_default_path(struct arena *arena)
{
	return geteuid() == 0 ? "/etc/brig/brig.conf"
			      : user_place(arena, "XDG_CONFIG_HOME", ".config", "brig/brig.conf");
}
