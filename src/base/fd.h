/*
 * fd.h - files by descriptor: opening, whole reads and writes, atomic replacement.
 *
 * Every descriptor made here is close-on-exec; nothing else in the project opens one
 * without saying so. A path is (directory descriptor, name). Functions return 0, a
 * count or a descriptor, or -errno; they print nothing.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/* openat(2) with O_CLOEXEC. */
int fd_open(int dir, const char *name, int flags, mode_t mode);

/* Opens a path that an image or a container controls, every link resolved inside root
 * (openat2's RESOLVE_IN_ROOT, no magic links). Retries while renames race with it, for
 * a second at most. */
int fd_open_in_root(int root, const char *path, int flags, mode_t mode);

/* As fd_open_in_root, but a path or link that leads out of dir fails with EXDEV. */
int fd_open_beneath(int dir, const char *path, int flags, mode_t mode);

/* Reads until size bytes or the end; the count is short only at the end. */
ssize_t fd_read_full(int fd, void *bytes, size_t size);
int fd_write_full(int fd, const void *bytes, size_t size);

/* Reads all that is left into out; -EFBIG past limit bytes. */
int fd_slurp(int fd, size_t limit, struct buf *out);
/* Reads a whole regular file, its last component not followed if it is a link. */
int fd_read_file(int dir, const char *name, size_t limit, struct buf *out);

/* Makes or replaces a file so that a reader, or a crash, sees the old bytes or the new:
 * a temporary file beside it, then rename(2). With durable it is synced before, and the
 * directory after. The temporary is named ".NAME.<random>.new". */
int fd_replace(int dir, const char *name, const void *bytes, size_t size, mode_t mode, bool durable);

/* mkdir -p below dir; folders that exist are left as they are. */
int fd_mkdirs(int dir, const char *path, mode_t mode);
/* Opens a folder below dir, which is made (with its parents) where it is missing. */
int fd_open_dir_made(int dir, const char *path, mode_t mode);

/* rm -r, never following links and never crossing into another mounted file system
 * (-EXDEV); a name that is not there is success. */
int fd_remove_tree(int dir, const char *name);

/* 1 where the folder holds nothing, 0, or -errno: what cannot be read is not empty. */
int fd_is_empty(int folder);

/* Two ends, both close-on-exec: [0] reads. flags may add O_NONBLOCK. */
int fd_pipe(int ends[2], int flags);

/* Sends one message with up to 8 descriptors over a SOCK_SEQPACKET socket, without
 * SIGPIPE; the descriptors stay the caller's. */
int fd_send(int socket, const void *bytes, size_t size, const int *fds, size_t count);
/* Receives one message; *count is the room in fds and then the number received.
 * Returns the message's length, 0 when the other end is closed. -EMSGSIZE where it did
 * not fit. */
ssize_t fd_receive(int socket, void *bytes, size_t size, int *fds, size_t *count);

/* 0 where the descriptor is a regular file, folder, … as S_IFMT says, else -EINVAL. */
int fd_expect(int fd, mode_t type);

/* Fills size random bytes. */
void fd_random(void *bytes, size_t size);

#endif
