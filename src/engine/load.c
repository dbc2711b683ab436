/* load.c - images from an archive: see load.h. */
#include "engine/load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/archive.h"
#include "engine/image.h"
#include "engine/load_layers.h"
#include "engine/load_plan.h"
#include "registry/client.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/image.h"
#include "store/layer.h"

enum { STAGED_MAX = 64 /* documents that wait for the layers' sync; others are synced alone */ };

struct document {
	const struct buf *bytes;
	const struct oci_digest *digest;
	struct blob_stage stage;
};

struct load {
	struct engine *engine;
	struct archive archive;
	struct load_plan plan;
	struct net_client client;
	int signals;
	struct document *documents;
	size_t document_count, staged;
};

/* ---- manifests and configs ---- */

static void list_documents(struct load *l)
{
	l->documents = arena_array(l->engine->arena, 2 * l->plan.count, sizeof *l->documents);
	for (size_t i = 0; i < l->plan.count; i++) {
		const struct load_image *image = &l->plan.images[i];
		l->documents[l->document_count++] =
			(struct document){.bytes = &image->config_bytes, .digest = &image->id};
		if (image->manifest.text[0])
			l->documents[l->document_count++] = (struct document){
				.bytes = &image->manifest_bytes, .digest = &image->manifest};
	}
}

/* Writes them into staging, so that the layers' sync takes them too. */
static int stage_documents(struct load *l, struct err *e)
{
	while (l->staged < l->document_count && l->staged < STAGED_MAX) {
		struct document *d = &l->documents[l->staged];
		if (blob_stage(&l->engine->store, &d->stage, e) < 0)
			return -1;
		l->staged++;
		int rc = fd_write_full(d->stage.fd, d->bytes->data, d->bytes->length);
		if (rc < 0)
			return err_errno(e, rc, "cannot write into the store");
	}
	return 0;
}

static int publish_documents(struct load *l, bool synced, struct err *e)
{
	struct oci_digest written;

	for (size_t i = 0; i < l->document_count; i++) {
		struct document *d = &l->documents[i];
		int rc = i < l->staged ? blob_publish(&l->engine->store, &d->stage, d->digest, synced, e)
				       : blob_write(&l->engine->store, d->bytes->data, d->bytes->length,
						 &written, e);
		if (rc < 0)
			return -1;
	}
	int blobs = store_folder(&l->engine->store, STORE_BLOBS, e);
	int rc = blobs < 0 ? blobs : store_sync_folder(blobs);
	return rc < 0 && blobs >= 0 ? err_errno(e, rc, "cannot sync the store's blobs") : rc;
}

/* ---- records ---- */

static int describe_layers(struct load *l, const struct load_image *from, struct image *image, struct err *e)
{
	struct store *store = &l->engine->store;

	image->layers = arena_array(l->engine->arena, from->layer_count + 1, sizeof *image->layers);
	image->layer_count = from->layer_count;
	for (size_t i = 0; i < from->layer_count; i++) {
		const struct load_source *source = &from->layers[i];
		struct layer layer;
		if (layer_read(store, oci_digest_hex(&source->chain), &layer, e) < 0)
			return -1;
		image->layers[i] = (struct image_layer){
			.diff_id = source->diff, .chain_id = source->chain, .size = layer.size};
		if (source->blob.text[0] && blob_has(store, &source->blob, NULL)) {
			image->layers[i].blob = source->blob;
			image->layers[i].blob_size = source->blob_size;
		}
		image->size += layer.size;
	}
	return 0;
}

/* What the store has kept of the image that this archive lacks stays: a manifest and the blobs
 * that it names, of a pull or of an OCI layout. */
static void keep_manifest(struct load *l, struct image *image)
{
	struct image there;
	struct err ignored;

	if (image->manifest.text[0] ||
		image_find(&l->engine->store, l->engine->arena, image->id.text, &there, &ignored) < 0 ||
		there.layer_count != image->layer_count)
		return;
	image->manifest = there.manifest;
	for (size_t i = 0; i < image->layer_count; i++) {
		image->layers[i].blob = there.layers[i].blob;
		image->layers[i].blob_size = there.layers[i].blob_size;
	}
}

/* The image that has the name now. */
static void find_holder(struct load *l, const char *name, struct oci_digest *out)
{
	auto_arena struct arena arena = {0};
	struct image image;
	struct err ignored;

	if (image_find(&l->engine->store, &arena, name, &image, &ignored) == 0)
		*out = image.id;
}

static int record_image(
	struct load *l, const struct load_image *from, struct load_result *result, struct err *e)
{
	struct arena *arena = l->engine->arena;
	struct image image = {
		.id = from->id,
		.manifest = from->manifest,
		.created = from->created,
		.tagged = TIME_NONE,
		.platform = from->platform,
	};
	struct image_names_given given = {
		.references = from->names, .count = from->name_count, .synced = true};
	size_t first = result->count;

	if (describe_layers(l, from, &image, e) < 0)
		return -1;
	keep_manifest(l, &image);
	for (size_t i = 0; i < from->name_count; i++) {
		struct load_name *name = &result->names[result->count++];
		*name = (struct load_name){
			.name = reference_familiar(arena, &from->names[i]), .id = from->id};
		find_holder(l, reference_full(arena, &from->names[i]), &name->replaced);
		if (oci_digest_equal(&name->replaced, &from->id))
			name->replaced = (struct oci_digest){0};
	}
	if (result->count == first)
		result->names[result->count++] = (struct load_name){.id = from->id};
	return image_add(&l->engine->store, &image, &given, e);
}

/* ---- ---- */

static int load_archive(
	struct load *l, const struct load_options *options, struct load_result *result, struct err *e)
{
	struct engine *engine = l->engine;
	const struct archive_source source = {
		.input = options->input,
		.name = options->name,
		.client = &l->client,
		.signals = l->signals,
	};
	bool synced;

	if (archive_open(&l->archive, &engine->store, &source, e) < 0 ||
		load_plan_make(&l->plan, &l->archive, engine->arena, e) < 0)
		return -1;
	log_trace("parent", "%zu images are planned", l->plan.count);
	const struct load_layers layers = {
		.store = &engine->store,
		.archive = &l->archive,
		.plan = &l->plan,
		.client = &l->client,
		.signals = l->signals,
		.one_owner = engine->user_namespace,
	};
	list_documents(l);
	if (stage_documents(l, e) < 0 || load_layers(&layers, &synced, e) < 0 ||
		publish_documents(l, synced, e) < 0)
		return -1;
	log_trace("parent", "layers are in the store");
	result->names = arena_array(engine->arena, LOAD_NAMES_MAX + l->plan.count, sizeof *result->names);
	for (size_t i = 0; i < l->plan.count; i++)
		if (record_image(l, &l->plan.images[i], result, e) < 0)
			return -1;
	return 0;
}

/* With the store's lock held, and signals where they are wanted. */
static int load_locked(struct engine *engine, const struct load_options *options, int signals,
	struct load_result *result, struct err *e)
{
	struct load l = {.engine = engine, .client = NET_CLIENT_NONE, .signals = signals};

	if (driver_use(&engine->store, engine->config->driver, e) < 0)
		return -1;
	store_sweep(&engine->store);
	engine_collect_garbage(engine);
	if (store_lock(&engine->store, STORE_SHARED, e) < 0)
		return -1;
	int rc = load_archive(&l, options, result, e);
	while (l.staged)
		blob_drop(&engine->store, &l.documents[--l.staged].stage);
	archive_close(&l.archive, &engine->store);
	load_plan_free(&l.plan);
	net_client_stop(&l.client);
	store_unlock(&engine->store);
	return rc;
}

int engine_load(
	struct engine *engine, const struct load_options *options, struct load_result *result, struct err *e)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct load_result out = {0};
	struct sigaction pipe_before;
	sigset_t ours, before;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, &before);
	sigaction(SIGPIPE, &ignore, &pipe_before);
	auto_close int signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	int rc = signals < 0 ? err_errno(e, errno, "cannot wait for signals")
			     : load_locked(engine, options, signals, &out, e);
	/* The one that we obeyed must not strike again when it is let through. */
	struct signalfd_siginfo info;
	while (rc < 0 && e->kind == ERR_INTERRUPTED && read(signals, &info, sizeof info) > 0)
		;
	sigaction(SIGPIPE, &pipe_before, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		*result = out;
	return rc;
}
