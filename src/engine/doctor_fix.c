/* doctor_fix.c - what brig doctor can mend by itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/doctor.h"
#include "engine/stores.h"
#include "net/net.h"

enum { LOOP_TRIES = 16 };
#define IMAGE_SIZE (INT64_C(2) << 30)

/* ---- the network ---- */

int doctor_switch_on_forwarding(struct engine *engine, struct err *e)
{
	auto_close int fd = fd_open(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", O_WRONLY, 0);
	int rc = fd < 0 ? fd : fd_write_full(fd, "1\n", 2);
	return rc < 0 ? err_errno(e, rc, "cannot switch IP forwarding on") : 0;
}

int doctor_make_bridge(struct engine *engine, struct err *e)
{
	auto_buf struct buf note = {0};

	if (engine_run_root(engine, e) < 0 || net_set_up(engine->run, "bridge0", &note, e) < 0)
		return -1;
	for (char *line = note.data, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		dprintf(STDERR_FILENO, "brig: %s\n", line);
	}
	return 0;
}

/* ---- a btrfs file system in a file ---- */

/* Runs mkfs.btrfs on the file; there is no other way to make one. */
static int make_file_system(const char *image, struct err *e)
{
	static const char *const places[] = {"/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs",
		"/usr/bin/mkfs.btrfs", "/usr/local/sbin/mkfs.btrfs"};
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return err_errno(e, errno, "cannot start mkfs.btrfs");
	if (pid == 0) {
		const char *words[] = {"mkfs.btrfs", "-q", image, NULL};
		char *environment[] = {NULL};
		int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
		if (null >= 0) {
			dup2(null, 0);
			dup2(STDERR_FILENO, 1);
		}
		for (size_t i = 0; i < sizeof places / sizeof *places; i++)
			execve(places[i], (char *const *)(uintptr_t)words, environment);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_errno(e, errno, "cannot wait for mkfs.btrfs");
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		err_set(e, ERR_NOT_FOUND, 0,
			"mkfs.btrfs is not installed, without which no btrfs file system can be made");
		return err_hint(e, "install the package btrfs-progs");
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, ERR_SYSTEM, 0, "mkfs.btrfs could not make a file system in %s", image);
	return 0;
}

/* The file with a file system in it. One that is there already is not touched: it may hold images.
 * A new one gets its name when it is whole. */
static int open_image(const char *image, struct err *e)
{
	char partial[4096];
	struct stat st;
	int fd = fd_open(AT_FDCWD, image, O_RDWR | O_NOFOLLOW, 0);

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close_fd(&fd);
		return err_set(e, ERR_CONFLICT, 0, "%s is no file", image);
	}
	if (fd >= 0 || fd != -ENOENT)
		return fd < 0 ? err_errno(e, fd, "cannot open %s", image) : fd;
	snprintf(partial, sizeof partial, "%s.new", image);
	unlink(partial);
	auto_close int made = fd_open(AT_FDCWD, partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (made < 0)
		return err_errno(e, made, "cannot make %s", image);
	int rc = ftruncate(made, IMAGE_SIZE) < 0 ? err_errno(e, errno, "cannot make %s", image)
						 : make_file_system(partial, e);
	if (rc == 0 && rename(partial, image) < 0)
		rc = err_errno(e, errno, "cannot make %s", image);
	if (rc < 0)
		unlink(partial);
	return rc < 0 ? -1 : steal_fd(&made);
}

/* A loop device over the file, which goes when nothing has it mounted. */
static int attach_loop(int image, char path[32], struct err *e)
{
	auto_close int control = fd_open(AT_FDCWD, "/dev/loop-control", O_RDWR, 0);

	if (control < 0) {
		err_errno(e, control, "cannot get a loop device");
		return err_hint(e, "modprobe loop");
	}
	for (int tries = 0; tries < LOOP_TRIES; tries++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			return err_errno(e, errno, "cannot get a loop device");
		snprintf(path, 32, "/dev/loop%d", number);
		auto_close int device = fd_open(AT_FDCWD, path, O_RDWR, 0);
		if (device < 0)
			return err_errno(e, device, "cannot open %s", path);
		struct loop_config config = {.fd = (uint32_t)image, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
		if (ioctl(device, LOOP_CONFIGURE, &config) == 0)
			return steal_fd(&device);
		/* Somebody was faster. */
		if (errno != EBUSY)
			return err_errno(e, errno, "cannot put %s over the file", path);
	}
	return err_set(e, ERR_CONFLICT, 0, "cannot get a loop device: others are always faster");
}

/* But for what a store leaves below its mount point, so that nobody takes that for it. */
static bool is_empty(const char *folder)
{
	auto_close int fd = fd_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	bool empty = true;

	if (!stream)
		return false;
	fd = -1; /* the stream's */
	for (struct dirent *entry; empty && (errno = 0, entry = readdir(stream));)
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
			!strcmp(entry->d_name, "BRIG-STORE-NOT-MOUNTED");
	empty = empty && !errno;
	closedir(stream);
	return empty;
}

int doctor_make_btrfs(const char *image, const char *folder, struct err *e)
{
	char device[32];

	if (stores_on_btrfs(folder))
		return 0;
	int rc = fd_mkdirs(AT_FDCWD, folder, 0755);
	if (rc < 0)
		return err_errno(e, rc, "cannot make %s", folder);
	if (!is_empty(folder)) {
		err_set(e, ERR_CONFLICT, 0,
			"%s holds something, which a file system mounted there would hide", folder);
		return err_hint(e, "move it away first");
	}
	auto_close int file = open_image(image, e);
	auto_close int loop = file < 0 ? -1 : attach_loop(file, device, e);
	if (loop < 0)
		return -1;
	if (mount(device, folder, "btrfs", 0, NULL) < 0)
		return err_errno(e, errno, "cannot mount the file system in %s at %s", image, folder);
	log_warning("to have it after a reboot, add to /etc/fstab: %s %s btrfs loop 0 0", image, folder);
	return 0;
}
