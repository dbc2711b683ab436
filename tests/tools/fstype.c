/*
 * fstype.c - runs a command to whom every file system looks like one of another type.
 *
 *	fstype MAGIC COMMAND [ARGUMENT]...
 *
 * What statfs and fstatfs say to the command and its descendants is the truth, but for the
 * type, which is MAGIC (0x6969: NFS): for kernels that have no such file system, and tests that
 * have no such server. Ends when the command's first process does, with its status.
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/ptrace.h>

enum { PROCESSES = 256 };

static struct {
	pid_t pid;
	unsigned long answer; /* where a call that has begun puts it; 0: none has */
} processes[PROCESSES];

static unsigned long *answer_of(pid_t pid)
{
	int empty = -1;

	for (int i = 0; i < PROCESSES; i++) {
		if (processes[i].pid == pid)
			return &processes[i].answer;
		if (!processes[i].pid && empty < 0)
			empty = i;
	}
	if (empty < 0)
		exit(125);
	processes[empty].pid = pid;
	processes[empty].answer = 0;
	return &processes[empty].answer;
}

static void forget(pid_t pid)
{
	for (int i = 0; i < PROCESSES; i++)
		if (processes[i].pid == pid)
			processes[i].pid = 0;
}

static void at_call(pid_t pid, long magic)
{
	struct __ptrace_syscall_info info;
	unsigned long *answer = answer_of(pid);

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		bool asks = info.entry.nr == SYS_statfs || info.entry.nr == SYS_fstatfs;
		*answer = asks ? info.entry.args[1] : 0;
		return;
	}
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && *answer && info.exit.rval == 0)
		ptrace(PTRACE_POKEDATA, pid, *answer + offsetof(struct statfs, f_type), magic);
	*answer = 0;
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 3)
		return 125;
	long magic = strtol(argv[1], NULL, 0);
	pid_t first = fork();
	if (first == 0) {
		raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	waitpid(first, &status, WUNTRACED);
	if (ptrace(PTRACE_SEIZE, first, 0,
		    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
			    PTRACE_O_TRACEEXEC) < 0) {
		perror("fstype: ptrace");
		kill(first, SIGKILL);
		return 125;
	}
	kill(first, SIGCONT);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0)
			return 125;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			forget(pid);
			if (pid == first)
				return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			continue;
		}
		int stop = WSTOPSIG(status), event = status >> 16;
		if (event == PTRACE_EVENT_STOP &&
			(stop == SIGSTOP || stop == SIGTSTP || stop == SIGTTIN || stop == SIGTTOU)) {
			ptrace(PTRACE_LISTEN, pid, 0, 0);
			continue;
		}
		if (stop == (SIGTRAP | 0x80))
			at_call(pid, magic);
		bool ours = event || stop == SIGTRAP || stop == (SIGTRAP | 0x80);
		ptrace(PTRACE_SYSCALL, pid, 0, ours ? 0 : stop);
	}
}
