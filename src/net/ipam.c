/*
 * ipam.c - subnets and addresses.
 *
 * The file of a network: struct ipam_network at 0; at BITMAP_AT one bit a slot, set where
 * it is taken; at RECORDS_AT the holder's id, 32 bytes a slot (zeroes: reserved); at PORTS_AT
 * the published ports, a struct ipam_port each, written before the firewall has them. Slot n
 * is the network's address + n; a network larger than /16 uses its first 65536. Slots are
 * given out round about inside a window of whole blocks, so that an address rests a while
 * before it is used again (its last holder's interface takes some milliseconds to go),
 * while the file, and what the firewall must know, stays small. The window grows by a
 * block when three quarters of it are taken.
 *
 * The file lies in the run root, which a reboot empties; it is never synced. A crash
 * between two writes leaves at worst a slot taken by an id that does not live, which the
 * next sweep gives back.
 */
#include "net/ipam.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "net/link.h"

#define MAGIC      "brigipa3"
#define BITMAP_AT  4096
#define RECORDS_AT 16384
#define SLOTS      65536u
#define PORTS_AT   (RECORDS_AT + (off_t)SLOTS * IPAM_ID_SIZE)
#define PORTS_MAX  65536u
#define WAIT_MS    10000

static int read_at(int fd, void *bytes, size_t size, off_t at)
{
	ssize_t n = pread(fd, bytes, size, at);
	if (n < 0)
		return -errno;
	memset((char *)bytes + n, 0, size - (size_t)n);
	return 0;
}

static int write_at(int fd, const void *bytes, size_t size, off_t at)
{
	ssize_t n = pwrite(fd, bytes, size, at);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ENOSPC;
}

static uint32_t mask_of(unsigned prefix)
{
	return prefix ? ~0u << (32 - prefix) : 0;
}

static uint32_t slots_of(const struct ipam *ipam)
{
	unsigned prefix = ipam->network.prefix;
	return prefix <= 16 ? SLOTS : prefix >= 32 ? 1 : 1u << (32 - prefix);
}

static uint32_t first_of(const struct ipam *ipam)
{
	return ipam->network.gateway & mask_of(ipam->network.prefix);
}

static int lock(int fd)
{
	/* Whoever holds it needs microseconds, or some milliseconds while it sets up. */
	for (int waited = 0;; waited++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited == WAIT_MS * 4)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){.tv_nsec = 250000}, NULL);
	}
}

int ipam_open(const struct ipam_place *place, struct ipam *out, struct err *e)
{
	char name[160];
	struct stat status;

	if (fstat(place->netns, &status) < 0)
		return err_errno(e, errno, "cannot look at the network namespace");
	int length =
		snprintf(name, sizeof name, "net/%llu/%s", (unsigned long long)status.st_ino, place->network);
	if (length < 0 || (size_t)length >= sizeof name)
		return err_set(e, ERR_INVALID, 0, "the network's name is too long");
	auto_close int fd = fd_open(place->run_root, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd == -ENOENT) {
		char folder[64];
		snprintf(folder, sizeof folder, "net/%llu", (unsigned long long)status.st_ino);
		int made = fd_mkdirs(place->run_root, folder, 0700);
		if (made < 0)
			return err_errno(e, made, "cannot keep the network's state");
		fd = fd_open(place->run_root, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	}
	if (fd < 0)
		return err_errno(e, fd, "cannot keep the network's state");
	int result = lock(fd);
	if (result == -ETIMEDOUT)
		return err_set(e, ERR_CONFLICT, 0,
			"another brig has held the state of network %s for too long", place->network);
	struct ipam ipam = {.fd = fd};
	if (result == 0)
		result = read_at(fd, &ipam.network, sizeof ipam.network, 0);
	if (result < 0)
		return err_errno(e, result, "cannot read the state of network %s", place->network);
	if (memcmp(ipam.network.magic, MAGIC, sizeof ipam.network.magic) != 0 ||
		ipam.network.cookie != place->cookie) {
		if (ftruncate(fd, 0) < 0)
			return err_errno(e, errno, "cannot begin the state of network %s", place->network);
		ipam.network = (struct ipam_network){.cookie = place->cookie};
		memcpy(ipam.network.magic, MAGIC, sizeof ipam.network.magic);
	}
	/* A damaged file must not lead outside its own arrays. */
	if (ipam.network.prefix > 32 || ipam.network.window > slots_of(&ipam))
		ipam.network.prefix = ipam.network.bridge = ipam.network.window = 0;
	if (ipam.network.cursor >= ipam.network.window)
		ipam.network.cursor = 0;
	if (ipam.network.port_slots > PORTS_MAX)
		ipam.network.port_slots = 0;
	steal_fd(&fd);
	*out = ipam;
	return 0;
}

void ipam_close(struct ipam *ipam)
{
	if (ipam->fd > 0)
		close_fd(&ipam->fd);
	ipam->fd = -1;
}

int ipam_save(struct ipam *ipam)
{
	return write_at(ipam->fd, &ipam->network, sizeof ipam->network, 0);
}

static int read_word(struct ipam *ipam, uint32_t word, uint64_t *out)
{
	return read_at(ipam->fd, out, sizeof *out, BITMAP_AT + (off_t)word * 8);
}

static int write_word(struct ipam *ipam, uint32_t word, uint64_t value)
{
	return write_at(ipam->fd, &value, sizeof value, BITMAP_AT + (off_t)word * 8);
}

static int reserve(struct ipam *ipam, uint32_t slot)
{
	uint64_t word;
	int result = read_word(ipam, slot / 64, &word);
	return result < 0 ? result : write_word(ipam, slot / 64, word | 1ull << slot % 64);
}

int ipam_reset(struct ipam *ipam, uint32_t gateway, unsigned prefix)
{
	if (ftruncate(ipam->fd, 0) < 0)
		return -errno;
	ipam->network.gateway = gateway;
	ipam->network.prefix = prefix;
	ipam->network.cursor = ipam->network.used = ipam->network.port_slots = 0;
	ipam->network.ports_handle = 0;
	memset(ipam->network.allowed, 0, sizeof ipam->network.allowed);
	uint32_t slots = slots_of(ipam);
	ipam->network.window = slots < IPAM_BLOCK ? slots : IPAM_BLOCK;

	uint32_t own = gateway - first_of(ipam);
	int result = reserve(ipam, 0);
	/* The broadcast address; of a /31 or /32 nothing is left for it. */
	if (result == 0 && prefix >= 16)
		result = reserve(ipam, slots - 1);
	if (result == 0 && own < slots)
		result = reserve(ipam, own);
	return result < 0 ? result : ipam_save(ipam);
}

/* A free slot in [from, to), or `to`. */
static int find_free(struct ipam *ipam, uint32_t from, uint32_t to, uint32_t *out)
{
	*out = to;
	for (uint32_t slot = from; slot < to; slot = slot / 64 * 64 + 64) {
		uint64_t word;
		int result = read_word(ipam, slot / 64, &word);
		if (result < 0)
			return result;
		uint64_t free = ~word & ~0ull << slot % 64;
		if (!free)
			continue;
		uint32_t found = slot / 64 * 64 + (uint32_t)__builtin_ctzll(free);
		if (found < to)
			*out = found;
		return 0;
	}
	return 0;
}

void ipam_widen(struct ipam *ipam)
{
	uint32_t slots = slots_of(ipam);

	if (ipam->network.window >= slots)
		return;
	ipam->network.cursor = ipam->network.window;
	ipam->network.window += IPAM_BLOCK;
	if (ipam->network.window > slots)
		ipam->network.window = slots;
}

static int take_slot(struct ipam *ipam, const uint8_t id[IPAM_ID_SIZE], uint32_t slot, uint32_t *address)
{
	uint64_t word;
	int result = read_word(ipam, slot / 64, &word);

	if (result == 0 && word & 1ull << slot % 64)
		return -EADDRINUSE;
	if (result == 0)
		result = write_at(ipam->fd, id, IPAM_ID_SIZE, RECORDS_AT + (off_t)slot * IPAM_ID_SIZE);
	if (result == 0)
		result = write_word(ipam, slot / 64, word | 1ull << slot % 64);
	if (result < 0)
		return result;
	ipam->network.used++;
	*address = first_of(ipam) + slot;
	return ipam_save(ipam);
}

int ipam_take(struct ipam *ipam, const uint8_t id[IPAM_ID_SIZE], uint32_t wanted, uint32_t *address)
{
	uint32_t slot;

	if (wanted) {
		slot = wanted - first_of(ipam);
		if (slot >= slots_of(ipam))
			return -EADDRINUSE;
		while (slot >= ipam->network.window)
			ipam_widen(ipam);
		return take_slot(ipam, id, slot, address);
	}
	if (ipam->network.used >= ipam->network.window / 4 * 3)
		ipam_widen(ipam);
	for (;;) {
		uint32_t window = ipam->network.window;
		int result = find_free(ipam, ipam->network.cursor, window, &slot);
		if (result == 0 && slot == window) {
			result = find_free(ipam, 0, ipam->network.cursor, &slot);
			if (slot == ipam->network.cursor)
				slot = window;
		}
		if (result < 0)
			return result;
		if (slot < window)
			break;
		ipam_widen(ipam);
		if (ipam->network.window == window)
			return -ENOSPC;
	}
	ipam->network.cursor = slot + 1 < ipam->network.window ? slot + 1 : 0;
	return take_slot(ipam, id, slot, address);
}

static int clear_slot(struct ipam *ipam, uint32_t slot)
{
	uint64_t word;
	int result = read_word(ipam, slot / 64, &word);

	if (result < 0 || !(word & 1ull << slot % 64))
		return result < 0 ? result : -ENOENT;
	result = write_word(ipam, slot / 64, word & ~(1ull << slot % 64));
	if (result == 0 && ipam->network.used)
		ipam->network.used--;
	return result;
}

/* The slot of an address that this id holds, or -ENOENT. */
static int held_slot(struct ipam *ipam, const uint8_t id[IPAM_ID_SIZE], uint32_t address)
{
	uint32_t slot = address - first_of(ipam);
	uint8_t holder[IPAM_ID_SIZE];
	uint64_t word;

	if (slot >= ipam->network.window)
		return -ENOENT;
	int result = read_at(ipam->fd, holder, sizeof holder, RECORDS_AT + (off_t)slot * IPAM_ID_SIZE);
	if (result == 0)
		result = read_word(ipam, slot / 64, &word);
	if (result < 0)
		return result;
	return word & 1ull << slot % 64 && memcmp(holder, id, sizeof holder) == 0 ? (int)slot : -ENOENT;
}

int ipam_release(struct ipam *ipam, const uint8_t id[IPAM_ID_SIZE], uint32_t address)
{
	int slot = held_slot(ipam, id, address);
	int result = slot < 0 ? slot : clear_slot(ipam, (uint32_t)slot);

	return result < 0 ? result : ipam_save(ipam);
}

int ipam_hand_on(
	struct ipam *ipam, const uint8_t from[IPAM_ID_SIZE], const uint8_t to[IPAM_ID_SIZE], uint32_t address)
{
	int slot = held_slot(ipam, from, address);

	return slot < 0 ? slot
			: write_at(ipam->fd, to, IPAM_ID_SIZE, RECORDS_AT + (off_t)slot * IPAM_ID_SIZE);
}

int ipam_sweep(struct ipam *ipam, ipam_dead_fn *dead, void *context)
{
	static const uint8_t reserved[IPAM_ID_SIZE];
	uint32_t used = 0;
	int freed = 0;

	for (uint32_t base = 0; base < ipam->network.window; base += 64) {
		uint64_t word;
		int result = read_word(ipam, base / 64, &word);
		if (result < 0)
			return result;
		for (; word; word &= word - 1) {
			uint32_t slot = base + (uint32_t)__builtin_ctzll(word);
			uint8_t id[IPAM_ID_SIZE];
			result = read_at(ipam->fd, id, sizeof id, RECORDS_AT + (off_t)slot * IPAM_ID_SIZE);
			if (result < 0)
				return result;
			if (memcmp(id, reserved, sizeof id) == 0)
				continue;
			used++;
			if (!dead(context, id, first_of(ipam) + slot))
				continue;
			result = clear_slot(ipam, slot);
			if (result < 0)
				return result;
			used--;
			freed++;
		}
	}
	ipam->network.used = used;
	int result = ipam_save(ipam);
	return result < 0 ? result : freed;
}

int ipam_ports_read(const struct ipam *ipam, struct ipam_port **out, size_t *count)
{
	size_t size = ipam->network.port_slots * sizeof **out;
	struct ipam_port *ports = malloc(size + 1);

	if (!ports)
		return -ENOMEM;
	int result = read_at(ipam->fd, ports, size, PORTS_AT);
	if (result < 0) {
		free(ports);
		return result;
	}
	*out = ports;
	*count = ipam->network.port_slots;
	return 0;
}

int ipam_port_write(struct ipam *ipam, size_t slot, const struct ipam_port *port)
{
	static const struct ipam_port none;

	if (slot >= PORTS_MAX)
		return -ENOSPC;
	int result =
		write_at(ipam->fd, port ? port : &none, sizeof none, PORTS_AT + (off_t)(slot * sizeof none));
	if (result < 0 || slot < ipam->network.port_slots)
		return result;
	ipam->network.port_slots = (uint32_t)slot + 1;
	return ipam_save(ipam);
}

static uint32_t block_of(const struct ipam *ipam, uint32_t address)
{
	return (address - first_of(ipam)) / IPAM_BLOCK % (SLOTS / IPAM_BLOCK);
}

uint32_t ipam_block_first(const struct ipam *ipam, uint32_t address)
{
	return first_of(ipam) + block_of(ipam, address) * IPAM_BLOCK;
}

bool ipam_block_allowed(const struct ipam *ipam, uint32_t address)
{
	uint32_t block = block_of(ipam, address);
	return ipam->network.allowed[block / 8] & 1u << block % 8;
}

void ipam_block_allow(struct ipam *ipam, uint32_t address)
{
	uint32_t block = block_of(ipam, address);
	ipam->network.allowed[block / 8] |= (uint8_t)(1u << block % 8);
}

bool ipam_parse_id(const char *text, uint8_t out[IPAM_ID_SIZE])
{
	for (int i = 0; i < 2 * IPAM_ID_SIZE; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (digit < 0)
			return false;
		out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] << 4 | digit : digit);
	}
	return text[2 * IPAM_ID_SIZE] == 0;
}

/* The subnet. */

#define NET(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* Private networks that neither docker (which counts up from 172.17) nor podman (10.88),
 * kubernetes (10.96, 10.244) or a home router takes first. */
static const struct {
	uint32_t address;
	unsigned prefix;
} candidates[] = {
	{NET(172, 29, 0, 0), 16},
	{NET(172, 30, 0, 0), 16},
	{NET(172, 28, 0, 0), 16},
	{NET(172, 27, 0, 0), 16},
	{NET(172, 26, 0, 0), 16},
	{NET(172, 25, 0, 0), 16},
	{NET(10, 201, 0, 0), 16},
	{NET(10, 202, 0, 0), 16},
	{NET(10, 203, 0, 0), 16},
	{NET(10, 204, 0, 0), 16},
	{NET(10, 205, 0, 0), 16},
	{NET(10, 206, 0, 0), 16},
	{NET(192, 168, 208, 0), 20},
	{NET(192, 168, 224, 0), 20},
	{NET(192, 168, 192, 0), 20},
	{NET(192, 168, 176, 0), 20},
};

#define CANDIDATES (sizeof candidates / sizeof *candidates)

struct choice {
	bool clash[CANDIDATES];   /* something inside it is in use */
	bool covered[CANDIDATES]; /* a wider route leads elsewhere */
};

static void mark_used(struct choice *choice, uint32_t address, unsigned prefix, bool route)
{
	/* A default route, and the halves and quarters that VPNs use in its place. */
	if (route && prefix < 8)
		return;
	for (size_t i = 0; i < CANDIDATES; i++) {
		unsigned shorter = prefix < candidates[i].prefix ? prefix : candidates[i].prefix;
		if ((address ^ candidates[i].address) & mask_of(shorter))
			continue;
		if (prefix < candidates[i].prefix)
			choice->covered[i] = true;
		else
			choice->clash[i] = true;
	}
}

static int take_network(void *context, const struct link_network *network)
{
	if (network)
		mark_used(context, network->address, network->prefix, network->route);
	return 0;
}

int ipam_choose_subnet(
	struct netlink *route, const uint32_t *avoid, size_t count, uint32_t *gateway, unsigned *prefix)
{
	struct choice choice = {0};
	int result = link_each_address(route, take_network, &choice);

	if (result == 0)
		result = link_each_route(route, take_network, &choice);
	if (result < 0)
		return result;
	for (size_t i = 0; i < count; i++)
		mark_used(&choice, avoid[i], 32, false);
	/* One that only a wider route covers is better than none. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < CANDIDATES; i++) {
			if (choice.clash[i] || (pass == 0 && choice.covered[i]))
				continue;
			*gateway = candidates[i].address + 1;
			*prefix = candidates[i].prefix;
			return 0;
		}
	}
	return -EADDRNOTAVAIL;
}
