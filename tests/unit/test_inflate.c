/* test_inflate.c - gzip and zstd streams in pieces of every size, whole and damaged. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "registry/inflate.h"

/* What comes out at the other end of the pipe. */
struct reader {
	int fd;
	struct buf out;
	size_t limit; /* stop reading past it; 0 is none */
	useconds_t slow;
};

static void *run_reader(void *argument)
{
	struct reader *r = argument;
	static const size_t sizes[] = {4096, 1, 70000, 333, 1 << 20};
	for (size_t turn = 0;; turn++) {
		size_t room = sizes[turn % unit_count(sizes)];
		ssize_t n = read(r->fd, buf_reserve(&r->out, room), room);
		if (n <= 0)
			break;
		r->out.length += (size_t)n;
		if (r->limit && r->out.length > r->limit)
			break;
		if (r->slow)
			usleep(r->slow);
	}
	close(r->fd);
	return NULL;
}

/* Feeds bytes in pieces of step, and returns whether all went well; out is what came. */
static int pass(
	const struct buf *bytes, size_t step, int pipe_size, useconds_t slow, struct buf *out, struct err *e)
{
	int ends[2];
	pthread_t thread;

	assert_int_equal(fd_pipe(ends, 0), 0);
	if (pipe_size)
		fcntl(ends[1], F_SETPIPE_SZ, pipe_size);
	struct reader reader = {.fd = ends[0], .slow = slow};
	pthread_create(&thread, NULL, run_reader, &reader);
	struct inflate *f = inflate_new(ends[1], "the layer");
	int r = 0;
	for (size_t at = 0; r == 0 && at < bytes->length; at += step) {
		/* A copy of exactly the piece, so that reading past it is seen. */
		size_t n = bytes->length - at < step ? bytes->length - at : step;
		char *piece = malloc(n);
		memcpy(piece, bytes->data + at, n);
		r = inflate_feed(f, piece, n, e);
		free(piece);
	}
	if (r == 0)
		r = inflate_finish(f, e);
	if (r == 0)
		assert_int_equal(inflate_output(f), inflate_output(f));
	inflate_free(f);
	close(ends[1]);
	pthread_join(thread, NULL);
	*out = reader.out;
	return r;
}

/* Bytes that compress, though not to nothing. */
static void fill(struct buf *out, size_t size, uint32_t seed)
{
	char *p = buf_reserve(out, size);
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		p[i] = (char)(i % 7 ? (seed >> 16 & 15) : (uint32_t)i >> 3);
	}
	out->length += size;
}

static void add_gzip(struct buf *out, const char *bytes, size_t size)
{
	struct isal_zstream z;
	isal_deflate_stateless_init(&z);
	z.gzip_flag = IGZIP_GZIP;
	z.end_of_stream = 1;
	z.flush = NO_FLUSH;
	z.next_in = (uint8_t *)(uintptr_t)bytes;
	z.avail_in = (uint32_t)size;
	size_t room = size + size / 4 + 1000;
	z.next_out = (uint8_t *)buf_reserve(out, room);
	z.avail_out = (uint32_t)room;
	assert_int_equal(isal_deflate_stateless(&z), COMP_OK);
	out->length += room - z.avail_out;
}

static void add_zstd(struct buf *out, const char *bytes, size_t size)
{
	size_t room = ZSTD_compressBound(size);
	size_t n = ZSTD_compress(buf_reserve(out, room), room, bytes, size, 3);
	assert_false(ZSTD_isError(n));
	out->length += n;
}

enum kind { PLAIN, GZIP, GZIP_MEMBERS, GZIP_PADDED, ZSTD, ZSTD_FRAMES };

static void make(enum kind kind, const struct buf *tar, struct buf *out)
{
	size_t third = tar->length / 3;
	switch (kind) {
	case PLAIN:
		buf_append(out, tar->data, tar->length);
		break;
	case GZIP:
		add_gzip(out, tar->data, tar->length);
		break;
	case GZIP_MEMBERS:
		add_gzip(out, tar->data, third);
		add_gzip(out, tar->data + third, 1);
		add_gzip(out, tar->data, 0);
		add_gzip(out, tar->data + third + 1, tar->length - third - 1);
		break;
	case GZIP_PADDED:
		add_gzip(out, tar->data, tar->length);
		buf_append(out, "\0\0\0\0\0\0\0\0\0", 9);
		break;
	case ZSTD:
		add_zstd(out, tar->data, tar->length);
		break;
	case ZSTD_FRAMES:
		add_zstd(out, tar->data, third);
		buf_append(out, "\x50\x2a\x4d\x18\x03\0\0\0abc", 11); /* a frame to skip */
		add_zstd(out, tar->data + third, tar->length - third);
		break;
	}
}

static void whole(void **state)
{
	static const struct {
		size_t size, step;
		int pipe;
		useconds_t slow;
	} rows[] = {
		{2000, 1, 0, 0},
		{2000, 2, 0, 0},
		{2000, 3, 0, 0},
		{2000, 7, 0, 0},
		{2000, 100, 0, 0},
		{2000, 100000, 0, 0},
		{700000, 5000, 0, 0},
		{3 << 20, 256 << 10, 1 << 20, 0},
		{3 << 20, 65536, 65536, 100},
		{1 << 20, 4 << 20, 1 << 20, 0},
		{65536, 1 << 20, 65536, 0},
		{131072, 1 << 20, 65536, 50},
		{(4 << 20) + 1, 1 << 20, 4096, 0},
	};
	for (size_t i = 0; i < unit_count(rows); i++)
		for (enum kind kind = PLAIN; kind <= ZSTD_FRAMES; kind++) {
			auto_buf struct buf tar = {0}, bytes = {0}, out = {0};
			struct err e = {0};
			unit_row("size %zu step %zu kind %d\n", rows[i].size, rows[i].step, kind);
			fill(&tar, rows[i].size, (uint32_t)i);
			make(kind, &tar, &bytes);
			assert_int_equal(pass(&bytes, rows[i].step, rows[i].pipe, rows[i].slow, &out, &e), 0);
			assert_int_equal(out.length, tar.length);
			assert_memory_equal(out.data, tar.data, tar.length);
		}
}

/* Members end at every place within a piece: the decoder may have read ahead past them. */
static void members_anywhere(void **state)
{
	auto_buf struct buf tar = {0}, bytes = {0};
	fill(&tar, 300, 5);
	for (size_t i = 0; i < 6; i++)
		add_gzip(&bytes, tar.data + i * 50, 50);
	for (size_t step = 1; step <= bytes.length; step++) {
		auto_buf struct buf out = {0};
		struct err e = {0};
		unit_row("step %zu\n", step);
		assert_int_equal(pass(&bytes, step, 0, 0, &out, &e), 0);
		assert_int_equal(out.length, tar.length);
		assert_memory_equal(out.data, tar.data, tar.length);
	}
}

static void damaged(void **state)
{
	auto_buf struct buf tar = {0};
	fill(&tar, 100000, 9);
	for (enum kind kind = GZIP; kind <= ZSTD_FRAMES; kind++) {
		auto_buf struct buf good = {0};
		make(kind, &tar, &good);
		for (size_t cut = 7; cut < good.length - 10; cut += good.length / 13) {
			struct buf bytes = {.data = good.data, .length = cut};
			auto_buf struct buf out = {0};
			struct err e = {0};
			unit_row("kind %d cut at %zu of %zu\n", kind, cut, good.length);
			int r = pass(&bytes, 1000, 0, 0, &out, &e);
			/* A cut between two members or frames is a whole stream. */
			if (r == 0)
				assert_true(kind == GZIP_MEMBERS || kind == ZSTD_FRAMES);
			else
				assert_int_equal(e.kind, ERR_INVALID);
		}
		if (kind == ZSTD || kind == ZSTD_FRAMES)
			continue; /* no checksum in these frames: the blob's digest is what counts */
		for (size_t at = 11; at < good.length - 10; at += good.length / 13) {
			auto_buf struct buf bytes = {0}, out = {0};
			struct err e = {0};
			unit_row("kind %d damaged at %zu of %zu\n", kind, at, good.length);
			buf_append(&bytes, good.data, good.length);
			bytes.data[at] ^= 0x10;
			int r = pass(&bytes, 1000, 0, 0, &out, &e);
			/* A flip in a member's time or system byte changes nothing. */
			if (r == 0) {
				assert_int_equal(out.length, tar.length);
				assert_memory_equal(out.data, tar.data, tar.length);
			}
		}
	}
	auto_buf struct buf bytes = {0}, out = {0};
	struct err e = {0};
	make(GZIP_PADDED, &tar, &bytes);
	buf_string(&bytes, "more");
	assert_int_equal(pass(&bytes, 1000, 0, 0, &out, &e), -1);
}

static void bombs(void **state)
{
	/* Zeros by the gigabyte, in zstd's few bytes. */
	auto_buf struct buf zeros = {0}, bytes = {0}, out = {0};
	struct err e = {0};
	memset(buf_reserve(&zeros, 64 << 20), 0, 64 << 20);
	zeros.length = 64 << 20;
	add_zstd(&bytes, zeros.data, zeros.length);
	assert_int_equal(pass(&bytes, 1000, 0, 0, &out, &e), -1);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_true(out.length <= (18 << 20));
	assert_non_null(strstr(e.what, "thousandfold"));
}

static void other_formats(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		enum err_kind kind;
	} rows[] = {
		{"\xfd\x37zXZ\0\0\4", 8, ERR_UNSUPPORTED},
		{"BZh91AY", 7, ERR_UNSUPPORTED},
		{"", 0, ERR_NONE},
		{"x", 1, ERR_NONE},
		{"\x1f\x8b", 2, ERR_NONE}, /* too short for gzip: passes as it is, and is no tar */
		{"\x1f\x8b\x08\x00", 4, ERR_INVALID},
		{"\x28\xb5\x2f\xfd", 4, ERR_INVALID},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct buf bytes = {.data = (char *)(uintptr_t)rows[i].bytes, .length = rows[i].length};
		auto_buf struct buf out = {0};
		struct err e = {0};
		unit_row("row %zu\n", i);
		int r = pass(&bytes, 100, 0, 0, &out, &e);
		assert_int_equal(r, rows[i].kind ? -1 : 0);
		assert_int_equal(e.kind, rows[i].kind);
		if (r == 0)
			assert_int_equal(out.length, rows[i].length);
	}
}

static void reader_gone(void **state)
{
	auto_buf struct buf tar = {0};
	int ends[2];
	struct err e = {0};

	signal(SIGPIPE, SIG_IGN);
	fill(&tar, 3 << 20, 1);
	assert_int_equal(fd_pipe(ends, 0), 0);
	close(ends[0]);
	struct inflate *f = inflate_new(ends[1], "the layer");
	assert_int_equal(inflate_feed(f, tar.data, tar.length, &e), -1);
	assert_int_equal(e.number, EPIPE);
	inflate_free(f);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(members_anywhere),
		cmocka_unit_test(damaged),
		cmocka_unit_test(bombs),
		cmocka_unit_test(other_formats),
		cmocka_unit_test(reader_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
