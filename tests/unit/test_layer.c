/* test_layer.c - layers, drivers, root file systems: on disk and under concurrency. Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "archive.h"
#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "store/driver.h"
#include "store/layer.h"
#include "store/overlay.h"
#include "store/tree_private.h"

struct place {
	char path[64];
	struct store store;
	bool mounted;
};

/* Mounts a btrfs of its own at path, which nobody else sees; false where this host cannot. */
static bool mount_btrfs(const char *path)
{
	char command[512];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	snprintf(command, sizeof command,
		"exec >/dev/null 2>&1; truncate -s 256M %s.img && mkfs.btrfs -q %s.img && "
		"mount -o loop %s.img %s; status=$?; rm -f %s.img; exit $status",
		path, path, path, path, path);
	return system(command) == 0; /* NOLINT(cert-env33-c) */
}

static struct place make_place(const char *driver)
{
	struct place place = {.path = "/var/tmp/brig-test-layer.XXXXXX"};
	struct err e;

	assert_non_null(mkdtemp(place.path));
	if (driver && !strcmp(driver, "btrfs")) {
		place.mounted = mount_btrfs(place.path);
		if (!place.mounted) {
			rmdir(place.path);
			print_message("no loop device or no mkfs.btrfs here\n");
			skip();
		}
	}
	assert_int_equal(store_open(&place.store, place.path, STORE_WRITE, &e), 0);
	if (driver && driver_use(&place.store, driver, &e) < 0)
		fail_msg("%s", e.what);
	return place;
}

static void drop_place(struct place *place)
{
	driver_close(&place->store);
	store_close(&place->store);
	if (place->mounted) {
		/* What is left would be a subvolume, which is not removed as a folder is. */
		struct err e;
		assert_int_equal(umount2(place->path, 0), 0);
		/* Under the mount there is the note that it is missing. */
		assert_int_equal(store_open(&place->store, place->path, 0, &e), -1);
		assert_int_equal(e.kind, ERR_NOT_FOUND);
		assert_non_null(strstr(e.what, "not mounted"));
		assert_non_null(strstr(e.hint, "mount -o loop"));
	}
	assert_int_equal(fd_remove_tree(AT_FDCWD, place->path), 0);
}

/* As who removes a container does. */
static void remove_rootfs(struct place *place, struct driver_rootfs *rootfs, const char *name)
{
	struct err e;

	if (place->store.driver->rootfs_remove &&
		place->store.driver->rootfs_remove(&place->store, rootfs->folder, &e) < 0)
		fail_msg("%s", e.what);
	close(rootfs->folder);
	assert_int_equal(fd_remove_tree(place->store.root, name), 0);
}

static int stages(struct place *place)
{
	struct err e;
	int tmp = store_folder(&place->store, STORE_TMP, &e), count = 0;
	auto_free char **names = tree_names(tmp);
	while (names[count])
		count++;
	return count;
}

static struct oci_digest digest_of(struct archive *a)
{
	struct oci_digest digest;
	oci_digest_of(a->bytes.data, a->bytes.length, &digest);
	return digest;
}

/* Unpacks and publishes the archive (used up) on top of parent; returns the chain id. */
static struct oci_digest add_layer(struct place *place, struct archive *a, const struct oci_digest *parent)
{
	struct oci_digest diff, chain;
	struct layer_stage stage;
	struct unpack unpack;
	struct unpack_result result;
	struct err e = {0};

	archive_end(a);
	diff = digest_of(a);
	oci_chain_id(parent, &diff, &chain);
	int input = memfd_create("archive", MFD_CLOEXEC);
	assert_int_equal(fd_write_full(input, a->bytes.data, a->bytes.length), 0);
	lseek(input, 0, SEEK_SET);
	buf_free(&a->bytes);
	int rc = layer_begin(&place->store, &chain, parent, &stage, &e);
	if (rc == 1 && (layer_unpack(&stage, (struct unpack_options){.input = input}, &unpack, &e) < 0 ||
			       layer_unpacked(&stage, &unpack, &diff, &result, &e) < 0 ||
			       layer_seal(&place->store, &stage, NULL, &e) < 0 ||
			       layer_publish(&place->store, &stage, &e) < 0))
		rc = -1;
	if (rc < 0)
		fail_msg("%s", e.what);
	close(input);
	assert_true(layer_has(&place->store, oci_digest_hex(&chain)));
	return chain;
}

static void is_file(int folder, const char *path, const char *content)
{
	char text[64] = "-";
	int fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof text - 1);
		text[n > 0 ? n : 0] = '\0';
		close(fd);
	}
	unit_row("%s\n", path);
	assert_string_equal(text, content);
}

static void write_file(int folder, const char *path, const char *content)
{
	int fd = openat(folder, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
}

/* Three layers: one file of each, whiteouts, an opaque folder. */
static void three_layers(struct place *place, struct oci_digest chains[3])
{
	struct archive a = {0};

	archive_entry(
		&a, (struct tar_entry){.type = TAR_DIRECTORY, .path = "./", .mode = 0711, .uid = 7}, "", 0);
	archive_put(&a, TAR_FILE, "one", 0644, "1");
	archive_put(&a, TAR_FILE, "gone", 0644, "1");
	archive_put(&a, TAR_FILE, "d/old", 0644, "1");
	archive_put(&a, TAR_FILE, "e/old", 0644, "1");
	archive_put(&a, TAR_FILE, "e/kept", 0644, "1");
	chains[0] = add_layer(place, &a, NULL);
	archive_put(&a, TAR_FILE, "two", 0644, "2");
	archive_put(&a, TAR_FILE, ".wh.gone", 0644, "");
	archive_put(&a, TAR_FILE, "e/.wh.old", 0644, "");
	archive_put(&a, TAR_DIRECTORY, "d", 0755, "");
	archive_put(&a, TAR_FILE, "d/.wh..wh..opq", 0644, "");
	archive_put(&a, TAR_FILE, "d/new", 0644, "2");
	chains[1] = add_layer(place, &a, &chains[0]);
	archive_put(&a, TAR_FILE, "three", 04755, "3");
	archive_put(&a, TAR_FILE, "one", 0644, "3");
	chains[2] = add_layer(place, &a, &chains[1]);
}

static struct driver_rootfs make_rootfs(
	struct place *place, const char *name, const char *const *layers, size_t count)
{
	struct driver_rootfs rootfs = {.layers = layers, .layer_count = count};
	struct err e;

	assert_int_equal(mkdirat(place->store.root, name, 0700), 0);
	rootfs.folder = openat(place->store.root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->store.driver->rootfs_create(&place->store, &rootfs, &e) < 0)
		fail_msg("%s", e.what);
	return rootfs;
}

static int mount_rootfs(struct place *place, const struct driver_rootfs *rootfs)
{
	struct err e;
	int fd = place->store.driver->rootfs_mount(&place->store, rootfs, &e);
	if (fd < 0)
		fail_msg("%s", e.what);
	return fd;
}

static void check_three(int fd)
{
	struct stat st;
	struct statvfs vfs;

	is_file(fd, "one", "3");
	is_file(fd, "two", "2");
	is_file(fd, "three", "3");
	is_file(fd, "gone", "-");
	is_file(fd, "d/old", "-");
	is_file(fd, "d/new", "2");
	is_file(fd, "e/old", "-");
	is_file(fd, "e/kept", "1");
	assert_int_equal(fstatat(fd, "three", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 04755);
	/* The root folder is as the only layer that mentions it says. */
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(fstatvfs(fd, &vfs), 0);
	assert_true(vfs.f_flag & ST_NODEV);
	assert_false(vfs.f_flag & (ST_NOSUID | ST_NOEXEC));
}

static struct oci_digest commit(struct place *place, const struct driver_rootfs *rootfs,
	const struct oci_digest *parent, const char *diff)
{
	struct layer_stage stage;
	struct err e;

	assert_int_equal(layer_begin_bare(&place->store, &stage, &e), 0);
	if (parent)
		stage.layer.parent = *parent;
	if (place->store.driver->rootfs_commit(&place->store, rootfs, stage.stage.fd, &e) < 0)
		fail_msg("%s", e.what);
	oci_digest_of(diff, strlen(diff), &stage.layer.diff_id);
	oci_chain_id(parent, &stage.layer.diff_id, &stage.layer.chain_id);
	struct oci_digest chain = stage.layer.chain_id;
	if (layer_seal(&place->store, &stage, NULL, &e) < 0 || layer_publish(&place->store, &stage, &e) < 0)
		fail_msg("%s", e.what);
	return chain;
}

/* What a driver with snapshots does besides: commits, in constant time. */
static void whole_trees(struct place *place, const struct oci_digest chains[3])
{
	static const char *const mounted[] = {"/data/x", "/kept", "/one", NULL};
	const char *hex[4] = {oci_digest_hex(&chains[0]), oci_digest_hex(&chains[1])};
	struct err e;

	if (!place->store.driver->rootfs_commit)
		return;
	struct driver_rootfs rootfs = make_rootfs(place, "c6", hex, 2);
	rootfs.mount_points = mounted;
	int fd = mount_rootfs(place, &rootfs);
	write_file(fd, "written", "1");
	/* Mount points, as the engine makes them, and one in which something is. */
	assert_int_equal(mkdirat(fd, "proc", 0755) | mkdirat(fd, "etc", 0755) | mkdirat(fd, "data", 0755) |
				 mkdirat(fd, "data/x", 0755) | mkdirat(fd, "kept", 0755) |
				 mkdirat(fd, "empty", 0755),
		0);
	write_file(fd, "etc/hosts", "");
	write_file(fd, "kept/file", "1");
	struct oci_digest first = commit(place, &rootfs, &chains[1], "first");
	write_file(fd, "written", "2");
	struct oci_digest second = commit(place, &rootfs, &chains[1], "second");
	close(fd);

	fd = layer_open_tree(&place->store, oci_digest_hex(&first), &e);
	is_file(fd, "written", "1");
	is_file(fd, "two", "2");
	is_file(fd, "one", "1");
	is_file(fd, "kept/file", "1");
	assert_int_equal(faccessat(fd, "empty", F_OK, 0), 0);
	assert_int_equal(faccessat(fd, "proc", F_OK, 0), -1);
	assert_int_equal(faccessat(fd, "etc", F_OK, 0), -1);
	assert_int_equal(faccessat(fd, "data", F_OK, 0), -1);
	/* It is sealed. */
	assert_int_equal(openat(fd, "x", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), -1);
	assert_int_equal(errno, EROFS);
	close(fd);

	/* A container of the first, one of the second; then the first goes, and the container, and all. */
	hex[2] = oci_digest_hex(&second);
	struct driver_rootfs child = make_rootfs(place, "c7", hex, 3);
	fd = mount_rootfs(place, &child);
	is_file(fd, "written", "2");
	close(fd);
	if (layer_remove(&place->store, oci_digest_hex(&first), &e) < 0)
		fail_msg("%s", e.what);
	fd = mount_rootfs(place, &rootfs);
	is_file(fd, "written", "2");
	close(fd);
	remove_rootfs(place, &rootfs, "c6");
	remove_rootfs(place, &child, "c7");
	for (const char *const *left = (const char *const[]){hex[2], hex[1], hex[0], NULL}; *left; left++) {
		if (layer_remove(&place->store, *left, &e) < 0)
			fail_msg("%s", e.what);
	}
	assert_int_equal(stages(place), 0);
}

static void with_driver(const char *driver)
{
	struct place place = make_place(driver);
	struct oci_digest chains[3];
	struct layer layer;
	struct err e;

	three_layers(&place, chains);
	assert_int_equal(stages(&place), 0);
	const char *hex[3] = {
		oci_digest_hex(&chains[0]), oci_digest_hex(&chains[1]), oci_digest_hex(&chains[2])};
	assert_int_equal(layer_read(&place.store, hex[1], &layer, &e), 0);
	assert_true(oci_digest_equal(&layer.parent, &chains[0]));
	assert_true(oci_digest_equal(&layer.chain_id, &chains[1]));
	assert_int_equal(layer.entries, 6);
	assert_int_equal(layer.size, 2);
	assert_int_equal(layer_read(&place.store, hex[0], &layer, &e), 0);
	assert_string_equal(layer.parent.text, "");

	struct driver_rootfs rootfs = make_rootfs(&place, "c1", hex, 3),
			     other = make_rootfs(&place, "c2", hex, 3);
	int fd = mount_rootfs(&place, &rootfs);
	check_three(fd);
	write_file(fd, "written", "w");
	assert_int_equal(unlinkat(fd, "two", 0), 0);
	close(fd);
	fd = mount_rootfs(&place, &rootfs);
	is_file(fd, "written", "w");
	is_file(fd, "two", "-");
	close(fd);
	/* The other container and the layers know nothing of it. */
	fd = mount_rootfs(&place, &other);
	check_three(fd);
	is_file(fd, "written", "-");
	close(fd);
	other.read_only = true;
	fd = mount_rootfs(&place, &other);
	assert_int_equal(openat(fd, "x", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), -1);
	assert_int_equal(errno, EROFS);
	close(fd);
	if (place.store.driver->rootfs_changes) {
		fd = place.store.driver->rootfs_changes(&place.store, &rootfs, &e);
		is_file(fd, "written", "w");
		is_file(fd, "one", "-");
		close(fd);
	}
	remove_rootfs(&place, &rootfs, "c1");
	remove_rootfs(&place, &other, "c2");

	/* Ephemeral ones can be mounted twice, too. */
	struct driver_rootfs ephemeral = make_rootfs(&place, "c3", hex, 2);
	ephemeral.ephemeral = true;
	fd = mount_rootfs(&place, &ephemeral);
	write_file(fd, "written", "w");
	is_file(fd, "three", "-");
	close(fd);
	fd = mount_rootfs(&place, &ephemeral);
	is_file(fd, "written", "w");
	close(fd);
	remove_rootfs(&place, &ephemeral, "c3");

	struct driver_rootfs empty = make_rootfs(&place, "c4", NULL, 0);
	fd = mount_rootfs(&place, &empty);
	write_file(fd, "written", "w");
	close(fd);
	remove_rootfs(&place, &empty, "c4");

	/* A layer that is gone. */
	struct driver_rootfs missing = make_rootfs(&place, "c5", hex, 3);
	assert_int_equal(layer_remove(&place.store, hex[2], &e), 0);
	assert_int_equal(layer_remove(&place.store, hex[2], &e), 0);
	assert_false(layer_has(&place.store, hex[2]));
	assert_int_equal(layer_read(&place.store, hex[2], &layer, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	if (!strcmp(driver, "overlay")) {
		assert_int_equal(place.store.driver->rootfs_mount(&place.store, &missing, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
	remove_rootfs(&place, &missing, "c5");
	assert_int_equal(stages(&place), 0);
	whole_trees(&place, chains);
	drop_place(&place);
}

static void overlay_driver(void **state)
{
	with_driver("overlay");
}

static void copy_driver(void **state)
{
	with_driver("copy");
}

/* The ids of all subvolumes below the first one. */
static int subvolumes(int folder)
{
	struct btrfs_ioctl_get_subvol_rootref_args found = {0};

	assert_int_equal(ioctl(folder, BTRFS_IOC_GET_SUBVOL_ROOTREF, &found), 0);
	return found.num_items;
}

static void make_subvolume(int folder, const char *name)
{
	struct btrfs_ioctl_vol_args_v2 args = {0};

	snprintf(args.name, sizeof args.name, "%s", name);
	assert_int_equal(ioctl(folder, BTRFS_IOC_SUBVOL_CREATE_V2, &args), 0);
}

/* Subvolumes that a container made in its tree, one in another, read-only ones too. */
static void btrfs_nested(void **state)
{
	struct place place = make_place("btrfs");
	struct driver_rootfs rootfs = make_rootfs(&place, "c", NULL, 0);
	uint64_t read_only = BTRFS_SUBVOL_RDONLY;
	struct err e;

	int fd = mount_rootfs(&place, &rootfs);
	assert_int_equal(mkdirat(fd, "d", 0755), 0);
	int folder = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_subvolume(folder, "nested");
	write_file(folder, "nested/file", "n");
	int nested = openat(folder, "nested", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 300; i++) { /* more than one answer of the kernel holds */
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		make_subvolume(nested, name);
	}
	write_file(nested, "n7/file", "n7");
	assert_int_equal(ioctl(nested, BTRFS_IOC_SUBVOL_SETFLAGS, &read_only), 0);

	/* A commit has what is in them. */
	struct oci_digest chain = commit(&place, &rootfs, NULL, "first");
	int tree = layer_open_tree(&place.store, oci_digest_hex(&chain), &e);
	is_file(tree, "d/nested/file", "n");
	is_file(tree, "d/nested/n7/file", "n7");
	close(tree);
	/* The container's root may make its own read-only, too. */
	int root = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ioctl(root, BTRFS_IOC_SUBVOL_SETFLAGS, &read_only), 0);
	close(root);
	close(nested);
	close(folder);
	close(fd);
	remove_rootfs(&place, &rootfs, "c");
	assert_int_equal(layer_remove(&place.store, oci_digest_hex(&chain), &e), 0);
	assert_int_equal(subvolumes(place.store.root), 0);
	drop_place(&place);
}

/* Staging of who was killed: layers half made, half removed. */
static void btrfs_cut_short(void **state)
{
	struct place place = make_place("btrfs");
	struct layer_stage stage;
	struct store again;
	struct err e;

	for (int removing = 0; removing < 2; removing++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (layer_begin(&place.store, NULL, NULL, &stage, &e) != 1)
				_exit(1);
			write_file(stage.tree, "file", "1");
			if (place.store.driver->layer_seal(&place.store, stage.stage.fd, &e) < 0)
				_exit(2);
			/* As layer_remove has it. */
			struct store_stage outer;
			int tmp = place.store.folders[STORE_TMP];
			if (removing && (store_stage(&place.store, "rmlayer", &outer, &e) < 0 ||
						renameat(tmp, stage.stage.name, outer.fd, "layer") < 0))
				_exit(3);
			_exit(0);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(stages(&place), 1);
		assert_int_equal(subvolumes(place.store.root), 1);
		/* Another command, which has no driver yet. */
		assert_int_equal(store_open(&again, place.path, STORE_WRITE, &e), 0);
		assert_int_equal(store_sweep(&again), 1);
		driver_close(&again);
		store_close(&again);
		assert_int_equal(stages(&place), 0);
		assert_int_equal(subvolumes(place.store.root), 0);
	}
	drop_place(&place);
}

static void btrfs_driver(void **state)
{
	with_driver("btrfs");
}

/* The ways of all kernels, with few layers and with as many as images have. */
static void overlay_ways(void **state)
{
	enum { MANY = 127 };
	struct place place = make_place("overlay");
	struct oci_digest chains[MANY];
	const char *hex[MANY];
	char name[16];
	struct err e;

	for (int i = 0; i < MANY; i++) {
		struct archive a = {0};
		snprintf(name, sizeof name, "f%d", i);
		archive_put(&a, TAR_FILE, name, 0644, name);
		archive_put(&a, TAR_FILE, "last", 0644, name);
		chains[i] = add_layer(&place, &a, i ? &chains[i - 1] : NULL);
		hex[i] = oci_digest_hex(&chains[i]);
	}
	for (enum overlay_way way = OVERLAY_ANY; way <= OVERLAY_BY_CHILD; way++) {
		for (size_t count = 1; count <= MANY; count += MANY - 1) {
			struct driver_rootfs rootfs = make_rootfs(&place, "c", hex, count);
			int fd = overlay_mount(&place.store, &rootfs, way, &e);
			unit_row("way %d, %zu layers\n", way, count);
			if (fd < 0)
				fail_msg("%s", e.what);
			is_file(fd, "f0", "f0");
			snprintf(name, sizeof name, "f%zu", count - 1);
			is_file(fd, name, name);
			is_file(fd, "last", name);
			write_file(fd, "last", "new");
			struct statvfs vfs;
			assert_int_equal(fstatvfs(fd, &vfs), 0);
			assert_true(vfs.f_flag & ST_NODEV);
			close(fd);
			remove_rootfs(&place, &rootfs, "c");
		}
	}
	drop_place(&place);
}

static void choosing(void **state)
{
	struct place place = make_place(NULL);
	struct store again;
	struct err e;

	assert_int_equal(driver_use(&place.store, "zip", &e), -1);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_int_equal(driver_use(&place.store, NULL, &e), 0);
	assert_string_equal(place.store.driver->name, "overlay");
	assert_int_equal(driver_use(&place.store, "copy", &e), 0); /* chosen already */
	assert_int_equal(store_open(&again, place.path, STORE_WRITE, &e), 0);
	assert_int_equal(driver_use(&again, "copy", &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_int_equal(driver_use(&again, NULL, &e), 0);
	assert_string_equal(again.driver->name, "overlay");
	store_close(&again);
	write_file(place.store.root, "driver", "future\x1b\n");
	assert_int_equal(store_open(&again, place.path, STORE_WRITE, &e), 0);
	assert_int_equal(driver_use(&again, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.what, "\"future\\x1b\""));
	store_close(&again);
	assert_int_equal(stages(&place), 0);
	drop_place(&place);
}

static void wrong_digest(void **state)
{
	struct place place = make_place("overlay");
	struct archive a = {0};
	struct layer_stage stage;
	struct unpack unpack;
	struct unpack_result result;
	struct oci_digest diff;
	struct err e;

	archive_put(&a, TAR_FILE, "a", 0644, "1");
	archive_end(&a);
	diff = digest_of(&a);
	a.bytes.data[600] ^= 1; /* not in a header */
	int input = memfd_create("archive", MFD_CLOEXEC);
	assert_int_equal(fd_write_full(input, a.bytes.data, a.bytes.length), 0);
	lseek(input, 0, SEEK_SET);
	buf_free(&a.bytes);
	assert_int_equal(layer_begin(&place.store, &diff, NULL, &stage, &e), 1);
	assert_int_equal(layer_unpack(&stage, (struct unpack_options){.input = input}, &unpack, &e), 0);
	assert_int_equal(layer_unpacked(&stage, &unpack, &diff, &result, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	layer_drop(&place.store, &stage);
	layer_drop(&place.store, &stage);
	assert_false(layer_has(&place.store, oci_digest_hex(&diff)));
	assert_int_equal(stages(&place), 0);
	close(input);
	drop_place(&place);
}

/* A child that begins the layer and then does what it is told: 'p' publish, 'd' drop, 'k' be killed. */
static void child_makes(struct place *place, const struct oci_digest *chain, int tell, int ask)
{
	struct store store;
	struct layer_stage stage;
	struct err e;
	char order;

	if (store_open(&store, place->path, STORE_WRITE, &e) < 0 || driver_use(&store, NULL, &e) < 0 ||
		layer_begin(&store, chain, NULL, &stage, &e) != 1)
		_exit(2);
	stage.layer.diff_id = *chain;
	if (write(tell, "b", 1) != 1 || read(ask, &order, 1) != 1)
		_exit(3);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	if (order == 'k')
		kill(getpid(), SIGKILL);
	if (order == 'p' &&
		(layer_seal(&store, &stage, NULL, &e) < 0 || layer_publish(&store, &stage, &e) < 0))
		_exit(4);
	layer_drop(&store, &stage);
	pause(); /* holding nothing */
}

static void two_at_once(void **state)
{
	for (const char *order = "pdk"; *order; order++) {
		struct place place = make_place("overlay");
		struct oci_digest chain;
		struct layer_stage stage = {0};
		struct err e;
		int tell[2], ask[2];
		char byte;

		unit_row("order %c\n", *order);
		oci_digest_of("x", 1, &chain);
		assert_int_equal(fd_pipe(tell, 0), 0);
		assert_int_equal(fd_pipe(ask, 0), 0);
		pid_t pid = fork();
		if (!pid) {
			child_makes(&place, &chain, tell[1], ask[0]);
			_exit(1);
		}
		assert_int_equal(read(tell[0], &byte, 1), 1);
		/* A sweep leaves alone what somebody works on. */
		assert_int_equal(store_sweep(&place.store), 0);
		assert_int_equal(stages(&place), 1);
		assert_int_equal(write(ask[1], order, 1), 1);
		int rc = layer_begin(&place.store, &chain, NULL, &stage, &e);
		assert_int_equal(rc, *order == 'p' ? 0 : 1);
		if (*order == 'k') {
			assert_int_equal(stages(&place), 2);
			assert_int_equal(store_sweep(&place.store), 1);
		}
		assert_int_equal(stages(&place), rc);
		layer_drop(&place.store, &stage);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_int_equal(stages(&place), 0);
		close(tell[0]);
		close(tell[1]);
		close(ask[0]);
		close(ask[1]);
		drop_place(&place);
	}
}

static int layer_from_folder(
	struct place *place, int folder, struct layer *layer, uint64_t *skipped, struct err *e)
{
	struct layer_stage stage;

	assert_int_equal(layer_begin(&place->store, NULL, NULL, &stage, e), 1);
	int rc = layer_fill(&stage, folder, &(struct tree_options){.foreign = true}, skipped, e);
	*layer = stage.layer;
	if (rc == 0)
		rc = layer_seal(&place->store, &stage, NULL, e);
	if (rc == 0)
		rc = layer_publish(&place->store, &stage, e);
	layer_drop(&place->store, &stage);
	return rc;
}

static void from_folder(void **state)
{
	struct place place = make_place("overlay");
	struct layer layer, again;
	struct err e;
	struct stat st, other;
	uint64_t skipped;
	char path[128], value[16];

	assert_int_equal(mkdirat(place.store.root, "host", 0750), 0);
	int host = openat(place.store.root, "host", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(host, "sub", 0), 0);
	assert_int_equal(fchmodat(host, "sub", 02775, 0), 0);
	assert_int_equal(mkdirat(host, "mounted", 0755), 0);
	write_file(host, "file", "content");
	write_file(host, "sub/suid", "suid");
	assert_int_equal(fchownat(host, "sub/suid", 12, 34, 0), 0);
	assert_int_equal(fchmodat(host, "sub/suid", 04711, 0), 0);
	assert_int_equal(linkat(host, "file", host, "sub/hard", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", host, "link"), 0);
	assert_int_equal(symlinkat("sub", host, "sublink"), 0);
	assert_int_equal(mknodat(host, "device", S_IFCHR | 0600, makedev(1, 3)), 0);
	assert_int_equal(mknodat(host, "whiteout", S_IFCHR | 0600, makedev(0, 0)), 0);
	assert_int_equal(mkfifoat(host, "fifo", 0640), 0);
	snprintf(path, sizeof path, "%s/host/file", place.path);
	assert_int_equal(setxattr(path, "user.kept", "v", 1, 0), 0);
	assert_int_equal(setxattr(path, "user.overlay.x", "v", 1, 0), 0);
	assert_int_equal(setxattr(path, "trusted.x", "v", 1, 0), 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/host/socket", place.path);
	int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof address), 0);
	close(socket_fd);
	int sparse = openat(host, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(pwrite(sparse, "x", 1, 5000000), 1);
	close(sparse);
	/* A mounted file system is not gone into. In a namespace of this test's own. */
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(path, sizeof path, "%s/host/mounted", place.path);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
	snprintf(path, sizeof path, "%s/host/mounted/inside", place.path);
	write_file(AT_FDCWD, path, "x");
	*strrchr(path, '/') = '\0';
	const struct timespec long_ago[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	assert_int_equal(chmod(path, 01777), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);

	close(host);
	snprintf(path, sizeof path, "%s/host", place.path);
	host = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (layer_from_folder(&place, host, &layer, &skipped, &e) < 0)
		fail_msg("%s", e.what);
	assert_int_equal(skipped, 6); /* two devices, a socket, a mount, two attributes */
	assert_true(oci_digest_equal(&layer.chain_id, &layer.diff_id));
	int tree = layer_open_tree(&place.store, oci_digest_hex(&layer.chain_id), &e);
	is_file(tree, "file", "content");
	is_file(tree, "sub/hard", "content");
	assert_int_equal(fstatat(tree, "file", &st, 0), 0);
	assert_int_equal(fstatat(tree, "sub/hard", &other, 0), 0);
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(fstatat(host, "file", &other, 0), 0);
	assert_int_equal(st.st_mtim.tv_nsec, other.st_mtim.tv_nsec);
	assert_int_equal(fstatat(tree, "sub/suid", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 04711);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 34);
	assert_int_equal(fstatat(tree, "sub", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 02775);
	assert_int_equal(fstat(tree, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(fstatat(tree, "sparse", &st, 0), 0);
	assert_int_equal(st.st_size, 5000001);
	assert_true(st.st_blocks < 100);
	assert_int_equal(readlinkat(tree, "link", value, sizeof value), 11);
	assert_int_equal(fstatat(tree, "fifo", &st, 0), 0);
	assert_true(S_ISFIFO(st.st_mode));
	for (const char *const *gone =
			(const char *const[]){"device", "whiteout", "socket", "mounted/inside", NULL};
		*gone; gone++)
		assert_int_equal(fstatat(tree, *gone, &st, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(fstatat(tree, "mounted", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	assert_int_equal(st.st_mtim.tv_sec, 1000000000);
	snprintf(path, sizeof path, "%s/layers/%s/tree/file", place.path, oci_digest_hex(&layer.chain_id));
	assert_int_equal(listxattr(path, NULL, 0), sizeof "user.kept");
	close(tree);

	/* The same folder is the same layer. */
	assert_int_equal(layer_from_folder(&place, host, &again, &skipped, &e), 0);
	assert_true(oci_digest_equal(&layer.chain_id, &again.chain_id));
	assert_int_equal(stages(&place), 0);
	snprintf(path, sizeof path, "%s/host/mounted", place.path);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	close(host);
	drop_place(&place);
}

static int append(void *context, const void *bytes, size_t size)
{
	buf_append(context, bytes, size);
	return 0;
}

/* What a container changed, as an archive: the same tree again when that is unpacked. */
static void changes(void **state)
{
	struct place place = make_place("overlay");
	struct oci_digest chains[4];
	struct err e;

	three_layers(&place, chains);
	const char *hex[4] = {
		oci_digest_hex(&chains[0]), oci_digest_hex(&chains[1]), oci_digest_hex(&chains[2])};
	struct driver_rootfs rootfs = make_rootfs(&place, "c1", hex, 3);
	int fd = mount_rootfs(&place, &rootfs);
	write_file(fd, "new", "n");
	assert_int_equal(linkat(fd, "new", fd, "e/link", 0), 0);
	assert_int_equal(unlinkat(fd, "one", 0), 0);
	assert_int_equal(unlinkat(fd, "d/new", 0), 0);
	assert_int_equal(unlinkat(fd, "d", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(fd, "d", 0755), 0);
	write_file(fd, "d/newer", "n");
	close(fd);

	struct archive a = {0};
	struct tar_writer w = {.write = append, .context = &a.bytes};
	struct tree_result result;
	int upper = place.store.driver->rootfs_changes(&place.store, &rootfs, &e);
	assert_int_equal(tree_write(upper, &w, &(struct tree_options){.overlay = true}, &result, &e), 0);
	close(upper);
	a.bytes.length -= 1024; /* add_layer ends it */
	chains[3] = add_layer(&place, &a, &chains[2]);
	hex[3] = oci_digest_hex(&chains[3]);
	struct driver_rootfs other = make_rootfs(&place, "c2", hex, 4);
	fd = mount_rootfs(&place, &other);
	is_file(fd, "new", "n");
	is_file(fd, "e/link", "n");
	is_file(fd, "e/kept", "1");
	is_file(fd, "one", "-");
	is_file(fd, "d/new", "-");
	is_file(fd, "d/newer", "n");
	is_file(fd, "three", "3");
	close(fd);
	close(rootfs.folder);
	close(other.folder);
	drop_place(&place);
}

/* An ordinary user's store: all of it in a user namespace with one id. */
static void rootless(void **state)
{
	char path[] = "/var/tmp/brig-test-layer.XXXXXX";

	assert_non_null(mkdtemp(path));
	assert_int_equal(chown(path, 65534, 65534), 0);
	pid_t pid = fork();
	if (!pid) {
		struct place place = {0};
		struct err e = {0};
		struct oci_digest chain;
		int rc, step = 1;

		snprintf(place.path, sizeof place.path, "%s/store", path);
		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 ||
			unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(77);
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		int maps = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
		if (maps < 0 || write(maps, "deny", 4) != 4)
			_exit(78);
		maps = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
		if (maps < 0 || write(maps, "0 65534 1", 9) != 9)
			_exit(79);
		maps = open("/proc/self/gid_map", O_WRONLY | O_CLOEXEC);
		if (maps < 0 || write(maps, "0 65534 1", 9) != 9)
			_exit(80);
		rc = store_open(&place.store, place.path, STORE_WRITE, &e);
		if (rc == 0 && ++step)
			rc = driver_use(&place.store, "overlay", &e);
		struct layer_stage stage;
		struct unpack unpack;
		struct unpack_result result = {0};
		struct archive a = {0};
		archive_entry(&a,
			(struct tar_entry){.type = TAR_FILE, .path = "f", .uid = 5, .gid = 6, .mode = 04755},
			"x", 1);
		archive_put(&a, TAR_FILE, ".wh.w", 0644, "");
		archive_entry(&a,
			(struct tar_entry){.type = TAR_CHARACTER, .path = "dev/null", .major = 1, .minor = 3},
			"", 0);
		archive_end(&a);
		chain = digest_of(&a);
		int input = memfd_create("archive", MFD_CLOEXEC);
		fd_write_full(input, a.bytes.data, a.bytes.length);
		lseek(input, 0, SEEK_SET);
		if (rc == 0 && ++step)
			rc = layer_begin(&place.store, &chain, NULL, &stage, &e) == 1 ? 0 : -1;
		if (rc == 0 && ++step)
			rc = layer_unpack(&stage, (struct unpack_options){.input = input, .one_owner = true},
				&unpack, &e);
		if (rc == 0 && ++step)
			rc = layer_unpacked(&stage, &unpack, &chain, &result, &e);
		if (rc == 0 && (!result.jailed || result.owners != 1 || result.devices != 1))
			_exit(81);
		if (rc == 0 && ++step)
			rc = layer_seal(&place.store, &stage, NULL, &e);
		if (rc == 0 && ++step)
			rc = layer_publish(&place.store, &stage, &e);
		const char *hex = oci_digest_hex(&chain);
		struct driver_rootfs rootfs = {.layers = &hex, .layer_count = 1};
		if (rc == 0 && mkdirat(place.store.root, "c", 0700) == 0)
			rootfs.folder = openat(place.store.root, "c", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (rc == 0 && ++step)
			rc = place.store.driver->rootfs_create(&place.store, &rootfs, &e);
		for (enum overlay_way way = OVERLAY_ANY; rc == 0 && way <= OVERLAY_BY_CHILD; way++) {
			int fd = overlay_mount(&place.store, &rootfs, way, &e);
			step++;
			rc = fd < 0 ? -1 : 0;
			struct stat st;
			if (fd >= 0 && (fstatat(fd, "f", &st, 0) < 0 || (st.st_mode & 07777) != 04755 ||
					       st.st_uid != 0))
				_exit(82);
			if (fd >= 0 && unlinkat(fd, way == OVERLAY_BY_CHILD ? "f" : "none", 0) < 0 &&
				errno != ENOENT)
				_exit(83);
			close(fd);
		}
		if (rc < 0)
			fprintf(stderr, "step %d: %s\n", step, e.what);
		_exit(rc < 0 ? step : 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(fd_remove_tree(AT_FDCWD, path), 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlay_driver),
		cmocka_unit_test(copy_driver),
		cmocka_unit_test(btrfs_driver),
		cmocka_unit_test(btrfs_nested),
		cmocka_unit_test(btrfs_cut_short),
		cmocka_unit_test(overlay_ways),
		cmocka_unit_test(choosing),
		cmocka_unit_test(wrong_digest),
		cmocka_unit_test(two_at_once),
		cmocka_unit_test(from_folder),
		cmocka_unit_test(changes),
		cmocka_unit_test(rootless),
	};
	return cmocka_run_group_tests_name("layer", tests, NULL, NULL);
}
