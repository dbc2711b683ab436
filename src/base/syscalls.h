/*
 * syscalls.h - the table of system calls, for the seccomp compiler only.
 *
 * syscalls.inc, made by tools/seccomp-table, has a line for each call in the order of
 * names; only the columns of the machine that brig is built for are compiled in. The
 * rows hold no pointers, so that a position-independent program has nothing to relocate.
 */
#ifndef BASE_SYSCALLS_H
#define BASE_SYSCALLS_H

#include <stddef.h>
#include <stdint.h>
#include <linux/capability.h>

/* The generator that runs while brig is built says for which machine. */
#if !defined(SECCOMP_TARGET_AMD64) && !defined(SECCOMP_TARGET_ARM64) && !defined(SECCOMP_TARGET_RISCV64)
#if defined(__x86_64__)
#define SECCOMP_TARGET_AMD64 1
#elif defined(__aarch64__)
#define SECCOMP_TARGET_ARM64 1
#elif defined(__riscv) && __riscv_xlen == 64
#define SECCOMP_TARGET_RISCV64 1
#else
#error "syscalls.inc needs this machine's numbers: see tools/seccomp-table"
#endif
#endif

#if defined(SECCOMP_TARGET_AMD64)
enum { COLUMN_X86_64, COLUMN_X32, COLUMN_X86, SYSCALL_COLUMNS };
#define SYSCALL_NUMBERS(x86_64, x32, x86, aarch64, arm, riscv64) x86_64, x32, x86
#elif defined(SECCOMP_TARGET_ARM64)
enum { COLUMN_AARCH64, COLUMN_ARM, SYSCALL_COLUMNS };
#define SYSCALL_NUMBERS(x86_64, x32, x86, aarch64, arm, riscv64) aarch64, arm
#else
enum { COLUMN_RISCV64, SYSCALL_COLUMNS };
#define SYSCALL_NUMBERS(x86_64, x32, x86, aarch64, arm, riscv64) riscv64
#endif

#define SYSCALL_NONE 0xffff

/* Instead of a capability's number. */
enum { SYSCALL_ALLOWED = 64, SYSCALL_NOBODY, SYSCALL_NEWER };

struct syscall_row {
	uint16_t numbers[SYSCALL_COLUMNS]; /* arm's private call n is 1008 + n */
	uint16_t name;                     /* offset in syscall_names */
	uint8_t access[2];
};

struct syscall_name_table {
#define SYSCALL(name, ...) char name_##name[sizeof #name];
#include "base/syscalls.inc"
#undef SYSCALL
};

static const struct syscall_name_table syscall_names = {
#define SYSCALL(name, ...) .name_##name = #name,
#include "base/syscalls.inc"
#undef SYSCALL
};

#define NONE       SYSCALL_NONE
#define PRIVATE(n) (1008 + (n))
#define ALLOWED    SYSCALL_ALLOWED
#define NOBODY     SYSCALL_NOBODY
#define NEWER      SYSCALL_NEWER
static const struct syscall_row syscall_rows[] = {
#define SYSCALL(name, x86_64, x32, x86, aarch64, arm, riscv64, first, second)                                \
	{{SYSCALL_NUMBERS(x86_64, x32, x86, aarch64, arm, riscv64)},                                         \
		offsetof(struct syscall_name_table, name_##name), {first, second}},
#include "base/syscalls.inc"
#undef SYSCALL
};
#undef NONE
#undef PRIVATE
#undef ALLOWED
#undef NOBODY
#undef NEWER

enum { SYSCALLS = sizeof syscall_rows / sizeof *syscall_rows };

static inline const char *syscall_name(unsigned call)
{
	return (const char *)&syscall_names + syscall_rows[call].name;
}

#endif
