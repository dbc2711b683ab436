/* interrupt.c - signals that end a long command, as a descriptor. */
#include "engine/interrupt.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/auto.h"

int interrupt_begin(struct interrupt *interrupt, struct err *e)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	interrupt->fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	if (interrupt->fd < 0)
		return err_errno(e, errno, "cannot wait for signals");
	sigprocmask(SIG_BLOCK, &ours, &interrupt->before);
	sigaction(SIGPIPE, &ignore, &interrupt->pipe_before);
	return 0;
}

void interrupt_end(struct interrupt *interrupt, bool obeyed)
{
	struct signalfd_siginfo info;

	while (obeyed && read(interrupt->fd, &info, sizeof info) > 0)
		;
	close_fd(&interrupt->fd);
	sigaction(SIGPIPE, &interrupt->pipe_before, NULL);
	sigprocmask(SIG_SETMASK, &interrupt->before, NULL);
}
