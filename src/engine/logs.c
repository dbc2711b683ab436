/* logs.c - writing and reading a container's log. */
#include "engine/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/time.h"

static const char file_name[] = "log.json";

void logs_begin(struct logs_writer *writer, int dir, int64_t max_size, int64_t max_files)
{
	*writer = (struct logs_writer){.dir = dir, .fd = -1, .max_size = max_size, .max_files = max_files};
}

static void numbered(char name[32], int64_t number)
{
	if (number)
		snprintf(name, 32, "%s.%lld", file_name, (long long)number);
	else
		snprintf(name, 32, "%s", file_name);
}

static void rotate(struct logs_writer *writer)
{
	char from[32], to[32];

	close_fd(&writer->fd);
	writer->size = 0;
	int64_t last = writer->max_files > 1 ? writer->max_files - 1 : 0;
	if (!last)
		unlinkat(writer->dir, file_name, 0);
	for (int64_t i = last; i > 0; i--) {
		numbered(from, i - 1);
		numbered(to, i);
		renameat(writer->dir, from, writer->dir, to);
	}
}

/* Writes what has gathered in out; what cannot be written is lost. */
static void flush(struct logs_writer *writer)
{
	if (!writer->out.length)
		return;
	if (writer->fd >= 0 && writer->max_size && writer->size >= writer->max_size)
		rotate(writer);
	if (writer->fd < 0) {
		struct stat st;
		writer->fd =
			fd_open(writer->dir, file_name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
		writer->size = writer->fd >= 0 && fstat(writer->fd, &st) == 0 ? st.st_size : 0;
	}
	if (writer->fd >= 0 && fd_write_full(writer->fd, writer->out.data, writer->out.length) == 0)
		writer->size += (int64_t)writer->out.length;
	else if (writer->fd >= 0 && ftruncate(writer->fd, writer->size) < 0)
		close_fd(&writer->fd); /* half a record stays, and is passed over */
	writer->out.length = 0;
}

static void put_record(struct logs_writer *writer, enum logs_stream stream, const char *text, size_t length)
{
	struct json_writer w = {.out = &writer->out, .keep_bytes = true};
	char now[TIME_TEXT];

	json_begin_object(&w, NULL);
	json_put_bytes(&w, "log", text, length);
	json_put_string(&w, "stream", stream == LOGS_STDERR ? "stderr" : "stdout");
	json_put_string(&w, "time", time_format_fixed(now, time_now()));
	json_end_object(&w);
	buf_append(&writer->out, "\n", 1);
	/* A file is left when it is full, so records are not gathered past it. */
	if (writer->out.length > 4 * LOGS_LINE)
		flush(writer);
}

void logs_write(struct logs_writer *writer, enum logs_stream stream, const char *bytes, size_t length)
{
	struct buf *partial = &writer->partial[stream];

	while (length) {
		const char *end = memchr(bytes, '\n', length);
		size_t take = end ? (size_t)(end - bytes) + 1 : length;
		if (partial->length + take > LOGS_LINE) {
			take = LOGS_LINE - partial->length;
			end = NULL;
		}
		if (end && !partial->length) {
			put_record(writer, stream, bytes, take);
		} else {
			buf_append(partial, bytes, take);
			if (end || partial->length == LOGS_LINE) {
				put_record(writer, stream, partial->data, partial->length);
				partial->length = 0;
			}
		}
		bytes += take;
		length -= take;
	}
	flush(writer);
}

void logs_end(struct logs_writer *writer)
{
	for (int stream = LOGS_STDOUT; stream <= LOGS_STDERR; stream++) {
		if (writer->partial[stream].length)
			put_record(writer, (enum logs_stream)stream, writer->partial[stream].data,
				writer->partial[stream].length);
		buf_free(&writer->partial[stream]);
	}
	flush(writer);
	buf_free(&writer->out);
	close_fd(&writer->fd);
}

/* One record as it was read: text may hold any bytes, a NUL among them. */
struct record {
	char *text;
	size_t length;
	const char *time;
	bool is_error;
};

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* One UTF-16 unit, as a backslash, a u and four digits, or -1. */
static int32_t unit(const char *at, const char *end)
{
	int32_t value = 0;
	if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = hex_digit(at[i]);
		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* Undoes a JSON string's escapes in place, from after its opening quote. Returns what
 * follows the closing one, or NULL. */
static char *unescape(char *at, char *end, char **out_end)
{
	static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	char *out = at;

	while (at < end && *at != '"') {
		if (*at != '\\') {
			*out++ = *at++;
			continue;
		}
		const char *escape = at + 1 < end && at[1] ? strchr(plain, at[1]) : NULL;
		if (escape) {
			*out++ = meant[escape - plain];
			at += 2;
			continue;
		}
		int32_t c = unit(at, end);
		if (c < 0)
			return NULL;
		at += 6;
		if (c >= 0xdc80 && c < 0xdd00) {
			/* A byte that was not UTF-8, as json_writer's keep_bytes has it. */
			*out++ = (char)(c & 0xff);
			continue;
		}
		if (c >= 0xd800 && c < 0xdc00) {
			int32_t low = unit(at, end);
			if (low < 0xdc00 || low > 0xdfff)
				return NULL;
			at += 6;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
		out = put_utf8(out, (uint32_t)c);
	}
	*out_end = out;
	return at < end ? at + 1 : NULL;
}

/* Reads a record in the form in which put_record writes them, in place. Not by json_parse:
 * a container's output may hold NULs, and gigabytes of it are read. */
static bool parse_record(char *line, size_t length, struct record *record)
{
	static const char head[] = "{\"log\":\"", stream[] = ",\"stream\":\"std", time[] = "\",\"time\":\"";
	char *end = line + length, *text_end;

	if (length < sizeof head || memcmp(line, head, sizeof head - 1))
		return false;
	record->text = line + sizeof head - 1;
	char *rest = unescape(record->text, end, &text_end);
	if (!rest || (size_t)(end - rest) < sizeof stream + 3 + sizeof time ||
		memcmp(rest, stream, sizeof stream - 1))
		return false;
	rest += sizeof stream - 1;
	record->length = (size_t)(text_end - record->text);
	record->is_error = !memcmp(rest, "err", 3);
	rest += 3;
	if (memcmp(rest, time, sizeof time - 1))
		return false;
	record->time = rest + sizeof time - 1;
	char *close = memchr(record->time, '"', (size_t)(end - record->time));
	if (!close)
		return false;
	*close = '\0';
	return true;
}

struct reader {
	const struct logs_options *options;
	int out_fd, err_fd;
	bool open_line[2]; /* the stream's last record did not end its line */
};

static int show(struct reader *reader, char *line, size_t length)
{
	struct record record;
	int rc = 0;

	/* A damaged line is passed over: the others are as good as before. */
	if (!parse_record(line, length, &record))
		return 0;
	int64_t at;
	if (reader->options->since || reader->options->until) {
		if (time_parse(record.time, &at) < 0)
			return 0;
		if ((reader->options->since && at < reader->options->since) ||
			(reader->options->until && at > reader->options->until))
			return 0;
	}
	if (record.is_error ? !reader->options->no_stderr : !reader->options->no_stdout) {
		int fd = record.is_error ? reader->err_fd : reader->out_fd;
		bool begins = !reader->open_line[record.is_error];
		if (reader->options->timestamps && begins) {
			rc = fd_write_full(fd, record.time, strlen(record.time));
			if (rc == 0)
				rc = fd_write_full(fd, " ", 1);
		}
		if (rc == 0 && reader->options->details && begins)
			rc = fd_write_full(fd, " ", 1);
		if (rc == 0)
			rc = fd_write_full(fd, record.text, record.length);
		reader->open_line[record.is_error] = record.length && record.text[record.length - 1] != '\n';
	}
	return rc;
}

/* Shows all whole lines from *pending on and keeps the rest. */
static int show_lines(struct reader *reader, struct buf *pending)
{
	size_t at = 0;
	int rc = 0;
	char *end;

	while (rc == 0 && at < pending->length &&
		(end = memchr(pending->data + at, '\n', pending->length - at))) {
		size_t length = (size_t)(end - (pending->data + at));
		rc = show(reader, pending->data + at, length);
		at += length + 1;
	}
	memmove(pending->data, pending->data + at, pending->length - at);
	pending->length -= at;
	return rc;
}

/* Where the last `tail` lines of the files begin: file number and offset. Counts records
 * that end a line, back from the end. */
static int find_tail(int dir, int64_t oldest, int64_t tail, int64_t *number, off_t *offset)
{
	char block[65536], name[32];
	int64_t seen = 0;

	for (*number = 0; *number <= oldest; ++*number) {
		numbered(name, *number);
		auto_close int fd = fd_open(dir, name, O_RDONLY | O_NOFOLLOW, 0);
		struct stat st;
		if (fd < 0 || fstat(fd, &st) < 0)
			continue;
		for (off_t at = st.st_size; at > 0;) {
			size_t take = at > (off_t)sizeof block ? sizeof block : (size_t)at;
			at -= (off_t)take;
			ssize_t n = pread(fd, block, take, at);
			if (n != (ssize_t)take)
				return n < 0 ? -errno : -EIO;
			for (size_t i = take; i-- > 0;) {
				if (block[i] == '\n' && ++seen > tail) {
					*offset = at + (off_t)i + 1;
					return 0;
				}
			}
		}
	}
	*number = oldest;
	*offset = 0;
	return 0;
}

static int64_t oldest_file(int dir)
{
	char name[32];
	struct stat st;
	int64_t number = 0;
	do {
		numbered(name, ++number);
	} while (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
	return number - 1;
}

/* Whether nothing came after this file; it does not grow any more once something did. */
static bool is_newest(int dir, int fd)
{
	struct stat ours, newest;

	return fstatat(dir, file_name, &newest, AT_SYMLINK_NOFOLLOW) < 0 || fstat(fd, &ours) < 0 ||
	       newest.st_ino == ours.st_ino;
}

/* The number under which a file is found now, or -1; *oldest is the last there is. Two
 * missing in a row are the end: one is, for a moment, while files are renamed. */
static int64_t number_of(int dir, int fd, int64_t *oldest)
{
	struct stat ours, other;
	char name[32];
	int missing = 0;

	*oldest = 0;
	if (fstat(fd, &ours) < 0)
		return -1;
	for (int64_t number = 0; missing < 2; number++) {
		numbered(name, number);
		if (fstatat(dir, name, &other, AT_SYMLINK_NOFOLLOW) < 0) {
			missing++;
			continue;
		}
		missing = 0;
		*oldest = number;
		if (other.st_ino == ours.st_ino)
			return number;
	}
	return -1;
}

/* Replaces *fd by the file that came after it, whatever its name is by now. 0, -ENOENT where
 * there is none, or -errno. */
static int open_next(int dir, int *fd)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (int tries = 0; tries < 100; tries++) {
		int64_t oldest, number = number_of(dir, *fd, &oldest);
		char name[32];
		if (number == 0)
			return -ENOENT;
		/* Removed, as the oldest of too many; or looked for while it was renamed. */
		if (number < 0 && tries < 2) {
			nanosleep(&pause, NULL);
			continue;
		}
		numbered(name, number < 0 ? oldest : number - 1);
		auto_close int next = fd_open(dir, name, O_RDONLY | O_NOFOLLOW, 0);
		if (next < 0 && next != -ENOENT)
			return next;
		/* What was opened is the next one only if nothing moved meanwhile. */
		if (next < 0 || (number > 0 && number_of(dir, *fd, &oldest) != number))
			continue;
		close_fd(fd);
		*fd = steal_fd(&next);
		return 0;
	}
	return -ENOENT;
}

/* Shows *fd from where it stands, and all files that came after it. */
static int read_on(struct reader *reader, int dir, int *fd, struct buf *pending)
{
	for (;;) {
		bool newest = is_newest(dir, *fd);
		ssize_t n;
		int rc = 0;
		while (rc == 0 && (n = read(*fd, buf_reserve(pending, 65536), 65536)) > 0) {
			pending->length += (size_t)n;
			rc = show_lines(reader, pending);
		}
		if (rc == 0 && n < 0)
			rc = -errno;
		if (rc < 0 || newest)
			return rc;
		pending->length = 0;
		rc = open_next(dir, fd);
		if (rc < 0)
			return rc == -ENOENT ? 0 : rc;
	}
}

/* Opens the oldest file from number on that is there; -ENOENT where there is none. */
static int open_from(int dir, int64_t number)
{
	int fd = -ENOENT;

	for (; number >= 0 && fd == -ENOENT; number--) {
		char name[32];
		numbered(name, number);
		fd = fd_open(dir, name, O_RDONLY | O_NOFOLLOW, 0);
	}
	return fd;
}

static int follow(struct reader *reader, int dir, int *fd, struct buf *pending)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000000};

	for (;;) {
		/* Asked before the file is read: what was written meanwhile is then still seen. */
		bool running = reader->options->running(reader->options->context);
		if (*fd < 0)
			*fd = open_from(dir, oldest_file(dir));
		int rc = *fd >= 0 ? read_on(reader, dir, fd, pending) : 0;
		if (rc < 0 || !running)
			return rc;
		struct pollfd gone = {.fd = reader->out_fd, .events = 0};
		if (poll(&gone, 1, 0) > 0 && (gone.revents & POLLERR))
			return -EPIPE;
		nanosleep(&pause, NULL);
	}
}

int logs_read(int dir, const struct logs_options *options, int out_fd, int err_fd, struct err *e)
{
	struct reader reader = {.options = options, .out_fd = out_fd, .err_fd = err_fd};
	auto_buf struct buf pending = {0};
	int64_t number = oldest_file(dir);
	off_t offset = 0;
	int rc = 0;

	if (options->tail >= 0)
		rc = find_tail(dir, number, options->tail, &number, &offset);
	auto_close int fd = rc < 0 ? -1 : open_from(dir, number);
	if (rc == 0 && fd < 0 && fd != -ENOENT)
		rc = fd;
	if (fd >= 0 && offset && lseek(fd, offset, SEEK_SET) < 0)
		rc = -errno;
	if (rc == 0 && options->follow)
		rc = follow(&reader, dir, &fd, &pending);
	else if (rc == 0 && fd >= 0)
		rc = read_on(&reader, dir, &fd, &pending);
	if (rc == -EPIPE)
		return 0; /* nobody reads any more */
	return rc < 0 ? err_errno(e, rc, "cannot read the container's log") : 0;
}
