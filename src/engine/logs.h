/*
 * logs.h - a container's output on disk: json-file, docker's format.
 *
 * `log.json` in the container's folder: one object a line, {"log": "text\n", "stream":
 * "stdout", "time": "RFC 3339 with nanoseconds"}. A line longer than LOGS_LINE is cut into
 * records of which only the last ends with \n. Output is escaped, so a container cannot
 * forge a record; bytes that are not UTF-8 become lone surrogates, \udc80 to \udcff, so that
 * they come back as they were. When the file passes max_size it becomes log.json.1, that one .2, and
 * so on; of max_files in all. A disk that is full loses lines, never the container.
 */
#ifndef ENGINE_LOGS_H
#define ENGINE_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { LOGS_LINE = 16 * 1024 };

enum logs_stream { LOGS_STDOUT, LOGS_STDERR };

struct logs_writer {
	int dir; /* borrowed */
	int fd;  /* -1 until the first byte: most containers that live for milliseconds say nothing */
	int64_t size, max_size; /* bytes; max_size 0: no rotation */
	int64_t max_files;
	struct buf partial[2]; /* the unfinished line of each stream */
	struct buf out;
};

void logs_begin(struct logs_writer *writer, int dir, int64_t max_size, int64_t max_files);
void logs_write(struct logs_writer *writer, enum logs_stream stream, const char *bytes, size_t length);
/* Writes unfinished lines and closes. */
void logs_end(struct logs_writer *writer);

struct logs_options {
	bool follow;
	bool timestamps;
	bool details;         /* docker's: a blank, before which its drivers say more than this one has */
	int64_t tail;         /* the last so many lines; -1 all */
	int64_t since, until; /* ns since 1970; 0 no bound */
	bool no_stdout, no_stderr;
	/* Asked while following and nothing is left to read: whether the container still runs. */
	bool (*running)(void *context);
	void *context;
};

/* Writes the records to out_fd and err_fd, the text of each as it was. dir is the container's folder. */
int logs_read(int dir, const struct logs_options *options, int out_fd, int err_fd, struct err *e);

#endif
