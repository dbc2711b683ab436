/*
 * unpack.c - the confined process that unpacks a layer.
 *
 * Theory of operation. unpack_start forks. The child, before it reads the first byte:
 * dies with its parent; keeps three descriptors and closes all others; makes the tree's
 * folder, mounted without devices and set-user-ID, the root of a mount namespace of its own; sets
 * limits; gives up all capabilities but those for writing files of any owner; and puts
 * itself under a filter of some 40 system calls without exec, socket or mount. Then it
 * unpacks, writes one struct message into a pipe and exits.
 *
 * Without CAP_SYS_ADMIN there is no jail; then openat2 keeps names inside the tree, as it
 * does with one.
 *
 * The message comes from a process that an archive may have taken over: the parent takes
 * its text only after making it fit to print, and believes no pointer or length in it.
 */
#include "store/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/seccomp.h"
#include "base/tar.h"
#include "store/unpack_private.h"

enum {
	/* The child's descriptors. */
	FD_INPUT = 3,
	FD_TREE,
	FD_RESULT,
	FD_COUNT,

	PIPE_SIZE = 1 << 20,
	RATIO = 1000,
	RATIO_FREE = 16 << 20,  /* bytes that are no bomb whatever the ratio */
	MEMORY_LIMIT = 1 << 30, /* bytes of address space */
	OPEN_LIMIT = 4096,      /* descriptors: removing a folder takes one for each level */
};
static const uint64_t default_size_limit = 64ULL << 30;

struct message {
	bool failed;
	struct unpack_result result;
	struct err error;
};

/* Reading and hashing. */

struct input {
	struct sha256 sha;
	uint64_t bytes;
	uint64_t limit;
	bool past_limit;
};

static ssize_t read_input(void *context, void *bytes, size_t size)
{
	struct input *in = context;
	ssize_t n;

	do {
		n = read(FD_INPUT, bytes, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	in->bytes += (uint64_t)n;
	if (in->bytes > in->limit) {
		in->past_limit = true;
		return -EFBIG;
	}
	sha256_update(&in->sha, bytes, (size_t)n);
	return n;
}

/* Confinement. */

/* The tree becomes "/": no other file can be named, whatever goes wrong later. */
static int enter_jail(void)
{
	static const struct kernel_mount_attr attributes = {
		.attr_set = KERNEL_MOUNT_ATTR_NOSUID | KERNEL_MOUNT_ATTR_NODEV | KERNEL_MOUNT_ATTR_NOEXEC,
	};

	/* The copy of the mount is made before unshare(2): a descriptor leads into the
	 * namespace it was opened in, and only mounts of one's own can be copied. */
	int tree = kernel_open_tree(
		FD_TREE, "", KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return tree;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	int rc = kernel_mount_setattr(tree, "", AT_EMPTY_PATH, &attributes);
	if (rc == 0)
		rc = kernel_move_mount(tree, "", AT_FDCWD, "/", KERNEL_MOVE_MOUNT_F_EMPTY);
	if (rc == 0 && fchdir(tree) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	/* The old root ends up below the new one and is let go (pivot_root(2), "."). A root
	 * that is an initramfs cannot be moved: there the mount stays and chroot does. */
	if (kernel_pivot_root(".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return -errno;
	} else if (chroot(".") < 0) {
		return -errno;
	}
	if (fchdir(tree) < 0 || dup3(tree, FD_TREE, O_CLOEXEC) < 0)
		return -errno;
	close(tree);
	return 0;
}

static int set_limit(int resource, uint64_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return -errno;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	/* All below 32. */
	const uint32_t kept = 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER | 1U << CAP_FSETID |
			      1U << CAP_MKNOD | 1U << CAP_SETFCAP;

	for (int capability = 0; capability < 64; capability++) {
		if (capability < 32 && kept >> capability & 1)
			continue;
		/* EINVAL past the last one; EPERM where we may not, having none anyway. */
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			break;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
		syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].effective = data[0].permitted &= kept;
	data[1].effective = data[1].permitted = 0;
	data[0].inheritable = data[1].inheritable = 0;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int install_filter(void)
{
	/* clang-format off */
	static const char *const calls[] = {
		"read", "write", "pwrite64", "close", "openat", "openat2", "mkdirat", "mknodat", "symlinkat",
		"linkat", "unlinkat", "renameat", "renameat2", "fchmod", "fchmodat", "fchown", "fchownat", "fsetxattr", "utimensat",
		"ftruncate", "fstat", "newfstatat", "statx", "getdents64", "lseek", "fcntl", "munmap", "mremap",
		"madvise", "brk", "getrandom", "exit", "exit_group", "rt_sigreturn", "rt_sigprocmask",
		"restart_syscall", "clock_gettime", "futex", "gettid", "getpid",
#ifdef __SANITIZE_ADDRESS__
		"sigaltstack", "sched_yield",
#endif
	};
	/* clang-format on */
	static const char *const no_code[] = {"mmap", "mprotect"};
	struct arena arena = {0};
	struct seccomp_profile profile = {
		.default_action = SECCOMP_KILL_PROCESS,
		.other_abi_action = SECCOMP_KILL_PROCESS,
		.abis = seccomp_native_abis() & (SECCOMP_X86_64 | SECCOMP_AARCH64 | SECCOMP_RISCV64),
	};
	struct seccomp_program program;

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		int call = seccomp_find(calls[i]);
		if (call >= 0)
			seccomp_add(&arena, &profile, (unsigned)call, SECCOMP_ALLOW);
	}
	for (size_t i = 0; i < sizeof no_code / sizeof *no_code; i++) {
		int call = seccomp_find(no_code[i]);
		if (call < 0)
			return call;
		struct seccomp_rule *rule = seccomp_add(&arena, &profile, (unsigned)call, SECCOMP_ALLOW);
		rule->condition_count = 1;
		rule->conditions[0] = (struct seccomp_condition){
			.argument = 2, .compare = SECCOMP_MASKED_EQ, .value = 0, .mask = 4 /* PROT_EXEC */};
	}
	int rc = seccomp_compile(&profile, &arena, &program);
	if (rc == 0)
		rc = seccomp_install(&program, 0);
	arena_free(&arena);
	return rc;
}

/* What the parent's handlers would do is nothing for this process. */
static void reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL);
	/* A file past the limit shall be an error, as a reader that is gone. */
	action.sa_handler = SIG_IGN;
	sigaction(SIGXFSZ, &action, NULL);
	sigaction(SIGPIPE, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int place_descriptors(const struct unpack_options *options, int result)
{
	/* Out of the way first: any of them may stand where another belongs. */
	int input = fcntl(options->input, F_DUPFD_CLOEXEC, 16);
	int tree = fcntl(options->directory, F_DUPFD_CLOEXEC, 16);
	int report = fcntl(result, F_DUPFD_CLOEXEC, 16);
	int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);

	if (input < 0 || tree < 0 || report < 0 || dup3(input, FD_INPUT, O_CLOEXEC) < 0 ||
		dup3(tree, FD_TREE, O_CLOEXEC) < 0 || dup3(report, FD_RESULT, O_CLOEXEC) < 0)
		return -errno;
	/* Nobody's file may become somebody's stderr. The sanitisers keep theirs. */
	if (null < 0)
		return null;
#ifndef __SANITIZE_ADDRESS__
	for (int fd = 0; fd < FD_INPUT; fd++) {
		if (dup3(null, fd, O_CLOEXEC) < 0 && errno != EINVAL)
			return -errno;
	}
#endif
	return kernel_close_range(FD_COUNT, ~0U, 0);
}

/* 0, or -errno with *step set to what could not be done. */
static int confine(
	const struct unpack_options *options, int result, pid_t parent, bool *jailed, const char **step)
{
	int rc;

	prctl(PR_SET_NAME, "brig-unpack", 0, 0, 0);
	reset_signals();
	umask(0);
	*step = "tie it to its parent";
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if (getppid() != parent)
		_exit(1);
	*step = "place its descriptors";
	if ((rc = place_descriptors(options, result)) < 0)
		return rc;
	fcntl(FD_INPUT, F_SETPIPE_SZ, PIPE_SIZE);
	*step = "make the layer's folder its root";
	rc = enter_jail();
	*jailed = rc == 0;
	if (rc < 0 && rc != -EPERM)
		return rc;
	*step = "set its limits";
#ifndef __SANITIZE_ADDRESS__
	if ((rc = set_limit(RLIMIT_AS, MEMORY_LIMIT)) < 0)
		return rc;
#endif
	if ((rc = set_limit(RLIMIT_FSIZE, TAR_SIZE_LIMIT)) < 0 ||
		(rc = set_limit(RLIMIT_NOFILE, OPEN_LIMIT)) < 0 || (rc = set_limit(RLIMIT_CORE, 0)) < 0)
		return rc;
	*step = "take its rights";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	if ((rc = drop_capabilities()) < 0)
		return rc;
	*step = "filter its system calls";
	return install_filter();
}

static void unpack_input(const struct unpack_options *options, uid_t uid, gid_t gid, struct message *message)
{
	uint64_t limit = options->size_limit ? options->size_limit : default_size_limit, by_ratio;
	struct input input = {.limit = limit};
	struct unpack_tree tree = {
		.root = FD_TREE,
		.whiteouts = options->whiteouts,
		.one_owner = options->one_owner,
		.uid = uid,
		.gid = gid,
	};
	struct unpack_result *result = &message->result;

	sha256_init(&input.sha);
	if (options->compressed_size && !__builtin_mul_overflow(options->compressed_size, RATIO, &by_ratio)) {
		if (by_ratio < RATIO_FREE)
			by_ratio = RATIO_FREE;
		if (by_ratio < input.limit)
			input.limit = by_ratio;
	}
	struct tar_reader *reader = tar_open(read_input, &input, &message->error);
	message->failed = !reader || unpack_tree(&tree, reader, &result->entries, &message->error) < 0;
	if (input.past_limit && input.limit == limit)
		err_set(&message->error, ERR_INVALID, 0, "the layer unpacks to more than %llu bytes",
			(unsigned long long)limit);
	else if (input.past_limit)
		err_set(&message->error, ERR_INVALID, 0, "the layer unpacks to more than %d times its size",
			RATIO);
	sha256_final(&input.sha, result->diff_id);
	result->bytes = input.bytes;
	result->file_size = tree.file_size;
	result->devices = tree.devices;
	result->xattrs = tree.xattrs;
	result->owners = tree.owners;
	result->root_seen = tree.root_seen;
	/* Memory goes with the process. */
}

static _Noreturn void child(const struct unpack_options *options, int result, pid_t parent)
{
	struct message message = {0};
	const char *step = NULL;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int rc = confine(options, result, parent, &message.result.jailed, &step);

	if (rc < 0) {
		message.failed = true;
		err_errno(&message.error, rc, "cannot confine the process that unpacks layers (%s)", step);
	} else {
		unpack_input(options, uid, gid, &message);
	}
	/* One write of less than PIPE_BUF: the parent sees all of it or nothing. */
	_Static_assert(sizeof message <= 4096, "a message is written at once");
	_exit(write(FD_RESULT, &message, sizeof message) == sizeof message ? 0 : 1);
}

/* The parent. */

int unpack_start(const struct unpack_options *options, struct unpack *out, struct err *e)
{
	int ends[2];
	pid_t parent = getpid();
	int rc = fd_pipe(ends, 0);

	if (rc < 0)
		return err_errno(e, rc, "cannot unpack a layer");
	pid_t pid = fork();
	if (pid == 0)
		child(options, ends[1], parent);
	int number = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_errno(e, number, "cannot start a process that unpacks a layer");
	}
	*out = (struct unpack){.pid = pid, .result = ends[0]};
	return 0;
}

static int reap(struct unpack *unpack)
{
	int status = 0;

	while (waitpid(unpack->pid, &status, 0) < 0 && errno == EINTR)
		;
	close_fd(&unpack->result);
	unpack->pid = 0;
	return status;
}

int unpack_finish(struct unpack *unpack, struct unpack_result *result, struct err *e)
{
	struct message message;
	ssize_t n = fd_read_full(unpack->result, &message, sizeof message);
	int status = reap(unpack);

	if (n != sizeof message) {
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
			return err_set(e, ERR_SYSTEM, 0,
				"the layer cannot be unpacked: the process that does it called what it must "
				"not");
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
			return err_set(
				e, ERR_NO_SPACE, 0, "the layer cannot be unpacked: it takes too much memory");
		if (WIFSIGNALED(status))
			return err_set(e, ERR_SYSTEM, 0,
				"the layer cannot be unpacked: signal %d ended the process that does it",
				WTERMSIG(status));
		return err_set(e, ERR_SYSTEM, 0,
			"the layer cannot be unpacked: the process that does it ended early");
	}
	if (message.failed) {
		struct err error = {.kind = message.error.kind, .number = message.error.number};
		message.error.what[sizeof message.error.what - 1] = '\0';
		message.error.hint[sizeof message.error.hint - 1] = '\0';
		err_sanitize(error.what, sizeof error.what, message.error.what);
		err_sanitize(error.hint, sizeof error.hint, message.error.hint);
		if (error.kind <= ERR_NONE || error.kind > ERR_NO_COMMAND)
			error.kind = ERR_INVALID;
		*e = error;
		return -1;
	}
	*result = message.result;
	return 0;
}

void unpack_stop(struct unpack *unpack)
{
	if (unpack->pid <= 0)
		return;
	/* A child that was not waited for keeps its number, so this can hit nobody else. */
	int pidfd = kernel_pidfd_open(unpack->pid, 0);
	if (pidfd >= 0) {
		kernel_pidfd_send_signal(pidfd, SIGKILL);
		close(pidfd);
	}
	reap(unpack);
}
