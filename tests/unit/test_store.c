/* test_store.c - the data root: opening, locks, staging, blobs. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/blob.h"
#include "store/store.h"

struct place {
	char path[64]; /* a folder of the test's own */
	char root[80]; /* the data root in it, not made yet */
	int fd;
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	snprintf(place->path, sizeof place->path, "/tmp/brig-test-XXXXXX");
	if (!mkdtemp(place->path))
		return -1;
	snprintf(place->root, sizeof place->root, "%s/a/root", place->path);
	place->fd = fd_open(AT_FDCWD, place->path, O_RDONLY | O_DIRECTORY, 0);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	close(place->fd);
	int rc = fd_remove_tree(AT_FDCWD, place->path);
	free(place);
	return rc;
}

static void open_writable(struct place *place, struct store *store)
{
	struct err e = {0};
	if (store_open(store, place->root, STORE_WRITE, &e) < 0)
		fail_msg("%s", e.what);
}

static void test_open(void **state)
{
	struct place *place = *state;
	struct store store;
	struct err e = {0};
	struct stat st;

	/* Reading what is not there: an empty store, and nothing is made. */
	assert_int_equal(store_open(&store, place->root, 0, &e), 0);
	assert_int_equal(store.root, -1);
	assert_int_equal(store_folder(&store, STORE_BLOBS, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_int_equal(store_lock(&store, STORE_SHARED, &e), 0);
	assert_int_equal(store_sweep(&store), 0);
	store_close(&store);
	assert_int_equal(stat(place->root, &st), -1);

	mode_t mask = umask(0);
	open_writable(place, &store);
	assert_true(store_folder(&store, STORE_BLOBS, &e) >= 0);
	assert_int_equal(store_folder(&store, STORE_BLOBS, &e), store_folder(&store, STORE_BLOBS, &e));
	umask(mask);
	assert_int_equal(fstat(store.root, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(store.root, "blobs/sha256", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fcntl(store.root, F_GETFD), FD_CLOEXEC);
	store_close(&store);
	store_close(&store); /* twice does no harm */

	/* A root that others can enter is closed to them. */
	assert_int_equal(chmod(place->root, 0755), 0);
	open_writable(place, &store);
	assert_int_equal(fstat(store.root, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	store_close(&store);
	assert_int_equal(store_open(&store, place->root, 0, &e), 0);
	assert_true(store.root >= 0);
	store_close(&store);
}

static void test_formats(void **state)
{
	struct place *place = *state;
	static const struct {
		const char *text;
		enum err_kind kind;
	} rows[] = {
		{"brig 1\n", ERR_NONE},
		{"brig 2\n", ERR_UNSUPPORTED},
		{"", ERR_CORRUPT},
		{"brig\n", ERR_CORRUPT},
		{"brig x\n", ERR_CORRUPT},
		{"brig 1", ERR_CORRUPT},
		{"brig 0\n", ERR_CORRUPT},
		{"docker 1\n", ERR_CORRUPT},
		{"brig 99999999999999999999999999999999\n", ERR_CORRUPT},
	};
	struct store store;
	open_writable(place, &store);
	int root = dup(store.root);
	store_close(&store);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = {0};
		assert_int_equal(
			fd_replace(root, "format", rows[i].text, strlen(rows[i].text), 0600, false), 0);
		for (int flags = 0; flags <= STORE_WRITE; flags++) {
			int rc = store_open(&store, place->root, flags, &e);
			assert_int_equal(rc, rows[i].kind ? -1 : 0);
			if (rc < 0)
				assert_int_equal(e.kind, rows[i].kind);
			store_close(&store);
		}
	}
	/* Somebody else's folder is not taken over, an interrupted beginning is finished. */
	assert_int_equal(unlinkat(root, "format", 0), 0);
	struct err e = {0};
	assert_int_equal(mkdirat(root, ".format.123.new", 0700), 0);
	open_writable(place, &store);
	store_close(&store);
	assert_int_equal(unlinkat(root, "format", 0), 0);
	assert_int_equal(mkdirat(root, "photos", 0700), 0);
	for (int flags = 0; flags <= STORE_WRITE; flags++) {
		assert_int_equal(store_open(&store, place->root, flags, &e), -1);
		assert_int_equal(e.kind, ERR_CONFLICT);
	}
	close(root);
	/* A file in its place. */
	assert_int_equal(fd_remove_tree(AT_FDCWD, place->root), 0);
	close(fd_open(AT_FDCWD, place->root, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(store_open(&store, place->root, STORE_WRITE, &e), -1);
	assert_non_null(strstr(e.what, place->root));
}

/* Many make the same store at once. */
static void test_made_at_once(void **state)
{
	struct place *place = *state;
	enum { ROUNDS = 20, PROCESSES = 6 };

	for (int round = 0; round < ROUNDS; round++) {
		int gate[2];
		assert_int_equal(fd_pipe(gate, 0), 0);
		for (int p = 0; p < PROCESSES; p++) {
			if (fork() != 0)
				continue;
			struct store store;
			struct err e = {0};
			char c;
			close(gate[1]);
			_exit(read(gate[0], &c, 1) != 0 ||
				store_open(&store, place->root, STORE_WRITE, &e) < 0 ||
				store_folder(&store, STORE_BLOBS, &e) < 0 ||
				store_folder(&store, STORE_TMP, &e) < 0);
		}
		close(gate[0]);
		close(gate[1]);
		for (int p = 0; p < PROCESSES; p++) {
			int status;
			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
		}
		assert_int_equal(fd_remove_tree(AT_FDCWD, place->root), 0);
	}
}

/* Whether another process gets the lock without waiting. */
static bool other_gets(struct place *place, enum store_lock mode)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct store store;
		struct err e = {0};
		if (store_open(&store, place->root, 0, &e) < 0)
			_exit(2);
		_exit(store_try_lock(&store, mode, &e) == 1 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

static void test_locks(void **state)
{
	struct place *place = *state;
	struct store store;
	struct err e = {0};

	open_writable(place, &store);
	assert_int_equal(store_lock(&store, STORE_SHARED, &e), 0);
	assert_true(other_gets(place, STORE_SHARED));
	assert_false(other_gets(place, STORE_EXCLUSIVE));
	assert_int_equal(store_lock(&store, STORE_EXCLUSIVE, &e), 0);
	assert_false(other_gets(place, STORE_SHARED));
	/* A forked child that still has the descriptor does not keep it. */
	int ends[2];
	assert_int_equal(fd_pipe(ends, 0), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		close(ends[1]);
		_exit(read(ends[0], &c, 1) != 0);
	}
	store_unlock(&store);
	assert_true(other_gets(place, STORE_EXCLUSIVE));
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	store_close(&store);
}

static size_t count_entries(struct store *store, enum store_folder folder)
{
	struct err e = {0};
	size_t count = 0;
	DIR *stream = fdopendir(fd_open(store_folder(store, folder, &e), ".", O_RDONLY | O_DIRECTORY, 0));
	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static void test_staging(void **state)
{
	struct place *place = *state;
	struct store store;
	struct store_stage stage;
	struct err e = {0};

	open_writable(place, &store);
	assert_int_equal(store_stage(&store, "layer", &stage, &e), 0);
	assert_int_equal(strncmp(stage.name, "layer-", 6), 0);
	assert_int_equal(mkdirat(stage.fd, "x", 0700), 0);
	assert_int_equal(store_sweep(&store), 0); /* it is in use */
	assert_int_equal(count_entries(&store, STORE_TMP), 1);
	store_stage_drop(&store, &stage);
	store_stage_drop(&store, &stage);
	assert_int_equal(count_entries(&store, STORE_TMP), 0);

	/* A maker that dies leaves it; the sweep takes it, and only it. */
	pid_t pid = fork();
	if (pid == 0) {
		struct store_stage left;
		_exit(store_stage(&store, "layer", &left, &e) < 0 || mkdirat(left.fd, "x", 0700) < 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(store_stage(&store, "layer", &stage, &e), 0);
	int tmp = store_folder(&store, STORE_TMP, &e);
	close(fd_open(tmp, "stray", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlinkat("/etc", tmp, "link"), 0);
	assert_int_equal(store_sweep(&store), 3);
	assert_int_equal(count_entries(&store, STORE_TMP), 1);
	assert_int_equal(faccessat(AT_FDCWD, "/etc/passwd", F_OK, 0), 0);
	store_stage_drop(&store, &stage);
	store_close(&store);
}

static void test_blobs(void **state)
{
	struct place *place = *state;
	struct store store;
	struct oci_digest digest, sha512 = {.text = "sha512:"};
	struct blob_stage stage;
	struct err e = {0};
	struct buf out = {0};
	int64_t size = 0;

	open_writable(place, &store);
	oci_digest_of("hello", 5, &digest);
	assert_false(blob_has(&store, &digest, &size));
	assert_int_equal(blob_open(&store, &digest, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_int_equal(blob_write(&store, "hello", 5, &digest, &e), 0);
	assert_int_equal(blob_write(&store, "hello", 5, &digest, &e), 0);
	assert_true(blob_has(&store, &digest, &size));
	assert_int_equal(size, 5);
	assert_int_equal(blob_read(&store, &digest, 5, &out, &e), 0);
	assert_string_equal(out.data, "hello");
	assert_int_equal(blob_read(&store, &digest, 4, &out, &e), -1);
	buf_free(&out);
	struct stat st;
	assert_int_equal(fstatat(store.folders[STORE_BLOBS], oci_digest_hex(&digest), &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	/* A stage that is dropped leaves nothing, one that is published has its name. */
	assert_int_equal(blob_stage(&store, &stage, &e), 0);
	assert_int_equal(write(stage.fd, "x", 1), 1);
	blob_drop(&store, &stage);
	blob_drop(&store, &stage);
	assert_int_equal(count_entries(&store, STORE_BLOBS), 1);
	assert_int_equal(count_entries(&store, STORE_TMP), 0);
	for (int synced = 0; synced <= 1; synced++) {
		oci_digest_of(synced ? "y" : "x", 1, &digest);
		assert_int_equal(blob_stage(&store, &stage, &e), 0);
		assert_int_equal(write(stage.fd, synced ? "y" : "x", 1), 1);
		assert_int_equal(store_sync(&store, &e), 0);
		assert_int_equal(blob_publish(&store, &stage, &digest, synced, &e), 0);
		assert_int_equal(stage.fd, -1);
		assert_int_equal(blob_read(&store, &digest, 5, &out, &e), 0);
		buf_free(&out);
	}
	/* A damaged blob is seen, and mended by writing it again. */
	int fd = fd_open(store.folders[STORE_BLOBS], oci_digest_hex(&digest), O_WRONLY, 0);
	assert_int_equal(write(fd, "z", 1), 1);
	assert_int_equal(blob_read(&store, &digest, 5, &out, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(out.length, 0);
	assert_int_equal(blob_write(&store, "y", 1, &digest, &e), 0);
	assert_int_equal(blob_read(&store, &digest, 5, &out, &e), 0);
	close(fd);
	fd = fd_open(store.folders[STORE_BLOBS], oci_digest_hex(&digest), O_WRONLY | O_TRUNC, 0);
	close(fd);
	assert_int_equal(blob_stage(&store, &stage, &e), 0);
	assert_int_equal(write(stage.fd, "y", 1), 1);
	assert_int_equal(blob_publish(&store, &stage, &digest, false, &e), 0);
	assert_true(blob_has(&store, &digest, &size));
	assert_int_equal(size, 1);
	buf_free(&out);
	assert_int_equal(blob_remove(&store, &digest, &e), 0);
	assert_int_equal(blob_remove(&store, &digest, &e), 0);
	assert_false(blob_has(&store, &digest, NULL));
	/* A symlink or a folder in its place is no blob. */
	assert_int_equal(symlinkat("/etc/passwd", store.folders[STORE_BLOBS], oci_digest_hex(&digest)), 0);
	assert_false(blob_has(&store, &digest, NULL));
	assert_int_equal(blob_open(&store, &digest, &e), -1);
	assert_int_equal(blob_open(&store, &sha512, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	store_close(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_formats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_staging, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blobs, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
