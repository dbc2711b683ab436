/* doctor.c - the checks of brig doctor, a row each. */
#include "engine/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/confine.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/nearest.h"
#include "base/table.h"
#include "engine/stores.h"
#include "net/net.h"
#include "registry/client.h"
#include "runtime/cgroup.h"
#include "store/place.h"

#define BRIDGE  "bridge0"
#define ROOMY   (INT64_C(1) << 30) /* free bytes below which pulls soon fail */
#define FUSE    0x65735546
#define RAMFS   0x858458f6
#define SHOCKER "/var/lib/shocker.img"
#define BOCKER  "/var/lib/bocker.img"

static void found(struct doctor_finding *finding, enum doctor_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void found(struct doctor_finding *finding, enum doctor_status status, const char *format, ...)
{
	va_list ap;

	finding->status = status;
	va_start(ap, format);
	vsnprintf(finding->text, sizeof finding->text, format, ap);
	va_end(ap);
}

static void advise(struct doctor_finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One more line of what to do. */
static void advise(struct doctor_finding *finding, const char *format, ...)
{
	size_t length = strlen(finding->fix);
	va_list ap;

	if (length && length + 1 < sizeof finding->fix)
		finding->fix[length++] = '\n';
	va_start(ap, format);
	vsnprintf(finding->fix + length, sizeof finding->fix - length, format, ap);
	va_end(ap);
}

static void offer(struct doctor_finding *finding, const char *text)
{
	snprintf(finding->offer, sizeof finding->offer, "%s", text);
}

/* ---- rights and kernel ---- */

static void look_rights(struct engine *engine, struct doctor_finding *f)
{
	static const struct {
		unsigned number;
		const char *name;
	} needed[] = {
		{CAP_SYS_ADMIN, "SYS_ADMIN"},
		{CAP_NET_ADMIN, "NET_ADMIN"},
		{CAP_MKNOD, "MKNOD"},
		{CAP_CHOWN, "CHOWN"},
		{CAP_SETUID, "SETUID"},
		{CAP_SETPCAP, "SETPCAP"},
	};
	uint64_t held = 0;

	if (geteuid() != 0) {
		found(f, DOCTOR_NOTE,
			"an ordinary user: containers have one id, and no network but the host's");
		advise(f, "run brig as root for the rest");
		return;
	}
	confine_capabilities_held(&held);
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		if (held >> needed[i].number & 1)
			continue;
		found(f, DOCTOR_BAD, "root, but without the capability %s", needed[i].name);
		advise(f, "start whatever brig runs in with all capabilities");
		return;
	}
	found(f, DOCTOR_OK, "root, with all the rights that containers need");
}

static void look_kernel(struct engine *engine, struct doctor_finding *f)
{
	struct utsname host;
	unsigned major = 0, minor = 0;

	uname(&host);
	sscanf(host.release, "%u.%u", &major, &minor);
	if (major > 5 || (major == 5 && minor >= 12)) {
		found(f, DOCTOR_OK, "Linux %s", host.release);
		return;
	}
	found(f, DOCTOR_BAD, "Linux %s is too old", host.release);
	advise(f, "install Linux 5.12 or newer");
}

static void look_namespaces(struct engine *engine, struct doctor_finding *f)
{
	static const char *const names[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup"};
	char path[64];
	struct stat st;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
		if (stat(path, &st) == 0)
			continue;
		found(f, DOCTOR_BAD, "this kernel has no %s namespaces, or /proc is not mounted", names[i]);
		advise(f, "mount -t proc proc /proc, or install a kernel that has them");
		return;
	}
	if (stat("/proc/self/ns/user", &st) < 0) {
		found(f, DOCTOR_NOTE, "this kernel has no user namespaces, which ordinary users need");
		advise(f, "run brig as root");
		return;
	}
	found(f, DOCTOR_OK, "mnt, pid, net, ipc, uts, cgroup and user");
}

static void look_seccomp(struct engine *engine, struct doctor_finding *f)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	if (kernel_seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
		found(f, DOCTOR_OK, "system calls can be filtered");
		return;
	}
	found(f, DOCTOR_BAD, "this kernel has no seccomp filters");
	advise(f, "install a kernel with CONFIG_SECCOMP_FILTER");
}

/* ---- control groups ---- */

static void look_cgroups(struct engine *engine, struct doctor_finding *f)
{
	static const struct {
		enum cgroup_controller controller;
		const char *without; /* what does not work then */
	} wanted[] = {
		{CGROUP_MEMORY, "limits of memory"},
		{CGROUP_CPU, "shares and limits of processors"},
		{CGROUP_PIDS, "limits of processes"},
		{CGROUP_CPUSET, "--cpuset-cpus"},
		{CGROUP_IO, "limits of block devices"},
	};
	struct cgroup_host host;
	struct err e;
	auto_buf struct buf names = {0}, missing = {0};

	if (cgroup_probe(&host, &e) < 0 || !host.version) {
		found(f, DOCTOR_BAD,
			"no control groups are mounted: no container can be limited, or kept from devices");
		advise(f, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
		return;
	}
	uint32_t controllers = cgroup_controllers(&host);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		enum cgroup_controller c = wanted[i].controller;
		if (controllers >> c & 1)
			buf_printf(&names, " %s", cgroup_controller_name(c, host.version));
		else
			buf_printf(&missing, "%s%s (%s)", missing.length ? ", " : "",
				cgroup_controller_name(c, host.version), wanted[i].without);
	}
	if (host.version == 1 && !(controllers >> CGROUP_DEVICES & 1)) {
		found(f, DOCTOR_BAD,
			"version 1 without its controller devices: containers could use every device");
		advise(f, "mkdir /sys/fs/cgroup/devices");
		advise(f, "mount -t cgroup -o devices devices /sys/fs/cgroup/devices");
		return;
	}
	if (missing.length) {
		found(f, DOCTOR_NOTE, "version %d without %s", host.version, missing.data);
		advise(f, host.version == 1
				  ? "mount it below /sys/fs/cgroup; memory may want cgroup_enable=memory on "
				    "the kernel's command line"
				  : "hand it down: echo +NAME >/sys/fs/cgroup/cgroup.subtree_control");
		return;
	}
	found(f, DOCTOR_OK, "version %d:%s", host.version, names.data ? names.data : "");
}

/* ---- programs and places ---- */

static void look_helper(struct engine *engine, struct doctor_finding *f)
{
	char path[DOCTOR_TEXT - 32];

	if (net_client_locate(path, sizeof path)) {
		found(f, DOCTOR_OK, "%s", path);
		return;
	}
	found(f, DOCTOR_BAD, "brig-net, which fetches images, is not at %.200s", path);
	advise(f, "install brig as a whole: make install");
}

static const char *type_name(unsigned long type)
{
	static const struct {
		unsigned long type;
		const char *name;
	} rows[] = {
		{KERNEL_EXT4_MAGIC, "ext4"},
		{KERNEL_XFS_MAGIC, "xfs"},
		{KERNEL_BTRFS_MAGIC, "btrfs"},
		{KERNEL_ZFS_MAGIC, "zfs"},
		{KERNEL_OVERLAYFS_MAGIC, "overlay"},
		{KERNEL_TMPFS_MAGIC, "tmpfs"},
		{RAMFS, "ramfs"},
		{FUSE, "FUSE"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].type == type)
			return rows[i].name;
	return "an unknown type";
}

/* The place itself or, as long as it is not there, the nearest folder above. */
static int look_above(const char *path, char nearest[4096])
{
	struct stat st;

	snprintf(nearest, 4096, "%s", path);
	while (stat(nearest, &st) < 0) {
		char *slash = strrchr(nearest, '/');
		if (errno != ENOENT || !slash)
			return -errno;
		slash[slash == nearest] = '\0';
	}
	return 0;
}

static void look_data_root(struct engine *engine, struct doctor_finding *f)
{
	char nearest[4096], size[TABLE_QUANTITY];
	struct statvfs room;
	struct statfs fs;
	int rc = look_above(engine->data_root, nearest);

	if (rc < 0 || statfs(nearest, &fs) < 0 || statvfs(nearest, &room) < 0) {
		found(f, DOCTOR_BAD, "%.200s cannot be looked at: %s", engine->data_root,
			strerror(rc < 0 ? -rc : errno));
		advise(f, "choose another folder with --root, or in brig.conf");
		return;
	}
	unsigned long type = (unsigned long)fs.f_type;
	auto_close int folder = fd_open(AT_FDCWD, nearest, O_PATH | O_DIRECTORY, 0);
	const char *remote = folder < 0 ? NULL : place_remote(folder);
	int64_t left = (int64_t)room.f_bavail * (int64_t)room.f_frsize;
	if (room.f_flag & ST_RDONLY) {
		found(f, DOCTOR_BAD, "%.200s is on a file system that is mounted read-only",
			engine->data_root);
		advise(f, "mount -o remount,rw %.200s, or choose another folder with --root", nearest);
	} else if (remote) {
		found(f, DOCTOR_BAD, "%.200s is on another machine (%s), which cannot hold a store",
			engine->data_root, remote);
		advise(f, "choose a folder on a disk of this host with --root, or in brig.conf");
	} else if (faccessat(AT_FDCWD, nearest, W_OK | X_OK, AT_EACCESS) < 0) {
		found(f, DOCTOR_BAD, "%.200s cannot be written", engine->data_root);
		advise(f, "choose a folder of your own with --root, or run brig as root");
	} else if (left < ROOMY) {
		found(f, DOCTOR_NOTE, "%.200s has %s left", engine->data_root, table_size(size, left));
		advise(f, "brig rmi what is not needed, or choose a bigger disk with --root");
	} else if (type == KERNEL_TMPFS_MAGIC || type == RAMFS) {
		found(f, DOCTOR_NOTE, "%.200s is in memory, and gone when the host goes down",
			engine->data_root);
		advise(f, "choose a folder on a disk with --root");
	} else {
		found(f, DOCTOR_OK, "%.200s on %s, %s left", engine->data_root, type_name(type),
			table_size(size, left));
	}
}

static void look_run_root(struct engine *engine, struct doctor_finding *f)
{
	char nearest[4096];
	struct statfs fs;
	int rc = look_above(engine->run_root, nearest);

	if (rc < 0 || statfs(nearest, &fs) < 0) {
		found(f, DOCTOR_BAD, "%.200s cannot be looked at: %s", engine->run_root,
			strerror(rc < 0 ? -rc : errno));
		advise(f, "choose another folder with --run-root, or in brig.conf");
	} else if (faccessat(AT_FDCWD, nearest, W_OK | X_OK, AT_EACCESS) < 0) {
		found(f, DOCTOR_BAD, "%.200s cannot be written", engine->run_root);
		advise(f, "choose a folder of your own with --run-root");
	} else if ((unsigned long)fs.f_type != KERNEL_TMPFS_MAGIC && (unsigned long)fs.f_type != RAMFS) {
		found(f, DOCTOR_NOTE,
			"%.200s is not on a tmpfs: what it holds outlives the host's going down",
			engine->run_root);
		advise(f, "choose a folder on a tmpfs with --run-root, or in brig.conf");
	} else {
		found(f, DOCTOR_OK, "%.200s on %s", engine->run_root, type_name((unsigned long)fs.f_type));
	}
}

static void look_overlay(struct engine *engine, struct doctor_finding *f)
{
	auto_buf struct buf text = {0};
	/* Opening it loads the module. */
	auto_close int fd = kernel_fsopen("overlay", KERNEL_FSOPEN_CLOEXEC);
	bool there = fd >= 0 || (fd_read_file(AT_FDCWD, "/proc/filesystems", 1 << 16, &text) == 0 &&
					text.data && strstr(text.data, "\toverlay\n"));

	if (there) {
		found(f, DOCTOR_OK, "layers can be put together");
		return;
	}
	found(f, DOCTOR_NOTE,
		"this kernel has no overlay file system: every container is a copy of its image, "
		"unless the data root is on btrfs or ZFS");
	advise(f, "modprobe overlay, or put the data root on btrfs or ZFS");
}

/* ---- the network ---- */

static bool look_net(struct doctor_finding *f, struct net_look *look)
{
	struct err e;

	if (net_look(BRIDGE, look, &e) == 0)
		return true;
	found(f, DOCTOR_BAD, "%.300s", e.what);
	return false;
}

static void look_nf_tables(struct engine *engine, struct doctor_finding *f)
{
	struct net_look look;

	if (!look_net(f, &look))
		return;
	if (look.nf_tables) {
		found(f, DOCTOR_OK, "the firewall's tables can be read");
	} else if (geteuid() != 0) {
		found(f, DOCTOR_NOTE, "an ordinary user has no network of his own to put behind a firewall");
		advise(f, "run brig as root for bridges");
	} else {
		found(f, DOCTOR_BAD, "this kernel has no nf_tables, which networks on a bridge need");
		advise(f, "modprobe nf_tables, or run containers with --network host or none");
	}
}

static void look_forwarding(struct engine *engine, struct doctor_finding *f)
{
	struct net_look look;

	if (!look_net(f, &look))
		return;
	if (look.forwarding) {
		found(f, DOCTOR_OK, "/proc/sys/net/ipv4/ip_forward is 1");
		return;
	}
	found(f, DOCTOR_NOTE,
		"/proc/sys/net/ipv4/ip_forward is 0: brig switches it on with the first container on a "
		"bridge");
	advise(f, "sysctl -w net.ipv4.ip_forward=1");
	offer(f, "switch IP forwarding on");
}

static void look_bridge(struct engine *engine, struct doctor_finding *f)
{
	struct net_look look;

	if (!look_net(f, &look))
		return;
	if (!look.bridge.exists) {
		found(f, DOCTOR_NOTE,
			"there is no " BRIDGE
			": the classic dialect makes it, with 10.0.0.1/24, when it needs it");
		advise(f, "ip link add " BRIDGE " type bridge");
		advise(f, "ip address add 10.0.0.1/24 dev " BRIDGE);
		advise(f, "ip link set " BRIDGE " up");
		offer(f, "make " BRIDGE " with 10.0.0.1/24");
	} else if (!look.bridge.is_bridge) {
		found(f, DOCTOR_BAD, BRIDGE " is no bridge: the classic dialect cannot use it");
		advise(f, "ip link set " BRIDGE " down; ip link set " BRIDGE " name ANOTHER");
	} else if (!look.bridge.address[0] || !look.bridge.up) {
		found(f, DOCTOR_NOTE, BRIDGE " is there, but %s",
			look.bridge.address[0] ? "it is down" : "has no address");
		if (!look.bridge.address[0])
			advise(f, "ip address add 10.0.0.1/24 dev " BRIDGE);
		advise(f, "ip link set " BRIDGE " up");
		offer(f, look.bridge.address[0] ? "bring " BRIDGE " up"
						: "give " BRIDGE " the address 10.0.0.1/24");
	} else {
		found(f, DOCTOR_OK, BRIDGE " has %s/%u and is %s", look.bridge.address, look.bridge.prefix,
			look.bridge.ours ? "brig's own" : "somebody else's, used as it is");
	}
}

static void look_firewall(struct engine *engine, struct doctor_finding *f)
{
	struct net_look look;

	if (!look_net(f, &look))
		return;
	bool own_rules = look.bridge.exists && look.bridge.is_bridge && !look.bridge.ours;
	/* brig's own bridges have brig's own rules. */
	if (!own_rules && !look.forward_drops) {
		found(f, DOCTOR_OK,
			"nothing here keeps a bridge's packets from going out; brig adds its own rules for "
			"its bridges");
	} else if (!own_rules) {
		found(f, DOCTOR_NOTE,
			"a firewall here drops what it is not told to forward (%s): brig asks "
			"iptables' chain to let its bridges through, others have to be told",
			look.droppers);
		advise(f, "accept traffic from and to brig0 there, where containers reach nothing outside");
	} else if (look.forward_drops) {
		found(f, DOCTOR_NOTE,
			"a firewall here drops what it is not told to forward (%s), and " BRIDGE
			" is its owner's affair",
			look.droppers);
		advise(f, "where containers reach nothing outside:");
		advise(f, "iptables -A FORWARD -i " BRIDGE " -j ACCEPT");
		advise(f, "iptables -A FORWARD -o " BRIDGE
			  " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
	} else if (!look.translates) {
		found(f, DOCTOR_NOTE,
			"no rule here gives packets of " BRIDGE
			" the host's address on their way out, so that no answer comes back");
		advise(f, "iptables -t nat -A POSTROUTING -s %s/%u ! -o " BRIDGE " -j MASQUERADE",
			look.bridge.address[0] ? look.bridge.address : "10.0.0.1",
			look.bridge.prefix ? look.bridge.prefix : 24);
	} else {
		found(f, DOCTOR_OK,
			"rules of " BRIDGE "'s owner stand, and forwarding is not dropped by default");
	}
}

/* ---- the homes of the classic dialect ---- */

static void look_home(struct engine *engine, const char *owner, const char *folder, const char *image,
	struct doctor_finding *f)
{
	struct err e;
	const char *root = engine->data_root;

	if (stores_on_btrfs(folder)) {
		found(f, DOCTOR_OK, "%s is a btrfs filesystem", folder);
		return;
	}
	/* Images may be there, on what is not mounted. */
	if (stores_choose(engine->arena, owner, false, &root, &e) < 0) {
		found(f, DOCTOR_BAD, "%s is not a btrfs filesystem any more: %.180s", folder, e.what);
		advise(f, "%.300s", e.hint);
		return;
	}
	found(f, DOCTOR_NOTE, "%s is not a btrfs filesystem: %s keeps its images in %.120s", folder, owner,
		root);
	advise(f, "truncate -s 2G %s", image);
	advise(f, "losetup --find --show %s", image);
	advise(f, "mkfs.btrfs /dev/loop0          (or what losetup said)");
	advise(f, "mkdir -p %s", folder);
	advise(f, "mount /dev/loop0 %s", folder);
	snprintf(f->offer, sizeof f->offer,
		"make a btrfs file system of 2 GB in the file %s and mount it at %s", image, folder);
}

static void look_shocker(struct engine *engine, struct doctor_finding *f)
{
	look_home(engine, "shocker", "/var/shocker", SHOCKER, f);
}

static int fix_shocker(struct engine *engine, struct err *e)
{
	return doctor_make_btrfs(SHOCKER, "/var/shocker", e);
}

static void look_bocker(struct engine *engine, struct doctor_finding *f)
{
	look_home(engine, "bocker", "/var/bocker", BOCKER, f);
}

static int fix_bocker(struct engine *engine, struct err *e)
{
	return doctor_make_btrfs(BOCKER, "/var/bocker", e);
}

static void look_zocker(struct engine *engine, struct doctor_finding *f)
{
	const char *root = engine->data_root, *point = stores_pool_mounted(engine->arena, "zocker");
	struct err e;

	if (point) {
		found(f, DOCTOR_OK, "the pool zocker is mounted at %.200s", point);
		return;
	}
	if (stores_choose(engine->arena, "zocker", false, &root, &e) < 0) {
		found(f, DOCTOR_BAD, "%.250s", e.what);
		advise(f, "%.300s", e.hint);
		return;
	}
	found(f, DOCTOR_NOTE, "there is no ZFS pool zocker: zocker keeps its images in %.120s", root);
	advise(f, "truncate -s 2G /var/lib/zocker.img");
	advise(f, "zpool create zocker /var/lib/zocker.img");
}

const struct doctor_check doctor_checks[] = {
	{"rights", "who brig runs as, and what that lets it do", look_rights, NULL},
	{"kernel", "that it is Linux 5.12 or newer", look_kernel, NULL},
	{"namespaces", "that the kernel has them all", look_namespaces, NULL},
	{"seccomp", "that the kernel can filter system calls", look_seccomp, NULL},
	{"overlay", "that the kernel can put layers together", look_overlay, NULL},
	{"nf_tables", "that the kernel has a firewall", look_nf_tables, NULL},
	{"cgroups", "which control groups there are", look_cgroups, NULL},
	{"helper", "that brig-net is found", look_helper, NULL},
	{"data-root", "where images and containers are kept, and on what", look_data_root, NULL},
	{"run-root", "where the state of what runs is kept", look_run_root, NULL},
	{"ip_forward", "that IP forwarding is on", look_forwarding, doctor_switch_on_forwarding},
	{"firewall", "that packets of a bridge are let through and get the host's address", look_firewall,
		NULL},
	{"bridge0", "the classic dialect's bridge and its address", look_bridge, doctor_make_bridge},
	{"shocker", "a btrfs file system at /var/shocker", look_shocker, fix_shocker},
	{"bocker", "a btrfs file system at /var/bocker", look_bocker, fix_bocker},
	{"zocker", "a ZFS pool called zocker", look_zocker, NULL},
	{NULL},
};

const struct doctor_check *doctor_find(const char *name, struct err *e)
{
	struct nearest nearest = {0};
	char shown[64];

	for (const struct doctor_check *check = doctor_checks; check->name; check++) {
		if (!strcmp(check->name, name))
			return check;
		nearest_offer(&nearest, name, check->name);
	}
	err_set(e, ERR_USAGE, 0, "there is no check \"%s\"", err_sanitize(shown, sizeof shown, name));
	if (nearest.word)
		err_hint(e, "did you mean %s?", nearest.word);
	return NULL;
}
