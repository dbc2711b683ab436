/*
 * tar_write.c - writing tar archives.
 *
 * What fits goes into a POSIX ustar header; the rest (long or not-ASCII names, large
 * numbers, times with fractions or before 1970, extended attributes) into a pax header
 * before it. Every byte follows from the entry: no clock, no user names, no random.
 */
#include "base/tar_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char zeros[TAR_BLOCK_SIZE];

/* Octal digits with leading zeros and a NUL; false where value does not fit. */
static bool put_octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = '\0';
	for (size_t i = size - 1; i--; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	return value == 0;
}

static void put_text(char *field, size_t size, const char *text, size_t length)
{
	memcpy(field, text, length < size ? length : size);
}

static void put_checksum(struct tar_header *header)
{
	unsigned sum = 0;

	memset(header->checksum, ' ', sizeof header->checksum);
	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
		sum += ((const unsigned char *)header)[i];
	/* Six digits, a NUL and a space, as ever. */
	put_octal(header->checksum, 7, sum);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static void add_record(struct buf *pax, const char *prefix, const char *key, const char *value, size_t size)
{
	size_t rest = strlen(prefix) + strlen(key) + size + 3, length = rest;

	for (size_t before = 0; before != length;) {
		before = length;
		length = rest;
		for (size_t n = before; n; n /= 10)
			length++;
	}
	buf_printf(pax, "%zu %s%s=", length, prefix, key);
	buf_append(pax, value, size);
	buf_append(pax, "\n", 1);
}

static void add_number(struct buf *pax, const char *key, uint64_t value)
{
	char text[24];
	int length = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	add_record(pax, "", key, text, (size_t)length);
}

static void add_time(struct buf *pax, int64_t seconds, uint32_t nanoseconds)
{
	char text[40];
	bool negative = seconds < 0;
	uint64_t whole = negative ? 0 - (uint64_t)seconds : (uint64_t)seconds;

	if (negative && nanoseconds) {
		whole--;
		nanoseconds = 1000000000 - nanoseconds;
	}
	int length = snprintf(text, sizeof text, "%s%llu", negative ? "-" : "", (unsigned long long)whole);
	if (nanoseconds) {
		length += snprintf(text + length, sizeof text - (size_t)length, ".%09u", nanoseconds);
		while (text[length - 1] == '0')
			length--;
	}
	add_record(pax, "", "mtime", text, (size_t)length);
}

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if (*text & 0x80)
			return false;
	}
	return true;
}

/* Puts the path into name, or prefix and name around a slash; what does not go in whole
 * leaves its beginning there. */
static bool put_path(struct tar_header *header, const char *path, size_t length)
{
	if (length <= sizeof header->name) {
		put_text(header->name, sizeof header->name, path, length);
		return true;
	}
	for (size_t at = length - 2; at > 0; at--) {
		if (path[at] != '/' || at > sizeof header->prefix)
			continue;
		if (length - at - 1 > sizeof header->name)
			break;
		put_text(header->prefix, sizeof header->prefix, path, at);
		put_text(header->name, sizeof header->name, path + at + 1, length - at - 1);
		return true;
	}
	put_text(header->name, sizeof header->name, path, length);
	return false;
}

static int put_header(struct tar_writer *w, struct tar_header *header)
{
	memcpy(header->magic, "ustar\00000", 8);
	put_checksum(header);
	return w->write(w->context, header, TAR_BLOCK_SIZE);
}

static int put_pax(struct tar_writer *w)
{
	static const char name[] = "PaxHeaders.0/entry";
	struct tar_header header = {.type = 'x'};
	size_t size = w->pax.length;

	put_text(header.name, sizeof header.name, name, sizeof name - 1);
	put_octal(header.mode, sizeof header.mode, 0644);
	put_octal(header.uid, sizeof header.uid, 0);
	put_octal(header.gid, sizeof header.gid, 0);
	put_octal(header.mtime, sizeof header.mtime, 0);
	if (size > TAR_PAX_LIMIT || !put_octal(header.size, sizeof header.size, size))
		return -EINVAL;
	int rc = put_header(w, &header);
	if (rc == 0)
		rc = w->write(w->context, w->pax.data, size);
	if (rc == 0 && size % TAR_BLOCK_SIZE)
		rc = w->write(w->context, zeros, TAR_BLOCK_SIZE - size % TAR_BLOCK_SIZE);
	w->pax.length = 0;
	return rc;
}

int tar_write_entry(struct tar_writer *w, const struct tar_entry *entry)
{
	static const char types[] = {
		[TAR_FILE] = '0',
		[TAR_HARDLINK] = '1',
		[TAR_SYMLINK] = '2',
		[TAR_DIRECTORY] = '5',
		[TAR_CHARACTER] = '3',
		[TAR_BLOCK] = '4',
		[TAR_FIFO] = '6',
	};
	struct tar_header header = {.type = types[entry->type]};
	char path[TAR_PATH_LIMIT + 2];
	size_t length = strlen(entry->path);
	size_t link_length = entry->link ? strlen(entry->link) : 0;
	uint64_t size = entry->type == TAR_FILE ? entry->size : 0;

	if (w->left || !length || length > TAR_PATH_LIMIT || link_length > TAR_PATH_LIMIT)
		return -EINVAL;
	memcpy(path, entry->path, length + 1);
	if (entry->type == TAR_DIRECTORY && path[length - 1] != '/') {
		path[length++] = '/';
		path[length] = '\0';
	}

	w->pax.length = 0;
	if (!put_path(&header, path, length) || !is_ascii(path))
		add_record(&w->pax, "", "path", path, length);
	put_text(header.link, sizeof header.link, link_length ? entry->link : "", link_length);
	if (link_length && (link_length > sizeof header.link || !is_ascii(entry->link)))
		add_record(&w->pax, "", "linkpath", entry->link, link_length);
	put_octal(header.mode, sizeof header.mode, entry->mode & 07777);
	if (!put_octal(header.size, sizeof header.size, size))
		add_number(&w->pax, "size", size);
	if (!put_octal(header.uid, sizeof header.uid, entry->uid))
		add_number(&w->pax, "uid", entry->uid);
	if (!put_octal(header.gid, sizeof header.gid, entry->gid))
		add_number(&w->pax, "gid", entry->gid);
	if (entry->mtime < 0 || !put_octal(header.mtime, sizeof header.mtime, (uint64_t)entry->mtime) ||
		entry->mtime_nanoseconds)
		add_time(&w->pax, entry->mtime, entry->mtime_nanoseconds);
	if (entry->mtime < 0)
		put_octal(header.mtime, sizeof header.mtime, 0);
	bool device = entry->type == TAR_CHARACTER || entry->type == TAR_BLOCK;
	if (!put_octal(header.major, sizeof header.major, device ? entry->major : 0) ||
		!put_octal(header.minor, sizeof header.minor, device ? entry->minor : 0))
		return -EINVAL;
	for (size_t i = 0; i < entry->xattr_count; i++)
		add_record(&w->pax, "SCHILY.xattr.", entry->xattrs[i].name, entry->xattrs[i].value,
			entry->xattrs[i].size);

	if (w->pax.length) {
		int rc = put_pax(w);
		if (rc < 0)
			return rc;
	}
	w->left = size;
	w->padding = (unsigned)((TAR_BLOCK_SIZE - size % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE);
	return put_header(w, &header);
}

int tar_write_data(struct tar_writer *w, const void *bytes, size_t size)
{
	if (size > w->left)
		return -EINVAL;
	if (!size)
		return 0;
	int rc = w->write(w->context, bytes, size);
	w->left -= size;
	if (rc == 0 && !w->left && w->padding)
		rc = w->write(w->context, zeros, w->padding);
	return rc;
}

int tar_write_end(struct tar_writer *w)
{
	buf_free(&w->pax);
	if (w->left)
		return -EINVAL;
	int rc = w->write(w->context, zeros, TAR_BLOCK_SIZE);
	return rc < 0 ? rc : w->write(w->context, zeros, TAR_BLOCK_SIZE);
}
