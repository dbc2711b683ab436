/*
 * test_oci_seccomp.c - profiles as documents: what they mean once compiled, and what is
 * refused.
 */
#include "oci/seccomp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf.h"
#include "unit.h"

#define DEFAULT_ERRNO "{\"defaultAction\":\"SCMP_ACT_ERRNO\","
#define E(n)          SECCOMP_ERRNO(n)

static const struct oci_seccomp_host host = {.capabilities = 1 << 18, .kernel_major = 5, .kernel_minor = 12};

/* What a document answers for one call on x86_64 or i386. */
static const struct {
	const char *document;
	const char *name;
	uint64_t first, second;
	uint32_t action;
	bool i386;
} rows[] = {
	{DEFAULT_ERRNO "\"syscalls\":[]}", "read", 0, 0, E(EPERM), false},
	{"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"syscalls\":[]}", "read", 0, 0, E(38),
		false},
	{"{\"defaultAction\":\"SCMP_ACT_KILL\"}", "read", 0, 0, SECCOMP_KILL_THREAD, false},
	{"{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\"}", "read", 0, 0, SECCOMP_KILL_PROCESS, false},
	{"{\"defaultAction\":\"SCMP_ACT_TRACE\",\"defaultErrnoRet\":7}", "read", 0, 0, SECCOMP_TRACE(7),
		false},
	{"{\"defaultAction\":\"SCMP_ACT_TRAP\"}", "read", 0, 0, SECCOMP_TRAP, false},
	{"{\"defaultAction\":\"SCMP_ACT_LOG\"}", "read", 0, 0, SECCOMP_LOG, false},
	/* The other ABI is not named: no call of it is let through. */
	{"{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", "read", 0, 0, SECCOMP_KILL_PROCESS, true},
	{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\","
	 "\"SCMP_ARCH_S390X\"]}",
		"read", 0, 0, SECCOMP_ALLOW, true},
	{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_AARCH64\","
	 "\"subArchitectures\":"
	 "[\"SCMP_ARCH_ARM\"]},{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_"
	 "X86\",\"SCMP_ARCH_X32\"]},"
	 "{\"architecture\":\"SCMP_ARCH_RISCV64\",\"subArchitectures\":null}]}",
		"read", 0, 0, SECCOMP_ALLOW, true},
	{DEFAULT_ERRNO
		"\"syscalls\":[{\"names\":[\"read\",\"no_such_call\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
		"read", 0, 0, SECCOMP_ALLOW, false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"name\":\"read\",\"action\":\"SCMP_ACT_ALLOW\",\"args\":null}]}",
		"read", 0, 0, SECCOMP_ALLOW, false},
	/* Newer than the newest named: the kernel's own answer. */
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"openat2\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
		"landlock_add_rule", 0, 0, E(ENOSYS), false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"openat2\"],\"action\":\"SCMP_ACT_ALLOW\"}]}", "write", 0,
		0, E(EPERM), false},
	{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"
	 "ERRNO\"}]}",
		"landlock_add_rule", 0, 0, SECCOMP_ALLOW, false},
	{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"
	 "ERRNO\",\"errnoRet\":5}]}",
		"read", 0, 0, E(5), false},
	{"{\"defaultAction\":\"SCMP_ACT_ERRNO\"}", "openat2", 0, 0, E(EPERM), false},
	{"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"openat2\"],\"action\":\"SCMP_ACT_"
	 "ERRNO\"}]}",
		"statmount", 0, 0, E(ENOSYS), false},
	/* Conditions. */
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"chroot\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{"
		       "\"caps\":[\"CAP_SYS_CHROOT\"]}}]}",
		"chroot", 0, 0, SECCOMP_ALLOW, false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"bpf\",\"openat2\"],\"action\":\"SCMP_ACT_ALLOW\","
		       "\"includes\":{\"caps\":[\"CAP_SYS_CHROOT\",\"CAP_BPF\"]}}]}",
		"bpf", 0, 0, E(EPERM), false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{"
		       "\"caps\":[\"CAP_BPF\",\"CAP_SYS_CHROOT\"]}}]}",
		"read", 0, 0, E(EPERM), false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{"
		       "\"caps\":[\"CAP_BPF\"]}}]}",
		"read", 0, 0, SECCOMP_ALLOW, false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{"
		       "\"arches\":[\"s390\",\"amd64\"]}}]}",
		"read", 0, 0, SECCOMP_ALLOW, false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{"
		       "\"arches\":[\"s390\",\"amd64\"]}}]}",
		"read", 0, 0, E(EPERM), false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{"
		       "\"minKernel\":\"4.8\"}}]}",
		"ptrace", 0, 0, SECCOMP_ALLOW, false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{"
		       "\"minKernel\":\"5.13\"}}]}",
		"ptrace", 0, 0, E(EPERM), false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{"
		       "\"minKernel\":\"5.12\"}}]}",
		"ptrace", 0, 0, E(EPERM), false},
/* Arguments. */
#define PERSONALITY                                                                                          \
	DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{" \
		      "\"index\":0,"                                                                         \
		      "\"value\":18446744073709551615,\"op\":\"SCMP_CMP_EQ\"}]}]}"
	{PERSONALITY, "personality", UINT64_MAX, 0, SECCOMP_ALLOW, false},
	{PERSONALITY, "personality", 0xffffffff, 0, E(EPERM), false},
#define CLONE                                                                                                \
	DEFAULT_ERRNO                                                                                        \
	"\"syscalls\":[{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"         \
	"\"value\":2114060288,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}"
	{CLONE, "clone", 0x11, 0, SECCOMP_ALLOW, false},
	{CLONE, "clone", 0x10000011, 0, E(EPERM), false},
	{DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"dup2\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{"
		       "\"index\":0,\"value\":15,"
		       "\"valueTwo\":5,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}",
		"dup2", 0x35, 0, SECCOMP_ALLOW, false},
#define BOTH                                                                                                 \
	DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"dup2\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{"        \
		      "\"index\":0,\"value\":1,"                                                             \
		      "\"op\":\"SCMP_CMP_EQ\"},{\"index\":1,\"value\":7,\"op\":\"SCMP_CMP_GE\"}]}]}"
	{BOTH, "dup2", 1, 7, SECCOMP_ALLOW, false},
	{BOTH, "dup2", 1, 6, E(EPERM), false},
	{BOTH, "dup2", 2, 7, E(EPERM), false},
/* Twice the same argument: one or the other, as runc reads it. */
#define EITHER                                                                                               \
	DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{"         \
		      "\"index\":0,\"value\":1,"                                                             \
		      "\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":7,\"op\":\"SCMP_CMP_EQ\"}]}]}"
	{EITHER, "dup", 1, 0, SECCOMP_ALLOW, false},
	{EITHER, "dup", 7, 0, SECCOMP_ALLOW, false},
	{EITHER, "dup", 3, 0, E(EPERM), false},
/* Which of several counts, as libseccomp has it. */
#define WITHOUT_WINS                                                                                         \
	"{\"defaultAction\":\"SCMP_ACT_KILL\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_"     \
	"ERRNO\",\"args\":["                                                                                 \
	"{\"index\":0,\"value\":5,\"op\":\"SCMP_CMP_EQ\"}]},{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_"     \
	"ALLOW\"},{\"names\":["                                                                              \
	"\"dup\"],\"action\":\"SCMP_ACT_LOG\"}]}"
	{WITHOUT_WINS, "dup", 5, 0, SECCOMP_ALLOW, false},
#define EQUAL_FIRST                                                                                          \
	"{\"defaultAction\":\"SCMP_ACT_KILL\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_"     \
	"ALLOW\",\"args\":["                                                                                 \
	"{\"index\":0,\"value\":0,\"op\":\"SCMP_CMP_GE\"}]},{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_"     \
	"ERRNO\",\"args\":["                                                                                 \
	"{\"index\":0,\"value\":5,\"op\":\"SCMP_CMP_EQ\"}]}]}"
	{EQUAL_FIRST, "dup", 5, 0, E(EPERM), false},
	{EQUAL_FIRST, "dup", 6, 0, SECCOMP_ALLOW, false},
#define AS_DEFAULT                                                                                           \
	DEFAULT_ERRNO "\"syscalls\":[{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ERRNO\"},{\"names\":["       \
		      "\"dup\"],\"action\":"                                                                 \
		      "\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":5,\"op\":\"SCMP_CMP_EQ\"}]}]}"
	{AS_DEFAULT, "dup", 5, 0, SECCOMP_ALLOW, false},
	{AS_DEFAULT, "dup", 6, 0, E(EPERM), false},
/* socketcall and ipc. */
#define SOCKETS                                                                                              \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\"],"  \
	"\"syscalls\":["                                                                                     \
	"{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"value\":38,\"op\":"  \
	"\"SCMP_CMP_EQ\"}]},"                                                                                \
	"{\"names\":[\"semop\"],\"action\":\"SCMP_ACT_ERRNO\"}]}"
	{SOCKETS, "socket", 38, 0, E(EPERM), true},
	{SOCKETS, "socket", 1, 0, SECCOMP_ALLOW, true},
	{SOCKETS, "socketcall", 1, 0, E(EPERM), true},
	{SOCKETS, "socketcall", 2, 0, SECCOMP_ALLOW, true},
	{SOCKETS, "ipc", 1, 0, E(EPERM), true},
	{SOCKETS, "ipc", 0x10001, 0, E(EPERM), true},
	{SOCKETS, "ipc", 2, 0, SECCOMP_ALLOW, true},
	{DEFAULT_ERRNO
		"\"architectures\":[\"SCMP_ARCH_X86\"],\"syscalls\":[{\"names\":[\"socketcall\"],\"action\":"
		"\"SCMP_ACT_ALLOW\"},{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_LOG\"}]}",
		"socketcall", 1, 0, SECCOMP_ALLOW, true},
};

static void test_meaning(void **state)
{
	(void)state;
#if defined(__x86_64__)
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct arena arena = {0};
		struct err e = {0};
		struct oci_seccomp read = {0};
		struct seccomp_program program;
		unit_row("row %zu: %s, %s(%#llx)\n", i, rows[i].document, rows[i].name,
			(unsigned long long)rows[i].first);
		int result = oci_seccomp_parse(
			rows[i].document, strlen(rows[i].document), &host, &arena, &read, &e);
		if (result)
			print_message("%s\n", e.what);
		assert_int_equal(result, 0);
		assert_true(read.enabled);
		assert_int_equal(seccomp_compile(&read.profile, &arena, &program), 0);
		int64_t number = seccomp_number(
			(unsigned)seccomp_find(rows[i].name), rows[i].i386 ? SECCOMP_X86 : SECCOMP_X86_64);
		assert_true(number >= 0);
		struct seccomp_data data = {.nr = (int)number,
			.arch = rows[i].i386 ? 0x40000003 : 0xc000003e,
			.args = {rows[i].first, rows[i].second}};
		assert_int_equal(interpret(program.code, program.count, &data), rows[i].action);
		arena_free(&arena);
	}
#endif
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *document, *error; /* error: NULL for none */
	} bad[] = {
		{"[]", "seccomp profile: it is no JSON object"},
		{"{\"defaultAction\":\"SCMP_ACT_NONE\"}",
			"seccomp profile: unknown action \"SCMP_ACT_NONE\""},
		{"{\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
			"seccomp profile: unknown action \"\""},
		{"{\"defaultAction\":5}", "seccomp profile: the wrong type for \"defaultAction\""},
		{"{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}",
			"seccomp profile: SCMP_ACT_NOTIFY cannot be the default action"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}",
			"seccomp profile: an errno for an action that returns none: \"SCMP_ACT_ALLOW\""},
		{"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}",
			"seccomp profile: a number out of range for \"defaultErrnoRet\""},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_VAX\"]}",
			"seccomp profile: unknown architecture \"SCMP_ARCH_VAX\""},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\"],\"archMap\":[{"
		 "\"architecture\":\"SCMP_ARCH_X86\"}]}",
			"seccomp profile: 'architectures' and 'archMap' were specified in the seccomp "
			"profile, use either "
			"'architectures' or 'archMap'"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_X\"]}",
			"seccomp profile: unknown flag \"SECCOMP_FILTER_FLAG_X\""},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerMetadata\":\"x\"}",
			"seccomp profile: listenerMetadata without a listenerPath"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":\"SCMP_ACT_"
		 "ERRNO\"}]}",
			"seccomp profile: a rule that names no system call"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"\"],\"action\":\"SCMP_"
		 "ACT_ERRNO\"}]}",
			"seccomp profile: a system call without a name"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"x\",\"names\":[\"y\"],"
		 "\"action\":\"SCMP_ACT_ERRNO\"}]}",
			"seccomp profile: 'name' and 'names' were specified in the seccomp profile, use "
			"either 'name' or 'names'"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
		 "\"SCMP_ACT_NOTIFY\"}]}",
			"seccomp profile: SCMP_ACT_NOTIFY needs a listenerPath"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/"
		 "x\",\"syscalls\":[{\"names\":[\"write\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}",
			"seccomp profile: SCMP_ACT_NOTIFY cannot be used for the write syscall"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
		 "\"SCMP_ACT_KILL\",\"args\":[{\"index\":6,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}",
			"seccomp profile: an argument without an index from 0 to 5"},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
		 "\"SCMP_ACT_KILL\",\"args\":[{\"index\":0,\"value\":-1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
			"seccomp profile: not a number of 64 bits: \"value\""},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
		 "\"SCMP_ACT_KILL\",\"args\":[{\"index\":0,\"value\":18446744073709551616,\"op\":\"SCMP_CMP_"
		 "EQ\"}]}]}",
			"seccomp profile: not a number of 64 bits: \"value\""},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
		 "\"SCMP_ACT_KILL\",\"args\":[{\"index\":0,\"value\":1,\"op\":\"EQ\"}]}]}",
			"seccomp profile: unknown comparison \"EQ\""},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
		 "\"SCMP_ACT_KILL\",\"includes\":{\"minKernel\":\"x\"}}]}",
			"seccomp profile: not a kernel version: \"x\""},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}",
			"seccomp profile: the wrong type for \"syscalls\""},
		{"{\"defaultAction\":\"\\u001b[2J\"}", "seccomp profile: unknown action \"\\x1b[2J\""},
	};
	for (size_t i = 0; i < unit_count(bad); i++) {
		struct arena arena = {0};
		struct err e = {0};
		struct oci_seccomp read = {.listener_path = "untouched"};
		unit_row("%s\n", bad[i].document);
		assert_int_equal(
			oci_seccomp_parse(bad[i].document, strlen(bad[i].document), &host, &arena, &read, &e),
			-1);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_string_equal(e.what, bad[i].error);
		assert_string_equal(read.listener_path, "untouched");
		arena_free(&arena);
	}
}

static void test_flags(void **state)
{
	(void)state;
	static const struct {
		const char *document;
		bool enabled;
		uint32_t flags;
	} cases[] = {
		{"{}", false, 0},
		{"{\"defaultAction\":\"\",\"syscalls\":null}", false, 0},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", true, SECCOMP_FLAG_SPEC_ALLOW},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[]}", true, 0},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\",\"SECCOMP_"
		 "FILTER_FLAG_TSYNC\","
		 "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"]}",
			true, SECCOMP_FLAG_LOG},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_"
		 "RECV\"],\"listenerPath\":\"/x\","
		 "\"listenerMetadata\":\"m\",\"syscalls\":[{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_"
		 "NOTIFY\"}]}",
			true, SECCOMP_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FLAG_NEW_LISTENER},
	};
	for (size_t i = 0; i < unit_count(cases); i++) {
		struct arena arena = {0};
		struct err e = {0};
		struct oci_seccomp read;
		unit_row("%s\n", cases[i].document);
		assert_int_equal(oci_seccomp_parse(cases[i].document, strlen(cases[i].document), &host,
					 &arena, &read, &e),
			0);
		assert_int_equal(read.enabled, cases[i].enabled);
		assert_int_equal(read.profile.flags, cases[i].flags);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_flags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
