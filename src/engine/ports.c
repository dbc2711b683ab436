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
#include "oci/port.h"

/* ---- wishes ---- */

int ports_check(const struct engine *engine, struct container_config *config, struct err *e)
{
	if (!config->publish.count && !config->publish_all)
		return 0;
	for (size_t i = 0; i < config->publish.count; i++)
		if (config->publish.items[i][0] == '[') {
			err_set(e, ERR_UNSUPPORTED, 0,
				"cannot publish a port on an IPv6 address (%s): containers have IPv4 only",
				config->publish.items[i]);
			return err_hint(e, "name an IPv4 address, or none");
		}
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

/* Binds a socket, which is enough that nobody else can. Where only old connections of the host's own are
 * in the way, the port is taken in spite of them, and then only a listening socket keeps it. */
static int hold(const struct net_port *port, uint16_t *chosen)
{
	bool tcp = port->protocol == IPPROTO_TCP;
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port->host_port),
		.sin_addr.s_addr = htonl(port->host)};
	socklen_t size = sizeof address;
	int on = 1;
	auto_close int fd = socket(AF_INET,
		(port->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, port->protocol);

	if (fd < 0)
		return -errno;
	int rc = bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	if (rc == -EADDRINUSE && tcp && port->host_port) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 0) == 0)
			rc = 0;
	}
	if (rc == 0 && getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	*chosen = ntohs(address.sin_port);
	return steal_fd(&fd);
}

static void write_ip(uint32_t address, char out[16])
{
	struct in_addr in = {.s_addr = htonl(address)};
	inet_ntop(AF_INET, &in, out, 16);
}

struct search {
	const struct net_port *wanted;
	char id[65];
};

static void take_clash(void *context, const char *id, const struct net_port *port)
{
	struct search *search = context;
	const struct net_port *wanted = search->wanted;

	if (port->protocol == wanted->protocol && port->host_port == wanted->host_port &&
		(port->host == wanted->host || !port->host || !wanted->host))
		snprintf(search->id, sizeof search->id, "%s", id);
}

static int taken(struct engine *engine, const struct net_port *port, const char *id, struct err *e)
{
	struct search search = {.wanted = port};
	struct container container;
	struct err ignored = {0};
	char who[160] = "";

	if (id && *id)
		snprintf(search.id, sizeof search.id, "%s", id);
	else
		net_each_port(engine->run, take_clash, &search, &ignored);
	if (*search.id && container_find(&engine->containers, search.id, &container, &ignored) == 0) {
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
	return err_hint(e, "try: brig run -p %u:%u%s%s …",
		port->host_port < 65535 ? port->host_port + 1u : port->host_port - 1u, port->container_port,
		*protocol ? "/" : "", protocol);
}

static int hold_one(
	struct engine *engine, const struct port_spec *spec, struct net_port *port, int *held, struct err *e)
{
	const char *ip = *spec->ip ? spec->ip : engine->config->publish_address;
	struct in_addr address;
	int rc = -EADDRINUSE;

	if (inet_pton(AF_INET, ip, &address) != 1)
		return err_set(e, ERR_INVALID, 0, "cannot publish a port on %s: it is no IPv4 address", ip);
	*port = (struct net_port){
		.host = ntohl(address.s_addr), .container_port = spec->container, .protocol = spec->protocol};
	unsigned last = spec->host_last > spec->host_first ? spec->host_last : spec->host_first;
	for (unsigned at = spec->host_first; at <= last && rc == -EADDRINUSE; at++) {
		port->host_port = (uint16_t)at;
		rc = hold(port, &port->host_port);
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
	if (rc == -EADDRNOTAVAIL)
		return err_set(e, ERR_INVALID, 0,
			"cannot publish port %u on %s: this host has no such address", port->host_port, ip);
	if (rc == -EADDRINUSE && last > spec->host_first)
		return err_set(e, ERR_CONFLICT, 0, "cannot publish port %u: all of the ports %u-%u are taken",
			spec->container, spec->host_first, last);
	if (rc == -EADDRINUSE)
		return taken(engine, port, NULL, e);
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

int ports_hold(struct engine *engine, const struct container_config *config, struct ports *out, struct err *e)
{
	auto_arena struct arena arena = {0};
	struct wishes wishes = {0};

	*out = (struct ports){0};
	if (read_wishes(&arena, config, &wishes, e) < 0)
		return -1;
	size_t count = wishes.count;
	if (count >= MANY)
		allow_files();
	struct ports ports = {
		.list = calloc(count, sizeof *ports.list), .sockets = calloc(count, sizeof(int))};
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
			if (hold_one(engine, &wishes.rows[i], &ports.list[ports.count],
				    &ports.sockets[ports.count], e) < 0) {
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
	for (size_t i = 0; i < ports->count; i++)
		if (ports->sockets[i] >= 0)
			close_fd(&ports->sockets[i]);
	free(ports->list);
	free(ports->sockets);
	*ports = (struct ports){0};
}

int ports_publish(struct engine *engine, const struct container *container,
	const struct net_attachment *network, const struct ports *ports, struct err *e)
{
	char clash[65];
	struct net_publish publish = {.run_root = engine->run,
		.network = network->network,
		.id = container->id,
		.address = network->address,
		.ports = ports->list,
		.count = ports->count};

	if (net_publish(&publish, clash, e) == 0)
		return 0;
	/* One of a container whose monitor was killed, or of another run root. */
	return e->kind == ERR_CONFLICT ? taken(engine, &ports->list[0], clash, e) : -1;
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
		write_ip(port->host, row->ip);
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
	       last->port.host == row->port.host && last->port.protocol == row->port.protocol &&
	       row->port.container_port == last->port.container_port + 1;
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
			buf_printf(&out, "%s:%s->", last->ip, range);
		buf_printf(&out, "%s/%s", range, port_protocol(last->port.protocol));
	}
	for (size_t i = 0; i < count; i++)
		if (!joins(&rows[i]))
			buf_printf(&out, "%s%s:%u->%u/%s", out.length ? ", " : "", rows[i].ip,
				rows[i].port.host_port, rows[i].port.container_port,
				port_protocol(rows[i].port.protocol));
	return arena_strdup(arena, out.data ? out.data : "");
}
