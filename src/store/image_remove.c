/*
 * image_remove.c - what removing an image means, and what nobody uses any more.
 *
 * The decisions are docker's (its rmi): a name is one of the image's references; the image
 * itself goes with the last tag of the repository that it is in.
 */
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
#include "store/blob.h"
#include "store/driver.h"
#include "store/image_names.h"
#include "store/layer_commit.h"

/* "docker.io/library/debian" of a name with tag or digest. */
static size_t repository_length(const char *name)
{
	const char *at = strchr(name, '@');
	if (at)
		return (size_t)(at - name);
	const char *colon = strrchr(name, ':');
	return colon ? (size_t)(colon - name) : strlen(name);
}

static bool same_repository(const char *a, const char *b)
{
	size_t length = repository_length(a);
	return length == repository_length(b) && !memcmp(a, b, length);
}

static bool is_reference_of(const struct image_name *entry, const char *id)
{
	return entry->kind != IMAGE_NAME_SERIAL && !strcmp(entry->id, id);
}

static size_t count_references(const struct image_names *names, const char *id)
{
	size_t count = 0;
	for (size_t i = 0; i < names->count; i++)
		count += is_reference_of(&names->items[i], id);
	return count;
}

/* At most one tag, and every digest in that tag's repository. */
static bool is_single_reference(const struct image_names *names, const char *id)
{
	const struct image_name *tag = NULL, *digest = NULL;

	for (size_t i = 0; i < names->count; i++) {
		const struct image_name *entry = &names->items[i];
		if (!is_reference_of(entry, id))
			continue;
		if (entry->kind == IMAGE_NAME_TAG) {
			if (tag)
				return false;
			tag = entry;
		} else {
			if (digest && !same_repository(digest->name, entry->name))
				return false;
			digest = entry;
		}
	}
	return !tag || !digest || same_repository(tag->name, digest->name);
}

/* One removal under way. */
struct removing {
	struct store *store;
	struct arena *arena;
	struct image_names *names;
	const struct image_users *users;
	struct image_removal *out;
	bool force, prune;
	char id[65];
	struct image_note note; /* what was written into images/garbage */
	bool damaged;           /* an image's layers are not known */
	struct image *removed;  /* the images that went: the one that was meant, then its parents */
	size_t removed_count;
};

static void untag(struct removing *r, const char *name)
{
	struct reference reference;
	struct err ignored;

	if (reference_parse(r->arena, name, &reference, &ignored) == 0)
		strings_add(r->arena, &r->out->untagged, reference_familiar(r->arena, &reference));
	image_names_drop(r->names, name);
}

/* Drops the references that fit; repository NULL takes all, else only that one's digests. */
static void untag_all(struct removing *r, const char *repository)
{
	for (size_t i = 0; i < r->names->count;) {
		const struct image_name *entry = &r->names->items[i];
		bool fits = is_reference_of(entry, r->id) &&
			    (!repository || (entry->kind == IMAGE_NAME_DIGEST &&
						    same_repository(entry->name, repository)));
		if (fits)
			untag(r, arena_strdup(r->arena, entry->name));
		else
			i++;
	}
}

static bool repository_has_tag(const struct removing *r, const char *name)
{
	for (size_t i = 0; i < r->names->count; i++) {
		const struct image_name *entry = &r->names->items[i];
		if (entry->kind == IMAGE_NAME_TAG && !strcmp(entry->id, r->id) &&
			same_repository(entry->name, name))
			return true;
	}
	return false;
}

static bool container_uses(const struct removing *r, char container[65], bool *running)
{
	*running = false;
	return r->users && r->users->image_used &&
	       r->users->image_used(r->users->context, r->id, container, running);
}

/* Whether another image was committed on this one. */
struct child_search {
	struct store *store;
	const char *id;
	bool found;
};

static int look_for_child(void *context, const char *id)
{
	struct child_search *search = context;
	static const struct image_names none;
	auto_arena struct arena arena = {0};
	struct image image;
	struct err bad;

	if (image_read(search->store, &arena, &none, id, &image, &bad) == 0 &&
		!strcmp(oci_digest_hex(&image.parent), search->id))
		search->found = true;
	return search->found;
}

static bool has_children(const struct removing *r)
{
	struct child_search search = {.store = r->store, .id = r->id};
	struct err ignored;

	return image_each_record(r->store, look_for_child, &search, &ignored) < 0 || search.found;
}

/* What stands in the way of deleting the image itself. */
static int check_conflicts(const struct removing *r, struct err *e)
{
	char container[65] = "";
	bool running, used = container_uses(r, container, &running);

	if (has_children(r)) {
		err_set(e, ERR_CONFLICT, 0,
			"conflict: unable to delete %.12s (cannot be forced) - image has dependent child "
			"images",
			r->id);
		return err_hint(e, "remove those first that were committed on it: brig images -a");
	}
	if (used && running) {
		err_set(e, ERR_CONFLICT, 0,
			"conflict: unable to delete %.12s (cannot be forced) - image is being used by "
			"running container %.12s",
			r->id, container);
		return err_hint(e, "stop and remove the container first: brig rm -f %.12s", container);
	}
	if (r->force)
		return 0;
	if (count_references(r->names, r->id) > 1 && !is_single_reference(r->names, r->id)) {
		err_set(e, ERR_CONFLICT, 0,
			"conflict: unable to delete %.12s (must be forced) - image is referenced in multiple "
			"repositories",
			r->id);
		return err_hint(e, "remove it by one of its names, or with -f and all of them");
	}
	if (used) {
		err_set(e, ERR_CONFLICT, 0,
			"conflict: unable to delete %.12s (must be forced) - image is being used by stopped "
			"container %.12s",
			r->id, container);
		return err_hint(e, "remove the container first: brig rm %.12s", container);
	}
	return 0;
}

/* The name is given up; *whole says whether the image has to go too. */
static int remove_name(struct removing *r, const char *text, const char *name, bool *whole, struct err *e)
{
	char container[65] = "";
	bool running;

	if (!r->force && is_single_reference(r->names, r->id) && container_uses(r, container, &running)) {
		err_set(e, ERR_CONFLICT, 0,
			"conflict: unable to remove repository reference \"%s\" (must force) - container "
			"%.12s is using its "
			"referenced image %.12s",
			text, container, r->id);
		return err_hint(e, "remove the container first: brig rm %.12s", container);
	}
	bool is_digest = image_names_get(r->names, name)->kind == IMAGE_NAME_DIGEST;
	untag(r, name);
	/* Digests that only told where the tag came from go with the repository's last tag. */
	if (!is_digest && !repository_has_tag(r, name))
		untag_all(r, name);
	*whole = count_references(r->names, r->id) == 0;
	/* Forced: it loses its name, and stays for the container; or for the images made of it. */
	if (*whole && ((container_uses(r, container, &running) && running) || has_children(r)))
		*whole = false;
	return 0;
}

/* Digests in use, sorted, each behind the letter of what it names: a layer that is the lowest
 * and a blob that was kept uncompressed have the same one. */
enum mark_kind { MARK_LAYER = 'l', MARK_BLOB = 'b', MARK_OTHERS_LAYER = 'o' /* no image's */ };

struct marks {
	struct arena arena;
	const char **table; /* open addressing: a power of two, at most half full */
	size_t count, room;
	bool unknown;        /* a record cannot be read: what it needs is not known */
	bool layers_unknown; /* nor what others than images need */
	bool kept;           /* something no image names was left for who uses it */
};

/* Where text is in the table, or has its place. */
static size_t place_of(const struct marks *marks, const char *text)
{
	size_t place = 0;

	/* The digits are a digest's: any of them will do. */
	for (int i = 0; i < 15; i++)
		place = place << 4 ^ (unsigned char)text[i];
	for (place &= marks->room - 1; marks->table[place]; place = (place + 1) & (marks->room - 1)) {
		if (!strcmp(marks->table[place], text))
			break;
	}
	return place;
}

static void grow(struct marks *marks)
{
	struct marks larger = {.room = marks->room ? marks->room * 4 : 1024};

	larger.table = arena_array(&marks->arena, larger.room, sizeof *larger.table);
	for (size_t i = 0; i < marks->room; i++) {
		if (marks->table[i])
			larger.table[place_of(&larger, marks->table[i])] = marks->table[i];
	}
	marks->table = larger.table;
	marks->room = larger.room;
}

/* false where it was marked already. */
static bool mark_hex(struct marks *marks, enum mark_kind kind, const char *hex)
{
	char text[1 + 64 + 1];

	if (marks->count * 2 >= marks->room)
		grow(marks);
	snprintf(text, sizeof text, "%c%.64s", kind, hex);
	size_t place = place_of(marks, text);
	if (marks->table[place])
		return false;
	marks->table[place] = arena_strdup(&marks->arena, text);
	marks->count++;
	return true;
}

static bool mark(struct marks *marks, enum mark_kind kind, const struct oci_digest *digest)
{
	return oci_digest_is_sha256(digest) && mark_hex(marks, kind, oci_digest_hex(digest));
}

static bool marked(const struct marks *marks, enum mark_kind kind, const char *hex)
{
	char text[1 + 64 + 1];

	snprintf(text, sizeof text, "%c%.64s", kind, hex);
	return marks->room && marks->table[place_of(marks, text)];
}

/* All that records refer to. */
struct marking {
	struct store *store;
	struct marks *marks;
};

/* The layers below one that was committed, down to one that is marked or the end of the links. */
static void mark_below(struct marking *m, const char *top)
{
	char chain[65];

	snprintf(chain, sizeof chain, "%.64s", top);
	for (;;) {
		int rc = layer_below(m->store, chain, chain);
		if (rc < 0)
			m->marks->unknown = true;
		if (rc != 1 || !mark_hex(m->marks, MARK_LAYER, chain))
			return;
	}
}

/* The configs whose history and layers come before those of an image's own. */
static void mark_configs_below(struct marking *m, struct arena *arena, const struct image *image)
{
	struct oci_digest digest = image->id;
	struct oci_config config;
	struct err bad;

	for (bool stacked = true; stacked;) {
		auto_buf struct buf text = {0};
		if (blob_read(m->store, &digest, OCI_CONFIG_LIMIT, &text, &bad) < 0 ||
			oci_config_parse(arena, text.data, text.length, &config, &bad) < 0)
			return; /* lost, and what is below it with it */
		if (!image_config_below(&config, &digest, &stacked) || !mark(m->marks, MARK_BLOB, &digest))
			return;
	}
}

static int mark_record(void *context, const char *id)
{
	struct marking *m = context;
	static const struct image_names none;
	auto_arena struct arena arena = {0};
	struct image image;
	struct err bad;
	struct oci_digest config;

	oci_digest_from_hex(id, &config);
	bool new = mark(m->marks, MARK_BLOB, &config);
	if (image_read(m->store, &arena, &none, id, &image, &bad) < 0) {
		m->marks->unknown = true;
		return 0;
	}
	mark(m->marks, MARK_BLOB, &image.manifest);
	for (size_t i = 0; i < image.layer_count; i++) {
		mark(m->marks, MARK_LAYER, &image.layers[i].chain_id);
		mark(m->marks, MARK_BLOB, &image.layers[i].blob);
	}
	if (image.hidden)
		mark_below(m, oci_digest_hex(&image.layers[image.layer_count - 1].chain_id));
	/* Where another's parts have led here, they have led on. */
	if (image.stacked && new)
		mark_configs_below(m, &arena, &image);
	return 0;
}

static bool mark_others_layer(void *marks, const char *chain)
{
	return mark_hex(marks, MARK_OTHERS_LAYER, chain);
}

static int mark_all(struct store *store, struct marks *marks, const struct image_users *users, struct err *e)
{
	struct marking m = {.store = store, .marks = marks};

	if (image_each_record(store, mark_record, &m, e) < 0)
		return -1;
	/* After the records: a container that was made of an image just before its record went is seen. */
	marks->layers_unknown =
		users && users->name_layers && !users->name_layers(users->context, mark_others_layer, marks);
	return 0;
}

/* What others than images use is garbage when those have gone: `kept` remembers that there is some. */
static bool layer_is_used(struct marks *marks, const char *chain)
{
	if (marked(marks, MARK_LAYER, chain))
		return true;
	bool used = marks->unknown || marks->layers_unknown || marked(marks, MARK_OTHERS_LAYER, chain);
	marks->kept |= used;
	return used;
}

static bool blob_is_used(struct marks *marks, const struct image_users *users, const char *blob)
{
	if (marked(marks, MARK_BLOB, blob))
		return true;
	bool used = marks->unknown || (users && users->blob_used && users->blob_used(users->context, blob));
	marks->kept |= used;
	return used;
}

/*
 * images/garbage: a note that content may be there which no image names. Written before an
 * image goes, taken away when all that was its own has gone: so what a kill leaves behind, or a
 * container keeps for now, is found by image_has_garbage(). The note is a random number: who
 * takes it away sees whether somebody has written a newer one meanwhile.
 */
static const char note_name[] = "garbage";

static bool read_note(struct store *store, uint64_t *note)
{
	struct err ignored;
	int folder = store_folder(store, STORE_IMAGES, &ignored);
	auto_close int fd = folder < 0 ? -1 : fd_open(folder, note_name, O_RDONLY | O_NOFOLLOW, 0);

	*note = 0;
	if (fd < 0)
		return false;
	fd_read_full(fd, note, sizeof *note);
	return true;
}

/* Whether there was one already. images/lock is held. */
static bool write_note(struct store *store, uint64_t *note)
{
	struct err ignored;
	bool there = read_note(store, note);
	int folder = store_folder(store, STORE_IMAGES, &ignored);
	auto_close int fd =
		folder < 0 ? -1 : fd_open(folder, note_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);

	fd_random(note, sizeof *note);
	if (fd >= 0)
		fd_write_full(fd, note, sizeof *note);
	return there;
}

int image_expect_garbage(struct store *store, struct image_note *note, struct err *e)
{
	if (store_lock_images(store, STORE_EXCLUSIVE, e) < 0)
		return -1;
	note->before = write_note(store, &note->number);
	store_unlock_images(store);
	return 0;
}

static void drop_note(struct store *store, uint64_t seen)
{
	struct err ignored;
	uint64_t now;

	if (store_lock_images(store, STORE_EXCLUSIVE, &ignored) < 0)
		return;
	int folder = store_folder(store, STORE_IMAGES, &ignored);
	if (folder >= 0 && read_note(store, &now) && now == seen)
		unlinkat(folder, note_name, 0);
	store_unlock_images(store);
}

void image_no_garbage(struct store *store, const struct image_note *note)
{
	if (!note->before)
		drop_note(store, note->number);
}

bool image_has_garbage(struct store *store)
{
	struct err ignored;
	struct stat st;
	int folder = store_folder(store, STORE_IMAGES, &ignored);

	return folder >= 0 && fstatat(folder, note_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Layers can be removed: the driver that made them is known, or none has made any. */
static bool has_driver(struct store *store, struct err *e)
{
	return driver_use_recorded(store, e) == 0;
}

static void collect_blob(struct store *store, struct marks *marks, const struct image_users *users,
	const struct oci_digest *digest, struct err *e)
{
	if (oci_digest_is_sha256(digest) && !blob_is_used(marks, users, oci_digest_hex(digest)) &&
		blob_remove(store, digest, e) < 0)
		marks->kept = true;
}

/* An image's config, and those below it that were only kept for its sake. */
static void collect_configs(struct removing *r, struct marks *marks, const struct image *image)
{
	struct oci_digest digest = image->id;
	bool stacked = image->stacked, more = true;
	struct oci_config config;
	struct err bad;

	while (more) {
		struct oci_digest now = digest;
		auto_buf struct buf text = {0};
		more = stacked && blob_read(r->store, &digest, OCI_CONFIG_LIMIT, &text, &bad) == 0 &&
		       oci_config_parse(r->arena, text.data, text.length, &config, &bad) == 0 &&
		       image_config_below(&config, &digest, &stacked);
		if (marked(marks, MARK_BLOB, oci_digest_hex(&now)))
			return;
		collect_blob(r->store, marks, r->users, &now, &bad);
	}
}

/* The highest first. What is above a layer that is in use is not looked at again. */
static void collect_layers(struct removing *r, struct marks *marks, struct image *image)
{
	struct err ignored;

	/* Hidden ones that cannot be told are left to image_collect(). */
	if (image_all_layers(r->store, r->arena, image, &ignored) < 0)
		marks->kept = true;
	for (size_t i = image->layer_count; i-- > 0;) {
		const struct image_layer *layer = &image->layers[i];
		const char *chain = oci_digest_hex(&layer->chain_id);
		/* Another image may have the layer from another blob. */
		collect_blob(r->store, marks, r->users, &layer->blob, &ignored);
		if (layer_is_used(marks, chain))
			continue;
		if (layer_remove(r->store, chain, &ignored) == 0)
			strings_add(r->arena, &r->out->deleted, arena_strdup(r->arena, layer->chain_id.text));
		else
			marks->kept = true;
	}
}

/* Removes what only the images used that went, whose records are gone. What cannot be removed is left to
 * image_collect(): the images themselves are removed in any case. Returns whether that was all. */
static bool remove_content(struct removing *r)
{
	struct marks marks = {0};
	struct err ignored;
	char container[65];
	bool running;

	for (size_t i = 0; i < r->removed_count; i++)
		strings_add(r->arena, &r->out->deleted, arena_strdup(r->arena, r->removed[i].id.text));
	/* Who has containers but cannot tell their layers gets nothing removed below them. */
	snprintf(r->id, sizeof r->id, "%.64s", oci_digest_hex(&r->removed[0].id));
	if (container_uses(r, container, &running) && !r->users->name_layers)
		return false;
	if (store_try_lock(r->store, STORE_EXCLUSIVE, &ignored) != 1)
		return false;
	marks.kept = true;
	if (mark_all(r->store, &marks, r->users, &ignored) == 0 && has_driver(r->store, &ignored)) {
		marks.kept = false;
		/* Its parents' layers are among the first one's. */
		collect_layers(r, &marks, &r->removed[0]);
		for (size_t i = 0; i < r->removed_count; i++) {
			collect_blob(r->store, &marks, r->users, &r->removed[i].manifest, &ignored);
			collect_configs(r, &marks, &r->removed[i]);
		}
	}
	arena_free(&marks.arena);
	store_unlock(r->store);
	return !marks.kept;
}

static void drop_serial(struct removing *r)
{
	const struct image_name *serial = image_names_serial(r->names, r->id);

	if (serial)
		image_names_drop(r->names, arena_strdup(r->arena, serial->name));
}

static void add_removed(struct removing *r, const struct image *image)
{
	/* Room for twice as many where their number is a power of two. */
	if (!(r->removed_count & (r->removed_count + 1))) {
		struct image *items = arena_array(r->arena, r->removed_count * 2 + 1, sizeof *items);
		if (r->removed_count)
			memcpy(items, r->removed, r->removed_count * sizeof *items);
		r->removed = items;
	}
	r->removed[r->removed_count++] = *image;
}

/* Deletes the records of the images that went, the last one first: a parent's stays until its
 * child's has gone. */
static int remove_records(struct removing *r, struct err *e)
{
	char record[80];
	int folder = r->removed_count ? store_folder(r->store, STORE_IMAGES, e) : 0;

	if (folder < 0)
		return -1;
	for (size_t i = 0; i < r->removed_count; i++) {
		snprintf(record, sizeof record, "%.64s.json", oci_digest_hex(&r->removed[i].id));
		if (unlinkat(folder, record, 0) < 0 && errno != ENOENT)
			return err_errno(e, errno, "cannot remove %s/images/%s", r->store->path, record);
	}
	return 0;
}

/* How many images were committed on each: by the parent's id. */
struct family {
	struct removing *r;
	const char **parents;
	size_t count, room;
};

static int add_parent(void *context, const char *id)
{
	struct family *family = context;
	static const struct image_names none;
	struct image image;
	struct err bad;

	if (image_read(family->r->store, family->r->arena, &none, id, &image, &bad) < 0 ||
		!image.parent.text[0])
		return 0;
	if (family->count == family->room) {
		size_t room = family->room ? family->room * 2 : 64;
		const char **parents = arena_array(family->r->arena, room, sizeof *parents);
		if (family->count)
			memcpy(parents, family->parents, family->count * sizeof *parents);
		family->parents = parents;
		family->room = room;
	}
	family->parents[family->count++] = arena_strdup(family->r->arena, oci_digest_hex(&image.parent));
	return 0;
}

/* docker's: parents without a name, on which nothing else was committed and which no container uses,
 * go too. */
static void prune_parents(struct removing *r, const struct image *image)
{
	struct family family = {.r = r};
	struct image child = *image;
	struct err ignored;
	char container[65];
	bool running;

	if (!child.parent.text[0] || image_each_record(r->store, add_parent, &family, &ignored) < 0)
		return;
	while (oci_digest_is_sha256(&child.parent)) {
		size_t children = 0;
		snprintf(r->id, sizeof r->id, "%.64s", oci_digest_hex(&child.parent));
		for (size_t i = 0; i < family.count; i++)
			children += !strcmp(family.parents[i], r->id);
		if (children != 1 || count_references(r->names, r->id) ||
			container_uses(r, container, &running) ||
			image_read(r->store, r->arena, r->names, r->id, &child, &ignored) < 0)
			return;
		drop_serial(r);
		add_removed(r, &child);
	}
}

/* Decides, and changes names and record. *image is what was deleted, where *whole is set. */
static int remove_locked(
	struct removing *r, const char *text, struct image *image, bool *whole, struct err *e)
{
	struct reference reference;
	struct err ignored;
	const char *name = NULL;

	if (image_names_resolve(r->names, text, r->id, e) < 0)
		return -1;
	int rc = image_read(r->store, r->arena, r->names, r->id, image, e);
	if (rc < 0) {
		bool known = image_names_serial(r->names, r->id) != NULL;
		if (!known && e->kind == ERR_NOT_FOUND)
			return err_set(e, ERR_NOT_FOUND, 0, "No such image: sha256:%s", r->id);
		if (e->kind != ERR_CORRUPT && e->kind != ERR_NOT_FOUND)
			return -1;
		*image = (struct image){0};
		r->damaged = true;
	}
	oci_digest_from_hex(r->id, &r->out->id);
	oci_digest_from_hex(r->id, &image->id);

	/* By name, unless it was an id or a serial that was given. */
	if (reference_parse(r->arena, text, &reference, &ignored) == 0) {
		reference_default_tag(&reference);
		if (reference.digest)
			reference.tag = NULL;
		name = reference_full(r->arena, &reference);
		struct image_name *entry = image_names_get(r->names, name);
		if (!entry || strcmp(entry->id, r->id) != 0)
			name = NULL;
	}
	*whole = true;
	if (name ? remove_name(r, text, name, whole, e) < 0 : check_conflicts(r, e) < 0)
		return -1;
	if (*whole) {
		untag_all(r, NULL);
		drop_serial(r);
		add_removed(r, image);
		if (r->prune)
			prune_parents(r, image);
		r->note.before = write_note(r->store, &r->note.number);
	}
	if (image_names_save(r->store, r->names, e) < 0)
		return -1;
	return remove_records(r, e);
}

int image_remove(struct store *store, struct arena *arena, const char *text, unsigned flags,
	const struct image_users *users, struct image_removal *removal, struct err *e)
{
	auto_names struct image_names names = {0};
	struct image_removal done = {0};
	struct removing r = {
		.store = store,
		.arena = arena,
		.names = &names,
		.users = users,
		.out = &done,
		.force = flags & IMAGE_REMOVE_FORCE,
		.prune = !(flags & IMAGE_REMOVE_NO_PRUNE),
	};
	struct image image = {0};
	bool whole = false;

	if (image_names_begin(store, &names, e) < 0)
		return -1;
	int rc = remove_locked(&r, text, &image, &whole, e);
	store_unlock_images(store);
	if (rc < 0)
		return -1;
	if (whole) {
		struct err ignored;
		if (remove_content(&r) && !r.damaged)
			image_no_garbage(store, &r.note);
		if (r.note.before)
			image_collect(store, users, NULL, &ignored);
	}
	*removal = done;
	return 0;
}

/* Every entry of a folder whose name is 64 hex digits: removed where nobody uses it. */
struct sweep {
	struct store *store;
	struct marks *marks;
	const struct image_users *users;
	int64_t *freed;
	int removed;
};

static int sweep_folder(struct sweep *s, enum store_folder which, struct err *e)
{
	int folder = store_folder(s->store, which, e);
	if (folder < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		close_fd(&fd);
		return err_errno(e, errno, "cannot read a folder of %s", s->store->path);
	}
	int rc = 0;
	struct dirent *entry;
	while (rc == 0 && (errno = 0, entry = readdir(stream))) {
		const char *name = entry->d_name;
		struct stat st;
		if (strlen(name) != 64 || strspn(name, "0123456789abcdef") != 64)
			continue;
		if (which == STORE_LAYERS) {
			if (layer_is_used(s->marks, name))
				continue;
			rc = layer_remove(s->store, name, e);
		} else {
			if (blob_is_used(s->marks, s->users, name))
				continue;
			struct oci_digest digest;
			oci_digest_from_hex(name, &digest);
			if (s->freed && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
				*s->freed += st.st_size;
			rc = blob_remove(s->store, &digest, e);
		}
		s->removed += rc == 0;
	}
	if (rc == 0 && errno)
		rc = err_errno(e, errno, "cannot read a folder of %s", s->store->path);
	closedir(stream);
	return rc;
}

int image_collect(struct store *store, const struct image_users *users, int64_t *freed, struct err *e)
{
	struct marks marks = {0};
	struct sweep s = {.store = store, .marks = &marks, .users = users, .freed = freed};

	if (!store->writable)
		return err_set(e, ERR_DENIED, 0, "the store %s was opened for reading only", store->path);
	int rc = store_try_lock(store, STORE_EXCLUSIVE, e);
	if (rc != 1)
		return rc;
	uint64_t note;
	bool noted = read_note(store, &note);
	rc = mark_all(store, &marks, users, e);
	if (rc == 0 && !has_driver(store, e))
		rc = -1;
	if (rc == 0)
		rc = sweep_folder(&s, STORE_LAYERS, e);
	if (rc == 0)
		rc = sweep_folder(&s, STORE_BLOBS, e);
	arena_free(&marks.arena);
	store_unlock(store);
	if (rc == 0 && noted && !marks.kept)
		drop_note(store, note);
	store_sweep(store);
	return rc < 0 ? -1 : s.removed;
}
