/*
 * ports.h - the ports that a container publishes and exposes.
 *
 * A published port is an element of the firewall's map, which the kernel follows by itself,
 * and a socket that the container's monitor holds bound, so that nobody else takes the
 * port and a clash is seen before anything is made. What is published lies with the
 * network's state in the run root, from which a flushed firewall is made anew.
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
};

/* Whether the wishes can be met on that network at all; warns of what will be discarded, as docker does. */
int ports_check(const struct engine *engine, struct container_config *config, struct err *e);

/* Whether it publishes any. */
static inline bool ports_wanted(const struct container_config *config)
{
	return config->publish.count || (config->publish_all && config->expose.count);
}

/* Chooses the host's ports and takes them: ERR_CONFLICT says who has one. */
int ports_hold(
	struct engine *engine, const struct container_config *config, struct ports *out, struct err *e);
void ports_let_go(struct ports *ports);
/* What is held, into the kernel. */
int ports_publish(struct engine *engine, const struct container *container,
	const struct net_attachment *network, const struct ports *ports, struct err *e);

/* A port of a container as lists show it. */
struct ports_row {
	struct net_port port; /* host_port 0: exposed, and not published */
	char ip[16];          /* "" for those */
};
/* A running container's, by port; config (may be NULL) tells the exposed ones. */
int ports_of(struct engine *engine, const struct container *container, const struct container_config *config,
	struct ports_row **out, size_t *count, struct err *e);
/* "0.0.0.0:8080->80/tcp, 90/udp", as docker's ps puts it. */
const char *ports_text(struct arena *arena, const struct ports_row *rows, size_t count);

#endif
