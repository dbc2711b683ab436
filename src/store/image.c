/* image.c - image records: adding, finding, listing, tagging. */
#include "store/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/image_names.h"

enum { RECORD_LIMIT = 8 << 20, RECORD_NAME = 64 + 5 + 1, RECORD_VERSION = 1 };

static void record_name(char out[RECORD_NAME], const char *id)
{
	snprintf(out, RECORD_NAME, "%.64s.json", id);
}

static int damaged(const struct store *store, const char *id, const char *why, struct err *e)
{
	err_set(e, ERR_CORRUPT, 0, "the record of image %.12s is damaged (%s/images/%s.json: %s)", id,
		store->path, id, why);
	return err_hint(e, "remove it with brig rmi -f %.12s, and pull it again", id);
}

/* A digest of a record; one that is missing is allowed where optional is set. */
static bool read_digest(const struct json *object, const char *key, bool optional, struct oci_digest *out)
{
	struct err ignored;
	const char *text = json_get_string(object, key);
	if (!text || !*text)
		return optional;
	return oci_digest_parse(text, out, &ignored) == 0;
}

static int64_t read_when(const struct json *object, const char *key)
{
	int64_t when = TIME_NONE;
	const char *text = json_get_string(object, key);
	if (text)
		time_parse(text, &when);
	return when;
}

static const char *parse_record(
	struct arena *arena, const struct json *root, const char *id, struct image *out)
{
	const struct json *layers = json_get_array(root, "layers");
	const char *serial = json_get_string(root, "serial");

	if (json_get_integer(root, "version", 0) != RECORD_VERSION)
		return "its version is not 1";
	if (!read_digest(root, "id", false, &out->id) || strcmp(oci_digest_hex(&out->id), id) != 0)
		return "it tells another id";
	if (!read_digest(root, "manifest", true, &out->manifest))
		return "its manifest has no valid digest";
	if (!layers || layers->list.count > OCI_LAYERS_MAX)
		return "it has no layers";
	if (serial && reference_is_serial(serial))
		snprintf(out->serial, sizeof out->serial, "%s", serial);
	out->created = read_when(root, "created");
	out->added = read_when(root, "added");
	out->size = json_get_integer(root, "size", 0);
	out->stacked = json_get_bool(root, "stacked", false);
	int64_t hidden = json_get_integer(root, "hidden", 0);
	if (!read_digest(root, "parent", true, &out->parent) || hidden < 0 || (hidden && !layers->list.count))
		return "its parent is not valid";
	out->hidden = (size_t)hidden;
	oci_platform_from(json_get_string(root, "os"), json_get_string(root, "architecture"),
		json_get_string(root, "variant"), &out->platform);
	out->layers = arena_array(arena, layers->list.count + 1, sizeof *out->layers);
	json_for_each (item, layers) {
		struct image_layer *layer = &out->layers[out->layer_count++];
		if (!read_digest(item, "diff_id", false, &layer->diff_id) ||
			!read_digest(item, "chain_id", false, &layer->chain_id) ||
			!read_digest(item, "blob", true, &layer->blob))
			return "a layer has no valid digest";
		layer->blob_size = json_get_integer(item, "blob_size", 0);
		layer->size = json_get_integer(item, "size", 0);
	}
	return NULL;
}

const char *image_record_parse(
	struct arena *arena, const char *bytes, size_t length, const char *id, struct image *image)
{
	struct err bad;
	const struct json *root = json_parse(arena, bytes, length, "it", &bad);
	return root ? parse_record(arena, root, id, image) : arena_strdup(arena, bad.what);
}

/* The names of an image, as its owner sees them. */
static void read_names(struct arena *arena, const struct image_names *names, struct image *image)
{
	struct err ignored;
	struct reference reference;
	const char *id = oci_digest_hex(&image->id);

	image->tagged = TIME_NONE;
	for (size_t i = 0; i < names->count; i++) {
		const struct image_name *entry = &names->items[i];
		if (strcmp(entry->id, id) != 0)
			continue;
		if (entry->kind == IMAGE_NAME_SERIAL)
			snprintf(image->serial, sizeof image->serial, "%s", entry->name);
		else if (reference_parse(arena, entry->name, &reference, &ignored) == 0)
			strings_add(arena, entry->kind == IMAGE_NAME_TAG ? &image->tags : &image->digests,
				reference_familiar(arena, &reference));
		if (entry->kind == IMAGE_NAME_TAG && entry->when > image->tagged)
			image->tagged = entry->when;
	}
}

int image_read(struct store *store, struct arena *arena, const struct image_names *names, const char *id,
	struct image *image, struct err *e)
{
	auto_buf struct buf text = {0};
	struct image parsed = {0};
	char name[RECORD_NAME];
	int folder = store_folder(store, STORE_IMAGES, e);

	if (folder < 0)
		return -1;
	record_name(name, id);
	int rc = fd_read_file(folder, name, RECORD_LIMIT, &text);
	if (rc == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "there is no record of image %.12s", id);
	if (rc == -EFBIG || rc == -EINVAL || rc == -ELOOP)
		return damaged(store, id, "it is no file of ours", e);
	if (rc < 0)
		return err_errno(e, rc, "cannot read %s/images/%s", store->path, name);
	const char *why = image_record_parse(arena, text.data ? text.data : "", text.length, id, &parsed);
	if (why)
		return damaged(store, id, why, e);
	read_names(arena, names, &parsed);
	*image = parsed;
	return 0;
}

static int write_record(struct store *store, const struct image *image, struct err *e)
{
	auto_buf struct buf text = {0};
	struct json_writer w = {.out = &text};
	char name[RECORD_NAME], when[TIME_TEXT];
	int folder = store_folder(store, STORE_IMAGES, e);

	if (folder < 0)
		return -1;
	json_begin_object(&w, NULL);
	json_put_integer(&w, "version", RECORD_VERSION);
	json_put_string(&w, "id", image->id.text);
	json_put_string(&w, "serial", image->serial);
	json_put_string(&w, "manifest", image->manifest.text);
	json_put_string(&w, "created", time_format(when, image->created));
	json_put_string(&w, "added", time_format(when, image->added));
	json_put_string(&w, "os", image->platform.os);
	json_put_string(&w, "architecture", image->platform.architecture);
	json_put_string(&w, "variant", image->platform.variant);
	json_put_integer(&w, "size", image->size);
	if (image->parent.text[0])
		json_put_string(&w, "parent", image->parent.text);
	if (image->stacked)
		json_put_bool(&w, "stacked", true);
	if (image->hidden)
		json_put_integer(&w, "hidden", (int64_t)image->hidden);
	json_begin_array(&w, "layers");
	for (size_t i = 0; i < image->layer_count; i++) {
		const struct image_layer *layer = &image->layers[i];
		json_begin_object(&w, NULL);
		json_put_string(&w, "diff_id", layer->diff_id.text);
		json_put_string(&w, "chain_id", layer->chain_id.text);
		json_put_string(&w, "blob", layer->blob.text);
		json_put_integer(&w, "blob_size", layer->blob_size);
		json_put_integer(&w, "size", layer->size);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	buf_string(&text, "\n");
	record_name(name, oci_digest_hex(&image->id));
	int rc = fd_replace(folder, name, text.data, text.length, 0600, true);
	return rc < 0 ? err_errno(e, rc, "cannot write %s/images/%s", store->path, name) : 0;
}

int image_each_record(
	struct store *store, int (*each)(void *context, const char *id), void *context, struct err *e)
{
	int folder = store_folder(store, STORE_IMAGES, e), rc = 0;
	if (folder < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		close_fd(&fd);
		return err_errno(e, errno, "cannot read %s/images", store->path);
	}
	struct dirent *entry;
	while (rc == 0 && (errno = 0, entry = readdir(stream))) {
		char id[65];
		size_t length = strlen(entry->d_name);
		if (length != RECORD_NAME - 1 || strcmp(entry->d_name + 64, ".json") != 0 ||
			strspn(entry->d_name, "0123456789abcdef") != 64) {
			/* What fd_replace() leaves when it is killed; writers are alone here. */
			if (store->images_lock >= 0 && store->writable && entry->d_name[0] == '.' &&
				length > 4 && !strcmp(entry->d_name + length - 4, ".new"))
				unlinkat(folder, entry->d_name, 0);
			continue;
		}
		snprintf(id, sizeof id, "%.64s", entry->d_name);
		rc = each(context, id);
	}
	/* A list cut short would make garbage of what other images need. */
	if (rc == 0 && errno)
		rc = err_errno(e, errno, "cannot read %s/images", store->path);
	closedir(stream);
	return rc;
}

struct adoption {
	struct store *store;
	struct image_names *names;
	const char **known; /* ids that have a serial, sorted: each record is looked for */
	size_t known_count;
	struct err *e;
	int count;
};

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int adopt(void *context, const char *id)
{
	struct adoption *a = context;
	auto_arena struct arena arena = {0};
	static const struct image_names none;
	struct image image = {0};
	struct err bad;

	if (a->known_count && bsearch(&id, a->known, a->known_count, sizeof *a->known, compare_ids))
		return 0;
	if (image_read(a->store, &arena, &none, id, &image, &bad) < 0 || !image.serial[0] ||
		image_names_get(a->names, image.serial)) {
		if (image_names_new_serial(a->names, image.serial, a->e) < 0)
			return -1;
	}
	image_names_set(a->names, image.serial, id, time_now());
	a->count++;
	return 0;
}

int image_names_adopt(struct store *store, struct image_names *names, struct err *e)
{
	struct adoption a = {.store = store, .names = names, .e = e};
	auto_arena struct arena arena = {0};

	a.known = arena_array(&arena, names->count + 1, sizeof *a.known);
	for (size_t i = 0; i < names->count; i++) {
		/* Where adopting moves the items, the old ones stay in their arena. */
		if (names->items[i].kind == IMAGE_NAME_SERIAL)
			a.known[a.known_count++] = names->items[i].id;
	}
	qsort(a.known, a.known_count, sizeof *a.known, compare_ids);
	return image_each_record(store, adopt, &a, e) < 0 ? -1 : a.count;
}

int image_names_begin(struct store *store, struct image_names *names, struct err *e)
{
	if (!store->writable)
		return err_set(e, ERR_DENIED, 0, "the store %s was opened for reading only", store->path);
	if (store_lock_images(store, STORE_EXCLUSIVE, e) < 0)
		return -1;
	if (image_names_load(store, names, e) < 0 || image_names_adopt(store, names, e) < 0) {
		store_unlock_images(store);
		return -1;
	}
	return 0;
}

/* Moves the names of one reference to the image. */
static int set_reference(struct image_names *names, const struct reference *reference, const char *id,
	int64_t now, struct err *e)
{
	auto_arena struct arena arena = {0};
	struct reference tagged = *reference, digested = *reference;

	if (reference_check_new(reference, e) < 0)
		return -1;
	reference_default_tag(&tagged);
	tagged.digest = digested.tag = NULL;
	if (tagged.tag)
		image_names_set(names, reference_full(&arena, &tagged), id, now);
	if (digested.digest)
		image_names_set(names, reference_full(&arena, &digested), id, now);
	return 0;
}

/* The serial of the image that is added: its own, the one handed over, or a new one. */
static int choose_serial(struct image_names *names, struct image *image, struct err *e)
{
	const char *id = oci_digest_hex(&image->id);
	const struct image_name *own = image_names_serial(names, id);

	if (own) {
		snprintf(image->serial, sizeof image->serial, "%s", own->name);
		return 0;
	}
	if (!image->serial[0] && image_names_new_serial(names, image->serial, e) < 0)
		return -1;
	if (!reference_is_serial(image->serial) || strncmp(image->serial, "img_", 4) != 0)
		return err_set(e, ERR_INVALID, 0, "%s is no serial name of an image", image->serial);
	struct image_name *held = image_names_get(names, image->serial);
	if (held) {
		char next[IMAGE_SERIAL];
		if (image_names_new_serial(names, next, e) < 0)
			return -1;
		image_names_set(names, next, held->id, held->when);
	}
	image_names_set(names, image->serial, id, image->added);
	return 0;
}

static int add_locked(struct store *store, struct image_names *names, struct image *image,
	const struct image_names_given *given, struct err *e)
{
	if (choose_serial(names, image, e) < 0)
		return -1;
	for (size_t i = 0; i < given->count; i++)
		if (set_reference(names, &given->references[i], oci_digest_hex(&image->id), image->added, e) <
			0)
			return -1;
	return write_record(store, image, e) < 0 ? -1 : image_names_save(store, names, e);
}

int image_add(struct store *store, struct image *image, const struct image_names_given *given, struct err *e)
{
	auto_names struct image_names names = {0};
	struct image added = *image;

	if (!oci_digest_is_sha256(&image->id))
		return err_set(e, ERR_UNSUPPORTED, 0, "the image has the id %.20s…: only sha256 is supported",
			image->id.text);
	/* Before the lock: this can take a second. */
	if (!given->synced && store_sync(store, e) < 0)
		return -1;
	added.added = time_now();
	if (image_names_begin(store, &names, e) < 0)
		return -1;
	int rc = add_locked(store, &names, &added, given, e);
	store_unlock_images(store);
	if (rc < 0)
		return -1;
	*image = added;
	return 0;
}

int image_find(struct store *store, struct arena *arena, const char *text, struct image *image, struct err *e)
{
	auto_names struct image_names names = {0};
	char id[65];

	if (image_names_map(store, &names, e) < 0)
		return -1;
	if (image_names_resolve(&names, text, id, e) < 0) {
		/* Nothing, or a line that cannot be read: the latter has to be told. */
		auto_names struct image_names all = {0};
		struct err bad;
		if (e->kind == ERR_NOT_FOUND && image_names_load(store, &all, &bad) < 0)
			*e = bad;
		return -1;
	}
	if (image_names_take(store, &names, id, e) < 0)
		return -1;
	if (image_read(store, arena, &names, id, image, e) == 0)
		return 0;
	if (e->kind != ERR_NOT_FOUND)
		return -1;
	if (image_names_serial(&names, id))
		return damaged(store, id, "it is missing", e);
	char shown[200];
	return err_set(e, ERR_NOT_FOUND, 0, "No such image: %s", err_sanitize(shown, sizeof shown, text));
}

static int compare_images(const void *a, const void *b)
{
	const struct image *left = a, *right = b;
	if (left->created != right->created)
		return left->created < right->created ? 1 : -1;
	return strcmp(left->id.text, right->id.text);
}

/* Those without a name on which others were committed. */
static void find_intermediate(struct arena *arena, struct image *list, size_t count)
{
	const char **parents = arena_array(arena, count + 1, sizeof *parents);
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (list[i].parent.text[0])
			parents[found++] = list[i].parent.text;
	}
	qsort(parents, found, sizeof *parents, compare_ids);
	for (size_t i = 0; i < count && found; i++) {
		const char *id = list[i].id.text;
		list[i].intermediate = !list[i].tags.count && !list[i].digests.count &&
				       bsearch(&id, parents, found, sizeof *parents, compare_ids);
	}
}

int image_list(struct store *store, struct arena *arena, struct image **images, size_t *count, struct err *e)
{
	auto_names struct image_names names = {0};
	size_t found = 0;

	if (image_names_load(store, &names, e) < 0)
		return -1;
	struct image *list = arena_array(arena, names.count + 1, sizeof *list);
	for (size_t i = 0; i < names.count; i++) {
		const struct image_name *entry = &names.items[i];
		struct image *image = &list[found];
		if (entry->kind != IMAGE_NAME_SERIAL)
			continue;
		if (image_read(store, arena, &names, entry->id, image, e) < 0) {
			if (e->kind != ERR_CORRUPT && e->kind != ERR_NOT_FOUND)
				return -1;
			*image = (struct image){.damaged = true, .created = TIME_NONE, .added = TIME_NONE};
			oci_digest_from_hex(entry->id, &image->id);
			read_names(arena, &names, image);
		}
		found++;
	}
	qsort(list, found, sizeof *list, compare_images);
	find_intermediate(arena, list, found);
	*images = list;
	*count = found;
	return 0;
}

int image_tag(struct store *store, const struct oci_digest *id, const struct reference *name,
	struct oci_digest *previous, struct err *e)
{
	auto_names struct image_names names = {0};
	auto_arena struct arena arena = {0};
	struct reference wanted = *name;
	struct oci_digest had = {0};

	wanted.digest = NULL;
	reference_default_tag(&wanted);
	if (image_names_begin(store, &names, e) < 0)
		return -1;
	int rc = 0;
	const struct image_name *entry = image_names_get(&names, reference_full(&arena, &wanted));
	if (entry)
		oci_digest_from_hex(entry->id, &had);
	if (!image_names_serial(&names, oci_digest_hex(id)))
		rc = err_set(e, ERR_NOT_FOUND, 0, "No such image: %s", id->text);
	if (rc == 0)
		rc = set_reference(&names, &wanted, oci_digest_hex(id), time_now(), e);
	if (rc == 0)
		rc = image_names_save(store, &names, e);
	store_unlock_images(store);
	if (rc == 0 && previous)
		*previous = had;
	return rc;
}

int image_check_layers(struct store *store, const struct image *image, struct err *e)
{
	struct stat st;

	if (!image->layer_count)
		return 0;
	int folder = store_folder(store, STORE_LAYERS, e);
	for (size_t i = 0; i < image->layer_count; i++) {
		const char *chain = oci_digest_hex(&image->layers[i].chain_id);
		if (folder >= 0 && fstatat(folder, chain, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISDIR(st.st_mode))
			continue;
		const char *id = oci_digest_hex(&image->id);
		err_set(e, ERR_CORRUPT, 0, "a layer of image %.12s is missing: %s/layers/%s", id, store->path,
			chain);
		return err_hint(e, "remove it with brig rmi -f %.12s, and pull it again", id);
	}
	return 0;
}
