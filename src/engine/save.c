/* save.c - images go out. */
#include "engine/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/newfile.h"
#include "base/sha256.h"
#include "base/tar.h"
#include "oci/image.h"
#include "oci/reference.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/image.h"
#include "store/layer_commit.h"

enum { PIECE = 256 << 10 };

/* One image, and the names that it goes out with. */
struct saved {
	struct image image;
	struct strings names; /* familiar: "debian:12" */
	struct oci_descriptor manifest;
	struct oci_digest config;
	struct oci_digest *layers;
	size_t layer_count;
};

struct save {
	struct engine *engine;
	const struct save_options *options;
	struct saved *images;
	size_t count;
	struct oci_digest *written; /* blobs */
	size_t written_count, written_room;
	int out;               /* the archive's file, or the folder */
	struct tar_writer tar; /* into out */
	struct buf pending;    /* what the writer has said and out has not got */
	char *piece;
};

/* ---- what is asked for ---- */

static struct saved *add_image(struct save *s, const struct image *image)
{
	for (size_t i = 0; i < s->count; i++)
		if (oci_digest_equal(&s->images[i].image.id, &image->id))
			return &s->images[i];
	struct saved *grown = realloc(s->images, (s->count + 1) * sizeof *grown);
	if (!grown)
		abort();
	s->images = grown;
	s->images[s->count] = (struct saved){.image = *image};
	return &s->images[s->count++];
}

static void add_name(struct save *s, struct saved *saved, const char *name)
{
	for (size_t i = 0; i < saved->names.count; i++)
		if (!strcmp(saved->names.items[i], name))
			return;
	strings_add(s->engine->arena, &saved->names, arena_strdup(s->engine->arena, name));
}

/* Whether the tag "debian:12" is one of the repository "debian". */
static bool is_tag_of(const char *tag, const char *repository)
{
	size_t length = strlen(repository);
	return !strncmp(tag, repository, length) && tag[length] == ':' && !strchr(tag + length, '/');
}

static int add_repository(struct save *s, const char *repository, bool *found, struct err *e)
{
	struct image *list;
	size_t count;

	*found = false;
	if (image_list(&s->engine->store, s->engine->arena, &list, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i].tags.count; k++) {
			struct image image;
			if (!is_tag_of(list[i].tags.items[k], repository))
				continue;
			*found = true;
			if (image_find(&s->engine->store, s->engine->arena, list[i].tags.items[k], &image,
				    e) < 0)
				return -1;
			add_name(s, add_image(s, &image), list[i].tags.items[k]);
		}
	return 0;
}

static int add_asked(struct save *s, const char *text, struct err *e)
{
	struct arena *arena = s->engine->arena;
	struct reference reference;
	struct image image;
	struct err ignored;
	bool named = reference_parse(arena, text, &reference, &ignored) == 0 && !reference.digest;

	if (named && !reference.tag) {
		bool found;
		if (add_repository(s, reference_familiar_name(arena, &reference), &found, e) < 0)
			return -1;
		if (found)
			return 0;
	}
	if (image_find(&s->engine->store, arena, text, &image, e) < 0)
		return -1;
	struct saved *saved = add_image(s, &image);
	/* By its id it goes without its names, as in docker. */
	const char *familiar = named ? reference_familiar(arena, &reference) : "";
	for (size_t i = 0; i < image.tags.count; i++)
		if (!strcmp(image.tags.items[i], familiar))
			add_name(s, saved, familiar);
	return 0;
}

static int check_platform(const struct save *s, const struct image *image, struct err *e)
{
	const struct oci_platform *want = s->options->platform;
	char have[OCI_PLATFORM_TEXT], wanted[OCI_PLATFORM_TEXT];

	if (!want || oci_platform_rank(want, &image->platform) == 0)
		return 0;
	return err_set(e, ERR_NOT_FOUND, 0, "image %s is for %s, not for %s",
		image->tags.count ? image->tags.items[0] : image->serial,
		oci_platform_format(have, &image->platform), oci_platform_format(wanted, want));
}

/* ---- where it goes ---- */

static int cannot_write(const struct save *s, int number, struct err *e)
{
	return err_errno(
		e, number, "cannot write %s", s->options->path ? s->options->path : "standard output");
}

static int flush(struct save *s)
{
	int rc = fd_write_full(s->out, s->pending.data, s->pending.length);
	s->pending.length = 0;
	return rc;
}

/* tar_writer's: small pieces are put together. */
static int take_bytes(void *context, const void *bytes, size_t size)
{
	struct save *s = context;
	int rc = 0;

	if (s->pending.length + size > PIECE)
		rc = flush(s);
	if (rc == 0 && size >= PIECE)
		return fd_write_full(s->out, bytes, size);
	buf_append(&s->pending, bytes, size);
	return rc;
}

/* Opens a blob's or document's file in the folder, or begins the archive's entry. */
static int begin_file(struct save *s, const char *path, int64_t size)
{
	if (s->options->form == SAVE_DIRECTORY)
		return fd_open(s->out, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	const struct tar_entry entry = {
		.type = TAR_FILE, .path = path, .link = "", .mode = 0644, .size = (uint64_t)size};
	return tar_write_entry(&s->tar, &entry);
}

static int write_piece(struct save *s, int file, const void *bytes, size_t size)
{
	return s->options->form == SAVE_DIRECTORY ? fd_write_full(file, bytes, size)
						  : tar_write_data(&s->tar, bytes, size);
}

static int end_file(const struct save *s, int file)
{
	return s->options->form == SAVE_DIRECTORY && close(file) < 0 ? -errno : 0;
}

static int put_document(struct save *s, const char *path, const void *bytes, size_t size, struct err *e)
{
	int file = begin_file(s, path, (int64_t)size);
	int rc = file < 0 ? file : write_piece(s, file, bytes, size);

	if (file >= 0) {
		int closed = end_file(s, file);
		rc = rc < 0 ? rc : closed;
	}
	return rc < 0 ? cannot_write(s, rc, e) : 0;
}

/* Notes the blob; false where it is there already. */
static bool is_new(struct save *s, const struct oci_digest *digest)
{
	for (size_t i = 0; i < s->written_count; i++)
		if (oci_digest_equal(&s->written[i], digest))
			return false;
	if (s->written_count == s->written_room) {
		s->written_room = s->written_room ? s->written_room * 2 : 64;
		s->written = realloc(s->written, s->written_room * sizeof *s->written);
		if (!s->written)
			abort();
	}
	s->written[s->written_count++] = *digest;
	return true;
}

static void blob_path(char path[128], const struct oci_digest *digest)
{
	snprintf(path, 128, "blobs/sha256/%s", oci_digest_hex(digest));
}

/* A blob of size bytes from a file, from its beginning. sha gets them, where it is not NULL. */
static int copy_blob(struct save *s, int from, const struct oci_digest *digest, int64_t size,
	struct sha256 *sha, struct err *e)
{
	char path[128];
	off_t at = 0;
	int rc = 0;

	blob_path(path, digest);
	int file = begin_file(s, path, size);
	if (file < 0)
		return cannot_write(s, file, e);
	while (rc == 0 && at < size) {
		size_t want = size - at < PIECE ? (size_t)(size - at) : PIECE;
		ssize_t n = pread(from, s->piece, want, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? err_errno(e, errno, "cannot read blob %s", digest->text)
				   : err_set(e, ERR_CORRUPT, 0, "blob %s ends too early", digest->text);
			break;
		}
		if (sha)
			sha256_update(sha, s->piece, (size_t)n);
		int number = write_piece(s, file, s->piece, (size_t)n);
		if (number < 0)
			rc = cannot_write(s, number, e);
		at += n;
	}
	int number = end_file(s, file);
	if (rc == 0 && number < 0)
		rc = cannot_write(s, number, e);
	return rc;
}

/* A blob of the store, whose bytes have to be the ones that its digest says. */
static int put_kept(struct save *s, const struct oci_digest *digest, int64_t size, struct err *e)
{
	struct sha256 sha;
	unsigned char raw[SHA256_SIZE];
	struct oci_digest found;

	if (!is_new(s, digest))
		return 0;
	auto_close int from = blob_open(&s->engine->store, digest, e);
	sha256_init(&sha);
	if (from < 0 || copy_blob(s, from, digest, size, &sha, e) < 0)
		return -1;
	sha256_final(&sha, raw);
	oci_digest_from_sha256(raw, &found);
	if (!oci_digest_equal(&found, digest))
		return err_set(e, ERR_CORRUPT, 0, "blob %s of this store is damaged: its digest is %s",
			digest->text, found.text);
	return 0;
}

static int put_bytes(struct save *s, const struct buf *bytes, const struct oci_digest *digest, struct err *e)
{
	char path[128];

	blob_path(path, digest);
	return is_new(s, digest) ? put_document(s, path, bytes->data, bytes->length, e) : 0;
}

static void digest_of(const struct buf *bytes, struct oci_digest *out)
{
	struct sha256 sha;
	unsigned char raw[SHA256_SIZE];

	sha256_init(&sha);
	sha256_update(&sha, bytes->data, bytes->length);
	sha256_final(&sha, raw);
	oci_digest_from_sha256(raw, out);
}

/* ---- an image that is as it came ---- */

/* 1: written; 0: something of it is not kept; -1. */
static int put_as_it_came(struct save *s, struct saved *saved, struct err *e)
{
	struct store *store = &s->engine->store;
	const struct image *image = &saved->image;
	struct oci_manifest manifest;
	struct err ignored;
	auto_buf struct buf text = {0};
	int64_t size;

	if (image->stacked || !image->manifest.text[0] || !blob_has(store, &image->manifest, &size))
		return 0;
	if (blob_read(store, &image->manifest, OCI_MANIFEST_LIMIT, &text, e) < 0)
		return -1;
	if (oci_manifest_parse(s->engine->arena, text.data, text.length, NULL, &manifest, &ignored) < 0 ||
		!oci_digest_equal(&manifest.config.digest, &image->id) ||
		!blob_has(store, &manifest.config.digest, &size) || size != manifest.config.size)
		return 0;
	for (size_t i = 0; i < manifest.count; i++)
		if (!blob_has(store, &manifest.layers[i].digest, &size) || size != manifest.layers[i].size)
			return 0;
	saved->layers = arena_array(s->engine->arena, manifest.count + 1, sizeof *saved->layers);
	saved->layer_count = manifest.count;
	for (size_t i = 0; i < manifest.count; i++) {
		saved->layers[i] = manifest.layers[i].digest;
		if (put_kept(s, &manifest.layers[i].digest, manifest.layers[i].size, e) < 0)
			return -1;
	}
	saved->config = manifest.config.digest;
	saved->manifest =
		(struct oci_descriptor){.media_type = arena_strdup(s->engine->arena, manifest.media_type),
			.digest = image->manifest,
			.size = (int64_t)text.length};
	if (put_kept(s, &manifest.config.digest, manifest.config.size, e) < 0 ||
		put_bytes(s, &text, &image->manifest, e) < 0)
		return -1;
	return 1;
}

/* ---- an image of which something is made here ---- */

struct spool {
	int file;
	int64_t size;
	struct sha256 sha;
	struct buf pending;
};

static int spool_bytes(void *context, const void *bytes, size_t size)
{
	struct spool *spool = context;
	int rc = 0;

	sha256_update(&spool->sha, bytes, size);
	spool->size += (int64_t)size;
	buf_append(&spool->pending, bytes, size);
	if (spool->pending.length >= PIECE) {
		rc = fd_write_full(spool->file, spool->pending.data, spool->pending.length);
		spool->pending.length = 0;
	}
	return rc;
}

/* From the layer's tree. Its size stands before it in the archive, so it is made in the store first, in a
 * file that nobody sees. */
static int put_tree(struct save *s, const char *chain, struct oci_descriptor *layer, struct err *e)
{
	struct store *store = &s->engine->store;
	struct blob_stage stage;
	unsigned char raw[SHA256_SIZE];

	if (driver_use(store, NULL, e) < 0 || blob_stage(store, &stage, e) < 0)
		return -1;
	struct spool spool = {.file = stage.fd};
	struct tar_writer w = {.write = spool_bytes, .context = &spool};
	sha256_init(&spool.sha);
	int rc = layer_archive(store, chain, &w, e);
	if (rc == 0) {
		int number = fd_write_full(spool.file, spool.pending.data, spool.pending.length);
		if (number < 0)
			rc = err_errno(e, number, "cannot make a layer's archive in %s", store->path);
	}
	buf_free(&spool.pending);
	sha256_final(&spool.sha, raw);
	oci_digest_from_sha256(raw, &layer->digest);
	layer->media_type = OCI_TYPE_LAYER;
	layer->size = spool.size;
	if (rc == 0 && is_new(s, &layer->digest))
		rc = copy_blob(s, stage.fd, &layer->digest, layer->size, NULL, e);
	blob_drop(store, &stage);
	return rc;
}

static const char *type_of_layer(int file)
{
	static const unsigned char gzip[2] = {0x1f, 0x8b}, zstd[4] = {0x28, 0xb5, 0x2f, 0xfd};
	unsigned char first[4] = {0};

	if (pread(file, first, sizeof first, 0) < 0)
		return OCI_TYPE_LAYER;
	if (!memcmp(first, gzip, sizeof gzip))
		return OCI_TYPE_LAYER_GZIP;
	return memcmp(first, zstd, sizeof zstd) ? OCI_TYPE_LAYER : OCI_TYPE_LAYER_ZSTD;
}

/* *content is the digest of the archive in it. */
static int put_layer(struct save *s, const struct image_layer *from, struct oci_descriptor *layer,
	struct oci_digest *content, struct err *e)
{
	struct store *store = &s->engine->store;
	int64_t size;

	if (from->blob.text[0] && blob_has(store, &from->blob, &size)) {
		auto_close int file = blob_open(store, &from->blob, e);
		if (file < 0)
			return -1;
		*layer = (struct oci_descriptor){
			.media_type = type_of_layer(file), .digest = from->blob, .size = size};
		*content = from->diff_id;
		return put_kept(s, &from->blob, size, e);
	}
	if (put_tree(s, oci_digest_hex(&from->chain_id), layer, e) < 0)
		return -1;
	*content = layer->digest;
	return 0;
}

static int put_made(struct save *s, struct saved *saved, struct err *e)
{
	struct arena *arena = s->engine->arena;
	struct store *store = &s->engine->store;
	struct image *image = &saved->image;
	struct oci_config config;
	auto_buf struct buf text = {0}, document = {0};
	bool changed = image->stacked;

	if (image_config(store, arena, image, &config, e) < 0 || image_all_layers(store, arena, image, e) < 0)
		return -1;
	if (config.layer_count != image->layer_count)
		return err_set(e, ERR_CORRUPT, 0, "the record of image %s and its configuration disagree",
			image->serial);
	struct oci_descriptor *layers = arena_array(arena, image->layer_count + 1, sizeof *layers);
	saved->layers = arena_array(arena, image->layer_count + 1, sizeof *saved->layers);
	saved->layer_count = image->layer_count;
	for (size_t i = 0; i < image->layer_count; i++) {
		struct oci_digest content;
		if (put_layer(s, &image->layers[i], &layers[i], &content, e) < 0)
			return -1;
		changed = changed || !oci_digest_equal(&content, &config.diff_ids[i]);
		config.diff_ids[i] = content;
		saved->layers[i] = layers[i].digest;
	}
	saved->config = image->id;
	if (changed) {
		config.below = (struct oci_digest){0};
		config.below_stacked = false;
		oci_config_write(&text, &config);
		digest_of(&text, &saved->config);
	} else if (blob_read(store, &image->id, OCI_CONFIG_LIMIT, &text, e) < 0) {
		return -1;
	}
	const struct oci_manifest manifest = {
		.media_type = OCI_TYPE_MANIFEST,
		.config = {.media_type = OCI_TYPE_CONFIG,
			.digest = saved->config,
			.size = (int64_t)text.length},
		.layers = layers,
		.count = image->layer_count,
	};
	oci_manifest_write(&document, &manifest);
	saved->manifest =
		(struct oci_descriptor){.media_type = OCI_TYPE_MANIFEST, .size = (int64_t)document.length};
	digest_of(&document, &saved->manifest.digest);
	return put_bytes(s, &text, &saved->config, e) < 0 ||
			       put_bytes(s, &document, &saved->manifest.digest, e) < 0
		       ? -1
		       : 0;
}

/* ---- the documents ---- */

static void put_index_entry(
	struct save *s, struct json_writer *w, const struct saved *saved, const char *name)
{
	struct reference reference;
	struct err ignored;

	json_begin_object(w, NULL);
	json_put_string(w, "mediaType", saved->manifest.media_type);
	json_put_string(w, "digest", saved->manifest.digest.text);
	json_put_integer(w, "size", saved->manifest.size);
	if (name && reference_parse(s->engine->arena, name, &reference, &ignored) == 0) {
		json_begin_object(w, "annotations");
		json_put_string(w, "io.containerd.image.name", reference_full(s->engine->arena, &reference));
		json_put_string(w, "org.opencontainers.image.ref.name", reference.tag);
		json_end_object(w);
	}
	json_begin_object(w, "platform");
	json_put_string(w, "architecture", saved->image.platform.architecture);
	json_put_string(w, "os", saved->image.platform.os);
	if (*saved->image.platform.variant)
		json_put_string(w, "variant", saved->image.platform.variant);
	json_end_object(w);
	json_end_object(w);
}

static void write_index(struct save *s, struct buf *out)
{
	struct json_writer w = {.out = out};

	json_begin_object(&w, NULL);
	json_put_integer(&w, "schemaVersion", 2);
	json_put_string(&w, "mediaType", OCI_TYPE_INDEX);
	json_begin_array(&w, "manifests");
	for (size_t i = 0; i < s->count; i++) {
		const struct saved *saved = &s->images[i];
		for (size_t k = 0; k < saved->names.count; k++)
			put_index_entry(s, &w, saved, saved->names.items[k]);
		if (!saved->names.count)
			put_index_entry(s, &w, saved, NULL);
	}
	json_end_array(&w);
	json_end_object(&w);
}

/* docker's. */
static void write_manifest(struct save *s, struct buf *out)
{
	struct json_writer w = {.out = out};
	char path[128];

	json_begin_array(&w, NULL);
	for (size_t i = 0; i < s->count; i++) {
		const struct saved *saved = &s->images[i];
		json_begin_object(&w, NULL);
		blob_path(path, &saved->config);
		json_put_string(&w, "Config", path);
		if (saved->names.count)
			json_put_strings(&w, "RepoTags", saved->names.items);
		else
			json_put_null(&w, "RepoTags");
		json_begin_array(&w, "Layers");
		for (size_t k = 0; k < saved->layer_count; k++) {
			blob_path(path, &saved->layers[k]);
			json_put_string(&w, NULL, path);
		}
		json_end_array(&w);
		json_end_object(&w);
	}
	json_end_array(&w);
}

static int put_folder(struct save *s, const char *path, struct err *e)
{
	const struct tar_entry entry = {.type = TAR_DIRECTORY, .path = path, .link = "", .mode = 0755};
	int rc = s->options->form == SAVE_DIRECTORY ? (mkdirat(s->out, path, 0755) < 0 ? -errno : 0)
						    : tar_write_entry(&s->tar, &entry);
	return rc < 0 ? cannot_write(s, rc, e) : 0;
}

static int put_all(struct save *s, struct err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	auto_buf struct buf index = {0}, manifest = {0};

	if (put_folder(s, "blobs", e) < 0 || put_folder(s, "blobs/sha256", e) < 0)
		return -1;
	for (size_t i = 0; i < s->count; i++) {
		int rc = put_as_it_came(s, &s->images[i], e);
		if (rc < 0 || (rc == 0 && put_made(s, &s->images[i], e) < 0))
			return -1;
	}
	write_index(s, &index);
	if (put_document(s, "index.json", index.data, index.length, e) < 0)
		return -1;
	if (s->options->form == SAVE_BOTH) {
		write_manifest(s, &manifest);
		if (put_document(s, "manifest.json", manifest.data, manifest.length, e) < 0)
			return -1;
	}
	if (put_document(s, "oci-layout", layout, sizeof layout - 1, e) < 0)
		return -1;
	if (s->options->form == SAVE_DIRECTORY)
		return 0;
	int rc = tar_write_end(&s->tar);
	if (rc == 0)
		rc = flush(s);
	return rc < 0 ? cannot_write(s, rc, e) : 0;
}

/* ---- the file ---- */

static int put_file(struct save *s, struct err *e)
{
	struct new_file file;
	int number = new_file_open(&file, s->options->path);

	if (number < 0)
		return cannot_write(s, number, e);
	s->out = file.fd;
	int rc = put_all(s, e);
	s->out = -1;
	if (rc < 0) {
		new_file_drop(&file);
		return -1;
	}
	number = new_file_commit(&file, s->options->path);
	return number < 0 ? cannot_write(s, number, e) : 0;
}

static int put_directory(struct save *s, struct err *e)
{
	const char *path = s->options->path;
	bool made = mkdir(path, 0755) == 0;

	if (!made && errno != EEXIST)
		return cannot_write(s, errno, e);
	s->out = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (s->out < 0)
		return cannot_write(s, s->out, e);
	int empty = fd_is_empty(s->out);
	if (empty < 0)
		return cannot_write(s, empty, e);
	if (!empty) {
		err_set(e, ERR_CONFLICT, 0, "cannot write %s: the folder is not empty", path);
		return err_hint(e, "name one that is not there yet");
	}
	int rc = put_all(s, e);
	if (rc < 0) {
		static const char *const parts[] = {"blobs", "index.json", "oci-layout"};
		for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
			fd_remove_tree(s->out, parts[i]);
		if (made)
			rmdir(path);
	}
	return rc;
}

static int save_asked(struct save *s, struct err *e)
{
	const struct save_options *options = s->options;

	for (size_t i = 0; i < options->count; i++)
		if (add_asked(s, options->images[i], e) < 0)
			return -1;
	for (size_t i = 0; i < s->count; i++)
		if (check_platform(s, &s->images[i].image, e) < 0)
			return -1;
	if (options->form == SAVE_DIRECTORY)
		return put_directory(s, e);
	if (options->path)
		return put_file(s, e);
	s->out = fcntl(options->output, F_DUPFD_CLOEXEC, 3);
	return s->out < 0 ? cannot_write(s, errno, e) : put_all(s, e);
}

int engine_save(struct engine *engine, const struct save_options *options, struct err *e)
{
	struct store *store = &engine->store;
	auto_free char *piece = malloc(PIECE);
	struct save s = {.engine = engine, .options = options, .out = -1, .piece = piece};

	if (!piece)
		return err_errno(e, ENOMEM, "cannot save");
	s.tar = (struct tar_writer){.write = take_bytes, .context = &s};
	/* Nothing that is being written is removed meanwhile. */
	if (store_lock(store, STORE_SHARED, e) < 0)
		return -1;
	int rc = save_asked(&s, e);
	store_unlock(store);
	close_fd(&s.out);
	buf_free(&s.tar.pax);
	buf_free(&s.pending);
	free(s.images);
	free(s.written);
	return rc;
}
