/*
 * image_write.c - writes config and manifest.
 *
 * An image's id is the digest of its config, so the bytes matter: no white space, members
 * always in the same order, missing ones left out.
 */
#include "oci/image.h"

static void put_text(struct json_writer *w, const char *key, const char *text)
{
	if (text && *text)
		json_put_string(w, key, text);
}

static void put_list(struct json_writer *w, const char *key, const struct strings *list)
{
	if (list->items)
		json_put_strings(w, key, list->items);
}

static void put_set(struct json_writer *w, const char *key, const struct strings *list)
{
	if (!list->count)
		return;
	json_begin_object(w, key);
	for (size_t i = 0; i < list->count; i++) {
		json_begin_object(w, list->items[i]);
		json_end_object(w);
	}
	json_end_object(w);
}

static void put_time(struct json_writer *w, const char *key, int64_t when)
{
	char text[TIME_TEXT];
	if (when != TIME_NONE)
		json_put_string(w, key, time_format(text, when));
}

static void put_number(struct json_writer *w, const char *key, int64_t value)
{
	if (value)
		json_put_integer(w, key, value);
}

static void put_runtime(struct json_writer *w, const struct oci_config *c)
{
	json_begin_object(w, "config");
	put_text(w, "Hostname", c->hostname);
	put_text(w, "User", c->user);
	put_set(w, "ExposedPorts", &c->exposed_ports);
	put_list(w, "Env", &c->env);
	put_list(w, "Entrypoint", &c->entrypoint);
	put_list(w, "Cmd", &c->cmd);
	put_set(w, "Volumes", &c->volumes);
	put_text(w, "WorkingDir", c->working_dir);
	if (c->label_count) {
		json_begin_object(w, "Labels");
		for (size_t i = 0; i < c->label_count; i++)
			json_put_string(w, c->labels[i].key, c->labels[i].value);
		json_end_object(w);
	}
	put_text(w, "StopSignal", c->stop_signal);
	if (c->has_stop_timeout)
		json_put_integer(w, "StopTimeout", c->stop_timeout);
	if (c->args_escaped)
		json_put_bool(w, "ArgsEscaped", true);
	if (c->has_healthcheck) {
		json_begin_object(w, "Healthcheck");
		put_list(w, "Test", &c->healthcheck.test);
		put_number(w, "Interval", c->healthcheck.interval);
		put_number(w, "Timeout", c->healthcheck.timeout);
		put_number(w, "StartPeriod", c->healthcheck.start_period);
		put_number(w, "StartInterval", c->healthcheck.start_interval);
		put_number(w, "Retries", c->healthcheck.retries);
		json_end_object(w);
	}
	put_list(w, "OnBuild", &c->on_build);
	put_list(w, "Shell", &c->shell);
	json_end_object(w);
}

void oci_config_write(struct buf *out, const struct oci_config *config)
{
	struct json_writer w = {.out = out};

	json_begin_object(&w, NULL);
	json_put_string(&w, "architecture", config->platform.architecture);
	put_text(&w, "author", config->author);
	if (config->below.text[0]) {
		json_begin_object(&w, "brig.below");
		json_put_string(&w, "config", config->below.text);
		if (config->below_stacked)
			json_put_bool(&w, "stacked", true);
		json_end_object(&w);
	}
	put_runtime(&w, config);
	put_time(&w, "created", config->created);
	if (config->history_count) {
		json_begin_array(&w, "history");
		for (size_t i = 0; i < config->history_count; i++) {
			const struct oci_history *h = &config->history[i];
			json_begin_object(&w, NULL);
			put_time(&w, "created", h->created);
			put_text(&w, "created_by", h->created_by);
			put_text(&w, "author", h->author);
			put_text(&w, "comment", h->comment);
			if (h->empty_layer)
				json_put_bool(&w, "empty_layer", true);
			json_end_object(&w);
		}
		json_end_array(&w);
	}
	json_put_string(&w, "os", config->platform.os);
	json_begin_object(&w, "rootfs");
	json_put_string(&w, "type", "layers");
	json_begin_array(&w, "diff_ids");
	for (size_t i = 0; i < config->layer_count; i++)
		json_put_string(&w, NULL, config->diff_ids[i].text);
	json_end_array(&w);
	json_end_object(&w);
	put_text(&w, "variant", config->platform.variant);
	json_end_object(&w);
}

static void put_descriptor(struct json_writer *w, const char *key, const struct oci_descriptor *d)
{
	json_begin_object(w, key);
	json_put_string(w, "mediaType", d->media_type);
	json_put_string(w, "digest", d->digest.text);
	json_put_integer(w, "size", d->size);
	if (d->annotations)
		json_put_tree(w, "annotations", d->annotations);
	json_end_object(w);
}

void oci_manifest_write(struct buf *out, const struct oci_manifest *manifest)
{
	struct json_writer w = {.out = out};

	json_begin_object(&w, NULL);
	json_put_integer(&w, "schemaVersion", 2);
	json_put_string(&w, "mediaType", manifest->media_type);
	put_descriptor(&w, "config", &manifest->config);
	json_begin_array(&w, "layers");
	for (size_t i = 0; i < manifest->count; i++)
		put_descriptor(&w, NULL, &manifest->layers[i]);
	json_end_array(&w);
	if (manifest->annotations)
		json_put_tree(&w, "annotations", manifest->annotations);
	json_end_object(&w);
}
