/* reexec.c - running from a read-only clone of the program's own file. */
#include "base/reexec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"

int reexec_readonly(char **argv, struct err *e)
{
	static const char self[] = "/proc/self/exe";
	struct statvfs fs;

	/* Asked of the mount that we run from, which nobody outside can pretend. */
	if (statvfs(self, &fs) < 0)
		return err_errno(e, errno, "cannot look at %s", self);
	if (fs.f_flag & ST_RDONLY)
		return 0;
	struct kernel_mount_attr attr = {.attr_set = KERNEL_MOUNT_ATTR_RDONLY};
	auto_close int clone =
		kernel_open_tree(AT_FDCWD, self, KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
	int rc = clone < 0 ? clone : kernel_mount_setattr(clone, "", AT_EMPTY_PATH, &attr);
	char origin[4096] not_zeroed;
	ssize_t length = readlink(self, origin, sizeof origin - 1);
	if (length > 0) {
		origin[length] = '\0';
		setenv(REEXEC_ORIGIN, origin, 1);
	}
	if (rc == 0)
		rc = kernel_execveat(clone, "", argv, environ, AT_EMPTY_PATH);
	err_errno(e, rc,
		"cannot make a read-only clone of brig's own program, without which a container could "
		"overwrite it");
	return err_hint(e, "is /proc mounted, and does brig have all of root's rights?");
}
