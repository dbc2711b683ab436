/*
 * holder.c - who has a port of this host.
 *
 * /proc/net tells the inode of every bound socket, /proc/PID/fd who has it open. Only for the
 * error that says so: it reads the whole of /proc.
 */
#include "net/net.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>

#include "base/auto.h"
#include "base/fd.h"

enum { TABLE_LIMIT = 64 << 20 };

/* An IPv6 address as /proc/net/tcp6 has it. */
static void write_six(const uint8_t address[16], char out[33])
{
	uint32_t words[4];

	memcpy(words, address, sizeof words);
	snprintf(out, 33, "%08X%08X%08X%08X", words[0], words[1], words[2], words[3]);
}

/* A line of /proc/net/tcp and its like: "sl local remote st …", the inode the tenth word; the address
 * as 32-bit words in this machine's order. An IPv6 socket without an address holds IPv4's ports too. */
static unsigned long long inode_of_line(const char *line, const struct net_port *port, bool tcp)
{
	char address[33];
	unsigned local_port, state;
	unsigned long long inode;

	if (sscanf(line, " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %llu", address,
		    &local_port, &state, &inode) != 4 ||
		local_port != port->host_port || !inode)
		return 0;
	/* A connection of that local port is in the way of no one; 7 is closed, as one bound and no more is.
	 */
	if (tcp && state != 10 && state != 7)
		return 0;
	if (strlen(address) == 8) {
		uint32_t bound = ntohl((uint32_t)strtoul(address, NULL, 16));
		return !bound || !port->host || bound == port->host ? inode : 0;
	}
	if (strspn(address, "0") == 32 || !port->six)
		return strspn(address, "0") == 32 ? inode : 0;
	char wanted[33];
	write_six(port->host6, wanted);
	return strspn(wanted, "0") == 32 || !strcmp(wanted, address) ? inode : 0;
}

static unsigned long long find_inode(const char *table, const struct net_port *port, bool tcp)
{
	auto_buf struct buf text = {0};
	auto_close int fd = fd_open(AT_FDCWD, table, O_RDONLY, 0);

	if (fd < 0 || fd_slurp(fd, TABLE_LIMIT, &text) < 0)
		return 0;
	for (char *rest = text.data, *line; rest && (line = strsep(&rest, "\n"));) {
		unsigned long long inode = inode_of_line(line, port, tcp);
		if (inode)
			return inode;
	}
	return 0;
}

static bool has_socket(int fds, const char *wanted)
{
	auto_close int copy = fcntl(fds, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	bool found = false;

	if (!dir)
		return false;
	steal_fd(&copy);
	for (struct dirent *entry; !found && (entry = readdir(dir));) {
		char target[64];
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		found = !strcmp(target, wanted);
	}
	closedir(dir);
	return found;
}

static void read_name(int proc, const char *pid, char *out, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "%.20s/comm", pid);
	auto_close int fd = fd_open(proc, path, O_RDONLY, 0);
	ssize_t n = fd < 0 ? 0 : fd_read_full(fd, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

void net_find_holder(const struct net_port *port, struct net_holder *out)
{
	bool tcp = port->protocol == IPPROTO_TCP;
	unsigned long long inode =
		port->six ? 0 : find_inode(tcp ? "/proc/net/tcp" : "/proc/net/udp", port, tcp);
	char wanted[40], path[32];

	*out = (struct net_holder){0};
	if (!inode)
		inode = find_inode(tcp ? "/proc/net/tcp6" : "/proc/net/udp6", port, tcp);
	if (!inode)
		return;
	snprintf(wanted, sizeof wanted, "socket:[%llu]", inode);
	auto_close int proc = fd_open(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = proc < 0 ? NULL : fdopendir(proc);
	if (!dir)
		return;
	steal_fd(&proc);
	for (struct dirent *entry; !out->pid && (entry = readdir(dir));) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		snprintf(path, sizeof path, "%.20s/fd", entry->d_name);
		auto_close int fds = fd_open(dirfd(dir), path, O_RDONLY | O_DIRECTORY, 0);
		if (fds < 0 || !has_socket(fds, wanted))
			continue;
		out->pid = (int)strtol(entry->d_name, NULL, 10);
		read_name(dirfd(dir), entry->d_name, out->name, sizeof out->name);
	}
	closedir(dir);
}
