/*
 * ports.h - the ports that a container publishes and exposes.
 *
 * A published port is an element of the firewall's map, which the kernel follows by itself,
 * and a socket that the container's monitor holds bound, so that nobody else takes the
 * port and a clash is seen before anything is made. On an IPv6 address it is that socket alone, and the
 * monitor hands on what comes by it, as containers have IPv4. What is published lies with the network's state
 * in the run root, from which a flushed firewall is made anew.
 */
#ifndef ENGINE_PORTS_H
#define ENGINE_PORTS_H

#include "engine/container.h"
#include "engine/engine.h"
#include "net/net.h"
#include "store/container.h"

/* What a monitor holds. */
struct ports {
	struct net_port *list;
	int *sockets; /* -1: none, as for sctp where the kernel has no such sockets */
	size_t count;
	bool anew;
	struct forwarder *forwarder; /* of those on IPv6 addresses; NULL where there are none */
};

/* Whether the wishes can be met on that network at all; warns of what will be discarded, as docker does. */
int ports_check(const struct engine *engine, struct container_config *config, struct err *e);

/* Whether it publishes any. */
static inline bool ports_wanted(const struct container_config *config)
{
	return config->publish.count || (config->publish_all && config->expose.count);
}

/* Chooses the host's ports and takes them: ERR_CONFLICT says who has one, and what to do (anew: the
 * container is being made, and its user can wish for others). */
int ports_hold(struct engine *engine, const struct container_config *config, bool anew, struct ports *out,
	struct err *e);
void ports_let_go(struct ports *ports);
/* What is held, into the kernel, and to the forwarder. */
int ports_publish(struct engine *engine, const struct container *container,
	const struct net_attachment *network, struct ports *ports, struct err *e);
/* A descriptor that is readable where ports_forward has something to do, or -1. */
int ports_forward_fd(const struct ports *ports);
void ports_forward(struct ports *ports);

/* A port of a container as lists show it. */
struct ports_row {
	struct net_port port; /* host_port 0: exposed, and not published */
	char ip[46];          /* "" for those */
};
/* A running container's, by port; config (may be NULL) tells the exposed ones. */
int ports_of(struct engine *engine, const struct container *container, const struct container_config *config,
	struct ports_row **out, size_t *count, struct err *e);
/* Its "ADDRESS:PORT" of the host, an IPv6 address in brackets. */
const char *ports_host(struct arena *arena, const struct ports_row *row);
/* "0.0.0.0:8080->80/tcp, 90/udp", as docker's ps puts it. */
const char *ports_text(struct arena *arena, const struct ports_row *rows, size_t count);

#endif
