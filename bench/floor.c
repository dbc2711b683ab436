/*
 * floor.c - how fast can a container be? A measuring stick, not a program to use.
 *
 * One straight program that does all the work of `docker run --rm IMAGE CMD` and nothing
 * else: no options worth the name, no checks of what it is given, no error but its exit.
 * bench/run spawns it beside brig, so that "fast" has a bottom to be compared with. What
 * brig must do and this need not is brig's cost.
 *
 *   floor [--none] [--ready] [--hold] [--reexec] FOLDER COMMAND ...
 *   floor --setup FOLDER           the bridge, forwarding
 *   floor --refill COUNT FOLDER    ready network namespaces (with --none: bare ones)
 *
 * FOLDER holds layer0, layer1, layer2 (the lowest first); containers are made in it.
 *   --none    only a loopback
 *   --ready   takes a network namespace that was made before
 *   --hold    reports first: a second process keeps the mount namespace, and cleans up
 *   --reexec  runs itself again from a read-only clone of its file, as an engine must that
 *             shares its binary with root in a container (CVE-2019-5736)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <linux/veth.h>

#include "floor_filter.h"

#define FSOPEN_CLOEXEC          0x1
#define FSCONFIG_SET_FLAG       0
#define FSCONFIG_SET_STRING     1
#define FSCONFIG_CMD_CREATE     6
#define OPEN_TREE_CLONE         0x1
#define MOVE_MOUNT_F_EMPTY_PATH 0x4
#define MOUNT_ATTR_RDONLY       0x1
#define MOUNT_ATTR_NOSUID       0x2
#define MOUNT_ATTR_NODEV        0x4
#define MOUNT_ATTR_NOEXEC       0x8
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#define CLONE_INTO_CGROUP_BIT 0x200000000ULL
#define CLONE_PIDFD_BIT       0x1000ULL

struct mount_attributes {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

struct clone_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

static const char bridge[] = "floor0";
static const unsigned char gateway[4] = {10, 99, 0, 1};
static const char *const hierarchies[] = {"cpu", "memory", "pids", "devices", "freezer"};
#define HIERARCHIES (sizeof(hierarchies) / sizeof(hierarchies[0]))

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void must(long result, const char *what)
{
	if (result < 0)
		die(what);
}

static void write_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	must(fd, name);
	must(write(fd, text, strlen(text)), name);
	close(fd);
}

/* A new file, written beside its name and renamed. */
static void write_state(int dir, const char *name, const char *text, size_t length)
{
	int fd = openat(dir, ".new", O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC, 0600);
	must(fd, "state");
	must(write(fd, text, length), "state");
	close(fd);
	must(renameat(dir, ".new", dir, name), "state");
}

/* --- rtnetlink: just enough --------------------------------------------------------------- */

struct message {
	struct nlmsghdr head;
	char bytes[1024];
};

static void *message_begin(struct message *m, int type, int flags, size_t size)
{
	memset(m, 0, sizeof *m);
	m->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	m->head.nlmsg_type = (uint16_t)type;
	m->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	return m->bytes;
}

static struct rtattr *attribute(struct message *m, int type, const void *bytes, size_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)m + NLMSG_ALIGN(m->head.nlmsg_len));
	a->rta_type = (uint16_t)type;
	a->rta_len = (uint16_t)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(a), bytes, size);
	m->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
	return a;
}

static void attribute_end(struct message *m, struct rtattr *a)
{
	a->rta_len = (uint16_t)((char *)m + m->head.nlmsg_len - (char *)a);
}

/* Sends it and waits for the answer: 0 or -errno. */
static int message_send(int netlink, struct message *m)
{
	char answer[4096];
	must(send(netlink, m, m->head.nlmsg_len, 0), "netlink");
	must(recv(netlink, answer, sizeof answer, 0), "netlink");
	return ((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)answer))->error;
}

static int netlink_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	must(fd, "netlink");
	return fd;
}

static uint32_t link_index(int netlink, const char *name)
{
	struct message m;
	char answer[8192];
	message_begin(&m, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	attribute(&m, IFLA_IFNAME, name, strlen(name) + 1);
	m.head.nlmsg_flags = NLM_F_REQUEST;
	must(send(netlink, &m, m.head.nlmsg_len, 0), "link");
	must(recv(netlink, answer, sizeof answer, 0), "link");
	struct nlmsghdr *head = (struct nlmsghdr *)answer;
	if (head->nlmsg_type == NLMSG_ERROR)
		return 0;
	return (uint32_t)((struct ifinfomsg *)NLMSG_DATA(head))->ifi_index;
}

static void link_up(int netlink, uint32_t index)
{
	struct message m;
	struct ifinfomsg *info = message_begin(&m, RTM_NEWLINK, 0, sizeof *info);
	info->ifi_index = (int)index;
	info->ifi_flags = IFF_UP;
	info->ifi_change = IFF_UP;
	errno = -message_send(netlink, &m);
	if (errno)
		die("link up");
}

static void address_add(int netlink, uint32_t index, const unsigned char address[4], int bits)
{
	struct message m;
	struct ifaddrmsg *info = message_begin(&m, RTM_NEWADDR, NLM_F_CREATE, sizeof *info);
	info->ifa_family = AF_INET;
	info->ifa_prefixlen = (uint8_t)bits;
	info->ifa_index = index;
	attribute(&m, IFA_LOCAL, address, 4);
	attribute(&m, IFA_ADDRESS, address, 4);
	errno = -message_send(netlink, &m);
	if (errno)
		die("address");
}

static void default_route(int netlink)
{
	struct message m;
	struct rtmsg *info = message_begin(&m, RTM_NEWROUTE, NLM_F_CREATE, sizeof *info);
	info->rtm_family = AF_INET;
	info->rtm_table = RT_TABLE_MAIN;
	info->rtm_protocol = RTPROT_BOOT;
	info->rtm_type = RTN_UNICAST;
	attribute(&m, RTA_GATEWAY, gateway, 4);
	errno = -message_send(netlink, &m);
	if (errno)
		die("route");
}

/* A pair whose one end is a port of the bridge, and whose other is eth0 in the namespace. */
static void veth_make(int netlink, const char *name, int namespace)
{
	struct message m;
	uint32_t master = link_index(netlink, bridge);
	struct ifinfomsg *info = message_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *info);
	info->ifi_flags = IFF_UP;
	info->ifi_change = IFF_UP;
	attribute(&m, IFLA_IFNAME, name, strlen(name) + 1);
	attribute(&m, IFLA_MASTER, &master, 4);
	struct rtattr *link = attribute(&m, IFLA_LINKINFO, NULL, 0);
	attribute(&m, IFLA_INFO_KIND, "veth", 4);
	struct rtattr *data = attribute(&m, IFLA_INFO_DATA, NULL, 0);
	struct ifinfomsg peer = {0};
	struct rtattr *other = attribute(&m, VETH_INFO_PEER, &peer, sizeof peer);
	attribute(&m, IFLA_IFNAME, "eth0", 5);
	attribute(&m, IFLA_NET_NS_FD, &namespace, 4);
	attribute_end(&m, other);
	attribute_end(&m, data);
	attribute_end(&m, link);
	errno = -message_send(netlink, &m);
	if (errno)
		die("veth");
}

/* Within the container's namespace. */
static void network_inside(bool none, const unsigned char address[4])
{
	int netlink = netlink_open();
	link_up(netlink, 1);
	if (!none) {
		uint32_t index = link_index(netlink, "eth0");
		address_add(netlink, index, address, 16);
		link_up(netlink, index);
		default_route(netlink);
	}
	close(netlink);
}

static void random_address(unsigned char address[4])
{
	unsigned char bytes[2];
	must(syscall(SYS_getrandom, bytes, 2, 0), "random");
	memcpy(address, gateway, 4);
	address[2] = bytes[0];
	address[3] = (unsigned char)(bytes[1] < 2 ? 2 : bytes[1] > 253 ? 253 : bytes[1]);
}

static void set_up_bridge(void)
{
	int netlink = netlink_open();
	link_up(netlink, 1);
	struct message m;
	struct ifinfomsg *info = message_begin(&m, RTM_NEWLINK, NLM_F_CREATE, sizeof *info);
	info->ifi_flags = IFF_UP;
	info->ifi_change = IFF_UP;
	attribute(&m, IFLA_IFNAME, bridge, sizeof bridge);
	struct rtattr *link = attribute(&m, IFLA_LINKINFO, NULL, 0);
	attribute(&m, IFLA_INFO_KIND, "bridge", 6);
	attribute_end(&m, link);
	errno = -message_send(netlink, &m);
	if (errno)
		die("bridge");
	address_add(netlink, link_index(netlink, bridge), gateway, 16);
	write_file(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", "1");
}

/* Ready namespaces: FOLDER/ready/N/ns, a namespace bound to a file; FOLDER/none/N/ns. */
static void refill(const char *folder, int count, bool none)
{
	char path[256];
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	must(own, "namespace");
	snprintf(path, sizeof path, "%s/%s", folder, none ? "none" : "ready");
	mkdir(path, 0700);
	for (int i = 0; i < count; i++) {
		unsigned char address[4];
		random_address(address);
		int netlink = netlink_open();
		must(unshare(CLONE_NEWNET), "unshare");
		int namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (!none) {
			char name[16];
			snprintf(name, sizeof name, "r%x-%x", getpid() & 0xfffff, i & 0xffff);
			veth_make(netlink, name, namespace);
		}
		network_inside(none, address);
		snprintf(path, sizeof path, "%s/%s/%d-%d", folder, none ? "none" : "ready", getpid(), i);
		must(mkdir(path, 0700), path);
		strcat(path, "/ns");
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		must(mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL), "pin");
		must(setns(own, CLONE_NEWNET), "setns");
		close(namespace);
		close(netlink);
	}
}

/* Takes one of them by renaming its folder. */
static int take_ready(int folder, bool none, char taken_path[64])
{
	int pool = openat(folder, none ? "none" : "ready", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(pool, "pool");
	char entries[512], taken[64], path[80];
	long size;
	while ((size = syscall(SYS_getdents64, pool, entries, sizeof entries)) > 0) {
		for (long at = 0; at < size; at += *(unsigned short *)(entries + at + 16)) {
			const char *name = entries + at + 19;
			if (name[0] == '.' || name[0] == 't')
				continue;
			snprintf(taken, sizeof taken, "t%s", name);
			if (renameat(pool, name, pool, taken) < 0)
				continue;
			snprintf(path, sizeof path, "%s/ns", taken);
			int namespace = openat(pool, path, O_RDONLY | O_CLOEXEC);
			must(namespace, path);
			close(pool);
			snprintf(taken_path, 64, "%s/%.50s", none ? "none" : "ready", taken);
			return namespace;
		}
	}
	errno = ENOENT;
	die("no ready namespace is left");
	return -1;
}

/* --- the child ---------------------------------------------------------------------------- */

static int mount_new(const char *type, const char *const *options, unsigned attributes)
{
	int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	must(fs, type);
	for (; options && *options; options += 2) {
		if (options[1])
			must(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[0], options[1], 0),
				options[0]);
		else
			must(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, options[0], NULL, 0), options[0]);
	}
	must(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), type);
	int mounted = (int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, attributes);
	must(mounted, type);
	close(fs);
	return mounted;
}

static void mount_at(int mounted, int root, const char *path)
{
	must(syscall(SYS_move_mount, mounted, "", root, path, MOVE_MOUNT_F_EMPTY_PATH), path);
	close(mounted);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void mount_all(int root, bool v2)
{
	const unsigned plain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
	mount_at(mount_new("proc", NULL, plain), root, "proc");
	int dev = mount_new(
		"tmpfs", LIST("mode", "755", "size", "65536k"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	static const struct {
		const char *name;
		int major, minor;
	} nodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9},
		{"tty", 5, 0}};
	umask(0);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		must(mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)),
			"mknod");
	umask(022);
	must(symlinkat("pts/ptmx", dev, "ptmx"), "ptmx");
	must(symlinkat("/proc/self/fd", dev, "fd"), "fd");
	must(symlinkat("/proc/self/fd/0", dev, "stdin"), "stdin");
	must(symlinkat("/proc/self/fd/1", dev, "stdout"), "stdout");
	must(symlinkat("/proc/self/fd/2", dev, "stderr"), "stderr");
	must(mkdirat(dev, "pts", 0755), "pts");
	must(mkdirat(dev, "shm", 01777), "shm");
	must(mkdirat(dev, "mqueue", 0755), "mqueue");
	must(syscall(SYS_move_mount, dev, "", root, "dev", MOVE_MOUNT_F_EMPTY_PATH), "dev");
	close(dev);
	mount_at(
		mount_new("devpts", LIST("newinstance", NULL, "ptmxmode", "0666", "mode", "0620", "gid", "5"),
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
		root, "dev/pts");
	mount_at(mount_new("tmpfs", LIST("mode", "1777", "size", "65536k"), plain), root, "dev/shm");
	mount_at(mount_new("mqueue", NULL, plain), root, "dev/mqueue");
	mount_at(mount_new("sysfs", NULL, plain | MOUNT_ATTR_RDONLY), root, "sys");
	if (v2) {
		mount_at(mount_new("cgroup2", NULL, plain | MOUNT_ATTR_RDONLY), root, "sys/fs/cgroup");
		return;
	}
	int top = mount_new("tmpfs", LIST("mode", "755"), plain);
	for (size_t i = 0; i < HIERARCHIES; i++)
		must(mkdirat(top, hierarchies[i], 0755), hierarchies[i]);
	must(syscall(SYS_move_mount, top, "", root, "sys/fs/cgroup", MOVE_MOUNT_F_EMPTY_PATH), "cgroup");
	for (size_t i = 0; i < HIERARCHIES; i++)
		mount_at(mount_new("cgroup", (const char *const[]){hierarchies[i], NULL, NULL},
				 plain | MOUNT_ATTR_RDONLY),
			top, hierarchies[i]);
	struct mount_attributes read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	must(syscall(SYS_mount_setattr, top, "", AT_EMPTY_PATH, &read_only, sizeof read_only), "cgroup");
	close(top);
}

/* Files under /dev/null, folders under one empty tmpfs, and what may only be read. */
static void mask_all(int root)
{
	static const char *const masked[] = {"proc/acpi", "proc/asound", "proc/interrupts", "proc/kcore",
		"proc/keys", "proc/latency_stats", "proc/sched_debug", "proc/scsi", "proc/timer_list",
		"proc/timer_stats", "sys/devices/virtual/powercap", "sys/firmware"};
	static const char *const locked[] = {
		"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
	int empty = -1;
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
		struct stat status;
		int target = openat(root, masked[i], O_PATH | O_CLOEXEC);
		if (target < 0)
			continue;
		must(fstat(target, &status), masked[i]);
		int cover;
		if (S_ISDIR(status.st_mode)) {
			if (empty < 0)
				empty = mount_new(
					"tmpfs", LIST("size", "0", "nr_inodes", "2"), MOUNT_ATTR_RDONLY);
			cover = (int)syscall(
				SYS_open_tree, empty, "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
		} else {
			cover = (int)syscall(SYS_open_tree, root, "dev/null", OPEN_TREE_CLONE | O_CLOEXEC);
		}
		must(cover, masked[i]);
		must(syscall(SYS_move_mount, cover, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | 0x40),
			masked[i]);
		close(cover);
		close(target);
	}
	for (size_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++) {
		struct mount_attributes read_only = {.attr_set = MOUNT_ATTR_RDONLY};
		int tree = (int)syscall(SYS_open_tree, root, locked[i], OPEN_TREE_CLONE | O_CLOEXEC);
		if (tree < 0)
			continue;
		must(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &read_only,
			     sizeof read_only),
			locked[i]);
		mount_at(tree, root, locked[i]);
	}
	if (empty >= 0)
		close(empty);
}

static void bind_files(int root, int state)
{
	static const char *const names[] = {"hosts", "hostname", "resolv.conf"};
	char path[32];
	for (size_t i = 0; i < 3; i++) {
		int tree = (int)syscall(SYS_open_tree, state, names[i], OPEN_TREE_CLONE | O_CLOEXEC);
		must(tree, names[i]);
		snprintf(path, sizeof path, "etc/%s", names[i]);
		int target = openat(root, path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		must(target, path);
		must(syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | 0x40), path);
		close(target);
		close(tree);
	}
}

static void confine(void)
{
	/* Docker's fourteen without MKNOD. */
	const uint64_t keep = 0xa80425fbULL & ~(1ULL << CAP_MKNOD);
	must(syscall(SYS_keyctl, 1, "_ses.floor"), "keyring");
	struct rlimit files = {1024, 524288}, core = {0, RLIM_INFINITY};
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &core);
	struct sock_fprog program = {.len = sizeof(floor_filter) / sizeof(floor_filter[0]),
		.filter = (struct sock_filter *)(uintptr_t)floor_filter};
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
	for (int i = 0; i <= 40; i++)
		if (!(keep >> i & 1))
			must(prctl(PR_CAPBSET_DROP, i, 0, 0, 0), "bounding set");
	gid_t groups[] = {0};
	must(syscall(SYS_setgroups, 1, groups), "setgroups");
	must(syscall(SYS_setresgid, 0, 0, 0), "setresgid");
	must(syscall(SYS_setresuid, 0, 0, 0), "setresuid");
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)keep, (uint32_t)keep, 0}, {(uint32_t)(keep >> 32), (uint32_t)(keep >> 32), 0}};
	must(syscall(SYS_capset, &head, data), "capset");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

struct run {
	bool none, ready, hold, v2;
	int folder, state, namespace;
	char taken[64]; /* the ready namespace's folder, relative to folder */
	const char *folder_path;
	char id[17];
	unsigned char address[4];
	char *const *command;
};

static int cgroup_open(const struct run *run, size_t hierarchy, bool make)
{
	char path[128];
	if (run->v2)
		snprintf(path, sizeof path, "/sys/fs/cgroup/floor-%s", run->id);
	else
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s/floor-%s", hierarchies[hierarchy], run->id);
	if (!make) {
		rmdir(path);
		return -1;
	}
	must(mkdir(path, 0755), path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd, path);
	return fd;
}

static void cgroup_devices_v2(int cgroup)
{
	/* Everything is allowed: the cost of loading and attaching is what counts. */
	struct bpf_insn program[64];
	for (int i = 0; i < 62; i++)
		program[i] = (struct bpf_insn){
			.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (unsigned char)(i % 2), .imm = 1};
	program[62] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1};
	program[63] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uint64_t)(uintptr_t)program,
		.insn_cnt = 64,
		.license = (uint64_t)(uintptr_t) "GPL"};
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	must(fd, "devices");
	union bpf_attr attach = {.target_fd = (uint32_t)cgroup,
		.attach_bpf_fd = (uint32_t)fd,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI};
	must(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach), "devices");
	close(fd);
}

/*
 * Makes the cgroups with their limits. The container's first process joins them itself, by
 * "0" in v1's tasks or by CLONE_INTO_CGROUP: for another's pid in cgroup.procs the kernel
 * stops every fork of the host, and that waits for an RCU grace period: 10 ms on a quiet one.
 * Returns v2's descriptor, or -1.
 */
static int cgroup_make(const struct run *run)
{
	for (size_t i = 0; i < (run->v2 ? 1 : HIERARCHIES); i++) {
		int fd = cgroup_open(run, i, true);
		if (run->v2 || strcmp(hierarchies[i], "pids") == 0)
			write_file(fd, "pids.max", "4096");
		if (run->v2) {
			cgroup_devices_v2(fd);
			return fd;
		}
		if (strcmp(hierarchies[i], "devices") == 0) {
			static const char *const allowed[] = {"c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
				"c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm",
				"c 136:* rwm"};
			write_file(fd, "devices.deny", "a");
			for (size_t k = 0; k < sizeof(allowed) / sizeof(allowed[0]); k++)
				write_file(fd, "devices.allow", allowed[k]);
		}
		write_file(fd, "tasks", "0");
		close(fd);
	}
	return -1;
}

static void child(const struct run *run, int sync, int output, int overlay)
{
	char byte;
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable");
	setsid();
	/* While the parent makes the veth. */
	if (!run->v2)
		cgroup_make(run);
	must(read(sync, &byte, 1), "sync");
	must(unshare(CLONE_NEWCGROUP), "cgroup namespace");
	if (run->ready)
		must(setns(run->namespace, CLONE_NEWNET), "network namespace");
	else
		network_inside(run->none, run->address);
	must(sethostname(run->id, 12), "hostname");
	must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "propagation");
	/* Descriptors of before lead into the parent's mount namespace. */
	char own[256];
	snprintf(own, sizeof own, "%s/c-%s", run->folder_path, run->id);
	int state = open(own, O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(state, own);
	must(syscall(SYS_move_mount, overlay, "", state, "root", MOVE_MOUNT_F_EMPTY_PATH), "overlay");
	mount_all(overlay, run->v2);
	bind_files(overlay, state);
	mask_all(overlay);
	must(write(sync, "m", 1), "sync");
	must(read(sync, &byte, 1), "sync");
	must(fchdir(overlay), "root");
	must(syscall(SYS_pivot_root, ".", "."), "pivot");
	must(umount2(".", MNT_DETACH), "old root");
	must(chdir("/"), "folder");
	write_file(AT_FDCWD, "/proc/self/oom_score_adj", "0");
	dup2(output, 1);
	dup2(output, 2);
	confine();
	syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	static char *const environment[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
		"HOSTNAME=floor", NULL};
	char path[128];
	snprintf(path, sizeof path, "/bin/%s", run->command[0]);
	execve(path, run->command, environment);
	_exit(127);
}

/* --- the parent --------------------------------------------------------------------------- */

static void remove_tree(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
		return;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	char entries[2048];
	long size;
	while ((size = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
		for (long at = 0; at < size; at += *(unsigned short *)(entries + at + 16))
			if (strcmp(entries + at + 19, ".") != 0 && strcmp(entries + at + 19, "..") != 0)
				remove_tree(fd, entries + at + 19);
	close(fd);
	unlinkat(dir, name, AT_REMOVEDIR);
}

static void clean_up(const struct run *run, int overlay)
{
	for (size_t i = 0; i < (run->v2 ? 1 : HIERARCHIES); i++)
		cgroup_open(run, i, false);
	close(overlay);
	if (run->ready) {
		char path[320];
		snprintf(path, sizeof path, "%s/%s/ns", run->folder_path, run->taken);
		umount2(path, MNT_DETACH);
		remove_tree(run->folder, run->taken);
	}
	char name[64];
	snprintf(name, sizeof name, "c-%s", run->id);
	remove_tree(run->folder, name);
}

/* The three layers, a volatile upper folder; lazily read from run->folder's path. */
static int overlay_make(const struct run *run)
{
	char lower[512], upper[256], work[256];
	const char *f = run->folder_path;
	snprintf(lower, sizeof lower, "%s/layer2:%s/layer1:%s/layer0", f, f, f);
	snprintf(upper, sizeof upper, "%s/c-%s/upper", f, run->id);
	snprintf(work, sizeof work, "%s/c-%s/work", f, run->id);
	must(mkdirat(run->state, "upper", 0755), "upper");
	must(mkdirat(run->state, "work", 0700), "work");
	must(mkdirat(run->state, "root", 0700), "root");
	return mount_new("overlay",
		LIST("lowerdir", lower, "upperdir", upper, "workdir", work, "index", "off", "metacopy", "off",
			"userxattr", NULL, "volatile", NULL),
		MOUNT_ATTR_NODEV);
}

static void state_make(struct run *run)
{
	unsigned char bytes[8];
	char name[64], text[4096];
	must(syscall(SYS_getrandom, bytes, sizeof bytes, 0), "random");
	for (size_t i = 0; i < 8; i++)
		snprintf(run->id + 2 * i, 3, "%02x", bytes[i]);
	random_address(run->address);
	snprintf(name, sizeof name, "c-%s", run->id);
	must(mkdirat(run->folder, name, 0700), name);
	run->state = openat(run->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(run->state, name);
	memset(text, ' ', sizeof text);
	write_state(run->state, "config.json", text, 3000);
	int n = snprintf(text, sizeof text, "127.0.0.1\tlocalhost\n%d.%d.%d.%d\t%.12s\n", run->address[0],
		run->address[1], run->address[2], run->address[3], run->id);
	write_state(run->state, "hosts", text, (size_t)n);
	write_state(run->state, "hostname", run->id, 12);
	write_state(run->state, "resolv.conf", "nameserver 10.99.0.1\n", 21);
}

/* Copies what the container says to our stdout and into its log, until it has ended. */
static void pump(const struct run *run, int output)
{
	int log = openat(run->state, "log", O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0640);
	must(log, "log");
	char bytes[16384], line[64];
	ssize_t size;
	while ((size = read(output, bytes, sizeof bytes)) > 0) {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		int n = snprintf(line, sizeof line, "%lld.%09ld ", (long long)now.tv_sec, now.tv_nsec);
		must(write(log, line, (size_t)n), "log");
		must(write(log, bytes, (size_t)size), "log");
		must(write(1, bytes, (size_t)size), "stdout");
	}
	close(log);
}

/* All of it; returns the exit status. With report >= 0 it is told there before the clean-up. */
static int run_container(struct run *run, int report)
{
	state_make(run);
	int overlay = overlay_make(run);
	int sync[2], output[2], pidfd = -1;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync), "socketpair");
	must(pipe2(output, O_CLOEXEC), "pipe");
	struct clone_arguments arguments = {
		.flags = CLONE_PIDFD_BIT | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID |
			 (run->ready ? 0 : CLONE_NEWNET),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	if (run->v2) {
		arguments.cgroup = (uint64_t)cgroup_make(run);
		arguments.flags |= CLONE_INTO_CGROUP_BIT;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
	must(pid, "clone3");
	if (pid == 0)
		child(run, sync[1], output[1], overlay);
	close(sync[1]);
	close(output[1]);
	char path[32], byte;
	if (!run->none && !run->ready) {
		snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
		int namespace = open(path, O_RDONLY | O_CLOEXEC);
		must(namespace, path);
		int netlink = netlink_open();
		char name[16];
		snprintf(name, sizeof name, "f%.10s", run->id);
		veth_make(netlink, name, namespace);
		close(netlink);
		close(namespace);
	}
	must(write(sync[0], "g", 1), "sync");
	must(read(sync[0], &byte, 1), "sync");
	int mounts = -1;
	if (run->hold) {
		snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
		mounts = open(path, O_RDONLY | O_CLOEXEC);
		must(mounts, path);
	}
	char text[512];
	int n = snprintf(
		text, sizeof text, "{\"pid\": %d, \"status\": \"running\", \"id\": \"%s\"}\n", pid, run->id);
	write_state(run->state, "state.json", text, (size_t)n);
	must(write(sync[0], "g", 1), "sync");
	pump(run, output[0]);
	siginfo_t info = {0};
	must(waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &info, WEXITED), "wait");
	int status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	n = snprintf(text, sizeof text, "{\"status\": \"exited\", \"code\": %d, \"id\": \"%s\"}\n", status,
		run->id);
	write_state(run->state, "state.json", text, (size_t)n);
	if (report >= 0) {
		unsigned char told = (unsigned char)status;
		must(write(report, &told, 1), "report");
		close(report);
	}
	close(mounts);
	clean_up(run, overlay);
	return status;
}

/* Runs this program again from a read-only clone of its own file. */
static void reexecute(char **argv)
{
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | O_CLOEXEC);
	must(tree, "clone of the program");
	struct mount_attributes read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	must(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only),
		"clone of the program");
	static char *const environment[] = {"FLOOR_CLONED=1", NULL};
	syscall(SYS_execveat, tree, "", argv, environment, AT_EMPTY_PATH);
	die("clone of the program");
}

int main(int argc, char **argv)
{
	struct run run = {.namespace = -1};
	bool again = false, setup = false;
	int count = 0, at = 1;
	for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
		if (strcmp(argv[at], "--none") == 0)
			run.none = true;
		else if (strcmp(argv[at], "--ready") == 0)
			run.ready = true;
		else if (strcmp(argv[at], "--hold") == 0)
			run.hold = true;
		else if (strcmp(argv[at], "--reexec") == 0)
			again = true;
		else if (strcmp(argv[at], "--setup") == 0)
			setup = true;
		else if (strcmp(argv[at], "--refill") == 0 && at + 1 < argc)
			count = (int)strtol(argv[++at], NULL, 10);
	}
	if (at >= argc)
		return 2;
	if (again && !getenv("FLOOR_CLONED"))
		reexecute(argv);
	run.folder_path = argv[at];
	run.command = argv + at + 1;
	run.folder = open(run.folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(run.folder, run.folder_path);
	if (setup) {
		set_up_bridge();
		return 0;
	}
	if (count) {
		refill(run.folder_path, count, run.none);
		return 0;
	}
	struct statfs status;
	must(statfs("/sys/fs/cgroup", &status), "cgroup");
	run.v2 = status.f_type == 0x63677270;
	if (run.ready)
		run.namespace = take_ready(run.folder, run.none, run.taken);
	if (!run.hold)
		return run_container(&run, -1);

	/* Two processes: this one reports, the other has the container, and cleans up later. */
	int report[2];
	must(pipe2(report, O_CLOEXEC), "pipe");
	pid_t monitor = (pid_t)syscall(SYS_fork);
	must(monitor, "fork");
	if (monitor == 0) {
		setsid();
		close(report[0]);
		run_container(&run, report[1]);
		_exit(0);
	}
	close(report[1]);
	unsigned char told = 125;
	if (read(report[0], &told, 1) != 1)
		return 125;
	return told;
}
