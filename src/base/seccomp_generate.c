/*
 * seccomp_generate.c - writes seccomp_ready.h: the default filter, compiled.
 *
 * A program of its own that runs while brig is built, on the machine that builds it.
 * Its argument is the mask of capabilities the filter is for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/seccomp.h"

int main(int argc, char **argv)
{
	struct arena arena = {0};
	struct seccomp_profile profile;
	struct seccomp_program program;

	if (argc != 2)
		return 2;
	uint64_t relevant = seccomp_policy_capabilities();
	uint64_t capabilities = strtoull(argv[1], NULL, 16) & relevant;
	seccomp_policy(capabilities, &arena, &profile);
	if (seccomp_compile(&profile, &arena, &program) < 0)
		return 1;

	printf("/* Made by seccomp_generate.c; %zu instructions. */\n", program.count);
	printf("#define SECCOMP_READY_RELEVANT 0x%" PRIx64 "ULL\n", relevant);
	printf("#define SECCOMP_READY_CAPABILITIES 0x%" PRIx64 "ULL\n", capabilities);
	printf("static const struct sock_filter seccomp_ready[] = {\n");
	for (size_t i = 0; i < program.count; i++) {
		const struct sock_filter *at = &program.code[i];
		printf("\t{0x%02x, %u, %u, 0x%x},\n", at->code, at->jt, at->jf, at->k);
	}
	printf("};\n");
	arena_free(&arena);
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
