/* test_store_image.c - images of the store: records, names, removal, and what crashes leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/image_names.h"

struct place {
	char root[64];
	struct store store;
	struct arena arena;
	struct err e;
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	snprintf(place->root, sizeof place->root, "/tmp/brig-test-XXXXXX");
	if (!mkdtemp(place->root) || store_open(&place->store, place->root, STORE_WRITE, &place->e) < 0)
		return -1;
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	store_close(&place->store);
	arena_free(&place->arena);
	int rc = fd_remove_tree(AT_FDCWD, place->root);
	free(place);
	return rc;
}

/* An image of the given layers (letters), each the digest of "layer LETTER"; the config says
 * only seed. Its layers' folders and blobs are made. */
static struct image make_image(struct place *place, const char *layers, const char *seed)
{
	struct image image = {.created = strlen(seed) * TIME_SECOND, .platform = {"linux", "amd64", ""}};
	struct oci_config config = {.platform = image.platform, .created = image.created, .author = seed};
	auto_buf struct buf text = {0};
	struct err *e = &place->e;

	image.layer_count = config.layer_count = strlen(layers);
	image.layers = arena_array(&place->arena, image.layer_count + 1, sizeof *image.layers);
	config.diff_ids = arena_array(&place->arena, image.layer_count + 1, sizeof *config.diff_ids);
	for (size_t i = 0; i < image.layer_count; i++) {
		char bytes[] = {'l', 'a', 'y', 'e', 'r', layers[i]};
		struct image_layer *layer = &image.layers[i];
		oci_digest_of(bytes, sizeof bytes, &layer->diff_id);
		config.diff_ids[i] = layer->diff_id;
		oci_chain_id(i ? &image.layers[i - 1].chain_id : NULL, &layer->diff_id, &layer->chain_id);
		bytes[0] = 'b';
		assert_int_equal(blob_write(&place->store, bytes, sizeof bytes, &layer->blob, e), 0);
		layer->blob_size = sizeof bytes;
		layer->size = 1000;
		image.size += layer->size;
		int folder = store_folder(&place->store, STORE_LAYERS, e);
		assert_true(mkdirat(folder, oci_digest_hex(&layer->chain_id), 0700) == 0 || errno == EEXIST);
	}
	oci_config_write(&text, &config);
	assert_int_equal(blob_write(&place->store, text.data, text.length, &image.id, e), 0);
	assert_int_equal(blob_write(&place->store, seed, strlen(seed), &image.manifest, e), 0);
	return image;
}

/* Adds make_image() under names, words separated by spaces. */
static struct image add(struct place *place, const char *layers, const char *seed, const char *names)
{
	struct image image = make_image(place, layers, seed);
	struct reference references[8];
	size_t count = 0;
	char *words = arena_strdup(&place->arena, names);

	for (char *word; (word = strsep(&words, " "));)
		if (*word)
			assert_int_equal(
				reference_parse(&place->arena, word, &references[count++], &place->e), 0);
	struct image_names_given given = {.references = references, .count = count};
	if (image_add(&place->store, &image, &given, &place->e) < 0)
		fail_msg("%s", place->e.what);
	return image;
}

static int find(struct place *place, const char *text, struct image *image)
{
	return image_find(&place->store, &place->arena, text, image, &place->e);
}

static void assert_means(struct place *place, const char *text, const struct image *image)
{
	struct image found;
	if (find(place, text, &found) < 0)
		fail_msg("%s: %s", text, place->e.what);
	assert_string_equal(found.id.text, image->id.text);
}

static void assert_missing(struct place *place, const char *text, const char *what)
{
	struct image found;
	assert_int_equal(find(place, text, &found), -1);
	assert_int_equal(place->e.kind, ERR_NOT_FOUND);
	assert_string_equal(place->e.what, what);
}

static const char *joined(struct arena *arena, const struct strings *list)
{
	const char *text = "";
	for (size_t i = 0; i < list->count; i++)
		text = arena_printf(arena, "%s%s%.30s", text, i ? " " : "", list->items[i]);
	return text;
}

#define D "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_find(void **state)
{
	struct place *place = *state;
	struct image found, *images;
	size_t count;

	assert_missing(place, "debian", "No such image: debian:latest");
	assert_int_equal(image_list(&place->store, &place->arena, &images, &count, &place->e), 0);
	assert_int_equal(count, 0);

	struct image a = add(place, "ab", "first", "debian:12" D " debian host:5000/x/y:z");
	struct image b = add(place, "ac", "second", "docker.io/library/busybox:latest");
	const char *hex = oci_digest_hex(&a.id);
	assert_true(reference_is_serial(a.serial));
	assert_string_not_equal(a.serial, b.serial);
	const char *texts[] = {"debian:12", "debian", "debian:latest", "docker.io/library/debian:12",
		"library/debian", "debian" D, "debian:whatever" D, "host:5000/x/y:z", a.serial, a.id.text,
		hex, arena_printf(&place->arena, "%.12s", hex),
		arena_printf(&place->arena, "sha256:%.9s", hex)};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_means(place, texts[i], &a);
	assert_means(place, "busybox", &b);
	assert_missing(place, "debian:13", "No such image: debian:13");
	assert_missing(place, "nosuch", "No such image: nosuch:latest");
	assert_missing(place, "busybox" D, "No such image: busybox" D);
	assert_missing(place, "img_1", "No such image: img_1");
	assert_missing(place, &D[1], arena_printf(&place->arena, "No such image: %s", &D[1]));
	assert_int_equal(find(place, "BAD:::", &found), -1);
	assert_int_equal(place->e.kind, ERR_INVALID);

	assert_int_equal(find(place, "debian", &found), 0);
	assert_string_equal(joined(&place->arena, &found.tags), "debian:12 debian:latest host:5000/x/y:z");
	assert_int_equal(found.digests.count, 1);
	assert_string_equal(found.digests.items[0], "debian" D);
	assert_string_equal(found.serial, a.serial);
	assert_int_equal(found.layer_count, 2);
	assert_string_equal(found.layers[1].chain_id.text, a.layers[1].chain_id.text);
	assert_string_equal(found.layers[1].blob.text, a.layers[1].blob.text);
	assert_int_equal(found.size, 2000);
	assert_string_equal(found.manifest.text, a.manifest.text);
	assert_int_equal(found.created, 5 * TIME_SECOND);
	assert_int_equal(image_check_layers(&place->store, &found, &place->e), 0);
	struct oci_config config;
	assert_int_equal(image_config(&place->store, &place->arena, &found, &config, &place->e), 0);
	assert_string_equal(config.author, "first");

	assert_int_equal(image_list(&place->store, &place->arena, &images, &count, &place->e), 0);
	assert_int_equal(count, 2);
	assert_string_equal(images[0].id.text, b.id.text); /* the younger */

	/* A name wins over the same digits of an id; more than one id is no id. */
	add(place, "a", "third", arena_printf(&place->arena, "%.4s", hex));
	assert_int_equal(find(place, arena_printf(&place->arena, "%.4s", hex), &found), 0);
	assert_string_not_equal(found.id.text, a.id.text);
	for (int i = 0; i < 17; i++)
		add(place, "", arena_printf(&place->arena, "more %d", i), "");
	assert_int_equal(image_list(&place->store, &place->arena, &images, &count, &place->e), 0);
	char digit[2] = "";
	for (size_t i = 0; i < count && !digit[0]; i++)
		for (size_t j = i + 1; j < count; j++)
			if (oci_digest_hex(&images[i].id)[0] == oci_digest_hex(&images[j].id)[0])
				digit[0] = oci_digest_hex(&images[i].id)[0];
	assert_int_equal(find(place, digit, &found), -1);
	assert_int_equal(place->e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(place->e.hint, "give more of its digits"));
}

static void test_names(void **state)
{
	struct place *place = *state;
	struct image found;
	struct oci_digest previous = {0};
	struct reference name;

	struct image a = add(place, "a", "one", "x:1" D);
	struct image b = add(place, "b", "two!", "y");
	assert_int_equal(reference_parse(&place->arena, "new/name", &name, &place->e), 0);
	assert_int_equal(image_tag(&place->store, &a.id, &name, &previous, &place->e), 0);
	assert_string_equal(previous.text, "");
	assert_means(place, "new/name:latest", &a);
	assert_int_equal(image_tag(&place->store, &b.id, &name, &previous, &place->e), 0);
	assert_string_equal(previous.text, a.id.text);
	assert_means(place, "new/name:latest", &b);
	/* Pulling the tag anew moves it; the digest stays with the old image. */
	struct image c = add(place, "c", "three", "x:1");
	assert_means(place, "x:1", &c);
	assert_means(place, "x" D, &a);
	assert_int_equal(find(place, a.serial, &found), 0);
	assert_int_equal(found.tags.count, 0);
	assert_int_equal(found.digests.count, 1);
	/* The same image once more keeps its serial. */
	struct image again = add(place, "a", "one", "z");
	assert_string_equal(again.serial, a.serial);
	/* Names that look like ours. */
	assert_int_equal(reference_parse(&place->arena, "img_777", &name, &place->e), 0);
	assert_int_equal(image_tag(&place->store, &a.id, &name, NULL, &place->e), -1);
	struct image_names_given given = {.references = &name, .count = 1};
	assert_int_equal(image_add(&place->store, &again, &given, &place->e), -1);
	assert_int_equal(place->e.kind, ERR_INVALID);
	/* An image that is gone. */
	struct oci_digest nobody;
	oci_digest_of("nobody", 6, &nobody);
	assert_int_equal(reference_parse(&place->arena, "q", &name, &place->e), 0);
	assert_int_equal(image_tag(&place->store, &nobody, &name, NULL, &place->e), -1);
	assert_int_equal(place->e.kind, ERR_NOT_FOUND);
	/* A serial that is handed over. */
	struct image d = make_image(place, "d", "four");
	snprintf(d.serial, sizeof d.serial, "%s", a.serial);
	given.count = 0;
	assert_int_equal(image_add(&place->store, &d, &given, &place->e), 0);
	assert_means(place, a.serial, &d);
	assert_int_equal(find(place, a.id.text, &found), 0);
	assert_true(reference_is_serial(found.serial));
	assert_string_not_equal(found.serial, a.serial);
	snprintf(d.serial, sizeof d.serial, "ps_12345");
	d.id = nobody;
	assert_int_equal(image_add(&place->store, &d, &given, &place->e), -1);
}

/* What containers use, for the tests. */
struct used {
	const char *image, *chain;
	bool running;
};

static bool image_used(void *context, const char *image, char container[65], bool *running)
{
	struct used *used = context;
	snprintf(container, 65, "%s", "0123456789abcdef");
	*running = used->running;
	return used->image && !strcmp(used->image, image);
}

static bool name_layers(void *context, bool (*use)(void *marks, const char *chain), void *marks)
{
	struct used *used = context;
	/* The second time it is not new. */
	return !used->chain || (use(marks, used->chain) && !use(marks, used->chain));
}

static size_t count_entries(struct place *place, enum store_folder folder)
{
	size_t count = 0;
	DIR *stream = fdopendir(
		fd_open(store_folder(&place->store, folder, &place->e), ".", O_RDONLY | O_DIRECTORY, 0));
	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static void test_remove(void **state)
{
	struct place *place = *state;
	struct image_removal removal;
	struct used used = {0};
	struct image_users users = {.context = &used, .image_used = image_used, .name_layers = name_layers};
	struct arena *arena = &place->arena;
	struct err *e = &place->e;

	struct image a = add(place, "ab", "one", "x:1" D " x:2 y:1");
	struct image b = add(place, "ac", "two!", "b");
#define REMOVE(text, force) image_remove(&place->store, arena, text, force, &users, &removal, e)
	/* Names go one by one; the digest goes with the repository's last tag. */
	assert_int_equal(REMOVE("x:1", false), 0);
	assert_string_equal(joined(arena, &removal.untagged), "x:1");
	assert_int_equal(removal.deleted.count, 0);
	assert_string_equal(removal.id.text, a.id.text);
	assert_int_equal(REMOVE("x:1", false), -1);
	assert_string_equal(e->what, "No such image: x:1");
	assert_int_equal(REMOVE("x:2", false), 0);
	assert_string_equal(joined(arena, &removal.untagged), "x:2 x@sha256:aaaaaaaaaaaaaaaaaaaaa");
	assert_int_equal(removal.deleted.count, 0);
	/* The last name takes the image, and the layer that b has not. */
	used = (struct used){.image = oci_digest_hex(&a.id)};
	assert_int_equal(REMOVE("y:1", false), -1);
	assert_int_equal(e->kind, ERR_CONFLICT);
	assert_string_equal(e->what, arena_printf(arena,
					     "conflict: unable to remove repository reference \"y:1\" (must "
					     "force) - container 0123456789ab is "
					     "using its referenced image %.12s",
					     oci_digest_hex(&a.id)));
	used.image = NULL;
	assert_int_equal(REMOVE("y:1", false), 0);
	assert_string_equal(joined(arena, &removal.untagged), "y:1");
	assert_int_equal(removal.deleted.count, 2);
	assert_string_equal(removal.deleted.items[0], a.id.text);
	assert_string_equal(removal.deleted.items[1], a.layers[1].chain_id.text);
	assert_int_equal(count_entries(place, STORE_LAYERS), 2);
	assert_false(blob_has(&place->store, &a.id, NULL));
	assert_false(blob_has(&place->store, &a.manifest, NULL));
	assert_false(blob_has(&place->store, &a.layers[1].blob, NULL));
	assert_true(blob_has(&place->store, &a.layers[0].blob, NULL));
	assert_missing(place, a.serial, arena_printf(arena, "No such image: %s", a.serial));
	assert_int_equal(count_entries(place, STORE_TMP), 0);

	/* By id or serial: one repository goes, two need force. */
	a = add(place, "ab", "one", "x:1" D " y:1");
	assert_int_equal(REMOVE(a.serial, false), -1);
	assert_non_null(strstr(e->what, "(must be forced) - image is referenced in multiple repositories"));
	used = (struct used){.image = oci_digest_hex(&a.id), .running = true};
	assert_int_equal(REMOVE(a.serial, true), -1);
	assert_non_null(strstr(
		e->what, "(cannot be forced) - image is being used by running container 0123456789ab"));
	used.running = false;
	assert_int_equal(REMOVE("y:1", false), 0);
	assert_int_equal(REMOVE(a.serial, false), -1);
	assert_non_null(
		strstr(e->what, "(must be forced) - image is being used by stopped container 0123456789ab"));
	/* With force it goes, but not the layer that the container stands on. */
	used.chain = oci_digest_hex(&a.layers[1].chain_id);
	assert_int_equal(REMOVE(arena_printf(arena, "%.10s", oci_digest_hex(&a.id)), true), 0);
	assert_string_equal(joined(arena, &removal.untagged), "x:1 x@sha256:aaaaaaaaaaaaaaaaaaaaa");
	assert_int_equal(removal.deleted.count, 1);
	assert_int_equal(count_entries(place, STORE_LAYERS), 3);
	/* When the container is gone it is garbage; the blobs have gone at once. */
	int64_t freed = 0;
	assert_int_equal(image_collect(&place->store, &users, &freed, e), 0);
	assert_int_equal(freed, 0);
	assert_true(blob_has(&place->store, &b.id, NULL));
	used = (struct used){0};
	assert_int_equal(image_collect(&place->store, &users, NULL, e), 1);
	assert_int_equal(image_collect(&place->store, &users, NULL, e), 0);
	assert_int_equal(count_entries(place, STORE_LAYERS), 2);

	/* A forced removal of a running container's name leaves the image. */
	used = (struct used){.image = oci_digest_hex(&b.id), .running = true};
	assert_int_equal(REMOVE("b", true), 0);
	assert_int_equal(removal.deleted.count, 0);
	assert_means(place, b.serial, &b);
	used = (struct used){0};

	/* While somebody adds content, none is removed. */
	pid_t pid = fork();
	if (pid == 0) {
		struct store other;
		if (store_open(&other, place->root, STORE_WRITE, e) < 0 ||
			store_lock(&other, STORE_SHARED, e) < 0)
			_exit(1);
		kill(getpid(), SIGSTOP);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(REMOVE(b.serial, false), 0);
	assert_int_equal(removal.deleted.count, 1);
	assert_int_equal(count_entries(place, STORE_LAYERS), 2);
	assert_int_equal(image_collect(&place->store, &users, NULL, e), 0);
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(image_collect(&place->store, &users, NULL, e), 6);
	assert_int_equal(count_entries(place, STORE_LAYERS), 0);
	assert_int_equal(count_entries(place, STORE_BLOBS), 0);
}

/* A blob kept uncompressed has the digest of the lowest layer's chain: one does not keep the other. */
static void test_same_digest(void **state)
{
	struct place *place = *state;
	struct image_removal removal;
	struct image_users nobody = {0};
	struct image_names_given none = {0};

	struct image a = make_image(place, "a", "one"), b = make_image(place, "b", "two!");
	b.layers[0].blob = a.layers[0].chain_id;
	assert_int_equal(image_add(&place->store, &a, &none, &place->e), 0);
	assert_int_equal(image_add(&place->store, &b, &none, &place->e), 0);
	assert_int_equal(
		image_remove(&place->store, &place->arena, a.serial, false, &nobody, &removal, &place->e), 0);
	assert_int_equal(removal.deleted.count, 2);
	assert_int_equal(count_entries(place, STORE_LAYERS), 1);
}

static void write_file(struct place *place, const char *name, const char *text)
{
	int folder = store_folder(&place->store, STORE_IMAGES, &place->e);
	assert_int_equal(fd_replace(folder, name, text, strlen(text), 0600, false), 0);
}

static void test_damage(void **state)
{
	struct place *place = *state;
	struct image found, *images;
	struct image_removal removal;
	size_t count;
	struct image a = add(place, "ab", "one", "x");
	struct image b = add(place, "ac", "two!", "y");
	const char *hex = oci_digest_hex(&a.id);
	const char *record = arena_printf(&place->arena, "%s.json", hex);
	int folder = store_folder(&place->store, STORE_IMAGES, &place->e);

	/* A damaged record: one error that names the file, wherever the image is used. */
	const char *texts[] = {"", "{", "[]", "{\"version\":1}", "{\"version\":2}", "\xff",
		arena_printf(&place->arena, "{\"version\":1,\"id\":\"%s\"}", b.id.text),
		arena_printf(&place->arena, "{\"version\":1,\"id\":\"%s\",\"layers\":[{}]}", a.id.text),
		arena_printf(&place->arena,
			"{\"version\":1,\"id\":\"%s\",\"layers\":[],\"manifest\":\"../x\"}", a.id.text)};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		write_file(place, record, texts[i]);
		assert_int_equal(find(place, "x", &found), -1);
		assert_int_equal(place->e.kind, ERR_CORRUPT);
		assert_non_null(strstr(place->e.what, record));
		assert_non_null(strstr(place->e.hint, "rmi -f"));
	}
	assert_means(place, "y", &b);
	assert_int_equal(image_list(&place->store, &place->arena, &images, &count, &place->e), 0);
	assert_int_equal(count, 2);
	assert_true(images[0].damaged != images[1].damaged);
	/* Nothing is garbage while it is not known what the record needs. */
	assert_int_equal(image_collect(&place->store, NULL, NULL, &place->e), 0);
	assert_int_equal(count_entries(place, STORE_LAYERS), 3);
	/* It can be removed, as can one whose record is missing. */
	assert_int_equal(image_remove(&place->store, &place->arena, "x", true, NULL, &removal, &place->e), 0);
	assert_int_equal(removal.deleted.count, 1);
	assert_int_equal(image_collect(&place->store, NULL, NULL, &place->e), 3);
	a = add(place, "ab", "one", "x");
	assert_int_equal(unlinkat(folder, record, 0), 0);
	assert_int_equal(find(place, "x", &found), -1);
	assert_int_equal(place->e.kind, ERR_CORRUPT);
	assert_non_null(strstr(place->e.what, "missing"));
	assert_int_equal(
		image_remove(&place->store, &place->arena, a.serial, false, NULL, &removal, &place->e), 0);
	assert_missing(place, "x", "No such image: x:latest");

	/* A folder or a link in its place. */
	a = add(place, "ab", "one", "x");
	assert_int_equal(unlinkat(folder, record, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", folder, record), 0);
	assert_int_equal(find(place, "x", &found), -1);
	assert_int_equal(place->e.kind, ERR_CORRUPT);
	assert_int_equal(image_remove(&place->store, &place->arena, "x", true, NULL, &removal, &place->e), 0);

	/* A missing layer, a missing config. */
	a = add(place, "ab", "one", "x");
	assert_int_equal(
		fd_remove_tree(place->store.folders[STORE_LAYERS], oci_digest_hex(&a.layers[1].chain_id)), 0);
	assert_int_equal(find(place, "x", &found), 0);
	assert_int_equal(image_check_layers(&place->store, &found, &place->e), -1);
	assert_int_equal(place->e.kind, ERR_CORRUPT);
	struct oci_config config;
	assert_int_equal(blob_remove(&place->store, &a.id, &place->e), 0);
	assert_int_equal(image_config(&place->store, &place->arena, &found, &config, &place->e), -1);
	assert_int_equal(place->e.kind, ERR_CORRUPT);

	/* Damaged names. */
	const char *bad[] = {"", "x", "brig names 2\n", "brig names 1\nx\n", "brig names 1\nx\ty\tz\n",
		arena_printf(&place->arena, "brig names 1\nx\t%s\t1", hex),
		arena_printf(&place->arena, "brig names 1\nx\t%s\t\n", hex),
		arena_printf(&place->arena, "brig names 1\nx\t%s\t1x\n", hex),
		arena_printf(&place->arena, "brig names 1\nx\t%s\t 1\n", hex),
		arena_printf(&place->arena, "brig names 1\nx\t%s\t99999999999999999999\n", hex),
		arena_printf(&place->arena, "brig names 1\n\t%s\t1\n", hex),
		arena_printf(&place->arena, "brig names 1\nx\x1b\t%s\t1\n", hex),
		arena_printf(&place->arena, "brig names 1\nx\t%.63s/\t1\n", hex)};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		write_file(place, "names", bad[i]);
		assert_int_equal(find(place, "x", &found), -1);
		if (place->e.kind != ERR_CORRUPT || !strstr(place->e.what, "/images/names is damaged"))
			fail_msg("%s: %s", bad[i], place->e.what);
	}
	/* Deleted, as the hint says: the records give the serials back with the next change. */
	assert_int_equal(unlinkat(folder, "names", 0), 0);
	assert_missing(place, "y", "No such image: y:latest");
	assert_means(place, b.id.text, &b);
	struct image c = add(place, "c", "three", "z");
	assert_means(place, "z", &c);
	assert_means(place, a.serial, &a);
	assert_means(place, b.serial, &b);
}

static void test_serials(void **state)
{
	struct place *place = *state;
	auto_buf struct buf text = {0};
	struct oci_digest other;

	/* All but one of five digits are taken: that one is found; then it is six. */
	oci_digest_of("other", 5, &other);
	buf_string(&text, "brig names 1\n");
	for (int i = 10000; i <= 99999; i++)
		if (i != 54321)
			buf_printf(&text, "img_%d\t%s\t0\n", i, oci_digest_hex(&other));
	write_file(place, "names", text.data);
	struct image a = add(place, "a", "one", "");
	assert_string_equal(a.serial, "img_54321");
	struct image b = add(place, "b", "two!", "");
	assert_int_equal(strlen(b.serial), 10);
}

/* Several processes add at once: nobody's image or serial is lost. */
static void test_at_once(void **state)
{
	struct place *place = *state;
	enum { PROCESSES = 6, EACH = 5 };
	struct image *images;
	size_t count;

	for (int p = 0; p < PROCESSES; p++) {
		if (fork() != 0)
			continue;
		struct place own = {0};
		if (store_open(&own.store, place->root, STORE_WRITE, &own.e) < 0)
			_exit(1);
		for (int i = 0; i < EACH; i++)
			add(&own, "ab", arena_printf(&own.arena, "%d of %d", i, p),
				arena_printf(&own.arena, "t%d:%d", p, i));
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(image_list(&place->store, &place->arena, &images, &count, &place->e), 0);
	assert_int_equal(count, PROCESSES * EACH);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(images[i].tags.count, 1);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(images[i].serial, images[j].serial);
	}
}

/* Killed anywhere, the store is sound and the next command works. */
static void test_killed(void **state)
{
	struct place *place = *state;
	for (int round = 0; round < 40; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct place own = {0};
			struct image_removal removal;
			if (store_open(&own.store, place->root, STORE_WRITE, &own.e) < 0)
				_exit(1);
			for (int i = 0;; i++) {
				const char *name = arena_printf(&own.arena, "r%d:%d", round % 3, i % 4);
				add(&own, i & 1 ? "ab" : "ac", name, name);
				if (i % 3 == 2)
					image_remove(
						&own.store, &own.arena, name, false, NULL, &removal, &own.e);
			}
		}
		usleep(1000 + (unsigned)round * 1700);
		kill(pid, SIGKILL);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		struct image *images;
		size_t count;
		assert_int_equal(image_list(&place->store, &place->arena, &images, &count, &place->e), 0);
		for (size_t i = 0; i < count; i++) {
			struct oci_config config;
			assert_false(images[i].damaged);
			assert_int_equal(image_check_layers(&place->store, &images[i], &place->e), 0);
			if (image_config(&place->store, &place->arena, &images[i], &config, &place->e) < 0)
				fail_msg("%s", place->e.what);
		}
	}
	store_sweep(&place->store);
	assert_int_equal(count_entries(place, STORE_TMP), 0);
	struct image a = add(place, "a", "one", "x");
	assert_means(place, "x", &a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_digest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_serials, setup, teardown),
		cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
