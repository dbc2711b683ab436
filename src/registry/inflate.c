/* inflate.c - from the bytes of a layer to the tar within them, into a pipe. */
#include "registry/inflate.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <zstd.h>

#include "base/fd.h"

enum { OUTPUT = 1 << 20, MAGIC = 6, HUGE_PAGE = 2 << 20 };

enum format { FORMAT_UNKNOWN, FORMAT_PLAIN, FORMAT_GZIP, FORMAT_ZSTD };

struct inflate {
	int fd;
	const char *what;
	enum format format;
	uint8_t magic[MAGIC]; /* the first bytes, until the format is known */
	size_t magic_length;
	int64_t in, out;

	void *mapped;
	size_t mapped_size;
	uint8_t *buffers; /* two, of size bytes each, within what is mapped */
	size_t size;
	size_t current; /* 0 or 1 */
	size_t filled;  /* of the current one */
	bool splice;

	struct inflate_state gzip; /* FORMAT_GZIP */
	bool between;              /* no member or frame is open */
	size_t members;
	bool padding; /* zeros after the last member: nothing else may follow */
	ZSTD_DStream *zstd;
};

/* Both buffers in one huge page, where the system has them: giving a thousand pages of one to
 * the pipe, and letting them go there, is a fifth of the work that a thousand of their own are. */
static void map_buffers(struct inflate *f)
{
	f->mapped_size = HUGE_PAGE + 2 * f->size;
	f->mapped = mmap(NULL, f->mapped_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->mapped == MAP_FAILED)
		abort();
	f->buffers = (uint8_t *)f->mapped + (-(uintptr_t)f->mapped & (HUGE_PAGE - 1));
	madvise(f->buffers, 2 * f->size, MADV_HUGEPAGE);
}

struct inflate *inflate_new(int fd, const char *what)
{
	struct inflate *f = calloc(1, sizeof *f);
	struct stat st;

	if (!f)
		abort();
	f->fd = fd;
	f->what = what;
	f->size = OUTPUT;
	f->between = true;
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
		int capacity = fcntl(fd, F_GETPIPE_SZ);
		/* The rule of the two buffers needs them to be no smaller than the pipe. */
		if (capacity >= 65536 && capacity <= OUTPUT) {
			f->size = (size_t)capacity;
			f->splice = true;
		}
	}
	map_buffers(f);
	return f;
}

void inflate_free(struct inflate *f)
{
	if (!f)
		return;
	/* Pages still in the pipe live on there; nobody writes to them any more. */
	munmap(f->mapped, f->mapped_size);
	ZSTD_freeDStream(f->zstd);
	free(f);
}

int64_t inflate_output(const struct inflate *f)
{
	return f->out;
}

static int write_failed(struct inflate *f, int number, struct err *e)
{
	return err_errno(e, number, "cannot pass on the contents of %s", f->what);
}

/* Sends what the current buffer holds. */
static int flush(struct inflate *f, struct err *e)
{
	uint8_t *bytes = f->buffers + f->current * f->size;
	size_t left = f->filled;

	if (!left)
		return 0;
	if (!f->splice || left < f->size) {
		int r = fd_write_full(f->fd, bytes, left);
		if (r < 0)
			return write_failed(f, r, e);
		f->filled = 0;
		return 0;
	}
	struct iovec piece = {.iov_base = bytes, .iov_len = left};
	while (piece.iov_len) {
		ssize_t n = vmsplice(f->fd, &piece, 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return write_failed(f, errno, e);
		piece.iov_base = (uint8_t *)piece.iov_base + n;
		piece.iov_len -= (size_t)n;
	}
	f->filled = 0;
	f->current = !f->current;
	return 0;
}

static int invalid(struct inflate *f, const char *why, struct err *e)
{
	return err_set(e, ERR_INVALID, 0, "%s cannot be unpacked: %s", f->what, why);
}

/* Counts n bytes that were put at the current buffer's end. */
static int produced(struct inflate *f, size_t n, struct err *e)
{
	f->filled += n;
	f->out += (int64_t)n;
	if (f->out > INFLATE_MAX)
		return invalid(f, "it holds more than 64 GiB", e);
	if (f->out > INFLATE_RATIO_FROM && f->out / INFLATE_RATIO_MAX > f->in)
		return invalid(f, "it grows more than a thousandfold, as only a malicious one does", e);
	if (f->filled == f->size)
		return flush(f, e);
	return 0;
}

static int feed_plain(struct inflate *f, const uint8_t *bytes, size_t size, struct err *e)
{
	while (size) {
		size_t n = f->size - f->filled < size ? f->size - f->filled : size;
		memcpy(f->buffers + f->current * f->size + f->filled, bytes, n);
		if (produced(f, n, e) < 0)
			return -1;
		bytes += n;
		size -= n;
	}
	return 0;
}

static int feed_gzip(struct inflate *f, uint8_t *bytes, size_t size, struct err *e)
{
	struct inflate_state *z = &f->gzip;

	z->next_in = bytes;
	z->avail_in = (uint32_t)size;
	for (;;) {
		if (f->between) {
			/* As gzip(1) does, zeros after a member are passed over. */
			if (f->members)
				while (z->avail_in && *z->next_in == 0) {
					f->padding = true;
					z->next_in++;
					z->avail_in--;
				}
			if (!z->avail_in)
				return 0;
			if (f->padding)
				return invalid(f, "something follows its end", e);
			uint8_t *next = z->next_in;
			uint32_t left = z->avail_in;
			isal_inflate_reset(z);
			z->crc_flag = ISAL_GZIP;
			z->next_in = next;
			z->avail_in = left;
			f->between = false;
		}
		z->next_out = f->buffers + f->current * f->size + f->filled;
		z->avail_out = (uint32_t)(f->size - f->filled);
		uint32_t room = z->avail_out, had = z->avail_in;
		int r = isal_inflate(z);
		if (r == ISAL_INCORRECT_CHECKSUM)
			return invalid(f, "a gzip checksum does not match", e);
		if (r != ISAL_DECOMP_OK)
			return invalid(f, "the gzip stream is damaged", e);
		size_t n = room - z->avail_out;
		if (produced(f, n, e) < 0)
			return -1;
		if (z->block_state == ISAL_BLOCK_FINISH) {
			f->between = true;
			f->members++;
			continue;
		}
		/* Nothing went in and nothing came out: it needs more bytes. */
		if (!z->avail_in && n < room)
			return 0;
		if (z->avail_in == had && n == 0)
			return invalid(f, "the gzip stream is damaged", e);
	}
}

static int feed_zstd(struct inflate *f, const uint8_t *bytes, size_t size, struct err *e)
{
	ZSTD_inBuffer in = {.src = bytes, .size = size};

	for (;;) {
		ZSTD_outBuffer out = {
			.dst = f->buffers + f->current * f->size + f->filled,
			.size = f->size - f->filled,
		};
		size_t r = ZSTD_decompressStream(f->zstd, &out, &in);
		if (ZSTD_isError(r))
			return invalid(f, "the zstd stream is damaged", e);
		f->between = r == 0;
		bool full = out.pos == out.size;
		if (produced(f, out.pos, e) < 0)
			return -1;
		if (in.pos == in.size && !full)
			return 0;
		if (in.pos == in.size && r == 0)
			return 0;
	}
}

static int feed(struct inflate *f, const uint8_t *bytes, size_t size, struct err *e)
{
	switch (f->format) {
	case FORMAT_GZIP:
		return feed_gzip(f, (uint8_t *)(uintptr_t)bytes, size, e);
	case FORMAT_ZSTD:
		return feed_zstd(f, bytes, size, e);
	default:
		return feed_plain(f, bytes, size, e);
	}
}

static int decide_format(struct inflate *f, struct err *e)
{
	static const uint8_t skippable[] = {0x2a, 0x4d, 0x18};
	const uint8_t *m = f->magic;
	size_t n = f->magic_length;

	if (n >= 3 && m[0] == 0x1f && m[1] == 0x8b && m[2] == 8) {
		f->format = FORMAT_GZIP;
		isal_inflate_init(&f->gzip);
	} else if (n >= 4 && (!memcmp(m, "\x28\xb5\x2f\xfd", 4) ||
				     ((m[0] & 0xf0) == 0x50 && !memcmp(m + 1, skippable, 3)))) {
		f->format = FORMAT_ZSTD;
		f->zstd = ZSTD_createDStream();
		if (!f->zstd)
			abort();
	} else if (n >= 6 && !memcmp(m, "\xfd\x37zXZ\0", 6)) {
		return err_set(
			e, ERR_UNSUPPORTED, 0, "%s is compressed with xz, which is not supported", f->what);
	} else if (n >= 4 && !memcmp(m, "BZh", 3) && m[3] >= '1' && m[3] <= '9') {
		return err_set(e, ERR_UNSUPPORTED, 0, "%s is compressed with bzip2, which is not supported",
			f->what);
	} else {
		f->format = FORMAT_PLAIN;
	}
	return feed(f, f->magic, f->magic_length, e);
}

int inflate_feed(struct inflate *f, const void *bytes, size_t size, struct err *e)
{
	f->in += (int64_t)size;
	if (f->format == FORMAT_UNKNOWN) {
		size_t n = MAGIC - f->magic_length < size ? MAGIC - f->magic_length : size;
		memcpy(f->magic + f->magic_length, bytes, n);
		f->magic_length += n;
		bytes = (const char *)bytes + n;
		size -= n;
		if (f->magic_length < MAGIC)
			return 0;
		if (decide_format(f, e) < 0)
			return -1;
	}
	return size ? feed(f, bytes, size, e) : 0;
}

int inflate_finish(struct inflate *f, struct err *e)
{
	if (f->format == FORMAT_UNKNOWN && decide_format(f, e) < 0)
		return -1;
	if (!f->between)
		return invalid(f, "it is cut short", e);
	return flush(f, e);
}
