/* ports.c - choosing, holding, publishing and listing ports. */
#include "engine/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/forward.h"
#include "oci/port.h"

/* ---- wishes ---- */

int ports_check(const struct engine *engine, struct container_config *config, struct err *e)
{
	if (!config->publish.count && !config->publish_all)
		return 0;
	if (!strcmp(config->network, "host") ||
		(!strcmp(config->network, "none") && !engine->user_namespace)) {
		log_warning("published ports are discarded when using %s network mode", config->network);
		config->publish = (struct strings){0};
		config->publish_all = false;
		return 0;
	}
	if (engine->user_namespace) {
		err_set(e, ERR_UNSUPPORTED, 0,
			"an ordinary user's container has no network, so its ports cannot be published");
		return err_hint(e, "run it as root, or with --network host, where its ports are the host's");
	}
	if (net_publishes(config->network))
		return 0;
	err_set(e, ERR_UNSUPPORTED, 0, "cannot publish ports on network %s", config->network);
	return err_hint(e, "use --network bridge, or reach the container at its own address");
}

struct wishes {
	struct port_spec *rows; /* the arena's */
	size_t count, room;
};

static void add_wish(struct arena *arena, struct wishes *wishes, const struct port_spec *row)
{
	if (wishes->count == wishes->room) {
		size_t room = wishes->room * 2 + 8;
		struct port_spec *rows = arena_array(arena, room, sizeof *rows);
		if (wishes->count)
			memcpy(rows, wishes->rows, wishes->count * sizeof *rows);
		wishes->rows = rows;
		wishes->room = room;
	}
	wishes->rows[wishes->count++] = *row;
}

/* What is to be published; of what is exposed, with -P, the rest. */
static int read_wishes(
	struct arena *arena, const struct container_config *config, struct wishes *wishes, struct err *e)
{
	struct port_spec *some;
	size_t n;

	for (size_t i = 0; i < config->publish.count; i++) {
		if (port_parse_publish(arena, config->publish.items[i], &some, &n, e) < 0)
			return -1;
		for (size_t k = 0; k < n; k++)
			add_wish(arena, wishes, &some[k]);
	}
	size_t given = wishes->count;
	for (size_t i = 0; config->publish_all && i < config->expose.count; i++) {
		if (port_parse_expose(arena, config->expose.items[i], &some, &n, e) < 0)
			return -1;
		for (size_t k = 0; k < n; k++) {
			bool there = false;
			for (size_t j = 0; j < given && !there; j++)
				there = wishes->rows[j].container == some[k].container &&
					wishes->rows[j].protocol == some[k].protocol;
			if (!there)
				add_wish(arena, wishes, &some[k]);
		}
	}
	return 0;
}

/* ---- holding ---- */

/* The host's side of a port as a socket's address; how long it is. */
static socklen_t address_of(const struct net_port *port, struct sockaddr_in6 *out)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
		.sin_port = htons(port->host_port),
		.sin_addr.s_addr = htonl(port->host)};

	*out = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = four.sin_port};
	memcpy(&out->sin6_addr, port->host6, sizeof port->host6);
	if (port->six)
		return sizeof *out;
	memcpy(out, &four, sizeof four);
	return sizeof four;
}

/* Binds a socket, which is enough that nobody else can. Where only old connections of the host's own are
 * in the way, the port is taken in spite of them, and then only a listening socket keeps it; one that
 * connections are taken from listens anyway. */
static int hold(const struct net_port *port, uint16_t *chosen)
{
	bool tcp = port->protocol == IPPROTO_TCP;
	struct sockaddr_in6 address;
	socklen_t size = address_of(port, &address);
	const int on = 1;
	auto_close int fd = socket(port->six ? AF_INET6 : AF_INET,
		(port->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, port->protocol);

	if (fd < 0)
		return -errno;
	/* The same port of IPv4 is another one. */
	if (port->six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
		return -errno;
	/* Connections that were taken from such a socket are in nobody's way. */
	if (port->six && tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		return -errno;
	int rc = bind(fd, (const struct sockaddr *)&address, size) < 0 ? -errno : 0;
	if (rc == -EADDRINUSE && tcp && port->host_port && !port->six) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (bind(fd, (const struct sockaddr *)&address, size) == 0 && listen(fd, 0) == 0)
			rc = 0;
	}
	if (rc == 0 && port->six && tcp && listen(fd, SOMAXCONN) < 0)
		rc = -errno;
	if (rc == 0 && getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	/* It stands at the same place in both families' addresses. */
	*chosen = ntohs(address.sin6_port);
	return steal_fd(&fd);
}

static bool read_ip(const char *text, struct net_port *port)
{
	struct in_addr four;

	port->six = strchr(text, ':');
	if (port->six)
		return inet_pton(AF_INET6, text, port->host6) == 1;
	if (inet_pton(AF_INET, text, &four) != 1)
		return false;
	port->host = ntohl(four.s_addr);
	return true;
}

static void write_ip(const struct net_port *port, char out[46])
{
	struct in_addr in = {.s_addr = htonl(port->host)};

	inet_ntop(port->six ? AF_INET6 : AF_INET, port->six ? (const void *)port->host6 : &in, out, 46);
}

struct search {
	const struct net_port *wanted;
	char id[65];
};

static void take_clash(void *context, const char *id, const struct net_port *port)
{
	struct search *search = context;

	if (net_ports_clash(search->wanted, port))
		snprintf(search->id, sizeof search->id, "%s", id);
}

/* The id of the container that has it by the records, or "": its monitor may have been killed, and then
 * nobody holds the socket. */
static bool find_publisher(struct engine *engine, const struct net_port *port, char id[65])
{
	struct search search = {.wanted = port};
	struct err ignored;

	net_each_port(engine->run, take_clash, &search, &ignored);
	memcpy(id, search.id, sizeof search.id);
	return *id;
}

/* anew: its user can choose another. */
static int taken(struct engine *engine, const struct net_port *port, bool anew, struct err *e)
{
	struct container container;
	struct err ignored;
	char id[65], who[160] = "";

	if (find_publisher(engine, port, id) &&
		container_find(&engine->containers, id, &container, &ignored) == 0) {
		snprintf(who, sizeof who, "taken by container %s", container.record.identity.name);
	} else {
		struct net_holder holder;
		char name[130];
		net_find_holder(port, &holder);
		if (holder.pid)
			snprintf(who, sizeof who, "taken by %s (pid %d)",
				err_sanitize(name, sizeof name, holder.name), holder.pid);
	}
	const char *protocol = port->protocol == IPPROTO_TCP ? "" : port_protocol(port->protocol);
	err_set(e, ERR_CONFLICT, 0, "cannot publish port %u%s%s: it is %s", port->host_port,
		*protocol ? "/" : "", protocol, *who ? who : "taken");
	char ip[46], where[50] = "";
	write_ip(port, ip);
	if (port->six || port->host)
		snprintf(where, sizeof where, port->six ? "[%s]:" : "%s:", ip);
	return err_hint(e, "%s -p %s%u:%u%s%s%s",
		anew ? "try: brig run" : "free it, or create the container anew:", where,
		port->host_port < 65535 ? port->host_port + 1u : port->host_port - 1u, port->container_port,
		*protocol ? "/" : "", protocol, anew ? " …" : "");
}

static int hold_one(struct engine *engine, const struct port_spec *spec, bool anew, struct net_port *port,
	int *held, struct err *e)
{
	const char *ip = *spec->ip ? spec->ip : engine->config->publish_address;
	int rc = -EADDRINUSE;
	char id[65];

	*port = (struct net_port){.container_port = spec->container, .protocol = spec->protocol};
	if (!read_ip(ip, port))
		return err_set(e, ERR_INVALID, 0, "cannot publish a port on %s: it is no IP address", ip);
	if (port->six && spec->protocol == IPPROTO_SCTP)
		return err_set(e, ERR_UNSUPPORTED, 0,
			"cannot publish sctp port %u on %s: only an IPv4 address can lead sctp to a "
			"container",
			spec->container, ip);
	unsigned last = spec->host_last > spec->host_first ? spec->host_last : spec->host_first;
	for (unsigned at = spec->host_first; at <= last && rc == -EADDRINUSE; at++) {
		port->host_port = (uint16_t)at;
		rc = hold(port, &port->host_port);
		if (rc >= 0 && last > spec->host_first && find_publisher(engine, port, id)) {
			close_fd(&rc);
			rc = -EADDRINUSE;
		}
	}
	if (rc >= 0) {
		*held = rc;
		return 0;
	}
	/* This kernel translates sctp and has no sockets of it: the map alone tells of a clash. */
	if (spec->protocol == IPPROTO_SCTP && (rc == -EPROTONOSUPPORT || rc == -ESOCKTNOSUPPORT)) {
		if (!port->host_port)
			return err_set(e, ERR_UNSUPPORTED, 0,
				"cannot choose an sctp port: this kernel has no sctp sockets, so name one");
		port->host_port = spec->host_first;
		return 0;
	}
	if (rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT)
		return err_set(e, ERR_INVALID, 0,
			"cannot publish port %u on %s: this host has no such address", port->host_port, ip);
	if (rc == -EADDRINUSE && last > spec->host_first)
		return err_set(e, ERR_CONFLICT, 0, "cannot publish port %u: all of the ports %u-%u are taken",
			spec->container, spec->host_first, last);
	if (rc == -EADDRINUSE)
		return taken(engine, port, anew, e);
	return err_errno(e, rc, "cannot publish port %u", port->host_port);
}

enum { MANY = 512 };

/* A socket for each port may be more than the caller's shell allows; the container has limits of its own. */
static void allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Each connection that is handed on takes two descriptors. */
static bool any_six(const struct engine *engine, const struct wishes *wishes)
{
	bool by_default = strchr(engine->config->publish_address, ':');

	for (size_t i = 0; i < wishes->count; i++)
		if (*wishes->rows[i].ip ? strchr(wishes->rows[i].ip, ':') != NULL : by_default)
			return true;
	return false;
}

/* One that is asked for twice. */
static int refuse_twice(const struct ports *ports, struct err *e)
{
	const struct net_port *last = &ports->list[ports->count];

	for (size_t i = 0; i < ports->count; i++)
		if (net_ports_clash(&ports->list[i], last))
			return err_set(e, ERR_CONFLICT, 0,
				"cannot publish port %u: it was asked for twice, for the container's ports "
				"%u and %u",
				last->host_port, ports->list[i].container_port, last->container_port);
	return 0;
}

int ports_hold(struct engine *engine, const struct container_config *config, bool anew, struct ports *out,
	struct err *e)
{
	auto_arena struct arena arena = {0};
	struct wishes wishes = {0};

	*out = (struct ports){0};
	if (read_wishes(&arena, config, &wishes, e) < 0)
		return -1;
	size_t count = wishes.count;
	if (count >= MANY || any_six(engine, &wishes))
		allow_files();
	struct ports ports = {.anew = anew,
		.list = calloc(count, sizeof *ports.list),
		.sockets = calloc(count, sizeof(int))};
	if (!ports.list || !ports.sockets) {
		ports_let_go(&ports);
		return err_errno(e, -ENOMEM, "cannot hold the container's ports");
	}
	/* Those that were named first: a free one that is chosen must not be one of them. */
	for (int chosen = 0; chosen < 2; chosen++)
		for (size_t i = 0; i < count; i++) {
			bool choose = !wishes.rows[i].host_first ||
				      wishes.rows[i].host_last > wishes.rows[i].host_first;
			if (choose != chosen)
				continue;
			ports.sockets[ports.count] = -1;
			if (hold_one(engine, &wishes.rows[i], anew, &ports.list[ports.count],
				    &ports.sockets[ports.count], e) < 0) {
				if (e->kind == ERR_CONFLICT)
					refuse_twice(&ports, e);
				ports_let_go(&ports);
				return -1;
			}
			ports.count++;
		}
	*out = ports;
	return 0;
}

void ports_let_go(struct ports *ports)
{
	forwarder_close(ports->forwarder);
	for (size_t i = 0; i < ports->count; i++)
		if (ports->sockets[i] >= 0)
			close_fd(&ports->sockets[i]);
	free(ports->list);
	free(ports->sockets);
	*ports = (struct ports){0};
}

static int forward(struct ports *ports, const char *address, struct err *e)
{
	struct sockaddr_in target = {.sin_family = AF_INET};
	int rc = 0;

	inet_pton(AF_INET, address, &target.sin_addr);
	for (size_t i = 0; rc == 0 && i < ports->count; i++) {
		const struct net_port *port = &ports->list[i];
		if (!port->six)
			continue;
		target.sin_port = htons(port->container_port);
		if (!ports->forwarder)
			rc = forwarder_open(&ports->forwarder);
		if (rc == 0)
			rc = forwarder_add(ports->forwarder, ports->sockets[i], port->protocol, &target);
	}
	return rc < 0 ? err_errno(e, rc, "cannot hand on what comes for the container's ports") : 0;
}

int ports_forward_fd(const struct ports *ports)
{
	return ports->forwarder ? forwarder_fd(ports->forwarder) : -1;
}

void ports_forward(struct ports *ports)
{
	forwarder_serve(ports->forwarder);
}

int ports_publish(struct engine *engine, const struct container *container,
	const struct net_attachment *network, struct ports *ports, struct err *e)
{
	char clash[65], id[65];
	size_t which = 0;
	struct net_publish publish = {.run_root = engine->run,
		.network = network->network,
		.id = container->id,
		.address = network->address,
		.ports = ports->list,
		.count = ports->count};

	if (net_publish(&publish, clash, e) == 0)
		return forward(ports, network->address, e);
	/* One of another run root, of whose records we have none: which one cannot be told. */
	if (e->kind != ERR_CONFLICT || !*clash)
		return -1;
	/* One of a container whose monitor was killed. */
	while (which + 1 < ports->count && !find_publisher(engine, &ports->list[which], id))
		which++;
	return taken(engine, &ports->list[which], ports->anew, e);
}

/* ---- lists ---- */

struct list {
	struct engine *engine;
	const char *id;
	struct ports_row *rows;
	size_t count, room;
};

static void add_row(struct list *list, const struct net_port *port)
{
	if (list->count == list->room) {
		size_t room = list->room * 2 + 8;
		struct ports_row *rows = arena_array(list->engine->arena, room, sizeof *rows);
		if (list->count)
			memcpy(rows, list->rows, list->count * sizeof *rows);
		list->rows = rows;
		list->room = room;
	}
	struct ports_row *row = &list->rows[list->count++];
	*row = (struct ports_row){.port = *port};
	if (port->host_port)
		write_ip(port, row->ip);
}

static void take_own(void *context, const char *id, const struct net_port *port)
{
	struct list *list = context;

	if (!strcmp(id, list->id))
		add_row(list, port);
}

static int by_port(const void *a, const void *b)
{
	const struct ports_row *x = a, *y = b;

	if (x->port.container_port != y->port.container_port)
		return x->port.container_port < y->port.container_port ? -1 : 1;
	if (x->port.protocol != y->port.protocol)
		return x->port.protocol < y->port.protocol ? -1 : 1;
	if (x->port.six != y->port.six)
		return x->port.six ? 1 : -1;
	int six = memcmp(x->port.host6, y->port.host6, sizeof x->port.host6);
	if (six)
		return six;
	if (x->port.host != y->port.host)
		return x->port.host < y->port.host ? -1 : 1;
	return (x->port.host_port > y->port.host_port) - (x->port.host_port < y->port.host_port);
}

int ports_of(struct engine *engine, const struct container *container, const struct container_config *config,
	struct ports_row **out, size_t *count, struct err *e)
{
	struct list list = {.engine = engine, .id = container->id};

	if (container->record.identity.flags & CONTAINER_PUBLISHES) {
		if (engine_run_root(engine, e) < 0 || net_each_port(engine->run, take_own, &list, e) < 0)
			return -1;
	}
	size_t published = list.count;
	for (size_t i = 0; config && i < config->expose.count; i++) {
		struct port_spec *specs;
		size_t more;
		if (port_parse_expose(engine->arena, config->expose.items[i], &specs, &more, e) < 0)
			return -1;
		for (size_t k = 0; k < more; k++) {
			bool there = false;
			for (size_t j = 0; j < published && !there; j++)
				there = list.rows[j].port.container_port == specs[k].container &&
					list.rows[j].port.protocol == specs[k].protocol;
			if (!there)
				add_row(&list, &(struct net_port){.container_port = specs[k].container,
						       .protocol = specs[k].protocol});
		}
	}
	if (list.count)
		qsort(list.rows, list.count, sizeof *list.rows, by_port);
	*out = list.rows;
	*count = list.count;
	return 0;
}

/* A row whose two ports are one number, or that is only exposed: neighbours of these are put together. */
static bool joins(const struct ports_row *row)
{
	return !row->port.host_port || row->port.host_port == row->port.container_port;
}

static bool follows(const struct ports_row *last, const struct ports_row *row)
{
	return joins(row) && !last->port.host_port == !row->port.host_port &&
	       last->port.host == row->port.host && last->port.six == row->port.six &&
	       !memcmp(last->port.host6, row->port.host6, sizeof last->port.host6) &&
	       last->port.protocol == row->port.protocol &&
	       row->port.container_port == last->port.container_port + 1;
}

const char *ports_host(struct arena *arena, const struct ports_row *row)
{
	return arena_printf(arena, row->port.six ? "[%s]:%u" : "%s:%u", row->ip, row->port.host_port);
}

const char *ports_text(struct arena *arena, const struct ports_row *rows, size_t count)
{
	auto_buf struct buf out = {0};
	auto_free bool *done = calloc(count + 1, sizeof *done);

	/* docker's order: what is put together, then what is mapped to another number. */
	for (size_t i = 0; done && i < count; i++) {
		if (done[i] || !joins(&rows[i]))
			continue;
		const struct ports_row *last = &rows[i];
		for (size_t k = i + 1; k < count; k++)
			if (!done[k] && follows(last, &rows[k])) {
				done[k] = true;
				last = &rows[k];
			}
		char range[16];
		if (last == &rows[i])
			snprintf(range, sizeof range, "%u", last->port.container_port);
		else
			snprintf(range, sizeof range, "%u-%u", rows[i].port.container_port,
				last->port.container_port);
		buf_string(&out, out.length ? ", " : "");
		if (last->port.host_port)
			buf_printf(&out, last->port.six ? "[%s]:%s->" : "%s:%s->", last->ip, range);
		buf_printf(&out, "%s/%s", range, port_protocol(last->port.protocol));
	}
	for (size_t i = 0; i < count; i++)
		if (!joins(&rows[i]))
			buf_printf(&out, "%s%s->%u/%s", out.length ? ", " : "", ports_host(arena, &rows[i]),
				rows[i].port.container_port, port_protocol(rows[i].port.protocol));
	return arena_strdup(arena, out.data ? out.data : "");
}
