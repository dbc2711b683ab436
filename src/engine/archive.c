/* archive.c - the members of a tar archive by name: see archive.h. */
#include "engine/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/tar.h"
#include "engine/archive_index.h"

enum {
	PIPE = 1 << 20,
	READ = 64 << 10,
	ANSWER_MS = 200, /* for brig-net to say why the stream ended */
};

/* An archive on its way to its index. */
struct indexing {
	const struct archive_source *source;
	pid_t child;
	int result;
	uint32_t request; /* to brig-net; 0: the child reads the archive itself */
	bool answered;
	struct err failure; /* brig-net's; kind ERR_NONE: none */
};

enum archive_compression archive_compression_of(const void *first, size_t size)
{
	static const struct {
		unsigned char bytes[ARCHIVE_FIRST];
		size_t length;
	} magics[] = {
		{{0x1f, 0x8b}, 2},                  /* gzip */
		{{0x28, 0xb5, 0x2f, 0xfd}, 4},      /* zstd */
		{{0xfd, '7', 'z', 'X', 'Z', 0}, 6}, /* xz */
		{{'B', 'Z', 'h'}, 3},               /* bzip2 */
	};
	const unsigned char *bytes = first;

	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
		if (size >= magics[i].length && !memcmp(bytes, magics[i].bytes, magics[i].length))
			return ARCHIVE_COMPRESSED;
	}
	/* zstd's skippable frames */
	if (size >= 4 && (bytes[0] & 0xf0) == 0x50 && !memcmp(bytes + 1, "\x2a\x4d\x18", 3))
		return ARCHIVE_COMPRESSED;
	return ARCHIVE_PLAIN;
}

enum archive_compression archive_compression_at(int file, uint64_t offset, uint64_t size)
{
	unsigned char bytes[ARCHIVE_FIRST];
	ssize_t n = pread(file, bytes, size < sizeof bytes ? size : sizeof bytes, (off_t)offset);

	return archive_compression_of(bytes, n < 0 ? 0 : (size_t)n);
}

/* ---- the child's report ---- */

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct archive_member *)a)->name, ((const struct archive_member *)b)->name);
}

static int malformed(struct err *e)
{
	return err_set(e, ERR_SYSTEM, 0, "the process that reads the archive does not keep to its protocol");
}

/* The child's own failure, if its words are in order. */
static int take_failure(const char *bytes, size_t length, struct err *e)
{
	struct err said;

	if (length != sizeof said)
		return malformed(e);
	memcpy(&said, bytes, sizeof said);
	if (said.kind <= ERR_NONE || said.kind > ERR_NO_COMMAND ||
		!memchr(said.what, '\0', sizeof said.what) || !memchr(said.hint, '\0', sizeof said.hint))
		return malformed(e);
	*e = (struct err){.kind = said.kind, .number = said.number};
	err_sanitize(e->what, sizeof e->what, said.what);
	err_sanitize(e->hint, sizeof e->hint, said.hint);
	return -1;
}

/* Reads the records; nothing in them is believed. start and end are those of the bytes in the file. */
static int take_records(struct archive *archive, uint64_t start, uint64_t end, struct err *e)
{
	const char *at = archive->index.data, *stop = at + archive->index.length;
	size_t room = 0;

	for (;;) {
		struct archive_record record;
		if ((size_t)(stop - at) < sizeof record)
			return malformed(e);
		memcpy(&record, at, sizeof record);
		at += sizeof record;
		if (record.type == ARCHIVE_FAILED)
			return take_failure(at, (size_t)(stop - at), e);
		if (record.type == ARCHIVE_END)
			return at == stop ? 0 : malformed(e);
		size_t name = record.name_length, link = record.link_length;
		if (record.type < ARCHIVE_FILE || record.type > ARCHIVE_OTHER ||
			(size_t)(stop - at) < name + link + 2 || strnlen(at, name + 1) != name ||
			strnlen(at + name + 1, link + 1) != link || record.offset > end - start ||
			(record.type == ARCHIVE_FILE && record.size > end - start - record.offset) ||
			archive->count >= ARCHIVE_MEMBERS_MAX)
			return malformed(e);
		if (archive->count == room) {
			room = room ? 2 * room : 64;
			archive->members = reallocarray(archive->members, room, sizeof *archive->members);
			if (!archive->members)
				abort();
		}
		archive->members[archive->count++] = (struct archive_member){
			.name = at,
			.link = at + name + 1,
			.type = (enum archive_type)record.type,
			.offset = start + record.offset,
			.size = record.type == ARCHIVE_FILE ? record.size : 0,
		};
		at += name + link + 2;
	}
}

static int sort_members(struct archive *archive, struct err *e)
{
	if (archive->count)
		qsort(archive->members, archive->count, sizeof *archive->members, compare_members);
	for (size_t i = 1; i < archive->count; i++) {
		char shown[200];
		if (strcmp(archive->members[i - 1].name, archive->members[i].name) != 0)
			continue;
		return err_set(e, ERR_INVALID, 0, "it has two members named %s",
			err_sanitize(shown, sizeof shown, archive->members[i].name));
	}
	return 0;
}

/* ---- waiting for it ---- */

static void end_child(struct indexing *x, bool by_force)
{
	if (x->child <= 0)
		return;
	if (by_force) {
		/* It was not waited for, so its number is nobody else's. */
		auto_close int pidfd = kernel_pidfd_open(x->child, 0);
		if (pidfd >= 0)
			kernel_pidfd_send_signal(pidfd, SIGKILL);
	}
	while (waitpid(x->child, NULL, 0) < 0 && errno == EINTR)
		;
	x->child = 0;
	close_fd(&x->result);
}

static int on_answer(struct indexing *x, struct err *e)
{
	struct net_event event;

	if (net_client_receive(x->source->client, &event, e) < 0)
		return -1;
	if (event.type == NET_PROGRESS || (event.id && event.id != x->request))
		return 0;
	x->answered = true;
	if (event.type == NET_FAILED)
		x->failure = event.failure;
	return 0;
}

/* Takes what the child has found: 1, 0 at its end, -1. */
static int on_found(struct indexing *x, struct buf *index, struct err *e)
{
	char *to = buf_reserve(index, READ);
	ssize_t n = read(x->result, to, READ);

	if (n < 0 && errno == EINTR)
		return 1;
	if (n < 0)
		return err_errno(e, errno, "cannot read from the process that reads the archive");
	index->length += (size_t)n;
	if (index->length > ARCHIVE_INDEX_MAX + sizeof(struct archive_record) + sizeof(struct err))
		return malformed(e);
	return n > 0;
}

/* Until the child has ended, and brig-net has said how it went. */
static int wait_for_index(struct indexing *x, struct buf *index, struct err *e)
{
	bool ended = false;

	while (!ended || (x->request && !x->answered)) {
		struct pollfd polled[3] = {
			{.fd = x->source->signals, .events = POLLIN},
			{.fd = ended ? -1 : x->result, .events = POLLIN},
			{.fd = x->request && !x->answered ? x->source->client->socket : -1, .events = POLLIN},
		};
		int n = poll(polled, 3, ended ? ANSWER_MS : -1);
		if (n < 0 && errno != EINTR)
			return err_errno(e, errno, "cannot wait");
		if (n < 0)
			continue;
		if (n == 0) /* It still waits for an archive of which we know enough. */
			return 0;
		if (polled[0].revents)
			return err_set(e, ERR_INTERRUPTED, 0, "the load was interrupted");
		if (polled[2].revents && on_answer(x, e) < 0)
			return -1;
		if (polled[1].revents) {
			int rc = on_found(x, index, e);
			if (rc < 0)
				return -1;
			ended = rc == 0;
			if (ended)
				end_child(x, false);
		}
	}
	return 0;
}

/* Has brig-net inflate the archive into a pipe for the child, whose end is returned. */
static int inflate(struct indexing *x, struct err *e)
{
	const struct archive_source *source = x->source;
	int ends[2];

	if (source->client->socket < 0 && net_client_start(source->client, e) < 0)
		return -1;
	int rc = fd_pipe(ends, 0);
	if (rc < 0)
		return err_errno(e, rc, "cannot make a pipe");
	auto_close int read_end = ends[0], write_end = ends[1];
	fcntl(write_end, F_SETPIPE_SZ, PIPE);
	int id = net_client_inflate(source->client, source->input, write_end, e);
	if (id < 0)
		return -1;
	x->request = (uint32_t)id;
	return steal_fd(&read_end);
}

/* Starts the child on the archive and waits for it. */
static int make_index(struct indexing *x, struct archive *archive, bool compressed, struct err *e)
{
	auto_close int pipe_end = compressed ? inflate(x, e) : -1;

	if (compressed && pipe_end < 0)
		return -1;
	x->child = archive_index_start(
		compressed ? pipe_end : x->source->input, archive->stage.fd, &x->result, e);
	close_fd(&pipe_end);
	if (x->child < 0 || wait_for_index(x, &archive->index, e) < 0)
		return -1;
	return 0;
}

/* What went wrong, in the order of who knows best. */
static int judge(struct indexing *x, struct archive *archive, uint64_t start, struct err *e)
{
	struct stat st;

	/* The child sees a short stream where brig-net knows why it is short. */
	if (x->failure.kind && x->failure.kind != ERR_SYSTEM) {
		*e = x->failure;
		return -1;
	}
	if (fstat(archive->file, &st) < 0)
		return err_errno(e, errno, "cannot look at the archive");
	if (take_records(archive, start, (uint64_t)st.st_size, e) < 0 || sort_members(archive, e) < 0)
		return -1;
	if (x->failure.kind) {
		*e = x->failure;
		return -1;
	}
	if (x->request && !x->answered)
		return err_set(e, ERR_SYSTEM, 0, "brig-net did not say whether it was all");
	return 0;
}

/* Puts the archive's name before what is wrong with it. */
static int name_error(const struct archive_source *source, struct err *e)
{
	struct err cause = *e;

	if (cause.kind == ERR_INTERRUPTED)
		return -1;
	e->kind = ERR_NONE;
	err_set(e, cause.kind, 0, "cannot load %s: %s", source->name, cause.what);
	e->number = cause.number;
	memcpy(e->hint, cause.hint, sizeof e->hint);
	return -1;
}

static int index_input(
	struct archive *archive, struct store *store, const struct archive_source *source, struct err *e)
{
	struct indexing x = {.source = source, .result = -1};
	struct stat st;
	off_t start = 0;

	if (fstat(source->input, &st) < 0)
		return err_errno(e, errno, "cannot look at it");
	if (S_ISDIR(st.st_mode)) {
		err_set(e, ERR_INVALID, 0, "it is a folder");
		return err_hint(e, "brig init makes an image of a folder");
	}
	bool regular = S_ISREG(st.st_mode) && (start = lseek(source->input, 0, SEEK_CUR)) >= 0;
	bool compressed = !regular || archive_compression_at(source->input, (uint64_t)start,
					      (uint64_t)st.st_size) == ARCHIVE_COMPRESSED;
	if (compressed) {
		if (blob_stage(store, &archive->stage, e) < 0)
			return -1;
		archive->file = archive->stage.fd;
		start = 0;
	} else {
		archive->file = source->input;
	}
	int rc = make_index(&x, archive, compressed, e);
	end_child(&x, true);
	if (rc == 0)
		rc = judge(&x, archive, (uint64_t)start, e);
	log_trace("parent", "the archive has %zu members", archive->count);
	return rc;
}

int archive_open(
	struct archive *archive, struct store *store, const struct archive_source *source, struct err *e)
{
	*archive = (struct archive){.file = -1, .name = source->name, .stage = {.fd = -1, .stage.fd = -1}};
	if (index_input(archive, store, source, e) == 0)
		return 0;
	archive_close(archive, store);
	return name_error(source, e);
}

void archive_close(struct archive *archive, struct store *store)
{
	if (!archive->name)
		return;
	free(archive->members);
	buf_free(&archive->index);
	blob_drop(store, &archive->stage);
	*archive = (struct archive){.file = -1, .stage = {.fd = -1, .stage.fd = -1}};
}

/* ---- looking members up ---- */

static const struct archive_member *get(const struct archive *archive, const char *name)
{
	const struct archive_member key = {.name = name};

	if (!archive->count)
		return NULL;
	return bsearch(&key, archive->members, archive->count, sizeof key, compare_members);
}

/* The name that a link leads to: target against the folder of name (hard links: against the
 * archive's root). false where it leads out of the archive or is too long. */
static bool follow(char name[TAR_PATH_LIMIT + 1], const char *target, bool hard)
{
	char path[TAR_PATH_LIMIT + 1];
	size_t length = 0;

	if (!hard && *target != '/') {
		const char *slash = strrchr(name, '/');
		length = slash ? (size_t)(slash - name) : 0;
		memcpy(path, name, length);
	}
	for (const char *part = target; *part;) {
		size_t size = strcspn(part, "/");
		if (size == 2 && part[0] == '.' && part[1] == '.') {
			if (!length)
				return false;
			while (length && path[--length] != '/')
				;
		} else if (size && !(size == 1 && part[0] == '.')) {
			if (length + size + 1 > TAR_PATH_LIMIT)
				return false;
			if (length)
				path[length++] = '/';
			memcpy(path + length, part, size);
			length += size;
		}
		part += size;
		part += *part == '/';
	}
	path[length] = '\0';
	memcpy(name, path, length + 1);
	return true;
}

const struct archive_member *archive_find(const struct archive *archive, const char *name, struct err *e)
{
	char path[TAR_PATH_LIMIT + 1], shown[200];

	err_sanitize(shown, sizeof shown, name);
	if (strlen(name) > TAR_PATH_LIMIT) {
		err_set(e, ERR_INVALID, 0, "a member's name in the archive is too long");
		return NULL;
	}
	memcpy(path, name, strlen(name) + 1);
	archive_clean_name(path);
	for (int links = 0; links <= ARCHIVE_LINKS_MAX; links++) {
		const struct archive_member *member = get(archive, path);
		if (!member) {
			err_set(e, ERR_NOT_FOUND, 0, "cannot load %s: %s is missing in it", archive->name,
				shown);
			return NULL;
		}
		if (member->type == ARCHIVE_FILE)
			return member;
		if (member->type == ARCHIVE_OTHER) {
			err_set(e, ERR_INVALID, 0, "cannot load %s: %s in it is no plain file", archive->name,
				shown);
			return NULL;
		}
		if (!follow(path, member->link, member->type == ARCHIVE_HARDLINK)) {
			err_set(e, ERR_INVALID, 0, "cannot load %s: the link %s in it leads out of it",
				archive->name, shown);
			return NULL;
		}
	}
	err_set(e, ERR_INVALID, 0, "cannot load %s: %s in it is a link to links without end", archive->name,
		shown);
	return NULL;
}

int archive_read(const struct archive *archive, const struct archive_member *member, size_t limit,
	const char *what, struct buf *out, struct err *e)
{
	char shown[200];
	size_t done = 0;

	err_sanitize(shown, sizeof shown, what);
	if (member->size > limit)
		return err_set(e, ERR_INVALID, 0, "cannot load %s: %s in it has %llu bytes, more than %zu",
			archive->name, shown, (unsigned long long)member->size, limit);
	char *to = buf_reserve(out, member->size);
	while (done < member->size) {
		ssize_t n =
			pread(archive->file, to + done, member->size - done, (off_t)(member->offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "cannot read %s", archive->name);
		if (n == 0)
			return err_set(e, ERR_INVALID, 0, "cannot load %s: it became shorter meanwhile",
				archive->name);
		done += (size_t)n;
	}
	out->length += done;
	to[done] = '\0';
	return 0;
}
