/* test_mount_spec.c - -v, --mount, --tmpfs and --volumes-from: what they say, and what is refused. */
#include <string.h>

#include "engine/mount_spec.h"
#include "unit.h"

enum kind { VOLUME, MOUNT, TMPFS };

static int parse(
	enum kind kind, struct arena *arena, const char *text, struct container_mount *mount, struct err *e)
{
	return kind == VOLUME  ? mount_spec_volume(arena, "/here", text, mount, e)
	       : kind == MOUNT ? mount_spec_mount(arena, text, mount, e)
			       : mount_spec_tmpfs(arena, text, mount, e);
}

/* What a mount says, on one line. */
static const char *told(struct arena *arena, const struct container_mount *m)
{
	static const char *const types[] = {"bind", "tmpfs", "volume"};
	return arena_printf(arena, "%s %s>%s%s%s%s%s%s%s%s%s%s%s%s%s", types[m->type],
		m->source ? m->source
		: m->name ? m->name
			  : "",
		m->target, m->readonly ? " ro" : "", m->anonymous ? " anonymous" : "",
		m->nocopy ? " nocopy" : "", m->create_source ? " create" : "", m->propagation ? " " : "",
		m->propagation ? m->propagation : "", m->not_recursive ? " top" : "",
		m->readonly_recursive_not ? " ro-top" : "", m->readonly_recursive_force ? " ro-all" : "",
		m->options ? " " : "", m->options ? m->options : "",
		m->subpath ? arena_printf(arena, " sub=%s", m->subpath) : "");
}

static void good_ones_say_what_they_mean(void **state)
{
	static const struct {
		enum kind kind;
		const char *text, *wanted;
	} rows[] = {
		{VOLUME, "/data", "volume >/data anonymous"},
		{VOLUME, "//a/./b/../c/", "volume >/a/c anonymous"},
		{VOLUME, "vol:/data", "volume vol>/data"},
		{VOLUME, "vol.1_x-y:/data:ro", "volume vol.1_x-y>/data ro"},
		{VOLUME, "vol:/data:nocopy,rw", "volume vol>/data nocopy"},
		{VOLUME, "vol:/data:Z,cached", "volume vol>/data"},
		{VOLUME, "/src:/data", "bind /src>/data create"},
		{VOLUME, "/a/../src/:/data:rslave,ro", "bind /src>/data ro create rslave"},
		{VOLUME, "./x:/data", "bind /here/x>/data create"},
		{VOLUME, "../x:/data", "bind /x>/data create"},
		{VOLUME, ".:/data", "bind /here>/data create"},
		{VOLUME, "../../../..:/data", "bind />/data create"},
		{VOLUME, "/lxc/stat:/proc/stat", "bind /lxc/stat>/proc/stat create"},
		{VOLUME, "/x:/process", "bind /x>/process create"},
		{MOUNT, "target=/m", "volume >/m anonymous"},
		{MOUNT, "type=volume,dst=/m,src=", "volume >/m anonymous"},
		{MOUNT, "TYPE=Volume,Source=vol,destination=/m,RO", "volume vol>/m ro"},
		{MOUNT, "src=vol,dst=/m,volume-nocopy,volume-driver=local,volume-subpath=a/b",
			"volume vol>/m nocopy sub=a/b"},
		{MOUNT, "src=vol,dst=/m,volume-nocopy=false,readonly=0", "volume vol>/m"},
		{MOUNT, "src=vol,dst=/m,volume-subpath=..a/b..", "volume vol>/m sub=..a/b.."},
		{MOUNT, "type=bind,src=/s,dst=/m,bind-propagation=shared", "bind /s>/m shared"},
		{MOUNT, "type=bind,src=/s,dst=/m,bind-recursive=disabled", "bind /s>/m top"},
		{MOUNT, "type=bind,src=/s,dst=/m,bind-nonrecursive,consistency=cached", "bind /s>/m top"},
		{MOUNT, "type=bind,src=/s,dst=/m,ro,bind-recursive=writable", "bind /s>/m ro ro-top"},
		{MOUNT, "type=bind,src=/s,dst=/m,ro,bind-recursive=readonly", "bind /s>/m ro ro-all"},
		{MOUNT, "type=bind,\"src=/a,b \"\"c\"\"\",dst=/m", "bind /a,b \"c\">/m"},
		{MOUNT, "type=tmpfs,dst=/m", "tmpfs >/m mode=1777"},
		{MOUNT, "type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=0700", "tmpfs >/m mode=700,size=1048576"},
		{TMPFS, "/t", "tmpfs >/t"},
		{TMPFS, "/t:size=1m,ro,mode=700", "tmpfs >/t ro size=1m,mode=700"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct container_mount mount;
		struct err e = {0};
		if (parse(rows[i].kind, &arena, rows[i].text, &mount, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.what);
		assert_string_equal(told(&arena, &mount), rows[i].wanted);
		arena_free(&arena);
	}
}

static void bad_ones_are_refused_by_name(void **state)
{
	static const struct {
		enum kind kind;
		const char *text, *wanted;
	} rows[] = {
		{VOLUME, "", "invalid empty volume spec"},
		{VOLUME, "a:b:c:d", "invalid volume specification: 'a:b:c:d'"},
		{VOLUME, ":/x", "invalid volume specification"},
		{VOLUME, "/x:", "invalid volume specification"},
		{VOLUME, "/x:/y:", "invalid volume specification"},
		{VOLUME, "/x:ro", "invalid volume specification"},
		{VOLUME, "/x:rw,nocopy", "invalid volume specification"},
		{VOLUME, "rel", "must be absolute"},
		{VOLUME, "/x:rel", "must be absolute"},
		{VOLUME, "/x:/", "destination can't be '/'"},
		{VOLUME, "/x:/a/..", "destination can't be '/'"},
		{VOLUME, "/", "destination can't be '/'"},
		{VOLUME, "/x:/proc", "/proc is the container's own"},
		{VOLUME, "/x:/a/../proc/stat/x", "/proc is the container's own"},
		{VOLUME, "/x:/m:bogus", "invalid mode: bogus"},
		{VOLUME, "/x:/m:ro,rw", "invalid mode: ro,rw"},
		{VOLUME, "/x:/m:slave,shared", "invalid mode"},
		{VOLUME, "/x:/m:ro,", "invalid mode"},
		{VOLUME, "/x:/m:nocopy", "nocopy is for volumes"},
		{VOLUME, "vol:/m:rslave", "propagation is for folders"},
		{VOLUME, "b d:/x", "includes invalid characters"},
		{VOLUME, "a/../b:/x", "includes invalid characters"},
		{VOLUME, "~/x:/x", "includes invalid characters"},
		{VOLUME, "v:/x", "too short"},
		{MOUNT, "", "value is empty"},
		{MOUNT, "type=volume", "target is required"},
		{MOUNT, "type=bind,dst=/m", "field Source must not be empty"},
		{MOUNT, "type=bind,src=rel,dst=/m", "must be absolute"},
		{MOUNT, "type=tmpfs,src=x,dst=/m", "field Source must not be specified"},
		{MOUNT, "type=floppy,dst=/m", "mount type unknown"},
		{MOUNT, "type=npipe,dst=/m", "not in this version"},
		{MOUNT, "bogus=1,dst=/m", "unexpected key 'bogus' in 'bogus=1'"},
		{MOUNT, "dst=/m,", "must be a key=value pair"},
		{MOUNT, "dst=/m,bind-create-src", "must be a key=value pair"},
		{MOUNT, "dst=/m,ro=maybe", "invalid value for ro: maybe"},
		{MOUNT, "dst=/m,volume-nocopy=x", "invalid value for volume-nocopy"},
		{MOUNT, "dst=/m,volume-label==x", "invalid value for volume-label"},
		{MOUNT, "dst=/m,volume-driver=nfs", "no volume driver"},
		{MOUNT, "dst=/m,src=../x", "includes invalid characters"},
		{MOUNT, "dst=/m,src=/x", "includes invalid characters"},
		{MOUNT, "src=vol,dst=/m,volume-subpath=../x", "relative path within the volume"},
		{MOUNT, "src=vol,dst=/m,volume-subpath=a/..", "relative path within the volume"},
		{MOUNT, "src=vol,dst=/m,volume-subpath=/x", "relative path within the volume"},
		{MOUNT, "src=vol,dst=/m,volume-subpath=", "relative path within the volume"},
		{MOUNT, "src=vol,dst=/m,bind-propagation=slave", "cannot mix 'bind-*'"},
		{MOUNT, "type=bind,src=/x,dst=/m,volume-nocopy", "cannot mix 'volume-*'"},
		{MOUNT, "type=bind,src=/x,dst=/m,tmpfs-size=1", "cannot mix 'tmpfs-*'"},
		{MOUNT, "type=bind,src=/x,dst=/m,bind-recursive=x", "invalid value for bind-recursive"},
		{MOUNT, "type=bind,src=/x,dst=/m,bind-recursive=readonly", "requires 'readonly'"},
		{MOUNT, "type=bind,src=/x,dst=/m,bind-propagation=x", "invalid propagation mode: x"},
		{MOUNT, "type=tmpfs,dst=/m,tmpfs-mode=9", "invalid value for tmpfs-mode"},
		{MOUNT, "type=tmpfs,dst=/m,tmpfs-size=-1", "invalid value for tmpfs-size"},
		{MOUNT, "dst=/m,consistency=x", "invalid value for consistency"},
		{TMPFS, "/t:bogus", "invalid tmpfs option"},
		{TMPFS, "rel", "must be absolute"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct container_mount mount;
		struct err e = {0};
		if (parse(rows[i].kind, &arena, rows[i].text, &mount, &e) == 0)
			fail_msg("taken: %s", rows[i].text);
		if (!strstr(e.what, rows[i].wanted))
			fail_msg("%s: %s", rows[i].text, e.what);
		arena_free(&arena);
	}
}

static void binds_are_kept_as_they_were_typed(void **state)
{
	struct arena arena = {0};
	struct container_mount mount;
	struct err e = {0};

	assert_int_equal(mount_spec_volume(&arena, "/here", "./x:/m/:ro", &mount, &e), 0);
	assert_string_equal(mount.bind, "/here/x:/m/:ro");
	assert_string_equal(mount.mode, "ro");
	assert_int_equal(mount_spec_volume(&arena, "/here", "vol:/m", &mount, &e), 0);
	assert_string_equal(mount.bind, "vol:/m");
	assert_int_equal(mount_spec_volume(&arena, "/here", "/m", &mount, &e), 0);
	assert_null(mount.bind);
	assert_int_equal(
		mount_spec_mount(&arena,
			"src=vol,dst=/m,volume-label=a=b=c,volume-label=d,volume-opt=type=nfs", &mount, &e),
		0);
	assert_int_equal(mount.labels.count, 2);
	assert_string_equal(mount.labels.items[0], "a=b=c");
	assert_string_equal(mount.labels.items[1], "d=");
	assert_string_equal(mount.volume_options.items[0], "type=nfs");
	arena_free(&arena);
}

static void volumes_from_is_a_container_and_a_mode(void **state)
{
	struct arena arena = {0};
	struct mount_spec_from from;
	struct err e = {0};
	static const char *const bad[] = {"", ":ro", "c:", "c:bogus", "c:nocopy", "c:ro,rw", "c:rslave"};

	assert_int_equal(mount_spec_from(&arena, "data", &from, &e), 0);
	assert_string_equal(from.container, "data");
	assert_false(from.readonly);
	assert_int_equal(mount_spec_from(&arena, "data:ro", &from, &e), 0);
	assert_true(from.readonly);
	assert_int_equal(mount_spec_from(&arena, "data:rw,z", &from, &e), 0);
	assert_false(from.readonly);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (mount_spec_from(&arena, bad[i], &from, &e) == 0)
			fail_msg("taken: %s", bad[i]);
	arena_free(&arena);
}

static void an_image_may_not_choose_every_place(void **state)
{
	static const char *const bad[] = {"/", "", ".", "..", "../../", "/proc", "proc/sys", "/proc/stat/..",
		"/sys", "/sys/fs", "/a/../sys", "/x/../../proc/1"};
	struct arena arena = {0};
	const char *clean;
	struct err e = {0};

	assert_int_equal(mount_spec_image_volume(&arena, "data/../x", &clean, &e), 0);
	assert_string_equal(clean, "/x");
	assert_int_equal(mount_spec_image_volume(&arena, "/system", &clean, &e), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (mount_spec_image_volume(&arena, bad[i], &clean, &e) == 0)
			fail_msg("taken: %s", bad[i]);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_say_what_they_mean),
		cmocka_unit_test(bad_ones_are_refused_by_name),
		cmocka_unit_test(binds_are_kept_as_they_were_typed),
		cmocka_unit_test(volumes_from_is_a_container_and_a_mode),
		cmocka_unit_test(an_image_may_not_choose_every_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
