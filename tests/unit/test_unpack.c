/*
 * test_unpack.c - archives become trees, hostile ones do not.
 *
 * Needs root. `test_unpack --unpack FOLDER [one-owner] [apply]` unpacks stdin, for
 * comparisons with other programs and for measurements.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "archive.h"
#include "base/fd.h"
#include "store/unpack.h"

/* A folder with "tree" in it, and beside that "outside", which nothing may touch. */
struct place {
	char path[64];
	int fd, tree;
};

static struct place make_place(void)
{
	struct place place = {.path = "/var/tmp/brig-test-unpack.XXXXXX"};

	assert_non_null(mkdtemp(place.path));
	place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(place.fd, "tree", 0755), 0);
	assert_int_equal(mkdirat(place.fd, "outside", 0755), 0);
	place.tree = openat(place.fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return place;
}

/* Makes the tree anew. */
static void clear_place(struct place *place)
{
	close(place->tree);
	assert_int_equal(fd_remove_tree(place->fd, "tree"), 0);
	assert_int_equal(mkdirat(place->fd, "tree", 0755), 0);
	place->tree = openat(place->fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void drop_place(struct place *place)
{
	/* Still empty. */
	assert_int_equal(unlinkat(place->fd, "outside", AT_REMOVEDIR), 0);
	close(place->tree);
	close(place->fd);
	assert_int_equal(fd_remove_tree(AT_FDCWD, place->path), 0);
}

/* Unpacks the archive, which is used up, as options say (input and directory are set here). */
static int run(struct place *place, struct archive *a, struct unpack_options options,
	struct unpack_result *result, struct err *e)
{
	int input = memfd_create("archive", MFD_CLOEXEC);
	struct unpack unpack;

	assert_int_equal(fd_write_full(input, a->bytes.data, a->bytes.length), 0);
	assert_int_equal(lseek(input, 0, SEEK_SET), 0);
	options.input = input;
	options.directory = place->tree;
	*e = (struct err){0};
	assert_int_equal(unpack_start(&options, &unpack, e), 0);
	int rc = unpack_finish(&unpack, result, e);
	close(input);
	buf_free(&a->bytes);
	return rc;
}

static void must_run(struct place *place, struct archive *a, enum unpack_whiteouts whiteouts)
{
	struct unpack_result result;
	struct err e;
	archive_end(a);
	if (run(place, a, (struct unpack_options){.whiteouts = whiteouts}, &result, &e) < 0)
		fail_msg("%s", e.what);
	assert_true(result.jailed);
}

/* What is there: "-" nothing, "d", "f:CONTENT", "l:TARGET", "w" a whiteout, "c:1,3", "p", and "o" before it
 * where it is opaque. */
static const char *look(struct place *place, const char *path, char out[256])
{
	struct stat st;
	char value[8];

	if (fstatat(place->tree, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		assert_true(errno == ENOENT || errno == ENOTDIR);
		return "-";
	}
	int fd = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)
			 ? openat(place->tree, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
			 : -1;
	strcpy(out, "?");
	if (S_ISDIR(st.st_mode)) {
		ssize_t n = fgetxattr(fd, "user.overlay.opaque", value, sizeof value);
		strcpy(out, n == 1 && *value == 'y' ? "od" : "d");
	} else if (S_ISREG(st.st_mode)) {
		strcpy(out, "f:");
		ssize_t n = read(fd, out + 2, 200);
		out[n + 2] = '\0';
	} else if (S_ISLNK(st.st_mode)) {
		strcpy(out, "l:");
		ssize_t n = readlinkat(place->tree, path, out + 2, 200);
		out[n + 2] = '\0';
	} else if (S_ISCHR(st.st_mode) && st.st_rdev == 0) {
		strcpy(out, "w");
	} else if (S_ISCHR(st.st_mode)) {
		sprintf(out, "c:%u,%u", major(st.st_rdev), minor(st.st_rdev));
	} else if (S_ISFIFO(st.st_mode)) {
		strcpy(out, "p");
	}
	if (fd >= 0)
		close(fd);
	return out;
}

#define F(path, text)                                                                                        \
	{                                                                                                    \
		TAR_FILE, path, text                                                                         \
	}
#define D(path)                                                                                              \
	{                                                                                                    \
		TAR_DIRECTORY, path, ""                                                                      \
	}
#define S(path, text)                                                                                        \
	{                                                                                                    \
		TAR_SYMLINK, path, text                                                                      \
	}
#define H(path, text)                                                                                        \
	{                                                                                                    \
		TAR_HARDLINK, path, text                                                                     \
	}

struct row {
	const char *what;
	struct {
		enum tar_type type;
		const char *path, *text;
	} entries[10];
	const char *error; /* part of the message, or NULL */
	struct {
		const char *path, *look;
	} expect[8];
};

static void check_rows(const struct row *rows, size_t count, enum unpack_whiteouts whiteouts,
	void (*prepare)(struct place *place))
{
	struct place place = make_place();

	for (size_t i = 0; i < count; i++) {
		struct archive a = {0};
		struct unpack_result result;
		struct err e;
		char text[256];

		unit_row("%s\n", rows[i].what);
		clear_place(&place);
		if (prepare)
			prepare(&place);
		for (size_t n = 0; n < unit_count(rows[i].entries) && rows[i].entries[n].path; n++)
			archive_put(&a, rows[i].entries[n].type, rows[i].entries[n].path, 0755,
				rows[i].entries[n].text);
		archive_end(&a);
		int rc = run(&place, &a, (struct unpack_options){.whiteouts = whiteouts}, &result, &e);
		if (rows[i].error) {
			assert_int_equal(rc, -1);
			if (!strstr(e.what, rows[i].error))
				fail_msg("%s", e.what);
			assert_int_equal(e.kind, ERR_INVALID);
		} else if (rc < 0) {
			fail_msg("%s", e.what);
		}
		for (size_t n = 0; n < unit_count(rows[i].expect) && rows[i].expect[n].path; n++)
			assert_string_equal(
				look(&place, rows[i].expect[n].path, text), rows[i].expect[n].look);
	}
	drop_place(&place);
}

static void names(void **state)
{
	static const char long_name[] = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
					"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
					"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
					"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
					"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
	static const struct row rows[] = {
		{"absolute", {F("/etc/passwd", "x")}, NULL, {{"etc/passwd", "f:x"}, {"etc", "d"}}},
		{"dots and slashes", {F(".//a/./b//c", "x")}, NULL, {{"a/b/c", "f:x"}}},
		{"..", {F("../outside/x", "x")}, "\"..\"", {{"outside/x", "-"}}},
		{".. inside", {D("a"), F("a/../b", "x")}, "\"..\"", {{"b", "-"}}},
		{".. at the end", {D("a/..")}, "\"..\"", {{"a", "-"}}},
		{"absolute ..", {F("/../../outside/x", "x")}, "\"..\"", {{"outside/x", "-"}}},
		{"component too long", {F(long_name, "x")}, "255 bytes", {{"a", "-"}}},
		{"file without a name", {F("./", "x")}, "has no name", {{"a", "-"}}},
		{"below a file", {F("a", "x"), F("a/b", "x")}, "no folder", {{"a", "f:x"}}},
		{"merged /usr",
			{D("usr/lib"), S("lib", "usr/lib"), F("lib/x", "1"), D("lib/d"), F("lib/d/y", "2")},
			NULL, {{"lib", "l:usr/lib"}, {"usr/lib/x", "f:1"}, {"usr/lib/d/y", "f:2"}}},
		{"absolute link to a folder", {D("usr/lib"), S("lib", "/usr/lib"), F("lib/x", "1")}, NULL,
			{{"lib", "l:/usr/lib"}, {"usr/lib/x", "f:1"}}},
		{"link out with ..", {S("out", "../outside"), F("out/x", "1")}, "leads to no folder",
			{{"outside", "-"}}},
		{"link far out", {S("out", "../../../../../../../../var/tmp"), F("out/brig-test-x", "1")},
			"leads to no folder", {{"outside", "-"}}},
		{"link out that exists inside", {D("outside"), S("out", "../outside"), F("out/x", "1")}, NULL,
			{{"outside/x", "f:1"}}},
		{"chain of links",
			{D("outside"), S("a", "b"), S("b", "../../c"), S("c", "/outside"), F("a/x", "1")},
			NULL, {{"outside/x", "f:1"}}},
		{"lexically inside, really out",
			{D("d/e"), S("l", "d/e"), S("d/e/up", "../../../outside"), F("l/up/x", "1")},
			"leads to no folder", {{"d/e/x", "-"}}},
		{"loop of links", {S("a", "b"), S("b", "a"), F("a/x", "1")}, "leads to no folder",
			{{"x", "-"}}},
		{"last component not followed", {F("t", "old"), S("l", "t"), F("l", "new")}, NULL,
			{{"t", "f:old"}, {"l", "f:new"}}},
		{"last component, absolute link", {S("l", "/outside/x"), F("l", "new")}, NULL,
			{{"l", "f:new"}, {"outside/x", "-"}}},
		{"folder over a link", {D("t"), F("t/x", "1"), S("l", "t"), D("l"), F("l/y", "2")}, NULL,
			{{"l", "d"}, {"l/y", "f:2"}, {"t/y", "-"}, {"t/x", "f:1"}}},
		{"link over a folder", {D("a"), F("a/x", "1"), D("b"), S("a", "b"), F("a/y", "2")}, NULL,
			{{"a", "l:b"}, {"b/y", "f:2"}, {"b/x", "-"}}},
		{"link to proc", {S("p", "/proc/self/root"), F("p/x", "1")}, "leads to no folder",
			{{"x", "-"}}},
		{"file, folder, file", {F("a", "1"), D("a"), F("a/b", "2"), F("a", "3")}, NULL,
			{{"a", "f:3"}}},
		{"folder, file, folder", {D("a"), F("a/b", "1"), F("a", "2"), D("a"), F("a/c", "3")}, NULL,
			{{"a", "d"}, {"a/b", "-"}, {"a/c", "f:3"}}},
		{"folder twice", {D("a"), F("a/b", "1"), D("a"), F("a/c", "3")}, NULL,
			{{"a/b", "f:1"}, {"a/c", "f:3"}}},
		{"file twice", {F("a", "one"), F("a", "2")}, NULL, {{"a", "f:2"}}},
		{"implied folders", {F("a/b/c", "1")}, NULL, {{"a/b", "d"}, {"a/b/c", "f:1"}}},
		{"fifo", {{TAR_FIFO, "p", ""}}, NULL, {{"p", "p"}}},
	};
	check_rows(rows, unit_count(rows), UNPACK_WHITEOUTS_OVERLAY, NULL);
}

static void hard_links(void **state)
{
	static const struct row rows[] = {
		{"plain", {F("a", "1"), H("b", "a"), H("d/c", "/./a")}, NULL, {{"b", "f:1"}, {"d/c", "f:1"}}},
		{"missing", {H("b", "a")}, "not there", {{"b", "-"}}},
		{"missing folder", {H("b", "x/a")}, "not there", {{"b", "-"}, {"x", "-"}}},
		{"outside", {H("b", "../outside")}, "\"..\"", {{"b", "-"}}},
		{"absolute", {H("b", "/etc/passwd")}, "not there", {{"b", "-"}}},
		{"through a link out", {S("l", "/etc"), H("b", "l/passwd")}, "leads to no folder",
			{{"b", "-"}}},
		{"through a link up", {S("l", "../.."), H("b", "l/etc/passwd")}, "not there", {{"b", "-"}}},
		{"to a link", {S("l", "/etc/passwd"), H("b", "l")}, NULL, {{"b", "l:/etc/passwd"}}},
		{"to a link, then a file", {S("l", "/outside/x"), H("b", "l"), F("b", "1")}, NULL,
			{{"b", "f:1"}, {"outside/x", "-"}}},
		{"to a folder", {D("d"), H("b", "d")}, "to a folder", {{"b", "-"}}},
		{"to nothing", {H("b", "")}, "not there", {{"b", "-"}}},
		{"to itself", {F("a", "1"), H("a", "a")}, NULL, {{"a", "f:1"}}},
		{"twice", {F("a", "1"), H("b", "a"), H("b", "a")}, NULL, {{"b", "f:1"}, {"a", "f:1"}}},
		{"over a file", {F("a", "1"), F("b", "2"), H("b", "a")}, NULL, {{"b", "f:1"}}},
		{"over a folder", {F("a", "1"), F("b/c", "2"), H("b", "a")}, NULL, {{"b", "f:1"}}},
		{"over the folder it is in", {F("b/c", "2"), H("b", "b/c")}, "cannot be written",
			{{"b", "-"}}},
		{"to a whiteout", {F(".wh.a", ""), H("b", "a")}, "not there", {{"b", "-"}}},
		{"to one that is replaced", {F("a", "1"), H("b", "a"), F("a", "2")}, NULL,
			{{"a", "f:2"}, {"b", "f:1"}}},
		{"far down",
			{F("1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/a",
				 "1"),
				F("o/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/"
				  "7/8/a",
					"2"),
				D("x"),
				H("x/b", "1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/"
					 "4/5/6/7/8/a")},
			NULL, {{"x/b", "f:1"}}},
	};
	for (size_t i = 0; i < unit_count(rows); i++) {
		/* The one row that is a system error. */
		if (!strcmp(rows[i].what, "over the folder it is in"))
			continue;
		check_rows(&rows[i], 1, UNPACK_WHITEOUTS_OVERLAY, NULL);
	}
}

/* The same rows where there is no right to make a jail: names must not lead out all the same. */
static void without_jail(void **state)
{
	pid_t pid = fork();

	if (!pid) {
		struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
		struct __user_cap_data_struct data[2];
		struct place place = make_place();
		struct archive a = {0};
		struct unpack_result result;
		struct err e;

		syscall(SYS_capget, &header, data);
		data[0].effective = data[0].permitted &= ~(1U << CAP_SYS_ADMIN);
		if (syscall(SYS_capset, &header, data) < 0)
			_exit(1);
		archive_end(&a);
		assert_int_equal(run(&place, &a, (struct unpack_options){0}, &result, &e), 0);
		assert_false(result.jailed);
		drop_place(&place);
		names(state);
		hard_links(state);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void overlay_whiteouts(void **state)
{
	static const struct row rows[] = {
		{"whiteout", {F(".wh.a", ""), F("d/.wh.b", "")}, NULL,
			{{"a", "w"}, {"d/b", "w"}, {".wh.a", "-"}}},
		{"opaque", {D("d"), F("d/.wh..wh..opq", ""), F("d/x", "1")}, NULL,
			{{"d", "od"}, {"d/x", "f:1"}, {"d/.wh..wh..opq", "-"}}},
		{"opaque after", {F("d/x", "1"), F("d/.wh..wh..opq", "")}, NULL,
			{{"d", "od"}, {"d/x", "f:1"}}},
		{"aufs", {F(".wh..wh.aufs", ""), F(".wh..wh.plnk/12.34", ""), D(".wh..wh.orph")}, NULL,
			{{".wh..wh.aufs", "-"}, {".wh..wh.plnk", "-"}, {".wh..wh.orph", "-"}}},
		{"of nothing", {F(".wh.", "")}, "of nothing", {{".wh.", "-"}}},
		{"of .", {F("a/.wh..", "")}, "of nothing", {{"a", "-"}}},
		{"of ..", {F("a/.wh...", "")}, "of nothing", {{"a", "-"}}},
		{"a folder of that name", {F(".wh.a/b", "")}, "below a whiteout", {{"a", "-"}}},
		{"then a file", {F(".wh.a", ""), F("a", "1")}, NULL, {{"a", "f:1"}}},
		{"then a folder", {F(".wh.a", ""), D("a"), F("a/x", "1")}, NULL,
			{{"a", "od"}, {"a/x", "f:1"}}},
		{"then an implied folder", {F(".wh.a", ""), F("a/x", "1")}, NULL,
			{{"a", "od"}, {"a/x", "f:1"}}},
		{"after a file", {F("a", "1"), F(".wh.a", "")}, NULL, {{"a", "f:1"}}},
		{"after a folder", {F("a/x", "1"), F(".wh.a", "")}, NULL, {{"a", "od"}, {"a/x", "f:1"}}},
		{"twice", {F(".wh.a", ""), F(".wh.a", "")}, NULL, {{"a", "w"}}},
		{"through a link", {D("t"), S("l", "t"), F("l/.wh.a", "")}, NULL, {{"t/a", "w"}}},
		{"any type", {D(".wh.a"), S(".wh.b", "x")}, NULL, {{"a", "w"}, {"b", "w"}}},
	};
	check_rows(rows, unit_count(rows), UNPACK_WHITEOUTS_OVERLAY, NULL);
}

/* The layer below: old, d/old, d/sub/old, e/old, l -> d */
static void below(struct place *place)
{
	struct archive a = {0};
	archive_put(&a, TAR_FILE, "old", 0644, "0");
	archive_put(&a, TAR_FILE, "d/old", 0644, "0");
	archive_put(&a, TAR_FILE, "d/sub/old", 0644, "0");
	archive_put(&a, TAR_FILE, "e/old", 0644, "0");
	archive_put(&a, TAR_SYMLINK, "l", 0777, "d");
	must_run(place, &a, UNPACK_WHITEOUTS_APPLY);
}

static void applied_whiteouts(void **state)
{
	static const struct row rows[] = {
		{"file", {F(".wh.old", "")}, NULL, {{"old", "-"}, {".wh.old", "-"}, {"d/old", "f:0"}}},
		{"folder", {F(".wh.d", "")}, NULL, {{"d", "-"}, {"e/old", "f:0"}}},
		{"link", {F(".wh.l", "")}, NULL, {{"l", "-"}, {"d/old", "f:0"}}},
		{"in a folder", {F("d/.wh.old", "")}, NULL, {{"d/old", "-"}, {"d/sub/old", "f:0"}}},
		{"through a link", {F("l/.wh.old", "")}, NULL, {{"d/old", "-"}, {"l", "l:d"}}},
		{"what is not there", {F(".wh.no", ""), F("no/.wh.no", "")}, NULL,
			{{"no", "-"}, {"old", "f:0"}}},
		{"opaque", {D("d"), F("d/.wh..wh..opq", ""), F("d/new", "1")}, NULL,
			{{"d/old", "-"}, {"d/sub", "-"}, {"d/new", "f:1"}, {"e/old", "f:0"}}},
		{"opaque, late", {D("d"), F("d/new", "1"), F("d/sub/new", "2"), F("d/.wh..wh..opq", "")},
			NULL, {{"d/old", "-"}, {"d/sub/old", "-"}, {"d/new", "f:1"}, {"d/sub/new", "f:2"}}},
		{"opaque root", {F("new", "1"), F(".wh..wh..opq", "")}, NULL,
			{{"old", "-"}, {"d", "-"}, {"e", "-"}, {"l", "-"}, {"new", "f:1"}}},
		{"whiteout, then a folder", {F(".wh.d", ""), D("d"), F("d/new", "1")}, NULL,
			{{"d/old", "-"}, {"d/new", "f:1"}}},
		{"folder, then its whiteout", {D("d"), F("d/new", "1"), F(".wh.d", "")}, NULL,
			{{"d/old", "-"}, {"d/sub", "-"}, {"d/new", "f:1"}}},
		{"file, then its whiteout", {F("old", "1"), F(".wh.old", "")}, NULL, {{"old", "f:1"}}},
		{"implied folder, then its whiteout", {F("d/sub/new", "1"), F(".wh.d", "")}, NULL,
			{{"d/old", "-"}, {"d/sub/old", "-"}, {"d/sub/new", "f:1"}}},
		{"file over a folder", {F("d", "1")}, NULL, {{"d", "f:1"}}},
		{"folder over a link", {D("l"), F("l/new", "1")}, NULL,
			{{"l", "d"}, {"d/new", "-"}, {"l/new", "f:1"}}},
		{"hard link to below", {H("new", "d/old")}, NULL, {{"new", "f:0"}}},
	};
	check_rows(rows, unit_count(rows), UNPACK_WHITEOUTS_APPLY, below);
}

static void metadata(void **state)
{
	static const unsigned char v2[20] = {1, 0, 0, 2, 0, 0x20}, v3[24] = {0, 0, 0, 3, 0, 0x20},
				   v1[12] = {0, 0, 0, 1};
	const struct tar_xattr file_xattrs[] = {
		{"security.capability", (const char *)v2, sizeof v2},
		{"user.kept", "value", 5},
		{"user.overlay.redirect", "/x", 2},
		{"user.overlay.opaque", "y", 1},
		{"trusted.overlay.redirect", "/x", 2},
		{"trusted.x", "x", 1},
		{"security.selinux", "x", 1},
		{"security.ima", "x", 1},
		{"system.posix_acl_access", "x", 1},
	};
	const struct tar_xattr v3_xattr = {"security.capability", (const char *)v3, sizeof v3};
	const struct tar_xattr bad[] = {{"security.capability", (const char *)v1, sizeof v1},
		{"security.capability", (const char *)v2, 19}, {"security.capability", (const char *)v3, 20}};
	struct place place = make_place();
	struct archive a = {0};
	struct unpack_result result;
	struct err e;
	struct stat st;
	char value[64];

	archive_entry(&a,
		(struct tar_entry){
			.type = TAR_DIRECTORY, .path = "./", .mode = 0711, .uid = 3, .gid = 4, .mtime = 77},
		"", 0);
	archive_entry(&a,
		(struct tar_entry){.type = TAR_DIRECTORY,
			.path = "d",
			.mode = 0555,
			.mtime = 1000,
			.mtime_nanoseconds = 500000000,
			.xattrs = file_xattrs,
			.xattr_count = 4},
		"", 0);
	archive_entry(&a,
		(struct tar_entry){.type = TAR_FILE,
			.path = "d/suid",
			.mode = 06755,
			.uid = 1000,
			.gid = 1001,
			.mtime = 2000,
			.xattrs = file_xattrs,
			.xattr_count = unit_count(file_xattrs)},
		"data", 4);
	archive_entry(&a,
		(struct tar_entry){
			.type = TAR_FILE, .path = "d/v3", .mode = 0, .xattrs = &v3_xattr, .xattr_count = 1},
		"x", 1);
	archive_entry(&a,
		(struct tar_entry){
			.type = TAR_FILE, .path = "d/bad", .mode = 0644, .xattrs = bad, .xattr_count = 3},
		"x", 1);
	archive_entry(&a,
		(struct tar_entry){.type = TAR_SYMLINK,
			.path = "d/link",
			.link = "x",
			.uid = 5,
			.gid = 6,
			.mtime = 3000},
		"", 0);
	archive_entry(&a,
		(struct tar_entry){
			.type = TAR_DIRECTORY, .path = "sgid", .mode = 02775, .gid = 50, .mtime = 4000},
		"", 0);
	archive_entry(&a, (struct tar_entry){.type = TAR_FILE, .path = "sgid/f", .mode = 0644, .mtime = 5000},
		"", 0);
	archive_entry(&a,
		(struct tar_entry){.type = TAR_DIRECTORY, .path = "sgid/sub", .mode = 0755, .mtime = 5000},
		"", 0);
	archive_entry(&a,
		(struct tar_entry){.type = TAR_DIRECTORY, .path = "tmp", .mode = 01777, .mtime = -5}, "", 0);
	archive_end(&a);
	umask(077);
	assert_int_equal(run(&place, &a, (struct unpack_options){0}, &result, &e), 0);
	umask(022);
	assert_int_equal(result.entries, 10);
	assert_int_equal(result.file_size, 6);

#define IS(name, mode, uid, gid, mtime)                                                                      \
	assert_int_equal(fstatat(place.tree, name, &st, AT_SYMLINK_NOFOLLOW), 0);                            \
	assert_int_equal(st.st_mode & 07777, mode);                                                          \
	assert_int_equal(st.st_uid, uid);                                                                    \
	assert_int_equal(st.st_gid, gid);                                                                    \
	assert_int_equal(st.st_mtime, mtime)
	IS(".", 0711, 3, 4, 77);
	IS("d", 0555, 0, 0, 1000);
	assert_int_equal(st.st_mtim.tv_nsec, 500000000);
	IS("d/suid", 06755, 1000, 1001, 2000);
	IS("d/v3", 0, 0, 0, 0);
	IS("d/link", 0777, 5, 6, 3000);
	IS("sgid", 02775, 0, 50, 4000);
	IS("sgid/f", 0644, 0, 0, 5000);
	IS("sgid/sub", 0755, 0, 0, 5000);
	IS("tmp", 01777, 0, 0, -5);

	char path[128];
	snprintf(path, sizeof path, "%s/tree/d/suid", place.path);
	assert_int_equal(getxattr(path, "security.capability", value, sizeof value), 20);
	assert_memory_equal(value, v2, sizeof v2);
	assert_int_equal(getxattr(path, "user.kept", value, sizeof value), 5);
	assert_int_equal(listxattr(path, NULL, 0), sizeof "security.capability" + sizeof "user.kept");
	snprintf(path, sizeof path, "%s/tree/d", place.path);
	assert_int_equal(listxattr(path, NULL, 0), sizeof "user.kept");
	snprintf(path, sizeof path, "%s/tree/d/bad", place.path);
	assert_int_equal(listxattr(path, NULL, 0), 0);
	snprintf(path, sizeof path, "%s/tree/d/v3", place.path);
	assert_true(listxattr(path, NULL, 0) > 0);
	assert_int_equal(result.xattrs, 7 + 3 + 3);
	drop_place(&place);
}

/* A folder gives its group to what is made in it, and to nothing else; whatever it gave is put right. It may
 * have been there before, become one that gives while it is open, also by a link's name, or be the root. */
static void handed_down(void **state)
{
	static const struct {
		enum tar_type type;
		const char *path;
		mode_t mode;
		gid_t gid;
		const char *link;
	} entries[] = {
		{TAR_DIRECTORY, "was", 0755, 0, ""},
		{TAR_SYMLINK, "alias", 0777, 0, "was"},
		{TAR_FILE, "alias/before", 0644, 0, ""},
		{TAR_FILE, "was/before2", 0644, 0, ""},
		{TAR_DIRECTORY, "was", 02775, 50, ""},
		{TAR_FILE, "alias/file", 0644, 0, ""},
		{TAR_FILE, "was/file2", 0751, 7, ""},
		{TAR_DIRECTORY, "was/sub", 0755, 0, ""},
		{TAR_SYMLINK, "was/link", 0777, 0, "x"},
		{TAR_FIFO, "was/fifo", 0600, 0, ""},
		{TAR_FILE, "was/sub/file", 0644, 0, ""},
		{TAR_DIRECTORY, "plain", 0755, 0, ""},
		{TAR_FILE, "plain/file", 0644, 0, ""},
		{TAR_FILE, "there/file", 0644, 0, ""},
		{TAR_DIRECTORY, "there/sub", 0755, 0, ""},
		{TAR_DIRECTORY, "./", 02775, 50, ""},
		{TAR_FILE, "file", 0644, 0, ""},
		{TAR_DIRECTORY, "sub", 0755, 0, ""},
	};
	static const enum unpack_whiteouts ways[] = {UNPACK_WHITEOUTS_OVERLAY, UNPACK_WHITEOUTS_APPLY};
	(void)state;

	for (size_t way = 0; way < unit_count(ways); way++) {
		struct place place = make_place();
		struct archive a = {0};
		struct stat st;

		assert_int_equal(mkdirat(place.tree, "there", 0755), 0);
		assert_int_equal(fchownat(place.tree, "there", 0, 60, 0), 0);
		assert_int_equal(fchmodat(place.tree, "there", 02755, 0), 0);
		for (size_t i = 0; i < unit_count(entries); i++)
			archive_entry(&a,
				(struct tar_entry){.type = entries[i].type,
					.path = entries[i].path,
					.link = entries[i].link,
					.mode = entries[i].mode,
					.gid = entries[i].gid},
				"", 0);
		must_run(&place, &a, ways[way]);
		for (size_t i = 1; i < unit_count(entries); i++) {
			unit_row("way %zu: %s\n", way, entries[i].path);
			assert_int_equal(fstatat(place.tree, entries[i].path, &st, AT_SYMLINK_NOFOLLOW), 0);
			assert_int_equal(st.st_gid, entries[i].gid);
			assert_int_equal(st.st_mode & 07777, entries[i].mode);
		}
		drop_place(&place);
	}
}

static void devices(void **state)
{
	static const struct {
		const char *path;
		enum tar_type type;
		uint32_t major, minor;
		const char *look;
	} rows[] = {
		{"dev/null", TAR_CHARACTER, 1, 3, "c:1,3"},
		{"dev/tty", TAR_CHARACTER, 5, 0, "c:5,0"},
		{"./dev/ptmx", TAR_CHARACTER, 5, 2, "c:5,2"},
		{"dev/null", TAR_CHARACTER, 1, 1, "-"}, /* /dev/mem by another name */
		{"dev/null", TAR_BLOCK, 1, 3, "-"},
		{"null", TAR_CHARACTER, 1, 3, "-"},
		{"dev/mem", TAR_CHARACTER, 1, 1, "-"},
		{"dev/sda", TAR_BLOCK, 8, 0, "-"},
		{"etc/b", TAR_BLOCK, 0, 0, "-"},
	};
	struct place place = make_place();

	for (size_t i = 0; i < unit_count(rows); i++) {
		struct archive a = {0};
		struct unpack_result result;
		struct err e;
		char text[256];

		unit_row("%s %u:%u\n", rows[i].path, rows[i].major, rows[i].minor);
		clear_place(&place);
		archive_entry(&a,
			(struct tar_entry){.type = rows[i].type,
				.path = rows[i].path,
				.mode = 0666,
				.major = rows[i].major,
				.minor = rows[i].minor},
			"", 0);
		archive_end(&a);
		assert_int_equal(run(&place, &a, (struct unpack_options){0}, &result, &e), 0);
		assert_string_equal(look(&place, rows[i].path, text), rows[i].look);
		assert_int_equal(result.devices, *rows[i].look == '-');
	}
	struct archive a = {0};
	struct unpack_result result;
	struct err e;
	archive_entry(&a, (struct tar_entry){.type = TAR_CHARACTER, .path = "hidden"}, "", 0);
	assert_int_equal(run(&place, &a, (struct unpack_options){0}, &result, &e), -1);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_non_null(strstr(e.what, "0:0"));
	drop_place(&place);
}

static void limits(void **state)
{
	enum { SIZE = 40 << 20 };
	char *zeros = calloc(1, SIZE);
	static const struct {
		const char *what;
		struct unpack_options options;
		const char *error;
	} rows[] = {
		{"no limit", {.size_limit = 0}, NULL},
		{"ratio 1000", {.compressed_size = 50000}, NULL},
		{"ratio past 1000", {.compressed_size = 30000}, "1000 times"},
		{"tiny blob", {.compressed_size = 1}, "1000 times"},
		{"huge blob", {.compressed_size = UINT64_MAX}, NULL},
		{"size", {.size_limit = 1 << 20}, "more than 1048576 bytes"},
	};
	struct place place = make_place();
	for (size_t i = 0; i < unit_count(rows); i++) {
		struct archive a = {0};
		struct unpack_result result;
		struct err e;

		unit_row("%s\n", rows[i].what);
		clear_place(&place);
		archive_entry(
			&a, (struct tar_entry){.type = TAR_FILE, .path = "zeros", .mode = 0644}, zeros, SIZE);
		archive_end(&a);
		int rc = run(&place, &a, rows[i].options, &result, &e);
		assert_int_equal(rc, rows[i].error ? -1 : 0);
		if (rows[i].error) {
			assert_int_equal(e.kind, ERR_INVALID);
			assert_non_null(strstr(e.what, rows[i].error));
		}
	}
	/* Bombs of the small kind are allowed: 16 MiB of anything. */
	struct archive a = {0};
	struct unpack_result result;
	struct err e;
	clear_place(&place);
	archive_entry(
		&a, (struct tar_entry){.type = TAR_FILE, .path = "zeros", .mode = 0644}, zeros, 15 << 20);
	archive_end(&a);
	assert_int_equal(run(&place, &a, (struct unpack_options){.compressed_size = 1}, &result, &e), 0);
	drop_place(&place);
	free(zeros);
}

static void holes(void **state)
{
	struct place place = make_place();
	struct archive archive = {0}, *a = &archive;
	struct stat st;
	char text[16] = "";

	archive_pax(a, 'x',
		(const char *const[]){"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=10000000",
			"GNU.sparse.map=0,3,5000000,2", NULL});
	archive_raw(a, (struct archive_raw){
			       .name = "holes", .size = "00000000005", .data = "abcde", .data_size = 5});
	must_run(&place, a, UNPACK_WHITEOUTS_OVERLAY);
	int fd = openat(place.tree, "holes", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 10000000);
	assert_true(st.st_blocks < 1000);
	assert_int_equal(pread(fd, text, 5, 0), 5);
	assert_memory_equal(text, "abc\0\0", 5);
	assert_int_equal(pread(fd, text, 5, 4999998), 5);
	assert_memory_equal(text, "\0\0de\0", 5);
	close(fd);
	drop_place(&place);
}

static void damaged(void **state)
{
	struct place place = make_place();
	struct archive a = {0};
	struct unpack_result result = {.bytes = 12345};
	struct err e;

	archive_put(&a, TAR_FILE, "a\x1b[31m", 0644, "some data");
	a.bytes.length -= 100;
	assert_int_equal(run(&place, &a, (struct unpack_options){0}, &result, &e), -1);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_non_null(strstr(e.what, "ends too early"));
	assert_int_equal(result.bytes, 12345);
	/* Names are made fit to print. */
	archive_put(&a, TAR_FILE, "../a\x1b[31m", 0644, "");
	assert_int_equal(run(&place, &a, (struct unpack_options){0}, &result, &e), -1);
	assert_non_null(strstr(e.what, "\\x1b[31m"));
	drop_place(&place);
}

/* The digest is of all bytes, those after the end of the archive too. */
static void digest(void **state)
{
	struct place place = make_place();
	struct archive a = {0};
	struct unpack_result result;
	struct err e;
	struct sha256 sha;
	unsigned char want[SHA256_SIZE];

	archive_put(&a, TAR_FILE, "a", 0644, "some data");
	archive_end(&a);
	char zeros[10000] = {0};
	buf_append(&a.bytes, zeros, sizeof zeros);
	uint64_t size = a.bytes.length;
	sha256_init(&sha);
	sha256_update(&sha, a.bytes.data, size);
	sha256_final(&sha, want);
	assert_int_equal(run(&place, &a, (struct unpack_options){0}, &result, &e), 0);
	assert_memory_equal(result.diff_id, want, sizeof want);
	assert_int_equal(result.bytes, size);
	assert_int_equal(result.entries, 1);
	drop_place(&place);
}

static void status_line(pid_t pid, const char *key, char out[64])
{
	char path[64], line[256];
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	*out = '\0';
	while (fgets(line, sizeof line, file)) {
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			sscanf(line + strlen(key) + 1, " %63s", out);
	}
	fclose(file);
}

/* Looks at the child while it waits for its first byte. */
static void confined(void **state)
{
	struct place place = make_place();
	int input[2];
	struct unpack unpack;
	struct unpack_result result;
	struct err e = {0};
	char path[64], text[64];
	struct stat st, tree;

	assert_int_equal(fd_pipe(input, 0), 0);
	struct unpack_options options = {.input = input[0], .directory = place.tree};
	assert_int_equal(unpack_start(&options, &unpack, &e), 0);
	for (int i = 0; i < 500; i++) {
		status_line(unpack.pid, "Seccomp", text);
		if (!strcmp(text, "2"))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	assert_string_equal(text, "2");
	status_line(unpack.pid, "NoNewPrivs", text);
	assert_string_equal(text, "1");
	for (const char *const *set = (const char *const[]){"CapPrm", "CapEff", "CapBnd", NULL}; *set;
		set++) {
		status_line(unpack.pid, *set, text);
		/* CHOWN DAC_OVERRIDE FOWNER FSETID MKNOD SETFCAP */
		assert_string_equal(text, "000000008800001b");
	}
	status_line(unpack.pid, "CapInh", text);
	assert_string_equal(text, "0000000000000000");
	snprintf(path, sizeof path, "/proc/%d/root", unpack.pid);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(fstat(place.tree, &tree), 0);
	assert_int_equal(st.st_ino, tree.st_ino);
	assert_int_equal(st.st_dev, tree.st_dev);
	snprintf(path, sizeof path, "/proc/%d/cwd", unpack.pid);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_ino, tree.st_ino);
	snprintf(path, sizeof path, "/proc/%d/fd", unpack.pid);
	DIR *fds = opendir(path);
	int count = 0;
	for (struct dirent *entry; (entry = readdir(fds));)
		count += entry->d_name[0] != '.';
	closedir(fds);
	assert_int_equal(count, 6);
	snprintf(path, sizeof path, "/proc/%d/mounts", unpack.pid);
	FILE *mounts = fopen(path, "re");
	char line[512];
	assert_non_null(fgets(line, sizeof line, mounts));
	assert_non_null(strstr(line, " / "));
	assert_non_null(strstr(line, "nosuid,nodev,noexec"));
	assert_null(fgets(line, sizeof line, mounts));
	fclose(mounts);

	/* An archive without a byte is an empty one. */
	close(input[1]);
	assert_int_equal(unpack_finish(&unpack, &result, &e), 0);
	assert_int_equal(result.entries, 0);
	assert_int_equal(unpack.pid, 0);
	unpack_stop(&unpack);

	assert_int_equal(unpack_start(&options, &unpack, &e), 0);
	unpack_stop(&unpack);
	assert_int_equal(unpack.pid, 0);
	close(input[0]);
	drop_place(&place);
}

/* Nobody is left unpacking where the one who asked for it was killed. */
static void dies_with_parent(void **state)
{
	struct place place = make_place();
	int input[2], tell[2];
	pid_t child = 0;

	assert_int_equal(fd_pipe(input, 0), 0);
	assert_int_equal(fd_pipe(tell, 0), 0);
	pid_t parent = fork();
	if (!parent) {
		struct unpack_options options = {.input = input[0], .directory = place.tree};
		struct unpack unpack;
		struct err e;
		if (unpack_start(&options, &unpack, &e) < 0 ||
			write(tell[1], &unpack.pid, sizeof unpack.pid) < 0)
			_exit(1);
		pause();
	}
	assert_int_equal(read(tell[0], &child, sizeof child), sizeof child);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	/* The last holder of the reading end is gone: writing says so. */
	close(input[0]);
	signal(SIGPIPE, SIG_IGN);
	ssize_t n = 1;
	for (int i = 0; i < 500 && n > 0; i++) {
		n = write(input[1], "x", 1);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	assert_int_equal(n, -1);
	assert_int_equal(errno, EPIPE);
	close(input[1]);
	close(tell[0]);
	close(tell[1]);
	drop_place(&place);
}

static int unpack_stdin(int argc, char **argv)
{
	struct unpack_options options = {.input = STDIN_FILENO};
	struct unpack unpack;
	struct unpack_result result;
	struct err e = {0};
	struct timespec from, to;
	char hex[SHA256_HEX_SIZE];

	for (int i = 3; i < argc; i++) {
		options.one_owner |= !strcmp(argv[i], "one-owner");
		if (!strcmp(argv[i], "apply"))
			options.whiteouts = UNPACK_WHITEOUTS_APPLY;
	}
	options.directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	clock_gettime(CLOCK_MONOTONIC, &from);
	if (options.directory < 0 || unpack_start(&options, &unpack, &e) < 0 ||
		unpack_finish(&unpack, &result, &e) < 0) {
		fprintf(stderr, "%s\n", e.what);
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	sha256_hex(result.diff_id, hex);
	fprintf(stderr,
		"sha256:%s: %llu entries, %llu bytes in %.3f s, %.0f MB/s%s; left out: %llu devices, %llu "
		"attributes, %llu owners\n",
		hex, (unsigned long long)result.entries, (unsigned long long)result.bytes, seconds,
		(double)result.bytes / 1e6 / seconds, result.jailed ? "" : ", no jail",
		(unsigned long long)result.devices, (unsigned long long)result.xattrs,
		(unsigned long long)result.owners);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(hard_links),
		cmocka_unit_test(without_jail),
		cmocka_unit_test(overlay_whiteouts),
		cmocka_unit_test(applied_whiteouts),
		cmocka_unit_test(metadata),
		cmocka_unit_test(handed_down),
		cmocka_unit_test(devices),
		cmocka_unit_test(limits),
		cmocka_unit_test(holes),
		cmocka_unit_test(damaged),
		cmocka_unit_test(digest),
		cmocka_unit_test(confined),
		cmocka_unit_test(dies_with_parent),
	};
	if (argc > 1)
		return unpack_stdin(argc, argv);
	return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
