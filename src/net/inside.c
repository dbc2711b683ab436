/*
 * inside.c - a short visit to another network namespace.
 *
 * Only the network namespace is entered: files, user and capabilities stay the caller's,
 * and nothing in the container can see or trace the visitor. /proc/sys/net shows the
 * namespace of whoever opens it, so the caller's own /proc serves.
 */
#include "net/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "net/link.h"

int inside_write_sysctl(const char *path, const char *value)
{
	char name[256];
	int length = snprintf(name, sizeof name, "/proc/sys/%s", path);

	if (length < 0 || (size_t)length >= sizeof name)
		return -ENAMETOOLONG;
	auto_close int fd = fd_open(AT_FDCWD, name, O_WRONLY, 0);
	if (fd < 0)
		return fd;
	/* One write: the kernel takes a value whole or not at all. */
	ssize_t n = write(fd, value, strlen(value));
	return n < 0 ? -errno : 0;
}

/* A key as the user writes it becomes a path; only below net/, and never upwards. */
static int write_user_sysctl(const struct net_sysctl *sysctl, struct err *e)
{
	char path[192];
	size_t length = strlen(sysctl->key);

	if (length >= sizeof path || strncmp(sysctl->key, "net.", 4) != 0 || strchr(sysctl->key, '/') ||
		strstr(sysctl->key, "..") || sysctl->key[length - 1] == '.' || strpbrk(sysctl->value, "\n+"))
		return err_set(e, ERR_INVALID, 0, "the sysctl %s cannot be set for a network", sysctl->key);
	for (size_t i = 0; i <= length; i++)
		path[i] = sysctl->key[i] == '.' ? '/' : sysctl->key[i];
	int result = inside_write_sysctl(path, sysctl->value);
	if (result == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, 0, "this kernel has no sysctl %s", sysctl->key);
	if (result < 0)
		return err_errno(e, result, "cannot set the sysctl %s to %s", sysctl->key, sysctl->value);
	return 0;
}

static int work(
	const struct net_request *request, const struct inside_wish *wish, struct inside *out, struct err *e)
{
	int result = netlink_open(&out->route, NETLINK_ROUTE);
	if (result < 0)
		return err_errno(e, result, "cannot open a netlink socket in the container's network");
	out->netns = link_namespace_of(out->route.fd);
	if (out->netns < 0)
		return err_errno(e, out->netns, "cannot hold on to the container's network namespace");
	if (wish->no_ipv6) {
		/* Without IPv6 in the kernel there is nothing to switch off. */
		result = inside_write_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
		if (result < 0 && result != -ENOENT)
			return err_errno(e, result, "cannot switch IPv6 off in the container's network");
	}
	if (wish->loopback) {
		result = link_set_up(out->route.fd, "lo");
		if (result < 0)
			return err_errno(e, result, "cannot bring up the container's loopback interface");
	}
	if (request->usual_sysctls) {
		/* In a user namespace whose groups are fewer the whole range is refused. */
		inside_write_sysctl("net/ipv4/ping_group_range", "0 2147483647");
		inside_write_sysctl("net/ipv4/ip_unprivileged_port_start", "0");
	}
	for (size_t i = 0; i < request->sysctl_count; i++) {
		if (write_user_sysctl(&request->sysctls[i], e) < 0)
			return -1;
	}
	return 0;
}

int inside_enter(const struct net_request *request, int host, const struct inside_wish *wish,
	struct inside *out, struct err *e)
{
	struct inside made = INSIDE_CLOSED;
	auto_close int home = link_namespace_of(host);

	/* Asking the socket is six times cheaper, but needs CAP_NET_ADMIN. */
	if (home < 0)
		home = fd_open(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);
	if (home < 0)
		return err_errno(e, home, "cannot hold on to the host's network namespace");
	/* Who may not come back must not go: it is the same right. */
	if (setns(home, CLONE_NEWNET) < 0)
		return err_errno(e, errno, "cannot work in the container's network namespace");
	if (setns(request->netns > 0 ? request->netns : request->pidfd, CLONE_NEWNET) < 0)
		return err_errno(e, errno, "cannot enter the container's network namespace");
	int result = work(request, wish, &made, e);
	if (setns(home, CLONE_NEWNET) < 0) {
		/* Everything done from here on would be done in the wrong place. */
		inside_close(&made);
		return err_errno(e, errno, "cannot return from the container's network namespace");
	}
	if (result < 0) {
		inside_close(&made);
		return -1;
	}
	*out = made;
	return 0;
}

void inside_close(struct inside *inside)
{
	netlink_close(&inside->route);
	if (inside->netns > 0)
		close_fd(&inside->netns);
	inside->netns = -1;
}
