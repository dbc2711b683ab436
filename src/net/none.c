/*
 * none.c - a network with nothing but the loopback interface.
 *
 * An ordinary user may have it too: the namespace then belongs to the container's user
 * namespace, which a short-lived child joins, since whoever joins a user namespace never
 * gets out of it again.
 */
#include "net/driver.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "net/inside.h"
#include "net/link.h"

static int loopback_by_child(const struct net_request *request, struct err *e)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return err_errno(e, errno, "cannot start a process for the container's network");
	if (pid == 0) {
		int s;
		if (setns(request->pidfd, CLONE_NEWUSER | CLONE_NEWNET) < 0)
			_exit(errno);
		s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (s < 0)
			_exit(errno);
		_exit(-link_set_up(s, "lo"));
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_errno(e, errno, "cannot wait for the container's network");
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_errno(e, WIFEXITED(status) ? WEXITSTATUS(status) : EIO,
			"cannot bring up the container's loopback interface");
	return 0;
}

static int none_attach(const struct net_request *request, struct net_attachment *out, struct err *e)
{
	auto_inside struct inside inside = INSIDE_CLOSED;
	/* Any socket would do; one of the route protocol is the cheapest to open. */
	auto_close int host = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	(void)out;

	if (host < 0)
		return err_errno(e, errno, "cannot open a netlink socket");
	if (inside_enter(request, host, &(struct inside_wish){.loopback = true}, &inside, e) == 0)
		return 0;
	if (e->number != EPERM || request->netns > 0 || request->sysctl_count)
		return -1;
	*e = (struct err){0};
	return loopback_by_child(request, e);
}

const struct net_driver net_none_driver = {
	.name = "none",
	.kind = NET_NONE,
	.about = "nothing but the loopback interface",
	.attach = none_attach,
};
