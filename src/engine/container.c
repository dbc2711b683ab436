/* container.c - config.json: one table of fields, read and written by the same rows. */
#include "engine/container.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"

enum { CONFIG_LIMIT = 16 * 1024 * 1024 };

enum field_type { FIELD_STRING, FIELD_STRINGS, FIELD_INTEGER, FIELD_BOOL };

struct field {
	const char *key;
	enum field_type type;
	size_t offset;
};

#define ROW(member, kind)                                                                                    \
	{                                                                                                    \
#member, kind, offsetof(struct container_config, member)                                     \
	}
#define LIMIT(member, kind)                                                                                  \
	{                                                                                                    \
		"limits_" #member, kind, offsetof(struct container_config, limits.member)                    \
	}
#define MOUNT(member, kind)                                                                                  \
	{                                                                                                    \
#member, kind, offsetof(struct container_mount, member)                                      \
	}

static const struct field config_fields[] = {
	ROW(id, FIELD_STRING),
	ROW(name, FIELD_STRING),
	ROW(created, FIELD_INTEGER),
	ROW(image, FIELD_STRING),
	ROW(image_id, FIELD_STRING),
	ROW(driver, FIELD_STRING),
	ROW(layers, FIELD_STRINGS),
	ROW(layers_hidden, FIELD_INTEGER),
	ROW(committed, FIELD_STRING),
	ROW(entrypoint, FIELD_STRINGS),
	ROW(command, FIELD_STRINGS),
	ROW(env, FIELD_STRINGS),
	ROW(labels, FIELD_STRINGS),
	ROW(user, FIELD_STRING),
	ROW(working_dir, FIELD_STRING),
	ROW(hostname, FIELD_STRING),
	ROW(domainname, FIELD_STRING),
	ROW(stop_signal, FIELD_STRING),
	ROW(stop_timeout, FIELD_INTEGER),
	ROW(has_stop_timeout, FIELD_BOOL),
	ROW(network, FIELD_STRING),
	ROW(volumes, FIELD_STRINGS),
	ROW(volumes_from, FIELD_STRINGS),
	ROW(interface, FIELD_STRING),
	ROW(host_cgroups, FIELD_BOOL),
	LIMIT(memory, FIELD_INTEGER),
	LIMIT(memory_swap, FIELD_INTEGER),
	LIMIT(memory_reservation, FIELD_INTEGER),
	LIMIT(nano_cpus, FIELD_INTEGER),
	LIMIT(cpu_shares, FIELD_INTEGER),
	LIMIT(cpu_quota, FIELD_INTEGER),
	LIMIT(cpu_period, FIELD_INTEGER),
	LIMIT(cpuset_cpus, FIELD_STRING),
	LIMIT(cpuset_mems, FIELD_STRING),
	LIMIT(pids, FIELD_INTEGER),
	ROW(cap_add, FIELD_STRINGS),
	ROW(cap_drop, FIELD_STRINGS),
	ROW(security_opt, FIELD_STRINGS),
	ROW(seccomp, FIELD_STRING),
	ROW(group_add, FIELD_STRINGS),
	ROW(sysctls, FIELD_STRINGS),
	ROW(publish, FIELD_STRINGS),
	ROW(expose, FIELD_STRINGS),
	ROW(no_new_privileges, FIELD_BOOL),
	ROW(unconfined_paths, FIELD_BOOL),
	ROW(privileged, FIELD_BOOL),
	ROW(readonly_root, FIELD_BOOL),
	ROW(init, FIELD_BOOL),
	ROW(terminal, FIELD_BOOL),
	ROW(open_stdin, FIELD_BOOL),
	ROW(stdin_once, FIELD_BOOL),
	ROW(one_output, FIELD_BOOL),
	ROW(attach_stdin, FIELD_BOOL),
	ROW(attach_stdout, FIELD_BOOL),
	ROW(attach_stderr, FIELD_BOOL),
	ROW(publish_all, FIELD_BOOL),
	ROW(auto_remove, FIELD_BOOL),
	ROW(shm_size, FIELD_INTEGER),
	ROW(log_max_size, FIELD_INTEGER),
	ROW(log_max_files, FIELD_INTEGER),
	{0},
};

static const struct field mount_fields[] = {
	MOUNT(type, FIELD_INTEGER),
	MOUNT(source, FIELD_STRING),
	MOUNT(target, FIELD_STRING),
	MOUNT(options, FIELD_STRING),
	MOUNT(propagation, FIELD_STRING),
	MOUNT(readonly, FIELD_BOOL),
	MOUNT(not_recursive, FIELD_BOOL),
	MOUNT(readonly_recursive_not, FIELD_BOOL),
	MOUNT(readonly_recursive_force, FIELD_BOOL),
	MOUNT(exec, FIELD_BOOL),
	MOUNT(suid, FIELD_BOOL),
	MOUNT(dev, FIELD_BOOL),
	MOUNT(name, FIELD_STRING),
	MOUNT(subpath, FIELD_STRING),
	MOUNT(labels, FIELD_STRINGS),
	MOUNT(volume_options, FIELD_STRINGS),
	MOUNT(anonymous, FIELD_BOOL),
	MOUNT(nocopy, FIELD_BOOL),
	MOUNT(borrowed, FIELD_BOOL),
	MOUNT(create_source, FIELD_BOOL),
	MOUNT(mode, FIELD_STRING),
	MOUNT(bind, FIELD_STRING),
	MOUNT(detailed, FIELD_BOOL),
	{0},
};

/* Values at their default are left out: the document of a plain run stays small. */
static void write_fields(struct json_writer *w, const struct field *fields, const void *from)
{
	for (const struct field *field = fields; field->key; field++) {
		const char *at = (const char *)from + field->offset;
		switch (field->type) {
		case FIELD_STRING: {
			const char *text = *(const char *const *)at;
			if (text)
				json_put_string(w, field->key, text);
			break;
		}
		case FIELD_STRINGS: {
			const struct strings *list = (const struct strings *)at;
			if (list->count)
				json_put_strings(w, field->key, list->items);
			break;
		}
		case FIELD_INTEGER: {
			/* The one enum among them is as wide as an int. */
			int64_t value = fields == mount_fields ? *(const int *)at : *(const int64_t *)at;
			if (value)
				json_put_integer(w, field->key, value);
			break;
		}
		case FIELD_BOOL:
			if (*(const bool *)at)
				json_put_bool(w, field->key, true);
			break;
		}
	}
}

static void read_fields(
	struct arena *arena, const struct json *object, const struct field *fields, void *into)
{
	for (const struct field *field = fields; field->key; field++) {
		char *at = (char *)into + field->offset;
		switch (field->type) {
		case FIELD_STRING:
			*(const char **)at = json_get_string(object, field->key);
			break;
		case FIELD_STRINGS:
			json_for_each (item, json_get_array(object, field->key))
				if (item->type == JSON_STRING)
					strings_add(arena, (struct strings *)at, item->string);
			break;
		case FIELD_INTEGER:
			if (fields == mount_fields)
				*(int *)at = (int)json_get_integer(object, field->key, 0);
			else
				*(int64_t *)at = json_get_integer(object, field->key, 0);
			break;
		case FIELD_BOOL:
			*(bool *)at = json_get_bool(object, field->key, false);
			break;
		}
	}
}

void container_config_write(const struct container_config *config, struct buf *out)
{
	struct json_writer w = {.out = out};

	json_begin_object(&w, NULL);
	json_put_integer(&w, "version", 1);
	write_fields(&w, config_fields, config);
	if (config->mounts_count) {
		json_begin_array(&w, "mounts");
		for (size_t i = 0; i < config->mounts_count; i++) {
			json_begin_object(&w, NULL);
			write_fields(&w, mount_fields, &config->mounts[i]);
			json_end_object(&w);
		}
		json_end_array(&w);
	}
	json_end_object(&w);
}

int container_config_read(
	struct arena *arena, const char *text, size_t length, struct container_config *config, struct err *e)
{
	struct json *root = json_parse(arena, text, length, "the container's config.json", e);
	if (!root) {
		e->kind = ERR_CORRUPT;
		return -1;
	}
	*config = (struct container_config){0};
	if (json_get_integer(root, "version", 0) != 1)
		return err_set(
			e, ERR_CORRUPT, 0, "the container's config.json is damaged or of a newer version");
	read_fields(arena, root, config_fields, config);
	if (config->layers_hidden < 0)
		config->layers_hidden = 0;
	const struct json *mounts = json_get_array(root, "mounts");
	if (mounts) {
		config->mounts = arena_array(arena, mounts->list.count, sizeof *config->mounts);
		json_for_each (item, mounts) {
			struct container_mount *mount = &config->mounts[config->mounts_count];
			read_fields(arena, item, mount_fields, mount);
			bool whole = mount->type == CONTAINER_MOUNT_VOLUME ? mount->name != NULL
				     : mount->type == CONTAINER_MOUNT_BIND ? mount->source != NULL
									   : true;
			if (mount->target && whole)
				config->mounts_count++;
			else
				return err_set(e, ERR_CORRUPT, 0,
					"the container's config.json has a mount that says nothing");
		}
	}
	if (!config->id || strlen(config->id) != 64 || !config->image_id || !config->layers.count)
		return err_set(
			e, ERR_CORRUPT, 0, "the container's config.json lacks its id, image or layers");
	return 0;
}

int container_config_load(struct arena *arena, int dir, struct container_config *config, struct err *e)
{
	auto_buf struct buf text = {0};
	int rc = fd_read_file(dir, "config.json", CONFIG_LIMIT, &text);

	if (rc < 0) {
		err_errno(e, rc, "cannot read the container's config.json");
		e->kind = ERR_CORRUPT;
		return err_hint(e, "remove the container with brig rm -f");
	}
	if (container_config_read(arena, text.data ? text.data : "", text.length, config, e) < 0)
		return err_hint(e, "remove the container with brig rm -f");
	return 0;
}

int container_config_save(int dir, const struct container_config *config, bool durable, struct err *e)
{
	auto_buf struct buf text = {0};

	container_config_write(config, &text);
	int rc = fd_replace(dir, "config.json", text.data, text.length, 0600, durable);
	return rc < 0 ? err_errno(e, rc, "cannot write the container's config.json") : 0;
}

struct container_mount *container_add_mount(struct arena *arena, struct container_config *config)
{
	/* Grown by copying: there are a handful of them. */
	struct container_mount *mounts = arena_array(arena, config->mounts_count + 1, sizeof *mounts);
	if (config->mounts_count)
		memcpy(mounts, config->mounts, config->mounts_count * sizeof *mounts);
	config->mounts = mounts;
	return &mounts[config->mounts_count++];
}

struct container_mount *container_find_mount(const struct container_config *config, const char *target)
{
	for (size_t i = 0; i < config->mounts_count; i++)
		if (!strcmp(config->mounts[i].target, target))
			return &config->mounts[i];
	return NULL;
}

struct strings container_args(struct arena *arena, const struct container_config *config)
{
	struct strings args = {0};
	for (size_t i = 0; i < config->entrypoint.count; i++)
		strings_add(arena, &args, config->entrypoint.items[i]);
	for (size_t i = 0; i < config->command.count; i++)
		strings_add(arena, &args, config->command.items[i]);
	return args;
}

const char *container_command(struct arena *arena, const struct strings *words)
{
	auto_buf struct buf line = {0};

	for (size_t i = 0; i < words->count; i++) {
		const char *quote = i && strchr(words->items[i], ' ') ? "'" : "";
		buf_printf(&line, "%s%s%s%s", i ? " " : "", quote, words->items[i], quote);
	}
	return arena_memdup(arena, line.data ? line.data : "", line.length);
}
