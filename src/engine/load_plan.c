/* load_plan.c - what an archive's documents say: see load_plan.h. */
#include "engine/load_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "oci/image.h"

enum { NESTING_MAX = 4, LAYOUT_LIMIT = 4096 };

/* A plan that is being made. */
struct planning {
	const struct archive *archive;
	struct arena *arena; /* what stays */
	struct load_plan *plan;
	const struct archive_member *configs[LOAD_IMAGES_MAX]; /* of the images, in docker's form */
	size_t names, layers, documents;                       /* so far */
};

__attribute__((format(printf, 3, 4))) static int refuse(
	const struct planning *p, struct err *e, const char *format, ...)
{
	auto_arena struct arena arena = {0};
	va_list ap;
	char shown[600];

	va_start(ap, format);
	const char *reason = arena_vprintf(&arena, format, ap);
	va_end(ap);
	return err_set(e, ERR_INVALID, 0, "cannot load %s: %s", p->archive->name,
		err_sanitize(shown, sizeof shown, reason));
}

/* The same about an error from a parser. */
static int refuse_document(const struct planning *p, const char *name, struct err *e)
{
	struct err cause = *e;
	char shown[200];

	err_sanitize(shown, sizeof shown, name);
	err_set(e, cause.kind, 0, "cannot load %s: %s: %s", p->archive->name, shown, cause.what);
	memcpy(e->hint, cause.hint, sizeof e->hint);
	return -1;
}

/* ---- members ---- */

static int read_member(struct planning *p, const struct archive_member *member, const char *name,
	size_t limit, struct buf *out, struct err *e)
{
	if (member->size > LOAD_DOCUMENTS_MAX - p->documents)
		return refuse(p, e, "its manifests and configs are larger than 64 MiB");
	if (archive_read(p->archive, member, limit, name, out, e) < 0)
		return -1;
	p->documents += member->size;
	return 0;
}

static const char *blob_member(struct arena *arena, const struct oci_digest *digest)
{
	return arena_printf(arena, "blobs/sha256/%s", oci_digest_hex(digest));
}

static int wrong_digest(
	const struct planning *p, const char *name, const struct oci_digest *is, struct err *e)
{
	char shown[200];

	err_set(e, ERR_CORRUPT, 0, "cannot load %s: %s in it has the digest %s", p->archive->name,
		err_sanitize(shown, sizeof shown, name), is->text);
	return err_hint(e, "the archive is damaged or forged; nothing of it was kept");
}

/* Reads a document of an OCI layout and checks it against its descriptor. */
static int read_blob(
	struct planning *p, const struct oci_descriptor *d, size_t limit, struct buf *out, struct err *e)
{
	struct oci_digest is;

	if (!oci_digest_is_sha256(&d->digest))
		return refuse(p, e, "only sha256 digests can be loaded");
	const char *name = blob_member(p->arena, &d->digest);
	const struct archive_member *member = archive_find(p->archive, name, e);
	if (!member || read_member(p, member, name, limit, out, e) < 0)
		return -1;
	oci_digest_of(out->data, out->length, &is);
	if (!oci_digest_equal(&is, &d->digest))
		return wrong_digest(p, name, &is, e);
	if ((int64_t)out->length != d->size)
		return refuse(p, e, "%s has %zu bytes, and what names it says %lld", name, out->length,
			(long long)d->size);
	return 0;
}

/* ---- images ---- */

static int add_image(struct planning *p, struct load_image **image, struct err *e)
{
	struct load_plan *plan = p->plan;

	if (plan->count == LOAD_IMAGES_MAX)
		return refuse(p, e, "it holds more than %d images", LOAD_IMAGES_MAX);
	*image = &plan->images[plan->count++];
	**image = (struct load_image){0};
	return 0;
}

/* Gives the image one more name, in which a digest has to be right. */
static int add_name(struct planning *p, struct load_image *image, const char *text,
	const struct oci_digest *digest, struct err *e)
{
	struct reference reference;

	if (reference_parse(p->arena, text, &reference, e) < 0 || reference_check_new(&reference, e) < 0)
		return refuse_document(p, "an image's name", e);
	if (!reference.tag && !reference.digest)
		return refuse(p, e, "the image's name %s has no tag", text);
	if (reference.digest && (!digest || strcmp(reference.digest, digest->text) != 0))
		return refuse(p, e, "the image's name %s holds a digest that is not its own", text);
	if (p->names++ == LOAD_NAMES_MAX)
		return refuse(p, e, "it gives more than %d names", LOAD_NAMES_MAX);
	/* Room is doubled at each power of two. */
	if (!(image->name_count & (image->name_count - 1))) {
		struct reference *names = arena_array(p->arena, 2 * image->name_count + 1, sizeof *names);
		if (image->name_count)
			memcpy(names, image->names, image->name_count * sizeof *names);
		image->names = names;
	}
	image->names[image->name_count++] = reference;
	return 0;
}

/* What the config says goes into the image; its bytes are there. */
static int take_config(struct planning *p, struct load_image *image, const struct oci_manifest *manifest,
	const char *name, struct err *e)
{
	auto_arena struct arena arena = {0};
	const struct buf *bytes = &image->config_bytes;
	struct oci_config config;

	oci_digest_of(bytes->data ? bytes->data : "", bytes->length, &image->id);
	if (oci_config_parse(&arena, bytes->data ? bytes->data : "", bytes->length, &config, e) < 0 ||
		(manifest && oci_manifest_check(manifest, &config, e) < 0))
		return refuse_document(p, name, e);
	if (config.platform.os[0] && strcmp(config.platform.os, "linux") != 0) {
		err_set(e, ERR_UNSUPPORTED, 0, "cannot load %s: it holds an image for %s", p->archive->name,
			config.platform.os);
		return err_hint(e, "only images for linux can be run here");
	}
	if (config.layer_count > LOAD_LAYERS_MAX - p->layers)
		return refuse(p, e, "its images have more than %d layers", LOAD_LAYERS_MAX);
	p->layers += config.layer_count;
	image->created = config.created;
	image->platform = config.platform;
	image->layer_count = config.layer_count;
	image->layers = arena_array(p->arena, config.layer_count + 1, sizeof *image->layers);
	const struct oci_digest *chains = oci_chain_ids(&arena, &config);
	for (size_t i = 0; i < config.layer_count; i++) {
		image->layers[i].diff = config.diff_ids[i];
		image->layers[i].chain = chains[i];
	}
	return 0;
}

/* ---- docker's form ---- */

/* The digest that a config's name in the archive states: "HEX.json", "blobs/sha256/HEX". */
static bool stated_digest(const char *name, struct oci_digest *out)
{
	const char *slash = strrchr(name, '/');
	const char *last = slash ? slash + 1 : name;
	char hex[65] = "";

	if (strspn(last, "0123456789abcdef") != 64 || (last[64] && strcmp(last + 64, ".json") != 0))
		return false;
	memcpy(hex, last, 64);
	oci_digest_from_hex(hex, out);
	return true;
}

/* A compressed layer that lies where an OCI layout has it is kept as it is, so that the image can go out
 * again as it came. A plain one would lie in the store twice. */
static void note_blob(const struct planning *p, struct load_source *source)
{
	static const char folder[] = "blobs/sha256/";
	struct err ignored;
	const struct archive_member *member = archive_find(p->archive, source->member, &ignored);

	if (member && !strncmp(source->member, folder, sizeof folder - 1) &&
		stated_digest(source->member, &source->blob) &&
		archive_compression_at(p->archive->file, member->offset, member->size) == ARCHIVE_COMPRESSED)
		source->blob_size = (int64_t)member->size;
	else
		source->blob = (struct oci_digest){0};
}

static int add_docker_image(struct planning *p, const struct json *item, struct err *e)
{
	const char *config = json_get_string(item, "Config");
	const struct json *layers = json_get_array(item, "Layers"), *tags = json_get_array(item, "RepoTags");
	struct load_image *image = NULL;
	struct oci_digest stated;

	if (!config || (!layers && json_get(item, "Layers") && json_get(item, "Layers")->type != JSON_NULL))
		return refuse(p, e, "manifest.json does not say where an image's config and layers are");
	const struct archive_member *member = archive_find(p->archive, config, e);
	if (!member)
		return -1;
	/* Several entries for one config are several names of one image. */
	for (size_t i = 0; i < p->plan->count; i++)
		if (p->configs[i] == member)
			image = &p->plan->images[i];
	if (!image) {
		p->configs[p->plan->count < LOAD_IMAGES_MAX ? p->plan->count : 0] = member;
		if (add_image(p, &image, e) < 0 ||
			read_member(p, member, config, OCI_CONFIG_LIMIT, &image->config_bytes, e) < 0 ||
			take_config(p, image, NULL, config, e) < 0)
			return -1;
		if (stated_digest(config, &stated) && !oci_digest_equal(&stated, &image->id))
			return wrong_digest(p, config, &image->id, e);
	}
	size_t count = layers ? layers->list.count : 0, i = 0;
	if (count != image->layer_count)
		return refuse(p, e, "manifest.json names %zu layers of an image whose config says %zu", count,
			image->layer_count);
	json_for_each (layer, layers) {
		if (layer->type != JSON_STRING)
			return refuse(p, e, "manifest.json names a layer by something that is no string");
		image->layers[i].member = arena_strdup(p->arena, layer->string);
		note_blob(p, &image->layers[i++]);
	}
	json_for_each (tag, tags) {
		if (tag->type != JSON_STRING)
			return refuse(p, e, "manifest.json holds a name that is no string");
		if (add_name(p, image, tag->string, NULL, e) < 0)
			return -1;
	}
	return 0;
}

static int plan_docker(struct planning *p, const struct archive_member *member, struct err *e)
{
	auto_arena struct arena arena = {0};
	auto_buf struct buf text = {0};

	if (read_member(p, member, "manifest.json", OCI_MANIFEST_LIMIT, &text, e) < 0)
		return -1;
	const struct json *root = json_parse(&arena, text.data, text.length, "manifest.json", e);
	if (!root)
		return refuse_document(p, "in it", e);
	if (root->type != JSON_ARRAY)
		return refuse(p, e, "manifest.json is no list");
	json_for_each (item, root)
		if (add_docker_image(p, item, e) < 0)
			return -1;
	return 0;
}

/* ---- OCI layouts ---- */

/* Reads the image of a manifest. */
static int read_oci_image(
	struct planning *p, const struct oci_descriptor *d, struct load_image *image, struct err *e)
{
	struct oci_manifest manifest;
	auto_arena struct arena arena = {0};

	if (read_blob(p, d, OCI_MANIFEST_LIMIT, &image->manifest_bytes, e) < 0)
		return -1;
	image->manifest = d->digest;
	if (oci_manifest_parse(&arena, image->manifest_bytes.data, image->manifest_bytes.length,
		    d->media_type[0] ? d->media_type : NULL, &manifest, e) < 0)
		return refuse_document(p, d->digest.text, e);
	for (size_t i = 0; i < manifest.count; i++) {
		const struct oci_descriptor *layer = &manifest.layers[i];
		if (!oci_digest_is_sha256(&layer->digest))
			return refuse(p, e, "only sha256 digests can be loaded");
		if (oci_layer_compression(layer->media_type) == OCI_COMPRESSION_UNKNOWN)
			return refuse(p, e, "it holds no image that can be run, but a %s", layer->media_type);
	}
	if (read_blob(p, &manifest.config, OCI_CONFIG_LIMIT, &image->config_bytes, e) < 0 ||
		take_config(p, image, &manifest, manifest.config.digest.text, e) < 0)
		return -1;
	for (size_t i = 0; i < manifest.count; i++) {
		struct load_source *layer = &image->layers[i];
		layer->blob = manifest.layers[i].digest;
		layer->blob_size = manifest.layers[i].size;
		layer->member = blob_member(p->arena, &layer->blob);
	}
	return 0;
}

/* The image of a manifest gets a name, or none where that is NULL. */
static int add_oci_image(struct planning *p, const struct oci_descriptor *d, const char *name, struct err *e)
{
	struct load_image *image = NULL;

	for (size_t i = 0; i < p->plan->count; i++)
		if (oci_digest_equal(&p->plan->images[i].manifest, &d->digest))
			image = &p->plan->images[i];
	if (!image && (add_image(p, &image, e) < 0 || read_oci_image(p, d, image, e) < 0))
		return -1;
	return name ? add_name(p, image, name, &d->digest, e) : 0;
}

/* A descriptor of an image, or of an index in which the host's is to be found. */
static int add_descriptor(struct planning *p, const struct oci_descriptor *d, const char *name, struct err *e)
{
	auto_arena struct arena arena = {0};
	struct oci_descriptor below = *d;

	for (int depth = 0; depth < NESTING_MAX; depth++) {
		auto_buf struct buf text = {0};
		struct oci_document document;
		struct oci_platform host;

		if (strcmp(below.media_type, OCI_TYPE_INDEX) != 0 &&
			strcmp(below.media_type, DOCKER_TYPE_LIST) != 0)
			return add_oci_image(p, &below, name, e);
		if (read_blob(p, &below, OCI_MANIFEST_LIMIT, &text, e) < 0)
			return -1;
		if (oci_document_parse(&arena, text.data, text.length, below.media_type, &document, e) < 0)
			return refuse_document(p, below.digest.text, e);
		if (document.kind != OCI_DOCUMENT_INDEX)
			return refuse(p, e, "%s is no index", below.digest.text);
		oci_platform_host(&host);
		const struct oci_descriptor *chosen = oci_index_choose(&document.index, &host, e);
		if (!chosen)
			return refuse_document(p, name ? name : "its index", e);
		below = *chosen;
	}
	return refuse(p, e, "its indexes are nested too deeply");
}

/* The names that a descriptor's annotations give: "" ends where there is none. A tag alone, as
 * skopeo writes it, names no repository. */
static const char *name_of(const struct oci_descriptor *d)
{
	const char *name = json_get_string(d->annotations, "io.containerd.image.name");

	if (!name || !*name) {
		name = json_get_string(d->annotations, "org.opencontainers.image.ref.name");
		if (name && !strpbrk(name, ":/@"))
			name = NULL;
	}
	return name && *name ? name : NULL;
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool is_attestation(const struct oci_descriptor *d)
{
	return json_get_string(d->annotations, "vnd.docker.reference.type") != NULL;
}

/* Of descriptors with one name (or none) and a platform each, the host's; 0 where d is not it. */
static int is_wanted(struct planning *p, const struct oci_index *index, size_t which, struct err *e)
{
	auto_arena struct arena arena = {0};
	const struct oci_descriptor *d = &index->manifests[which];
	struct oci_index group = {.media_type = index->media_type};
	struct oci_platform host;
	const char *name = name_of(d);
	size_t mine = 0;

	if (is_attestation(d))
		return 0;
	if (!d->has_platform)
		return 1;
	group.manifests = arena_array(&arena, index->count, sizeof *group.manifests);
	for (size_t i = 0; i < index->count; i++) {
		const struct oci_descriptor *other = &index->manifests[i];
		if (!other->has_platform || is_attestation(other) || !is_same_text(name_of(other), name))
			continue;
		if (i == which)
			mine = group.count;
		group.manifests[group.count++] = *other;
	}
	if (group.count == 1)
		return 1;
	oci_platform_host(&host);
	const struct oci_descriptor *chosen = oci_index_choose(&group, &host, e);
	if (!chosen)
		return refuse_document(p, name ? name : "index.json", e);
	return chosen == &group.manifests[mine];
}

static int check_layout(struct planning *p, struct err *e)
{
	auto_arena struct arena arena = {0};
	auto_buf struct buf text = {0};
	const struct archive_member *member = archive_find(p->archive, "oci-layout", e);

	if (!member || read_member(p, member, "oci-layout", LAYOUT_LIMIT, &text, e) < 0)
		return -1;
	const struct json *root = json_parse(&arena, text.data, text.length, "oci-layout", e);
	if (!root)
		return refuse_document(p, "in it", e);
	const char *version = json_get_string(root, "imageLayoutVersion");
	if (!version || strncmp(version, "1.", 2) != 0)
		return refuse(p, e, "it is a layout of another version than 1.0.0");
	return 0;
}

static int plan_layout(struct planning *p, const struct archive_member *member, struct err *e)
{
	auto_arena struct arena arena = {0};
	auto_buf struct buf text = {0};
	struct oci_document document;

	if (check_layout(p, e) < 0 || read_member(p, member, "index.json", OCI_MANIFEST_LIMIT, &text, e) < 0)
		return -1;
	if (oci_document_parse(&arena, text.data, text.length, NULL, &document, e) < 0)
		return refuse_document(p, "index.json", e);
	if (document.kind != OCI_DOCUMENT_INDEX)
		return refuse(p, e, "index.json is no index");
	if (document.index.count > LOAD_IMAGES_MAX)
		return refuse(p, e, "it holds more than %d images", LOAD_IMAGES_MAX);
	for (size_t i = 0; i < document.index.count; i++) {
		const struct oci_descriptor *d = &document.index.manifests[i];
		int wanted = is_wanted(p, &document.index, i, e);
		if (wanted < 0 || (wanted && add_descriptor(p, d, name_of(d), e) < 0))
			return -1;
	}
	return 0;
}

/* ---- ---- */

static int no_image_archive(const struct planning *p, struct err *e)
{
	struct err ignored;

	if (archive_find(p->archive, "repositories", &ignored)) {
		err_set(e, ERR_UNSUPPORTED, 0,
			"cannot load %s: it was saved by a docker older than 1.10, without a manifest.json",
			p->archive->name);
		return err_hint(e, "load it with that docker's successor and save it again");
	}
	refuse(p, e, "it is no archive of images: there is neither a manifest.json nor an index.json in it");
	return err_hint(e, "if it is the files of a root file system, unpack it and use brig init");
}

int load_plan_make(struct load_plan *plan, const struct archive *archive, struct arena *arena, struct err *e)
{
	struct planning *p = arena_new(arena, struct planning);
	const struct archive_member *member;
	int rc;

	*plan = (struct load_plan){.images = calloc(LOAD_IMAGES_MAX, sizeof *plan->images)};
	if (!plan->images)
		abort();
	*p = (struct planning){.archive = archive, .arena = arena, .plan = plan};
	if ((member = archive_find(archive, "manifest.json", e)))
		rc = plan_docker(p, member, e);
	else if (e->kind == ERR_NOT_FOUND && (member = archive_find(archive, "index.json", e)))
		rc = plan_layout(p, member, e);
	else
		rc = e->kind == ERR_NOT_FOUND ? no_image_archive(p, e) : -1;
	if (rc == 0 && !plan->count)
		rc = refuse(p, e, "there is no image in it");
	if (rc < 0)
		load_plan_free(plan);
	return rc;
}

void load_plan_free(struct load_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		buf_free(&plan->images[i].config_bytes);
		buf_free(&plan->images[i].manifest_bytes);
	}
	free(plan->images);
	*plan = (struct load_plan){0};
}
