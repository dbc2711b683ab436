/* test_commit.c - changes to a config, comparing trees, layers put together, pushes that were cut short. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "oci/change.h"
#include "oci/change_words.h"
#include "store/changes.h"
#include "store/driver.h"
#include "store/image.h"
#include "store/layer_commit.h"
#include "store/overlay.h"
#include "unit.h"

/* ---- words ---- */

static void test_expand(void **state)
{
	static const struct {
		const char *text, *expected; /* NULL: an error */
	} rows[] = {
		{"plain", "plain"},
		{"$A", "1"},
		{"${A}x$A", "1x1"},
		{"$AB", ""},
		{"'$A'", "$A"},
		{"\"$A \\\" \\$A\"", "1 \" $A"},
		{"\\$A a\\ b", "$A a b"},
		{"${U:-u}${A:-u}${E:-e}${E-x}", "u1e"},
		{"${A:+yes}${U:+no}${E:+no}${E+set}", "yesset"},
		{"${U:-${A}}", "1"},
		{"${A:?why}", "1"},
		{"$", "$"},
		{"$%", "$%"},
		{"${U:?why}", NULL},
		{"${A", NULL},
		{"${A:", NULL},
		{"${}", NULL},
		{"${A:x}", NULL},
		{"'a", NULL},
		{"\"a", NULL},
	};
	auto_arena struct arena arena = {0};
	struct strings env = {0};

	strings_add(&arena, &env, "A=1");
	strings_add(&arena, &env, "E=");
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct err e = {0};
		unit_row("%s\n", rows[i].text);
		const char *got = change_expand(&arena, rows[i].text, &env, &e);
		if (rows[i].expected) {
			assert_non_null(got);
			assert_string_equal(got, rows[i].expected);
		} else {
			assert_null(got);
			assert_true(e.what[0]);
		}
	}
}

static void test_changes_of_config(void **state)
{
	static const struct {
		const char *text, *expected; /* of the config written; NULL: an error */
	} rows[] = {
		{"CMD [\"a\", \"b c\"]", "\"Cmd\":[\"a\",\"b c\"]"},
		{"cmd a b", "\"Cmd\":[\"/bin/sh\",\"-c\",\"a b\"]"},
		{"CMD [not json", "\"Cmd\":[\"/bin/sh\",\"-c\",\"[not json\"]"},
		{"CMD a \\\n\n# between\n b", "\"-c\",\"a  b\"]"},
		{"CMD [\"x\"]\nENTRYPOINT [\"e\"]", "\"Entrypoint\":[\"e\"],\"Cmd\":[\"x\"]"},
		{"ENTRYPOINT [\"e\"]", "\"Entrypoint\":[\"e\"],\"WorkingDir\""},
		{"ENV A=2 B=3", "\"Env\":[\"A=2\",\"B=3\"]"},
		{"ENV A=2 B=$A", "\"Env\":[\"A=2\",\"B=1\"]"},
		{"ENV B  a $A  c", "\"B=a 1  c\""},
		{"EXPOSE 80 80/tcp 90-91/UDP",
			"\"ExposedPorts\":{\"80/tcp\":{},\"90/udp\":{},\"91/udp\":{}}"},
		{"VOLUME [\"/a b\"]\nVOLUME /c /a\\ b", "\"Volumes\":{\"/a b\":{},\"/c\":{}}"},
		{"WORKDIR x/../y/./z", "\"WorkingDir\":\"/w/y/z\""},
		{"WORKDIR ../../..", "\"WorkingDir\":\"/\""},
		{"LABEL a=b \"c d\"=e\nLABEL a=f", "\"Labels\":{\"a\":\"f\",\"c d\":\"e\"}"},
		{"USER $A:2", "\"User\":\"1:2\""},
		{"ONBUILD RUN a  b", "\"OnBuild\":[\"RUN a  b\"]"},
		{"HEALTHCHECK --timeout=2s CMD [\"a\"]", "\"Test\":[\"CMD\",\"a\"],\"Timeout\":2000000000"},
		{"RUN x", NULL},
		{"ENV A", NULL},
		{"ENV A=1 B", NULL},
		{"EXPOSE 0", NULL},
		{"EXPOSE 9-8", NULL},
		{"EXPOSE -1", NULL},
		{"VOLUME [\"\"]", NULL},
		{"HEALTHCHECK --retries=x CMD a", NULL},
		{"HEALTHCHECK --interval CMD a", NULL},
		{"ONBUILD onbuild x", NULL},
	};

	for (size_t i = 0; i < unit_count(rows); i++) {
		auto_arena struct arena arena = {0};
		struct oci_config config = {
			.user = "", .working_dir = "/w", .stop_signal = "", .hostname = ""};
		auto_buf struct buf out = {0};
		struct err e = {0};
		strings_add(&arena, &config.env, "A=1");
		strings_add(&arena, &config.cmd, "old");
		int rc = oci_change_apply(&arena, rows[i].text, &config, &e);
		oci_config_write(&out, &config);
		unit_row("%s: %s %s\n", rows[i].text, out.data, e.what);
		assert_int_equal(rc, rows[i].expected ? 0 : -1);
		assert_true(!rows[i].expected || strstr(out.data, rows[i].expected));
	}
}

/* ---- trees ---- */

struct place {
	char path[64];
	struct store store;
};

static struct place make_place(void)
{
	struct place place = {.path = "/var/tmp/brig-test-commit.XXXXXX"};
	struct err e;

	assert_non_null(mkdtemp(place.path));
	assert_int_equal(store_open(&place.store, place.path, STORE_WRITE, &e), 0);
	if (driver_use(&place.store, "overlay", &e) < 0)
		fail_msg("%s", e.what);
	return place;
}

static void drop_place(struct place *place)
{
	driver_close(&place->store);
	store_close(&place->store);
	assert_int_equal(fd_remove_tree(AT_FDCWD, place->path), 0);
}

/* "d NAME", "o NAME" (an opaque folder), "w NAME" (a whiteout), "f NAME" with its name inside, "F NAME"
 * with that twice. */
static void make_thing(int folder, const char *what)
{
	const char *name = what + 2;

	if (*what == 'd' || *what == 'o')
		assert_int_equal(mkdirat(folder, name, 0755), 0);
	if (*what == 'o') {
		auto_close int fd = fd_open(folder, name, O_RDONLY, 0);
		assert_int_equal(fsetxattr(fd, "user.overlay.opaque", "y", 1, 0), 0);
	}
	if (*what == 'w')
		assert_int_equal(mknodat(folder, name, S_IFCHR, makedev(0, 0)), 0);
	if (*what == 'f' || *what == 'F') {
		auto_close int fd = fd_open(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		for (int times = *what == 'F' ? 2 : 1; times--;)
			assert_int_equal(fd_write_full(fd, name, strlen(name)), 0);
	}
}

static void make_tree(int folder, const char *const *things)
{
	for (; *things; things++)
		make_thing(folder, *things);
}

static int new_folder(struct place *place, const char *name)
{
	assert_int_equal(mkdirat(place->store.root, name, 0755), 0);
	int fd = fd_open(place->store.root, name, O_RDONLY | O_DIRECTORY, 0);
	assert_true(fd >= 0);
	return fd;
}

static const char *listed(struct arena *arena, const struct changes_of *of)
{
	auto_buf struct buf out = {0};
	struct change *changes;
	struct err e;
	size_t count;

	assert_int_equal(changes_list(arena, of, &changes, &count, &e), 0);
	buf_string(&out, "");
	for (size_t i = 0; i < count; i++)
		buf_printf(&out, "%c %s\n", changes[i].kind, changes[i].path);
	return arena_strdup(arena, out.data);
}

static void test_changes_list(void **state)
{
	struct place place = make_place();
	auto_arena struct arena arena = {0};
	int trees[] = {new_folder(&place, "t0"), new_folder(&place, "t1")};
	int below[] = {new_folder(&place, "b0"), new_folder(&place, "b1")};

	make_tree(below[1],
		(const char *const[]){"d d", "f d/low", "f d/x", "f gone", "d o", "f o/a", "f o/b", NULL});
	make_tree(below[0], (const char *const[]){"d d", "f d/high", "w gone", NULL});
	make_tree(
		trees[1], (const char *const[]){"d d", "w d/low", "f n", "o o", "f o/c", "w nothing", NULL});
	make_tree(trees[0], (const char *const[]){"d d", "F d/low", "w d/x", "w n", "f gone", NULL});
	struct changes_of of = {
		.trees = trees, .count = 2, .overlay = true, .below = below, .below_count = 2};
	assert_string_equal(
		listed(&arena, &of), "C /d\nC /d/low\nD /d/x\nA /gone\nC /o\nD /o/a\nD /o/b\nA /o/c\n");
	/* The upper one alone. */
	of.count = 1;
	assert_string_equal(listed(&arena, &of), "C /d\nC /d/low\nD /d/x\nA /gone\n");
	/* Whole trees. */
	struct changes_of whole = {.trees = &below[1], .count = 1, .below = &trees[1], .below_count = 1};
	assert_string_equal(listed(&arena, &whole),
		"C /d\nA /d/low\nA /d/x\nA /gone\nD /n\nC /o\nA /o/a\nA /o/b\nD /o/c\n");
	for (size_t i = 0; i < 2; i++) {
		close(trees[i]);
		close(below[i]);
	}
	drop_place(&place);
}

/* ---- layers ---- */

/* A layer of these things on top of another; its chain id to chain. */
static void add_layer(struct place *place, const char *const *things, char chain[65])
{
	struct layer_stage stage;
	struct oci_digest parent = {0};
	struct err e;

	if (*chain)
		oci_digest_from_hex(chain, &parent);
	assert_int_equal(layer_begin(&place->store, NULL, NULL, &stage, &e), 1);
	make_tree(stage.tree, things);
	layer_provisional(&stage.layer, &parent);
	assert_int_equal(layer_link_below(stage.stage.fd, &stage.layer), 0);
	snprintf(chain, 65, "%s", oci_digest_hex(&stage.layer.chain_id));
	assert_int_equal(layer_seal(&place->store, &stage, NULL, &e), 0);
	assert_int_equal(layer_publish(&place->store, &stage, &e), 0);
}

static bool exists(int folder, const char *name, mode_t type)
{
	struct stat st;
	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == type;
}

static void test_flat(void **state)
{
	struct place place = make_place();
	char chain[65] = "", base[65], name[16];
	struct err e;
	struct overlay_stack stack;
	const char *layers[2] = {base, chain};
	struct driver_rootfs rootfs = {.folder = -1, .layers = layers, .layer_count = 2};

	add_layer(&place, (const char *const[]){"f base", "d old", "f old/base", "f away", NULL}, chain);
	memcpy(base, chain, sizeof base);
	for (int i = 0; i < 64; i++) {
		const char *things[] = {NULL, "d both", NULL, NULL, NULL, NULL};
		char other[24];
		snprintf(name, sizeof name, "f n%02d", i);
		snprintf(other, sizeof other, "f both/n%02d", i);
		things[0] = name;
		things[2] = other;
		things[3] = i == 3    ? "w away"
			    : i == 10 ? "o old"
			    : i == 12 ? "d old"
			    : i == 20 ? "w n05"
			    : i == 30 ? "f n05"
				      : NULL;
		add_layer(&place, things, chain);
		rootfs.hidden = (size_t)i;
		if (overlay_rootfs_tidy(&place.store, &rootfs, &e) < 0)
			fail_msg("%s", e.what);
		if (overlay_stack_find(&place.store, &rootfs, &stack, &e) < 0)
			fail_msg("%s", e.what);
		/* Those of each level, and the base. */
		assert_true(stack.count <= 7 + 7 + 1 + 1);
		overlay_stack_free(&stack);
	}
	assert_int_equal(overlay_stack_find(&place.store, &rootfs, &stack, &e), 0);
	assert_int_equal(stack.count, 2);
	assert_int_equal(stack.trees[0].level, 2);
	assert_string_equal(stack.trees[0].below, base);
	auto_close int flat =
		fd_open(store_folder(&place.store, STORE_LAYERS, &e), stack.trees[0].path, O_RDONLY, 0);
	overlay_stack_free(&stack);
	assert_true(flat >= 0);
	assert_true(exists(flat, "n00", S_IFREG) && exists(flat, "n63", S_IFREG));
	assert_true(exists(flat, "both/n00", S_IFREG) && exists(flat, "both/n63", S_IFREG));
	assert_true(exists(flat, "away", S_IFCHR)); /* hides the base's */
	assert_true(exists(flat, "n05", S_IFREG));
	char mark[2] = "";
	auto_close int old = fd_open(flat, "old", O_RDONLY, 0);
	assert_int_equal(fgetxattr(old, "user.overlay.opaque", mark, sizeof mark), 1);
	/* The digest is that of the layer alone, and the same when it is asked for again. */
	struct oci_digest one, two;
	assert_int_equal(layer_content(&place.store, chain, &one, &e), 0);
	assert_int_equal(layer_content(&place.store, chain, &two, &e), 0);
	assert_true(oci_digest_equal(&one, &two));
	struct layer counted;
	assert_int_equal(layer_count(&place.store, chain, &counted, &e), 0);
	assert_int_equal(counted.size, 3 + 8);
	assert_int_equal(counted.entries, 3);
	drop_place(&place);
}

/* More layers than the kernel takes, all of them listed, as after a pull. */
static void test_many(void **state)
{
	enum { LAYERS = 600 };
	struct place place = make_place();
	auto_arena struct arena arena = {0};
	struct strings layers = {0};
	struct overlay_stack stack;
	struct err e = {0};
	char chain[65] = "", name[16];

	for (int i = 0; i < LAYERS; i++) {
		const char *things[] = {name, i == 400 ? "w n0" : NULL, NULL};
		snprintf(name, sizeof name, "f n%d", i);
		add_layer(&place, things, chain);
		strings_add(&arena, &layers, arena_strdup(&arena, chain));
	}
	auto_close int folder = new_folder(&place, "container");
	struct driver_rootfs rootfs = {.folder = folder, .layers = layers.items, .layer_count = LAYERS};
	if (place.store.driver->rootfs_create(&place.store, &rootfs, &e) < 0)
		fail_msg("%s", e.what);
	assert_int_equal(overlay_stack_find(&place.store, &rootfs, &stack, &e), 0);
	assert_true(stack.count < 20);
	overlay_stack_free(&stack);
	auto_close int mounted = place.store.driver->rootfs_mount(&place.store, &rootfs, &e);
	if (mounted < 0)
		fail_msg("%s", e.what);
	assert_true(exists(mounted, "n1", S_IFREG) && exists(mounted, "n599", S_IFREG));
	assert_false(exists(mounted, "n0", S_IFREG));
	close_fd(&mounted);
	/* A part of the same list, as another image has it: its own trees. */
	rootfs.layer_count = 100;
	assert_int_equal(overlay_stack_find(&place.store, &rootfs, &stack, &e), 0);
	assert_int_equal(stack.count, 100);
	overlay_stack_free(&stack);
	drop_place(&place);
}

/* A container's folder in each state that a kill leaves: it always comes back to one upper. */
static void test_recover(void **state)
{
	for (int cut = 0; cut < 6; cut++) {
		struct place place = make_place();
		char chain[65] = "", made[65] = "";
		struct err e = {0};
		add_layer(&place, (const char *const[]){"f base", NULL}, chain);
		auto_close int folder = new_folder(&place, "container");
		make_tree(folder, (const char *const[]){"d upper", "f upper/kept", NULL});
		char next[80];
		struct layer layer = {0};
		struct oci_digest parent;
		oci_digest_from_hex(chain, &parent);
		layer_provisional(&layer, &parent);
		const char *hex = oci_digest_hex(&layer.chain_id);
		snprintf(next, sizeof next, "next-%s", hex);
		int layers = store_folder(&place.store, STORE_LAYERS, &e);
		if (cut >= 1)
			assert_int_equal(mkdirat(folder, next, 0755), 0);
		if (cut >= 2)
			assert_int_equal(mkdirat(folder, "commit", 0755), 0);
		if (cut >= 3)
			assert_int_equal(renameat(folder, "upper", folder, "commit/tree"), 0);
		if (cut >= 4)
			assert_int_equal(renameat(folder, "commit", layers, hex), 0);
		if (cut >= 5)
			assert_int_equal(renameat(folder, next, folder, "upper"), 0);
		int rc = overlay_rootfs_recover(&place.store, folder, made, &e);
		unit_row("cut at %d: %d %s\n", cut, rc, e.what);
		assert_int_equal(rc, cut == 4);
		if (rc == 1) {
			assert_string_equal(made, hex);
			assert_int_equal(overlay_rootfs_pushed(&place.store, folder, &e), 0);
		}
		assert_true(exists(folder, "upper", S_IFDIR));
		assert_true(exists(folder, "upper/kept", S_IFREG) == (cut < 4));
		assert_false(exists(folder, "commit", S_IFDIR) || exists(folder, next, S_IFDIR));
		assert_int_equal(overlay_rootfs_recover(&place.store, folder, made, &e), 0);
		drop_place(&place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_changes_of_config),
		cmocka_unit_test(test_changes_list),
		cmocka_unit_test(test_flat),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_recover),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
