/*
 * netdrive.c - drives src/net by itself, for the end-to-end tests of packets.
 *
 *	netdrive attach RUN-ROOT NETWORK ID NETNS [WANTED]   prints what was got, key=value lines
 *	netdrive detach RUN-ROOT ID ADDRESS
 *	netdrive sweep RUN-ROOT LIVING-ID...                 prints how many were freed
 *	netdrive publish|unpublish HOST:PORT ADDRESS:PORT    tcp; HOST 0.0.0.0 for all
 *	netdrive bench RUN-ROOT NETWORK COUNT                microseconds of each attach
 *	netdrive take RUN-ROOT NETWORK ID FILE               one made ahead, bound to FILE
 *	netdrive refill RUN-ROOT NETWORK ; netdrive count RUN-ROOT ; netdrive clear RUN-ROOT
 *	netdrive pool RUN-ROOT NETWORK COUNT                 microseconds of each taking
 *	netdrive storm RUN-ROOT NETWORK COUNT                that many at once, each in its process
 *
 * NETNS is a file of a network namespace (/run/netns/NAME).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "net/firewall.h"
#include "net/net.h"
#include "net/pool.h"

static int failed(const struct err *e)
{
	printf("failed=%d\nerror=%s\nhint=%s\n", e->kind, e->what, e->hint);
	return 1;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int open_root(const char *path)
{
	fd_mkdirs(AT_FDCWD, path, 0700);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static void print(const struct net_attachment *got)
{
	printf("kind=%d\nnetwork=%s\ninterface=%s\nhost_interface=%s\nbridge=%s\naddress=%s\ngateway=%s\n"
	       "prefix=%u\nmac=%s\nnote=%s\n",
		got->kind, got->network, got->interface, got->host_interface, got->bridge, got->address,
		got->gateway, got->prefix, got->mac, got->note);
}

static int attach(char **words)
{
	struct err e = {0};
	struct net_attachment got;
	struct net_request request = {
		.run_root = open_root(words[0]), .network = words[1], .id = words[2], .usual_sysctls = true};
	struct in_addr wanted;

	request.netns = open(words[3], O_RDONLY | O_CLOEXEC);
	if (words[4] && inet_pton(AF_INET, words[4], &wanted) == 1)
		request.address = ntohl(wanted.s_addr);
	if (net_attach(&request, &got, &e) < 0)
		return failed(&e);
	print(&got);
	return 0;
}

static int detach(char **words)
{
	struct err e = {0};
	struct net_release release = {
		.run_root = open_root(words[0]), .network = "bridge", .id = words[1], .address = words[2]};
	return net_detach(&release, &e) < 0 ? failed(&e) : 0;
}

static bool dead(void *context, const char *id)
{
	for (char **living = context; *living; living++) {
		if (!strcmp(*living, id))
			return false;
	}
	return true;
}

static int sweep(char **words)
{
	struct err e = {0};
	int freed = net_sweep(open_root(words[0]), dead, words + 1, &e);
	if (freed < 0)
		return failed(&e);
	printf("freed=%d\n", freed);
	return 0;
}

static int publish(char **words, bool add)
{
	struct netlink nl = NETLINK_CLOSED;
	struct firewall_port port = {.protocol = IPPROTO_TCP};
	char host[16], container[16];
	struct in_addr a, b;

	if (sscanf(words[0], "%15[0-9.]:%hu", host, &port.host_port) != 2 ||
		sscanf(words[1], "%15[0-9.]:%hu", container, &port.container_port) != 2 ||
		inet_pton(AF_INET, host, &a) != 1 || inet_pton(AF_INET, container, &b) != 1)
		return 2;
	port.host = ntohl(a.s_addr);
	port.container = ntohl(b.s_addr);
	if (add) {
		NETLINK_ROOM(room, 64);
		struct netlink_batch batch = NETLINK_BATCH(room);
		char name[LINK_NAME_SIZE];
		firewall_port_name(port.container, name);
		netlink_open(&nl, NETLINK_ROUTE);
		link_put_hairpin(&batch, link_index(nl.fd, name));
		int hairpin = netlink_run(&nl, &batch, NULL);
		printf("hairpin=%d %s\n", hairpin, nl.reason);
		netlink_close(&nl);
	}
	int result = netlink_open(&nl, NETLINK_NETFILTER);
	if (result == 0)
		result = add ? firewall_publish(&nl, &port, 1, false) : firewall_unpublish(&nl, &port, 1);
	printf("result=%d %s\n", result, nl.reason);
	return result != 0;
}

/* A process that waits in a new network namespace; it goes when we do. */
static pid_t start_container(int *pidfd)
{
	struct kernel_clone_args args = {.flags = CLONE_NEWNET | KERNEL_CLONE_PIDFD, .exit_signal = SIGCHLD};
	int fd = -1;

	args.pidfd = (uint64_t)(uintptr_t)&fd;
	pid_t pid = kernel_clone3(&args);
	if (pid == 0) {
		/* The caller's pipes are not this one's business. */
		kernel_close_range(3, ~0u, 0);
		for (;;)
			pause();
	}
	*pidfd = fd;
	return pid;
}

static void make_id(char id[65], unsigned n)
{
	snprintf(id, 65, "c%023x%040x", (unsigned)getpid(), n);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static int bench(char **words)
{
	int root = open_root(words[0]), count = (int)strtol(words[2], NULL, 10);
	double attached[1000], detached[1000];

	if (count < 1 || count > 1000)
		return 2;
	for (int i = 0; i < count; i++) {
		struct err e = {0};
		struct net_attachment got;
		char id[65];
		int pidfd;
		make_id(id, (unsigned)i);
		pid_t pid = start_container(&pidfd);
		struct net_request request = {
			.run_root = root, .network = words[1], .id = id, .pidfd = pidfd};
		double began = now();
		if (net_attach(&request, &got, &e) < 0)
			return failed(&e);
		double done = now();
		struct net_release release = {
			.run_root = root, .network = words[1], .id = id, .address = got.address};
		if (net_detach(&release, &e) < 0)
			return failed(&e);
		attached[i] = done - began;
		detached[i] = now() - done;
		kernel_pidfd_send_signal(pidfd, SIGKILL);
		waitpid(pid, NULL, 0);
		close(pidfd);
		usleep(3000);
	}
	printf("first=%.0f ", attached[0]);
	qsort(attached, (size_t)count, sizeof *attached, compare);
	qsort(detached, (size_t)count, sizeof *detached, compare);
	printf("attach median=%.0f min=%.0f p90=%.0f  detach median=%.0f min=%.0f\n", attached[count / 2],
		attached[0], attached[count * 9 / 10], detached[count / 2], detached[0]);
	return 0;
}

static int take_ready(const struct net_request *request, int *netns, struct net_attachment *got)
{
	struct net_pool_taken taken;
	struct err e = {0};

	*netns = -1;
	if (!net_pool_take(request, &taken, got))
		return 0;
	int kept = dup(taken.netns);
	if (net_pool_confirm(request, &taken, got, &e) < 0) {
		close(kept);
		*got = (struct net_attachment){0};
		return 0;
	}
	*netns = kept;
	return 1;
}

static int take(char **words)
{
	struct net_attachment got;
	struct net_request request = {.run_root = open_root(words[0]), .network = words[1], .id = words[2]};
	char path[64];
	int netns;

	if (!take_ready(&request, &netns, &got)) {
		printf("taken=0\n");
		return 0;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", netns);
	close(open(words[3], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	if (mount(path, words[3], NULL, MS_BIND, NULL) < 0)
		perror(words[3]);
	printf("taken=1\n");
	print(&got);
	return 0;
}

static int pool(char **words)
{
	int root = open_root(words[0]), count = (int)strtol(words[2], NULL, 10), hits = 0;
	double took[1000], refilled[1000];

	if (count < 1 || count > 1000)
		return 2;
	for (int i = 0; i < count; i++) {
		struct err e = {0};
		struct net_attachment got = {0};
		char id[65];
		int netns = -1;
		make_id(id, (unsigned)i);
		struct net_request request = {.run_root = root, .network = words[1], .id = id};
		double began = now();
		if (take_ready(&request, &netns, &got))
			took[hits++] = now() - began;
		close(netns);
		if (*got.address) {
			struct net_release release = {
				.run_root = root, .network = words[1], .id = id, .address = got.address};
			if (net_detach(&release, &e) < 0)
				return failed(&e);
		}
		began = now();
		net_pool_refill(root, words[1]);
		refilled[i] = now() - began;
		usleep(3000);
	}
	if (hits) {
		qsort(took, (size_t)hits, sizeof *took, compare);
		qsort(refilled, (size_t)count, sizeof *refilled, compare);
		printf("hits=%d take median=%.0f min=%.0f  refill median=%.0f min=%.0f\n", hits,
			took[hits / 2], took[0], refilled[count / 2], refilled[0]);
	}
	return 0;
}

static int storm(char **words)
{
	int root = open_root(words[0]), count = (int)strtol(words[2], NULL, 10), bad = 0;
	int go[2];
	double began;

	if (pipe2(go, O_CLOEXEC) < 0)
		return 2;
	for (int i = 0; i < count; i++) {
		if (fork() == 0) {
			struct err e = {0};
			struct net_attachment got;
			char id[65], byte;
			int pidfd, status = 0;
			make_id(id, (unsigned)i);
			pid_t pid = start_container(&pidfd);
			close(go[1]);
			if (read(go[0], &byte, 1) < 0)
				_exit(2);
			struct net_request request = {
				.run_root = root, .network = words[1], .id = id, .pidfd = pidfd};
			if (net_attach(&request, &got, &e) < 0) {
				dprintf(1, "error=%s\n", e.what);
				status = 1;
			} else {
				dprintf(1, "address=%s\n", got.address);
			}
			/* Nobody ends before everybody has an address. */
			sleep(2);
			kernel_pidfd_send_signal(pidfd, SIGKILL);
			waitpid(pid, NULL, 0);
			_exit(status);
		}
	}
	usleep(200000);
	began = now();
	close(go[1]);
	for (int status; wait(&status) > 0;)
		bad += status != 0;
	printf("bad=%d us=%.0f\n", bad, now() - began - 2e6);
	return bad != 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 6 && !strcmp(argv[1], "attach"))
		return attach(argv + 2);
	if (argc >= 5 && !strcmp(argv[1], "detach"))
		return detach(argv + 2);
	if (argc >= 3 && !strcmp(argv[1], "sweep"))
		return sweep(argv + 2);
	if (argc >= 4 && (!strcmp(argv[1], "publish") || !strcmp(argv[1], "unpublish")))
		return publish(argv + 2, argv[1][0] == 'p');
	if (argc >= 5 && !strcmp(argv[1], "bench"))
		return bench(argv + 2);
	if (argc >= 6 && !strcmp(argv[1], "take"))
		return take(argv + 2);
	if (argc >= 4 && !strcmp(argv[1], "refill"))
		return net_pool_refill(open_root(argv[2]), argv[3]), 0;
	if (argc >= 3 && !strcmp(argv[1], "clear"))
		return net_pool_clear(open_root(argv[2])), 0;
	if (argc >= 3 && !strcmp(argv[1], "count"))
		return printf("%u\n", net_pool_count(open_root(argv[2]))) < 0;
	if (argc >= 5 && !strcmp(argv[1], "pool"))
		return pool(argv + 2);
	if (argc >= 5 && !strcmp(argv[1], "storm"))
		return storm(argv + 2);
	return 2;
}
