/*
 * seccomp_policy.c - brig's default filter.
 *
 * Who may make which call is docker's list, in syscalls.inc; here is what a list of
 * names cannot say. Against docker's profile:
 *  - a call that is newer than the profile gets ENOSYS, a known one that is denied EPERM;
 *  - the ioctls that type into a terminal are denied: the container's terminal may be
 *    somebody's shell (CVE-2016-10124);
 *  - what the kernel takes as an int is compared as one. Docker's socket rule looks at
 *    64 bits, of which the kernel drops the upper half: 0x100000026 passes as AF_ALG.
 */
#include "base/seccomp.h"

#include <errno.h>

#include "base/syscalls.h"

#define AS_INT 0xffffffffULL

enum {
	FAMILY_ALG = 38,   /* the kernel's crypto (CVE-2026-31431) */
	FAMILY_VSOCK = 40, /* reaches the hypervisor past every network rule */
	IOCTL_TIOCSTI = 0x5412,
	IOCTL_TIOCLINUX = 0x541c,
};

/* CLONE_NEW*: NS, CGROUP, UTS, IPC, USER, PID, NET. */
#define CLONE_NEW_ANYTHING 0x7e020000ULL

/* personality(2): PER_LINUX, UNAME26, PER_LINUX32, both, and "what is it now". */
static const uint32_t personalities[] = {0, 0x20000, 0x8, 0x20008, 0xffffffff};

static void when_int(struct arena *arena, struct seccomp_profile *profile, const char *name, uint32_t action,
	unsigned argument, uint64_t mask, uint32_t value)
{
	struct seccomp_rule *rule = seccomp_add(arena, profile, (unsigned)seccomp_find(name), action);
	rule->condition_count = 1;
	rule->conditions[0] = (struct seccomp_condition){
		.argument = (uint8_t)argument, .compare = SECCOMP_MASKED_EQ, .value = value, .mask = mask};
}

static void otherwise(struct arena *arena, struct seccomp_profile *profile, const char *name, uint32_t action)
{
	seccomp_add(arena, profile, (unsigned)seccomp_find(name), action);
}

static bool has(uint64_t capabilities, unsigned capability)
{
	return capability < 64 && capabilities >> capability & 1;
}

uint64_t seccomp_policy_capabilities(void)
{
	uint64_t seen = 0;
	for (unsigned call = 0; call < SYSCALLS; call++) {
		for (unsigned i = 0; i < 2; i++) {
			if (syscall_rows[call].access[i] < 64)
				seen |= 1ULL << syscall_rows[call].access[i];
		}
	}
	return seen;
}

void seccomp_policy(uint64_t capabilities, struct arena *arena, struct seccomp_profile *profile)
{
	const uint32_t denied = SECCOMP_ERRNO(EPERM);

	*profile = (struct seccomp_profile){
		.default_action = denied,
		.other_abi_action = SECCOMP_KILL_PROCESS,
		.abis = seccomp_native_abis(),
		.flags = SECCOMP_FLAG_SPEC_ALLOW,
		.unknown = SECCOMP_UNKNOWN_ENOSYS,
	};

	/* The first rule on a call decides, so exceptions come before the list. */
	when_int(arena, profile, "socket", denied, 0, AS_INT, FAMILY_ALG);
	when_int(arena, profile, "socket", denied, 0, AS_INT, FAMILY_VSOCK);
	when_int(arena, profile, "ioctl", denied, 1, AS_INT, IOCTL_TIOCSTI);
	when_int(arena, profile, "ioctl", denied, 1, AS_INT, IOCTL_TIOCLINUX);
	for (size_t i = 0; i < sizeof personalities / sizeof *personalities; i++)
		when_int(arena, profile, "personality", SECCOMP_ALLOW, 0, AS_INT, personalities[i]);
	otherwise(arena, profile, "personality", denied);
	if (!has(capabilities, CAP_SYS_ADMIN)) {
		when_int(arena, profile, "clone", SECCOMP_ALLOW, 0, CLONE_NEW_ANYTHING, 0);
		/* Its flags are in memory, where no filter sees them: libcs go on to clone. */
		otherwise(arena, profile, "clone3", SECCOMP_ERRNO(ENOSYS));
	}

	for (unsigned call = 0; call < SYSCALLS; call++) {
		const uint8_t *access = syscall_rows[call].access;
		if (access[0] == SYSCALL_NEWER)
			seccomp_add(arena, profile, call, SECCOMP_ERRNO(ENOSYS));
		else if (access[0] == SYSCALL_ALLOWED || has(capabilities, access[0]) ||
			 has(capabilities, access[1]))
			seccomp_add(arena, profile, call, SECCOMP_ALLOW);
	}
}
