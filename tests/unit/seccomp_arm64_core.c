/* seccomp_arm64_core.c - the compiler and the policy with arm64's tables, whatever machine tests run on. */
#define SECCOMP_TARGET_ARM64 1

#include "../../src/base/seccomp.c"
#include "../../src/base/seccomp_policy.c"

int seccomp_default(uint64_t capabilities, struct arena *arena, struct seccomp_program *out)
{
	struct seccomp_profile profile;
	seccomp_policy(capabilities, arena, &profile);
	return seccomp_compile(&profile, arena, out);
}
