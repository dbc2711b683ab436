/* container.c - the index of containers. container.h has the theory of operation. */
#include "store/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"

#define INDEX_MAGIC  "brig containers\n"
#define RECORD_LOCKS (INT64_C(1) << 40)

enum { HEADER = 4096, RECORD = 512, NUMBERS = 90000 };

_Static_assert(sizeof(struct container_record) == RECORD, "a record is one sector");

struct header {
	char magic[16];
	uint32_t version;
};

/* Over a half of a record, its first word (the checksum) left out: FNV-1a of 64 bits that takes
 * eight bytes at a time, folded. Never 0. */
static uint32_t checksum(const void *half, size_t size)
{
	uint64_t sum = 14695981039346656037U;
	uint64_t word = 0;

	memcpy(&word, (const char *)half + sizeof(uint32_t), sizeof(uint32_t));
	for (size_t at = sizeof(uint64_t);; at += sizeof word) {
		sum = (sum ^ word) * 1099511628211U;
		sum ^= sum >> 32;
		if (at >= size)
			break;
		memcpy(&word, (const char *)half + at, sizeof word);
	}
	return (uint32_t)sum | 1;
}

/* How brig 0.1's first stores have it: FNV-1a of 32 bits, byte by byte. */
static uint32_t old_checksum(const void *half, size_t size)
{
	const unsigned char *p = half;
	uint32_t sum = 2166136261U;
	for (size_t i = sizeof(uint32_t); i < size; i++)
		sum = (sum ^ p[i]) * 16777619U;
	return sum | 1;
}

/* A half begins with its checksum. */
static bool is_whole(const void *half, size_t size)
{
	uint32_t sum;

	memcpy(&sum, half, sizeof sum);
	return sum == checksum(half, size) || sum == old_checksum(half, size);
}

static off_t record_at(size_t slot)
{
	return HEADER + (off_t)slot * RECORD;
}

static int lock(int fd, short type, int command, off_t start)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
	int rc;
	do {
		rc = fcntl(fd, command, &range);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

static int lock_header(const struct containers *containers)
{
	return lock(containers->index, F_WRLCK, F_OFD_SETLKW, 0);
}

static void unlock_header(const struct containers *containers)
{
	lock(containers->index, F_UNLCK, F_OFD_SETLK, 0);
}

/* Maps the records as the file is now; it only ever grows. */
static int map_index(struct containers *containers)
{
	struct stat st;

	if (fstat(containers->index, &st) < 0)
		return -errno;
	size_t size = st.st_size > HEADER ? (size_t)st.st_size : 0;
	if (size == containers->mapped)
		return 0;
	if (containers->mapping)
		munmap(containers->mapping, containers->mapped);
	containers->mapping = NULL;
	containers->mapped = containers->count = 0;
	if (!size)
		return 0;
	void *mapping = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, containers->index, 0);
	if (mapping == MAP_FAILED)
		return -errno;
	containers->mapping = mapping;
	containers->mapped = size;
	containers->count = (size - HEADER) / RECORD;
	containers->records = (const struct container_record *)((const char *)mapping + HEADER);
	return 0;
}

int containers_refresh(struct containers *containers)
{
	return containers->index < 0 ? 0 : map_index(containers);
}

int containers_open(struct containers *containers, int root, bool writable, struct err *e)
{
	struct header header = {.magic = INDEX_MAGIC, .version = 1}, found;

	*containers = (struct containers){.dir = -1, .index = -1};
	int dir = fd_open(root, "containers", O_RDONLY | O_DIRECTORY, 0);
	if (dir == -ENOENT && writable) {
		if (mkdirat(root, "containers", 0700) < 0 && errno != EEXIST)
			return err_errno(e, errno, "cannot make the store's folder containers");
		dir = fd_open(root, "containers", O_RDONLY | O_DIRECTORY, 0);
	}
	if (dir == -ENOENT)
		return 0;
	if (dir < 0)
		return err_errno(e, dir, "cannot open the store's folder containers");
	containers->dir = dir;
	int index = fd_open(dir, "index", (writable ? O_RDWR | O_CREAT : O_RDONLY) | O_NOFOLLOW, 0600);
	if (index == -ENOENT)
		return 0;
	if (index < 0) {
		containers_close(containers);
		return err_errno(e, index, "cannot open the index of containers");
	}
	containers->index = index;
	ssize_t n = pread(index, &found, sizeof found, 0);
	if (n == 0 && writable) {
		lock_header(containers);
		/* Padded to the whole header at once, so that a record never grows a hole. */
		char block[HEADER] = {0};
		memcpy(block, &header, sizeof header);
		n = pread(index, &found, sizeof found, 0);
		ssize_t written = n == 0 ? pwrite(index, block, sizeof block, 0) : 0;
		int number = written < 0 ? errno : ENOSPC;
		if (written == sizeof block)
			found = header, n = sizeof found;
		else if (n == 0 && ftruncate(index, 0) < 0)
			number = errno;
		unlock_header(containers);
		/* Records behind a header that is not there would be a damaged index for good. */
		if (n == 0) {
			containers_close(containers);
			return err_errno(e, number, "cannot write the index of containers");
		}
	}
	if (n == 0)
		return 0;
	if (n != sizeof found || memcmp(&found, &header, sizeof header)) {
		containers_close(containers);
		err_set(e, ERR_CORRUPT, 0,
			"the index of containers (containers/index in the data root) is damaged or of "
			"another version");
		return err_hint(e, "move that file away: containers are then no longer listed, images stay");
	}
	int rc = map_index(containers);
	if (rc < 0) {
		containers_close(containers);
		return err_errno(e, rc, "cannot read the index of containers");
	}
	return 0;
}

void containers_close(struct containers *containers)
{
	if (containers->mapping)
		munmap(containers->mapping, containers->mapped);
	close_fd(&containers->index);
	close_fd(&containers->dir);
	*containers = (struct containers){.dir = -1, .index = -1};
}

static void format_id(const unsigned char id[32], char text[CONTAINER_ID])
{
	static const char hex[] = "0123456789abcdef";
	for (int i = 0; i < 32; i++) {
		text[2 * i] = hex[id[i] >> 4];
		text[2 * i + 1] = hex[id[i] & 15];
	}
	text[64] = '\0';
}

void container_image_id(const char *image, unsigned char id[CONTAINER_IMAGE_ID])
{
	static const char hex[] = "0123456789abcdef";

	memset(id, 0, CONTAINER_IMAGE_ID);
	for (size_t i = 0; i < 2 * CONTAINER_IMAGE_ID && image[i]; i++) {
		const char *digit = strchr(hex, image[i]);
		id[i / 2] = (unsigned char)(id[i / 2] << 4 | (digit ? digit - hex : 0));
	}
}

/* A whole record, or false: it may be read while its owner writes, so a checksum that
 * is off is looked at again before it counts as damage. */
static bool read_record(const struct containers *containers, size_t slot, struct container_record *record)
{
	if (slot >= containers->count)
		return false;
	for (int attempt = 0; attempt < 16; attempt++) {
		memcpy(record, &containers->records[slot], sizeof *record);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (record->status.state == CONTAINER_FREE)
			return false;
		if (is_whole(&record->identity, sizeof record->identity) &&
			is_whole(&record->status, sizeof record->status)) {
			record->identity.name[sizeof record->identity.name - 1] = '\0';
			record->identity.image[sizeof record->identity.image - 1] = '\0';
			record->identity.command[sizeof record->identity.command - 1] = '\0';
			return true;
		}
	}
	return false;
}

bool container_read(const struct containers *containers, size_t slot, struct container *container)
{
	/* Not by a copy of it: this is done for each of hundreds. */
	if (!read_record(containers, slot, &container->record))
		return false;
	container->slot = slot;
	container->lock = -1;
	format_id(container->record.identity.id, container->id);
	return true;
}

bool container_read_left(const struct containers *containers, struct container *container)
{
	struct container_record record;

	if (container->slot >= containers->count)
		return false;
	memcpy(&record, &containers->records[container->slot], sizeof record);
	if (record.status.state != CONTAINER_FREE || !is_whole(&record.status, sizeof record.status) ||
		memcmp(record.identity.id, container->record.identity.id, sizeof record.identity.id))
		return false;
	container->record.status.exit_code = record.status.exit_code;
	return true;
}

static int write_half(const struct containers *containers, off_t at, const void *half, size_t size)
{
	ssize_t n = pwrite(containers->index, half, size, at);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ENOSPC;
}

static int write_identity(
	const struct containers *containers, size_t slot, struct container_identity *identity)
{
	identity->checksum = checksum(identity, sizeof *identity);
	return write_half(containers, record_at(slot) + (off_t)offsetof(struct container_record, identity),
		identity, sizeof *identity);
}

static int write_status(const struct containers *containers, size_t slot, struct container_status *status)
{
	status->checksum = checksum(status, sizeof *status);
	return write_half(containers, record_at(slot) + (off_t)offsetof(struct container_record, status),
		status, sizeof *status);
}

static bool name_taken(const struct containers *containers, const char *name)
{
	for (size_t slot = 0; slot < containers->count; slot++)
		if (containers->records[slot].status.state != CONTAINER_FREE &&
			!strncmp(containers->records[slot].identity.name, name, CONTAINER_NAME))
			return true;
	return false;
}

/* ps_NNNNN with five digits, six when those run out. */
static void new_name(
	const struct containers *containers, bool (*taken)(const char *name), char name[CONTAINER_NAME])
{
	uint32_t random;
	for (int attempt = 0;; attempt++) {
		fd_random(&random, sizeof random);
		unsigned low = attempt < 64 ? 10000 : 100000, range = attempt < 64 ? NUMBERS : 10 * NUMBERS;
		snprintf(name, CONTAINER_NAME, "ps_%u", low + random % range);
		if (!name_taken(containers, name) && !(taken && taken(name)))
			return;
	}
}

/* A record that nobody owns and whose checksum is off: the disk lost a write. With its
 * identity whole it becomes an exited container, else its place is freed. */
static int mend(const struct containers *containers, size_t slot)
{
	struct container_record record = containers->records[slot];
	struct container_status status = {.state = CONTAINER_FREE};
	bool known = is_whole(&record.identity, sizeof record.identity);

	if (known) {
		status.state = CONTAINER_EXITED;
		status.exit_code = 255;
	}
	write_status(containers, slot, &status);
	return !known;
}

/* Finishes what a crashed command began. The header's lock is held. */
static int sweep(struct containers *containers)
{
	int freed = 0;
	for (size_t slot = 0; slot < containers->count; slot++) {
		uint32_t state = containers->records[slot].status.state;
		struct container container;
		if (state == CONTAINER_FREE)
			continue;
		if (!container_read(containers, slot, &container)) {
			if (!container_locked(containers, slot))
				freed += mend(containers, slot);
			continue;
		}
		if (state != CONTAINER_CREATING && state != CONTAINER_REMOVING)
			continue;
		/* Volumes that go with it are the engine's business: it is left to control_settle_all. */
		if (container.record.identity.flags & CONTAINER_VOLUMES)
			continue;
		if (container_lock(containers, &container) < 0)
			continue;
		state = container.record.status.state;
		struct err ignored;
		if (state == CONTAINER_CREATING || state == CONTAINER_REMOVING)
			freed += container_remove_finish(containers, &container, &ignored) == 0;
		container_unlock(&container);
	}
	return freed;
}

int containers_sweep(struct containers *containers)
{
	if (containers->index < 0 || lock_header(containers) < 0)
		return 0;
	int freed = map_index(containers) < 0 ? 0 : sweep(containers);
	unlock_header(containers);
	return freed;
}

int container_lock(struct containers *containers, struct container *container)
{
	/* A description of its own: locks of one description never exclude each other. */
	auto_close int fd = fd_open(containers->dir, "index", O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	int rc = lock(fd, F_WRLCK, F_OFD_SETLK, RECORD_LOCKS + (off_t)container->slot);
	if (rc < 0)
		return rc == -EACCES ? -EAGAIN : rc;
	struct container_record record;
	if (!read_record(containers, container->slot, &record) ||
		memcmp(record.identity.id, container->record.identity.id, sizeof record.identity.id))
		return -ENOENT;
	container->record = record;
	container->lock = steal_fd(&fd);
	return 0;
}

void container_unlock(struct container *container)
{
	close_fd(&container->lock);
}

bool container_locked(const struct containers *containers, size_t slot)
{
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = RECORD_LOCKS + (off_t)slot, .l_len = 1};
	return fcntl(containers->index, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

int container_wait_unlocked(const struct containers *containers, size_t slot)
{
	auto_close int fd = fd_open(containers->dir, "index", O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	return lock(fd, F_RDLCK, F_OFD_SETLKW, RECORD_LOCKS + (off_t)slot);
}

int container_claim(struct containers *containers, const struct container_claim *claim,
	struct container *container, struct err *e)
{
	struct timespec now;
	size_t slot;
	int rc = lock_header(containers);
	if (rc == 0)
		rc = map_index(containers);
	if (rc < 0) {
		unlock_header(containers);
		return err_errno(e, rc, "cannot lock the index of containers");
	}
	sweep(containers);
	*container = (struct container){.lock = -1};
	struct container_identity *identity = &container->record.identity;
	if (claim->name) {
		if (strlen(claim->name) >= sizeof identity->name) {
			unlock_header(containers);
			return err_set(e, ERR_INVALID, 0,
				"the container name \"%.32s…\" is longer than %d characters", claim->name,
				CONTAINER_NAME - 1);
		}
		if (name_taken(containers, claim->name)) {
			struct container holder;
			struct err ignored;
			unlock_header(containers);
			if (container_find(containers, claim->name, &holder, &ignored) < 0)
				holder.id[0] = '\0';
			err_set(e, ERR_CONFLICT, 0,
				"the container name \"/%s\" is already in use by container \"%s\"",
				claim->name, holder.id);
			return err_hint(
				e, "remove that container (brig rm %s) or choose another name", claim->name);
		}
		memcpy(identity->name, claim->name, strlen(claim->name) + 1);
	} else {
		new_name(containers, claim->taken, identity->name);
	}
	for (slot = 0; slot < containers->count; slot++)
		if (containers->records[slot].status.state == CONTAINER_FREE &&
			!container_locked(containers, slot))
			break;
	if (slot == containers->count) {
		/* Several at a time: growing costs a new mapping in every long-lived reader. */
		if (ftruncate(containers->index, record_at(slot + 16)) < 0 || map_index(containers) < 0) {
			rc = -errno;
			unlock_header(containers);
			return err_errno(e, rc, "cannot enlarge the index of containers");
		}
	}
	container->slot = slot;
	fd_random(identity->id, sizeof identity->id);
	format_id(identity->id, container->id);
	clock_gettime(CLOCK_REALTIME, &now);
	identity->created = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	identity->flags = claim->flags;
	if (claim->own_cgroup)
		snprintf(identity->cgroup, sizeof identity->cgroup, "%.15s", identity->name);
	snprintf(identity->image, sizeof identity->image, "%s", claim->image ? claim->image : "");
	if (claim->image_id)
		container_image_id(claim->image_id, identity->image_id);
	snprintf(identity->command, sizeof identity->command, "%s", claim->command ? claim->command : "");
	container->record.status.state = CONTAINER_CREATING;

	/* The lock first: a record that is CREATING without a lock is a crash. */
	int fd = fd_open(containers->dir, "index", O_RDWR | O_NOFOLLOW, 0);
	rc = fd < 0 ? fd : lock(fd, F_WRLCK, F_OFD_SETLK, RECORD_LOCKS + (off_t)slot);
	container->lock = fd;
	if (rc == 0)
		rc = write_identity(containers, slot, identity);
	if (rc == 0)
		rc = write_status(containers, slot, &container->record.status);
	if (rc == 0 && claim->durable && fdatasync(containers->index) < 0)
		rc = -errno;
	unlock_header(containers);
	if (rc == 0 && mkdirat(containers->dir, container->id, 0700) < 0) {
		rc = -errno;
		struct err ignored;
		container_remove_finish(containers, container, &ignored);
	}
	if (rc < 0) {
		container_unlock(container);
		return err_errno(e, rc, "cannot record the new container");
	}
	return 0;
}

static bool id_begins(const char *id, const char *text, size_t length)
{
	return length <= 64 && !memcmp(id, text, length);
}

int container_find(
	struct containers *containers, const char *text, struct container *container, struct err *e)
{
	size_t length = strlen(text), matches = 0;
	bool hex = length > 0 && strspn(text, "0123456789abcdef") == length;
	struct container candidate, match = {.lock = -1};
	char shown[160];

	if (*text == '/')
		text++, length--;
	for (size_t slot = 0; slot < containers->count; slot++) {
		if (!container_read(containers, slot, &candidate))
			continue;
		if (candidate.record.status.state == CONTAINER_REMOVING ||
			candidate.record.status.state == CONTAINER_CREATING)
			continue;
		if (!strcmp(candidate.record.identity.name, text) ||
			(length == 64 && !strcmp(candidate.id, text))) {
			*container = candidate;
			return 0;
		}
		if (hex && id_begins(candidate.id, text, length)) {
			matches++;
			match = candidate;
		}
	}
	err_sanitize(shown, sizeof shown, text);
	if (matches > 1)
		return err_set(
			e, ERR_INVALID, 0, "more than one container has an id that begins with %s", shown);
	if (!matches)
		return err_set(e, ERR_NOT_FOUND, 0, "No such container: %s", shown);
	*container = match;
	return 0;
}

int containers_sync(const struct containers *containers, struct err *e)
{
	if (fdatasync(containers->index) < 0)
		return err_errno(e, errno, "cannot write the index of containers to the disk");
	return 0;
}

int container_write_status(struct containers *containers, struct container *container,
	const struct container_status *status, struct err *e)
{
	struct container_status next = *status;
	int rc = write_status(containers, container->slot, &next);
	if (rc < 0)
		return err_errno(
			e, rc, "cannot write the state of container %s", container->record.identity.name);
	container->record.status = next;
	return 0;
}

int container_rename(
	struct containers *containers, struct container *container, const char *name, struct err *e)
{
	struct container_record record;
	int rc = lock_header(containers);
	if (rc == 0)
		rc = map_index(containers);
	if (rc < 0)
		return err_errno(e, rc, "cannot lock the index of containers");
	if (*name && name_taken(containers, name)) {
		unlock_header(containers);
		return err_set(e, ERR_CONFLICT, 0, "the container name \"/%s\" is already in use", name);
	}
	if (!read_record(containers, container->slot, &record)) {
		unlock_header(containers);
		return err_set(e, ERR_NOT_FOUND, 0, "No such container: %s", container->record.identity.name);
	}
	memset(record.identity.name, 0, sizeof record.identity.name);
	memcpy(record.identity.name, name, strnlen(name, sizeof record.identity.name - 1));
	rc = write_identity(containers, container->slot, &record.identity);
	unlock_header(containers);
	if (rc < 0)
		return err_errno(e, rc, "cannot write the index of containers");
	container->record.identity = record.identity;
	return 0;
}

int container_open_dir(const struct containers *containers, const struct container *container, struct err *e)
{
	int fd = fd_open(containers->dir, container->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return err_errno(
			e, fd, "cannot open the folder of container %s", container->record.identity.name);
	return fd;
}

int container_remove_begin(struct containers *containers, struct container *container, struct err *e)
{
	struct container_status status = container->record.status;
	status.state = CONTAINER_REMOVING;
	if (container_write_status(containers, container, &status, e) < 0)
		return -1;
	return container_rename(containers, container, "", e);
}

int container_remove_finish(struct containers *containers, struct container *container, struct err *e)
{
	/* The exit code stays for who waited: container_read_left. */
	struct container_status status = {
		.state = CONTAINER_FREE, .exit_code = container->record.status.exit_code};

	if (containers->remove &&
		containers->remove(containers->remove_context, containers->dir, container->id, e) < 0)
		return -1;
	int rc = fd_remove_tree(containers->dir, container->id);
	if (rc < 0)
		return err_errno(e, rc, "cannot remove the files of container %s", container->id);
	return container_write_status(containers, container, &status, e);
}

uint64_t container_boot(void)
{
	char text[64] = "";
	auto_close int fd = fd_open(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
	ssize_t n = fd < 0 ? 0 : fd_read_full(fd, text, sizeof text - 1);
	uint64_t sum = UINT64_C(14695981039346656037);
	for (ssize_t i = 0; i < n; i++)
		sum = (sum ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	return sum;
}

uint64_t container_start_time(pid_t pid)
{
	char path[32], text[1024];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	auto_close int fd = fd_open(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	ssize_t n = fd_read_full(fd, text, sizeof text - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* The name, field 2, may hold anything: count from its last parenthesis. */
	char *p = strrchr(text, ')');
	/* One that has ended and that nobody has reaped yet, which may take its parent for ever. */
	if (p && p[1] == ' ' && (p[2] == 'Z' || p[2] == 'X'))
		return 0;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

bool container_process_alive(const struct container_status *status)
{
	return status->pid > 0 && status->boot == container_boot() &&
	       container_start_time(status->pid) == status->start_time && status->start_time;
}
