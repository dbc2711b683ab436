/* rootless.c - a user namespace for an ordinary user's engine. */
#include "engine/rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"

/* The inode of the initial user namespace, fixed by the kernel (PROC_USER_INIT_INO). */
enum { FIRST_USER_NAMESPACE = 0xEFFFFFFD };

bool rootless_confined(void)
{
	struct stat st;
	return geteuid() != 0 ||
	       (stat("/proc/self/ns/user", &st) == 0 && st.st_ino != (ino_t)(unsigned)FIRST_USER_NAMESPACE);
}

static int write_proc(const char *path, const char *text)
{
	auto_close int fd = fd_open(AT_FDCWD, path, O_WRONLY, 0);
	return fd < 0 ? fd : fd_write_full(fd, text, strlen(text));
}

int rootless_enter(struct err *e)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		int why = errno;
		err_set(e, ERR_UNSUPPORTED, why,
			"cannot make a user namespace, which containers of an ordinary user need");
		if (why == ENOSPC)
			return err_hint(e, "raise /proc/sys/user/max_user_namespaces");
		return err_hint(e, "allow it (sysctl kernel.unprivileged_userns_clone=1, "
				   "kernel.apparmor_restrict_unprivileged_userns=0) "
				   "or run brig as root");
	}
	/* Without this the kernel refuses a gid map that somebody unprivileged writes. */
	int rc = write_proc("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1\n", (unsigned)uid);
	if (rc == 0)
		rc = write_proc("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "0 %u 1\n", (unsigned)gid);
	if (rc == 0)
		rc = write_proc("/proc/self/gid_map", map);
	return rc < 0 ? err_errno(e, rc, "cannot map the user's id into a user namespace") : 0;
}
