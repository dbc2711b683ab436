/*
 * seccomp.c - the compiler from profiles to BPF.
 *
 * Theory of operation. For each ABI a table says for every number which *leaf* answers
 * it: an action, or a chain of rules that look at arguments. Neighbours with the same
 * leaf become a range, and a balanced tree of comparisons finds the range of a number.
 * Single numbers that interrupt an otherwise equal stretch cost one JEQ each.
 *
 * Code is emitted from its end to its beginning, because BPF only jumps forward: when
 * an instruction is written all its targets are there and distances are known. A label
 * is the number of instructions from the target to the end. Conditional jumps reach 255
 * instructions; a target further away is repeated where it is a return, and otherwise
 * reached through a JA, whose reach has no limit. Chains end in returns, so every ABI
 * shares one copy of each.
 */
#include "base/seccomp.h"

#include <errno.h>
#include <string.h>
#include <linux/capability.h>
#include <linux/seccomp.h>

#include "base/kernel.h"
#include "base/syscalls.h"

enum {
	LONGEST = BPF_MAXINSNS,
	REACH = 250,    /* of 255, so that a repair or two in between does no harm */
	NUMBERS = 1024, /* of one ABI: 0 to 1007, then 16 of arm's private ones */
	PRIVATE_SLOT = 1008,
	PRIVATE_NUMBER = 0x0f0000,
	X32_BIT = 0x40000000,
	X32_LEGACY = 512, /* to 547: x32's own, older than many below */
	X32_LEGACY_END = 548,
};

#define AUDIT_X86_64  0xc000003eU
#define AUDIT_I386    0x40000003U
#define AUDIT_AARCH64 0xc00000b7U
#define AUDIT_ARM     0x40000028U
#define AUDIT_RISCV64 0xc00000f3U

/* This machine's ABIs; x32, which shares x86_64's audit value, follows it. */
static const struct abi {
	enum seccomp_abi bit;
	uint32_t audit;
	uint32_t base;
	unsigned column;
} abis[] = {
#if defined(SECCOMP_TARGET_AMD64)
	{SECCOMP_X86_64, AUDIT_X86_64, 0, COLUMN_X86_64},
	{SECCOMP_X32, AUDIT_X86_64, X32_BIT, COLUMN_X32},
	{SECCOMP_X86, AUDIT_I386, 0, COLUMN_X86},
#elif defined(SECCOMP_TARGET_ARM64)
	{SECCOMP_AARCH64, AUDIT_AARCH64, 0, COLUMN_AARCH64},
	{SECCOMP_ARM, AUDIT_ARM, 0, COLUMN_ARM},
#elif defined(SECCOMP_TARGET_RISCV64)
	{SECCOMP_RISCV64, AUDIT_RISCV64, 0, COLUMN_RISCV64},
#endif
};

enum { ABIS = sizeof abis / sizeof *abis };

uint32_t seccomp_native_abis(void)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < ABIS; i++)
		bits |= abis[i].bit;
	return bits;
}

/* The slot in a table of NUMBERS, or -1. */
static int slot_of(unsigned call, const struct abi *abi)
{
	unsigned number = syscall_rows[call].numbers[abi->column];
	return number == SYSCALL_NONE ? -1 : (int)number;
}

static uint32_t number_of_slot(unsigned slot, const struct abi *abi)
{
	return slot < PRIVATE_SLOT ? abi->base + slot : (uint32_t)PRIVATE_NUMBER + slot - PRIVATE_SLOT;
}

int seccomp_find(const char *name)
{
	unsigned low = 0, high = SYSCALLS;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		int order = strcmp(name, seccomp_name(middle));
		if (!order)
			return (int)middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -ENOENT;
}

const char *seccomp_name(unsigned call)
{
	return call < SYSCALLS ? syscall_name(call) : NULL;
}

int64_t seccomp_number(unsigned call, enum seccomp_abi bit)
{
	for (unsigned i = 0; i < ABIS && call < SYSCALLS; i++) {
		int slot = abis[i].bit == bit ? slot_of(call, &abis[i]) : -1;
		if (slot >= 0)
			return number_of_slot((unsigned)slot, &abis[i]);
	}
	return -ENOENT;
}

struct seccomp_rule *seccomp_add(
	struct arena *arena, struct seccomp_profile *profile, unsigned call, uint32_t action)
{
	if (profile->rule_count == profile->rule_room) {
		size_t room = profile->rule_room ? profile->rule_room * 2 : 64;
		struct seccomp_rule *grown = arena_array(arena, room, sizeof *grown);
		if (profile->rule_count)
			memcpy(grown, profile->rules, profile->rule_count * sizeof *grown);
		profile->rules = grown;
		profile->rule_room = room;
	}
	struct seccomp_rule *rule = &profile->rules[profile->rule_count++];
	memset(rule, 0, sizeof *rule);
	rule->call = (uint16_t)call;
	rule->action = action;
	return rule;
}

/* What answers a number: the value of an action, or LEAF_CHAIN and a call. A label of
 * 0 means that nothing was emitted yet. */
struct leaf {
	uint64_t value;
	unsigned label;
};

#define LEAF_CHAIN (1ULL << 32)

struct range {
	uint32_t start; /* the first number */
	uint16_t leaf;
	bool single; /* of one number only */
};

struct compiler {
	const struct seccomp_profile *profile;
	struct sock_filter *end; /* past the last instruction */
	unsigned used;
	bool overflow;
	struct leaf *leaves;
	unsigned leaf_count;
	struct range *ranges;
	unsigned range_count;
};

enum { LEAVES = SYSCALLS + 512 };

static unsigned find_leaf(struct compiler *c, uint64_t value)
{
	for (unsigned i = 0; i < c->leaf_count; i++) {
		if (c->leaves[i].value == value)
			return i;
	}
	if (c->leaf_count == LEAVES) {
		c->overflow = true;
		return 0;
	}
	c->leaves[c->leaf_count] = (struct leaf){.value = value};
	return c->leaf_count++;
}

/* Puts an instruction before all others and returns its label. */
static unsigned emit(struct compiler *c, unsigned code, uint32_t k, unsigned if_true, unsigned if_false)
{
	if (c->used == LONGEST) {
		c->overflow = true;
		return c->used;
	}
	struct sock_filter *at = c->end - ++c->used;
	*at = (struct sock_filter){.code = (uint16_t)code, .k = k};
	if (BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_JA) {
		at->jt = (uint8_t)(c->used - 1 - if_true);
		at->jf = (uint8_t)(c->used - 1 - if_false);
	}
	return c->used;
}

static unsigned emit_jump(struct compiler *c, unsigned label)
{
	return emit(c, BPF_JMP | BPF_JA, c->used - label, 0, 0);
}

static unsigned emit_return(struct compiler *c, uint32_t action)
{
	return emit(c, BPF_RET | BPF_K, action, 0, 0);
}

/* A label for the same thing that a conditional jump emitted soon can reach. */
static unsigned near(struct compiler *c, unsigned label)
{
	if (c->used - label <= REACH)
		return label;
	const struct sock_filter *target = c->end - label;
	if (BPF_CLASS(target->code) == BPF_RET)
		return emit_return(c, target->k);
	return emit_jump(c, label);
}

/* Makes the code at label what the instruction emitted next goes on with. */
static void emit_next(struct compiler *c, unsigned label)
{
	if (label != c->used)
		emit_jump(c, label);
}

static unsigned emit_if(struct compiler *c, unsigned test, uint32_t k, unsigned if_true, unsigned if_false)
{
	if_true = near(c, if_true);
	if_false = near(c, if_false);
	return emit(c, BPF_JMP | BPF_K | test, k, if_true, if_false);
}

static unsigned emit_load(struct compiler *c, uint32_t offset)
{
	return emit(c, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

/* Where struct seccomp_data has the halves of an argument. */
static uint32_t low_offset(unsigned argument)
{
	return 16 + 8 * argument + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
}

static uint32_t high_offset(unsigned argument)
{
	return 16 + 8 * argument + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 0 : 4);
}

/* Where a test begins: entry loads what it needs; after is the same without the load,
 * for those who come with the word at offset in the accumulator. */
struct entry {
	unsigned label;
	unsigned after;
	uint32_t offset; /* 0: there is no such place */
};

static unsigned emit_masked_half(struct compiler *c, uint32_t offset, uint32_t mask, uint32_t value,
	unsigned yes, const struct entry *no, struct entry *out)
{
	bool whole = mask == UINT32_MAX;
	unsigned fail = whole && no->offset == offset ? no->after : no->label;
	unsigned test = emit_if(c, BPF_JEQ, value & mask, yes, fail);

	if (!whole)
		test = emit(c, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	*out = (struct entry){.after = test, .offset = offset};
	return out->label = emit_load(c, offset);
}

static struct entry emit_masked(
	struct compiler *c, const struct seccomp_condition *condition, unsigned yes, const struct entry *no)
{
	uint32_t low_mask = (uint32_t)condition->mask, high_mask = (uint32_t)(condition->mask >> 32);
	struct entry entry = {.label = yes};

	if (low_mask)
		yes = emit_masked_half(c, low_offset(condition->argument), low_mask,
			(uint32_t)condition->value, yes, no, &entry);
	if (high_mask)
		emit_masked_half(c, high_offset(condition->argument), high_mask,
			(uint32_t)(condition->value >> 32), yes, no, &entry);
	return entry;
}

/* Emits one comparison that goes on at yes or no. */
static struct entry emit_condition(
	struct compiler *c, const struct seccomp_condition *condition, unsigned yes, const struct entry *no)
{
	uint32_t low = (uint32_t)condition->value, high = (uint32_t)(condition->value >> 32);
	unsigned other = no->label, swapped = yes;

	switch (condition->compare) {
	case SECCOMP_MASKED_EQ:
		return emit_masked(c, condition, yes, no);
	case SECCOMP_NE:
	case SECCOMP_LT:
	case SECCOMP_LE:
		yes = other;
		other = swapped;
		break;
	default:
		break;
	}

	unsigned test = condition->compare == SECCOMP_EQ || condition->compare == SECCOMP_NE   ? BPF_JEQ
			: condition->compare == SECCOMP_GE || condition->compare == SECCOMP_LT ? BPF_JGE
											       : BPF_JGT;
	emit_if(c, test, low, yes, other);
	unsigned lower = emit_load(c, low_offset(condition->argument));
	unsigned upper = emit_if(c, BPF_JEQ, high, lower, other);
	if (test != BPF_JEQ)
		upper = emit_if(c, BPF_JGT, high, yes, upper);
	return (struct entry){.label = emit_load(c, high_offset(condition->argument))};
}

static bool is_unconditional(const struct seccomp_rule *rule)
{
	return rule->condition_count == 0;
}

/* The rules on one call, from the last that can matter to the first. */
static unsigned emit_chain(struct compiler *c, unsigned call)
{
	const struct seccomp_profile *profile = c->profile;
	uint32_t otherwise = profile->default_action;
	size_t end = profile->rule_count;

	for (size_t i = 0; i < end; i++) {
		if (profile->rules[i].call == call && is_unconditional(&profile->rules[i])) {
			otherwise = profile->rules[i].action;
			end = i;
		}
	}
	struct entry next = {.label = emit_return(c, otherwise)};
	for (size_t i = end; i-- > 0;) {
		const struct seccomp_rule *rule = &profile->rules[i];
		if (rule->call != call)
			continue;
		struct entry entry = {.label = emit_return(c, rule->action)};
		for (unsigned k = rule->condition_count; k-- > 0;)
			entry = emit_condition(c, &rule->conditions[k], entry.label, &next);
		next = entry;
	}
	return next.label;
}

static unsigned leaf_label(struct compiler *c, unsigned index)
{
	struct leaf *leaf = &c->leaves[index];

	if (leaf->label)
		leaf->label = near(c, leaf->label);
	else if (leaf->value & LEAF_CHAIN)
		leaf->label = emit_chain(c, (unsigned)(leaf->value & UINT32_MAX));
	else
		leaf->label = emit_return(c, (uint32_t)leaf->value);
	return leaf->label;
}

/* How many ranges from first on are one stretch: a range, then at most three times a
 * single number and the first one's leaf again. */
static unsigned stretch(const struct compiler *c, unsigned first)
{
	unsigned length = 1;
	while (length < 7 && first + length + 1 < c->range_count && c->ranges[first + length].single &&
		c->ranges[first + length + 1].leaf == c->ranges[first].leaf)
		length += 2;
	return length;
}

static unsigned emit_stretch(struct compiler *c, unsigned first, unsigned length)
{
	unsigned label = leaf_label(c, c->ranges[first].leaf);
	for (unsigned i = first + 1; i < first + length; i += 2) {
		unsigned single = leaf_label(c, c->ranges[i].leaf);
		label = emit_if(c, BPF_JEQ, c->ranges[i].start, single, label);
	}
	return label;
}

/* The tree over the stretches that begin at starts[low] … starts[high - 1]. */
static unsigned emit_tree(struct compiler *c, const uint16_t *starts, unsigned low, unsigned high)
{
	if (high - low == 1)
		return emit_stretch(c, starts[low], (unsigned)starts[high] - starts[low]);
	unsigned middle = (low + high) / 2;
	unsigned upper = emit_tree(c, starts, middle, high);
	unsigned lower = emit_tree(c, starts, low, middle);
	return emit_if(c, BPF_JGE, c->ranges[starts[middle]].start, upper, lower);
}

/* leaf_of[slot] for one ABI. */
static void fill_table(struct compiler *c, const struct abi *abi, uint16_t *leaf_of)
{
	const struct seccomp_profile *profile = c->profile;
	uint16_t unlisted = (uint16_t)find_leaf(c, profile->default_action);
	uint16_t enosys = (uint16_t)find_leaf(c, SECCOMP_ERRNO(ENOSYS));
	bool past_newest = profile->unknown == SECCOMP_UNKNOWN_PAST_NEWEST;
	unsigned newest = 0;
	bool named = false;

	for (unsigned slot = 0; slot < NUMBERS; slot++)
		leaf_of[slot] = profile->unknown == SECCOMP_UNKNOWN_ENOSYS ? enosys : unlisted;
	for (unsigned call = 0; call < SYSCALLS; call++) {
		int slot = slot_of(call, abi);
		if (slot >= 0)
			leaf_of[slot] = unlisted;
	}
	/* Backwards, so that the first rule on a call has the last word here. */
	for (size_t i = profile->rule_count; i-- > 0;) {
		const struct seccomp_rule *rule = &profile->rules[i];
		int slot = slot_of(rule->call, abi);
		if (slot < 0)
			continue;
		uint64_t value = is_unconditional(rule) ? rule->action : LEAF_CHAIN | rule->call;
		leaf_of[slot] = (uint16_t)find_leaf(c, value);
		bool legacy = abi->base && slot >= X32_LEGACY && slot < X32_LEGACY_END;
		named = true;
		if (slot < PRIVATE_SLOT && (unsigned)slot > newest && !legacy)
			newest = (unsigned)slot;
	}
	for (unsigned slot = newest + 1; past_newest && named && slot < PRIVATE_SLOT; slot++) {
		if (!abi->base || slot < X32_LEGACY || slot >= X32_LEGACY_END)
			leaf_of[slot] = enosys;
	}
}

static void add_range(struct compiler *c, uint32_t start, uint16_t leaf)
{
	if (c->range_count && c->ranges[c->range_count - 1].leaf == leaf)
		return;
	if (c->range_count) {
		struct range *last = &c->ranges[c->range_count - 1];
		last->single = start - last->start == 1;
	}
	c->ranges[c->range_count++] = (struct range){.start = start, .leaf = leaf};
}

/* The label of the code that answers for one ABI, with the number in the accumulator. */
static unsigned emit_abi(struct compiler *c, const struct abi *abi, uint16_t *leaf_of, uint16_t *starts)
{
	fill_table(c, abi, leaf_of);
	bool enosys = c->profile->unknown != SECCOMP_UNKNOWN_DEFAULT;
	uint16_t outside =
		(uint16_t)find_leaf(c, enosys ? SECCOMP_ERRNO(ENOSYS) : (uint64_t)c->profile->default_action);

	c->range_count = 0;
	for (unsigned slot = 0; slot < PRIVATE_SLOT; slot++)
		add_range(c, number_of_slot(slot, abi), leaf_of[slot]);
	add_range(c, abi->base + PRIVATE_SLOT, outside);
	if (abi->bit == SECCOMP_ARM) {
		for (unsigned slot = PRIVATE_SLOT; slot < NUMBERS; slot++)
			add_range(c, number_of_slot(slot, abi), leaf_of[slot]);
		add_range(c, PRIVATE_NUMBER + NUMBERS - PRIVATE_SLOT, outside);
	}

	unsigned count = 0;
	for (unsigned i = 0; i < c->range_count; i += (unsigned)starts[count] - starts[count - 1]) {
		starts[count++] = (uint16_t)i;
		starts[count] = (uint16_t)(i + stretch(c, i));
	}
	return emit_tree(c, starts, 0, count);
}

/*
 * x86_64 without x32: numbers with x32's bit are that other ABI's. All bits set is what
 * a tracer writes to skip a call, and nobody's.
 */
static unsigned emit_without_x32(struct compiler *c, unsigned native)
{
	unsigned skipped = emit_return(c, c->profile->default_action);
	unsigned other = emit_return(c, c->profile->other_abi_action);
	other = emit_if(c, BPF_JEQ, UINT32_MAX, skipped, other);
	return emit_if(c, BPF_JGE, X32_BIT, other, native);
}

static bool is_wanted(const struct compiler *c, const struct abi *abi)
{
	return abi && c->profile->abis & abi->bit;
}

int seccomp_compile(const struct seccomp_profile *profile, struct arena *arena, struct seccomp_program *out)
{
	struct compiler c = {.profile = profile};
	struct sock_filter *code = arena_array(arena, LONGEST, sizeof *code);
	uint16_t *leaf_of = arena_array(arena, NUMBERS, sizeof *leaf_of);
	uint16_t *starts = arena_array(arena, NUMBERS + 3, sizeof *starts);

	c.end = code + LONGEST;
	c.leaves = arena_array(arena, LEAVES, sizeof *c.leaves);
	c.ranges = arena_array(arena, NUMBERS + 3, sizeof *c.ranges);

	unsigned label = emit_return(&c, profile->other_abi_action);
	for (unsigned i = ABIS; i-- > 0;) {
		const struct abi *abi = &abis[i];
		const struct abi *x32 = abi->bit == SECCOMP_X86_64 ? abi + 1 : NULL;

		if (abi->bit == SECCOMP_X32 || (!is_wanted(&c, abi) && !is_wanted(&c, x32)))
			continue;
		unsigned above = is_wanted(&c, x32) ? emit_abi(&c, x32, leaf_of, starts) : 0;
		unsigned tree = is_wanted(&c, abi) ? emit_abi(&c, abi, leaf_of, starts)
						   : emit_return(&c, profile->other_abi_action);
		if (above)
			tree = emit_if(&c, BPF_JGE, X32_BIT, above, tree);
		else if (x32)
			tree = emit_without_x32(&c, tree);
		emit_next(&c, tree);
		tree = emit_load(&c, 0); /* the number */
		label = emit_if(&c, BPF_JEQ, abi->audit, tree, label);
	}
	emit_load(&c, 4); /* the audit value */
	if (c.overflow)
		return -E2BIG;
	out->code = c.end - c.used;
	out->count = c.used;
	return 0;
}

int seccomp_install(const struct seccomp_program *program, unsigned flags)
{
	/* What a kernel may not know yet (5.19, 4.17) and can be left out, newest first. */
	static const unsigned optional[] = {SECCOMP_FLAG_WAIT_KILLABLE_RECV, SECCOMP_FLAG_SPEC_ALLOW};
	struct sock_fprog filter = {.len = (unsigned short)program->count};

	memcpy(&filter.filter, &program->code, sizeof filter.filter); /* the kernel only reads it */
	int result = kernel_seccomp(SECCOMP_SET_MODE_FILTER, flags, &filter);
	for (unsigned i = 0; result == -EINVAL && i < sizeof optional / sizeof *optional; i++) {
		if (flags & optional[i]) {
			flags &= ~optional[i];
			result = kernel_seccomp(SECCOMP_SET_MODE_FILTER, flags, &filter);
		}
	}
	return result;
}
