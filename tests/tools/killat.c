/*
 * killat.c - runs a command and kills one of its processes at a chosen system call.
 *
 *	killat [-a] [-m] [-x COMM]... N COMMAND [ARGUMENT]...
 *
 * Counts, over the command and all its descendants, the calls that change something (files,
 * mounts, processes, messages) in the order in which they come, and kills the process that
 * is about to make number N, before it is made; with -a all of them, as a power cut would.
 * Processes named COMM do not count; with -m only the command's first process does. The
 * others go on unhindered. The last line on descriptor 9 (where that is open) is the number
 * of calls counted and the name of the one that was hit: "123 renameat". N = 0 only counts.
 * Ends when the command's first process does, with its status, 137 where that was killed; where
 * all were killed, when the last of them is gone, and with it the locks that it held.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/ptrace.h>

#define CALL(name)                                                                                           \
	{                                                                                                    \
		SYS_##name, #name                                                                            \
	}
static const struct {
	unsigned long number;
	const char *name;
} calls[] = {
	CALL(openat),
	CALL(openat2),
	CALL(write),
	CALL(pwrite64),
	CALL(writev),
	CALL(ftruncate),
	CALL(fallocate),
	CALL(renameat),
	CALL(renameat2),
	CALL(mkdirat),
	CALL(mknodat),
	CALL(unlinkat),
	CALL(linkat),
	CALL(symlinkat),
	CALL(fsync),
	CALL(fdatasync),
	CALL(syncfs),
	CALL(fchmod),
	CALL(fchmodat),
	CALL(fchown),
	CALL(fchownat),
	CALL(utimensat),
	CALL(fsetxattr),
	CALL(copy_file_range),
	CALL(flock),
	CALL(mount),
	CALL(umount2),
	CALL(move_mount),
	CALL(fsmount),
	CALL(fsconfig),
	CALL(open_tree),
	CALL(mount_setattr),
	CALL(pivot_root),
	CALL(unshare),
	CALL(setns),
	CALL(clone),
	CALL(clone3),
	CALL(execve),
	CALL(execveat),
	CALL(sendmsg),
	CALL(sendto),
	CALL(bind),
	CALL(socket),
	CALL(pidfd_send_signal),
	CALL(wait4),
	CALL(waitid),
	CALL(exit_group),
#ifdef __x86_64__
	CALL(open),
	CALL(rename),
	CALL(mkdir),
	CALL(unlink),
	CALL(rmdir),
	CALL(link),
	CALL(symlink),
	CALL(fork),
	CALL(vfork),
	CALL(chmod),
	CALL(chown),
#endif
};

enum { PROCESSES = 256, EXCLUDED = 8, REPORT = 9 };

static pid_t processes[PROCESSES];
static bool inside[PROCESSES]; /* in a system call: the next stop is its end */
static const char *excluded[EXCLUDED];

static int slot_of(pid_t pid)
{
	int empty = -1;
	for (int i = 0; i < PROCESSES; i++) {
		if (processes[i] == pid)
			return i;
		if (!processes[i] && empty < 0)
			empty = i;
	}
	if (empty < 0)
		exit(125);
	processes[empty] = pid;
	inside[empty] = false;
	return empty;
}

static bool is_excluded(pid_t pid)
{
	char path[64], comm[32] = "";

	if (!excluded[0])
		return false;
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	FILE *file = fopen(path, "re");
	if (file) {
		if (!fgets(comm, sizeof comm, file))
			comm[0] = '\0';
		fclose(file);
	}
	comm[strcspn(comm, "\n")] = '\0';
	for (int i = 0; i < EXCLUDED && excluded[i]; i++)
		if (!strcmp(comm, excluded[i]))
			return true;
	return false;
}

static const char *counted(unsigned long number)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (calls[i].number == number)
			return calls[i].name;
	return NULL;
}

int main(int argc, char **argv)
{
	bool all = false, only_main = false, done = false;
	int option, excludes = 0, status, result = 125;
	long wanted, count = 0;
	char report[64] = "";

	while ((option = getopt(argc, argv, "+amx:")) >= 0) {
		if (option == 'a')
			all = true;
		else if (option == 'm')
			only_main = true;
		else if (option == 'x' && excludes < EXCLUDED)
			excluded[excludes++] = optarg;
		else
			return 125;
	}
	if (argc - optind < 2)
		return 125;
	wanted = atol(argv[optind]);

	pid_t first = fork();
	if (first == 0) {
		close(REPORT);
		raise(SIGSTOP);
		execvp(argv[optind + 1], argv + optind + 1);
		_exit(127);
	}
	waitpid(first, &status, WUNTRACED);
	if (ptrace(PTRACE_SEIZE, first, 0,
		    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
			    PTRACE_O_TRACEEXEC) < 0) {
		perror("killat: ptrace");
		kill(first, SIGKILL);
		return 125;
	}
	kill(first, SIGCONT);
	slot_of(first);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0)
			return first < 0 ? result : 125;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			processes[slot_of(pid)] = 0;
			if (pid != first)
				continue;
			first = -1;
			if (!report[0])
				snprintf(report, sizeof report, "%ld -", count);
			dprintf(REPORT, "%s\n", report);
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			if (done && all)
				continue;
			return result;
		}
		/* Born while the others were being killed. */
		if (done && all)
			kill(pid, SIGKILL);
		int slot = slot_of(pid), stop = WSTOPSIG(status), event = status >> 16, pass = 0;
		if (event == PTRACE_EVENT_STOP &&
			(stop == SIGSTOP || stop == SIGTSTP || stop == SIGTTIN || stop == SIGTTOU)) {
			ptrace(PTRACE_LISTEN, pid, 0, 0);
			continue;
		}
		if (stop == (SIGTRAP | 0x80)) {
			struct __ptrace_syscall_info info;
			ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
			inside[slot] = info.op == PTRACE_SYSCALL_INFO_ENTRY;
			const char *name = inside[slot] ? counted(info.entry.nr) : NULL;
			if (name && !done && (!only_main || pid == first) && !is_excluded(pid) &&
				++count == wanted) {
				snprintf(report, sizeof report, "%ld %s", count, name);
				done = true;
				if (!all)
					kill(pid, SIGKILL);
				for (int i = 0; all && i < PROCESSES; i++)
					if (processes[i])
						kill(processes[i], SIGKILL);
			}
		} else if (!event && stop != SIGTRAP) {
			pass = stop;
		}
		ptrace(done ? PTRACE_CONT : PTRACE_SYSCALL, pid, 0, pass);
	}
}
