/*
 * bpf.h - a machine for seccomp filters, as linux/filter.h and seccomp(2) describe it.
 *
 * It has what our filters and libseccomp's use, and fails the test on anything else.
 */
#ifndef UNIT_BPF_H
#define UNIT_BPF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "unit.h"

static inline uint32_t interpret(
	const struct sock_filter *code, size_t count, const struct seccomp_data *data)
{
	uint32_t a = 0, x = 0, memory[16] = {0};

	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *i = &code[pc];
		uint32_t operand = BPF_SRC(i->code) == BPF_X ? x : i->k;
		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
			if (BPF_MODE(i->code) == BPF_MEM) {
				a = memory[i->k & 15];
			} else {
				assert_int_equal(i->code, BPF_LD | BPF_W | BPF_ABS);
				assert_true(i->k % 4 == 0 && i->k + 4 <= sizeof *data);
				memcpy(&a, (const char *)data + i->k, 4);
			}
			break;
		case BPF_ST:
			memory[i->k & 15] = a;
			break;
		case BPF_ALU:
			assert_int_equal(BPF_OP(i->code), BPF_AND);
			a &= operand;
			break;
		case BPF_JMP: {
			bool taken = false;
			if (BPF_OP(i->code) == BPF_JA) {
				pc += i->k;
				break;
			}
			if (BPF_OP(i->code) == BPF_JEQ)
				taken = a == operand;
			else if (BPF_OP(i->code) == BPF_JGT)
				taken = a > operand;
			else if (BPF_OP(i->code) == BPF_JGE)
				taken = a >= operand;
			else
				fail_msg("jump %#x", i->code);
			pc += taken ? i->jt : i->jf;
			break;
		}
		case BPF_RET:
			return i->k;
		default:
			fail_msg("instruction %#x", i->code);
		}
	}
	fail_msg("ran off the end");
	return 0;
}

#endif
