/*
 * cgroup_ops.h - what cgroup.c shares with its two implementations.
 *
 * The numbers of struct cgroup_limits become *settings*, a file and a text each, in a
 * pure function for each version, and are written as they come.
 */
#ifndef RUNTIME_CGROUP_OPS_H
#define RUNTIME_CGROUP_OPS_H

#include "runtime/cgroup.h"
#include "base/buf.h"

struct cgroup_ops {
	int (*create)(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e);
	int (*open)(struct cgroup *cg, struct err *e);
	/* pid 0 is the calling process, of one thread. */
	int (*join)(const struct cgroup *cg, pid_t pid, struct err *e);
	int (*open_entries)(
		const struct cgroup *cg, int entries[CGROUP_HIERARCHIES], struct err *e); /* or NULL */
	int (*update)(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e);
	int (*freeze)(const struct cgroup *cg, bool frozen, struct err *e);
	int (*is_frozen)(const struct cgroup *cg);
	/* One write that kills all, or -ENOENT where the kernel has none. */
	int (*kill)(const struct cgroup *cg);
	void (*read_stats)(const struct cgroup *cg, struct cgroup_stats *out);
	uint64_t (*oom_kills)(const struct cgroup *cg);
	bool (*mount_at)(const struct cgroup *cg, unsigned index, struct cgroup_mount *out);
	uint32_t (*controllers)(const struct cgroup_host *host);
};

extern const struct cgroup_ops cgroup_v1;
extern const struct cgroup_ops cgroup_v2;

enum cgroup_need {
	CGROUP_ASKED,  /* without it the command fails */
	CGROUP_WISHED, /* without it there is a warning: a default, or what docker warns of */
};

struct cgroup_setting {
	enum cgroup_controller controller;
	const char *file;
	const char *value;
	const char *option; /* docker's, for messages */
	enum cgroup_need need;
};

/* Writes one; returns 0, or -1 with its error filled. */
struct cgroup_sink {
	int (*put)(struct cgroup_sink *sink, const struct cgroup_setting *setting);
	struct cgroup *cg;
	struct err *e;
};

/* swap_first: the limit of memory and swap together has to be raised before memory's. */
int cgroup_v1_settings(const struct cgroup_limits *limits, bool swap_first, struct cgroup_sink *sink);
int cgroup_v2_settings(const struct cgroup_limits *limits, struct cgroup_sink *sink);

/* "HIERARCHY'S MOUNT/PATH/FILE"; file may be "". out holds CGROUP_FILE_PATH bytes. */
enum { CGROUP_FILE_PATH = CGROUP_PATH + 160 };
void cgroup_file_path(const struct cgroup *cg, unsigned hierarchy, const char *file, char *out);

int cgroup_write(const char *path, const char *text);
/* Reads at most size - 1 bytes and ends them with NUL; the length or -errno. */
ssize_t cgroup_read(const char *path, char *out, size_t size);
/* The number a file holds; "max" and v1's huge ones are CGROUP_NO_VALUE, and so is failure. */
uint64_t cgroup_read_number(const char *path);
/* The number after a word at a line's start ("oom_kill 3"); CGROUP_NO_VALUE. */
uint64_t cgroup_line_number(const char *text, const char *word);

/* Fails (or warns) for a setting that the kernel did not take. */
int cgroup_refused(struct cgroup *cg, const struct cgroup_setting *setting, int error, struct err *e);
void cgroup_warn(struct cgroup *cg, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes a folder for the group with a missing parent's help: make_parent(path) is called
 * for each that is made. Handles what was left behind. */
int cgroup_make(
	const char *folder, bool shared, int (*made_parent)(const char *folder, size_t top), size_t top);
/* rmdir(2) with the groups inside; waits for processes that are leaving. */
int cgroup_remove_folder(const char *folder, int64_t deadline_ms);
int64_t cgroup_now_ms(void);
void cgroup_pause_us(unsigned microseconds);

/* ---- devices ---- */

/* "c 1:3 rwm" into out (of 48 bytes). */
void cgroup_device_text(const struct cgroup_device_rule *rule, char *out);

struct bpf_insn;
enum { CGROUP_DEVICE_RULES = 512, CGROUP_DEVICE_CODE = 12 * CGROUP_DEVICE_RULES };
/* Compiles rules (read as v1 reads them, all denied before the first) to a program of
 * BPF_PROG_TYPE_CGROUP_DEVICE. The count of instructions, or -E2BIG. */
int cgroup_device_compile(const struct cgroup_device_rule *rules, size_t count, struct bpf_insn *out);
/* Attaches the rules to a v2 group, in place of those attached before. -errno. */
int cgroup_device_attach(int group, const struct cgroup_device_rule *rules, size_t count);

#endif
