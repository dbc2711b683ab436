/* sync.c - the handshake's messages. */
#include "runtime/sync.h"

#include <stddef.h>

#include "base/auto.h"
#include "base/fd.h"

int sync_send(int socket, enum sync_type type, int value, const struct err *failure, int fd)
{
	struct sync_message message = {.type = type, .value = value};
	size_t size = offsetof(struct sync_message, err);

	if (failure) {
		message.err = *failure;
		size = sizeof message;
	}
	return fd_send(socket, &message, size, &fd, fd >= 0);
}

int sync_wait(int socket, enum sync_type expected, int *value, int *fd, struct err *e)
{
	struct sync_message message;
	int received = -1;
	size_t count = 1;

	ssize_t n = fd_receive(socket, &message, sizeof message, &received, &count);
	auto_close int owner = count ? received : -1;
	if (n == 0)
		return 1;
	if (n < 0)
		return err_errno(e, (int)n, "cannot hear from the container's first process");
	if (message.type == SYNC_FAILED && (size_t)n == sizeof message) {
		*e = message.err;
		return -1;
	}
	if (message.type != expected)
		return err_set(e, ERR_SYSTEM, 0,
			"the container's set-up is out of step: got message %d instead of %d",
			(int)message.type, (int)expected);
	if (value)
		*value = message.value;
	if (fd)
		*fd = steal_fd(&owner);
	return 0;
}
