/*
 * probe.c - asks the kernel from inside a container what a shell cannot ask.
 *
 *	probe call NAME ...	makes each call with harmless arguments: "NAME EPERM", "NAME ok"
 *	probe calls		the names
 *	probe tiocsti		pushes a byte into the terminal on fd 0
 *	probe ids		real, effective and saved ids, no_new_privs
 *	probe session		the name of the session keyring
 *	probe hunt SECONDS	looks for foreign processes in /proc and for what their files lead to
 *	probe zombie N		N orphans that end
 *	probe eat MEGABYTES	touches memory
 *
 * Arguments are such that a call that gets through does nothing: bad pointers, bad
 * descriptors. "through" then means any answer but EPERM and ENOSYS.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

struct call {
	const char *name;
	long number;
	long arguments[6];
};

#define BAD ((long)0x10) /* no address */

static const struct call calls[] = {
	{"acct", SYS_acct, {BAD}},
	{"add_key", SYS_add_key, {BAD, BAD, 0, 0, 0}},
	{"bpf", SYS_bpf, {0, BAD, 16}},
	{"chroot", SYS_chroot, {BAD}},
	{"clock_settime", SYS_clock_settime, {CLOCK_REALTIME, BAD}},
	{"clone_newuser", SYS_clone, {CLONE_NEWUSER | CLONE_THREAD}},
	{"clone_newns", SYS_clone, {CLONE_NEWNS | CLONE_THREAD}},
	{"clone3", SYS_clone3, {BAD, 0}},
	{"delete_module", SYS_delete_module, {BAD, 0}},
	{"fanotify_init", SYS_fanotify_init, {0xffff, 0}},
	{"finit_module", SYS_finit_module, {-1, BAD, 0}},
	{"fsconfig", SYS_fsconfig, {-1, 0, 0, 0, 0}},
	{"fsmount", SYS_fsmount, {-1, 0, 0}},
	{"fsopen", SYS_fsopen, {BAD, 0}},
	{"fspick", SYS_fspick, {-1, BAD, 0}},
	{"init_module", SYS_init_module, {BAD, 0, BAD}},
	{"io_uring_setup", SYS_io_uring_setup, {1, BAD}},
	{"io_uring_enter", SYS_io_uring_enter, {-1, 0, 0, 0, 0, 0}},
	{"kexec_load", SYS_kexec_load, {0, 0, BAD, 0}},
	{"kexec_file_load", SYS_kexec_file_load, {-1, -1, 0, BAD, 0}},
	{"keyctl", SYS_keyctl, {6 /* DESCRIBE */, -3, 0, 0}},
	{"mount", SYS_mount, {BAD, BAD, BAD, 0, 0}},
	{"mount_setattr", 442, {-1, BAD, 0, BAD, 32}},
	{"move_mount", SYS_move_mount, {-1, BAD, -1, BAD, 0}},
	{"name_to_handle_at", SYS_name_to_handle_at, {-1, BAD, BAD, BAD, 0}},
	{"open_by_handle_at", SYS_open_by_handle_at, {-1, BAD, 0}},
	{"open_tree", SYS_open_tree, {-1, BAD, 0}},
	{"perf_event_open", SYS_perf_event_open, {BAD, 0, -1, -1, 0}},
	{"personality_odd", SYS_personality, {0x0400000 /* READ_IMPLIES_EXEC */}},
	{"personality_linux32", SYS_personality, {0x0008}},
	{"pivot_root", SYS_pivot_root, {BAD, BAD}},
	{"process_vm_readv", SYS_process_vm_readv, {-1, BAD, 1, BAD, 1, 0}},
	{"ptrace", SYS_ptrace, {16 /* ATTACH */, 0x7ffffffe, 0, 0}},
	{"quotactl", SYS_quotactl, {0, BAD, 0, BAD}},
	{"reboot", SYS_reboot, {1, 2, 3, 0}},
	{"request_key", SYS_request_key, {BAD, BAD, 0, 0}},
	{"sethostname", SYS_sethostname, {BAD, 3}},
	{"setns", SYS_setns, {-1, 0}},
	{"settimeofday", SYS_settimeofday, {BAD, 0}},
	{"socket_alg", SYS_socket, {38, SOCK_SEQPACKET, 0}},
	{"socket_vsock", SYS_socket, {40, SOCK_STREAM, 0}},
	{"socket_inet", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
	{"socket_raw", SYS_socket, {AF_INET, SOCK_RAW, 1}},
	{"socket_packet", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
	{"swapoff", SYS_swapoff, {BAD}},
	{"swapon", SYS_swapon, {BAD, 0}},
	{"syslog", SYS_syslog, {10, 0, 0}},
	{"umount2", SYS_umount2, {BAD, 0}},
	{"unknown", 5000, {0}},
	{"newest", 547 - 40, {0}},
	{"unshare_newuser", SYS_unshare, {CLONE_NEWUSER}},
	{"unshare_newns", SYS_unshare, {CLONE_NEWNS}},
	{"unshare_newnet", SYS_unshare, {CLONE_NEWNET}},
	{"unshare_files", SYS_unshare, {CLONE_FILES}},
	{"userfaultfd", SYS_userfaultfd, {0x7fffffff}},
	{"getpid", SYS_getpid, {0}},
	{"chown", SYS_chown, {BAD, 0, 0}},
	{"mknod", SYS_mknod, {BAD, S_IFREG, 0}},
#ifdef __x86_64__
	{"iopl", SYS_iopl, {3}},
	{"ioperm", SYS_ioperm, {0x378, 1, 1}},
	{"x32_getpid", 0x40000000L + SYS_getpid, {0}},
	{"modify_ldt", SYS_modify_ldt, {5, BAD, 0}},
#endif
};

static const struct call *find(const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (!strcmp(calls[i].name, name))
			return &calls[i];
	fprintf(stderr, "probe: no call %s\n", name);
	exit(2);
}

/* In a child of its own: some calls change who makes them. */
static void try(const struct call *call)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		const long *a = call->arguments;
		long rc = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
		const char *said = rc >= 0           ? "ok"
				   : errno == EPERM  ? "EPERM"
				   : errno == ENOSYS ? "ENOSYS"
						     : "through";
		printf("%s %s\n", call->name, said);
		fflush(stdout);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s signal %d\n", call->name, WTERMSIG(status));
}

static int session(void)
{
	char text[512] = "";
	/* KEYCTL_DESCRIBE of KEY_SPEC_SESSION_KEYRING */
	if (syscall(SYS_keyctl, 6, -3, text, sizeof text - 1) < 0) {
		perror("keyctl");
		return 1;
	}
	puts(text);
	return 0;
}

static int tiocsti(void)
{
	char c = 'x';
	int rc = ioctl(0, TIOCSTI, &c);
	/* With garbage above the 32 bits that the kernel looks at. */
	long wide = syscall(SYS_ioctl, 0, 0x100000000L | TIOCSTI, &c);
	int wide_errno = errno;
	printf("%s %s\n", rc < 0 ? strerror(errno) : "pushed", wide < 0 ? strerror(wide_errno) : "pushed");
	return 0;
}

static int ids(void)
{
	uid_t r, e, s;
	getresuid(&r, &e, &s);
	printf("%d %d %d %d\n", (int)r, (int)e, (int)s, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return 0;
}

/* What a container that wants out does while others enter it. */
static int hunt(int seconds)
{
	time_t end = time(NULL) + seconds;
	unsigned seen = 0, refused = 0;

	while (time(NULL) < end) {
		DIR *proc = opendir("/proc");
		for (struct dirent *entry; (entry = readdir(proc));) {
			int pid = atoi(entry->d_name);
			char path[300], target[300];
			if (pid <= 1 || pid == getpid())
				continue;
			seen++;
			snprintf(path, sizeof path, "/proc/%d/exe", pid);
			int fd = open(path, O_WRONLY);
			if (fd >= 0) {
				printf("FOUND: %s can be written\n", path);
				close(fd);
			}
			for (int n = 0; n < 64; n++) {
				snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, n);
				ssize_t length = readlink(path, target, sizeof target - 1);
				if (length < 0) {
					refused += errno == EACCES || errno == EPERM;
					continue;
				}
				target[length] = '\0';
				struct stat st, ours;
				/* A folder is a way out, unless it is our own root. */
				if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && stat("/", &ours) == 0 &&
					(st.st_dev != ours.st_dev || st.st_ino != ours.st_ino))
					printf("FOUND: %s is the folder %s\n", path, target);
			}
			snprintf(path, sizeof path, "/proc/%d/root/", pid);
			struct stat theirs, ours;
			if (stat(path, &theirs) == 0 && stat("/", &ours) == 0 &&
				(theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino))
				printf("FOUND: %s is another root\n", path);
		}
		closedir(proc);
	}
	printf("hunted: %s\n", seen ? "somebody" : "nobody");
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "call"))
		for (int i = 2; i < argc; i++)
			try(find(argv[i]));
	else if (!strcmp(verb, "calls"))
		for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
			puts(calls[i].name);
	else if (!strcmp(verb, "session"))
		return session();
	else if (!strcmp(verb, "tiocsti"))
		return tiocsti();
	else if (!strcmp(verb, "ids"))
		return ids();
	else if (!strcmp(verb, "hunt"))
		return hunt(atoi(argv[2]));
	else if (!strcmp(verb, "eat")) {
		size_t size = (size_t)atoi(argv[2]) << 20;
		memset(malloc(size), 1, size);
	} else
		return 2;
	return 0;
}
