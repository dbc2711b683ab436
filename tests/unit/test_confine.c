/*
 * test_confine.c - capability lists, limits, and what a child that confined itself can
 * still do. The parts that change ids need root.
 */
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>

#include "unit.h"

#define ALL_KNOWN 0x1ffffffffffULL
#define HELD      (ALL_KNOWN & ~(1ULL << CAP_SYS_RESOURCE))

static void test_capability_names(void **state)
{
	(void)state;
	unsigned count = 0;
	for (; confine_capability_name(count); count++) {
		const char *name = confine_capability_name(count);
		assert_int_equal(confine_capability_find(name), count);
		assert_int_equal(confine_capability_find(name + 4), count);
	}
	assert_int_equal(count, CAP_LAST_CAP + 1);
	assert_int_equal(confine_capability_find("CAP_SYS_ADMIN"), CAP_SYS_ADMIN);
	assert_int_equal(confine_capability_find("checkpoint_restore"), CAP_CHECKPOINT_RESTORE);
	assert_int_equal(confine_capability_find("Cap_Net_Raw"), CAP_NET_RAW);
	assert_int_equal(confine_capability_find("CAP_"), -ENOENT);
	assert_int_equal(confine_capability_find(""), -ENOENT);
	assert_int_equal(confine_capability_find("CAP_CAP_CHOWN"), -ENOENT);
	assert_int_equal(__builtin_popcountll(CONFINE_CAPABILITIES_DEFAULT), 13);
	assert_int_equal(__builtin_popcountll(CONFINE_CAPABILITIES_CLASSIC), 14);
	assert_true((CONFINE_CAPABILITIES_DEFAULT | 1ULL << CAP_MKNOD) == CONFINE_CAPABILITIES_CLASSIC);
}

static void test_capability_lists(void **state)
{
	(void)state;
	const uint64_t base = CONFINE_CAPABILITIES_CLASSIC;
	static const struct {
		const char *add[4], *drop[4];
		uint64_t expected;
		const char *error;
	} rows[] = {
		/* docker's own results */
		{{0}, {0}, 0xa80425fb, NULL},
		{{0}, {"ALL"}, 0, NULL},
		{{"chown"}, {"all"}, 1, NULL},
		{{"ALL"}, {0}, HELD, NULL},
		{{"CAP_NET_ADMIN"}, {"MKNOD"}, 0xa00435fb, NULL},
		{{"ALL"}, {"net_raw", "CAP_SYS_ADMIN"}, HELD & ~(1ULL << 13) & ~(1ULL << 21), NULL},
		{{"ALL"}, {"ALL"}, HELD, NULL},
		{{"MKNOD"}, {"MKNOD"}, 0xa80425fb, NULL},
		{{0}, {"sys_resource"}, 0xa80425fb, NULL},
		{{"NOSUCH"}, {0}, 0, "invalid CapAdd: unknown capability: \"CAP_NOSUCH\""},
		{{"cap_nosuch"}, {0}, 0, "invalid CapAdd: unknown capability: \"CAP_NOSUCH\""},
		{{0}, {"x\x1b[2J"}, 0, "invalid CapDrop: unknown capability: \"CAP_X\\x1b[2J\""},
		{{""}, {0}, 0, "invalid CapAdd: unknown capability: \"CAP_\""},
		{{"SYS_RESOURCE"}, {0}, 0,
			"invalid CapAdd: capability not supported by your kernel or not available in the "
			"current "
			"environment: \"CAP_SYS_RESOURCE\""},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct err e = {0};
		uint64_t out = 12345;
		unit_row("row %zu\n", i);
		int result = confine_capabilities_adjust(base, HELD, rows[i].add, rows[i].drop, &out, &e);
		if (rows[i].error) {
			assert_int_equal(result, -1);
			assert_int_equal(e.kind, ERR_INVALID);
			assert_string_equal(e.what, rows[i].error);
			assert_int_equal(out, 12345);
			continue;
		}
		assert_int_equal(result, 0);
		assert_true(out == (rows[i].expected & HELD));
	}
	struct err e = {0};
	uint64_t out;
	assert_int_equal(
		confine_capabilities_adjust(base, HELD, (const char *[]){"NET_ADMN", NULL}, NULL, &out, &e),
		-1);
	assert_string_equal(e.hint, "did you mean NET_ADMIN?");
	assert_int_equal(confine_capabilities_adjust(base, HELD, NULL, NULL, &out, &e), 0);
	assert_true(out == base);
}

static void test_rlimit_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int resource;
		uint64_t soft, hard;
		const char *error;
	} rows[] = {
		{"nofile=1024:2048", RLIMIT_NOFILE, 1024, 2048, NULL},
		{"nofile=512", RLIMIT_NOFILE, 512, 512, NULL},
		{"core=-1", RLIMIT_CORE, UINT64_MAX, UINT64_MAX, NULL},
		{"memlock=1:-1", RLIMIT_MEMLOCK, 1, UINT64_MAX, NULL},
		{"nofile=0:0", RLIMIT_NOFILE, 0, 0, NULL},
		{"nofile", 0, 0, 0, "invalid ulimit argument: nofile"},
		{"nosuch=1", 0, 0, 0, "invalid ulimit type: nosuch"},
		{"RLIMIT_NOFILE=1", 0, 0, 0, "invalid ulimit type: RLIMIT_NOFILE"},
		{"=1", 0, 0, 0, "invalid ulimit type: "},
		{"nofile=", 0, 0, 0, "invalid ulimit argument: nofile="},
		{"nofile=1:", 0, 0, 0, "invalid ulimit argument: nofile=1:"},
		{"nofile=x", 0, 0, 0, "invalid ulimit argument: nofile=x"},
		{"nofile=1:2:3", 0, 0, 0,
			"too many limit value arguments - nofile=1:2:3, can only have up to two, "
			"`soft[:hard]`"},
		{"nofile=9:2", 0, 0, 0,
			"ulimit soft limit must be less than or equal to hard limit: nofile=9:2"},
		{"nofile=-1:2", 0, 0, 0,
			"ulimit soft limit must be less than or equal to hard limit: nofile=-1:2"},
		{"nofile=99999999999999999999", 0, 0, 0,
			"invalid ulimit argument: nofile=99999999999999999999"},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct confine_rlimit limit = {.resource = -7};
		struct err e = {0};
		unit_row("%s\n", rows[i].text);
		int result = confine_rlimit_parse(rows[i].text, &limit, &e);
		if (rows[i].error) {
			assert_int_equal(result, -1);
			assert_string_equal(e.what, rows[i].error);
			assert_int_equal(limit.resource, -7);
			continue;
		}
		assert_int_equal(result, 0);
		assert_int_equal(limit.resource, rows[i].resource);
		assert_true(limit.soft == rows[i].soft && limit.hard == rows[i].hard && limit.asked);
	}
	assert_int_equal(confine_rlimit_find("RLIMIT_STACK"), RLIMIT_STACK);
	assert_int_equal(confine_rlimit_find("rlimit_stack"), -ENOENT);
	assert_string_equal(confine_rlimit_name(RLIMIT_CORE), "RLIMIT_CORE");
	assert_null(confine_rlimit_name(99));
}

/* Runs check in a child and fails with the line it returns. */
static void in_child(int (*check)(const void *row), const void *row)
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(check(row));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("child: status %#x (code %d)", (unsigned)status, WEXITSTATUS(status));
}

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #condition, errno);            \
			return 1;                                                                            \
		}                                                                                            \
	} while (0)

static int check_rlimits(const void *row)
{
	(void)row;
	size_t failed = 99;
	struct rlimit now;

	/* Below everything, then the defaults: these may not fail, whatever we lack. */
	struct rlimit low = {64, 4096};
	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	struct rlimit soft = {1 << 20, RLIM_INFINITY};
	CHECK(setrlimit(RLIMIT_FSIZE, &soft) == 0);
	CHECK(confine_rlimits(confine_rlimit_defaults, confine_rlimit_default_count, &failed) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0);
	CHECK(now.rlim_cur == 1024 && (now.rlim_max == 4096 || now.rlim_max == 524288));
	CHECK(getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == 0);
	CHECK(getrlimit(RLIMIT_FSIZE, &now) == 0 && now.rlim_cur == RLIM_INFINITY);
	CHECK(getrlimit(RLIMIT_MEMLOCK, &now) == 0 && now.rlim_cur <= 8 << 20);

	uint64_t held;
	CHECK(confine_capabilities_held(&held) == 0);
	const struct confine_rlimit asked[] = {{RLIMIT_CORE, 0, 0, true}, {RLIMIT_NOFILE, 1, 1 << 19, true},
		{RLIMIT_NOFILE, 1, 1 << 30, true}};
	int error = confine_rlimits(asked, 3, &failed);
	CHECK(error == -EPERM && failed == (held >> CAP_SYS_RESOURCE & 1 ? 2 : 1));
	return 0;
}

static void test_rlimits(void **state)
{
	(void)state;
	in_child(check_rlimits, NULL);
}

static uint64_t status_value(const char *name)
{
	char text[8192];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t size = read(fd, text, sizeof text - 1);
	close(fd);
	text[size > 0 ? size : 0] = '\0';
	const char *line = strstr(text, name);
	return line ? strtoull(line + strlen(name), NULL, 16) : 0xbad;
}

struct apply_row {
	const char *what;
	uint64_t set;
	uid_t uid;
	gid_t gid;
	bool ambient, no_new_privs, filter;
};

static const gid_t some_groups[] = {7, 8};

static int check_apply(const void *data)
{
	const struct apply_row *row = data;
	struct arena arena = {0};
	struct seccomp_program program;
	struct confine confine = {.uid = row->uid,
		.gid = row->gid,
		.groups = some_groups,
		.group_count = 2,
		.no_new_privs = row->no_new_privs,
		.filter_flags = SECCOMP_FLAG_SPEC_ALLOW,
		.status = -1};
	const char *step = NULL;
	uint64_t held;

	CHECK(confine_capabilities_held(&held) == 0);
	CHECK(seccomp_default(row->set, &arena, &program) == 0);
	confine.filter = row->filter ? &program : NULL;
	confine_capabilities_for(row->set, row->uid, row->ambient ? row->set : 0, &confine.capabilities);
	int error = confine_apply(&confine, &step);
	if (error)
		fprintf(stderr, "cannot %s: %s\n", step, strerror(-error));
	CHECK(error == 0);
	CHECK(confine.listener == -1);

	uint64_t own = row->uid == 0 || row->ambient ? row->set & held : 0;
	CHECK(confine.ungranted == ((row->uid == 0 || row->ambient ? row->set : 0) & ~held));
	CHECK(status_value("CapEff:") == own && status_value("CapPrm:") == own);
	CHECK(status_value("CapInh:") == (row->ambient ? own : 0) &&
		status_value("CapAmb:") == (row->ambient ? own : 0));
	CHECK(status_value("CapBnd:") == (row->set & held));
	CHECK(status_value("Seccomp:") == (row->filter ? 2 : 0));
	CHECK(status_value("NoNewPrivs:") == row->no_new_privs);
	CHECK(geteuid() == row->uid && getuid() == row->uid && getegid() == row->gid);
	gid_t groups[8];
	CHECK(getgroups(8, groups) == (row->gid == 7 ? 2 : 3));

	/* Nothing comes back through execve of a file that root owns. */
	if (row->uid != 0)
		CHECK(setresuid(0, 0, 0) == -1 && errno == EPERM);
	if (!(row->set >> CAP_SYS_ADMIN & 1))
		CHECK(unshare(CLONE_NEWNS) == -1 && errno == EPERM);
	if (!(row->set >> CAP_SETPCAP & 1))
		CHECK(prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) == -1 && errno == EPERM);
	arena_free(&arena);
	return 0;
}

static void test_apply(void **state)
{
	(void)state;
	static const struct apply_row rows[] = {
		{"root, default", CONFINE_CAPABILITIES_DEFAULT, 0, 0, false, false, true},
		{"root, no filter", CONFINE_CAPABILITIES_DEFAULT, 0, 0, false, false, false},
		{"root, no_new_privs", CONFINE_CAPABILITIES_DEFAULT, 0, 0, false, true, true},
		{"root, nothing", 0, 0, 0, false, false, true},
		{"root, nothing, no_new_privs", 0, 0, 0, false, true, true},
		{"root, everything and more", ALL_KNOWN, 0, 0, false, false, true},
		{"user", CONFINE_CAPABILITIES_DEFAULT, 1000, 1000, false, false, true},
		{"user, gid among the groups", CONFINE_CAPABILITIES_DEFAULT, 1000, 7, false, false, true},
		{"user, no_new_privs", CONFINE_CAPABILITIES_DEFAULT, 1000, 1000, false, true, true},
		{"user, ambient", 1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_CHOWN, 1000, 0, true, false,
			true},
		{"user, ambient, no_new_privs", 1ULL << CAP_NET_RAW, 65534, 65534, true, true, true},
	};
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < unit_count(rows); i++) {
		unit_row("%s\n", rows[i].what);
		in_child(check_apply, &rows[i]);
	}
}

/* A status file that says something else than what was asked for is noticed. */
static int check_mismatch(const void *row)
{
	(void)row;
	static const char lie[] = "Name:\tx\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapInh:\t0000000000000000\n"
				  "CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\n"
				  "CapBnd:\t0000000000000003\nCapAmb:\t0000000000000000\n";
	int ends[2];
	const char *step = NULL;
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK(write(ends[1], lie, sizeof lie - 1) > 0);
	close(ends[1]);
	struct confine confine = {.status = ends[0], .capabilities = {1, 1, 1, 0, 0}};
	CHECK(confine_apply(&confine, &step) == -EPROTO);
	CHECK(!strcmp(step, "confirm that rights were given up"));
	return 0;
}

static void test_mismatch(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	in_child(check_mismatch, NULL);
}

/* A filter of the user's that forbids what is not needed after it does no harm, and one
 * that lacks capset fails the start instead of leaving rights. */
static int check_tight_filter(const void *row)
{
	const bool *capset_allowed = row;
	struct arena arena = {0};
	struct seccomp_program program;
	struct seccomp_profile profile = {
		.default_action = SECCOMP_ERRNO(EPERM), .abis = seccomp_native_abis(), .flags = 0};
	static const char *const names[] = {
		"read", "write", "exit_group", "close", "munmap", "sigaltstack", "capset"};
	for (size_t i = 0; i < unit_count(names) - !*capset_allowed; i++)
		seccomp_add(&arena, &profile, (unsigned)seccomp_find(names[i]), SECCOMP_ALLOW);
	CHECK(seccomp_compile(&profile, &arena, &program) == 0);
	struct confine confine = {.status = -1, .uid = 1000, .gid = 1000, .filter = &program};
	const char *step = NULL;
	int error = confine_apply(&confine, &step);
	if (*capset_allowed)
		return error != 0;
	return !(error == -EPERM && !strcmp(step, "set the capabilities"));
}

static void test_tight_filter(void **state)
{
	(void)state;
	static const bool yes = true, no = false;
	if (geteuid() != 0)
		skip();
	in_child(check_tight_filter, &yes);
	in_child(check_tight_filter, &no);
}

static int check_reset(const void *row)
{
	(void)row;
	struct sigaction action = {.sa_handler = SIG_IGN};
	sigset_t some;
	cpu_set_t one;

	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGRTMAX, &action, NULL);
	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigprocmask(SIG_BLOCK, &some, NULL);
	umask(0777);
	CHECK(personality(ADDR_NO_RANDOMIZE) != -1);
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
	CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof one, &one);

	CHECK(confine_reset(022, 0) == 0);
	CHECK(umask(0) == 022);
	CHECK(status_value("SigIgn:") == 0 && status_value("SigBlk:") == 0);
	CHECK(personality(0xffffffff) == 0);
	int pdeath = -1;
	CHECK(prctl(PR_GET_PDEATHSIG, &pdeath) == 0 && pdeath == 0);
	CHECK(sched_getaffinity(0, sizeof one, &one) == 0 && CPU_COUNT(&one) == cpus);
	if (geteuid() == 0)
		CHECK(getpriority(PRIO_PROCESS, 0) == 0);
	CHECK(confine_session_keyring("0123456789abcdef") == 0);
	CHECK(confine_undumpable() == 0 && prctl(PR_GET_DUMPABLE) == 0);
	return 0;
}

static void test_reset(void **state)
{
	(void)state;
	in_child(check_reset, NULL);
}

static int check_close(const void *row)
{
	(void)row;
	for (int i = 0; i < 40; i++)
		CHECK(fcntl(1, F_DUPFD, 3) >= 0);
	CHECK(confine_close_fds(2) == 0);
	for (int fd = 0; fd < 40; fd++) {
		int flags = fcntl(fd, F_GETFD);
		if (flags >= 0 && fd > 4)
			CHECK(flags & FD_CLOEXEC);
	}
	CHECK(!(fcntl(1, F_GETFD) & FD_CLOEXEC));
	return 0;
}

/* The same where close_range is denied, as in an old container. */
static int check_close_denied(const void *row)
{
	struct arena arena = {0};
	struct seccomp_program program;
	struct seccomp_profile profile = {.default_action = SECCOMP_ALLOW, .abis = seccomp_native_abis()};
	seccomp_add(&arena, &profile, (unsigned)seccomp_find("close_range"), SECCOMP_ERRNO(EPERM));
	CHECK(seccomp_compile(&profile, &arena, &program) == 0);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(seccomp_install(&program, 0) == 0);
	arena_free(&arena);
	return check_close(row);
}

static void test_close(void **state)
{
	(void)state;
	in_child(check_close, NULL);
	in_child(check_close_denied, NULL);
}

static void test_namespaces(void **state)
{
	(void)state;
	int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (const struct confine_namespace *row = confine_namespaces; row->name; row++) {
		char path[32];
		snprintf(path, sizeof path, "ns/%s", row->file);
		int fd = confine_namespace_open(self, path, row->flag);
		unit_row("%s\n", row->name);
		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(confine_namespace_open(self, path, 0x12345), -EINVAL);
		assert_ptr_equal(confine_namespace_find(row->name), row);
	}
	assert_int_equal(confine_namespace_open(self, "status", 0x40000000), -EINVAL);
	assert_int_equal(confine_namespace_open(self, "nothing", 0x40000000), -ENOENT);
	assert_null(confine_namespace_find("net"));
	close(self);
}

static double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Not a test: what the steps cost, with UNIT_TIMES set. */
static int measure(const void *row)
{
	(void)row;
	struct arena arena = {0};
	struct seccomp_program program;
	struct confine confine = {.status = -1};
	double start = now_us();
	confine_reset(022, 0);
	double reset = now_us();
	confine_rlimits(confine_rlimit_defaults, confine_rlimit_default_count, NULL);
	double limits = now_us();
	confine_session_keyring("0123456789abcdef");
	double keyring = now_us();
	confine_capabilities_for(CONFINE_CAPABILITIES_DEFAULT, 0, 0, &confine.capabilities);
	confine_apply(&confine, NULL);
	double capabilities = now_us();
	confine_close_fds(0);
	double closed = now_us();
	seccomp_default(CONFINE_CAPABILITIES_DEFAULT, &arena, &program);
	fprintf(stderr, "reset %.1f, rlimits %.1f, keyring %.1f, capabilities %.1f, close %.1f µs\n",
		reset - start, limits - reset, keyring - limits, capabilities - keyring,
		closed - capabilities);
	return 0;
}

static void test_times(void **state)
{
	(void)state;
	if (!getenv("UNIT_TIMES"))
		skip();
	in_child(measure, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capability_names),
		cmocka_unit_test(test_capability_lists),
		cmocka_unit_test(test_rlimit_parse),
		cmocka_unit_test(test_rlimits),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_tight_filter),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
