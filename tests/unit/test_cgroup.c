/*
 * test_cgroup.c - settings as texts, device programs, and live groups where this host
 * lets us: all of it twice, on the host's own cgroups and, in a mount namespace of a
 * child's own, on the v2 tree.
 *
 * Live groups lie below /brig-test-PID, which is removed.
 */
#include "runtime/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpf.h>

#include "base/auto.h"
#include "base/fd.h"
#include "runtime/cgroup_ops.h"
#include "unit.h"

#define MIB (1 << 20)

/* ---- weights ---- */

static void test_weights(void **state)
{
	(void)state;
	static const struct {
		uint64_t shares, weight;
	} rows[] = {{0, 1}, {1, 1}, {2, 1}, {512, 59}, {1024, 100}, {262144, 10000}, {1 << 30, 10000}};
	for (size_t i = 0; i < unit_count(rows); i++)
		assert_int_equal(cgroup_weight_of_shares(rows[i].shares), rows[i].weight);
	for (uint64_t shares = 3; shares < 262144; shares += shares < 5000 ? 1 : 97) {
		double l = log2((double)shares);
		uint64_t expected = (uint64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
		uint64_t got = cgroup_weight_of_shares(shares);
		if (got != expected)
			fail_msg("%llu shares: %llu, not %llu", (unsigned long long)shares,
				(unsigned long long)got, (unsigned long long)expected);
	}
}

/* ---- settings ---- */

struct collector {
	struct cgroup_sink sink;
	struct buf text;
};

static int collect(struct cgroup_sink *sink, const struct cgroup_setting *setting)
{
	struct collector *collector = (struct collector *)sink;
	buf_printf(&collector->text, "%s=%s%s\n", setting->file, setting->value,
		setting->need == CGROUP_WISHED ? " ?" : "");
	return 0;
}

static const struct cgroup_device_limit sda = {8, 0, 1048576}, sda_weight = {8, 0, 300};
static const struct cgroup_hugepage_limit huge = {"2MB", 4194304};
static const struct cgroup_pair pair = {"memory.high", "1000000"};

static void test_settings(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct cgroup_limits limits;
		bool swap_first;
		const char *v1, *v2; /* NULL: refused */
	} rows[] = {
		{"nothing", {0}, false, "", ""},
		{"memory", {.memory = 64 * MIB, .memory_swap = 128 * MIB, .memory_reservation = 32 * MIB},
			false,
			"memory.limit_in_bytes=67108864\nmemory.memsw.limit_in_bytes=134217728 ?\n"
			"memory.soft_limit_in_bytes=33554432\n",
			"memory.max=67108864\nmemory.swap.max=67108864 ?\nmemory.low=33554432\n"},
		{"memory raised", {.memory = 64 * MIB, .memory_swap = 128 * MIB}, true,
			"memory.memsw.limit_in_bytes=134217728 ?\nmemory.limit_in_bytes=67108864\n",
			"memory.max=67108864\nmemory.swap.max=67108864 ?\n"},
		{"no swap", {.memory = 64 * MIB, .memory_swap = 64 * MIB}, false,
			"memory.limit_in_bytes=67108864\nmemory.memsw.limit_in_bytes=67108864 ?\n",
			"memory.max=67108864\nmemory.swap.max=0 ?\n"},
		{"unlimited", {.memory = -1, .memory_swap = -1, .pids = -1}, false,
			"memory.limit_in_bytes=-1\nmemory.memsw.limit_in_bytes=-1 ?\npids.max=max\n",
			"memory.max=max\nmemory.swap.max=max ?\npids.max=max\n"},
		{"unlimited swap", {.memory = MIB, .memory_swap = -1}, false,
			"memory.limit_in_bytes=1048576\nmemory.memsw.limit_in_bytes=-1 ?\n",
			"memory.max=1048576\nmemory.swap.max=max ?\n"},
		{"shares", {.cpu_shares = 512}, false, "cpu.shares=512\n", "cpu.weight=59\n"},
		{"cpus 1.5", {.cpu_quota = 150000, .cpu_period = 100000}, false,
			"cpu.cfs_period_us=100000\ncpu.cfs_quota_us=150000\n", "cpu.max=150000 100000\n"},
		{"quota", {.cpu_quota = 50000}, false, "cpu.cfs_period_us=100000\ncpu.cfs_quota_us=50000\n",
			"cpu.max=50000 100000\n"},
		{"no quota", {.cpu_quota = -1}, false, "cpu.cfs_quota_us=-1\n", "cpu.max=max 100000\n"},
		{"period", {.cpu_period = 20000}, false, "cpu.cfs_period_us=20000\n", "cpu.max=max 20000\n"},
		{"burst, idle", {.cpu_burst = 500, .cpu_idle = true}, false,
			"cpu.cfs_burst_us=500\ncpu.idle=1\n", "cpu.max.burst=500\ncpu.idle=1\n"},
		{"real time", {.cpu_rt_runtime = 950000, .cpu_rt_period = 1000000}, false,
			"cpu.rt_period_us=1000000\ncpu.rt_runtime_us=950000\n", NULL},
		{"cpuset", {.cpuset_cpus = "0-1", .cpuset_mems = "0"}, false,
			"cpuset.cpus=0-1\ncpuset.mems=0\n", "cpuset.cpus=0-1\ncpuset.mems=0\n"},
		{"pids", {.pids = 100}, false, "pids.max=100\n", "pids.max=100\n"},
		{"pids by default", {.pids = 4096, .defaults = CGROUP_DEFAULT_PIDS}, false,
			"pids.max=4096 ?\n", "pids.max=4096 ?\n"},
		{"pids 0", {.pids_none = true}, false, "pids.max=0\n", "pids.max=0\n"},
		{"io",
			{.io_weight = 500,
				.io_weights = {&sda_weight, 1},
				.read_bps = {&sda, 1},
				.write_iops = {&sda, 1}},
			false,
			"blkio.bfq.weight=500\nblkio.bfq.weight_device=8:0 300\n"
			"blkio.throttle.read_bps_device=8:0 1048576\nblkio.throttle.write_iops_device=8:0 "
			"1048576\n",
			"io.bfq.weight=500\nio.bfq.weight=8:0 300\nio.max=8:0 rbps=1048576\nio.max=8:0 "
			"wiops=1048576\n"},
		{"huge pages", {.hugepages = &huge, .hugepage_count = 1}, false,
			"hugetlb.2MB.limit_in_bytes=4194304\n", "hugetlb.2MB.max=4194304\n"},
		{"unified", {.unified = &pair, .unified_count = 1}, false, NULL, "memory.high=1000000\n"},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		for (int version = 1; version <= 2; version++) {
			struct err e = {0};
			struct collector c = {.sink = {.put = collect, .e = &e}};
			const char *expected = version == 1 ? rows[i].v1 : rows[i].v2;
			unit_row("%s, v%d\n", rows[i].what, version);
			buf_string(&c.text, "");
			int result = version == 1 ? cgroup_v1_settings(
							    &rows[i].limits, rows[i].swap_first, &c.sink)
						  : cgroup_v2_settings(&rows[i].limits, &c.sink);
			assert_int_equal(result, expected ? 0 : -1);
			if (expected)
				assert_string_equal(c.text.data ? c.text.data : "", expected);
			else
				assert_int_equal(e.kind, ERR_UNSUPPORTED);
			buf_free(&c.text);
		}
	}
}

/* ---- names ---- */

static void test_paths(void **state)
{
	(void)state;
	static const struct cgroup_host none = {.ops = &cgroup_v1};
	char long_name[400];
	memset(long_name, 'a', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	const struct {
		const char *path, *clean;
	} rows[] = {
		{"brig/0123abc", "brig/0123abc"},
		{"/brig//x/", "brig/x"},
		{"/ps_42150", "ps_42150"},
		{"system.slice:brig:x", "system.slice:brig:x"},
		{"", NULL},
		{"/", NULL},
		{"..", NULL},
		{"brig/../../x", NULL},
		{"brig/./x", NULL},
		{"brig/a b", NULL},
		{"brig/a\nb", NULL},
		{"brig/\xc3\xa4", NULL},
		{long_name, NULL},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct cgroup cg = {0};
		struct err e = {0};
		struct cgroup_limits limits = {0};
		unit_row("%s\n", rows[i].path);
		int result = cgroup_create(&none, rows[i].path, &limits, &cg, &e);
		if (rows[i].clean) {
			assert_int_equal(result, 0);
			assert_string_equal(cg.path, rows[i].clean);
		} else {
			assert_int_equal(result, -1);
			assert_int_equal(e.kind, ERR_INVALID);
		}
		cgroup_close(&cg);
	}
}

static void test_without_controllers(void **state)
{
	(void)state;
	static const struct cgroup_hugepage_limit odd_size = {"2/../x", 1};
	static const struct cgroup_pair outside = {"../x", "1"}, procs = {"cgroup.procs", "1"};
	static const struct cgroup_host none = {.ops = &cgroup_v1};
	static const struct {
		struct cgroup_limits limits;
		const char *error; /* or NULL and */
		const char *warning;
	} rows[] = {
		{{0}, NULL, ""},
		{{.pids = 4096, .defaults = CGROUP_DEFAULT_PIDS}, NULL,
			"--pids-limit is ignored: there is no pids cgroup controller"},
		{{.pids = 4096}, "--pids-limit cannot be obeyed: this host has no pids cgroup controller",
			NULL},
		{{.memory = MIB}, "--memory cannot be obeyed: this host has no memory cgroup controller",
			NULL},
		{{.io_weight = 10},
			"--blkio-weight cannot be obeyed: this host has no blkio cgroup controller", NULL},
		{{.memory = MIB, .memory_swap = 5},
			"--memory-swap is below --memory: it is the sum of memory and swap", NULL},
		{{.devices = cgroup_device_defaults, .device_count = 1},
			"devices cannot be kept from the container: there is no devices cgroup that can be "
			"written",
			NULL},
		{{.devices = cgroup_device_defaults, .device_count = 1, .devices_optional = true}, NULL, ""},
		{{.hugepages = &odd_size, .hugepage_count = 1}, "\"2/../x\" is not a size of huge pages",
			NULL},
		{{.unified = &outside, .unified_count = 1}, "\"../x\" is not a cgroup file that can be set",
			NULL},
		{{.unified = &procs, .unified_count = 1},
			"\"cgroup.procs\" is not a cgroup file that can be set", NULL},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct cgroup cg = {0};
		struct err e = {0};
		unit_row("row %zu\n", i);
		int result = cgroup_create(&none, "brig/x", &rows[i].limits, &cg, &e);
		assert_int_equal(result, rows[i].error ? -1 : 0);
		if (rows[i].error)
			assert_string_equal(e.what, rows[i].error);
		else
			assert_string_equal(cg.warning, rows[i].warning);
		cgroup_close(&cg);
	}
}

/* ---- device programs ---- */

static bool run_device_program(
	const struct bpf_insn *code, int count, const struct bpf_cgroup_dev_ctx *context)
{
	uint64_t r[11] = {0};
	for (int pc = 0; pc >= 0 && pc < count; pc++) {
		const struct bpf_insn *i = &code[pc];
		uint64_t value = BPF_SRC(i->code) == BPF_X ? r[i->src_reg] : (uint64_t)(int64_t)i->imm;
		uint64_t *to = &r[i->dst_reg];
		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W: {
			uint32_t word;
			assert_int_equal(i->src_reg, 1);
			memcpy(&word, (const char *)context + i->off, 4);
			*to = word;
			break;
		}
		case BPF_ALU64 | BPF_MOV | BPF_X:
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*to = value;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			*to &= value;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			*to >>= value;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += *to != value ? i->off : 0;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += *to == value ? i->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return r[0];
		default:
			fail_msg("instruction %#x", i->code);
		}
	}
	fail_msg("ran off the end");
	return false;
}

static void test_device_programs(void **state)
{
	(void)state;
	enum { R = CGROUP_READ, W = CGROUP_WRITE, M = CGROUP_MKNOD };
	static const struct {
		const char *what;
		struct cgroup_device_rule rules[6];
		size_t count;
		struct {
			char type;
			uint32_t major, minor;
			unsigned access;
			bool allowed;
		} asks[6];
	} rows[] = {
		{"nothing", {{0}}, 0, {{'c', 1, 3, R, false}, {'b', 8, 0, M, false}}},
		{"one", {{'c', true, R | W | M, 1, 3}}, 1,
			{{'c', 1, 3, R | W, true}, {'c', 1, 3, M, true}, {'c', 1, 4, R, false},
				{'b', 1, 3, R, false}, {'c', 2, 3, R, false}}},
		{"read only", {{'c', true, R, 1, 3}}, 1,
			{{'c', 1, 3, R, true}, {'c', 1, 3, R | W, false}, {'c', 1, 3, M, false}}},
		{"in two parts", {{'c', true, R, 1, 3}, {'c', true, W, 1, 3}}, 2, {{'c', 1, 3, R | W, true}}},
		{"taken back", {{'c', true, R | W, 1, 3}, {'c', false, W, 1, 3}}, 2,
			{{'c', 1, 3, R, true}, {'c', 1, 3, W, false}, {'c', 1, 3, R | W, false}}},
		{"mknod of all",
			{{'c', true, M, -1, -1}, {'b', true, M, -1, -1}, {'c', true, R | W | M, 136, -1}}, 3,
			{{'b', 8, 0, M, true}, {'b', 8, 0, R, false}, {'c', 136, 77, R | W, true},
				{'c', 9, 9, M, true}}},
		{"all but", {{'a', true, R | W | M, -1, -1}, {'c', false, W, 10, 229}}, 2,
			{{'b', 8, 0, R | W | M, true}, {'c', 10, 229, R, true}, {'c', 10, 229, R | W, false},
				{'c', 10, 228, W, true}}},
		{"over again", {{'c', true, R, 1, 3}, {'a', false, R | W | M, -1, -1}, {'c', true, R, 1, 5}},
			3, {{'c', 1, 3, R, false}, {'c', 1, 5, R, true}}},
		{"all", {{'a', true, R | W | M, -1, -1}}, 1, {{'b', 8, 0, R | W | M, true}}},
	};
	struct bpf_insn *code = test_malloc(CGROUP_DEVICE_CODE * sizeof *code);
	for (size_t i = 0; i < unit_count(rows); i++) {
		int count = cgroup_device_compile(rows[i].rules, rows[i].count, code);
		assert_true(count > 0);
		for (size_t k = 0; k < 6 && rows[i].asks[k].type; k++) {
			unsigned access = rows[i].asks[k].access;
			struct bpf_cgroup_dev_ctx context = {
				.access_type = (uint32_t)(rows[i].asks[k].type == 'b' ? BPF_DEVCG_DEV_BLOCK
										      : BPF_DEVCG_DEV_CHAR) |
					       ((access & R ? BPF_DEVCG_ACC_READ : 0u) |
						       (access & W ? BPF_DEVCG_ACC_WRITE : 0u) |
						       (access & M ? BPF_DEVCG_ACC_MKNOD : 0u))
						       << 16,
				.major = rows[i].asks[k].major,
				.minor = rows[i].asks[k].minor,
			};
			unit_row("%s, ask %zu\n", rows[i].what, k);
			assert_int_equal(run_device_program(code, count, &context), rows[i].asks[k].allowed);
		}
	}
	/* As many as are let in fit the buffer. */
	struct cgroup_device_rule *many = test_calloc(CGROUP_DEVICE_RULES + 1, sizeof *many);
	for (int i = 0; i <= CGROUP_DEVICE_RULES; i++)
		many[i] = (struct cgroup_device_rule){'c', true, R, i, i};
	assert_true(cgroup_device_compile(many, CGROUP_DEVICE_RULES, code) <= CGROUP_DEVICE_CODE);
	assert_int_equal(cgroup_device_compile(many, CGROUP_DEVICE_RULES + 1, code), -E2BIG);
	test_free(many);
	test_free(code);
}

static void test_device_text(void **state)
{
	(void)state;
	static const struct {
		struct cgroup_device_rule rule;
		const char *text;
	} rows[] = {
		{{'c', true, 7, 1, 3}, "c 1:3 rwm"},
		{{'b', true, CGROUP_MKNOD, -1, -1}, "b *:* m"},
		{{'c', false, CGROUP_READ | CGROUP_WRITE, 2147483647, 0}, "c 2147483647:0 rw"},
		{{'a', true, 7, -1, -1}, "a"},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		char text[48];
		cgroup_device_text(&rows[i].rule, text);
		assert_string_equal(text, rows[i].text);
	}
}

/* ---- live groups ---- */

static int failures;
static const char *where;

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s, line %d: %s (errno %d)\n", where, __LINE__, #condition, errno); \
			failures++;                                                                          \
		}                                                                                            \
	} while (0)

#define MUST(call)                                                                                           \
	do {                                                                                                 \
		if ((call) < 0) {                                                                            \
			fprintf(stderr, "%s, line %d: %s: %s\n", where, __LINE__, #call, e.what);            \
			failures++;                                                                          \
			return;                                                                              \
		}                                                                                            \
	} while (0)

static char parent[64];
static struct cgroup_host host;
static struct err e;

static const char *group(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", parent, name);
	return path;
}

/* A child in the group that waits, or does what it is told to first. */
static pid_t start_in(const struct cgroup *cg, void (*work)(void))
{
	int ends[2];
	char byte;

	fd_pipe(ends, 0);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		close(ends[1]);
		if (read(ends[0], &byte, 1) != 1)
			_exit(99);
		work();
		_exit(0);
	}
	close(ends[0]);
	CHECK(cgroup_join(cg, child, &e) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	close(ends[1]);
	return child;
}

static void sleep_long(void)
{
	for (;;)
		pause();
}

static int end_of(pid_t child)
{
	int status = -1;
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static bool have(enum cgroup_controller controller)
{
	return cgroup_controllers(&host) >> controller & 1;
}

static void spin(void)
{
	for (;;)
		;
}

static void fork_much(void)
{
	for (int i = 0; i < 30; i++) {
		if (fork() == 0) {
			if (i % 3 == 0)
				fork();
			pause();
		}
	}
	pause();
}

static void eat_memory(void)
{
	char *all = mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all != MAP_FAILED)
		memset(all, 1, 256 * MIB);
}

/* 0 or -errno. */
static int try_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* 0: null opens, kmsg does not, and its node cannot be made. */
static void use_devices(void)
{
	char path[64];

	snprintf(path, sizeof path, "/tmp/brig-test-node-%d", (int)getpid());
	if (try_open("/dev/null") != 0)
		_exit(2);
	if (try_open("/dev/kmsg") != -EPERM)
		_exit(3);
	int result = mknod(path, S_IFCHR | 0600, makedev(1, 11)) < 0 ? -errno : 0;
	unlink(path);
	_exit(result == -EPERM ? 0 : 4);
}

static void check_life(void)
{
	struct cgroup cg, again;
	const struct cgroup_limits limits = {.pids = 4096, .defaults = CGROUP_DEFAULT_PIDS};

	MUST(cgroup_create(&host, group("life"), &limits, &cg, &e));
	CHECK(cgroup_populated(&cg) == 0);
	pid_t child = start_in(&cg, sleep_long);
	CHECK(cgroup_populated(&cg) == 1);

	struct cgroup_pids pids = {0};
	CHECK(cgroup_list(&cg, &pids, &e) == 0 && pids.count == 1 && pids.list[0] == child);
	cgroup_pids_free(&pids);

	CHECK(cgroup_open(&host, cg.path, &again, &e) == 0);
	CHECK(again.joined == cg.joined);
	struct cgroup_stats stats;
	CHECK(cgroup_read_stats(&again, &stats, &e) == 0);
	if (have(CGROUP_PIDS))
		CHECK(stats.pids == 1 && stats.pids_limit == 4096);
	if (have(CGROUP_MEMORY))
		CHECK(stats.memory != CGROUP_NO_VALUE && stats.memory_limit == CGROUP_NO_VALUE);
	CHECK(cgroup_oom_kills(&again) == 0);

	/* Somebody else may not take the name while there is life in it. */
	struct cgroup other;
	CHECK(cgroup_create(&host, group("life"), &limits, &other, &e) == -1 && e.kind == ERR_CONFLICT);
	struct cgroup_limits shared = limits;
	shared.shared = true;
	CHECK(cgroup_create(&host, group("life"), &shared, &other, &e) == 0);
	cgroup_close(&other);
	CHECK(cgroup_populated(&cg) == 1);

	CHECK(cgroup_kill(&cg, SIGTERM, &e) == 0);
	CHECK(WIFSIGNALED(end_of(child)));
	CHECK(cgroup_remove(&again, &e) == 0);
	CHECK(cgroup_remove(&cg, &e) == 0);
	CHECK(cgroup_populated(&cg) == -ENOENT);
	CHECK(cgroup_open(&host, cg.path, &other, &e) == -1 && e.kind == ERR_NOT_FOUND);
	cgroup_close(&again);
	cgroup_close(&cg);

	/* Left empty by a crash: taken over. */
	MUST(cgroup_create(&host, group("life"), &limits, &cg, &e));
	cgroup_close(&cg);
	MUST(cgroup_create(&host, group("life"), &limits, &cg, &e));
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
}

static void check_freeze(void)
{
	struct cgroup cg;
	struct timespec pause = {.tv_nsec = 50000000};
	struct cgroup_stats before, after;

	MUST(cgroup_create(&host, group("freeze"), &(struct cgroup_limits){0}, &cg, &e));
	pid_t child = start_in(&cg, spin);
	CHECK(cgroup_is_frozen(&cg) == 0);
	MUST(cgroup_freeze(&cg, true, &e));
	CHECK(cgroup_is_frozen(&cg) == 1);
	cgroup_read_stats(&cg, &before, &e);
	nanosleep(&pause, NULL);
	cgroup_read_stats(&cg, &after, &e);
	CHECK(after.cpu_ns == before.cpu_ns);
	MUST(cgroup_freeze(&cg, false, &e));
	CHECK(cgroup_is_frozen(&cg) == 0);
	nanosleep(&pause, NULL);
	cgroup_read_stats(&cg, &after, &e);
	CHECK(after.cpu_ns == CGROUP_NO_VALUE || after.cpu_ns > before.cpu_ns);

	/* A signal leaves the frozen so; SIGKILL does not. (v2 lets any deadly one through.) */
	MUST(cgroup_freeze(&cg, true, &e));
	CHECK(cgroup_kill(&cg, SIGWINCH, &e) == 0);
	CHECK(cgroup_is_frozen(&cg) == 1);
	CHECK(waitpid(child, NULL, WNOHANG) == 0);
	CHECK(cgroup_kill(&cg, SIGKILL, &e) == 0);
	CHECK(WIFSIGNALED(end_of(child)));
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
}

static void check_kill_all(void)
{
	struct cgroup cg;
	const struct timespec pause = {.tv_nsec = 10000000};

	MUST(cgroup_create(&host, group("many"), &(struct cgroup_limits){0}, &cg, &e));
	pid_t child = start_in(&cg, fork_much);
	struct cgroup_pids pids = {0};
	for (unsigned i = 0; i < 500 && pids.count < 41; i++) {
		nanosleep(&pause, NULL);
		CHECK(cgroup_list(&cg, &pids, &e) == 0);
	}
	CHECK(pids.count == 41);
	cgroup_pids_free(&pids);
	CHECK(cgroup_kill(&cg, SIGKILL, &e) == 0);
	end_of(child);
	CHECK(cgroup_remove(&cg, &e) == 0); /* waits for the orphans */
	cgroup_close(&cg);
}

/* A process that gets in by itself is in all of it. */
static void check_enter(void)
{
	struct cgroup cg;
	char own[4096], path[CGROUP_PATH + 8];

	MUST(cgroup_create(&host, group("enter"), &(struct cgroup_limits){.every_hierarchy = true}, &cg, &e));
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		if (cgroup_enter(&cg, &e) < 0 || cgroup_read("/proc/self/cgroup", own, sizeof own) <= 0)
			_exit(1);
		unsigned seen = 0;
		snprintf(path, sizeof path, ":/%s\n", cg.path);
		for (char *at = own; (at = strstr(at, path)); at++)
			seen++;
		_exit(seen == host.hierarchy_count ? 0 : 2);
	}
	CHECK(end_of(child) == 0);
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
}

/* Groups that the container made inside its own go with it. */
static void check_nested(void)
{
	struct cgroup cg;
	char path[CGROUP_FILE_PATH + 64];

	MUST(cgroup_create(&host, group("nested"), &(struct cgroup_limits){0}, &cg, &e));
	for (unsigned i = 0; i < host.hierarchy_count; i++) {
		if (host.version == 2 || cg.joined >> i & 1) {
			cgroup_file_path(&cg, i, "a", path);
			CHECK(mkdir(path, 0755) == 0);
			cgroup_file_path(&cg, i, "a/b", path);
			CHECK(mkdir(path, 0755) == 0);
		}
	}
	struct cgroup inner = cg;
	strncat(inner.path, "/a/b", sizeof inner.path - strlen(inner.path) - 1);
	for (unsigned i = 0; host.version == 1 && i < host.hierarchy_count; i++) {
		if (host.hierarchies[i].controllers & 1u << CGROUP_CPUSET)
			inner.joined &= ~(1u << i); /* has no CPUs */
	}
	inner.fd = -1;
	if (host.version == 2)
		CHECK(cgroup_open(&host, inner.path, &inner, &e) == 0);
	pid_t child = start_in(&inner, sleep_long);
	struct cgroup_pids pids = {0};
	CHECK(cgroup_list(&cg, &pids, &e) == 0 && pids.count == 1 && pids.list[0] == child);
	cgroup_pids_free(&pids);
	CHECK(cgroup_remove(&cg, &e) == -1 && e.kind == ERR_CONFLICT);
	CHECK(cgroup_kill(&cg, SIGKILL, &e) == 0);
	end_of(child);
	CHECK(cgroup_remove(&cg, &e) == 0);
	if (host.version == 2)
		cgroup_close(&inner);
	cgroup_close(&cg);
}

static void file_of(const struct cgroup *cg, const char *file, char *text, size_t size)
{
	char path[CGROUP_FILE_PATH];
	cgroup_file_path(cg, 0, file, path);
	if (cgroup_read(path, text, size) < 0)
		text[0] = '\0';
}

/* A user without rights at the top works below the group that was handed to them, whose
 * own processes have to leave its way. */
static int delegated(void)
{
	struct cgroup cg;
	char expected[CGROUP_PATH], given[256], got[256];

	failures = 0;
	snprintf(expected, sizeof expected, "%s/own/brig/x", parent);
	if (setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0)
		return 90;
	for (unsigned i = 0; i < 2; i++) { /* the second time from the leaf */
		if (cgroup_create(&host, "brig/x", &(struct cgroup_limits){0}, &cg, &e) < 0) {
			fprintf(stderr, "%s\n", e.what);
			return 91;
		}
		CHECK(!strcmp(cg.path, expected));
		CHECK(!*cg.warning);
		struct cgroup own = cg;
		snprintf(own.path, sizeof own.path, "%s/own", parent);
		file_of(&own, "cgroup.controllers", given, sizeof given);
		file_of(&cg, "cgroup.controllers", got, sizeof got);
		CHECK(!strcmp(given, got));
		CHECK(cgroup_enter(&cg, &e) == 0);
		CHECK(cgroup_populated(&cg) == 1);
		snprintf(got, sizeof got, "%s/own/brig-leaf", parent);
		struct cgroup leaf;
		CHECK(cgroup_open(&host, got, &leaf, &e) == 0);
		CHECK(cgroup_enter(&leaf, &e) == 0);
		cgroup_close(&leaf);
		CHECK(cgroup_remove(&cg, &e) == 0);
		cgroup_close(&cg);
	}
	return failures;
}

static void check_delegated(void)
{
	static const char *const files[] = {"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"};
	struct cgroup cg;
	char path[CGROUP_FILE_PATH];

	MUST(cgroup_create(&host, group("own"), &(struct cgroup_limits){0}, &cg, &e));
	for (size_t i = 0; i < unit_count(files); i++) {
		cgroup_file_path(&cg, 0, files[i], path);
		CHECK(chown(path, 1000, 1000) == 0);
	}
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(cgroup_enter(&cg, &e) < 0 ? 92 : delegated());
	CHECK(end_of(child) == 0);
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
}

/* brig in a container: the top is a group that its own processes are in. */
static int in_namespace(void)
{
	struct cgroup cg;
	char given[256], got[256], own[256];

	failures = 0;
	if (unshare(CLONE_NEWCGROUP | CLONE_NEWNS) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 90;
	while (umount2("/sys/fs/cgroup", MNT_DETACH) == 0)
		;
	if (mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0 || cgroup_probe(&host, &e) < 0)
		return 91;
	if (cgroup_read("/sys/fs/cgroup/cgroup.controllers", given, sizeof given) < 0)
		return 92;
	if (cgroup_create(&host, "brig/x", &(struct cgroup_limits){0}, &cg, &e) < 0) {
		fprintf(stderr, "%s\n", e.what);
		return 93;
	}
	CHECK(!strcmp(cg.path, "brig/x"));
	file_of(&cg, "cgroup.controllers", got, sizeof got);
	CHECK(!strcmp(given, got));
	CHECK(cgroup_read("/proc/self/cgroup", own, sizeof own) > 0);
	CHECK(!*given == !strstr(own, "/brig-leaf\n"));
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
	return failures;
}

static void check_namespaced(void)
{
	struct cgroup cg;

	MUST(cgroup_create(&host, group("inner"), &(struct cgroup_limits){0}, &cg, &e));
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(cgroup_enter(&cg, &e) < 0 ? 94 : in_namespace());
	CHECK(end_of(child) == 0);
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
}

/* Where nothing may be written there is no group; what was asked for is refused. */
static int read_only(void)
{
	struct cgroup cg;
	const struct cgroup_limits asked = {.pids = 5}, usual = {.pids = 5, .defaults = CGROUP_DEFAULT_PIDS},
				   devices = {.devices = cgroup_device_defaults, .device_count = 1};

	failures = 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 90;
	for (unsigned i = 0; i < host.hierarchy_count; i++) {
		const char *at = host.hierarchies[i].mount;
		if (mount(at, at, NULL, MS_BIND, NULL) < 0 ||
			mount(NULL, at, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
			return 91;
	}
	CHECK(cgroup_create(&host, group("ro"), &asked, &cg, &e) == -1 && e.kind == ERR_UNSUPPORTED);
	CHECK(cgroup_create(&host, group("ro"), &devices, &cg, &e) == -1);
	CHECK(cgroup_create(&host, group("ro"), &usual, &cg, &e) == 0);
	CHECK(*cg.warning);
	CHECK(cgroup_enter(&cg, &e) == 0);
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
	return failures;
}

static void check_read_only(void)
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(read_only());
	CHECK(end_of(child) == 0);
}

static void check_devices(void)
{
	struct cgroup cg;
	struct cgroup_limits limits = {
		.devices = cgroup_device_defaults, .device_count = cgroup_device_default_count};
	static const struct cgroup_device_rule kmsg[] = {
		{'a', true, 7, -1, -1}, {'c', false, 7, 1, 3}, {'c', true, 7, 1, 11}};

	MUST(cgroup_create(&host, group("devices"), &limits, &cg, &e));
	int status = end_of(start_in(&cg, use_devices));
	CHECK(WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);

	/* Replaced as a whole: null is forbidden now. */
	limits = (struct cgroup_limits){.devices = kmsg, .device_count = 3};
	CHECK(cgroup_update(&cg, &limits, &e) == 0);
	status = end_of(start_in(&cg, use_devices));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
}

static void check_memory(void)
{
	struct cgroup cg;
	struct cgroup_stats stats;
	const struct cgroup_limits limits = {
		.memory = 32 * MIB, .memory_swap = 32 * MIB, .defaults = CGROUP_DEFAULT_SWAP};

	if (!have(CGROUP_MEMORY)) {
		CHECK(cgroup_create(&host, group("memory"), &limits, &cg, &e) == -1 &&
			e.kind == ERR_UNSUPPORTED);
		return;
	}
	MUST(cgroup_create(&host, group("memory"), &limits, &cg, &e));
	int status = end_of(start_in(&cg, eat_memory));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(cgroup_oom_kills(&cg) == 1);
	CHECK(cgroup_read_stats(&cg, &stats, &e) == 0);
	CHECK(stats.memory_limit == 32 * MIB && stats.oom_kills == 1);

	struct cgroup_limits more = {.memory = 64 * MIB, .memory_swap = 96 * MIB};
	CHECK(cgroup_update(&cg, &more, &e) == 0);
	cgroup_read_stats(&cg, &stats, &e);
	CHECK(stats.memory_limit == 64 * MIB);
	more = (struct cgroup_limits){.memory = 128 * MIB, .memory_swap = CGROUP_UNLIMITED};
	CHECK(cgroup_update(&cg, &more, &e) == 0);
	more = (struct cgroup_limits){.memory = 16 * MIB, .memory_swap = 16 * MIB};
	CHECK(cgroup_update(&cg, &more, &e) == 0);
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
}

static void check_cpu(void)
{
	struct cgroup cg;
	char path[CGROUP_FILE_PATH], text[64] = "";
	const struct cgroup_limits limits = {
		.cpu_shares = 512, .cpu_quota = 50000, .cpu_period = 100000, .cpuset_cpus = "0", .pids = 7};

	if (!have(CGROUP_CPU) || !have(CGROUP_CPUSET) || !have(CGROUP_PIDS))
		return;
	MUST(cgroup_create(&host, group("cpu"), &limits, &cg, &e));
	for (unsigned i = 0; i < host.hierarchy_count; i++) {
		if (host.version != 2 && !(host.hierarchies[i].controllers & 1u << CGROUP_CPU))
			continue;
		cgroup_file_path(&cg, i, host.version == 2 ? "cpu.weight" : "cpu.shares", path);
		CHECK(cgroup_read(path, text, sizeof text) > 0);
		CHECK(!strcmp(text, host.version == 2 ? "59\n" : "512\n"));
	}
	pid_t child = start_in(&cg, spin);
	cpu_set_t set;
	CHECK(sched_getaffinity(child, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set));
	CHECK(cgroup_kill(&cg, SIGKILL, &e) == 0);
	end_of(child);
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);

	/* What the kernel does not take names the option, and leaves nothing. */
	const struct cgroup_limits bad = {.cpuset_cpus = "4095"};
	CHECK(cgroup_create(&host, group("cpu"), &bad, &cg, &e) == -1);
	CHECK(e.kind == ERR_INVALID && strstr(e.what, "--cpuset-cpus"));
	CHECK(cgroup_open(&host, group("cpu"), &cg, &e) == -1 && e.kind == ERR_NOT_FOUND);
}

static void check_mounts(void)
{
	struct cgroup cg;
	struct cgroup_mount mount;
	unsigned count = 0;

	MUST(cgroup_create(&host, group("mounts"), &(struct cgroup_limits){0}, &cg, &e));
	for (; cgroup_mount_at(&cg, count, &mount); count++) {
		if (host.version == 2)
			CHECK(!strcmp(mount.type, "cgroup2") && !*mount.name);
		else
			CHECK(!mount.type && *mount.folder == '/' && *mount.name);
	}
	CHECK(host.version == 2 ? count == 1 : count == (unsigned)__builtin_popcount(cg.joined));
	CHECK(cgroup_remove(&cg, &e) == 0);
	cgroup_close(&cg);
}

static double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Not a test: what a container's group costs, with UNIT_TIMES set. */
static void measure(void)
{
	enum { ROUNDS = 100 };
	const struct cgroup_limits limits = {.pids = 4096,
		.defaults = CGROUP_DEFAULT_PIDS,
		.devices = cgroup_device_defaults,
		.device_count = cgroup_device_default_count};
	double probed = 0, created = 0, joined = 0, removed = 0;
	struct cgroup cg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		int ends[2];
		struct cgroup_host fresh;
		struct timespec pause = {.tv_nsec = getenv("UNIT_HOT") ? 0 : 10000000};
		nanosleep(&pause, NULL); /* as if brig were called now and then */
		fd_pipe(ends, 0);
		double start = now_us();
		cgroup_probe(&fresh, &e);
		double probe = now_us();
		MUST(cgroup_create(&host, group("time"), &limits, &cg, &e));
		double create = now_us();
		pid_t child = fork();
		if (child == 0) {
			double before = now_us();
			int error = cgroup_enter(&cg, &e);
			double took = error ? -1 : now_us() - before;
			if (write(ends[1], &took, sizeof took) > 0)
				sleep_long();
			_exit(1);
		}
		double took = -1;
		CHECK(read(ends[0], &took, sizeof took) == sizeof took && took > 0);
		close(ends[0]);
		close(ends[1]);
		cgroup_kill(&cg, SIGKILL, &e);
		end_of(child);
		double killed = now_us();
		MUST(cgroup_remove(&cg, &e));
		double end = now_us();
		cgroup_close(&cg);
		probed += probe - start;
		created += create - probe;
		joined += took;
		removed += end - killed;
	}
	fprintf(stderr, "v%d: probe %.1f, create %.1f, enter %.1f, remove %.1f µs\n", host.version,
		probed / ROUNDS, created / ROUNDS, joined / ROUNDS, removed / ROUNDS);
}

static int check_host(void)
{
	failures = 0;
	if (cgroup_probe(&host, &e) < 0 || !host.version) {
		fprintf(stderr, "no cgroups here\n");
		return 0;
	}
	where = host.version == 2 ? "v2" : "v1";
	snprintf(parent, sizeof parent, "brig-test-%d", (int)getpid());
	check_life();
	check_freeze();
	check_kill_all();
	check_enter();
	check_nested();
	check_devices();
	check_memory();
	check_cpu();
	check_mounts();
	check_read_only();
	if (host.version == 2) {
		check_delegated();
		check_namespaced();
	}
	if (getenv("UNIT_TIMES"))
		measure();

	struct cgroup cg;
	if (cgroup_open(&host, parent, &cg, &e) == 0) {
		CHECK(cgroup_remove(&cg, &e) == 0);
		cgroup_close(&cg);
	}
	return failures;
}

static int in_child(int (*check)(void))
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(check());
	return end_of(child);
}

static bool can_make_groups(void)
{
	if (geteuid() != 0 || cgroup_probe(&host, &e) < 0 || !host.version)
		return false;
	char path[128];
	snprintf(path, sizeof path, "%s/brig-test-probe-%d", host.hierarchies[0].mount, (int)getpid());
	bool can = mkdir(path, 0755) == 0;
	rmdir(path);
	return can;
}

static void test_host(void **state)
{
	(void)state;
	if (!can_make_groups())
		skip();
	assert_int_equal(in_child(check_host), 0);
}

/* The other version: this child's own view of /sys/fs/cgroup. */
static int check_v2(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 0;
	while (umount2("/sys/fs/cgroup", MNT_DETACH) == 0)
		;
	if (mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0)
		return 0;
	return check_host();
}

static void test_v2(void **state)
{
	(void)state;
	if (!can_make_groups() || host.version == 2)
		skip();
	assert_int_equal(in_child(check_v2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_without_controllers),
		cmocka_unit_test(test_device_programs),
		cmocka_unit_test(test_device_text),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_v2),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
