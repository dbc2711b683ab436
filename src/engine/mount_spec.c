/* mount_spec.c - docker's grammars for mounts: -v, --mount, --tmpfs, --volumes-from. */
#include "engine/mount_spec.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/opt.h"
#include "store/volume.h"

enum { PATH_LIMIT = 4096, WISH_LIMIT = 64 << 10 };

/* Cleans an absolute path: no ".", "..", doubled or trailing slashes. */
static char *clean_path(struct arena *arena, const char *path)
{
	char *clean = arena_alloc(arena, strlen(path) + 2), *end = clean;

	for (const char *at = path; *at;) {
		at += strspn(at, "/");
		size_t length = strcspn(at, "/");
		if (!length)
			break;
		if (length == 2 && !strncmp(at, "..", 2)) {
			while (end > clean && *--end != '/')
				;
		} else if (!(length == 1 && *at == '.')) {
			*end++ = '/';
			memcpy(end, at, length);
			end += length;
		}
		at += length;
	}
	if (end == clean)
		*end++ = '/';
	*end = '\0';
	return clean;
}

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);
	return !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

int mount_spec_target(
	struct arena *arena, const char *target, const char *what, const char **clean, struct err *e)
{
	/* The files that lxcfs replaces. */
	static const char *const allowed[] = {
		"cpuinfo", "meminfo", "stat", "uptime", "loadavg", "swaps", "diskstats"};
	char shown[300], place[200];

	err_sanitize(shown, sizeof shown, what);
	err_sanitize(place, sizeof place, target);
	if (*target != '/')
		return err_set(e, ERR_INVALID, 0,
			"invalid mount \"%s\": invalid mount path: '%s' mount path must be absolute", shown,
			place);
	if (strlen(target) >= PATH_LIMIT)
		return err_set(e, ERR_INVALID, 0, "invalid mount \"%s\": the path is too long", shown);
	*clean = clean_path(arena, target);
	if (!strcmp(*clean, "/"))
		return err_set(e, ERR_INVALID, 0,
			"invalid mount \"%s\": invalid specification: destination can't be '/'", shown);
	if (!is_below(*clean, "/proc"))
		return 0;
	for (size_t i = 0; (*clean)[5] && i < sizeof allowed / sizeof *allowed; i++)
		if (!strcmp(*clean + 6, allowed[i]))
			return 0;
	return err_set(e, ERR_INVALID, 0, "cannot mount on %s: /proc is the container's own",
		err_sanitize(place, sizeof place, *clean));
}

int mount_spec_image_volume(struct arena *arena, const char *target, const char **clean, struct err *e)
{
	char shown[200];

	if (*target != '/')
		target = arena_printf(arena, "/%s", target);
	err_sanitize(shown, sizeof shown, target);
	if (mount_spec_target(arena, target, target, clean, e) < 0) {
		err_set(e, ERR_INVALID, 0, "the image wants a volume on %s, where none can be", shown);
		return err_hint(e, "rebuild the image without that VOLUME");
	}
	if (is_below(*clean, "/sys"))
		return err_set(
			e, ERR_INVALID, 0, "the image wants a volume on %s: /sys is the kernel's", shown);
	return 0;
}

static bool is_propagation(const char *text)
{
	static const char *const names[] = {"private", "rprivate", "shared", "rshared", "slave", "rslave"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i], text))
			return true;
	return false;
}

/* ---- -v ---- */

/* What a word of -v's options says, and which of them exclude each other. */
enum mode_group {
	MODE_ACCESS = 1,
	MODE_LABEL = 2,
	MODE_PROPAGATION = 4,
	MODE_COPY = 8,
	MODE_CONSISTENCY = 16
};

static unsigned mode_group(const char *word)
{
	static const struct {
		const char *word;
		enum mode_group group;
	} rows[] = {
		{"ro", MODE_ACCESS},
		{"rw", MODE_ACCESS},
		{"z", MODE_LABEL},
		{"Z", MODE_LABEL},
		{"nocopy", MODE_COPY},
		{"cached", MODE_CONSISTENCY},
		{"delegated", MODE_CONSISTENCY},
		{"consistent", MODE_CONSISTENCY},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (!strcmp(rows[i].word, word))
			return rows[i].group;
	return is_propagation(word) ? MODE_PROPAGATION : 0;
}

/* The groups that are named, or 0 where the text is no mode. */
static unsigned parse_mode(struct arena *arena, const char *text, struct container_mount *mount)
{
	unsigned seen = 0;
	char *rest = arena_strdup(arena, text);

	for (char *word; (word = strsep(&rest, ","));) {
		unsigned group = mode_group(word);
		if (!group || (seen & group))
			return 0;
		seen |= group;
		if (!strcmp(word, "ro"))
			mount->readonly = true;
		else if (group == MODE_PROPAGATION)
			mount->propagation = word;
		else if (group == MODE_COPY)
			mount->nocopy = true;
	}
	return seen;
}

static int bad_volume(const char *text, struct err *e)
{
	char shown[300];
	return err_set(e, ERR_INVALID, 0, "invalid volume specification: '%s'",
		err_sanitize(shown, sizeof shown, text));
}

int mount_spec_volume(
	struct arena *arena, const char *here, const char *text, struct container_mount *mount, struct err *e)
{
	struct container_mount made = {.type = CONTAINER_MOUNT_VOLUME}, ignored = {0};
	char shown[100];

	if (!*text)
		return err_set(e, ERR_INVALID, 0, "invalid empty volume spec");
	if (strlen(text) > WISH_LIMIT)
		return err_set(e, ERR_INVALID, 0, "the volume specification is too long");
	char *rest = arena_strdup(arena, text);
	char *source = strsep(&rest, ":");
	char *target = strsep(&rest, ":");
	char *mode = strsep(&rest, ":");
	/* "/x:ro" is no place with a mode: it would have no source. */
	if (rest || !*source || (target && !*target) || (mode && !*mode) ||
		(target && !mode && parse_mode(arena, target, &ignored)))
		return bad_volume(text, e);
	if (!target) {
		/* A volume without a name. */
		if (mount_spec_target(arena, source, text, &made.target, e) < 0)
			return -1;
		made.anonymous = true;
		*mount = made;
		return 0;
	}
	if (mount_spec_target(arena, target, text, &made.target, e) < 0)
		return -1;
	unsigned groups = mode ? parse_mode(arena, mode, &made) : 0;
	if (mode && !groups)
		return err_set(
			e, ERR_INVALID, 0, "invalid mode: %s", err_sanitize(shown, sizeof shown, mode));
	made.mode = mode ? mode : "";
	if (*source == '/' || *source == '.') {
		if (groups & MODE_COPY)
			return err_set(e, ERR_INVALID, 0,
				"invalid mode: %s: nocopy is for volumes, and %s is a folder of the host",
				mode, err_sanitize(shown, sizeof shown, source));
		if (*source == '.' && !*here)
			return err_set(e, ERR_NOT_FOUND, 0,
				"%s cannot be found: the current folder was removed, or cannot be told",
				err_sanitize(shown, sizeof shown, source));
		made.type = CONTAINER_MOUNT_BIND;
		made.create_source = true;
		made.source = clean_path(
			arena, *source == '/' ? source : arena_printf(arena, "%s/%s", here, source));
		if (strlen(made.source) >= PATH_LIMIT)
			return bad_volume(text, e);
	} else {
		if (groups & MODE_PROPAGATION)
			return err_set(e, ERR_INVALID, 0,
				"invalid mode: %s: propagation is for folders of the host, and %s is a "
				"volume",
				mode, err_sanitize(shown, sizeof shown, source));
		if (volume_check_name(source, e) < 0)
			return -1;
		made.name = source;
	}
	made.bind = arena_printf(arena, "%s:%s%s%s", made.source ? made.source : made.name, target,
		mode ? ":" : "", mode ? mode : "");
	*mount = made;
	return 0;
}

/* ---- --mount ---- */

/* The next field of a line of comma-separated values; "" quotes a field with commas. */
static char *next_field(char **rest)
{
	char *at = *rest, *out, *field;

	if (!at)
		return NULL;
	if (*at != '"')
		return strsep(rest, ",");
	for (field = out = ++at; *at; at++) {
		if (*at == '"') {
			if (at[1] != '"')
				break;
			at++;
		}
		*out++ = *at;
	}
	at += *at == '"';
	*rest = *at == ',' ? at + 1 : NULL;
	*out = '\0';
	return field;
}

/* One --mount while it is read: which families of options it has. */
struct wish {
	struct arena *arena;
	const char *text;
	const char *type, *target, *driver, *recursive;
	const char *volume_option, *bind_option, *tmpfs_option; /* the first of each, or NULL */
	int64_t size, mode;
	bool has_size, has_mode;
	struct container_mount mount;
};

static int bad_value(const char *key, const char *value, struct err *e)
{
	char shown[100];
	return err_set(e, ERR_INVALID, 0, "invalid value for %s: %s", key,
		err_sanitize(shown, sizeof shown, value ? value : ""));
}

static int set_flag(bool *flag, const char *key, const char *value, struct err *e)
{
	*flag = true;
	return value && opt_bool(value, flag) < 0 ? bad_value(key, value, e) : 0;
}

static int set_bind_option(struct wish *wish, const char *key, const char *value, struct err *e)
{
	static const char *const recursive[] = {"enabled", "disabled", "writable", "readonly"};
	struct container_mount *mount = &wish->mount;

	wish->bind_option = key;
	if (!strcmp(key, "bind-nonrecursive"))
		return set_flag(&mount->not_recursive, key, value, e);
	if (!strcmp(key, "bind-propagation")) {
		if (!is_propagation(value))
			return err_set(e, ERR_INVALID, 0,
				"invalid value for bind-propagation: invalid propagation mode: %s", value);
		mount->propagation = value;
		return 0;
	}
	size_t i = 0;
	while (i < 4 && strcmp(recursive[i], value) != 0)
		i++;
	if (i == 4)
		return err_set(e, ERR_INVALID, 0,
			"invalid value for bind-recursive: %s (must be \"enabled\", \"disabled\", "
			"\"writable\", "
			"or \"readonly\")",
			value);
	wish->recursive = value;
	mount->not_recursive = i == 1;
	mount->readonly_recursive_not = i == 2;
	mount->readonly_recursive_force = i == 3;
	return 0;
}

static int set_volume_option(struct wish *wish, const char *key, const char *value, struct err *e)
{
	struct container_mount *mount = &wish->mount;

	wish->volume_option = key;
	if (!strcmp(key, "volume-nocopy"))
		return set_flag(&mount->nocopy, key, value, e);
	if (!strcmp(key, "volume-driver")) {
		wish->driver = value;
	} else if (!strcmp(key, "volume-subpath")) {
		mount->subpath = value;
	} else {
		if (!*value || *value == '=')
			return bad_value(key, value, e);
		/* docker's "a" is "a=". */
		const char *pair = strchr(value, '=') ? value : arena_printf(wish->arena, "%s=", value);
		strings_add(wish->arena,
			!strcmp(key, "volume-label") ? &mount->labels : &mount->volume_options, pair);
	}
	return 0;
}

static int set_tmpfs_option(struct wish *wish, const char *key, const char *value, struct err *e)
{
	char *end;

	wish->tmpfs_option = key;
	if (!strcmp(key, "tmpfs-size")) {
		wish->has_size = true;
		return opt_size(value, &wish->size) < 0 || wish->size < 0 ? bad_value(key, value, e) : 0;
	}
	wish->has_mode = true;
	wish->mode = strtol(value, &end, 8);
	return wish->mode < 0 || wish->mode > 07777 || *end || end == value ? bad_value(key, value, e) : 0;
}

static const struct {
	const char *key;
	bool flag; /* needs no value */
	int (*set)(struct wish *wish, const char *key, const char *value, struct err *e);
	size_t text; /* without set: the member of struct wish */
} fields[] = {
	{"type", false, NULL, offsetof(struct wish, type)},
	{"source", false, NULL, offsetof(struct wish, mount.source)},
	{"src", false, NULL, offsetof(struct wish, mount.source)},
	{"target", false, NULL, offsetof(struct wish, target)},
	{"dst", false, NULL, offsetof(struct wish, target)},
	{"destination", false, NULL, offsetof(struct wish, target)},
	{"bind-nonrecursive", true, set_bind_option, 0},
	{"bind-propagation", false, set_bind_option, 0},
	{"bind-recursive", false, set_bind_option, 0},
	{"volume-nocopy", true, set_volume_option, 0},
	{"volume-driver", false, set_volume_option, 0},
	{"volume-subpath", false, set_volume_option, 0},
	{"volume-label", false, set_volume_option, 0},
	{"volume-opt", false, set_volume_option, 0},
	{"tmpfs-size", false, set_tmpfs_option, 0},
	{"tmpfs-mode", false, set_tmpfs_option, 0},
};

static int set_field(struct wish *wish, char *field, struct err *e)
{
	static const char *const consistencies[] = {"default", "consistent", "cached", "delegated"};
	char *value = strchr(field, '='), shown[100];
	size_t i = 0;

	if (value)
		*value++ = '\0';
	if (!strcasecmp(field, "readonly") || !strcasecmp(field, "ro"))
		return set_flag(&wish->mount.readonly, field, value, e);
	while (i < sizeof fields / sizeof *fields && strcasecmp(fields[i].key, field) != 0)
		i++;
	bool known = i < sizeof fields / sizeof *fields;
	err_sanitize(shown, sizeof shown, field);
	if (!value && !(known && fields[i].flag))
		return err_set(e, ERR_INVALID, 0, "invalid field '%s' must be a key=value pair", shown);
	if (known && fields[i].set)
		return fields[i].set(wish, fields[i].key, value, e);
	if (known) {
		*(const char **)((char *)wish + fields[i].text) = value;
		return 0;
	}
	/* Has no meaning on Linux, and docker's client takes it. */
	if (!strcasecmp(field, "consistency")) {
		for (i = 0; i < 4; i++)
			if (!strcmp(consistencies[i], value))
				return 0;
		return bad_value("consistency", value, e);
	}
	return err_set(e, ERR_INVALID, 0, "unexpected key '%s' in '%s=%.80s'", shown, shown,
		err_sanitize(arena_alloc(wish->arena, 100), 100, value));
}

/* What only makes sense together. */
static int check_wish(const struct wish *wish, struct err *e)
{
	const struct container_mount *mount = &wish->mount;
	static const char mixed[] = "cannot mix '%s' options with mount type '%s'";

	if (!wish->target || !*wish->target)
		return err_set(e, ERR_INVALID, 0, "target is required");
	if (wish->volume_option && strcmp(wish->type, "volume") != 0)
		return err_set(e, ERR_INVALID, 0, mixed, "volume-*", wish->type);
	if (wish->bind_option && strcmp(wish->type, "bind") != 0)
		return err_set(e, ERR_INVALID, 0, mixed, "bind-*", wish->type);
	if (wish->tmpfs_option && strcmp(wish->type, "tmpfs") != 0)
		return err_set(e, ERR_INVALID, 0, mixed, "tmpfs-*", wish->type);
	if ((mount->readonly_recursive_not || mount->readonly_recursive_force) && !mount->readonly)
		return err_set(e, ERR_INVALID, 0,
			"option 'bind-recursive=%s' requires 'readonly' to be specified in conjunction",
			wish->recursive);
	if (mount->readonly_recursive_force && mount->propagation &&
		strcmp(mount->propagation, "rprivate") != 0)
		return err_set(e, ERR_INVALID, 0,
			"option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be "
			"specified in "
			"conjunction");
	return 0;
}

static int finish_volume(struct wish *wish, struct err *e)
{
	struct container_mount *mount = &wish->mount;
	char shown[100];

	mount->type = CONTAINER_MOUNT_VOLUME;
	if (wish->driver && *wish->driver && strcmp(wish->driver, "local") != 0)
		return err_set(e, ERR_NOT_FOUND, 0,
			"there is no volume driver \"%s\": volumes here are of the driver \"local\"",
			err_sanitize(shown, sizeof shown, wish->driver));
	if (mount->subpath) {
		/* Of the sort that openat2 would refuse later. */
		const char *path = mount->subpath;
		for (const char *at = path; *at;) {
			size_t length = strcspn(at, "/");
			if (length == 2 && !strncmp(at, "..", 2))
				path = "/";
			at += length + (at[length] == '/');
		}
		if (!*path || *path == '/' || strlen(path) >= PATH_LIMIT)
			return err_set(e, ERR_INVALID, 0,
				"invalid value for volume-subpath: '%s': it must be a relative path within "
				"the "
				"volume",
				err_sanitize(shown, sizeof shown, mount->subpath));
	}
	if (!mount->source || !*mount->source) {
		mount->source = NULL;
		mount->anonymous = true;
		return 0;
	}
	mount->name = mount->source;
	mount->source = NULL;
	return volume_check_name(mount->name, e);
}

static int finish_bind(struct wish *wish, struct err *e)
{
	struct container_mount *mount = &wish->mount;
	char shown[200];

	mount->type = CONTAINER_MOUNT_BIND;
	if (!mount->source || !*mount->source)
		return err_set(e, ERR_INVALID, 0,
			"invalid mount config for type \"bind\": field Source must not be empty");
	if (*mount->source != '/' || strlen(mount->source) >= PATH_LIMIT)
		return err_set(e, ERR_INVALID, 0,
			"invalid mount config for type \"bind\": invalid mount path: '%s' mount path must be "
			"absolute",
			err_sanitize(shown, sizeof shown, mount->source));
	mount->source = clean_path(wish->arena, mount->source);
	return 0;
}

static int finish_tmpfs(struct wish *wish, struct err *e)
{
	struct container_mount *mount = &wish->mount;
	unsigned mode = wish->has_mode ? (unsigned)wish->mode : 01777;

	mount->type = CONTAINER_MOUNT_TMPFS;
	if (mount->source)
		return err_set(e, ERR_INVALID, 0,
			"invalid mount config for type \"tmpfs\": field Source must not be specified");
	mount->options = wish->has_size
				 ? arena_printf(wish->arena, "mode=%o,size=%lld", mode, (long long)wish->size)
				 : arena_printf(wish->arena, "mode=%o", mode);
	return 0;
}

static int parse_wish(struct wish *wish, struct err *e)
{
	char *rest = arena_strdup(wish->arena, wish->text);
	char shown[100];

	if (!*wish->text)
		return err_set(e, ERR_INVALID, 0, "value is empty");
	for (char *field; (field = next_field(&rest));)
		if (set_field(wish, field, e) < 0)
			return -1;
	/* As docker's client: the type's case does not matter. */
	char *type = arena_strdup(wish->arena, wish->type ? wish->type : "volume");
	for (char *p = type; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	wish->type = type;
	if (check_wish(wish, e) < 0 ||
		mount_spec_target(wish->arena, wish->target, wish->text, &wish->mount.target, e) < 0)
		return -1;
	wish->mount.detailed = true;
	if (!strcmp(type, "volume"))
		return finish_volume(wish, e);
	if (!strcmp(type, "bind"))
		return finish_bind(wish, e);
	if (!strcmp(type, "tmpfs"))
		return finish_tmpfs(wish, e);
	if (!strcmp(type, "image") || !strcmp(type, "npipe") || !strcmp(type, "cluster"))
		return err_set(e, ERR_UNSUPPORTED, 0,
			"mounts of type %s are not in this version (volume, bind and tmpfs are)", type);
	return err_set(e, ERR_INVALID, 0, "invalid mount type \"%s\": mount type unknown",
		err_sanitize(shown, sizeof shown, type));
}

int mount_spec_mount(struct arena *arena, const char *text, struct container_mount *mount, struct err *e)
{
	struct wish wish = {.arena = arena, .text = text};
	char shown[200];

	if (strlen(text) > WISH_LIMIT)
		return err_set(e, ERR_INVALID, 0, "the value of --mount is too long");
	if (parse_wish(&wish, e) < 0) {
		struct err why = *e;
		err_set(e, why.kind, 0, "invalid argument \"%s\" for \"--mount\" flag: %s",
			err_sanitize(shown, sizeof shown, text), why.what);
		return -1;
	}
	*mount = wish.mount;
	return 0;
}

/* ---- --tmpfs and --volumes-from ---- */

int mount_spec_tmpfs(struct arena *arena, const char *text, struct container_mount *mount, struct err *e)
{
	static const char *const data[] = {
		"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "huge", "mpol"};
	char *target = arena_strdup(arena, text), *options = strchr(target, ':'), shown[100];
	struct container_mount made = {.type = CONTAINER_MOUNT_TMPFS};
	auto_buf struct buf kept = {0};

	if (options)
		*options++ = '\0';
	if (mount_spec_target(arena, target, text, &made.target, e) < 0)
		return -1;
	for (char *item; options && (item = strsep(&options, ","));) {
		size_t name = strcspn(item, "=");
		bool known = false;
		for (size_t i = 0; item[name] && i < sizeof data / sizeof *data; i++)
			known |= strlen(data[i]) == name && !strncmp(item, data[i], name);
		if (known)
			buf_printf(&kept, "%s%s", kept.length ? "," : "", item);
		else if (!strcmp(item, "ro"))
			made.readonly = true;
		else if (!strcmp(item, "exec"))
			made.exec = true;
		else if (!strcmp(item, "suid"))
			made.suid = true;
		else if (!strcmp(item, "dev"))
			made.dev = true;
		else if (strcmp(item, "rw") && strcmp(item, "noexec") && strcmp(item, "nosuid") &&
			 strcmp(item, "nodev"))
			return err_set(e, ERR_INVALID, 0, "invalid tmpfs option \"%s\"",
				err_sanitize(shown, sizeof shown, item));
	}
	if (kept.length)
		made.options = arena_memdup(arena, kept.data, kept.length);
	*mount = made;
	return 0;
}

int mount_spec_from(struct arena *arena, const char *text, struct mount_spec_from *from, struct err *e)
{
	char *container = arena_strdup(arena, text), *mode = strchr(container, ':'), shown[100];
	struct container_mount parsed = {0};

	if (mode)
		*mode++ = '\0';
	if (!*container)
		return err_set(e, ERR_INVALID, 0, "invalid volumes-from specification: '%s'",
			err_sanitize(shown, sizeof shown, text));
	if (mode && (parse_mode(arena, mode, &parsed) & ~(unsigned)(MODE_ACCESS | MODE_LABEL) ||
			    !parse_mode(arena, mode, &parsed)))
		return err_set(
			e, ERR_INVALID, 0, "invalid mode: %s", err_sanitize(shown, sizeof shown, mode));
	*from = (struct mount_spec_from){.container = container, .readonly = parsed.readonly};
	return 0;
}
