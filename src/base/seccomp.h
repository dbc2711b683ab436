/*
 * seccomp.h - system call filters: a profile as plain data, compiled to BPF by us.
 *
 * A profile says what to do with each system call by name; the compiler turns it into
 * one program for all the machine's ABIs (on amd64 x86_64, x32 and i386), each a
 * balanced tree of comparisons over ranges of numbers, so that a filter of 1,000 names
 * costs some ten steps a call. The default profile's program is made when brig is built
 * (seccomp_default). The one thing to know: rules for the same call are tried in their
 * order and the first that fits decides.
 *
 * Functions return 0 or more, or -errno.
 */
#ifndef BASE_SECCOMP_H
#define BASE_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>

#include "base/arena.h"

/* Actions are the kernel's own return values, SECCOMP_RET_* of linux/seccomp.h, with
 * the errno (or the tracer's number) in the low 16 bits. */
#define SECCOMP_KILL_PROCESS 0x80000000U
#define SECCOMP_KILL_THREAD  0x00000000U
#define SECCOMP_TRAP         0x00030000U
#define SECCOMP_ERRNO(n)     (0x00050000U | ((unsigned)(n)&0xffffU))
#define SECCOMP_NOTIFY       0x7fc00000U
#define SECCOMP_TRACE(n)     (0x7ff00000U | ((unsigned)(n)&0xffffU))
#define SECCOMP_LOG          0x7ffc0000U
#define SECCOMP_ALLOW        0x7fff0000U
#define SECCOMP_ACTION_MASK  0xffff0000U

/* The flags of seccomp(2)'s SECCOMP_SET_MODE_FILTER. */
#define SECCOMP_FLAG_TSYNC              0x01U
#define SECCOMP_FLAG_LOG                0x02U
#define SECCOMP_FLAG_SPEC_ALLOW         0x04U
#define SECCOMP_FLAG_NEW_LISTENER       0x08U
#define SECCOMP_FLAG_TSYNC_ESRCH        0x10U
#define SECCOMP_FLAG_WAIT_KILLABLE_RECV 0x20U

enum seccomp_compare {
	SECCOMP_NE,
	SECCOMP_LT,
	SECCOMP_LE,
	SECCOMP_EQ,
	SECCOMP_GE,
	SECCOMP_GT,
	SECCOMP_MASKED_EQ, /* (argument & mask) == (value & mask) */
};

/*
 * One comparison, unsigned, on all 64 bits that the caller put into the register. Where
 * the kernel itself looks at an int only, compare with SECCOMP_MASKED_EQ and a mask of
 * 0xffffffff: otherwise garbage in the upper half slips past a rule that denies.
 */
struct seccomp_condition {
	uint8_t argument; /* 0 to 5 */
	uint8_t compare;  /* enum seccomp_compare */
	uint64_t value;
	uint64_t mask; /* SECCOMP_MASKED_EQ only */
};

struct seccomp_rule {
	uint16_t call; /* seccomp_find's */
	uint8_t condition_count;
	uint32_t action;
	struct seccomp_condition conditions[6]; /* all must hold */
};

/* The ABIs that can occur on one machine, as bits; a build knows its own. */
enum seccomp_abi {
	SECCOMP_X86_64 = 1 << 0,
	SECCOMP_X32 = 1 << 1,
	SECCOMP_X86 = 1 << 2,
	SECCOMP_AARCH64 = 1 << 3,
	SECCOMP_ARM = 1 << 4,
	SECCOMP_RISCV64 = 1 << 5,
};

enum seccomp_unknown {
	/* Numbers that no call known here has are answered like those that no rule names. */
	SECCOMP_UNKNOWN_DEFAULT,
	/* They are answered with ENOSYS, as the kernel would: what is newer than brig
	 * must not look forbidden, or a libc does not fall back to an older call. */
	SECCOMP_UNKNOWN_ENOSYS,
	/* Numbers above the newest call that a rule names (if any does) get ENOSYS, others
	 * the default: runc's reading of a profile that somebody else wrote. */
	SECCOMP_UNKNOWN_PAST_NEWEST,
};

struct seccomp_profile {
	uint32_t default_action;
	uint32_t other_abi_action; /* for calls through an ABI that is not among abis */
	uint32_t abis;             /* enum seccomp_abi; those of other machines are ignored */
	uint32_t flags;            /* SECCOMP_FLAG_*, for seccomp_install */
	enum seccomp_unknown unknown;
	struct seccomp_rule *rules;
	size_t rule_count;
	size_t rule_room; /* seccomp_add's business */
};

struct seccomp_program {
	const struct sock_filter *code;
	size_t count; /* instructions, at most 4096 (BPF_MAXINSNS) */
};

/* The ABIs of the machine this program runs on. */
uint32_t seccomp_native_abis(void);

/* A system call's index by its kernel name, on whichever ABI it exists; -ENOENT. */
int seccomp_find(const char *name);
/* The name of a call, or NULL past the last: index 0, 1, … walk all of them. */
const char *seccomp_name(unsigned call);
/* Its number as seccomp sees it (x32's with the x32 bit) on one of this machine's ABIs,
 * or -ENOENT where it has none. */
int64_t seccomp_number(unsigned call, enum seccomp_abi abi);

/* Adds a rule at the end of the profile's, grown in the arena. The result is zeroed but
 * for call and action, and is valid until the next one is added. */
struct seccomp_rule *seccomp_add(
	struct arena *arena, struct seccomp_profile *profile, unsigned call, uint32_t action);

/* Compiles into the arena. -E2BIG where the program would pass the kernel's limit. */
int seccomp_compile(const struct seccomp_profile *profile, struct arena *arena, struct seccomp_program *out);

/*
 * The default sandbox (docs: SECURITY, the default filter): fills profile for a process
 * that will have these capabilities (bits by number).
 */
void seccomp_policy(uint64_t capabilities, struct arena *arena, struct seccomp_profile *profile);
/* The capabilities that make a difference to seccomp_policy. */
uint64_t seccomp_policy_capabilities(void);

/* The default sandbox's program: the one that was compiled when brig was built where it
 * fits the capabilities (then nothing is allocated), else compiled now. */
int seccomp_default(uint64_t capabilities, struct arena *arena, struct seccomp_program *out);

/*
 * Puts the calling thread under the program, for good (seccomp(2)). Needs CAP_SYS_ADMIN
 * in the user namespace or no_new_privs (else -EACCES). Returns 0, or the listener's
 * descriptor with SECCOMP_FLAG_NEW_LISTENER. SPEC_ALLOW and WAIT_KILLABLE_RECV are
 * dropped on kernels that do not know them.
 */
int seccomp_install(const struct seccomp_program *program, unsigned flags);

#endif
