/* fuzz_seccomp.c - profiles that are read compile, or are too large, and say why not. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <linux/filter.h>

#include "oci/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct oci_seccomp_host host = {.capabilities = 0x40000, .kernel_major = 6, .kernel_minor = 1};
	struct arena arena = {0};
	struct err e = {0};
	struct oci_seccomp read = {0};
	struct seccomp_program program = {0};

	if (oci_seccomp_parse((const char *)data, size, &host, &arena, &read, &e) < 0) {
		if (e.kind != ERR_INVALID || !e.what[0])
			abort();
	} else if (read.enabled) {
		int error = seccomp_compile(&read.profile, &arena, &program);
		if (error && error != -E2BIG)
			abort();
		/* Every jump lands inside, and the last instruction returns. */
		for (size_t i = 0; i < program.count; i++) {
			const struct sock_filter *at = &program.code[i];
			if (BPF_CLASS(at->code) != BPF_JMP)
				continue;
			size_t far = BPF_OP(at->code) == BPF_JA ? at->k : at->jt > at->jf ? at->jt : at->jf;
			if (i + 1 + far >= program.count)
				abort();
		}
		if (program.count && BPF_CLASS(program.code[program.count - 1].code) != BPF_RET)
			abort();
	}
	arena_free(&arena);
	return 0;
}
