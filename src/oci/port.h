/*
 * port.h - docker's grammar of published and exposed ports.
 *
 *	[[IP:][HOST[-LAST]]:]CONTAINER[-LAST][/tcp|udp|sctp]
 *
 * A wish with ranges becomes one row for each port of the container. Pure: no port is
 * taken here.
 */
#ifndef OCI_PORT_H
#define OCI_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct port_spec {
	char ip[46];         /* as inet_ntop writes it, "" where none was given */
	uint16_t host_first; /* 0: any free one */
	uint16_t host_last;  /* above host_first: the first free one of these */
	uint16_t container;
	uint8_t protocol; /* IPPROTO_TCP, _UDP, _SCTP */
};

/* The value of -p. The rows are the arena's; ERR_INVALID in docker's words. */
int port_parse_publish(
	struct arena *arena, const char *text, struct port_spec **out, size_t *count, struct err *e);
/* The value of --expose, a row of EXPOSE, or what `port` is asked for: 80, 80-90/udp. */
int port_parse_expose(
	struct arena *arena, const char *text, struct port_spec **out, size_t *count, struct err *e);

/* The row in the grammar above, such that parsing it gives it again. */
const char *port_format(struct arena *arena, const struct port_spec *spec);
/* "tcp" */
const char *port_protocol(uint8_t protocol);

#endif
