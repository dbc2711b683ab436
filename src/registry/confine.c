/* confine.c - what brig-net gives up before it reads its first message. */
#include "registry/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/kernel.h"

enum { NOBODY = 65534 };

/* landlock(7), by hand: the headers here know its first versions only. */
#define LANDLOCK_READ_FILE     (1ULL << 2)
#define LANDLOCK_READ_DIR      (1ULL << 3)
#define LANDLOCK_SCOPE_BOTH    3ULL /* abstract sockets and signals */
#define LANDLOCK_VERSION_QUERY 1U

struct landlock_rules {
	uint64_t handled_fs;
	uint64_t handled_net;
	uint64_t scoped;
};

struct __attribute__((packed)) landlock_beneath {
	uint64_t allowed;
	int32_t parent;
};

static void restrict_files(void)
{
	static const char *const readable[] = {"/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve",
		"/run/NetworkManager", "/run/resolvconf", "/run/connman", "/dev/urandom", "/dev/null"};
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_QUERY);
	if (version < 1)
		return;

	/* All rights over files that this version knows. */
	unsigned rights = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
	struct landlock_rules rules = {
		.handled_fs = (1ULL << rights) - 1,
		.scoped = version >= 6 ? LANDLOCK_SCOPE_BOTH : 0,
	};
	size_t size = version >= 6 ? sizeof rules : version >= 4 ? 16 : 8;
	auto_close int set = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (set < 0)
		return;
	for (size_t i = 0; i < sizeof readable / sizeof *readable; i++) {
		auto_close int at = open(readable[i], O_PATH | O_CLOEXEC);
		if (at < 0)
			continue;
		struct landlock_beneath rule = {
			.allowed = LANDLOCK_READ_FILE | LANDLOCK_READ_DIR, .parent = at};
		/* A file cannot have the right to read folders. */
		if (syscall(SYS_landlock_add_rule, set, 1, &rule, 0) < 0) {
			rule.allowed = LANDLOCK_READ_FILE;
			syscall(SYS_landlock_add_rule, set, 1, &rule, 0);
		}
	}
	syscall(SYS_landlock_restrict_self, set, 0);
}

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#endif

static const int denied_calls[] = {
	SYS_execve,
	SYS_execveat,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_kill,
	SYS_tkill,
	SYS_pidfd_open,
	SYS_pidfd_send_signal,
	SYS_pidfd_getfd,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_setns,
	SYS_unshare,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_open_tree,
	SYS_move_mount,
	SYS_mount_setattr,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_open_by_handle_at,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_personality,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_memfd_create,
	SYS_capset,
	SYS_setuid,
	SYS_setgid,
	SYS_setresuid,
	SYS_setresgid,
	SYS_setreuid,
	SYS_setregid,
#ifdef SYS_fork
	SYS_fork,
	SYS_vfork,
#endif
};

static int install_filter(void)
{
#ifdef NATIVE_ARCH
	enum { CALLS = sizeof denied_calls / sizeof *denied_calls };
	struct sock_filter code[CALLS + 16];
	unsigned short n = 0;
	const unsigned deny = SECCOMP_RET_ERRNO | EPERM;
#define LOAD(field)                                                                                          \
	((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field)))
#define JUMP_EQ(k, yes, no) ((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no)))
#define RETURN(k)           ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (k)))

	code[n++] = LOAD(arch);
	code[n++] = JUMP_EQ(NATIVE_ARCH, 1, 0);
	code[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	code[n++] = LOAD(nr);
#ifdef __x86_64__
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1); /* x32 */
	code[n++] = RETURN(deny);
#endif
	for (unsigned short i = 0; i < CALLS; i++)
		code[n++] = JUMP_EQ((unsigned)denied_calls[i], (unsigned char)(CALLS - i + 4), 0);
	/* clone3's flags lie in memory; without it the C library takes clone. */
	code[n++] = JUMP_EQ(SYS_clone3, 5, 0);
	code[n++] = JUMP_EQ(SYS_clone, 0, 2);
	code[n++] = LOAD(args[0]);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
	code[n++] = RETURN(SECCOMP_RET_ALLOW);
	code[n++] = RETURN(deny);
	code[n++] = RETURN(SECCOMP_RET_ERRNO | ENOSYS);
#undef LOAD
#undef JUMP_EQ
#undef RETURN

	struct sock_fprog program = {.len = n, .filter = code};
	return kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);
#else
	return 0;
#endif
}

static void drop_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	if (geteuid() == 0) {
		/* In a user namespace nobody may not be mapped; then the capabilities go. */
		if (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
			setresuid(NOBODY, NOBODY, NOBODY) == 0) {
			/* This took the capabilities away. */
		}
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &header, none);
}

int confine_helper(struct err *e)
{
	struct rlimit no_core = {0};

	setrlimit(RLIMIT_CORE, &no_core);
	drop_rights();
	/* After the change of user, which resets both. */
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, errno, "cannot give up new privileges");
	restrict_files();
	int r = install_filter();
	if (r < 0)
		return err_errno(e, r, "cannot install the system call filter");
	return 0;
}
