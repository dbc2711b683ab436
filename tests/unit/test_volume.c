/* test_volume.c - the store's volumes: names, records, states, and what a kill leaves. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/driver.h"
#include "store/volume.h"
#include "unit.h"

struct place {
	char path[64];
	struct store store;
	struct arena arena;
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	struct err e = {0};

	snprintf(place->path, sizeof place->path, "/tmp/brig-test-XXXXXX");
	if (!mkdtemp(place->path) || store_open(&place->store, place->path, STORE_WRITE, &e) < 0 ||
		driver_use(&place->store, "copy", &e) < 0)
		return -1;
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	driver_close(&place->store);
	store_close(&place->store);
	arena_free(&place->arena);
	int rc = fd_remove_tree(AT_FDCWD, place->path);
	free(place);
	return rc;
}

static int path_open(const struct place *place, const char *name, int flags)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", place->path, name);
	return fd_open(AT_FDCWD, path, flags, 0644);
}

static void make(struct place *place, const char *name)
{
	struct volume wish = {.name = name};
	struct err e = {0};
	if (volume_create(&place->store, &wish, true, &e) != 1)
		fail_msg("%s: %s", name, e.what);
}

static enum volume_state state_of(struct place *place, const char *name)
{
	struct volume volume;
	struct err e = {0};
	assert_int_equal(volume_read(&place->store, &place->arena, name, &volume, &e), 0);
	return volume.state;
}

static void a_volume_keeps_what_was_said_of_it(void **state)
{
	struct place *place = *state;
	struct volume wish = {.name = "data"}, found;
	struct err e = {0};

	strings_add(&place->arena, &wish.labels, "a=b=c");
	strings_add(&place->arena, &wish.labels, "empty=");
	strings_add(&place->arena, &wish.options, "type=tmpfs");
	assert_int_equal(volume_create(&place->store, &wish, true, &e), 1);
	struct volume other = {.name = "data"};
	assert_int_equal(volume_create(&place->store, &other, true, &e), 0);
	assert_int_equal(volume_read(&place->store, &place->arena, "data", &found, &e), 0);
	assert_string_equal(volume_value(&found.labels, "a"), "b=c");
	assert_string_equal(volume_value(&found.labels, "empty"), "");
	assert_null(volume_value(&found.labels, "emp"));
	assert_string_equal(volume_value(&found.options, "type"), "tmpfs");
	assert_int_equal(found.state, VOLUME_FRESH);
	assert_true(found.created > 0);
	auto_close int data = path_open(place, "volumes/data/_data", O_RDONLY | O_DIRECTORY);
	struct stat st;
	assert_int_equal(fstat(data, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void names_are_no_paths(void **state)
{
	static const char *const bad[] = {"", "a", ".", "..", "../x", "a/b", "/abs", ".lock", "-a", "_x",
		"a b", "a\nb", "\xc3\xa4\xc3\xa4"};
	struct place *place = *state;
	struct volume volume;
	struct store_stage stage;
	struct err e = {0};
	char longest[VOLUME_NAME_LIMIT + 2];

	memset(longest, 'x', sizeof longest);
	longest[VOLUME_NAME_LIMIT] = '\0';
	assert_int_equal(volume_check_name(longest, &e), 0);
	make(place, longest);
	longest[VOLUME_NAME_LIMIT] = 'x';
	longest[VOLUME_NAME_LIMIT + 1] = '\0';
	assert_int_equal(volume_check_name(longest, &e), -1);
	assert_int_equal(volume_stage(&place->store, &stage, &e), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct volume wish = {.name = bad[i]};
		if (volume_check_name(bad[i], &e) == 0 || volume_create(&place->store, &wish, true, &e) >= 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(volume_read(&place->store, &place->arena, bad[i], &volume, &e), -1);
		assert_int_equal(e.kind, ERR_NOT_FOUND);
		assert_int_equal(volume_open(&place->store, bad[i], &e), -1);
		assert_int_equal(volume_take(&place->store, bad[i], &stage, &e), -1);
		assert_int_equal(e.kind, ERR_NOT_FOUND);
	}
	volume_stage_drop(&place->store, &stage, &e);
}

static void an_empty_fresh_one_is_filled_once(void **state)
{
	struct place *place = *state;
	struct volume_fill fill = {.durable = true};
	struct err e = {0};

	make(place, "data");
	assert_int_equal(volume_fill_begin(&place->store, "data", true, &fill, &e), 1);
	assert_int_equal(state_of(place, "data"), VOLUME_FILLING);
	auto_close int file = fd_open(fill.data, "f", O_WRONLY | O_CREAT, 0644);
	assert_true(file >= 0);
	assert_int_equal(volume_fill_end(&place->store, "data", &fill, &e), 0);
	assert_int_equal(state_of(place, "data"), VOLUME_USED);
	assert_int_equal(volume_fill_begin(&place->store, "data", true, &fill, &e), 0);
	assert_int_equal(fill.folder, -1);
}

static void not_wanted_or_not_empty_is_used_at_once(void **state)
{
	struct place *place = *state;
	struct volume_fill fill = {.durable = true};
	struct err e = {0};

	make(place, "unwanted");
	assert_int_equal(volume_fill_begin(&place->store, "unwanted", false, &fill, &e), 0);
	assert_int_equal(state_of(place, "unwanted"), VOLUME_USED);
	make(place, "full");
	auto_close int file = path_open(place, "volumes/full/_data/mine", O_WRONLY | O_CREAT);
	assert_int_equal(volume_fill_begin(&place->store, "full", true, &fill, &e), 0);
	assert_int_equal(state_of(place, "full"), VOLUME_USED);
	auto_close int there = path_open(place, "volumes/full/_data/mine", O_RDONLY);
	assert_true(there >= 0);
}

static void what_a_killed_filling_left_is_thrown_away(void **state)
{
	struct place *place = *state;
	struct volume_fill fill = {.durable = true};
	struct err e = {0};

	make(place, "data");
	pid_t pid = fork();
	if (pid == 0) {
		if (volume_fill_begin(&place->store, "data", true, &fill, &e) != 1 ||
			fd_open(fill.data, "partial", O_WRONLY | O_CREAT, 0644) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(state_of(place, "data"), VOLUME_FILLING);
	assert_int_equal(volume_fill_begin(&place->store, "data", true, &fill, &e), 1);
	assert_int_equal(fd_open(fill.data, "partial", O_RDONLY, 0), -ENOENT);
	volume_fill_undo(&fill);
	/* Nor does one who wants nothing copied get to see it. */
	assert_int_equal(volume_fill_begin(&place->store, "data", false, &fill, &e), 0);
	assert_int_equal(state_of(place, "data"), VOLUME_USED);
}

static void one_that_is_being_filled_is_waited_for(void **state)
{
	struct place *place = *state;
	struct volume_fill fill = {.durable = true};
	struct err e = {0};
	char byte;
	int ends[2];

	make(place, "data");
	assert_int_equal(volume_fill_begin(&place->store, "data", true, &fill, &e), 1);
	assert_int_equal(fd_pipe(ends, 0), 0);
	pid_t pid = fork();
	if (pid == 0) {
		/* Our copies of the lock's descriptor would hold it. */
		struct volume_fill mine = {.durable = true};
		close(fill.folder);
		close(fill.data);
		if (write(ends[1], "x", 1) != 1)
			_exit(2);
		_exit(volume_fill_begin(&place->store, "data", true, &mine, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	usleep(20000);
	int status;
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(volume_fill_end(&place->store, "data", &fill, &e), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ends[0]);
	close(ends[1]);
}

static void taken_ones_are_gone_and_what_is_left_of_them_is_swept(void **state)
{
	struct place *place = *state;
	struct store_stage stage;
	struct volume *volumes;
	struct err e = {0};
	size_t count;

	make(place, "bb");
	make(place, "aa");
	auto_close int file = path_open(place, "volumes/aa/_data/f", O_WRONLY | O_CREAT);
	assert_int_equal(volume_list(&place->store, &place->arena, &volumes, &count, &e), 0);
	assert_int_equal(count, 2);
	assert_string_equal(volumes[0].name, "aa");
	assert_int_equal(volume_stage(&place->store, &stage, &e), 0);
	assert_int_equal(volume_take(&place->store, "aa", &stage, &e), 0);
	assert_int_equal(volume_take(&place->store, "aa", &stage, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_int_equal(volume_list(&place->store, &place->arena, &volumes, &count, &e), 0);
	assert_int_equal(count, 1);
	/* As if we had been killed: the descriptor alone is gone. */
	close_fd(&stage.fd);
	assert_int_equal(store_sweep(&place->store), 1);
	auto_close int left = path_open(place, "tmp", O_RDONLY | O_DIRECTORY);
	assert_int_equal(unlinkat(left, stage.name, AT_REMOVEDIR), -1);
	assert_int_equal(errno, ENOENT);
}

static void links_are_not_followed(void **state)
{
	struct place *place = *state;
	struct volume volume;
	struct err e = {0};

	make(place, "data");
	auto_close int data = volume_open(&place->store, "data", &e);
	assert_true(data >= 0);
	assert_int_equal(mkdirat(data, "dir", 0755), 0);
	assert_int_equal(symlinkat("dir", data, "link"), 0);
	assert_int_equal(symlinkat("/etc", data, "out"), 0);
	auto_close int below = volume_open_below(data, "data", "dir", &e);
	assert_true(below >= 0);
	static const char *const bad[] = {
		"link", "out", "out/passwd", "..", "../..", "/", "/etc", "missing", "dir/../../x"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (volume_open_below(data, "data", bad[i], &e) >= 0)
			fail_msg("opened: %s", bad[i]);

	auto_close int folder = path_open(place, "volumes/data", O_RDONLY | O_DIRECTORY);
	assert_int_equal(renameat(folder, "_data", folder, "moved"), 0);
	assert_int_equal(symlinkat("moved", folder, "_data"), 0);
	assert_int_equal(volume_open(&place->store, "data", &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	auto_close int volumes = path_open(place, "volumes", O_RDONLY | O_DIRECTORY);
	assert_int_equal(renameat(volumes, "data", volumes, "other"), 0);
	assert_int_equal(symlinkat("other", volumes, "data"), 0);
	assert_int_equal(volume_read(&place->store, &place->arena, "data", &volume, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
}

static void damaged_records_are_said_to_be(void **state)
{
	static const char *const texts[] = {"", "garbage", "{}", "{\"version\":2,\"state\":\"used\"}",
		"{\"version\":1,\"state\":\"other\"}", "{\"version\":1}", "[1]"};
	struct place *place = *state;
	struct volume volume, *volumes;
	struct err e = {0};
	size_t count;

	make(place, "data");
	auto_close int folder = path_open(place, "volumes/data", O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(
			fd_replace(folder, "volume.json", texts[i], strlen(texts[i]), 0600, false), 0);
		if (volume_read(&place->store, &place->arena, "data", &volume, &e) == 0)
			fail_msg("taken: %s", texts[i]);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_int_equal(volume_list(&place->store, &place->arena, &volumes, &count, &e), 0);
		assert_int_equal(count, 1);
		assert_true(volumes[0].damaged);
	}
}

/* A driver that makes volumes of its own kind: here a folder with a file beside it. */

static int own_create(struct store *store, int folder, const char *name, struct err *e)
{
	auto_close int beside = fd_open(folder, "dataset", O_WRONLY | O_CREAT | O_EXCL, 0600);
	return beside < 0 || mkdirat(folder, "_data", 0755) < 0 ? err_errno(e, errno, "cannot make it") : 0;
}

static int own_open(struct store *store, int folder, struct err *e)
{
	auto_close int beside = fd_open(folder, "dataset", O_RDONLY, 0);
	return beside < 0 ? err_errno(e, beside, "it is not mounted") : 0;
}

/* Refuses what it has not made, as an ioctl would. */
static int own_remove(struct store *store, int folder, struct err *e)
{
	struct stat st;
	if (fstatat(folder, "_data", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (unlinkat(folder, "dataset", 0) < 0)
		return err_errno(e, errno, "it is busy");
	return fd_remove_tree(folder, "_data") < 0 ? -1 : 0;
}

static void a_driver_may_make_them(void **state)
{
	struct place *place = *state;
	const struct store_driver *copy = place->store.driver;
	struct store_driver own = *copy;
	struct store_stage stage;
	struct err e = {0};

	own.volume_create = own_create;
	own.volume_open = own_open;
	own.volume_remove = own_remove;
	place->store.driver = &own;
	make(place, "data");
	auto_close int data = volume_open(&place->store, "data", &e);
	assert_true(data >= 0);
	auto_close int beside = path_open(place, "volumes/data/dataset", O_RDONLY);
	assert_true(beside >= 0);
	assert_int_equal(volume_stage(&place->store, &stage, &e), 0);
	assert_int_equal(volume_take(&place->store, "data", &stage, &e), 0);
	volume_stage_drop(&place->store, &stage, &e);
	auto_close int tmp = path_open(place, "tmp", O_RDONLY | O_DIRECTORY);
	assert_int_equal(unlinkat(tmp, stage.name, AT_REMOVEDIR), -1);
	/* Removed by whoever sweeps, where its remover was killed. */
	make(place, "other");
	assert_int_equal(volume_stage(&place->store, &stage, &e), 0);
	assert_int_equal(volume_take(&place->store, "other", &stage, &e), 0);
	close_fd(&stage.fd);
	assert_int_equal(store_sweep(&place->store), 1);
	/* One that the driver cannot remove stays where the next sweep finds it. */
	make(place, "busy");
	auto_close int folder = path_open(place, "volumes/busy", O_RDONLY | O_DIRECTORY);
	assert_int_equal(unlinkat(folder, "dataset", 0), 0);
	assert_int_equal(volume_open(&place->store, "busy", &e), -1);
	assert_int_equal(volume_stage(&place->store, &stage, &e), 0);
	assert_int_equal(volume_take(&place->store, "busy", &stage, &e), 0);
	close_fd(&stage.fd);
	assert_int_equal(store_sweep(&place->store), 0);
	auto_close int again = fd_open(folder, "dataset", O_WRONLY | O_CREAT, 0600);
	assert_true(again >= 0);
	assert_int_equal(store_sweep(&place->store), 1);
	place->store.driver = copy;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_volume_keeps_what_was_said_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(names_are_no_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_fresh_one_is_filled_once, setup, teardown),
		cmocka_unit_test_setup_teardown(not_wanted_or_not_empty_is_used_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_killed_filling_left_is_thrown_away, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_is_being_filled_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			taken_ones_are_gone_and_what_is_left_of_them_is_swept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_driver_may_make_them, setup, teardown),
		cmocka_unit_test_setup_teardown(links_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_records_are_said_to_be, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
