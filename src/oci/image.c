/* image.c - reads index, manifest and config. */
#include "oci/image.h"

#include <stdio.h>
#include <string.h>

/*
 * One document being read. The accessors take null for a missing field; the first field
 * of a wrong type or value is put into e, and everything after is quiet.
 */
struct reader {
	struct arena *arena;
	const char *what;
	struct err *e;
	bool bad;
};

__attribute__((format(printf, 2, 3))) static void refuse(struct reader *r, const char *format, ...)
{
	if (r->bad)
		return;
	r->bad = true;
	va_list ap;
	va_start(ap, format);
	const char *reason = arena_vprintf(r->arena, format, ap);
	va_end(ap);
	char shown[400];
	err_set(r->e, ERR_INVALID, 0, "the %s is not valid: %s", r->what,
		err_sanitize(shown, sizeof shown, reason));
}

static const char *type_name(enum json_type type)
{
	switch (type) {
	case JSON_BOOL:
		return "a truth value";
	case JSON_INTEGER:
		return "an integer";
	case JSON_STRING:
		return "a string";
	case JSON_ARRAY:
		return "a list";
	default:
		return "an object";
	}
}

static const struct json *get(
	struct reader *r, const struct json *object, const char *key, enum json_type type)
{
	const struct json *member = json_get(object, key);
	if (!member || member->type == JSON_NULL)
		return NULL;
	if (member->type != type) {
		refuse(r, "%s is not %s", key, type_name(type));
		return NULL;
	}
	return member;
}

static const char *get_string(
	struct reader *r, const struct json *object, const char *key, const char *otherwise)
{
	const struct json *member = get(r, object, key, JSON_STRING);
	return member ? member->string : otherwise;
}

static int64_t get_integer(struct reader *r, const struct json *object, const char *key, int64_t otherwise)
{
	const struct json *member = get(r, object, key, JSON_INTEGER);
	return member ? member->integer : otherwise;
}

static bool get_bool(struct reader *r, const struct json *object, const char *key)
{
	const struct json *member = get(r, object, key, JSON_BOOL);
	return member && member->boolean;
}

static void list_begin(struct reader *r, struct strings *list, size_t count)
{
	list->items = arena_array(r->arena, count + 1, sizeof *list->items);
	list->room = count + 1;
	list->count = 0;
}

static void get_strings(struct reader *r, const struct json *object, const char *key, struct strings *out)
{
	const struct json *list = get(r, object, key, JSON_ARRAY);
	if (!list)
		return;
	list_begin(r, out, list->list.count);
	json_for_each (item, list) {
		if (item->type != JSON_STRING)
			refuse(r, "%s holds something that is not a string", key);
		else
			out->items[out->count++] = item->string;
	}
}

/* Command lines were once plain strings; docker still takes them. */
static void get_command(struct reader *r, const struct json *object, const char *key, struct strings *out)
{
	const struct json *member = json_get(object, key);
	if (!member || member->type != JSON_STRING) {
		get_strings(r, object, key, out);
		return;
	}
	list_begin(r, out, 1);
	out->items[out->count++] = member->string;
}

/* The names of a map to empty objects: ports, volumes. */
static void get_set(struct reader *r, const struct json *object, const char *key, struct strings *out)
{
	const struct json *map = get(r, object, key, JSON_OBJECT);
	if (!map)
		return;
	list_begin(r, out, map->list.count);
	json_for_each (member, map) {
		if (member->type != JSON_OBJECT && member->type != JSON_NULL)
			refuse(r, "%s holds something that is not an object", key);
		else
			out->items[out->count++] = member->key;
	}
}

static int64_t get_time(struct reader *r, const struct json *object, const char *key)
{
	const char *text = get_string(r, object, key, NULL);
	int64_t when = TIME_NONE;
	/* Documents exist that say "" or a year 10000; how old an image is may be unknown. */
	if (text && time_parse(text, &when) < 0)
		when = TIME_NONE;
	return when;
}

static void get_digest(struct reader *r, const struct json *object, const char *key, struct oci_digest *out)
{
	const char *text = get_string(r, object, key, NULL);
	struct err bad;
	if (!text)
		refuse(r, "a %s is missing", key);
	else if (oci_digest_parse(text, out, &bad) < 0)
		refuse(r, "%s", bad.what);
}

static const struct json *get_annotations(struct reader *r, const struct json *object)
{
	const struct json *map = get(r, object, "annotations", JSON_OBJECT);
	json_for_each (member, map)
		if (member->type != JSON_STRING)
			refuse(r, "annotations holds something that is not a string");
	return map;
}

static bool is_foreign(const char *media_type)
{
	return strstr(media_type, ".nondistributable.") || strstr(media_type, ".rootfs.foreign.");
}

enum oci_compression oci_layer_compression(const char *media_type)
{
	static const char *const bases[] = {
		OCI_TYPE_LAYER,
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
	};
	for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
		size_t length = strlen(bases[i]);
		if (strncmp(media_type, bases[i], length) != 0)
			continue;
		const char *suffix = media_type + length;
		if (!*suffix)
			return OCI_COMPRESSION_NONE;
		/* Some write "+" behind docker's types and "." behind OCI's. */
		if (*suffix == '+' || *suffix == '.')
			suffix++;
		if (!strcmp(suffix, "gzip"))
			return OCI_COMPRESSION_GZIP;
		if (!strcmp(suffix, "zstd"))
			return OCI_COMPRESSION_ZSTD;
	}
	return OCI_COMPRESSION_UNKNOWN;
}

static void get_descriptor(
	struct reader *r, const struct json *object, int64_t limit, struct oci_descriptor *out)
{
	out->media_type = get_string(r, object, "mediaType", "");
	get_digest(r, object, "digest", &out->digest);
	out->size = get_integer(r, object, "size", -1);
	if (out->size < 0)
		refuse(r, "a size is missing or negative");
	else if (out->size > limit)
		refuse(r, "a size of %lld bytes is more than %lld", (long long)out->size, (long long)limit);
	out->annotations = get_annotations(r, object);
	out->foreign = is_foreign(out->media_type);
	const struct json *platform = get(r, object, "platform", JSON_OBJECT);
	if (platform) {
		out->has_platform = true;
		oci_platform_from(get_string(r, platform, "os", NULL),
			get_string(r, platform, "architecture", NULL),
			get_string(r, platform, "variant", NULL), &out->platform);
	}
}

static void read_index(struct reader *r, const struct json *root, const char *type, struct oci_index *out)
{
	const struct json *list = get(r, root, "manifests", JSON_ARRAY);

	out->media_type = type;
	if (!list) {
		refuse(r, "it has no manifests");
		return;
	}
	if (list->list.count > OCI_MANIFESTS_MAX) {
		refuse(r, "it lists %zu manifests, more than %d", list->list.count, OCI_MANIFESTS_MAX);
		return;
	}
	out->manifests = arena_array(r->arena, list->list.count + 1, sizeof *out->manifests);
	json_for_each (item, list) {
		if (item->type != JSON_OBJECT)
			refuse(r, "manifests holds something that is not an object");
		else
			get_descriptor(r, item, OCI_MANIFEST_LIMIT, &out->manifests[out->count++]);
	}
}

static bool is_config_type(const char *type)
{
	/* The last four come from early registries. */
	static const char *const types[] = {OCI_TYPE_CONFIG, DOCKER_TYPE_CONFIG, "application/octet-stream",
		"application/json", "text/html", ""};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

static void read_manifest(
	struct reader *r, const struct json *root, const char *type, struct oci_manifest *out)
{
	const struct json *config = get(r, root, "config", JSON_OBJECT);
	const struct json *list = get(r, root, "layers", JSON_ARRAY);

	out->media_type = type;
	out->annotations = get_annotations(r, root);
	if (!config || !list) {
		refuse(r, "it has no %s", config ? "layers" : "config");
		return;
	}
	if (list->list.count > OCI_LAYERS_MAX) {
		refuse(r, "it has %zu layers, more than %d", list->list.count, OCI_LAYERS_MAX);
		return;
	}
	get_descriptor(r, config, OCI_CONFIG_LIMIT, &out->config);
	if (!r->bad && !is_config_type(out->config.media_type)) {
		refuse(r, "it is not a container image but %s", out->config.media_type);
		return;
	}
	out->layers = arena_array(r->arena, list->list.count + 1, sizeof *out->layers);
	json_for_each (item, list) {
		if (item->type != JSON_OBJECT) {
			refuse(r, "layers holds something that is not an object");
			continue;
		}
		struct oci_descriptor *layer = &out->layers[out->count++];
		get_descriptor(r, item, OCI_BLOB_LIMIT, layer);
		if (!r->bad && oci_layer_compression(layer->media_type) == OCI_COMPRESSION_UNKNOWN)
			refuse(r, "a layer is of the unknown type %s", layer->media_type);
	}
}

/* The type without its parameters, or NULL for one that says nothing. */
static const char *plain_type(struct arena *arena, const char *type)
{
	if (!type)
		return NULL;
	size_t length = strcspn(type, "; \t");
	static const char *const vague[] = {"", "application/json", "application/octet-stream", "text/plain"};
	type = arena_memdup(arena, type, length);
	for (size_t i = 0; i < sizeof vague / sizeof *vague; i++)
		if (!strcmp(type, vague[i]))
			return NULL;
	return type;
}

static bool has(const struct json *object, const char *key)
{
	const struct json *member = json_get(object, key);
	return member && member->type != JSON_NULL;
}

static int schema1(struct err *e)
{
	err_set(e, ERR_UNSUPPORTED, 0,
		"the image has Docker's old manifest format (schema 1), which is not supported");
	return err_hint(e, "build or push the image again with a current tool");
}

int oci_document_parse(struct arena *arena, const char *text, size_t length, const char *expected_type,
	struct oci_document *out, struct err *e)
{
	struct reader r = {.arena = arena, .what = "manifest", .e = e};
	struct oci_document parsed = {0};

	if (length > OCI_MANIFEST_LIMIT)
		return err_set(e, ERR_INVALID, 0, "the manifest is larger than %d bytes", OCI_MANIFEST_LIMIT);
	const struct json *root = json_parse(arena, text, length, "the manifest", e);
	if (!root)
		return -1;
	if (root->type != JSON_OBJECT)
		return err_set(e, ERR_INVALID, 0, "the manifest is not valid: it is no object");

	const char *expected = plain_type(arena, expected_type);
	const char *type = get_string(&r, root, "mediaType", NULL);
	int64_t version = get_integer(&r, root, "schemaVersion", 0);
	if (r.bad)
		return -1;
	if (version == 1 || (expected && strstr(expected, "distribution.manifest.v1+")) ||
		(type && strstr(type, "distribution.manifest.v1+")))
		return schema1(e);
	if (version != 2)
		refuse(&r, "its schemaVersion is not 2");

	/* Two readers must not see two kinds of document in it (CVE-2021-41190). */
	bool index = has(root, "manifests");
	if (index && (has(root, "layers") || has(root, "config") || has(root, "fsLayers")))
		refuse(&r, "it is an index and a manifest at once");
	if (type && expected && strcmp(type, expected) != 0)
		refuse(&r, "it says that it is %s, and was announced as %s", type, expected);
	if (!type)
		type = expected ? expected : index ? OCI_TYPE_INDEX : OCI_TYPE_MANIFEST;
	if (r.bad)
		return -1;

	if (!strcmp(type, OCI_TYPE_INDEX) || !strcmp(type, DOCKER_TYPE_LIST)) {
		parsed.kind = OCI_DOCUMENT_INDEX;
		r.what = "image index";
		read_index(&r, root, type, &parsed.index);
	} else if (!strcmp(type, OCI_TYPE_MANIFEST) || !strcmp(type, DOCKER_TYPE_MANIFEST)) {
		parsed.kind = OCI_DOCUMENT_MANIFEST;
		read_manifest(&r, root, type, &parsed.manifest);
	} else {
		refuse(&r, "its type is %s, which is no image", type);
	}
	if (r.bad)
		return -1;
	*out = parsed;
	return 0;
}

int oci_manifest_parse(struct arena *arena, const char *text, size_t length, const char *expected_type,
	struct oci_manifest *out, struct err *e)
{
	struct oci_document document;

	if (oci_document_parse(arena, text, length, expected_type, &document, e) < 0)
		return -1;
	if (document.kind != OCI_DOCUMENT_MANIFEST)
		return err_set(e, ERR_INVALID, 0, "the manifest is not valid: it is an index");
	*out = document.manifest;
	return 0;
}

const struct oci_descriptor *oci_index_choose(
	const struct oci_index *index, const struct oci_platform *want, struct err *e)
{
	const struct oci_descriptor *best = NULL;
	int best_rank = -1;

	for (size_t i = 0; i < index->count; i++) {
		const struct oci_descriptor *entry = &index->manifests[i];
		if (!entry->has_platform)
			continue;
		int rank = oci_platform_rank(want, &entry->platform);
		if (rank >= 0 && (!best || rank < best_rank)) {
			best = entry;
			best_rank = rank;
		}
	}
	for (size_t i = 0; !best && i < index->count; i++)
		if (!index->manifests[i].has_platform)
			best = &index->manifests[i];
	if (!best) {
		char text[OCI_PLATFORM_TEXT];
		err_set(e, ERR_NOT_FOUND, 0, "no matching manifest for %s in the manifest list entries",
			oci_platform_format(text, want));
		if (index->count && index->manifests[0].has_platform)
			err_hint(e, "the image exists for %s: choose with --platform",
				oci_platform_format(text, &index->manifests[0].platform));
	}
	return best;
}

static void read_healthcheck(struct reader *r, const struct json *object, struct oci_healthcheck *out)
{
	get_strings(r, object, "Test", &out->test);
	out->interval = get_integer(r, object, "Interval", 0);
	out->timeout = get_integer(r, object, "Timeout", 0);
	out->start_period = get_integer(r, object, "StartPeriod", 0);
	out->start_interval = get_integer(r, object, "StartInterval", 0);
	out->retries = get_integer(r, object, "Retries", 0);
	if (out->interval < 0 || out->timeout < 0 || out->start_period < 0 || out->start_interval < 0 ||
		out->retries < 0)
		refuse(r, "its health check has a negative number");
}

static void read_runtime(struct reader *r, const struct json *c, struct oci_config *out)
{
	struct strings env = {0};

	out->user = get_string(r, c, "User", "");
	out->working_dir = get_string(r, c, "WorkingDir", "");
	out->stop_signal = get_string(r, c, "StopSignal", "");
	out->hostname = get_string(r, c, "Hostname", "");
	get_strings(r, c, "Env", &env);
	get_command(r, c, "Entrypoint", &out->entrypoint);
	get_command(r, c, "Cmd", &out->cmd);
	get_command(r, c, "Shell", &out->shell);
	get_strings(r, c, "OnBuild", &out->on_build);
	get_set(r, c, "ExposedPorts", &out->exposed_ports);
	get_set(r, c, "Volumes", &out->volumes);
	out->args_escaped = get_bool(r, c, "ArgsEscaped");
	const struct json *timeout = get(r, c, "StopTimeout", JSON_INTEGER);
	if (timeout) {
		out->has_stop_timeout = true;
		out->stop_timeout = timeout->integer;
	}
	if (env.items) {
		list_begin(r, &out->env, env.count);
		for (size_t i = 0; i < env.count; i++)
			if (strchr(env.items[i], '=') && env.items[i][0] != '=')
				out->env.items[out->env.count++] = env.items[i];
	}
	const struct json *labels = get(r, c, "Labels", JSON_OBJECT);
	if (labels) {
		out->labels = arena_array(r->arena, labels->list.count + 1, sizeof *out->labels);
		json_for_each (label, labels) {
			if (label->type != JSON_STRING)
				refuse(r, "a label is not a string");
			else
				out->labels[out->label_count++] =
					(struct oci_pair){label->key, label->string};
		}
	}
	const struct json *healthcheck = get(r, c, "Healthcheck", JSON_OBJECT);
	if (healthcheck) {
		out->has_healthcheck = true;
		read_healthcheck(r, healthcheck, &out->healthcheck);
	}
}

static void read_rootfs(struct reader *r, const struct json *root, struct oci_config *out)
{
	const struct json *rootfs = get(r, root, "rootfs", JSON_OBJECT);
	const struct json *list = get(r, rootfs, "diff_ids", JSON_ARRAY);

	if (!rootfs) {
		refuse(r, "it has no rootfs");
		return;
	}
	if (strcmp(get_string(r, rootfs, "type", ""), "layers") != 0)
		refuse(r, "the type of its rootfs is not \"layers\"");
	/* Docker writes null for an image without layers. */
	size_t count = list ? list->list.count : 0;
	if (count > OCI_LAYERS_MAX) {
		refuse(r, "it has %zu layers, more than %d", count, OCI_LAYERS_MAX);
		return;
	}
	out->diff_ids = arena_array(r->arena, count + 1, sizeof *out->diff_ids);
	json_for_each (item, list) {
		struct err bad;
		if (item->type != JSON_STRING)
			refuse(r, "a diff id is not a string");
		else if (oci_digest_parse(item->string, &out->diff_ids[out->layer_count++], &bad) < 0)
			refuse(r, "%s", bad.what);
	}
}

static void read_history(struct reader *r, const struct json *root, struct oci_config *out)
{
	const struct json *list = get(r, root, "history", JSON_ARRAY);
	size_t filled = 0;

	if (!list)
		return;
	out->history = arena_array(r->arena, list->list.count + 1, sizeof *out->history);
	json_for_each (item, list) {
		struct oci_history *h = &out->history[out->history_count++];
		if (item->type != JSON_OBJECT)
			refuse(r, "history holds something that is not an object");
		h->created = get_time(r, item, "created");
		h->created_by = get_string(r, item, "created_by", NULL);
		h->author = get_string(r, item, "author", NULL);
		h->comment = get_string(r, item, "comment", NULL);
		h->empty_layer = get_bool(r, item, "empty_layer");
		filled += !h->empty_layer;
	}
	if (filled > out->layer_count)
		refuse(r, "its history tells of %zu layers, and it has %zu", filled, out->layer_count);
}

int oci_config_parse(
	struct arena *arena, const char *text, size_t length, struct oci_config *out, struct err *e)
{
	struct reader r = {.arena = arena, .what = "image config", .e = e};
	struct oci_config parsed = {0};

	if (length > OCI_CONFIG_LIMIT)
		return err_set(
			e, ERR_INVALID, 0, "the image config is larger than %d bytes", OCI_CONFIG_LIMIT);
	const struct json *root = json_parse(arena, text, length, "the image config", e);
	if (!root)
		return -1;
	if (root->type != JSON_OBJECT)
		return err_set(e, ERR_INVALID, 0, "the image config is not valid: it is no object");
	parsed.document = root;
	oci_platform_from(get_string(&r, root, "os", NULL), get_string(&r, root, "architecture", NULL),
		get_string(&r, root, "variant", NULL), &parsed.platform);
	parsed.created = get_time(&r, root, "created");
	parsed.author = get_string(&r, root, "author", NULL);
	read_runtime(&r, get(&r, root, "config", JSON_OBJECT), &parsed);
	read_rootfs(&r, root, &parsed);
	read_history(&r, root, &parsed);
	if (r.bad)
		return -1;
	*out = parsed;
	return 0;
}

int oci_manifest_check(const struct oci_manifest *manifest, const struct oci_config *config, struct err *e)
{
	if (manifest->count == config->layer_count)
		return 0;
	return err_set(e, ERR_INVALID, 0,
		"the image is not valid: its manifest has %zu layers, its config %zu", manifest->count,
		config->layer_count);
}

struct oci_digest *oci_chain_ids(struct arena *arena, const struct oci_config *config)
{
	struct oci_digest *chain = arena_array(arena, config->layer_count + 1, sizeof *chain);
	for (size_t i = 0; i < config->layer_count; i++)
		oci_chain_id(i ? &chain[i - 1] : NULL, &config->diff_ids[i], &chain[i]);
	return chain;
}
