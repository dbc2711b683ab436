/* test_container.c - the index of containers: names, locks, and what a crash leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/container.h"

struct place {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	snprintf(place->path, sizeof place->path, "/tmp/brig-test-XXXXXX");
	if (!mkdtemp(place->path))
		return -1;
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

static struct containers open_index(const struct place *place)
{
	struct containers containers;
	struct err e = {0};
	assert_int_equal(containers_open(&containers, place->fd, true, &e), 0);
	return containers;
}

static struct container claim(struct containers *containers, const char *name)
{
	struct container container;
	struct err e = {0};
	struct container_claim wish = {.name = name, .image = "debian", .command = "sleep 1"};
	if (container_claim(containers, &wish, &container, &e) < 0)
		fail_msg("%s", e.what);
	return container;
}

static void set_state(struct containers *containers, struct container *container, uint32_t state)
{
	struct err e = {0};
	struct container_status status = {.state = state};
	assert_int_equal(container_write_status(containers, container, &status, &e), 0);
}

static bool folder_exists(const struct containers *containers, const char *id)
{
	struct stat st;
	return fstatat(containers->dir, id, &st, 0) == 0;
}

static void test_missing_index_is_empty(void **state)
{
	struct place *place = *state;
	struct containers containers;
	struct container found;
	struct err e = {0};

	assert_int_equal(containers_open(&containers, place->fd, false, &e), 0);
	assert_int_equal(containers.count, 0);
	assert_int_equal(container_find(&containers, "x", &found, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_string_equal(e.what, "No such container: x");
	containers_close(&containers);
}

static void test_claim_and_find(void **state)
{
	struct containers containers = open_index(*state);
	struct container web = claim(&containers, "web"), other = claim(&containers, NULL), found;
	struct err e = {0};
	char prefix[CONTAINER_ID];

	assert_int_equal(strncmp(other.record.identity.name, "ps_", 3), 0);
	assert_int_equal(strlen(other.record.identity.name), 8);
	assert_true(folder_exists(&containers, web.id));
	/* One that is being created cannot be found yet. */
	assert_int_equal(container_find(&containers, "web", &found, &e), -1);
	set_state(&containers, &web, CONTAINER_CREATED);
	set_state(&containers, &other, CONTAINER_CREATED);

	const char *names[] = {"web", "/web", web.id};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(container_find(&containers, names[i], &found, &e), 0);
		assert_string_equal(found.id, web.id);
	}
	/* The shortest prefix that tells the two apart. */
	size_t length = 1;
	while (!strncmp(web.id, other.id, length))
		length++;
	snprintf(prefix, sizeof prefix, "%.*s", (int)length, other.id);
	assert_int_equal(container_find(&containers, prefix, &found, &e), 0);
	assert_string_equal(found.id, other.id);
	if (length > 1) {
		prefix[length - 1] = '\0';
		assert_int_equal(container_find(&containers, prefix, &found, &e), -1);
		assert_int_equal(e.kind, ERR_INVALID);
	}
	container_unlock(&web);
	container_unlock(&other);
	containers_close(&containers);
}

static void test_name_is_taken_once(void **state)
{
	struct containers containers = open_index(*state);
	struct container web = claim(&containers, "web"), second;
	struct container_claim wish = {.name = "web"};
	struct err e = {0};

	set_state(&containers, &web, CONTAINER_CREATED);
	assert_int_equal(container_claim(&containers, &wish, &second, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_non_null(strstr(e.what, "is already in use"));
	assert_non_null(strstr(e.what, web.id));
	/* Freed at the beginning of a removal, not at its end. */
	assert_int_equal(container_remove_begin(&containers, &web, &e), 0);
	second = claim(&containers, "web");
	assert_int_not_equal(second.slot, web.slot);
	assert_int_equal(container_remove_finish(&containers, &web, &e), 0);
	assert_false(folder_exists(&containers, web.id));
	assert_true(folder_exists(&containers, second.id));
	container_unlock(&web);
	container_unlock(&second);
	containers_close(&containers);
}

static void test_lock_tells_of_the_owner(void **state)
{
	struct containers containers = open_index(*state);
	struct container web = claim(&containers, "web"), again;
	struct err e = {0};

	set_state(&containers, &web, CONTAINER_CREATED);
	assert_true(container_locked(&containers, web.slot));
	assert_int_equal(container_find(&containers, "web", &again, &e), 0);
	assert_int_equal(container_lock(&containers, &again), -EAGAIN);
	/* The lock lives on in a child when the parent lets go, and ends with the child. */
	int ready[2];
	assert_int_equal(fd_pipe(ready, 0), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(ready[1]);
		char byte;
		_exit(read(ready[0], &byte, 1) < 0);
	}
	close(ready[0]);
	container_unlock(&web);
	assert_true(container_locked(&containers, web.slot));
	close(ready[1]);
	waitpid(pid, NULL, 0);
	assert_false(container_locked(&containers, web.slot));
	assert_int_equal(container_lock(&containers, &again), 0);
	container_unlock(&again);
	containers_close(&containers);
}

static void test_crash_while_creating_is_swept(void **state)
{
	struct place *place = *state;
	struct containers containers = open_index(place);
	struct container left = {0};

	pid_t pid = fork();
	if (pid == 0) {
		left = claim(&containers, "left");
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	containers_close(&containers);
	containers = open_index(place);
	assert_true(container_read(&containers, 0, &left));
	assert_true(folder_exists(&containers, left.id));
	/* Its name is free for the next. */
	struct container next = claim(&containers, "left");
	assert_string_not_equal(next.id, left.id);
	assert_false(folder_exists(&containers, left.id));
	container_unlock(&next);
	containers_close(&containers);
}

static void test_damaged_record_is_mended(void **state)
{
	struct place *place = *state;
	struct containers containers = open_index(place);
	struct container web = claim(&containers, "web"), found;
	struct err e = {0};
	size_t at = 4096 + 512 * web.slot + offsetof(struct container_record, status.exit_code);

	set_state(&containers, &web, CONTAINER_RUNNING);
	container_unlock(&web);
	assert_int_equal(pwrite(containers.index, "garbage!", 8, (off_t)at), 8);
	assert_false(container_read(&containers, web.slot, &found));
	containers_sweep(&containers);
	assert_int_equal(container_find(&containers, "web", &found, &e), 0);
	assert_int_equal(found.record.status.state, CONTAINER_EXITED);
	assert_int_equal(found.record.status.exit_code, 255);
	containers_close(&containers);
}

static uint32_t bytewise(const unsigned char *half, size_t size)
{
	uint32_t sum = 2166136261U;
	for (size_t i = 4; i < size; i++)
		sum = (sum ^ half[i]) * 16777619U;
	return sum | 1;
}

static void test_older_checksums_count(void **state)
{
	struct containers containers = open_index(*state);
	struct container container = claim(&containers, "older"), found;
	struct err e = {0};
	off_t at = 4096 + (off_t)(container.slot * sizeof container.record);

	set_state(&containers, &container, CONTAINER_EXITED);
	struct container_record record;
	assert_int_equal(pread(containers.index, &record, sizeof record, at), sizeof record);
	record.identity.checksum = bytewise((const void *)&record.identity, sizeof record.identity);
	record.status.checksum = bytewise((const void *)&record.status, sizeof record.status);
	assert_int_equal(pwrite(containers.index, &record, sizeof record, at), sizeof record);
	assert_int_equal(container_find(&containers, "older", &found, &e), 0);
	assert_int_equal(found.record.status.state, CONTAINER_EXITED);
	/* Any other is damage. */
	record.status.checksum ^= 2;
	assert_int_equal(pwrite(containers.index, &record, sizeof record, at), sizeof record);
	assert_false(container_read(&containers, container.slot, &found));
	container_unlock(&container);
	containers_close(&containers);
}

static void test_damaged_header_is_an_error(void **state)
{
	struct place *place = *state;
	struct containers containers = open_index(place);
	struct err e = {0};

	assert_int_equal(pwrite(containers.index, "xxxx", 4, 0), 4);
	containers_close(&containers);
	assert_int_equal(containers_open(&containers, place->fd, true, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_true(*e.hint);
}

static void test_many_claim_at_once(void **state)
{
	enum { PROCESSES = 8, EACH = 25 };
	struct place *place = *state;
	pid_t pids[PROCESSES];

	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct containers containers = open_index(place);
			for (int k = 0; k < EACH; k++) {
				struct container container = claim(&containers, NULL);
				set_state(&containers, &container, CONTAINER_CREATED);
				container_unlock(&container);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	struct containers containers = open_index(place);
	struct container one, other;
	size_t count = 0;
	for (size_t i = 0; i < containers.count; i++) {
		if (!container_read(&containers, i, &one))
			continue;
		count++;
		for (size_t k = i + 1; k < containers.count; k++)
			if (container_read(&containers, k, &other))
				assert_string_not_equal(one.record.identity.name, other.record.identity.name);
	}
	assert_int_equal(count, PROCESSES * EACH);
	containers_close(&containers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_missing_index_is_empty),
		TEST(test_claim_and_find),
		TEST(test_name_is_taken_once),
		TEST(test_lock_tells_of_the_owner),
		TEST(test_crash_while_creating_is_swept),
		TEST(test_damaged_record_is_mended),
		TEST(test_older_checksums_count),
		TEST(test_damaged_header_is_an_error),
		TEST(test_many_claim_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
