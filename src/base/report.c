/* report.c - how it went in a child process. */
#include "base/report.h"

#include "base/fd.h"

int report_send(int fd, int rc, const struct err *e)
{
	static const struct err fine = {.kind = ERR_NONE};
	return fd_write_full(fd, rc < 0 ? e : &fine, sizeof *e);
}

int report_receive(int fd, struct err *e)
{
	struct err told;

	if (fd_read_full(fd, &told, sizeof told) != (ssize_t)sizeof told)
		return 1;
	if (told.kind == ERR_NONE)
		return 0;
	*e = told;
	return -1;
}
