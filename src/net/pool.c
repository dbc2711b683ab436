/*
 * pool.c - network namespaces made ahead of time.
 *
 * Theory of operation. RUN-ROOT/net/pool holds a folder for each namespace:
 *
 *	new.TAG		being made, by whoever holds the lock on the pool's folder
 *	KIND.N		ready: `ns` is a bind mount of the namespace, `slot` says what is in it
 *	taken.TAG	taken; without `slot` its taker has all it needs
 *	asked.KIND	its time of change is when a container of that kind last ended
 *
 * Taking needs no lock: of several who rename KIND.N one wins. The taker opens `ns`, reads
 * `slot`, deletes it when all was found to stand, and from then on holds the namespace by its
 * descriptor; the mount is undone later, by the refill of some container, because that takes a grace period
 *of the kernel's. What a crash leaves (new.TAG without the lock held, taken.TAG with a `slot` that is seconds
 *old, a lease without a folder) the next refill clears away.
 *
 * An address in the pool is leased to an id that begins with 16 zeros, which no container's
 * does; adopting the lease is the moment where the driver checks that all still stands.
 */
#include "net/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <dirent.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "net/driver.h"
#include "net/link.h"

#define FOLDER     "net/pool"
#define SLOTS      4  /* of each kind */
#define FRESH      60 /* seconds within which the next container is expected */
#define GRACE      10 /* seconds after which an unfinished taking is a crash */
#define NSFS_MAGIC 0x6e736673
#define MAGIC      "brigslt1"
#define ID_MARK    "0000000000000000"
#define NAME_SIZE  32

struct slot {
	char magic[8];
	char id[72];
	struct net_attachment got;
};

bool net_pool_holds(const char *id)
{
	return strncmp(id, ID_MARK, sizeof ID_MARK - 1) == 0;
}

static void make_tag(char out[17])
{
	unsigned char bytes[8];

	fd_random(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void slot_name(const struct net_driver *driver, unsigned n, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "%s.%u", driver->name, n);
}

/* Reads the slot's file; false where there is none or it is no whole one. */
static bool read_slot(int folder, struct slot *out)
{
	auto_close int fd = fd_open(folder, "slot", O_RDONLY | O_NOFOLLOW, 0);

	return fd >= 0 && fd_read_full(fd, out, sizeof *out) == (ssize_t)sizeof *out &&
	       !memcmp(out->magic, MAGIC, sizeof out->magic) && !out->id[sizeof out->id - 1] &&
	       net_pool_holds(out->id);
}

/* Taking. */

static int open_namespace(int folder)
{
	struct statfs status;
	auto_close int fd = fd_open(folder, "ns", O_RDONLY | O_NOFOLLOW, 0);

	/* In another mount namespace it is a plain file. */
	if (fd < 0 || fstatfs(fd, &status) < 0 || (unsigned long)status.f_type != NSFS_MAGIC)
		return -1;
	return steal_fd(&fd);
}

static bool take_slot(
	int pool, const struct net_driver *driver, unsigned n, struct net_pool_taken *out, struct slot *slot)
{
	char name[NAME_SIZE], taken[NAME_SIZE] = "taken.", tag[17];

	slot_name(driver, n, name);
	make_tag(tag);
	memcpy(taken + 6, tag, sizeof tag);
	if (renameat(pool, name, pool, taken) < 0)
		return false;
	auto_close int folder = fd_open(pool, taken, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder < 0 || !read_slot(folder, slot))
		return false;
	auto_close int netns = open_namespace(folder);
	if (netns < 0) {
		unlinkat(folder, "slot", 0);
		return false;
	}
	out->folder = steal_fd(&folder);
	out->netns = steal_fd(&netns);
	memcpy(out->id, slot->id, sizeof out->id);
	return true;
}

int net_pool_take(const struct net_request *request, struct net_pool_taken *taken, struct net_attachment *out)
{
	struct err ignored;
	struct slot slot;
	const struct net_driver *driver = net_driver_find(request->network, &ignored);

	*taken = (struct net_pool_taken)NET_POOL_NONE;
	if (!driver || !driver->pooled || request->interface || request->address || request->sysctl_count)
		return 0;
	auto_close int pool = fd_open(request->run_root, FOLDER, O_RDONLY | O_DIRECTORY, 0);
	if (pool < 0)
		return 0;
	for (unsigned n = 0; n < SLOTS; n++) {
		if (take_slot(pool, driver, n, taken, &slot)) {
			*out = slot.got;
			return 1;
		}
	}
	return 0;
}

int net_pool_confirm(const struct net_request *request, struct net_pool_taken *taken,
	struct net_attachment *got, struct err *e)
{
	const struct net_driver *driver = net_driver_find(request->network, e);

	if (!driver)
		return -1;
	int rc = driver->adopt ? driver->adopt(request, taken->id, got, e) : 0;
	/* Where it cannot be used, its lease is the refill's to give back: no folder has it. */
	unlinkat(taken->folder, "slot", 0);
	net_pool_close(taken);
	return rc;
}

void net_pool_close(struct net_pool_taken *taken)
{
	close_fd(&taken->folder);
	close_fd(&taken->netns);
}

/* Making. */

/* A new namespace, its mount still attached to nothing. 0 or -errno. */
static int make_namespace(int *netns, int *mount)
{
	auto_close int outer = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	auto_close int home = outer < 0 ? -1 : link_namespace_of(outer);

	if (home < 0)
		return -EPERM;
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	int tree = kernel_open_tree(
		AT_FDCWD, "/proc/self/ns/net", KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
	auto_close int inner = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	int fd = inner < 0 ? -errno : link_namespace_of(inner);
	if (setns(home, CLONE_NEWNET) < 0 || tree < 0 || fd < 0) {
		close_fd(&tree);
		close_fd(&fd);
		return -EIO;
	}
	*mount = tree;
	*netns = fd;
	return 0;
}

static void clear_folder(int pool, const char *name)
{
	char path[64];

	/* umount2 knows no folder's descriptor; this is the same by another name. */
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s/ns", pool, name);
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	auto_close int folder = fd_open(pool, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder < 0)
		return;
	unlinkat(folder, "slot", 0);
	unlinkat(folder, "ns", 0);
	unlinkat(pool, name, AT_REMOVEDIR);
}

/* Clears a namespace away that was ready. The taking comes first, so that nobody else does. */
static void drop_slot(int pool, int run_root, const struct net_driver *driver, unsigned n)
{
	char name[NAME_SIZE], taken[NAME_SIZE] = "taken.", tag[17];
	struct err ignored;
	struct slot slot;

	slot_name(driver, n, name);
	make_tag(tag);
	memcpy(taken + 6, tag, sizeof tag);
	if (renameat(pool, name, pool, taken) < 0)
		return;
	auto_close int folder = fd_open(pool, taken, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder >= 0 && read_slot(folder, &slot) && *slot.got.address) {
		struct net_release release = {.run_root = run_root,
			.network = driver->name,
			.id = slot.id,
			.address = slot.got.address};
		net_detach(&release, &ignored);
	}
	clear_folder(pool, taken);
}

static int fill_slot(
	int pool, int folder, const char *fresh, const struct net_request *wanted, const char *name)
{
	struct slot slot = {.magic = MAGIC};
	struct net_request request = *wanted;
	auto_close int mount = -1;
	struct err ignored;
	const struct net_driver *driver = net_driver_find(wanted->network, &ignored);

	int place = fd_open(folder, "ns", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (place < 0)
		return -1;
	close_fd(&place);
	if (make_namespace(&request.netns, &mount) < 0)
		return -1;
	auto_close int netns = request.netns;
	if (kernel_move_mount(mount, "", folder, "ns", KERNEL_MOVE_MOUNT_F_EMPTY) < 0 ||
		(driver->prepare && driver->prepare(&request, &ignored) < 0) ||
		net_attach(&request, &slot.got, &ignored) < 0)
		return -1;
	memcpy(slot.id, request.id, strlen(request.id) + 1);
	/* What was changed on the host was told when it was first changed. */
	slot.got.note[0] = 0;
	auto_close int file = fd_open(folder, "slot", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (file < 0 || fd_write_full(file, &slot, sizeof slot) < 0 ||
		renameat(pool, fresh, pool, name) < 0) {
		if (*slot.got.address) {
			struct net_release release = {.run_root = wanted->run_root,
				.network = wanted->network,
				.id = slot.id,
				.address = slot.got.address};
			net_detach(&release, &ignored);
		}
		return -1;
	}
	return 0;
}

static int make_slot(int pool, int run_root, const struct net_driver *driver, unsigned n)
{
	char name[NAME_SIZE], fresh[NAME_SIZE] = "new.", tag[17], id[65];
	struct net_request request = {
		.run_root = run_root, .network = driver->name, .id = id, .usual_sysctls = true};

	slot_name(driver, n, name);
	make_tag(tag);
	memcpy(fresh + 4, tag, sizeof tag);
	snprintf(id, sizeof id, ID_MARK "%s%s%s", tag, tag, tag);
	if (mkdirat(pool, fresh, 0700) < 0)
		return -1;
	auto_close int folder = fd_open(pool, fresh, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder < 0 || fill_slot(pool, folder, fresh, &request, name) < 0) {
		clear_folder(pool, fresh);
		return -1;
	}
	return 0;
}

/* Clearing away. */

struct living {
	char ids[2 * SLOTS + 16][65];
	size_t count;
	bool overflow; /* more than there can be: nothing is known of the rest */
};

static bool is_orphan(void *context, const char *id)
{
	const struct living *living = context;

	if (!net_pool_holds(id) || living->overflow)
		return false;
	for (size_t i = 0; i < living->count; i++) {
		if (!strcmp(living->ids[i], id))
			return false;
	}
	return true;
}

/* Goes through the pool's folders: what was taken, or left by a crash, is cleared away; the
 * ids of the others are noted. */
static void tidy(int pool, struct living *living)
{
	struct timespec now;
	/* A folder's position is the open file's: a descriptor of its own. */
	int copy = fd_open(pool, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);

	if (!list) {
		close_fd(&copy);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	for (struct dirent *entry; (entry = readdir(list));) {
		struct stat status;
		struct slot slot;
		char name[NAME_SIZE];
		if (*entry->d_name == '.' || strlen(entry->d_name) >= sizeof name)
			continue;
		memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
		auto_close int folder = fd_open(pool, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (folder < 0)
			continue;
		bool taken = !strncmp(name, "taken.", 6);
		bool kept = read_slot(folder, &slot);
		bool young = fstat(folder, &status) == 0 && now.tv_sec - status.st_ctim.tv_sec < GRACE;
		if (!strncmp(name, "new.", 4) || (taken && !(kept && young))) {
			close_fd(&folder);
			clear_folder(pool, name);
		} else if (kept && living->count < sizeof living->ids / sizeof *living->ids) {
			memcpy(living->ids[living->count], slot.id, 64);
			living->ids[living->count++][64] = 0;
		} else {
			living->overflow = living->overflow || kept;
		}
	}
	closedir(list);
}

/* Notes that a container of that kind was there just now; returns whether the one before was
 * so recently that another is to be expected. */
static bool note_demand(int pool, const struct net_driver *driver)
{
	char name[NAME_SIZE];
	struct stat status;
	struct timespec now;

	snprintf(name, sizeof name, "asked.%s", driver->name);
	clock_gettime(CLOCK_REALTIME, &now);
	bool fresh = fstatat(pool, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		     now.tv_sec - status.st_mtim.tv_sec < FRESH && now.tv_sec >= status.st_mtim.tv_sec;
	auto_close int fd = fd_open(pool, name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
	if (fd >= 0)
		futimens(fd, NULL);
	return fresh;
}

static int open_pool(int run_root)
{
	int pool = fd_open_dir_made(run_root, FOLDER, 0700);

	/* Whoever else is at it does what is to be done. */
	if (pool >= 0 && flock(pool, LOCK_EX | LOCK_NB) < 0)
		close_fd(&pool);
	return pool;
}

void net_pool_refill(int run_root, const char *network)
{
	struct err ignored;
	const struct net_driver *driver = net_driver_find(network, &ignored);
	struct living living = {0};

	if (!driver || !driver->pooled)
		return;
	auto_close int pool = open_pool(run_root);
	if (pool < 0)
		return;
	bool fresh = note_demand(pool, driver);
	tidy(pool, &living);
	if (driver->sweep)
		driver->sweep(run_root, is_orphan, &living, &ignored);
	for (unsigned n = 0; n < SLOTS; n++) {
		char name[NAME_SIZE];
		struct stat status;
		slot_name(driver, n, name);
		bool there = fstatat(pool, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
		if (there && !fresh)
			drop_slot(pool, run_root, driver, n);
		/* One that cannot be made will not be in the next round either. */
		else if (!there && fresh && make_slot(pool, run_root, driver, n) < 0)
			break;
	}
}

void net_pool_clear(int run_root)
{
	struct living living = {0};
	auto_close int pool = open_pool(run_root);

	if (pool < 0)
		return;
	for (size_t i = 0; net_driver_at(i); i++) {
		char name[NAME_SIZE];
		if (!net_driver_at(i)->pooled)
			continue;
		for (unsigned n = 0; n < SLOTS; n++)
			drop_slot(pool, run_root, net_driver_at(i), n);
		snprintf(name, sizeof name, "asked.%s", net_driver_at(i)->name);
		unlinkat(pool, name, 0);
	}
	tidy(pool, &living);
}

unsigned net_pool_count(int run_root)
{
	auto_close int pool = fd_open(run_root, FOLDER, O_RDONLY | O_DIRECTORY, 0);
	unsigned count = 0;

	for (size_t i = 0; pool >= 0 && net_driver_at(i); i++) {
		for (unsigned n = 0; n < SLOTS; n++) {
			char name[NAME_SIZE];
			struct stat status;
			slot_name(net_driver_at(i), n, name);
			count += fstatat(pool, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
		}
	}
	return count;
}
