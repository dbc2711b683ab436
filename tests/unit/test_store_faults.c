/*
 * test_store_faults.c - the store is sound after a kill before, and a failure of, any of its
 * system calls.
 *
 * The calls that change or lock files are defined here, in front of the C library's. A
 * child does a fixed piece of work; its Nth call kills it, or fails, for every N. Then the
 * store must list only whole images and volumes, and take and remove everything without a trace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/image.h"
#include "store/volume.h"

static struct {
	int at;     /* the call that fails, from 1; 0: none */
	int number; /* its errno; 0: the process is killed instead */
	int count;
} fault;

static bool faulty(void)
{
	if (!fault.at || ++fault.count != fault.at)
		return false;
	if (!fault.number)
		raise(SIGKILL);
	errno = fault.number;
	return true;
}

#define FAULTY(...) return faulty() ? -1 : (int)syscall(__VA_ARGS__)

int openat(int dir, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;
	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	FAULTY(SYS_openat, dir, name, flags, mode);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	FAULTY(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	FAULTY(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char *name, int flags)
{
	FAULTY(SYS_unlinkat, dir, name, flags);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
	FAULTY(SYS_mkdirat, dir, name, mode);
}

int fchmodat(int dir, const char *name, mode_t mode, int flags)
{
	(void)flags; /* none is ever given */
	FAULTY(SYS_fchmodat, dir, name, mode);
}

int syncfs(int fd)
{
	FAULTY(SYS_syncfs, fd);
}

int fsync(int fd)
{
	FAULTY(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	FAULTY(SYS_fdatasync, fd);
}

int flock(int fd, int operation)
{
	FAULTY(SYS_flock, fd, operation);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	return faulty() ? -1 : syscall(SYS_write, fd, bytes, size);
}

struct dirent *readdir(DIR *stream)
{
	if (faulty())
		return NULL;
	/* With 64-bit offsets this function is called readdir64. */
	struct dirent *(*real)(DIR *) = (struct dirent * (*)(DIR *)) dlsym(RTLD_NEXT, "readdir64");
	return real(stream);
}

struct opened {
	struct arena arena;
	struct store store;
	struct err e;
};

/* Two layers, the lower one shared by all. */
static int add(struct opened *s, const char *seed, const char *name)
{
	struct store *store = &s->store;
	struct image image = {.platform = {"linux", "amd64", ""}, .layer_count = 2};
	struct oci_config config = {
		.author = seed, .created = TIME_NONE, .platform = image.platform, .layer_count = 2};
	struct err *e = &s->e;
	auto_buf struct buf text = {0};
	struct reference reference;

	image.layers = arena_array(&s->arena, 2, sizeof *image.layers);
	config.diff_ids = arena_array(&s->arena, 2, sizeof *config.diff_ids);
	if (store_lock(store, STORE_SHARED, e) < 0)
		return -1;
	for (size_t k = 0; k < 2; k++) {
		struct image_layer *layer = &image.layers[k];
		const char *bytes = arena_printf(&s->arena, "%s", k ? seed : "base");
		struct store_stage stage;
		struct stat st;
		oci_digest_of(bytes, strlen(bytes), &layer->diff_id);
		config.diff_ids[k] = layer->diff_id;
		oci_chain_id(k ? &image.layers[0].chain_id : NULL, &layer->diff_id, &layer->chain_id);
		if (blob_write(store, bytes, strlen(bytes), &layer->blob, e) < 0)
			return -1;
		int layers = store_folder(store, STORE_LAYERS, e);
		const char *chain = oci_digest_hex(&layer->chain_id);
		if (layers < 0)
			return -1;
		if (fstatat(layers, chain, &st, 0) == 0)
			continue;
		if (store_stage(store, "layer", &stage, e) < 0)
			return -1;
		if (mkdirat(stage.fd, "tree", 0700) < 0 ||
			renameat(store->folders[STORE_TMP], stage.name, layers, chain) < 0) {
			store_stage_drop(store, &stage);
			return -1;
		}
		close_fd(&stage.fd);
	}
	oci_config_write(&text, &config);
	if (blob_write(store, text.data, text.length, &image.id, e) < 0 ||
		reference_parse(&s->arena, name, &reference, e) < 0)
		return -1;
	struct image_names_given given = {.references = &reference, .count = 1, .synced = true};
	int rc = image_add(store, &image, &given, e);
	store_unlock(store);
	return rc;
}

/* As far as it comes: 0 where nothing failed. */
static int work_on_images(const char *root)
{
	struct opened s = {0};
	struct image_removal removal;

	if (store_open(&s.store, root, STORE_WRITE, &s.e) < 0)
		return -1;
	store_sweep(&s.store);
	int rc = add(&s, "one", "x:1") | add(&s, "two", "y:1") | add(&s, "three", "x:1") |
		 image_remove(&s.store, &s.arena, "y:1", false, NULL, &removal, &s.e) |
		 image_remove(&s.store, &s.arena, "x:1", false, NULL, &removal, &s.e);
	store_close(&s.store);
	arena_free(&s.arena);
	return rc;
}

static size_t count_entries(struct store *store, enum store_folder folder)
{
	struct err e;
	size_t count = 0;
	DIR *stream = fdopendir(fd_open(store_folder(store, folder, &e), ".", O_RDONLY | O_DIRECTORY, 0));
	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static void check_images(const char *root, const char *when)
{
	struct opened s = {0};
	struct image *images;
	struct image_removal removal;
	size_t count;

	if (store_open(&s.store, root, STORE_WRITE, &s.e) < 0 ||
		image_list(&s.store, &s.arena, &images, &count, &s.e) < 0)
		fail_msg("%s: %s", when, s.e.what);
	for (size_t i = 0; i < count; i++) {
		struct oci_config config;
		if (images[i].damaged)
			fail_msg("%s: image %zu is damaged", when, i);
		if (image_check_layers(&s.store, &images[i], &s.e) < 0 ||
			image_config(&s.store, &s.arena, &images[i], &config, &s.e) < 0)
			fail_msg("%s: %s", when, s.e.what);
	}
	if (add(&s, "zero", "z:1") < 0 || image_list(&s.store, &s.arena, &images, &count, &s.e) < 0)
		fail_msg("%s: %s", when, s.e.what);
	for (size_t i = 0; i < count; i++)
		if (image_remove(&s.store, &s.arena, images[i].serial, true, NULL, &removal, &s.e) < 0)
			fail_msg("%s: %s", when, s.e.what);
	store_sweep(&s.store);
	if (image_collect(&s.store, NULL, NULL, &s.e) < 0)
		fail_msg("%s: %s", when, s.e.what);
	if (count_entries(&s.store, STORE_BLOBS) || count_entries(&s.store, STORE_LAYERS) ||
		count_entries(&s.store, STORE_TMP) || count_entries(&s.store, STORE_IMAGES) != 2)
		fail_msg("%s: something is left", when);
	store_close(&s.store);
	arena_free(&s.arena);
}

/* ---- volumes ---- */

static int write_file(int folder, const char *name, const char *text)
{
	auto_close int fd = fd_open(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
	return fd < 0 ? -1 : fd_write_full(fd, text, strlen(text));
}

static int create_volume(struct opened *s, const char *name)
{
	struct volume wish = {.name = name};

	strings_add(&s->arena, &wish.labels, "a=b");
	if (store_lock_volumes(&s->store, STORE_SHARED, &s->e) < 0)
		return -1;
	int rc = volume_create(&s->store, &wish, true, &s->e);
	store_unlock_volumes(&s->store);
	return rc;
}

/* As the first container that is given it. */
static int fill_volume(struct opened *s, const char *name)
{
	struct volume_fill fill = {.durable = true};
	int rc = volume_fill_begin(&s->store, name, true, &fill, &s->e);

	if (rc <= 0)
		return rc;
	if (write_file(fill.data, "seed", "content") == 0)
		return volume_fill_end(&s->store, name, &fill, &s->e);
	volume_fill_undo(&fill);
	return -1;
}

static int remove_volume(struct opened *s, const char *name)
{
	struct store_stage stage;

	if (store_lock_volumes(&s->store, STORE_EXCLUSIVE, &s->e) < 0)
		return -1;
	int rc = volume_stage(&s->store, &stage, &s->e);
	if (rc == 0)
		rc = volume_take(&s->store, name, &stage, &s->e);
	store_unlock_volumes(&s->store);
	/* What is left of it is the sweep's. */
	struct err ignored;
	volume_stage_drop(&s->store, &stage, &ignored);
	return rc;
}

/* "mine" has the user's file, "half" was being filled when somebody was killed, "gone" is to go. */
static int prepare_volumes(struct opened *s, const char *root)
{
	static const char half[] =
		"{\"version\":1,\"name\":\"half\",\"state\":\"filling\",\"labels\":[\"a=b\"]}";
	static const struct {
		const char *volume, *file, *text;
	} rows[] = {{"mine", "file", "the user's"}, {"half", "part", "co"}, {"gone", "one", "1"},
		{"gone", "two", "2"}};

	if (store_open(&s->store, root, STORE_WRITE, &s->e) < 0 || driver_use(&s->store, "copy", &s->e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (create_volume(s, rows[i].volume) < 0)
			return -1;
		auto_close int data = volume_open(&s->store, rows[i].volume, &s->e);
		if (data < 0 || write_file(data, rows[i].file, rows[i].text) < 0)
			return -1;
	}
	auto_close int folder = fd_open(s->store.folders[STORE_VOLUMES], "half", O_RDONLY | O_DIRECTORY, 0);
	return folder < 0 ? -1 : fd_replace(folder, "volume.json", half, sizeof half - 1, 0600, false);
}

/* Whether the volume holds the file with this text and nothing else; with NULL: nothing. */
static bool holds(struct opened *s, const char *name, const char *file, const char *text)
{
	auto_buf struct buf found = {0};
	auto_close int data = volume_open(&s->store, name, &s->e);
	size_t count = 0;

	assert_true(data >= 0);
	DIR *stream = fdopendir(fd_open(data, ".", O_RDONLY | O_DIRECTORY, 0));
	while (readdir(stream))
		count++;
	closedir(stream);
	return count == 3 && fd_read_file(data, file, 100, &found) >= 0 && found.length == strlen(text) &&
	       !memcmp(found.data, text, found.length);
}

static enum volume_state volume_is(struct opened *s, const char *name)
{
	struct volume volume;

	if (volume_read(&s->store, &s->arena, name, &volume, &s->e) < 0)
		fail_msg("%s: %s", name, s->e.what);
	assert_string_equal(volume_value(&volume.labels, "a"), "b");
	return volume.state;
}

static bool volume_there(struct opened *s, const char *name)
{
	struct volume volume;
	return volume_read(&s->store, &s->arena, name, &volume, &s->e) == 0;
}

/* What was said to be done is. */
static int work_on_volumes(const char *root)
{
	struct opened s = {0};
	int at = fault.at;

	fault.at = 0;
	if (prepare_volumes(&s, root) < 0)
		_exit(43);
	fault.at = at;
	store_sweep(&s.store);
	int made = create_volume(&s, "new"), filled = made < 0 ? -1 : fill_volume(&s, "new"),
	    mine = fill_volume(&s, "mine"), half = fill_volume(&s, "half"), gone = remove_volume(&s, "gone");
	fault.at = 0;
	if ((made >= 0 && !volume_there(&s, "new")) || (filled == 0 && volume_is(&s, "new") != VOLUME_USED) ||
		(mine == 0 && volume_is(&s, "mine") != VOLUME_USED) ||
		(half == 0 && volume_is(&s, "half") != VOLUME_USED) ||
		(gone == 0 && volume_there(&s, "gone")))
		_exit(44);
	driver_close(&s.store);
	store_close(&s.store);
	arena_free(&s.arena);
	return made < 0 || filled < 0 || mine < 0 || half < 0 || gone < 0 ? -1 : 0;
}

/* Nothing of the user's is lost or mixed with the image's, nothing half filled is taken for whole. */
static void check_volume(struct opened *s, const char *name, const char *when)
{
	bool used = volume_is(s, name) == VOLUME_USED;

	if (!strcmp(name, "mine") ? !holds(s, name, "file", "the user's")
				  : used && strcmp(name, "gone") != 0 && !holds(s, name, "seed", "content"))
		fail_msg("%s: the volume %s holds something else", when, name);
}

static void check_volumes(const char *root, const char *when)
{
	struct opened s = {0};
	struct volume *volumes;
	size_t count;

	if (store_open(&s.store, root, STORE_WRITE, &s.e) < 0 ||
		volume_list(&s.store, &s.arena, &volumes, &count, &s.e) < 0)
		fail_msg("%s: %s", when, s.e.what);
	for (size_t i = 0; i < count; i++) {
		if (volumes[i].damaged)
			fail_msg("%s: the volume %s is damaged", when, volumes[i].name);
		check_volume(&s, volumes[i].name, when);
	}
	assert_true(volume_there(&s, "mine") && volume_there(&s, "half"));
	if (volume_there(&s, "gone")) {
		auto_close int data = volume_open(&s.store, "gone", &s.e);
		if (faccessat(data, "one", F_OK, 0) < 0 || faccessat(data, "two", F_OK, 0) < 0)
			fail_msg("%s: a part of the volume is gone", when);
		assert_int_equal(remove_volume(&s, "gone"), 0);
	}
	/* The next command finishes all of it. */
	if (create_volume(&s, "new") < 0)
		fail_msg("%s: %s", when, s.e.what);
	for (const char *const *name = (const char *const[]){"new", "mine", "half", NULL}; *name; name++) {
		if (fill_volume(&s, *name) < 0)
			fail_msg("%s: %s: %s", when, *name, s.e.what);
		assert_int_equal(volume_is(&s, *name), VOLUME_USED);
		check_volume(&s, *name, when);
		assert_int_equal(remove_volume(&s, *name), 0);
	}
	store_sweep(&s.store);
	if (count_entries(&s.store, STORE_TMP) || count_entries(&s.store, STORE_VOLUMES) != 1)
		fail_msg("%s: something is left", when);
	driver_close(&s.store);
	store_close(&s.store);
	arena_free(&s.arena);
}

/* Every call in turn; number 0 kills. */
static void each_call(int (*work)(const char *root), void (*check)(const char *root, const char *when),
	int least, int number)
{
	char folder[] = "/dev/shm/brig-test-XXXXXX", root[64], when[64];
	bool reached = true;

	/* In memory, where there is such a place: thousands of syncs. */
	if (!mkdtemp(folder)) {
		snprintf(folder, sizeof folder, "/tmp/brig-test-XXXXXX");
		assert_non_null(mkdtemp(folder));
	}
	snprintf(root, sizeof root, "%s/root", folder);
	for (int at = 1; reached; at++) {
		assert_true(at < 2000);
		pid_t pid = fork();
		if (pid == 0) {
			fault.at = at;
			fault.number = number;
			work(root);
			_exit(fault.count < at ? 42 : 0);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(number ? WIFEXITED(status) : WIFSIGNALED(status) || WIFEXITED(status));
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42);
		assert_true(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL);
		reached = WIFSIGNALED(status) || WEXITSTATUS(status) == 0;
		snprintf(when, sizeof when, "call %d, %s", at, number ? strerror(number) : "killed");
		check(root, when);
		assert_int_equal(fd_remove_tree(AT_FDCWD, root), 0);
		if (!reached)
			assert_true(at > least); /* the calls are really those above */
	}
	assert_int_equal(rmdir(folder), 0);
}

static void test_killed(void **state)
{
	(void)state;
	each_call(work_on_images, check_images, 100, 0);
}

static void test_input_output_error(void **state)
{
	(void)state;
	each_call(work_on_images, check_images, 100, EIO);
}

static void test_volumes_killed(void **state)
{
	(void)state;
	each_call(work_on_volumes, check_volumes, 100, 0);
}

static void test_volumes_input_output_error(void **state)
{
	(void)state;
	each_call(work_on_volumes, check_volumes, 100, EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_input_output_error),
		cmocka_unit_test(test_volumes_killed),
		cmocka_unit_test(test_volumes_input_output_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
