/*
 * test_seccomp.c - compiled filters against a plain reading of the profile, against
 * libseccomp's filters, and in the kernel.
 *
 * Also built as test_seccomp_arm64.c, for the other machine's tables.
 */
#include "base/seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/seccomp.h>

#include "bpf.h"
#include "unit.h"

#define DOCKER_CAPABILITIES 0xa80425fbULL

static const struct {
	enum seccomp_abi bit;
	uint32_t audit;
	uint32_t oracle;
	bool wide; /* libseccomp compares 64 bits here */
} abis[] = {
#ifdef SECCOMP_TARGET_ARM64
	{SECCOMP_AARCH64, 0xc00000b7, SCMP_ARCH_AARCH64, true},
	{SECCOMP_ARM, 0x40000028, SCMP_ARCH_ARM, false},
#else
	{SECCOMP_X86_64, 0xc000003e, SCMP_ARCH_X86_64, true},
	{SECCOMP_X32, 0xc000003e, SCMP_ARCH_X32, false},
	{SECCOMP_X86, 0x40000003, SCMP_ARCH_X86, false},
#endif
};

static uint32_t run(
	const struct seccomp_program *program, unsigned abi, int64_t number, const uint64_t args[6])
{
	struct seccomp_data data = {.nr = (int)(uint32_t)number, .arch = abis[abi].audit};
	memcpy(data.args, args, sizeof data.args);
	return interpret(program->code, program->count, &data);
}

/* ---- what a profile means ---- */

static bool holds(const struct seccomp_condition *condition, const uint64_t args[6])
{
	uint64_t arg = args[condition->argument], value = condition->value;
	switch (condition->compare) {
	case SECCOMP_NE:
		return arg != value;
	case SECCOMP_LT:
		return arg < value;
	case SECCOMP_LE:
		return arg <= value;
	case SECCOMP_EQ:
		return arg == value;
	case SECCOMP_GE:
		return arg >= value;
	case SECCOMP_GT:
		return arg > value;
	default:
		return (arg & condition->mask) == (value & condition->mask);
	}
}

static uint32_t meaning(const struct seccomp_profile *profile, unsigned call, const uint64_t args[6])
{
	for (size_t i = 0; i < profile->rule_count; i++) {
		const struct seccomp_rule *rule = &profile->rules[i];
		bool fits = rule->call == call;
		for (unsigned k = 0; fits && k < rule->condition_count; k++)
			fits = holds(&rule->conditions[k], args);
		if (fits)
			return rule->action;
	}
	return profile->default_action;
}

/* ---- chance, the same every time ---- */

static uint64_t seed = 42;

static uint64_t chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t some_value(bool wide)
{
	static const uint64_t edges[] = {0, 1, 38, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		0x100000026, 0x7e020000, 0xffffffff00000000, UINT64_MAX};
	uint64_t value = chance() % 3 ? edges[chance() % unit_count(edges)] + chance() % 3 - 1 : chance();
	return wide ? value : value & UINT32_MAX;
}

static unsigned call_count(void)
{
	unsigned count = 0;
	while (seccomp_name(count))
		count++;
	return count;
}

/* Every number that could matter, and the holes between them. */
static int64_t number_at(unsigned i, unsigned abi)
{
	uint32_t base = abis[abi].bit == SECCOMP_X32 ? 0x40000000 : 0;
	if (i < 1100)
		return base + i;
	if (i < 1120)
		return 0x0f0000 - 2 + (i - 1100);
	return (int64_t[]){0x3fffffff, 0x80000000, 0xfffffffe, UINT32_MAX}[i - 1120];
}

enum { NUMBERS = 1124 };

static int call_of(unsigned abi, int64_t number)
{
	for (unsigned call = 0; seccomp_name(call); call++) {
		if (seccomp_number(call, abis[abi].bit) == number)
			return (int)call;
	}
	return -1;
}

/* ---- the tests ---- */

static void test_names(void **state)
{
	(void)state;
	for (unsigned call = 0; seccomp_name(call); call++)
		assert_int_equal(seccomp_find(seccomp_name(call)), call);
	assert_int_equal(seccomp_find("no_such_call"), -ENOENT);
	assert_int_equal(seccomp_find(""), -ENOENT);
	assert_null(seccomp_name(call_count()));

	/* The table against libseccomp's, for what that version has. */
	unsigned checked = 0;
	for (unsigned call = 0; seccomp_name(call); call++) {
		for (unsigned abi = 0; abi < unit_count(abis); abi++) {
			int oracle = seccomp_syscall_resolve_name_arch(abis[abi].oracle, seccomp_name(call));
			int64_t ours = seccomp_number(call, abis[abi].bit);
			if (oracle < 0)
				continue; /* unknown there, or a pseudo number */
			unit_row("%s\n", seccomp_name(call));
			assert_int_equal(ours, oracle);
			checked++;
		}
	}
	assert_true(checked > 600);
}

#ifndef SECCOMP_TARGET_ARM64
static void test_numbers_of_headers(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		long number;
	} rows[] = {{"read", SYS_read}, {"clone3", 435}, {"openat2", 437}, {"io_setup", SYS_io_setup},
		{"execveat", SYS_execveat}, {"seccomp", SYS_seccomp}, {"umount2", SYS_umount2}};
	for (size_t i = 0; i < unit_count(rows); i++)
		assert_int_equal(
			seccomp_number((unsigned)seccomp_find(rows[i].name), SECCOMP_X86_64), rows[i].number);
	assert_int_equal(seccomp_number((unsigned)seccomp_find("execve"), SECCOMP_X32), 0x40000000 + 520);
	assert_int_equal(seccomp_number((unsigned)seccomp_find("socketcall"), SECCOMP_X86), 102);
	assert_int_equal(seccomp_number((unsigned)seccomp_find("socketcall"), SECCOMP_X86_64), -ENOENT);
}
#endif

static void random_condition(struct seccomp_condition *condition, unsigned argument, bool wide)
{
	*condition = (struct seccomp_condition){
		.argument = (uint8_t)argument, .compare = (uint8_t)(chance() % 7), .value = some_value(wide)};
	if (condition->compare != SECCOMP_MASKED_EQ)
		return;
	condition->mask = chance() % 4 ? some_value(wide) : wide ? UINT64_MAX : UINT32_MAX;
	/* libseccomp 2.5.4 errs on an empty mask beside other rules; test_random_profiles has them. */
	if (!wide && !condition->mask)
		condition->mask = 1;
}

static void random_arguments(const struct seccomp_profile *profile, uint64_t args[6], bool wide)
{
	for (unsigned i = 0; i < 6; i++)
		args[i] = some_value(wide);
	/* Something that a rule is about, or its neighbour. */
	if (profile->rule_count) {
		const struct seccomp_rule *rule = &profile->rules[chance() % profile->rule_count];
		for (unsigned i = 0; i < rule->condition_count; i++)
			args[rule->conditions[i].argument] = rule->conditions[i].value + chance() % 3 - 1;
	}
	for (unsigned i = 0; !wide && i < 6; i++)
		args[i] &= UINT32_MAX;
}

/* Profiles of all sizes with rules of every form mean what they say. */
static void test_random_profiles(void **state)
{
	(void)state;
	static const uint32_t actions[] = {SECCOMP_ALLOW, SECCOMP_ERRNO(EPERM), SECCOMP_ERRNO(ENOSYS),
		SECCOMP_LOG, SECCOMP_TRAP, SECCOMP_KILL_PROCESS, SECCOMP_KILL_THREAD, SECCOMP_TRACE(7),
		SECCOMP_NOTIFY};
	unsigned calls = call_count();
	size_t largest = 0;

	for (unsigned round = 0; round < 60; round++) {
		struct arena arena = {0};
		struct seccomp_profile profile = {
			.default_action = actions[chance() % unit_count(actions)],
			.other_abi_action = SECCOMP_TRACE(9999),
			.abis = seccomp_native_abis(),
			.unknown = (enum seccomp_unknown)(round % 2),
		};
		if (round % 5 == 4)
			profile.abis &= (uint32_t)chance();
		struct seccomp_program program;
		unsigned rules = (unsigned)(chance() % (10 + round * 6)), few = round % 3 ? calls : 12;

		for (unsigned i = 0; i < rules; i++) {
			struct seccomp_rule *rule = seccomp_add(&arena, &profile, (unsigned)(chance() % few),
				actions[chance() % unit_count(actions)]);
			if (chance() % 2)
				rule->condition_count = (uint8_t)(chance() % 4);
			for (unsigned k = 0; k < rule->condition_count; k++)
				random_condition(&rule->conditions[k], (unsigned)(chance() % 6), true);
		}
		assert_int_equal(seccomp_compile(&profile, &arena, &program), 0);
		assert_true(program.count <= BPF_MAXINSNS);
		if (program.count > largest)
			largest = program.count;

		for (unsigned abi = 0; abi < unit_count(abis); abi++) {
			for (unsigned i = 0; i < NUMBERS; i++) {
				int64_t number = number_at(i, abi);
				int call = call_of(abi, number);
				bool enosys = profile.unknown == SECCOMP_UNKNOWN_ENOSYS;
				uint32_t bit = abis[abi].bit;
				/* The number alone tells x32 from x86_64. */
				if (abis[abi].audit == 0xc000003e)
					bit = (uint32_t)number < 0x40000000 ? SECCOMP_X86_64 : SECCOMP_X32;
				if (bit != (uint32_t)abis[abi].bit)
					continue;
				bool wanted = profile.abis & bit;
				bool skipped = bit == SECCOMP_X32 && !wanted &&
					       (profile.abis & SECCOMP_X86_64) && number == UINT32_MAX;
				for (unsigned k = 0; k < (call < 0 ? 1 : 6); k++) {
					uint64_t args[6];
					random_arguments(&profile, args, true);
					uint32_t expected = skipped   ? profile.default_action
							    : !wanted ? profile.other_abi_action
							    : call >= 0
								    ? meaning(&profile, (unsigned)call, args)
							    : enosys ? SECCOMP_ERRNO(ENOSYS)
								     : profile.default_action;
					uint32_t got = run(&program, abi, number, args);
					if (got != expected)
						fail_msg("round %u abi %u number %lld: %#x, not %#x", round,
							abi, (long long)number, got, expected);
				}
			}
		}
		struct seccomp_data foreign = {.arch = 0x12345678, .nr = 1};
		assert_int_equal(interpret(program.code, program.count, &foreign), profile.other_abi_action);
		arena_free(&arena);
	}
	assert_true(largest > 600); /* so that long jumps were among them */
}

static void test_too_large(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct seccomp_profile profile = {.default_action = SECCOMP_ALLOW, .abis = seccomp_native_abis()};
	struct seccomp_program program = {0};

	for (unsigned i = 0; i < 2000; i++) {
		struct seccomp_rule *rule =
			seccomp_add(&arena, &profile, (unsigned)seccomp_find("read"), SECCOMP_ERRNO(i));
		rule->condition_count = 1;
		random_condition(&rule->conditions[0], 2, true);
		rule->conditions[0].compare = SECCOMP_EQ;
	}
	assert_int_equal(seccomp_compile(&profile, &arena, &program), -E2BIG);
	assert_int_equal(program.count, 0);
	arena_free(&arena);
}

/* A filter that is one action, for each choice of ABIs; numbers of an ABI that is left out
 * do not fall into its neighbour. */
static void test_no_rules(void **state)
{
	(void)state;
	uint64_t args[6] = {0};

	for (uint32_t wanted = 0; wanted < 64; wanted++) {
		struct arena arena = {0};
		struct seccomp_profile profile = {
			.default_action = SECCOMP_LOG, .other_abi_action = SECCOMP_TRAP, .abis = wanted};
		struct seccomp_program program;
		assert_int_equal(seccomp_compile(&profile, &arena, &program), 0);
		for (unsigned abi = 0; abi < unit_count(abis); abi++) {
			int64_t number = seccomp_number((unsigned)seccomp_find("close"), abis[abi].bit);
			assert_int_equal(run(&program, abi, number, args),
				wanted & abis[abi].bit ? SECCOMP_LOG : SECCOMP_TRAP);
		}
		arena_free(&arena);
	}
}

static void test_past_newest(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct seccomp_profile profile = {.default_action = SECCOMP_ERRNO(EPERM),
		.abis = seccomp_native_abis(),
		.unknown = SECCOMP_UNKNOWN_PAST_NEWEST};
	struct seccomp_program program;
	uint64_t args[6] = {0};

	seccomp_add(&arena, &profile, (unsigned)seccomp_find("read"), SECCOMP_ALLOW);
	seccomp_add(&arena, &profile, (unsigned)seccomp_find("openat2"), SECCOMP_ALLOW);
	assert_int_equal(seccomp_compile(&profile, &arena, &program), 0);
	for (unsigned abi = 0; abi < unit_count(abis); abi++) {
		int64_t openat2 = seccomp_number((unsigned)seccomp_find("openat2"), abis[abi].bit);
		assert_int_equal(run(&program, abi, openat2, args), SECCOMP_ALLOW);
		assert_int_equal(run(&program, abi, openat2 - 1, args), SECCOMP_ERRNO(EPERM));
		assert_int_equal(run(&program, abi, openat2 + 1, args), SECCOMP_ERRNO(ENOSYS));
	}
	arena_free(&arena);
}

/* ---- libseccomp ---- */

struct oracle {
	struct sock_filter code[16384];
	size_t count;
};

static void oracle_export(scmp_filter_ctx context, struct oracle *oracle)
{
	int fd = memfd_create("oracle", MFD_CLOEXEC);
	assert_int_equal(seccomp_export_bpf(context, fd), 0);
	ssize_t size = pread(fd, oracle->code, sizeof oracle->code, 0);
	assert_true(size > 0 && (size_t)size < sizeof oracle->code);
	oracle->count = (size_t)size / sizeof *oracle->code;
	close(fd);
}

static scmp_filter_ctx oracle_begin(uint32_t default_action)
{
	scmp_filter_ctx context = seccomp_init(default_action);
	assert_non_null(context);
	assert_int_equal(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	seccomp_arch_remove(context, seccomp_arch_native());
	for (unsigned abi = 0; abi < unit_count(abis); abi++)
		assert_int_equal(seccomp_arch_add(context, abis[abi].oracle), 0);
	return context;
}

static void oracle_rule(scmp_filter_ctx context, const struct seccomp_rule *rule)
{
	static const enum scmp_compare compares[] = {SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_EQ,
		SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ};
	struct scmp_arg_cmp args[6];

	for (unsigned i = 0; i < rule->condition_count; i++) {
		const struct seccomp_condition *condition = &rule->conditions[i];
		bool masked = condition->compare == SECCOMP_MASKED_EQ;
		args[i] = (struct scmp_arg_cmp){condition->argument, compares[condition->compare],
			masked ? condition->mask : condition->value, masked ? condition->value : 0};
	}
	int number = seccomp_syscall_resolve_name(seccomp_name(rule->call));
	if (number == __NR_SCMP_ERROR)
		return;
	int error = seccomp_rule_add_array(context, rule->action, number, rule->condition_count, args);
	if (error && error != -EEXIST)
		fail_msg("libseccomp refused %s: %d", seccomp_name(rule->call), error);
}

static bool oracle_knows(unsigned abi, unsigned call)
{
	return seccomp_syscall_resolve_name_arch(abis[abi].oracle, seccomp_name(call)) ==
	       (int)seccomp_number(call, abis[abi].bit);
}

/* Calls that libseccomp makes into others on i386. */
static bool is_multiplexed(const char *name)
{
	static const char *const names[] = {"socket", "bind", "connect", "listen", "accept", "getsockname",
		"getpeername", "socketpair", "send", "recv", "sendto", "recvfrom", "shutdown", "setsockopt",
		"getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg", "socketcall", "ipc",
		"semop", "semget", "semctl", "semtimedop", "msgsnd", "msgrcv", "msgget", "msgctl", "shmat",
		"shmdt", "shmget", "shmctl"};
	for (size_t i = 0; i < unit_count(names); i++) {
		if (!strcmp(names[i], name))
			return true;
	}
	return false;
}

static void show_rules(const struct seccomp_profile *profile, unsigned call, const uint64_t args[6])
{
	for (size_t i = 0; i < profile->rule_count; i++) {
		const struct seccomp_rule *rule = &profile->rules[i];
		for (unsigned k = 0; rule->call == call && k < rule->condition_count; k++) {
			const struct seccomp_condition *c = &rule->conditions[k];
			print_message("rule %zu %#x: argument %u = %#llx, compare %u %#llx mask %#llx\n", i,
				rule->action, c->argument, (unsigned long long)args[c->argument], c->compare,
				(unsigned long long)c->value, (unsigned long long)c->mask);
		}
	}
}

static void test_against_libseccomp(void **state)
{
	(void)state;
	struct oracle *oracle = test_malloc(sizeof *oracle);
	unsigned calls = call_count();

	for (unsigned round = 0; round < 25; round++) {
		struct arena arena = {0};
		struct seccomp_profile profile = {.default_action = SECCOMP_ERRNO(EPERM),
			.other_abi_action = SECCOMP_KILL_PROCESS,
			.abis = seccomp_native_abis()};
		struct seccomp_program program;
		scmp_filter_ctx context = oracle_begin(profile.default_action);
		bool *used = test_calloc(calls, 1);

		for (unsigned i = 0; i < 10 + round * 8; i++) {
			unsigned call = (unsigned)(chance() % calls);
			const char *name = seccomp_name(call);
			if (used[call] || is_multiplexed(name))
				continue;
			used[call] = true;
			/* Rules on one call with one action: which is tried first cannot matter. */
			unsigned rules = chance() % 3 ? 1 : 1 + (unsigned)(chance() % 3);
			uint32_t action = chance() % 2 ? SECCOMP_ALLOW : SECCOMP_ERRNO(ENOSYS);
			for (unsigned r = 0; r < rules; r++) {
				struct seccomp_rule *rule = seccomp_add(&arena, &profile, call, action);
				if (rules > 1 || chance() % 2)
					rule->condition_count = (uint8_t)(1 + chance() % 3);
				for (unsigned k = 0; k < rule->condition_count; k++)
					random_condition(&rule->conditions[k], (k + r) % 6, false);
				oracle_rule(context, rule);
			}
		}
		oracle_export(context, oracle);
		struct seccomp_program other = {oracle->code, oracle->count};
		assert_int_equal(seccomp_compile(&profile, &arena, &program), 0);

		for (unsigned abi = 0; abi < unit_count(abis); abi++) {
			for (unsigned call = 0; call < calls; call++) {
				int64_t number = seccomp_number(call, abis[abi].bit);
				if (number < 0 || !oracle_knows(abi, call))
					continue;
				for (unsigned k = 0; k < 12; k++) {
					uint64_t args[6];
					random_arguments(&profile, args, abis[abi].wide);
					uint32_t ours = run(&program, abi, number, args);
					uint32_t theirs = run(&other, abi, number, args);
					if (ours == theirs)
						continue;
					show_rules(&profile, call, args);
					fail_msg("round %u abi %u %s: %#x, libseccomp %#x", round, abi,
						seccomp_name(call), ours, theirs);
				}
			}
		}
		test_free(used);
		seccomp_release(context);
		arena_free(&arena);
	}
	test_free(oracle);
}

/*
 * The default filter against the filter that docker would make with libseccomp: equal
 * for every call, ABI and sampled argument, but where seccomp_policy.c means to differ.
 */
static void check_policy(uint64_t capabilities)
{
	struct arena arena = {0};
	struct seccomp_profile ours = {0};
	struct seccomp_program program;
	struct oracle *oracle = test_malloc(sizeof *oracle);
	bool admin = capabilities >> CAP_SYS_ADMIN & 1;

	assert_int_equal(seccomp_default(capabilities, &arena, &program), 0);
	seccomp_policy(capabilities, &arena, &ours);
	scmp_filter_ctx context = oracle_begin(SECCOMP_ERRNO(EPERM));
	for (size_t i = 0; i < ours.rule_count; i++) {
		const struct seccomp_rule *rule = &ours.rules[i];
		const char *name = seccomp_name(rule->call);
		if (rule->condition_count == 0 && rule->action != SECCOMP_ERRNO(EPERM) &&
			strcmp(name, "socket") && strcmp(name, "personality") &&
			(admin || strcmp(name, "clone")))
			oracle_rule(context, rule);
	}
	static const struct {
		const char *name;
		struct seccomp_condition condition;
	} rows[] = {
		{"socket", {0, SECCOMP_LT, 38, 0}},
		{"socket", {0, SECCOMP_EQ, 39, 0}},
		{"socket", {0, SECCOMP_GT, 40, 0}},
		{"personality", {0, SECCOMP_EQ, 0, 0}},
		{"personality", {0, SECCOMP_EQ, 8, 0}},
		{"personality", {0, SECCOMP_EQ, 131072, 0}},
		{"personality", {0, SECCOMP_EQ, 131080, 0}},
		{"personality", {0, SECCOMP_EQ, 4294967295, 0}},
		{"clone", {0, SECCOMP_MASKED_EQ, 0, 2114060288}},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		if (admin && !strcmp(rows[i].name, "clone"))
			continue;
		struct seccomp_rule rule = {.call = (uint16_t)seccomp_find(rows[i].name),
			.action = SECCOMP_ALLOW,
			.condition_count = 1,
			.conditions = {rows[i].condition}};
		oracle_rule(context, &rule);
	}
	oracle_export(context, oracle);
	struct seccomp_program other = {oracle->code, oracle->count};

	unsigned compared = 0;
	for (unsigned abi = 0; abi < unit_count(abis); abi++) {
		for (unsigned i = 0; i < NUMBERS; i++) {
			int64_t number = number_at(i, abi);
			int call = call_of(abi, number);
			const char *name = call < 0 ? "" : seccomp_name((unsigned)call);
			uint64_t args[6] = {0};

			if (call < 0) {
				if ((uint32_t)number < 0x40000000 || abis[abi].bit == SECCOMP_X32)
					assert_int_equal(
						run(&program, abi, number, args), SECCOMP_ERRNO(ENOSYS));
				continue;
			}
			if (!oracle_knows(abi, (unsigned)call))
				continue;
			for (unsigned k = 0; k < 200; k++) {
				for (unsigned a = 0; a < 6; a++)
					args[a] = k < 64 ? k : some_value(false);
				if (k >= 64 && k % 4 == 0)
					args[1] = 0x5410 + k % 16;
				uint32_t got = run(&program, abi, number, args);
				uint32_t expected = run(&other, abi, number, args);
				if (!strcmp(name, "ioctl") && (args[1] == 0x5412 || args[1] == 0x541c))
					expected = SECCOMP_ERRNO(EPERM);
				if (got != expected)
					fail_msg("%#llx abi %u %s(%#llx): %#x, docker %#x",
						(unsigned long long)capabilities, abi, name,
						(unsigned long long)args[0], got, expected);
				compared++;
			}
		}
	}
	assert_true(compared > 100000);
	seccomp_release(context);
	arena_free(&arena);
	test_free(oracle);
}

static void test_policy(void **state)
{
	(void)state;
	check_policy(DOCKER_CAPABILITIES);
	check_policy(0);
	check_policy(UINT64_MAX >> 23);
	check_policy(1ULL << CAP_SYS_ADMIN);
	check_policy(1ULL << CAP_SYS_PTRACE | 1ULL << CAP_BPF);
	check_policy(1ULL << CAP_SYSLOG | 1ULL << CAP_PERFMON | 1ULL << CAP_SYS_TIME);
}

static void test_policy_rows(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint64_t first, second;
		uint64_t capabilities;
		uint32_t action;
	} rows[] = {
		{"read", 0, 0, 0, SECCOMP_ALLOW},
		{"keyctl", 0, 0, DOCKER_CAPABILITIES, SECCOMP_ERRNO(EPERM)},
		{"io_uring_setup", 0, 0, DOCKER_CAPABILITIES, SECCOMP_ERRNO(EPERM)},
		{"userfaultfd", 0, 0, DOCKER_CAPABILITIES, SECCOMP_ERRNO(EPERM)},
		{"unshare", 0, 0, DOCKER_CAPABILITIES, SECCOMP_ERRNO(EPERM)},
		{"unshare", 0, 0, 1ULL << CAP_SYS_ADMIN, SECCOMP_ALLOW},
		{"clone3", 0, 0, DOCKER_CAPABILITIES, SECCOMP_ERRNO(ENOSYS)},
		{"clone3", 0, 0, 1ULL << CAP_SYS_ADMIN, SECCOMP_ALLOW},
		{"clone", 0x11, 0, DOCKER_CAPABILITIES, SECCOMP_ALLOW},
		{"clone", 0x10000011, 0, DOCKER_CAPABILITIES, SECCOMP_ERRNO(EPERM)},
		{"clone", 0x10000011, 0, 1ULL << CAP_SYS_ADMIN, SECCOMP_ALLOW},
		{"open_tree_attr", 0, 0, DOCKER_CAPABILITIES, SECCOMP_ERRNO(ENOSYS)},
		{"file_getattr", 0, 0, 1ULL << CAP_SYS_ADMIN, SECCOMP_ERRNO(ENOSYS)},
		{"removexattrat", 0, 0, 0, SECCOMP_ALLOW},
		{"chroot", 0, 0, 0, SECCOMP_ERRNO(EPERM)},
		{"chroot", 0, 0, DOCKER_CAPABILITIES, SECCOMP_ALLOW},
		{"socket", 1, 0, 0, SECCOMP_ALLOW},
		{"socket", 38, 0, 0, SECCOMP_ERRNO(EPERM)},
		{"socket", 39, 0, 0, SECCOMP_ALLOW},
		{"socket", 40, 0, 0, SECCOMP_ERRNO(EPERM)},
		{"socket", 0x100000026, 0, 0, SECCOMP_ERRNO(EPERM)},
		{"socket", 0xffffffff00000028, 0, 0, SECCOMP_ERRNO(EPERM)},
		{"personality", 0xffffffffffffffff, 0, 0, SECCOMP_ALLOW},
		{"personality", 0x0040000, 0, 0, SECCOMP_ERRNO(EPERM)},
		{"ioctl", 0, 0x5401, 0, SECCOMP_ALLOW},
		{"ioctl", 0, 0x5412, UINT64_MAX, SECCOMP_ERRNO(EPERM)},
		{"ioctl", 0, 0x100005412, 0, SECCOMP_ERRNO(EPERM)},
		{"ioctl", 0, 0x541c, 0, SECCOMP_ERRNO(EPERM)},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct arena arena = {0};
		struct seccomp_program program;
		uint64_t args[6] = {rows[i].first, rows[i].second};
		unit_row("%s %#llx\n", rows[i].name, (unsigned long long)rows[i].first);
		assert_int_equal(seccomp_default(rows[i].capabilities, &arena, &program), 0);
		for (unsigned abi = 0; abi < unit_count(abis); abi++) {
			int64_t number = seccomp_number((unsigned)seccomp_find(rows[i].name), abis[abi].bit);
			if (number >= 0)
				assert_int_equal(run(&program, abi, number, args), rows[i].action);
		}
		arena_free(&arena);
	}
}

#ifndef SECCOMP_TARGET_ARM64
static double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* In the kernel: what the container would see. */
static void test_installed(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		struct arena arena = {0};
		struct seccomp_program program;
		double began = now_us();
		if (seccomp_default(DOCKER_CAPABILITIES, &arena, &program) < 0 || arena.chunks)
			_exit(10); /* the ready one needs no memory */
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		double found = now_us();
		if (seccomp_install(&program, SECCOMP_FLAG_SPEC_ALLOW | SECCOMP_FLAG_WAIT_KILLABLE_RECV) != 0)
			_exit(11);
		double installed = now_us();
		if (getenv("UNIT_TIMES"))
			fprintf(stderr,
				"default filter: %zu instructions, found %.1f µs, installed %.1f µs\n",
				program.count, found - began, installed - found);
		if (syscall(SYS_unshare, 0x10000000) != -1 || errno != EPERM)
			_exit(12);
		if (syscall(435, NULL, 0) != -1 || errno != ENOSYS)
			_exit(13);
		if (syscall(468, 0, 0, 0, 0, 0) != -1 || errno != ENOSYS)
			_exit(14);
		if (socket(38, SOCK_SEQPACKET, 0) != -1 || errno != EPERM)
			_exit(15);
		if (syscall(SYS_socket, 0x100000026, SOCK_SEQPACKET, 0) != -1 || errno != EPERM)
			_exit(16);
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			_exit(17);
		if (syscall(SYS_ioctl, 0, 0x5412, "x") != -1 || errno != EPERM)
			_exit(18);
		pid_t grandchild = fork();
		if (grandchild == 0)
			_exit(0);
		int status;
		if (waitpid(grandchild, &status, 0) != grandchild || status)
			_exit(19);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_compile_time(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct seccomp_program program;
	double began = now_us();
	assert_int_equal(seccomp_default(1ULL << CAP_SYS_ADMIN, &arena, &program), 0);
	if (getenv("UNIT_TIMES"))
		fprintf(stderr, "compiled at run time: %zu instructions in %.1f µs\n", program.count,
			now_us() - began);
	arena_free(&arena);
}
#endif

/* libseccomp keeps a little to itself. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libseccomp";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
#ifndef SECCOMP_TARGET_ARM64
		cmocka_unit_test(test_numbers_of_headers),
		cmocka_unit_test(test_installed),
		cmocka_unit_test(test_compile_time),
#endif
		cmocka_unit_test(test_random_profiles),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_no_rules),
		cmocka_unit_test(test_past_newest),
		cmocka_unit_test(test_against_libseccomp),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_policy_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
