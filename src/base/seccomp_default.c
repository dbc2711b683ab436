/* seccomp_default.c - the default filter's program, ready where it can be. */
#include "base/seccomp.h"

#include "base/seccomp_ready.h" /* made by seccomp_generate.c while brig is built */

int seccomp_default(uint64_t capabilities, struct arena *arena, struct seccomp_program *out)
{
	struct seccomp_profile profile;

	if ((capabilities & SECCOMP_READY_RELEVANT) == SECCOMP_READY_CAPABILITIES) {
		*out = (struct seccomp_program){seccomp_ready, sizeof seccomp_ready / sizeof *seccomp_ready};
		return 0;
	}
	seccomp_policy(capabilities, arena, &profile);
	return seccomp_compile(&profile, arena, out);
}
