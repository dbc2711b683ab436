/* load.c - images from an archive: see load.h. */
#include "engine/load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "engine/archive.h"
#include "engine/image.h"
#include "engine/interrupt.h"
#include "engine/load_layers.h"
#include "engine/load_plan.h"
#include "registry/client.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/image.h"
#include "store/layer.h"
#include "store/tree.h"

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

/* ---- a folder ---- */

/* One with a layout in it is read as the archive that it would be, which a child of ours writes. */
struct folder {
	pid_t pid; /* 0: there is none */
	int archive, report;
};

static int write_bytes(void *context, const void *bytes, size_t size)
{
	return fd_write_full(*(const int *)context, bytes, size);
}

static int write_folder(int folder, int to, struct err *e)
{
	const struct tree_options options = {.foreign = true};
	struct tar_writer w = {.write = write_bytes, .context = &to};
	struct tree_result result;

	return tree_write(folder, &w, &options, &result, e);
}

static int start_folder(const struct load_options *options, struct folder *folder, struct err *e)
{
	int archive[2], report[2];

	if (faccessat(options->input, "oci-layout", F_OK, 0) < 0 &&
		faccessat(options->input, "manifest.json", F_OK, 0) < 0) {
		err_set(e, ERR_INVALID, 0,
			"cannot load %s: it is a folder, and there is neither an oci-layout nor a "
			"manifest.json "
			"in it",
			options->name);
		return err_hint(e, "if it is the files of a root file system, use brig init");
	}
	int rc = fd_pipe(archive, 0);
	if (rc == 0 && (rc = fd_pipe(report, 0)) < 0) {
		close(archive[0]);
		close(archive[1]);
	}
	if (rc < 0)
		return err_errno(e, rc, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		struct err failure;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(archive[0]);
		rc = write_folder(options->input, archive[1], &failure);
		_exit(report_send(report[1], rc, &failure) < 0);
	}
	rc = pid < 0 ? err_errno(e, errno, "cannot make a process") : 0;
	close(archive[1]);
	close(report[1]);
	*folder = (struct folder){.pid = pid, .archive = archive[0], .report = report[0]};
	return rc;
}

/* After its archive was read, or not. What it could not read is why that came to nothing. */
static int end_folder(struct folder *folder, int rc, const char *name, struct err *e)
{
	struct err why;

	if (folder->pid <= 0)
		return rc;
	close_fd(&folder->archive);
	/* It may have stopped since nobody reads on. */
	if (report_receive(folder->report, &why) < 0 && why.number != EPIPE)
		rc = err_set(e, why.kind, 0, "cannot load %s: %s", name, why.what);
	close_fd(&folder->report);
	while (waitpid(folder->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return rc;
}

static int open_archive(struct load *l, const struct load_options *options, struct err *e)
{
	struct folder folder = {.archive = -1, .report = -1};
	struct archive_source source = {
		.input = options->input,
		.name = options->name,
		.client = &l->client,
		.signals = l->signals,
	};
	struct stat st;

	if (fstat(options->input, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (start_folder(options, &folder, e) < 0)
			return -1;
		source.input = folder.archive;
	}
	int rc = archive_open(&l->archive, &l->engine->store, &source, e);
	return end_folder(&folder, rc, options->name, e);
}

/* ---- ---- */

static int load_archive(
	struct load *l, const struct load_options *options, struct load_result *result, struct err *e)
{
	struct engine *engine = l->engine;
	bool synced;

	if (open_archive(l, options, e) < 0 || load_plan_make(&l->plan, &l->archive, engine->arena, e) < 0)
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
	struct load_result out = {0};
	struct interrupt interrupt;

	if (interrupt_begin(&interrupt, e) < 0)
		return -1;
	int rc = load_locked(engine, options, interrupt.fd, &out, e);
	interrupt_end(&interrupt, rc < 0 && e->kind == ERR_INTERRUPTED);
	if (rc == 0)
		*result = out;
	return rc;
}
