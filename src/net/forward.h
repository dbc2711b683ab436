/*
 * forward.h - ports of IPv6 addresses, for a container that has an IPv4 one.
 *
 * The kernel translates no address of one family into the other's, so whoever holds the
 * socket of such a port hands on what comes by it: TCP connections byte by byte with their
 * ends as they were, and datagrams, whose answers find back to who asked. The container sees the
 * bridge's address as the client's.
 */
#ifndef NET_FORWARD_H
#define NET_FORWARD_H

#include <netinet/in.h>
#include <stdint.h>

struct forwarder;

/* The caller's to close. 0 or -errno. */
int forwarder_open(struct forwarder **out);
/* Hands on what comes by a socket, a listening one of TCP or a bound one of UDP, to target. The
 * socket stays the caller's, and is made non-blocking. 0 or -errno. */
int forwarder_add(
	struct forwarder *forwarder, int socket, uint8_t protocol, const struct sockaddr_in *target);
/* Readable when there is something to do for forwarder_serve; the forwarder's. */
int forwarder_fd(const struct forwarder *forwarder);
/* Does what can be done without waiting. */
void forwarder_serve(struct forwarder *forwarder);
/* Cuts every connection. Takes NULL. */
void forwarder_close(struct forwarder *forwarder);

#endif
