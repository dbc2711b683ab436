/*
 * archive.h - making tar archives for tests, sound ones and others.
 *
 * A zeroed struct archive is empty. archive_put and friends go through the project's own
 * writer; archive_raw makes a header field by field and can lie in each.
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/tar.h"
#include "unit.h"

struct archive {
	struct buf bytes;
	size_t read; /* how far archive_read has come */
	size_t step; /* bytes archive_read gives at once; 0 is all */
};

static inline int archive_sink(void *context, const void *bytes, size_t size)
{
	struct archive *a = context;
	buf_append(&a->bytes, bytes, size);
	return 0;
}

static inline ssize_t archive_read(void *context, void *bytes, size_t size)
{
	struct archive *a = context;
	size_t left = a->bytes.length - a->read;
	if (a->step && size > a->step)
		size = a->step;
	if (size > left)
		size = left;
	if (size)
		memcpy(bytes, a->bytes.data + a->read, size);
	a->read += size;
	return (ssize_t)size;
}

/* An entry and its data (size of it is set here). */
static inline void archive_entry(struct archive *a, struct tar_entry entry, const void *data, size_t size)
{
	struct tar_writer w = {.write = archive_sink, .context = a};
	entry.size = size;
	assert_int_equal(tar_write_entry(&w, &entry), 0);
	assert_int_equal(tar_write_data(&w, data, size), 0);
	assert_int_equal(w.left, 0);
	buf_free(&w.pax);
}

static inline void archive_put(
	struct archive *a, enum tar_type type, const char *path, mode_t mode, const char *text)
{
	bool link = type == TAR_HARDLINK || type == TAR_SYMLINK;
	struct tar_entry entry = {
		.type = type, .path = path, .mode = mode, .mtime = 1000000000, .link = link ? text : ""};
	archive_entry(a, entry, text, type == TAR_FILE ? strlen(text) : 0);
}

static inline void archive_end(struct archive *a)
{
	struct tar_writer w = {.write = archive_sink, .context = a};
	assert_int_equal(tar_write_end(&w), 0);
}

struct archive_raw {
	const char *name;
	char type; /* 0 is '0' unless zero_type */
	bool zero_type;
	const char *mode, *uid, *gid, *size, *mtime, *link, *major, *minor; /* NULL: zeros */
	const char *magic;                                                  /* NULL: POSIX */
	const void *at; /* at_size bytes to put at at_offset */
	size_t at_offset, at_size;
	bool bad_checksum;
	const void *data; /* padded to whole blocks; what size says is not looked at */
	size_t data_size;
};

static inline void archive_text(char *block, size_t at, size_t room, const char *text, const char *otherwise)
{
	/* "\x80..." of base 256 goes in whole: text has room bytes then. */
	if (text && (*text & 0x80))
		memcpy(block + at, text, room);
	else
		memcpy(block + at, text ? text : otherwise, strnlen(text ? text : otherwise, room));
}

static inline void archive_raw(struct archive *a, struct archive_raw raw)
{
	char block[512] = {0};

	archive_text(block, 0, 100, raw.name, "");
	archive_text(block, 100, 8, raw.mode, "0000644");
	archive_text(block, 108, 8, raw.uid, "0000000");
	archive_text(block, 116, 8, raw.gid, "0000000");
	archive_text(block, 124, 12, raw.size, "00000000000");
	archive_text(block, 136, 12, raw.mtime, "00000000000");
	block[156] = raw.type || raw.zero_type ? raw.type : '0';
	archive_text(block, 157, 100, raw.link, "");
	memcpy(block + 257, raw.magic ? raw.magic : "ustar\00000", 8);
	archive_text(block, 329, 8, raw.major, "0000000");
	archive_text(block, 337, 8, raw.minor, "0000000");
	if (raw.at)
		memcpy(block + raw.at_offset, raw.at, raw.at_size);
	unsigned sum = raw.bad_checksum;
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < sizeof block; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	buf_append(&a->bytes, block, sizeof block);
	if (raw.data_size) {
		char zeros[512] = {0};
		buf_append(&a->bytes, raw.data, raw.data_size);
		buf_append(&a->bytes, zeros, (512 - raw.data_size % 512) % 512);
	}
}

/* A pax header of these records: "key=value" each, its length put before it. */
static inline void archive_pax(struct archive *a, char type, const char *const *records)
{
	struct buf text = {0};
	char size[16];

	for (; *records; records++) {
		size_t rest = strlen(*records) + 2, length = rest + 1;
		while ((size_t)snprintf(NULL, 0, "%zu", length) + rest != length)
			length++;
		buf_printf(&text, "%zu %s\n", length, *records);
	}
	snprintf(size, sizeof size, "%011zo", text.length);
	archive_raw(a, (struct archive_raw){.name = "pax",
			       .type = type,
			       .size = size,
			       .data = text.data,
			       .data_size = text.length});
	buf_free(&text);
}

#endif
