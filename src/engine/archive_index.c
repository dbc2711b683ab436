/* archive_index.c - the confined child that finds an archive's members. */
#include "engine/archive_index.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/confine.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/seccomp.h"
#include "base/tar.h"
#include "engine/archive.h"

enum {
	/* The child's descriptors. */
	FD_INPUT = 3,
	FD_COPY,
	FD_RESULT,
	FD_COUNT,

	MEMORY_LIMIT = 512 << 20, /* bytes of address space */
	OUT_SIZE = 64 << 10,
};

/* What the child has. */
struct indexer {
	bool copies;
	size_t members, total; /* bytes reported */
	struct buf out;
};

void archive_clean_name(char *name)
{
	char *to = name;

	for (const char *from = name; *from;) {
		size_t length = strcspn(from, "/");
		bool nothing = length == 0 || (length == 1 && from[0] == '.');
		if (!nothing) {
			if (to != name)
				*to++ = '/';
			memmove(to, from, length);
			to += length;
		}
		from += length;
		from += *from == '/';
	}
	*to = '\0';
}

/* Reading, and copying what was read. */

static ssize_t read_input(void *context, void *bytes, size_t size)
{
	const struct indexer *x = context;
	ssize_t n;

	do {
		n = read(FD_INPUT, bytes, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n > 0 && x->copies) {
		int rc = fd_write_full(FD_COPY, bytes, (size_t)n);
		if (rc < 0)
			return rc;
	}
	return n;
}

static void flush(struct indexer *x)
{
	if (fd_write_full(FD_RESULT, x->out.data ? x->out.data : "", x->out.length) < 0)
		_exit(1);
	x->out.length = 0;
}

static void report(struct indexer *x, const struct archive_record *record, const char *name, const char *link)
{
	buf_append(&x->out, record, sizeof *record);
	buf_append(&x->out, name, record->name_length + 1U);
	buf_append(&x->out, link, record->link_length + 1U);
	if (x->out.length >= OUT_SIZE)
		flush(x);
}

/* Whether the file's bytes stand in the archive one after the other. */
static int is_contiguous(struct tar_reader *reader, uint64_t size, bool *out, struct err *e)
{
	uint64_t expected = 0, offset;
	const void *bytes;
	bool holes = false;
	ssize_t n;

	while ((n = tar_data(reader, &bytes, &offset, e)) > 0) {
		holes = holes || offset != expected;
		expected = offset + (uint64_t)n;
	}
	*out = !holes && expected == size;
	return n < 0 ? -1 : 0;
}

static int index_member(
	struct indexer *x, struct tar_reader *reader, const struct tar_entry *entry, struct err *e)
{
	char name[TAR_PATH_LIMIT + 1], link[TAR_PATH_LIMIT + 1] = "";
	struct archive_record record = {.type = ARCHIVE_OTHER, .offset = tar_offset(reader)};
	bool contiguous;

	if (entry->type == TAR_DIRECTORY)
		return 0;
	/* The reader's own are good until the next call of it. */
	memcpy(name, entry->path, strlen(entry->path) + 1);
	archive_clean_name(name);
	if (entry->type == TAR_FILE) {
		record.size = entry->size;
		if (is_contiguous(reader, record.size, &contiguous, e) < 0)
			return -1;
		if (contiguous)
			record.type = ARCHIVE_FILE;
	} else if (entry->type == TAR_SYMLINK || entry->type == TAR_HARDLINK) {
		record.type = entry->type == TAR_SYMLINK ? ARCHIVE_SYMLINK : ARCHIVE_HARDLINK;
		memcpy(link, entry->link, strlen(entry->link) + 1);
	}
	record.name_length = (uint16_t)strlen(name);
	record.link_length = (uint16_t)strlen(link);
	x->total += sizeof record + record.name_length + record.link_length + 2;
	if (++x->members > ARCHIVE_MEMBERS_MAX || x->total > ARCHIVE_INDEX_MAX)
		return err_set(e, ERR_INVALID, 0, "it has too many members for an archive of images");
	report(x, &record, name, link);
	return 0;
}

static int index_archive(struct indexer *x, struct err *e)
{
	struct tar_reader *reader = tar_open(read_input, x, e);
	struct tar_entry entry;
	int rc = -1;

	while (reader && (rc = tar_next(reader, &entry, e)) > 0) {
		rc = index_member(x, reader, &entry, e);
		if (rc < 0)
			break;
	}
	/* The first block tells whether it is one at all. */
	if (reader && rc < 0 && !x->members && e->kind == ERR_INVALID && tar_offset(reader) <= 1024)
		err_set(e, ERR_INVALID, 0, "it is no tar archive");
	if (rc == 0 && tar_offset(reader) == 0)
		rc = err_set(e, ERR_INVALID, 0, "it is empty");
	tar_close(reader);
	return rc;
}

/* Confinement. */

static int place_descriptors(int input, int copy, int result)
{
	/* Out of the way first: any of them may stand where another belongs. */
	int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
	int from = fcntl(input, F_DUPFD_CLOEXEC, 16);
	int to = fcntl(copy >= 0 ? copy : null, F_DUPFD_CLOEXEC, 16);
	int report_to = fcntl(result, F_DUPFD_CLOEXEC, 16);

	if (null < 0)
		return null;
	if (from < 0 || to < 0 || report_to < 0 || dup3(from, FD_INPUT, O_CLOEXEC) < 0 ||
		dup3(to, FD_COPY, O_CLOEXEC) < 0 || dup3(report_to, FD_RESULT, O_CLOEXEC) < 0)
		return -errno;
#ifndef __SANITIZE_ADDRESS__ /* The sanitisers keep their stderr. */
	auto_close int silent = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
	for (int fd = 0; fd < FD_INPUT; fd++) {
		if (silent < 0 || dup3(silent, fd, O_CLOEXEC) < 0)
			return -errno;
	}
#endif
	return kernel_close_range(FD_COUNT, ~0U, 0);
}

static int make_filter(struct arena *arena, struct seccomp_program *program)
{
	/* clang-format off */
	static const char *const calls[] = {
		"read", "write", "close", "munmap", "mremap", "madvise", "brk", "getrandom", "exit",
		"exit_group", "rt_sigreturn", "rt_sigprocmask", "restart_syscall", "clock_gettime", "futex",
		"gettid", "getpid",
#ifdef __SANITIZE_ADDRESS__
		"sigaltstack", "sched_yield",
#endif
	};
	/* clang-format on */
	static const char *const no_code[] = {"mmap", "mprotect"};
	struct seccomp_profile profile = {
		.default_action = SECCOMP_KILL_PROCESS,
		.other_abi_action = SECCOMP_KILL_PROCESS,
		.abis = seccomp_native_abis() & (SECCOMP_X86_64 | SECCOMP_AARCH64 | SECCOMP_RISCV64),
	};

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		int call = seccomp_find(calls[i]);
		if (call >= 0)
			seccomp_add(arena, &profile, (unsigned)call, SECCOMP_ALLOW);
	}
	for (size_t i = 0; i < sizeof no_code / sizeof *no_code; i++) {
		int call = seccomp_find(no_code[i]);
		if (call < 0)
			return call;
		struct seccomp_rule *rule = seccomp_add(arena, &profile, (unsigned)call, SECCOMP_ALLOW);
		rule->condition_count = 1;
		rule->conditions[0] = (struct seccomp_condition){
			.argument = 2, .compare = SECCOMP_MASKED_EQ, .value = 0, .mask = 4 /* PROT_EXEC */};
	}
	return seccomp_compile(&profile, arena, program);
}

static int set_limit(int resource, rlim_t value)
{
	const struct rlimit limit = {value, value};
	return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

static int confine_child(int input, int copy, int result, pid_t parent, const char **step)
{
	struct arena arena = {0};
	struct seccomp_program program;
	int rc;

	*step = "start it afresh";
	prctl(PR_SET_NAME, "brig-index", 0, 0, 0);
	if ((rc = confine_reset(077, 0)) < 0)
		return rc;
	/* A reader that is gone shall be an error. */
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	*step = "tie it to its parent";
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if (getppid() != parent)
		_exit(1);
	*step = "place its descriptors";
	if ((rc = place_descriptors(input, copy, result)) < 0)
		return rc;
	*step = "set its limits";
#ifndef __SANITIZE_ADDRESS__
	if ((rc = set_limit(RLIMIT_AS, MEMORY_LIMIT)) < 0)
		return rc;
#endif
	if ((rc = set_limit(RLIMIT_CORE, 0)) < 0 || (rc = confine_undumpable()) < 0 ||
		(rc = make_filter(&arena, &program)) < 0)
		return rc;
	struct confine none = {
		.uid = geteuid(),
		.gid = getegid(),
		.keep_groups = true,
		.no_new_privs = true,
		.filter = &program,
		.status = -1,
	};
	return confine_apply(&none, step);
}

static _Noreturn void run_child(int input, int copy, int result, pid_t parent)
{
	struct indexer x = {.copies = copy >= 0};
	struct archive_record last = {.type = ARCHIVE_END};
	const char *step = NULL;
	struct err e = {0};
	int rc = confine_child(input, copy, result, parent, &step);

	if (rc < 0)
		err_errno(&e, rc, "cannot confine the process that reads the archive (%s)", step);
	if (rc < 0 || index_archive(&x, &e) < 0)
		last.type = ARCHIVE_FAILED;
	buf_append(&x.out, &last, sizeof last);
	if (last.type == ARCHIVE_FAILED)
		buf_append(&x.out, &e, sizeof e);
	flush(&x);
	_exit(0);
}

pid_t archive_index_start(int input, int copy, int *result, struct err *e)
{
	int ends[2];
	pid_t parent = getpid();
	int rc = fd_pipe(ends, 0);

	if (rc < 0)
		return err_errno(e, rc, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0)
		run_child(input, copy, ends[1], parent);
	int number = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_errno(e, number, "cannot start a process that reads the archive");
	}
	*result = ends[0];
	return pid;
}
