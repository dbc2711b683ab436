/* fuzz_tar.c - archives: the reader keeps its promises, and what it gives can be written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size, at, step;
};

static ssize_t give(void *context, void *bytes, size_t size)
{
	struct input *in = context;
	size_t n = in->size - in->at;

	if (n > size)
		n = size;
	if (n > in->step)
		n = in->step;
	if (n)
		memcpy(bytes, in->data + in->at, n);
	in->at += n;
	return (ssize_t)n;
}

static int keep(void *context, const void *bytes, size_t size)
{
	buf_append(context, bytes, size);
	return 0;
}

static void require(int condition)
{
	if (!condition)
		abort();
}

/* Reads the archive; copies what is not sparse into out where that is not NULL. Returns the entries. */
static size_t read_all(struct input *in, struct buf *out)
{
	struct err e = {0};
	struct tar_entry entry;
	struct tar_reader *reader = tar_open(give, in, &e);
	struct tar_writer w = {.write = keep, .context = out};
	size_t count = 0;
	int status;

	while ((status = tar_next(reader, &entry, &e)) == 1) {
		const void *bytes;
		uint64_t offset, end = 0, total = 0;
		ssize_t n;
		struct buf content = {0};

		require(strlen(entry.path) <= TAR_PATH_LIMIT && strlen(entry.link) <= TAR_PATH_LIMIT);
		require(entry.size <= TAR_SIZE_LIMIT && (entry.type == TAR_FILE || entry.size == 0));
		require(!(entry.mode & ~07777U) && entry.uid != UINT32_MAX && entry.gid != UINT32_MAX);
		while ((n = tar_data(reader, &bytes, &offset, &e)) > 0) {
			require(offset >= end && offset + (uint64_t)n <= entry.size);
			end = offset + (uint64_t)n;
			total += (uint64_t)n;
			buf_append(&content, bytes, (size_t)n);
		}
		if (n < 0) {
			buf_free(&content);
			status = -1;
			break;
		}
		if (out && *entry.path) {
			entry.size = entry.type == TAR_FILE ? total : 0;
			if (tar_write_entry(&w, &entry) == 0) {
				require(tar_write_data(&w, content.data, total) == 0);
				count++;
			}
			w.left = 0;
		} else if (!out) {
			count++;
		}
		buf_free(&content);
	}
	if (status < 0)
		require(e.kind == ERR_INVALID && *e.what);
	else
		require(in->at == in->size && tar_offset(reader) == in->size);
	tar_close(reader);
	buf_free(&w.pax);
	return status < 0 && !out ? SIZE_MAX : count;
}

/* Gives every block that looks like a header the right checksum: chance would not. */
static void mend(uint8_t *data, size_t size)
{
	for (; size >= 512; data += 512, size -= 512) {
		unsigned sum = 0;
		if (memcmp(data + 257, "ustar", 5))
			continue;
		memset(data + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += data[i];
		for (size_t i = 6; i--; sum >>= 3)
			data[148 + i] = (uint8_t)('0' + (sum & 7));
		data[154] = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf copy = {0}, mended = {0};

	buf_append(&mended, data, size);
	mend((uint8_t *)mended.data, size);
	struct input in = {
		.data = (const uint8_t *)mended.data, .size = size, .step = size % 3 ? 100000 : 700};
	size_t count = read_all(&in, &copy);
	struct input again = {.data = (const uint8_t *)copy.data, .size = copy.length, .step = 65536};

	require(read_all(&again, NULL) == count);
	buf_free(&copy);
	buf_free(&mended);
	return 0;
}
