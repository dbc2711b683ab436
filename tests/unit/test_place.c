/* test_place.c - where a data root lies, and what zfs says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/mount_points.h"
#include "store/place.h"
#include "store/zfs_program.h"
#include "unit.h"

static const char mountinfo[] =
	"1 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
	"12 1 0:33 / /var/x\\040y rw shared:1 master:2 - btrfs /dev/nowhere rw,space_cache,subvol=/\n"
	"123 1 0:34 /a'b /srv rw - btrfs /dev/sdb rw\n"
	"1234 1 0:35 / /tank/brig rw - zfs tank/brig rw,xattr\n"
	"12345 1 0:36 / /fuse rw - fuse.zfs tank/f rw\n"
	"13 1 0:37 / /cut rw shared:1\n"
	"14 1 0:37 / /cut rw - ext4 /dev/sdc\n"
	"15 1 0:37";

static void lines(void **state)
{
	static const struct {
		const char *id, *point, *type, *command;
	} rows[] = {
		{"1", "/", "ext4", "mount /dev/sda1 /"},
		{"12", "/var/x y", "btrfs", "mount /dev/nowhere '/var/x y'"},
		{"123", "/srv", "btrfs", "mount -o subvol='/a'\\''b' /dev/sdb /srv"},
		{"1234", "/tank/brig", "zfs", "zpool import tank; zfs mount tank/brig"},
		{"12345", "/fuse", "fuse.zfs", "zpool import tank; zfs mount tank/f"},
		{"13", NULL, NULL, NULL},
		{"14", NULL, NULL, NULL},
		{"15", NULL, NULL, NULL},
		{"2", NULL, NULL, NULL},
	};
	auto_arena struct arena arena = {0};

	for (size_t i = 0; i < unit_count(rows); i++) {
		struct place place;
		unit_row("mount %s\n", rows[i].id);
		assert_int_equal(place_parse(&arena, mountinfo, rows[i].id, &place), rows[i].point != NULL);
		if (!rows[i].point)
			continue;
		assert_string_equal(place.mount_point, rows[i].point);
		assert_string_equal(place.type, rows[i].type);
		assert_string_equal(place_mount_command(&arena, &place), rows[i].command);
	}
}

/* This process's own mounts. */
static void found(void **state)
{
	auto_arena struct arena arena = {0};
	struct place place;
	auto_close int proc = fd_open(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0);

	assert_int_equal(place_find(&arena, proc, &place), 0);
	assert_string_equal(place.type, "proc");
	assert_string_equal(place.mount_point, "/proc");
	assert_null(place_remote(proc));
}

/* The words of OpenZFS 2.1 and of zfs-fuse 0.7. */
static void reasons(void **state)
{
	static const struct {
		const char *says;
		enum zfs_reason reason;
		enum err_kind kind;
		const char *what;
	} rows[] = {
		{"cannot create 'p/x': no such pool 'p'\n", ZFS_MISSING, ERR_NOT_FOUND,
			"pool p is not there"},
		{"cannot open 'p/x': dataset does not exist\n", ZFS_MISSING, ERR_NOT_FOUND, "does not exist"},
		{"cannot destroy 'p/x': filesystem has dependent clones\nuse '-R' to destroy the following "
		 "datasets:\np/y\n",
			ZFS_CLONED, ERR_CONFLICT, "dependent clones"},
		{"cannot destroy 'p/x': dataset is busy\n", ZFS_BUSY, ERR_CONFLICT, "busy"},
		{"cannot unmount '/x': pool or dataset is busy\n", ZFS_BUSY, ERR_CONFLICT, "busy"},
		{"cannot create 'p/x': out of space\n", ZFS_FAILED, ERR_NO_SPACE, "pool p is full"},
		{"cannot create snapshot 'p/x@y': out of space\n", ZFS_FAILED, ERR_NO_SPACE, "is full"},
		{"connect: Connection refused\nPlease make sure that the zfs-fuse daemon is running.\n"
		 "internal error: failed to initialize ZFS library\n",
			ZFS_FAILED, ERR_UNREACHABLE, "does not run"},
		{"The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs' as root to load them.\n",
			ZFS_FAILED, ERR_UNREACHABLE, "not loaded"},
		{"something \033[2Jelse\nand more\n", ZFS_FAILED, ERR_SYSTEM, "ZFS: something \\x1b[2Jelse"},
		{"", ZFS_FAILED, ERR_SYSTEM, "did not say why"},
	};

	for (size_t i = 0; i < unit_count(rows); i++) {
		struct err e;
		unit_row("%s\n", rows[i].says);
		assert_int_equal(zfs_explain(rows[i].says, "p", &e), rows[i].reason);
		assert_int_equal(e.kind, rows[i].kind);
		assert_non_null(strstr(e.what, rows[i].what));
	}
}

static bool is_there(int folder, const char *path)
{
	struct stat st;
	return fstatat(folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What only the engine made goes, and nothing else. */
static void trimming(void **state)
{
	static const char *const more[] = {"/srv/a/b", "/full", "/link/x", "/image", "/../..", "/", "", NULL};
	char path[] = "/tmp/brig-test-place.XXXXXX";

	assert_non_null(mkdtemp(path));
	auto_close int top = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	for (const char *const *name = (const char *const[]){"tree", "below", "tree/dev", "tree/etc",
		     "tree/srv", "tree/srv/a", "tree/srv/a/b", "tree/full", "tree/image", "below/image",
		     "tree/proc", "tree/proc/x", "outside", "outside/x", NULL};
		*name; name++)
		assert_int_equal(mkdirat(top, *name, 0755), 0);
	for (const char *const *name =
			(const char *const[]){"tree/etc/hosts", "tree/etc/hostname", "tree/full/file", NULL};
		*name; name++) {
		auto_close int fd = fd_open(top, *name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (strcmp(*name, "tree/etc/hostname") != 0)
			continue;
		assert_int_equal(write(fd, "x", 1), 1);
	}
	assert_int_equal(symlinkat("../outside", top, "tree/link"), 0);
	auto_close int tree = fd_open(top, "tree", O_RDONLY | O_DIRECTORY, 0);
	auto_close int below = fd_open(top, "below", O_RDONLY | O_DIRECTORY, 0);
	mount_points_trim(tree, below, more);
	assert_false(is_there(tree, "dev"));
	assert_false(is_there(tree, "etc/hosts"));
	assert_true(is_there(tree, "etc/hostname")); /* something was written to it */
	assert_false(is_there(tree, "srv"));
	assert_true(is_there(tree, "full/file"));
	assert_true(is_there(tree, "image"));
	assert_true(is_there(tree, "proc/x"));
	assert_true(is_there(top, "outside/x"));
	assert_int_equal(fd_remove_tree(AT_FDCWD, path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(found),
		cmocka_unit_test(reasons),
		cmocka_unit_test(trimming),
	};
	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
