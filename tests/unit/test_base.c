/* test_base.c - err, arena, buf and fd: the ground of everything else. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "unit.h"

static void err_errno_gives_kinds(void **state)
{
	static const struct {
		int number;
		enum err_kind kind;
	} rows[] = {
		{ENOENT, ERR_NOT_FOUND},
		{-ENOENT, ERR_NOT_FOUND},
		{EACCES, ERR_DENIED},
		{EPERM, ERR_DENIED},
		{ENOSPC, ERR_NO_SPACE},
		{EIO, ERR_SYSTEM},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct err e = {0};
		assert_int_equal(err_errno(&e, rows[i].number, "cannot open %s", "x"), -1);
		assert_int_equal(e.kind, rows[i].kind);
		assert_int_equal(e.number, abs(rows[i].number));
		assert_ptr_equal(strstr(e.what, "cannot open x: "), e.what);
	}
}

static void err_sanitize_hides_steering(void **state)
{
	char out[64];
	assert_string_equal(err_sanitize(out, sizeof(out), "a\033[2Jb\n"), "a\\x1b[2Jb\\x0a");
	assert_string_equal(err_sanitize(out, sizeof(out), "plain"), "plain");
	err_sanitize(out, 4, "\033\033");
	assert_true(strlen(out) < 4);
}

static void arena_memory_is_zeroed_and_aligned(void **state)
{
	auto_arena struct arena arena = {0};
	for (size_t size = 1; size < 200000; size = size * 3 + 1) {
		char *bytes = arena_alloc(&arena, size);
		assert_int_equal((uintptr_t)bytes % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(bytes[i], 0);
		memset(bytes, 0xff, size);
	}
	assert_string_equal(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
	struct strings list = {0};
	for (int i = 0; i < 50; i++)
		strings_add(&arena, &list, "w");
	assert_int_equal(list.count, 50);
	assert_null(list.items[50]);
}

static void buf_grows_and_ends_with_nul(void **state)
{
	auto_buf struct buf buf = {0};
	for (int i = 0; i < 1000; i++)
		buf_printf(&buf, "%03d", i);
	assert_int_equal(buf.length, 3000);
	assert_int_equal(strlen(buf.data), 3000);
	assert_memory_equal(buf.data + 2997, "999", 3);
}

/* A folder under TMPDIR that the test removes itself. */
static int folder_make(void **state)
{
	char path[] = "/tmp/brig-unit-XXXXXX";
	if (!mkdtemp(path))
		return -1;
	*state = strdup(path);
	return 0;
}

static int folder_remove(void **state)
{
	auto_free char *path = *state;
	return fd_remove_tree(AT_FDCWD, path);
}

static void fd_replace_and_read(void **state)
{
	auto_close int dir = fd_open(AT_FDCWD, *state, O_RDONLY | O_DIRECTORY, 0);
	assert_true(dir >= 0);
	assert_int_equal(fcntl(dir, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_replace(dir, "file", "one", 3, 0640, false), 0);
	assert_int_equal(fd_replace(dir, "file", "three", 5, 0600, true), 0);
	auto_buf struct buf read = {0};
	assert_int_equal(fd_read_file(dir, "file", 100, &read), 0);
	assert_string_equal(read.data, "three");
	auto_buf struct buf short_of_room = {0};
	assert_int_equal(fd_read_file(dir, "file", 4, &short_of_room), -EFBIG);
	assert_int_equal(symlinkat("file", dir, "link"), 0);
	assert_true(fd_read_file(dir, "link", 100, &short_of_room) < 0);
}

static void fd_paths_stay_inside(void **state)
{
	auto_close int dir = fd_open(AT_FDCWD, *state, O_RDONLY | O_DIRECTORY, 0);
	assert_true(dir >= 0);
	assert_int_equal(fd_mkdirs(dir, "a/b/c", 0755), 0);
	assert_int_equal(fd_mkdirs(dir, "a/b/c", 0755), 0);
	assert_int_equal(symlinkat("/etc", dir, "out"), 0);
	assert_int_equal(symlinkat("../../../etc", dir, "a/up"), 0);
	assert_int_equal(fd_open_beneath(dir, "out/passwd", O_RDONLY, 0), -EXDEV);
	assert_int_equal(fd_open_beneath(dir, "a/up", O_RDONLY, 0), -EXDEV);
	/* In the root, /etc is the folder's own, which is not there. */
	assert_int_equal(fd_open_in_root(dir, "out/passwd", O_RDONLY, 0), -ENOENT);
	assert_int_equal(mkdirat(dir, "etc", 0755), 0);
	auto_close int inside = fd_open_in_root(dir, "a/up", O_RDONLY | O_DIRECTORY, 0);
	assert_true(inside >= 0);
	assert_int_equal(fd_remove_tree(dir, "a"), 0);
	assert_int_equal(fd_remove_tree(dir, "a"), 0);
	assert_int_equal(faccessat(dir, "a", F_OK, 0), -1);
}

/* Deeper than a process may have descriptors, as a container can leave it. */
static void fd_remove_tree_is_not_bound_by_depth(void **state)
{
	enum { DEPTH = 3000 };
	struct rlimit before, few;
	auto_close int dir = fd_open(AT_FDCWD, *state, O_RDONLY | O_DIRECTORY, 0);
	int fd = fd_open(dir, ".", O_RDONLY | O_DIRECTORY, 0);

	for (int i = 0; i < DEPTH; i++) {
		const char *name = i ? "d" : "deep";
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		int next = fd_open(fd, name, O_RDONLY | O_DIRECTORY, 0);
		if (i % 100 == 50)
			assert_int_equal(symlinkat("/etc", next, "link"), 0);
		close(fd);
		fd = next;
		assert_true(fd >= 0);
	}
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 160;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	int rc = fd_remove_tree(dir, "deep");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(rc, 0);
	assert_int_equal(faccessat(dir, "deep", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_errno_gives_kinds),
		cmocka_unit_test(err_sanitize_hides_steering),
		cmocka_unit_test(arena_memory_is_zeroed_and_aligned),
		cmocka_unit_test(buf_grows_and_ends_with_nul),
		cmocka_unit_test_setup_teardown(fd_replace_and_read, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(fd_paths_stay_inside, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(
			fd_remove_tree_is_not_bound_by_depth, folder_make, folder_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
