/* pull.c - an image from a registry into the store. */
#include "engine/pull.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"
#include "engine/endpoints.h"
#include "engine/image.h"
#include "engine/interrupt.h"
#include "engine/pull_layers.h"
#include "oci/image.h"
#include "oci/platform.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/image.h"

enum { DOCUMENTS = 3 };

/* One pull, from the reference to the record. */
struct pull {
	const struct engine *engine;
	struct store *store;
	struct arena *arena;
	const struct pull_options *options;
	struct reference reference;
	struct oci_platform platform;
	struct net_client client;
	int signals;
	struct oci_digest top; /* of what the reference names */
	struct buf top_bytes;  /* an index, where it is one */
	struct oci_digest manifest_digest;
	struct buf manifest_bytes;
	struct oci_manifest manifest;
	struct buf config_bytes;
	struct oci_config image_config;
	struct image before; /* what the name stood for; id "" where there was none */
	struct blob_stage stages[DOCUMENTS];
	size_t staged;
};

/* Starts brig-net and tells it where the registry is. */
static int connect_registry(struct pull *p, struct err *e)
{
	struct endpoints *endpoints = malloc(sizeof *endpoints);
	int r;

	if (!endpoints)
		abort();
	r = endpoints_find(endpoints, p->engine->config, p->reference.domain, e);
	if (r == 0) {
		r = net_client_start(&p->client, e);
		if (r == 0)
			r = net_client_setup(&p->client, &endpoints->setup, endpoints->certificates, e);
		endpoints_free(endpoints);
	}
	free(endpoints);
	return r;
}

/* Fetches something small into memory: a manifest by reference, or a blob by digest and size. */
static int fetch(struct pull *p, const char *reference, const struct oci_descriptor *blob, size_t limit,
	struct buf *out, struct net_event *event, struct err *e)
{
	auto_close int memory = memfd_create("document", MFD_CLOEXEC);
	int id;

	if (memory < 0)
		return err_errno(e, errno, "cannot make a memory file");
	if (reference)
		id = net_client_get_manifest(&p->client, p->reference.path, reference, memory, e);
	else
		id = net_client_get_blob(
			&p->client, p->reference.path, blob->digest.text, blob->size, memory, -1, e);
	if (id < 0 || pull_wait(&p->client, p->signals, (uint32_t)id, event, e) < 0)
		return -1;
	if (lseek(memory, 0, SEEK_SET) < 0)
		return err_errno(e, errno, "cannot read a memory file");
	int r = fd_slurp(memory, limit, out);
	if (r < 0)
		return err_errno(e, r, "cannot read what brig-net fetched");
	return 0;
}

static int not_its_digest(const struct pull *p, const char *what, const char *wanted,
	const struct oci_digest *is, struct err *e)
{
	char shown[80];
	err_set(e, ERR_CORRUPT, 0, "registry %s sent a %s with the digest %s, not %s", p->reference.domain,
		what, is->text, err_sanitize(shown, sizeof shown, wanted));
	return err_hint(e, "the registry is damaged, or somebody stands in between; nothing was kept");
}

/* Fetches a manifest or index, and computes its digest, which must be `wanted` where that is
 * not NULL, and agree with what the registry says it is. */
static int fetch_document(struct pull *p, const char *reference, const char *wanted, struct buf *out,
	struct oci_digest *digest, struct oci_document *document, const char *type, struct err *e)
{
	struct net_event event;

	if (fetch(p, reference, NULL, OCI_MANIFEST_LIMIT, out, &event, e) < 0)
		return -1;
	oci_digest_of(out->data ? out->data : "", out->length, digest);
	if (wanted && strcmp(wanted, digest->text) != 0)
		return not_its_digest(p, "manifest", wanted, digest, e);
	if (event.done.digest[0] && strcmp(event.done.digest, digest->text) != 0 &&
		/* One by another algorithm says nothing that we could check here. */
		!(oci_digest_valid(event.done.digest) && strncmp(event.done.digest, "sha256:", 7) != 0))
		return not_its_digest(p, "manifest", event.done.digest, digest, e);
	/* Some servers say nothing useful: then the body speaks for itself. */
	const char *said = event.done.media_type;
	if (!said[0] || !strcmp(said, "application/json") || !strcmp(said, "text/plain") ||
		!strcmp(said, "application/octet-stream"))
		said = NULL;
	if (type && said && strcmp(type, said) != 0)
		return err_set(e, ERR_INVALID, 0, "the index calls %.19s %s, and the registry %s",
			digest->text, type, said);
	return oci_document_parse(
		p->arena, out->data ? out->data : "", out->length, type ? type : said, document, e);
}

/* Finds the manifest that the reference means on the platform. */
static int find_manifest(struct pull *p, struct err *e)
{
	struct oci_document document;
	const char *reference = p->reference.digest ? p->reference.digest : p->reference.tag;

	if (p->reference.digest && strncmp(p->reference.digest, "sha256:", 7) != 0)
		return err_set(e, ERR_UNSUPPORTED, 0, "only sha256 digests can be pulled");
	if (fetch_document(p, reference, p->reference.digest, &p->manifest_bytes, &p->manifest_digest,
		    &document, NULL, e) < 0)
		return -1;
	p->top = p->manifest_digest;
	if (document.kind == OCI_DOCUMENT_MANIFEST) {
		p->manifest = document.manifest;
		return 0;
	}
	p->top_bytes = p->manifest_bytes;
	p->manifest_bytes = (struct buf){0};
	const struct oci_descriptor *chosen = oci_index_choose(&document.index, &p->platform, e);
	if (!chosen)
		return -1;
	if (!oci_digest_is_sha256(&chosen->digest))
		return err_set(e, ERR_UNSUPPORTED, 0, "only sha256 digests can be pulled");
	struct oci_document below;
	if (fetch_document(p, chosen->digest.text, chosen->digest.text, &p->manifest_bytes,
		    &p->manifest_digest, &below, chosen->media_type[0] ? chosen->media_type : NULL, e) < 0)
		return -1;
	if ((int64_t)p->manifest_bytes.length != chosen->size)
		return err_set(e, ERR_INVALID, 0, "the manifest %.19s has %zu bytes, and the index says %lld",
			chosen->digest.text, p->manifest_bytes.length, (long long)chosen->size);
	if (below.kind != OCI_DOCUMENT_MANIFEST)
		return err_set(e, ERR_UNSUPPORTED, 0, "an index within an index cannot be pulled");
	p->manifest = below.manifest;
	return 0;
}

static int find_config(struct pull *p, struct err *e)
{
	const struct oci_descriptor *d = &p->manifest.config;
	struct net_event event;
	struct oci_digest digest;
	struct err ignored = {0};

	if (!oci_digest_is_sha256(&d->digest))
		return err_set(e, ERR_UNSUPPORTED, 0, "only sha256 digests can be pulled");
	for (size_t i = 0; i < p->manifest.count; i++) {
		if (!oci_digest_is_sha256(&p->manifest.layers[i].digest))
			return err_set(e, ERR_UNSUPPORTED, 0, "only sha256 digests can be pulled");
		if (oci_layer_compression(p->manifest.layers[i].media_type) == OCI_COMPRESSION_UNKNOWN) {
			char shown[200];
			err_sanitize(shown, sizeof shown, p->manifest.layers[i].media_type);
			err_set(e, ERR_UNSUPPORTED, 0, "this is no image that can be run: it holds a %s",
				shown);
			return err_hint(e, "it may be a chart, a signature or another artifact");
		}
	}
	if (d->size > OCI_CONFIG_LIMIT)
		return err_set(e, ERR_INVALID, 0, "the image's config is larger than 8 MiB");
	if (!blob_has(p->store, &d->digest, NULL) ||
		blob_read(p->store, &d->digest, OCI_CONFIG_LIMIT, &p->config_bytes, &ignored) < 0) {
		p->config_bytes.length = 0;
		if (fetch(p, NULL, d, OCI_CONFIG_LIMIT, &p->config_bytes, &event, e) < 0)
			return -1;
	}
	oci_digest_of(p->config_bytes.data ? p->config_bytes.data : "", p->config_bytes.length, &digest);
	if (!oci_digest_equal(&digest, &d->digest))
		return not_its_digest(p, "config", d->digest.text, &digest, e);
	if (oci_config_parse(p->arena, p->config_bytes.data ? p->config_bytes.data : "",
		    p->config_bytes.length, &p->image_config, e) < 0 ||
		oci_manifest_check(&p->manifest, &p->image_config, e) < 0)
		return -1;
	/* Asked for by name, the platform has to be that. */
	if (p->options->platform && oci_platform_rank(&p->platform, &p->image_config.platform) < 0) {
		char want[OCI_PLATFORM_TEXT], have[OCI_PLATFORM_TEXT];
		return err_set(e, ERR_NOT_FOUND, 0,
			"image with reference %s was found but does not match the specified platform: wanted "
			"%s, actual: %s",
			p->options->reference, oci_platform_format(want, &p->platform),
			oci_platform_format(have, &p->image_config.platform));
	}
	return 0;
}

/* Whether the name stands for this image already, with all that belongs to it. */
static bool is_current(struct pull *p)
{
	struct err ignored = {0};

	if (!p->before.id.text[0] || !oci_digest_equal(&p->before.id, &p->manifest.config.digest) ||
		!oci_digest_equal(&p->before.manifest, &p->manifest_digest))
		return false;
	if (p->options->platform && oci_platform_rank(&p->platform, &p->before.platform) < 0)
		return false;
	return image_check_layers(p->store, &p->before, &ignored) == 0;
}

/* The documents that are to be blobs: the index where there is one, the manifest, the config. */
static size_t list_documents(
	const struct pull *p, const struct buf *bytes[DOCUMENTS], const struct oci_digest *digests[DOCUMENTS])
{
	size_t n = 0;
	if (p->top_bytes.length) {
		bytes[n] = &p->top_bytes;
		digests[n++] = &p->top;
	}
	bytes[n] = &p->manifest_bytes;
	digests[n++] = &p->manifest_digest;
	bytes[n] = &p->config_bytes;
	digests[n++] = &p->manifest.config.digest;
	return n;
}

/* Writes the documents into staging, so that the one sync of the layers takes them too. */
static int stage_documents(struct pull *p, struct err *e)
{
	const struct buf *bytes[DOCUMENTS];
	const struct oci_digest *digests[DOCUMENTS];
	size_t n = list_documents(p, bytes, digests);

	for (size_t i = 0; i < n; i++) {
		if (blob_stage(p->store, &p->stages[i], e) < 0)
			return -1;
		p->staged = i + 1;
		int r = fd_write_full(p->stages[i].fd, bytes[i]->data, bytes[i]->length);
		if (r < 0)
			return err_errno(e, r, "cannot write into the store");
	}
	return 0;
}

static int publish_documents(struct pull *p, bool synced, struct err *e)
{
	const struct buf *bytes[DOCUMENTS];
	const struct oci_digest *digests[DOCUMENTS];
	size_t n = list_documents(p, bytes, digests);

	for (size_t i = 0; i < n; i++)
		if (blob_publish(p->store, &p->stages[i], digests[i], synced, e) < 0)
			return -1;
	p->staged = 0;
	return 0;
}

/* Writes the record and the name. All layers and documents are there and on the disk. */
static int record(struct pull *p, const struct oci_digest *chains, const int64_t *sizes,
	struct pull_result *result, struct err *e)
{
	struct image image = {
		.id = p->manifest.config.digest,
		.manifest = p->manifest_digest,
		.created = p->image_config.created,
		.tagged = TIME_NONE,
		.platform = p->image_config.platform,
		.layer_count = p->manifest.count,
	};
	image.layers = arena_array(p->arena, image.layer_count, sizeof *image.layers);
	for (size_t i = 0; i < image.layer_count; i++) {
		image.layers[i] = (struct image_layer){
			.diff_id = p->image_config.diff_ids[i],
			.chain_id = chains[i],
			.blob = p->manifest.layers[i].digest,
			.blob_size = p->manifest.layers[i].size,
			.size = sizes[i],
		};
		image.size += sizes[i];
	}
	/* The tag, and the digest that it stood for just now. */
	struct reference names[2] = {p->reference, p->reference};
	names[1].tag = NULL;
	names[1].digest = arena_strdup(p->arena, p->top.text);
	struct image_names_given given = {
		.references = p->reference.digest ? names + 1 : names,
		.count = p->reference.digest ? 1 : 2,
		.synced = true,
	};
	result->id = image.id;
	return image_add(p->store, &image, &given, e);
}

static void tell_start(struct pull *p)
{
	if (!p->options->tell)
		return;
	struct pull_event event = {
		.kind = PULL_STARTED,
		.tag = p->reference.digest ? reference_full(p->arena, &p->reference) : p->reference.tag,
		.repository = p->reference.path,
		.layers = p->manifest.count,
	};
	p->options->tell(p->options->context, &event);
}

/* Everything between the reference and the record, with the content lock held. */
static int pull_image(struct pull *p, struct pull_result *result, struct err *e)
{
	if (connect_registry(p, e) < 0 || find_manifest(p, e) < 0)
		return -1;
	log_trace("parent", "manifest %.19s", p->manifest_digest.text);
	tell_start(p);
	result->digest = p->top;
	result->id = p->manifest.config.digest;
	result->current = is_current(p);
	if (result->current)
		return 0;
	if (find_config(p, e) < 0)
		return -1;
	log_trace("parent", "config");
	struct oci_digest *chains = oci_chain_ids(p->arena, &p->image_config);
	int64_t *sizes = arena_array(p->arena, p->manifest.count + 1, sizeof *sizes);
	struct pull_layers layers = {
		.store = p->store,
		.client = &p->client,
		.signals = p->signals,
		.repository = p->reference.path,
		.options = p->options,
		.manifest = &p->manifest,
		.config = &p->image_config,
		.chains = chains,
		.one_owner = p->engine->user_namespace,
	};
	bool synced;
	if (stage_documents(p, e) < 0 || pull_layers(&layers, p->arena, sizes, &synced, e) < 0 ||
		publish_documents(p, synced, e) < 0)
		return -1;
	log_trace("parent", "layers are in the store");
	return record(p, chains, sizes, result, e);
}

int engine_pull(
	struct engine *engine, const struct pull_options *options, struct pull_result *result, struct err *e)
{
	struct store *store = &engine->store;
	struct arena *arena = engine->arena;
	struct pull p = {
		.engine = engine,
		.store = store,
		.arena = arena,
		.options = options,
		.client = NET_CLIENT_NONE,
	};
	struct pull_result out = {0};
	struct err ignored = {0};
	struct interrupt interrupt;

	if (reference_parse(arena, options->reference, &p.reference, e) < 0 ||
		reference_check_new(&p.reference, e) < 0)
		return -1;
	reference_default_tag(&p.reference);
	if (p.reference.digest)
		p.reference.tag = NULL;
	oci_platform_host(&p.platform);
	if (options->platform && oci_platform_parse(options->platform, &p.platform, e) < 0)
		return -1;
	if (driver_use(store, engine->config->driver, e) < 0)
		return -1;
	store_sweep(store);
	engine_collect_garbage(engine);
	out.familiar = reference_familiar(arena, &p.reference);
	out.full = reference_full(arena, &p.reference);

	if (interrupt_begin(&interrupt, e) < 0)
		return -1;
	p.signals = interrupt.fd;
	int r = store_lock(store, STORE_SHARED, e);
	if (r == 0) {
		if (image_find(store, arena, out.full, &p.before, &ignored) < 0)
			p.before = (struct image){0};
		r = pull_image(&p, &out, e);
		while (p.staged)
			blob_drop(store, &p.stages[--p.staged]);
		store_unlock(store);
	}
	net_client_stop(&p.client);
	interrupt_end(&interrupt, r < 0 && e->kind == ERR_INTERRUPTED);
	buf_free(&p.top_bytes);
	buf_free(&p.manifest_bytes);
	buf_free(&p.config_bytes);
	if (r == 0)
		*result = out;
	return r;
}
