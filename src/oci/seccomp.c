/* seccomp.c - reading seccomp profiles. */
#include "oci/seccomp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/confine.h"

enum { RULES_MAX = 8192, TEXT_SHOWN = 96 };

/* docker's name of this machine in includes and excludes, and runtime-spec's. */
#if defined(__x86_64__)
#define DOCKER_ARCH "amd64"
#define NATIVE_ARCH "SCMP_ARCH_X86_64"
#elif defined(__aarch64__)
#define DOCKER_ARCH "arm64"
#define NATIVE_ARCH "SCMP_ARCH_AARCH64"
#else
#define DOCKER_ARCH "riscv64"
#define NATIVE_ARCH "SCMP_ARCH_RISCV64"
#endif

struct reader {
	const struct oci_seccomp_host *host;
	struct arena *arena;
	struct oci_seccomp *out;
	/* Rules by their place in the filter; joined at the end. */
	struct seccomp_profile always, equal, other, same;
	size_t rules;
	bool notifies;
	struct err *e;
};

static int refuse(struct reader *r, const char *what, const char *value)
{
	char shown[TEXT_SHOWN];
	return err_set(r->e, ERR_INVALID, 0, "seccomp profile: %s \"%s\"", what,
		err_sanitize(shown, sizeof shown, value));
}

static int refuse_shape(struct reader *r, const char *what)
{
	return err_set(r->e, ERR_INVALID, 0, "seccomp profile: %s", what);
}

/* A member that may be missing or null, but not of another type. */
static int member(struct reader *r, const struct json *object, const char *key, enum json_type type,
	const struct json **out)
{
	const struct json *value = json_get(object, key);
	if (value && value->type == JSON_NULL)
		value = NULL;
	if (value && value->type != type)
		return refuse(r, "the wrong type for", key);
	*out = value;
	return 0;
}

static int string_member(struct reader *r, const struct json *object, const char *key, const char **out)
{
	const struct json *value = NULL;
	if (member(r, object, key, JSON_STRING, &value) < 0)
		return -1;
	*out = value ? value->string : NULL;
	return 0;
}

/* ---- words ---- */

static const struct {
	char name[28];
	uint32_t action;
	bool takes_number;
} actions[] = {
	{"SCMP_ACT_ALLOW", SECCOMP_ALLOW, false},
	{"SCMP_ACT_ERRNO", SECCOMP_ERRNO(0), true},
	{"SCMP_ACT_KILL", SECCOMP_KILL_THREAD, false},
	{"SCMP_ACT_KILL_PROCESS", SECCOMP_KILL_PROCESS, false},
	{"SCMP_ACT_KILL_THREAD", SECCOMP_KILL_THREAD, false},
	{"SCMP_ACT_LOG", SECCOMP_LOG, false},
	{"SCMP_ACT_NOTIFY", SECCOMP_NOTIFY, false},
	{"SCMP_ACT_TRACE", SECCOMP_TRACE(0), true},
	{"SCMP_ACT_TRAP", SECCOMP_TRAP, false},
};

static const struct {
	char name[20];
	enum seccomp_compare compare;
} compares[] = {
	{"SCMP_CMP_NE", SECCOMP_NE},
	{"SCMP_CMP_LT", SECCOMP_LT},
	{"SCMP_CMP_LE", SECCOMP_LE},
	{"SCMP_CMP_EQ", SECCOMP_EQ},
	{"SCMP_CMP_GE", SECCOMP_GE},
	{"SCMP_CMP_GT", SECCOMP_GT},
	{"SCMP_CMP_MASKED_EQ", SECCOMP_MASKED_EQ},
};

/* Other machines' ABIs cannot occur here, so that they are known is enough. */
static const struct {
	char name[24];
	uint32_t abi;
} architectures[] = {
	{"SCMP_ARCH_X86", SECCOMP_X86},
	{"SCMP_ARCH_X86_64", SECCOMP_X86_64},
	{"SCMP_ARCH_X32", SECCOMP_X32},
	{"SCMP_ARCH_ARM", SECCOMP_ARM},
	{"SCMP_ARCH_AARCH64", SECCOMP_AARCH64},
	{"SCMP_ARCH_RISCV64", SECCOMP_RISCV64},
	{"SCMP_ARCH_MIPS", 0},
	{"SCMP_ARCH_MIPS64", 0},
	{"SCMP_ARCH_MIPS64N32", 0},
	{"SCMP_ARCH_MIPSEL", 0},
	{"SCMP_ARCH_MIPSEL64", 0},
	{"SCMP_ARCH_MIPSEL64N32", 0},
	{"SCMP_ARCH_PPC", 0},
	{"SCMP_ARCH_PPC64", 0},
	{"SCMP_ARCH_PPC64LE", 0},
	{"SCMP_ARCH_S390", 0},
	{"SCMP_ARCH_S390X", 0},
	{"SCMP_ARCH_PARISC", 0},
	{"SCMP_ARCH_PARISC64", 0},
	{"SCMP_ARCH_LOONGARCH64", 0},
	{"SCMP_ARCH_M68K", 0},
	{"SCMP_ARCH_SH", 0},
	{"SCMP_ARCH_SHEB", 0},
};

static const struct {
	char name[44];
	uint32_t flag;
} flags[] = {
	/* A process that executes a container has one thread: nothing to synchronise. */
	{"SECCOMP_FILTER_FLAG_TSYNC", 0},
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FLAG_WAIT_KILLABLE_RECV},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* An action with its number, which may be missing (then otherwise) or, for an action
 * that has none, must be. */
static int read_action(struct reader *r, const struct json *object, const char *key, const char *number_key,
	unsigned otherwise, uint32_t *out)
{
	const struct json *number;
	const char *name;

	if (string_member(r, object, key, &name) < 0 ||
		member(r, object, number_key, JSON_INTEGER, &number) < 0)
		return -1;
	for (size_t i = 0; name && i < COUNT(actions); i++) {
		if (strcmp(name, actions[i].name) != 0)
			continue;
		if (number && !actions[i].takes_number)
			return refuse(r, "an errno for an action that returns none:", name);
		/* The kernel cuts an errno to 4095. */
		if (number && (number->integer < 0 || number->integer > 4095))
			return refuse(r, "a number out of range for", number_key);
		*out = actions[i].action;
		if (actions[i].takes_number)
			*out |= number ? (uint32_t)number->integer : otherwise;
		return 0;
	}
	return refuse(r, "unknown action", name ? name : "");
}

static int add_architecture(struct reader *r, const char *name)
{
	for (size_t i = 0; i < COUNT(architectures); i++) {
		if (!strcmp(name, architectures[i].name)) {
			r->out->profile.abis |= architectures[i].abi;
			return 0;
		}
	}
	return refuse(r, "unknown architecture", name);
}

/* Calls for each string of a list that may be missing. */
static int for_each_string(struct reader *r, const struct json *object, const char *key,
	int (*call)(struct reader *r, const char *text), bool *any)
{
	const struct json *list;

	if (member(r, object, key, JSON_ARRAY, &list) < 0)
		return -1;
	if (any)
		*any = list != NULL;
	json_for_each (item, list) {
		if (item->type != JSON_STRING)
			return refuse(r, "not a string in", key);
		if (call(r, item->string) < 0)
			return -1;
	}
	return 0;
}

static int add_flag(struct reader *r, const char *name)
{
	for (size_t i = 0; i < COUNT(flags); i++) {
		if (!strcmp(name, flags[i].name)) {
			r->out->profile.flags |= flags[i].flag;
			return 0;
		}
	}
	return refuse(r, "unknown flag", name);
}

/* ---- the head of a document ---- */

static int read_architectures(struct reader *r, const struct json *document)
{
	const struct json *list, *map;

	if (member(r, document, "architectures", JSON_ARRAY, &list) < 0 ||
		member(r, document, "archMap", JSON_ARRAY, &map) < 0)
		return -1;
	if (json_first(list) && json_first(map))
		return refuse_shape(r,
			"'architectures' and 'archMap' were specified in the seccomp profile, use either "
			"'architectures' or 'archMap'");
	if (for_each_string(r, document, "architectures", add_architecture, NULL) < 0)
		return -1;
	json_for_each (item, map) {
		const char *name;
		if (item->type != JSON_OBJECT || string_member(r, item, "architecture", &name) < 0 || !name)
			return refuse_shape(r, "an entry of archMap without an architecture");
		if (strcmp(name, NATIVE_ARCH) != 0)
			continue;
		if (add_architecture(r, name) < 0 ||
			for_each_string(r, item, "subArchitectures", add_architecture, NULL) < 0)
			return -1;
		break;
	}
	/* Nothing said: the native one only. */
	if (!r->out->profile.abis)
		return add_architecture(r, NATIVE_ARCH);
	return 0;
}

static int read_head(struct reader *r, const struct json *document)
{
	struct oci_seccomp *out = r->out;
	bool any_flags;

	out->profile.other_abi_action = SECCOMP_KILL_PROCESS;
	if (read_action(r, document, "defaultAction", "defaultErrnoRet", EPERM,
		    &out->profile.default_action) < 0 ||
		read_architectures(r, document) < 0 ||
		for_each_string(r, document, "flags", add_flag, &any_flags) < 0 ||
		string_member(r, document, "listenerPath", &out->listener_path) < 0 ||
		string_member(r, document, "listenerMetadata", &out->listener_metadata) < 0)
		return -1;
	if (!any_flags)
		out->profile.flags = SECCOMP_FLAG_SPEC_ALLOW;

	uint32_t action = out->profile.default_action & SECCOMP_ACTION_MASK;
	if (action == SECCOMP_NOTIFY)
		return refuse_shape(r, "SCMP_ACT_NOTIFY cannot be the default action");
	bool lets_through = action == SECCOMP_ALLOW || action == SECCOMP_LOG ||
			    action == (SECCOMP_TRACE(0) & SECCOMP_ACTION_MASK);
	out->profile.unknown = lets_through ? SECCOMP_UNKNOWN_DEFAULT : SECCOMP_UNKNOWN_PAST_NEWEST;
	if (out->listener_metadata && *out->listener_metadata &&
		(!out->listener_path || !*out->listener_path))
		return refuse_shape(r, "listenerMetadata without a listenerPath");
	return 0;
}

/* ---- docker's conditions on rules ---- */

static bool list_has(const struct json *list, const char *word)
{
	json_for_each (item, list) {
		if (item->type == JSON_STRING && !strcmp(item->string, word))
			return true;
	}
	return false;
}

/* How many of the list's capabilities the container has, of count. */
static size_t capabilities_had(const struct reader *r, const struct json *list, size_t *count)
{
	size_t had = 0;
	*count = 0;
	json_for_each (item, list) {
		int capability = item->type == JSON_STRING && !strncmp(item->string, "CAP_", 4)
					 ? confine_capability_find(item->string)
					 : -ENOENT;
		++*count;
		had += capability >= 0 && r->host->capabilities >> capability & 1;
	}
	return had;
}

/* Whether the kernel is at least "4.8". */
static int is_kernel_enough(struct reader *r, const char *text, bool *out)
{
	char *end;
	unsigned long major = strtoul(text, &end, 10), minor = 0;

	if (end == text || *end != '.' || *text < '0' || *text > '9' || end[1] < '0' || end[1] > '9')
		return refuse(r, "not a kernel version:", text);
	minor = strtoul(end + 1, &end, 10);
	if (*end)
		return refuse(r, "not a kernel version:", text);
	*out = r->host->kernel_major > major ||
	       (r->host->kernel_major == major && r->host->kernel_minor >= minor);
	return 0;
}

struct conditions {
	bool present;
	const struct json *arches;
	const struct json *caps;
	const char *min_kernel;
};

static int read_conditions(struct reader *r, const struct json *rule, const char *key, struct conditions *out)
{
	const struct json *object;

	if (member(r, rule, key, JSON_OBJECT, &object) < 0 ||
		member(r, object, "arches", JSON_ARRAY, &out->arches) < 0 ||
		member(r, object, "caps", JSON_ARRAY, &out->caps) < 0 ||
		string_member(r, object, "minKernel", &out->min_kernel) < 0)
		return -1;
	out->present = object != NULL;
	return 0;
}

/* Whether a rule counts on this host: 1, 0, or -1. */
static int applies(struct reader *r, const struct json *rule)
{
	struct conditions excludes, includes;
	bool enough = false;
	size_t count;

	if (read_conditions(r, rule, "excludes", &excludes) < 0 ||
		read_conditions(r, rule, "includes", &includes) < 0)
		return -1;
	if (excludes.min_kernel && is_kernel_enough(r, excludes.min_kernel, &enough) < 0)
		return -1;
	if (enough || list_has(excludes.arches, DOCKER_ARCH) ||
		capabilities_had(r, excludes.caps, &count) > 0)
		return 0;
	enough = true;
	if (includes.min_kernel && is_kernel_enough(r, includes.min_kernel, &enough) < 0)
		return -1;
	if (!enough || (json_first(includes.arches) && !list_has(includes.arches, DOCKER_ARCH)))
		return 0;
	return capabilities_had(r, includes.caps, &count) == count;
}

/* ---- rules ---- */

/* A number of 64 bits; json.h keeps what is above int64 as text. */
static int read_u64(struct reader *r, const struct json *object, const char *key, uint64_t *out)
{
	const struct json *value = json_get(object, key);
	char *end;

	*out = 0;
	if (!value || value->type == JSON_NULL)
		return 0;
	if (value->type == JSON_INTEGER && value->integer >= 0) {
		*out = (uint64_t)value->integer;
		return 0;
	}
	if (value->type == JSON_REAL && strspn(value->string, "0123456789") == strlen(value->string)) {
		errno = 0;
		*out = strtoull(value->string, &end, 10);
		if (!errno && !*end)
			return 0;
	}
	return refuse(r, "not a number of 64 bits:", key);
}

static int read_condition(struct reader *r, const struct json *argument, struct seccomp_condition *out)
{
	const struct json *index;
	const char *name;
	uint64_t value, second;

	if (argument->type != JSON_OBJECT)
		return refuse_shape(r, "an argument that is no object");
	if (member(r, argument, "index", JSON_INTEGER, &index) < 0 ||
		string_member(r, argument, "op", &name) < 0 || read_u64(r, argument, "value", &value) < 0 ||
		read_u64(r, argument, "valueTwo", &second) < 0)
		return -1;
	if (!index || index->integer < 0 || index->integer > 5)
		return refuse_shape(r, "an argument without an index from 0 to 5");
	for (size_t i = 0; name && i < COUNT(compares); i++) {
		if (strcmp(name, compares[i].name) != 0)
			continue;
		bool masked = compares[i].compare == SECCOMP_MASKED_EQ;
		*out = (struct seccomp_condition){
			.argument = (uint8_t)index->integer,
			.compare = (uint8_t)compares[i].compare,
			.value = masked ? second : value,
			.mask = masked ? value : 0,
		};
		return 0;
	}
	return refuse(r, "unknown comparison", name ? name : "");
}

static int add_rule(struct reader *r, struct seccomp_profile *place, unsigned call, uint32_t action,
	const struct seccomp_condition *conditions, unsigned count)
{
	if (++r->rules > RULES_MAX)
		return refuse_shape(r, "too many rules");
	struct seccomp_rule *rule = seccomp_add(r->arena, place, call, action);
	rule->condition_count = (uint8_t)count;
	for (unsigned i = 0; i < count; i++)
		rule->conditions[i] = conditions[i];
	return 0;
}

static struct seccomp_profile *place_of(
	struct reader *r, const struct seccomp_condition *conditions, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (conditions[i].compare != SECCOMP_EQ)
			return &r->other;
	}
	return count ? &r->equal : &r->always;
}

/* The calls that i386 has as one: the number that tells them apart is argument 0. */
static const struct {
	char name[16];
	bool ipc;
	uint8_t number;
} multiplexed[] = {
	{"socket", false, 1},
	{"bind", false, 2},
	{"connect", false, 3},
	{"listen", false, 4},
	{"accept", false, 5},
	{"getsockname", false, 6},
	{"getpeername", false, 7},
	{"socketpair", false, 8},
	{"send", false, 9},
	{"recv", false, 10},
	{"sendto", false, 11},
	{"recvfrom", false, 12},
	{"shutdown", false, 13},
	{"setsockopt", false, 14},
	{"getsockopt", false, 15},
	{"sendmsg", false, 16},
	{"recvmsg", false, 17},
	{"accept4", false, 18},
	{"recvmmsg", false, 19},
	{"sendmmsg", false, 20},
	{"semop", true, 1},
	{"semget", true, 2},
	{"semctl", true, 3},
	{"semtimedop", true, 4},
	{"msgsnd", true, 11},
	{"msgrcv", true, 12},
	{"msgget", true, 13},
	{"msgctl", true, 14},
	{"shmat", true, 21},
	{"shmdt", true, 22},
	{"shmget", true, 23},
	{"shmctl", true, 24},
};

/* The other arguments are in memory, so a rule on some of them counts for all calls, the
 * strict ones first. ipc's upper half is a version. */
static int add_multiplexed(struct reader *r, const char *name, uint32_t action)
{
	for (size_t i = 0; i < COUNT(multiplexed); i++) {
		if (strcmp(name, multiplexed[i].name) != 0)
			continue;
		int call = seccomp_find(multiplexed[i].ipc ? "ipc" : "socketcall");
		const struct seccomp_condition condition = {
			.compare = SECCOMP_MASKED_EQ,
			.value = multiplexed[i].number,
			.mask = multiplexed[i].ipc ? 0xffff : 0xffffffff,
		};
		return add_rule(r, action == SECCOMP_ALLOW ? &r->other : &r->equal, (unsigned)call, action,
			&condition, 1);
	}
	return 0;
}

static int add_named(struct reader *r, const char *name, uint32_t action,
	const struct seccomp_condition *conditions, unsigned count)
{
	int call = seccomp_find(name);
	uint8_t seen = 0;
	bool apart = false;

	if (!*name)
		return refuse_shape(r, "a system call without a name");
	if ((action & SECCOMP_ACTION_MASK) == SECCOMP_NOTIFY) {
		/* The listener is handed over with write(2) after the filter is in. */
		if (!strcmp(name, "write"))
			return refuse_shape(r, "SCMP_ACT_NOTIFY cannot be used for the write syscall");
		r->notifies = true;
	}
	if (call < 0)
		return 0;
	/* It says nothing, but that the call was known to whoever wrote it. */
	if (action == r->out->profile.default_action)
		return add_rule(r, &r->same, (unsigned)call, action, NULL, 0);
	for (unsigned i = 0; i < count; i++) {
		apart |= seen >> conditions[i].argument & 1;
		seen |= (uint8_t)(1U << conditions[i].argument);
	}
	if (!apart &&
		add_rule(r, place_of(r, conditions, count), (unsigned)call, action, conditions, count) < 0)
		return -1;
	for (unsigned i = 0; apart && i < count; i++) {
		if (add_rule(r, place_of(r, &conditions[i], 1), (unsigned)call, action, &conditions[i], 1) <
			0)
			return -1;
	}
	return add_multiplexed(r, name, action);
}

static int read_rule(struct reader *r, const struct json *rule)
{
	struct seccomp_condition conditions[6];
	const struct json *names, *arguments;
	const char *single;
	uint32_t action;
	unsigned count = 0;

	if (rule->type != JSON_OBJECT)
		return refuse_shape(r, "a rule that is no object");
	if (member(r, rule, "names", JSON_ARRAY, &names) < 0 || string_member(r, rule, "name", &single) < 0 ||
		member(r, rule, "args", JSON_ARRAY, &arguments) < 0 ||
		read_action(r, rule, "action", "errnoRet", EPERM, &action) < 0)
		return -1;
	if (single && *single && json_first(names))
		return refuse_shape(r,
			"'name' and 'names' were specified in the seccomp profile, use either 'name' or "
			"'names'");
	if (!json_first(names) && (!single || !*single))
		return refuse_shape(r, "a rule that names no system call");
	json_for_each (argument, arguments) {
		if (count == COUNT(conditions))
			return refuse_shape(r, "a rule with more than six arguments");
		if (read_condition(r, argument, &conditions[count++]) < 0)
			return -1;
	}
	int counts = applies(r, rule);
	if (counts <= 0)
		return counts;
	if (!json_first(names))
		return add_named(r, single, action, conditions, count);
	json_for_each (name, names) {
		if (name->type != JSON_STRING)
			return refuse_shape(r, "the name of a system call is no string");
		if (add_named(r, name->string, action, conditions, count) < 0)
			return -1;
	}
	return 0;
}

static void append(struct reader *r, const struct seccomp_profile *from)
{
	for (size_t i = 0; i < from->rule_count; i++) {
		struct seccomp_rule *rule = seccomp_add(r->arena, &r->out->profile, 0, 0);
		*rule = from->rules[i];
	}
}

int oci_seccomp_read(const struct json *document, const struct oci_seccomp_host *host, struct arena *arena,
	struct oci_seccomp *out, struct err *e)
{
	struct oci_seccomp read = {0};
	struct reader r = {.host = host, .arena = arena, .out = &read, .e = e};
	const struct json *rules;
	const char *action;

	if (!document || document->type != JSON_OBJECT)
		return refuse_shape(&r, "it is no JSON object");
	if (member(&r, document, "syscalls", JSON_ARRAY, &rules) < 0 ||
		string_member(&r, document, "defaultAction", &action) < 0)
		return -1;
	if ((!action || !*action) && !json_first(rules)) {
		*out = read;
		return 0;
	}
	read.enabled = true;
	if (read_head(&r, document) < 0)
		return -1;
	json_for_each (rule, rules) {
		if (read_rule(&r, rule) < 0)
			return -1;
	}
	if (r.notifies && (!read.listener_path || !*read.listener_path))
		return refuse_shape(&r, "SCMP_ACT_NOTIFY needs a listenerPath");
	if (r.notifies)
		read.profile.flags |= SECCOMP_FLAG_NEW_LISTENER;
	else /* the kernel refuses it where nobody listens */
		read.profile.flags &= ~SECCOMP_FLAG_WAIT_KILLABLE_RECV;
	append(&r, &r.always);
	append(&r, &r.equal);
	append(&r, &r.other);
	append(&r, &r.same);
	*out = read;
	return 0;
}

int oci_seccomp_parse(const char *text, size_t length, const struct oci_seccomp_host *host,
	struct arena *arena, struct oci_seccomp *out, struct err *e)
{
	const struct json *document = json_parse(arena, text, length, "seccomp profile", e);
	return document ? oci_seccomp_read(document, host, arena, out, e) : -1;
}
