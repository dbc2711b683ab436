/*
 * cgroup_devices.c - device rules: v1's text, and v2's BPF program.
 *
 * Rules mean on v2 what they mean on v1. There the kernel keeps, besides what happens to
 * a device that is not listed, a list of exceptions: a rule for the same device (type,
 * major, minor, each perhaps "all") adds to or takes from that exception's access, and a
 * rule for all devices starts over. The list is built here in the same way and becomes a
 * row of comparisons. With "deny" as the default an access is allowed if one exception
 * has all of it; with "allow" it is denied if one exception has any of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>

#include "base/auto.h"
#include "runtime/cgroup_ops.h"

#define ALL_ACCESS (CGROUP_READ | CGROUP_WRITE | CGROUP_MKNOD)

const struct cgroup_device_rule cgroup_device_defaults[] = {
	{'c', true, ALL_ACCESS, 1, 3},    /* null */
	{'c', true, ALL_ACCESS, 1, 5},    /* zero */
	{'c', true, ALL_ACCESS, 1, 7},    /* full */
	{'c', true, ALL_ACCESS, 1, 8},    /* random */
	{'c', true, ALL_ACCESS, 1, 9},    /* urandom */
	{'c', true, ALL_ACCESS, 5, 0},    /* tty */
	{'c', true, ALL_ACCESS, 5, 1},    /* console */
	{'c', true, ALL_ACCESS, 5, 2},    /* ptmx */
	{'c', true, ALL_ACCESS, 136, -1}, /* pts */
};
const size_t cgroup_device_default_count = sizeof cgroup_device_defaults / sizeof *cgroup_device_defaults;

/* "8" or "*", and a separator. */
static char *add_number(char *at, int32_t number, char separator)
{
	char digits[12];
	size_t count = 0;

	if (number < 0) {
		*at++ = '*';
	} else {
		do {
			digits[count++] = (char)('0' + number % 10);
			number /= 10;
		} while (number);
		while (count)
			*at++ = digits[--count];
	}
	*at++ = separator;
	return at;
}

void cgroup_device_text(const struct cgroup_device_rule *rule, char *out)
{
	*out++ = rule->type;
	if (rule->type == 'a') {
		*out = '\0';
		return;
	}
	*out++ = ' ';
	out = add_number(out, rule->major, ':');
	out = add_number(out, rule->minor, ' ');
	if (rule->access & CGROUP_READ)
		*out++ = 'r';
	if (rule->access & CGROUP_WRITE)
		*out++ = 'w';
	if (rule->access & CGROUP_MKNOD)
		*out++ = 'm';
	*out = '\0';
}

struct exceptions {
	bool allow_others; /* what happens to a device that is not listed */
	struct cgroup_device_rule list[CGROUP_DEVICE_RULES];
	size_t count;
};

static void apply_rule(struct exceptions *e, const struct cgroup_device_rule *rule)
{
	if (rule->type == 'a') {
		e->allow_others = rule->allow;
		e->count = 0;
		return;
	}
	size_t i = 0;
	while (i < e->count && (e->list[i].type != rule->type || e->list[i].major != rule->major ||
				       e->list[i].minor != rule->minor))
		i++;
	bool adds = rule->allow != e->allow_others;
	if (adds && i == e->count)
		e->list[e->count++] = *rule;
	else if (adds)
		e->list[i].access |= rule->access;
	else if (i < e->count) {
		e->list[i].access &= (uint8_t)~rule->access;
		if (!e->list[i].access)
			e->list[i] = e->list[--e->count];
	}
}

/* A program being written. Jumps of an exception go to the next one. */
struct writer {
	struct bpf_insn *code;
	int count;
};

enum { R_RESULT, R_SCRATCH, R_ACCESS, R_TYPE, R_MAJOR, R_MINOR };

static struct bpf_insn *emit(
	struct writer *w, unsigned code, unsigned to, unsigned from, int offset, int32_t value)
{
	struct bpf_insn *insn = &w->code[w->count++];
	*insn = (struct bpf_insn){.code = (uint8_t)code,
		.dst_reg = (uint8_t)(to & 15),
		.src_reg = (uint8_t)(from & 15),
		.off = (int16_t)offset,
		.imm = value};
	return insn;
}

static void emit_return(struct writer *w, int value)
{
	emit(w, BPF_ALU64 | BPF_MOV | BPF_K, R_RESULT, 0, 0, value);
	emit(w, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_exception(struct writer *w, const struct cgroup_device_rule *rule, bool allow_others)
{
	int jumps[4], jump_count = 0;
	int type = rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;

	jumps[jump_count++] = w->count;
	emit(w, BPF_JMP | BPF_JNE | BPF_K, R_TYPE, 0, 0, type);
	if (rule->major >= 0) {
		jumps[jump_count++] = w->count;
		emit(w, BPF_JMP | BPF_JNE | BPF_K, R_MAJOR, 0, 0, rule->major);
	}
	if (rule->minor >= 0) {
		jumps[jump_count++] = w->count;
		emit(w, BPF_JMP | BPF_JNE | BPF_K, R_MINOR, 0, 0, rule->minor);
	}
	if ((rule->access & ALL_ACCESS) != ALL_ACCESS) {
		/* Our three bits are the kernel's, turned: mknod 1, read 2, write 4. */
		int32_t access = (rule->access & CGROUP_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0) |
				 (rule->access & CGROUP_READ ? BPF_DEVCG_ACC_READ : 0) |
				 (rule->access & CGROUP_WRITE ? BPF_DEVCG_ACC_WRITE : 0);
		emit(w, BPF_ALU64 | BPF_MOV | BPF_X, R_SCRATCH, R_ACCESS, 0, 0);
		emit(w, BPF_ALU64 | BPF_AND | BPF_K, R_SCRATCH, 0, 0, allow_others ? access : ~access & 7);
		jumps[jump_count++] = w->count;
		emit(w, BPF_JMP | BPF_K | (allow_others ? BPF_JEQ : BPF_JNE), R_SCRATCH, 0, 0, 0);
	}
	emit_return(w, !allow_others);
	for (int i = 0; i < jump_count; i++)
		w->code[jumps[i]].off = (int16_t)(w->count - jumps[i] - 1);
}

int cgroup_device_compile(const struct cgroup_device_rule *rules, size_t count, struct bpf_insn *out)
{
	struct exceptions exceptions;
	struct writer w = {.code = out};

	if (count > CGROUP_DEVICE_RULES)
		return -E2BIG;
	exceptions.allow_others = false;
	exceptions.count = 0;
	for (size_t i = 0; i < count; i++)
		apply_rule(&exceptions, &rules[i]);

	/* struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor. */
	emit(&w, BPF_LDX | BPF_MEM | BPF_W, R_ACCESS, 1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(&w, BPF_LDX | BPF_MEM | BPF_W, R_MAJOR, 1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(&w, BPF_LDX | BPF_MEM | BPF_W, R_MINOR, 1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	emit(&w, BPF_ALU64 | BPF_MOV | BPF_X, R_TYPE, R_ACCESS, 0, 0);
	emit(&w, BPF_ALU64 | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
	emit(&w, BPF_ALU64 | BPF_RSH | BPF_K, R_ACCESS, 0, 0, 16);
	for (size_t i = 0; i < exceptions.count; i++)
		emit_exception(&w, &exceptions.list[i], exceptions.allow_others);
	emit_return(&w, exceptions.allow_others);
	return w.count;
}

static int bpf(int command, union bpf_attr *attr)
{
	long result = syscall(SYS_bpf, command, attr, sizeof *attr);
	return result < 0 ? -errno : (int)result;
}

static const char program_name[] = "brig_devices";

/* The program that we attached to the group before, or -ENOENT. */
static int find_attached(int group)
{
	uint32_t ids[64];
	union bpf_attr attr;

	memset(&attr, 0, sizeof attr);
	attr.query.target_fd = (uint32_t)group;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = sizeof ids / sizeof *ids;
	int error = bpf(BPF_PROG_QUERY, &attr);
	if (error < 0)
		return error;
	uint32_t count = attr.query.prog_cnt;
	for (uint32_t i = 0; i < count; i++) {
		struct bpf_prog_info info = {0};
		memset(&attr, 0, sizeof attr);
		attr.prog_id = ids[i];
		auto_close int program = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
		if (program < 0)
			continue;
		memset(&attr, 0, sizeof attr);
		attr.info.bpf_fd = (uint32_t)program;
		attr.info.info = (uintptr_t)&info;
		attr.info.info_len = sizeof info;
		if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && !strcmp(info.name, program_name))
			return steal_fd(&program);
	}
	return -ENOENT;
}

int cgroup_device_attach(int group, const struct cgroup_device_rule *rules, size_t count)
{
	/* Zeroed pages that are touched as far as the program reaches. */
	auto_free struct bpf_insn *code = malloc(CGROUP_DEVICE_CODE * sizeof *code);
	static const char license[] = "GPL";
	union bpf_attr attr;

	if (!code)
		return -ENOMEM;
	int length = cgroup_device_compile(rules, count, code);
	if (length < 0)
		return length;
	memset(&attr, 0, sizeof attr);
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = (uint32_t)length;
	attr.license = (uintptr_t)license;
	memcpy(attr.prog_name, program_name, sizeof program_name);
	auto_close int program = bpf(BPF_PROG_LOAD, &attr);
	if (program < 0)
		return program;

	auto_close int before = find_attached(group);
	memset(&attr, 0, sizeof attr);
	attr.target_fd = (uint32_t)group;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	/* With MULTI a group above or below keeps its own program, and both must agree. */
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (before >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)before;
	}
	int error = bpf(BPF_PROG_ATTACH, &attr);
	return error < 0 ? error : 0;
}
