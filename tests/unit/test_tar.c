/*
 * test_tar.c - tar archives: what is written is read again, and what is damaged refused.
 *
 * `test_tar --list` and `test_tar --copy` work on stdin, for tar_oracle.py, which holds the
 * reader and the writer against GNU tar and Python's tarfile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive.h"
#include "base/sha256.h"

static struct tar_reader *open_archive(struct archive *a)
{
	struct err e;
	struct tar_reader *reader = tar_open(archive_read, a, &e);
	assert_non_null(reader);
	return reader;
}

static void close_archive(struct archive *a, struct tar_reader *reader)
{
	tar_close(reader);
	buf_free(&a->bytes);
}

/* Reads the entry's data into a buffer of entry->size bytes, holes as zeros. */
static char *all_data(struct tar_reader *reader, const struct tar_entry *entry)
{
	char *data = calloc(1, entry->size + 1);
	const void *bytes;
	uint64_t offset, end = 0;
	struct err e = {0};
	ssize_t n;

	while ((n = tar_data(reader, &bytes, &offset, &e)) > 0) {
		assert_true(offset >= end && offset + (uint64_t)n <= entry->size);
		end = offset + (uint64_t)n;
		memcpy(data + offset, bytes, (size_t)n);
	}
	assert_string_equal(e.what, "");
	assert_int_equal(n, 0);
	return data;
}

static void round_trip(void **state)
{
	static char name99[100], name100[101], deep[230], deepest[TAR_PATH_LIMIT + 1], big_value[5000];
	memset(name99, 'n', 99);
	memset(name100, 'm', 100);
	for (size_t i = 0; i < sizeof deep - 1; i++)
		deep[i] = i % 80 == 79 ? '/' : 'd';
	for (size_t i = 0; i < sizeof deepest - 1; i++)
		deepest[i] = i % 200 == 199 ? '/' : 'p';
	memset(big_value, '\1', sizeof big_value);
	const struct tar_xattr xattrs[] = {
		{"user.a", "b\0c\n=", 5}, {"user.empty", "", 0}, {"user.big", big_value, 5000}};
	const struct {
		struct tar_entry entry;
		const char *data;
	} rows[] = {
		{{.type = TAR_DIRECTORY, .path = "./", .mode = 0755}},
		{{.type = TAR_FILE, .path = "a", .mode = 04755, .uid = 1, .gid = 2, .mtime = 3}, "hello"},
		{{.type = TAR_FILE, .path = "empty", .mode = 0}, ""},
		{{.type = TAR_FILE, .path = name99, .mode = 0644}, "x"},
		{{.type = TAR_FILE, .path = name100, .mode = 0644}, "x"},
		{{.type = TAR_DIRECTORY, .path = name100, .mode = 0700}},
		{{.type = TAR_FILE, .path = deep, .mode = 0644}, "x"},
		{{.type = TAR_FILE, .path = deepest, .mode = 0644}, "x"},
		{{.type = TAR_SYMLINK, .path = "link", .link = "../../etc", .mode = 0777}},
		{{.type = TAR_SYMLINK, .path = "link2", .link = deepest, .mode = 0777}},
		{{.type = TAR_HARDLINK, .path = "hard", .link = "a", .mode = 0644}},
		{{.type = TAR_FILE, .path = "gr\xc3\xbc\xc3\x9f", .mode = 0644}, "x"},
		{{.type = TAR_FILE, .path = "bytes\xff\xfe", .mode = 0644}, "x"},
		{{.type = TAR_FILE, .path = "ids", .uid = 4294967294, .gid = 2097152, .mode = 0644}, "x"},
		{{.type = TAR_FILE, .path = "ids7", .uid = 2097151, .gid = 2097151, .mode = 0644}, "x"},
		{{.type = TAR_FILE, .path = "old", .mtime = -1, .mode = 0644}, "x"},
		{{.type = TAR_FILE, .path = "older", .mtime = -5, .mtime_nanoseconds = 250000000}, "x"},
		{{.type = TAR_FILE, .path = "time", .mtime = 5, .mtime_nanoseconds = 1}, "x"},
		{{.type = TAR_FILE, .path = "late", .mtime = 1LL << 40}, "x"},
		{{.type = TAR_CHARACTER, .path = "dev/null", .major = 1, .minor = 3, .mode = 0666}},
		{{.type = TAR_BLOCK, .path = "dev/sda", .major = 8, .minor = 70000, .mode = 0660}},
		{{.type = TAR_FIFO, .path = "fifo", .mode = 0600}},
		{{.type = TAR_FILE, .path = "xattrs", .xattrs = xattrs, .xattr_count = 3}, "data"},
		{{.type = TAR_DIRECTORY, .path = "dirx/", .xattrs = xattrs, .xattr_count = 1}},
	};
	for (size_t step = 0; step < 1200; step = step * 3 + 1) {
		struct archive a = {.step = step};
		struct tar_entry entry;
		struct err e;

		for (size_t i = 0; i < unit_count(rows); i++)
			archive_entry(
				&a, rows[i].entry, rows[i].data, rows[i].data ? strlen(rows[i].data) : 0);
		archive_end(&a);
		buf_append(&a.bytes, "trailing bytes", 14);
		struct tar_reader *reader = open_archive(&a);
		for (size_t i = 0; i < unit_count(rows); i++) {
			const struct tar_entry *want = &rows[i].entry;
			unit_row("%s\n", want->path);
			assert_int_equal(tar_next(reader, &entry, &e), 1);
			assert_int_equal(entry.type, want->type);
			size_t length = strlen(want->path);
			assert_memory_equal(entry.path, want->path, length);
			bool slash = want->type == TAR_DIRECTORY && want->path[length - 1] != '/';
			assert_string_equal(entry.path + length, slash ? "/" : "");
			assert_string_equal(entry.link, want->link ? want->link : "");
			assert_int_equal(entry.mode, want->mode);
			assert_int_equal(entry.uid, want->uid);
			assert_int_equal(entry.gid, want->gid);
			assert_int_equal(entry.mtime, want->mtime);
			assert_int_equal(entry.mtime_nanoseconds, want->mtime_nanoseconds);
			assert_int_equal(entry.major, want->major);
			assert_int_equal(entry.minor, want->minor);
			assert_int_equal(entry.xattr_count, want->xattr_count);
			for (size_t x = 0; x < entry.xattr_count; x++) {
				assert_string_equal(entry.xattrs[x].name, xattrs[x].name);
				assert_int_equal(entry.xattrs[x].size, xattrs[x].size);
				assert_memory_equal(entry.xattrs[x].value, xattrs[x].value, xattrs[x].size);
			}
			if (i % 2 == 0) { /* the others' data is left unread */
				char *data = all_data(reader, &entry);
				assert_string_equal(data, rows[i].data ? rows[i].data : "");
				free(data);
			}
		}
		assert_int_equal(tar_next(reader, &entry, &e), 0);
		/* All was read, what follows the end too. */
		assert_int_equal(a.read, a.bytes.length);
		assert_int_equal(tar_offset(reader), a.bytes.length);
		close_archive(&a, reader);
	}
}

#define RAW(...) archive_raw(a, (struct archive_raw){__VA_ARGS__})
#define PAX(...) archive_pax(a, 'x', (const char *const[]){__VA_ARGS__, NULL})

static void lone_header(struct archive *a)
{
	RAW(.name = "a", .size = "00000001000", .data = "", .data_size = 1);
	a->bytes.length -= 100;
}
static void half_block(struct archive *a)
{
	RAW(.name = "a");
	a->bytes.length -= 1;
}
static void bad_checksum(struct archive *a)
{
	RAW(.name = "a", .bad_checksum = true);
}
static void bad_octal(struct archive *a)
{
	RAW(.name = "a", .size = "0000000008x");
}
static void negative_size(struct archive *a)
{
	RAW(.name = "a", .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
}
static void overflowing_size(struct archive *a)
{
	RAW(.name = "a", .size = "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
}
static void huge_size(struct archive *a)
{
	RAW(.name = "a", .size = "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
}
static void pax_huge_size(struct archive *a)
{
	PAX("size=9223372036854775807");
	RAW(.name = "a");
}
static void pax_overflowing_size(struct archive *a)
{
	PAX("size=18446744073709551617");
	RAW(.name = "a");
}
static void pax_negative_size(struct archive *a)
{
	PAX("size=-1");
	RAW(.name = "a");
}
static void invalid_uid(struct archive *a)
{
	PAX("uid=4294967295");
	RAW(.name = "a");
}
static void negative_uid(struct archive *a)
{
	RAW(.name = "a", .uid = "\xff\xff\xff\xff\xff\xff\xff\xff");
}
static void pax_nul(struct archive *a)
{
	static const char record[] = "12 path=a\0b\n";
	RAW(.name = "pax", .type = 'x', .size = "00000000014", .data = record,
		.data_size = sizeof record - 1);
	RAW(.name = "a");
}
static void pax_cut(struct archive *a)
{
	RAW(.name = "pax", .type = 'x', .size = "00000000011", .data = "99 path=a\n", .data_size = 10);
	RAW(.name = "a");
}
static void pax_no_equals(struct archive *a)
{
	RAW(.name = "pax", .type = 'x', .size = "00000000011", .data = "9 pathxa\n", .data_size = 9);
	RAW(.name = "a");
}
static void pax_length_zero(struct archive *a)
{
	RAW(.name = "pax", .type = 'x', .size = "00000000011", .data = "0 path=a\n", .data_size = 9);
	RAW(.name = "a");
}
static void pax_too_large(struct archive *a)
{
	static char data[TAR_PAX_LIMIT + 1];
	RAW(.name = "pax", .type = 'x', .size = "00004000001", .data = data, .data_size = sizeof data);
}
static void pax_alone(struct archive *a)
{
	PAX("path=a");
}
static void pax_before_end(struct archive *a)
{
	PAX("path=a");
	archive_end(a);
}
static void long_name_too_large(struct archive *a)
{
	static char data[TAR_LONG_NAME_LIMIT + 1];
	RAW(.name = "././@LongLink", .type = 'L', .size = "00000200001", .data = data,
		.data_size = sizeof data);
}
static void long_path(struct archive *a)
{
	static char data[TAR_PATH_LIMIT + 1];
	memset(data, 'a', sizeof data);
	RAW(.name = "././@LongLink", .type = 'L', .size = "00000010000", .data = data,
		.data_size = sizeof data);
	RAW(.name = "a");
}
static void lone_empty_block(struct archive *a)
{
	static const char block[512];
	RAW(.name = "a");
	buf_append(&a->bytes, block, sizeof block);
	RAW(.name = "b");
}
static void unknown_type(struct archive *a)
{
	RAW(.name = "a", .type = 'Q');
}
static void xattr_too_large(struct archive *a)
{
	static char record[TAR_XATTR_LIMIT + 32] = "SCHILY.xattr.user.a=";
	memset(record + 20, 'v', TAR_XATTR_LIMIT + 1);
	PAX(record);
	RAW(.name = "a");
}
static void sparse_overlap(struct archive *a)
{
	PAX("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=100", "GNU.sparse.map=0,10,5,10");
	RAW(.name = "a", .size = "00000000024", .data = "", .data_size = 1);
}
static void sparse_past_end(struct archive *a)
{
	PAX("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=100", "GNU.sparse.map=95,10");
	RAW(.name = "a", .size = "00000000012", .data = "", .data_size = 1);
}
static void sparse_overflow(struct archive *a)
{
	PAX("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=100",
		"GNU.sparse.map=9223372036854775807,9223372036854775807");
	RAW(.name = "a", .size = "00000000012", .data = "", .data_size = 1);
}
static void sparse_short(struct archive *a)
{
	PAX("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=100", "GNU.sparse.map=0,5");
	RAW(.name = "a", .size = "00000000012", .data = "", .data_size = 1);
}
static void sparse_odd(struct archive *a)
{
	PAX("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=100", "GNU.sparse.map=0,10,");
	RAW(.name = "a", .size = "00000000012", .data = "", .data_size = 1);
}
static void sparse_unfinished(struct archive *a)
{
	PAX("GNU.sparse.size=100", "GNU.sparse.numblocks=1", "GNU.sparse.offset=0");
	RAW(.name = "a", .size = "00000000012", .data = "", .data_size = 1);
}
static void sparse_bomb(struct archive *a)
{
	PAX("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=9223372036854775807",
		"GNU.sparse.map=0,0");
	RAW(.name = "a");
}
static void sparse_bombs(struct archive *a)
{
	for (int i = 0; i < 3; i++) {
		PAX("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=34359738367",
			"GNU.sparse.map=0,0");
		RAW(.name = "a");
	}
}
static void sparse_many(struct archive *a)
{
	PAX("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=100");
	RAW(.name = "a", .size = "00000001000", .data = "99999999999999\n", .data_size = 15);
}
static void sparse_endless(struct archive *a)
{
	char row[24] = "0000000000000000000000";
	RAW(.name = "a", .type = 'S', .magic = "ustar  ", .at = "\1", .at_offset = 482, .at_size = 1);
	for (int i = 0; i < 4000; i++) {
		char block[512] = {0};
		for (int at = 0; at < 21; at++)
			memcpy(block + at * 24, row, 24);
		block[504] = 1;
		buf_append(&a->bytes, block, sizeof block);
	}
}
static void sparse_map_only(struct archive *a)
{
	PAX("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=100");
	RAW(.name = "a", .size = "00000000004", .data = "2\n0\n", .data_size = 4);
}
static void sparse_unknown(struct archive *a)
{
	PAX("GNU.sparse.major=2", "GNU.sparse.minor=0", "GNU.sparse.realsize=100");
	RAW(.name = "a");
}

static void refused(void **state)
{
	static const struct {
		const char *name;
		void (*make)(struct archive *a);
		const char *message;
	} rows[] = {
		{"data cut", lone_header, "ends too early"},
		{"header cut", half_block, "ends too early"},
		{"checksum", bad_checksum, "checksum"},
		{"octal", bad_octal, "size is malformed"},
		{"negative size", negative_size, "size is malformed"},
		{"overflowing size", overflowing_size, "size is malformed"},
		{"huge size", huge_size, "too large"},
		{"pax huge size", pax_huge_size, "too large"},
		{"pax overflowing size", pax_overflowing_size, "size is malformed"},
		{"pax negative size", pax_negative_size, "size is malformed"},
		{"uid -1", invalid_uid, "user id"},
		{"negative uid", negative_uid, "malformed number"},
		{"NUL in a pax path", pax_nul, "holds a NUL"},
		{"pax record cut", pax_cut, "extended header is malformed"},
		{"pax record without =", pax_no_equals, "extended header is malformed"},
		{"pax record of length 0", pax_length_zero, "extended header is malformed"},
		{"pax too large", pax_too_large, "extended header has"},
		{"pax at the end of the file", pax_alone, "ends too early"},
		{"pax before the end", pax_before_end, "empty block"},
		{"long name too large", long_name_too_large, "extended header has"},
		{"path of 4096 bytes", long_path, "name has 4096 bytes"},
		{"empty block between", lone_empty_block, "empty block"},
		{"unknown type", unknown_type, "unknown type \"Q\""},
		{"xattr too large", xattr_too_large, "extended attribute has"},
		{"sparse overlap", sparse_overlap, "overlap"},
		{"sparse past the end", sparse_past_end, "pass its end"},
		{"sparse overflow", sparse_overflow, "pass its end"},
		{"sparse map shorter than data", sparse_short, "does not match its data"},
		{"sparse map odd", sparse_odd, "map is malformed"},
		{"sparse 0.0 without numbytes", sparse_unfinished, "pass its end"},
		{"sparse bomb", sparse_bomb, "too large"},
		{"many sparse bombs", sparse_bombs, "sparse files are too large"},
		{"sparse 1.0 with too many parts", sparse_many, "more than 65536 parts"},
		{"old sparse without end", sparse_endless, "more than 65536 parts"},
		{"sparse 1.0 with half a map", sparse_map_only, "longer than its data"},
		{"sparse of an unknown format", sparse_unknown, "unknown format"},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		for (size_t step = 0; step < 1000; step += 511) {
			struct archive a = {.step = step};
			struct tar_entry entry;
			struct err e = {0};
			int status;

			unit_row("%s\n", rows[i].name);
			rows[i].make(&a);
			struct tar_reader *reader = open_archive(&a);
			while ((status = tar_next(reader, &entry, &e)) == 1)
				;
			assert_int_equal(status, -1);
			assert_int_equal(e.kind, ERR_INVALID);
			if (!strstr(e.what, rows[i].message))
				fail_msg("%s", e.what);
			close_archive(&a, reader);
		}
	}
}

/* What is odd, but what others take too. */
static void accepted(void **state)
{
	struct archive archive = {0}, *a = &archive;
	struct tar_entry entry;
	struct err e;

	archive_pax(a, 'g', (const char *const[]){"comment=x", "uid=7", "path=global", NULL});
	RAW(.name = "dir/", .zero_type = true, .magic = "\0\0\0\0\0\0\0");
	RAW(.name = "b", .type = '2', .link = "c", .size = "00000001000"); /* no data all the same */
	PAX("path=first", "mtime=1.5");
	PAX("path=second", "gid=9");
	RAW(.name = "third", .uid = "       ", .mode = "  644  ");
	PAX("path=", "path=x", "path=", "uid=");
	RAW(.name = "fourth", .uid = "0000003", .mtime = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe");
	RAW(.name = "././@LongLink", .type = 'L', .size = "00000000006", .data = "fifth\0", .data_size = 6);
	RAW(.name = "fif", .magic = "ustar  ", .size = "00000000003", .data = "abc", .data_size = 3);
	RAW(.name = "label", .type = 'V');
	struct tar_reader *reader = open_archive(a);
	assert_int_equal(tar_next(reader, &entry, &e), 1);
	assert_int_equal(entry.type, TAR_DIRECTORY);
	assert_string_equal(entry.path, "dir/");
	assert_int_equal(entry.uid, 7);
	assert_int_equal(tar_next(reader, &entry, &e), 1);
	assert_int_equal(entry.type, TAR_SYMLINK);
	assert_string_equal(entry.link, "c");
	assert_int_equal(tar_next(reader, &entry, &e), 1);
	assert_string_equal(entry.path, "second");
	assert_int_equal(entry.mtime, 0);
	assert_int_equal(entry.gid, 9);
	assert_int_equal(entry.uid, 7);
	assert_int_equal(entry.mode, 0644);
	assert_int_equal(tar_next(reader, &entry, &e), 1);
	assert_string_equal(entry.path, "fourth");
	assert_int_equal(entry.uid, 3);
	assert_int_equal(entry.mtime, -2);
	assert_int_equal(tar_next(reader, &entry, &e), 1);
	assert_string_equal(entry.path, "fifth");
	char *data = all_data(reader, &entry);
	assert_string_equal(data, "abc");
	free(data);
	assert_int_equal(tar_next(reader, &entry, &e), 0);
	close_archive(a, reader);
}

static ssize_t fails(void *context, void *bytes, size_t size)
{
	return -EIO;
}

static void read_error(void **state)
{
	struct err e;
	struct tar_entry entry;
	struct tar_reader *reader = tar_open(fails, NULL, &e);
	assert_int_equal(tar_next(reader, &entry, &e), -1);
	assert_int_equal(e.kind, ERR_SYSTEM);
	assert_int_equal(e.number, EIO);
	tar_close(reader);
}

static void writer_refuses(void **state)
{
	struct archive a = {0};
	struct tar_writer w = {.write = archive_sink, .context = &a};
	char path[TAR_PATH_LIMIT + 2];

	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(tar_write_entry(&w, &(struct tar_entry){.type = TAR_FILE, .path = path}), -EINVAL);
	assert_int_equal(tar_write_entry(&w, &(struct tar_entry){.type = TAR_FILE, .path = ""}), -EINVAL);
	assert_int_equal(
		tar_write_entry(&w, &(struct tar_entry){.type = TAR_FILE, .path = "a", .size = 2}), 0);
	assert_int_equal(tar_write_data(&w, "abc", 3), -EINVAL);
	assert_int_equal(tar_write_data(&w, "a", 1), 0);
	assert_int_equal(tar_write_entry(&w, &(struct tar_entry){.type = TAR_FILE, .path = "b"}), -EINVAL);
	assert_int_equal(tar_write_end(&w), -EINVAL);
	buf_free(&a.bytes);
}

static ssize_t read_stdin(void *context, void *bytes, size_t size)
{
	ssize_t n = read(STDIN_FILENO, bytes, size);
	return n < 0 ? -errno : n;
}

static int write_stdout(void *context, const void *bytes, size_t size)
{
	return fwrite(bytes, 1, size, stdout) == size ? 0 : -EIO;
}

static void put_quoted(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf(text[i] > ' ' && text[i] < 127 && text[i] != '\\' ? "%c" : "\\%03o",
			(unsigned char)text[i]);
}

/* One line an entry: what tar_oracle.py prints for tarfile's idea of it. */
static void list_entry(const struct tar_entry *entry, const char *data)
{
	static const char types[] = "flsdcbp";
	char hex[SHA256_HEX_SIZE] = "-";

	if (entry->type == TAR_FILE) {
		struct sha256 sha;
		unsigned char digest[SHA256_SIZE];
		sha256_init(&sha);
		sha256_update(&sha, data, entry->size);
		sha256_final(&sha, digest);
		sha256_hex(digest, hex);
	}
	printf("%c ", types[entry->type]);
	put_quoted(entry->path, strlen(entry->path));
	printf(" ");
	put_quoted(entry->link, strlen(entry->link));
	printf(" %o %u %u %lld.%09u %u,%u %s", entry->mode, entry->uid, entry->gid, (long long)entry->mtime,
		entry->mtime_nanoseconds, entry->major, entry->minor, hex);
	for (size_t i = 0; i < entry->xattr_count; i++) {
		printf(" %s=", entry->xattrs[i].name);
		put_quoted(entry->xattrs[i].value, entry->xattrs[i].size);
	}
	printf("\n");
}

static int work_on_stdin(bool copy)
{
	struct tar_writer w = {.write = write_stdout};
	struct tar_entry entry;
	struct err e = {0};
	struct tar_reader *reader = tar_open(read_stdin, NULL, &e);
	int status;

	while ((status = tar_next(reader, &entry, &e)) == 1) {
		char *data = all_data(reader, &entry);
		if (!copy)
			list_entry(&entry, data);
		else if (tar_write_entry(&w, &entry) < 0 ||
			 (entry.size && tar_write_data(&w, data, entry.size) < 0))
			return 1;
		free(data);
	}
	if (copy && tar_write_end(&w) < 0)
		return 1;
	tar_close(reader);
	if (status < 0)
		fprintf(stderr, "%s\n", e.what);
	return status < 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(refused),
		cmocka_unit_test(accepted),
		cmocka_unit_test(read_error),
		cmocka_unit_test(writer_refuses),
	};
	if (argc > 1)
		return work_on_stdin(!strcmp(argv[1], "--copy"));
	return cmocka_run_group_tests_name("tar", tests, NULL, NULL);
}
