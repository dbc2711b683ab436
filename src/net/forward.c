/*
 * forward.c - handing on connections and datagrams between two families of addresses.
 *
 * Theory of operation. One epoll descriptor, level-triggered, over all sockets; whoever owns the forwarder
 * polls that one. A socket is in it only while something is wanted of it, so that a
 * hung-up end whose bytes wait for the other does not spin. A connection keeps memory of its own only for
 * bytes that its receiver has not taken, and reads no more from the sender until then. What dies while a
 * batch of events is worked through is freed after it, as later events of the batch may point to it.
 */
#include "net/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/time.h"

/* DATAGRAMS: taken from one socket before the others have their turn. SESSION_IDLE: seconds, docker-proxy's.
 */
enum { EVENTS = 32, CHUNK = 64 * 1024, DATAGRAMS = 32, SESSIONS = 512, SESSION_IDLE = 90 };

enum kind { LISTENER, END, RELAY, SESSION };

/* What an event points to: the first member of each of the structs below. */
struct source {
	enum kind kind;
	int fd;
	uint32_t wanted; /* as epoll knows it; 0: not in it */
};

/* A published port. */
struct port {
	struct source source; /* LISTENER or RELAY */
	struct sockaddr_in target;
	struct session *sessions; /* of a RELAY */
	size_t sessions_count;
	struct port *next;
};

/* One side of a connection: the client's, or the container's. */
struct end {
	struct source source;
	struct flow *flow;
	char *pending; /* not yet written to this side */
	size_t at, length;
	bool eof; /* this side sends no more */
};

struct flow {
	struct end ends[2]; /* the client, the container */
	bool connected, dead;
	struct flow *next;
};

/* Datagrams of one client: a socket of its own tells the container's answers apart. */
struct session {
	struct source source;
	struct port *port;
	struct sockaddr_in6 client;
	struct in6_pktinfo local; /* the host's address that the client knows */
	int64_t last;             /* as time_since_boot() */
	bool dead;
	struct session *next;
};

struct forwarder {
	int epoll;
	struct port *ports;
	struct flow *flows;
	int spare; /* given up for a moment where no descriptor is left: see refuse() */
	bool any_dead;
};

static int want(const struct forwarder *forwarder, struct source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	int operation = !events ? EPOLL_CTL_DEL : source->wanted ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (events == source->wanted)
		return 0;
	if (epoll_ctl(forwarder->epoll, operation, source->fd, &event) < 0)
		return -errno;
	source->wanted = events;
	return 0;
}

/* Connections. */

static void kill_flow(struct forwarder *forwarder, struct flow *flow)
{
	flow->dead = forwarder->any_dead = true;
}

/* Both sides are told at once, and not that all has come to its end. */
static void reset_flow(struct forwarder *forwarder, struct flow *flow)
{
	struct linger now = {.l_onoff = 1};

	for (int i = 0; i < 2; i++)
		setsockopt(flow->ends[i].source.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	kill_flow(forwarder, flow);
}

static void free_flow(struct flow *flow)
{
	for (int i = 0; i < 2; i++) {
		close_fd(&flow->ends[i].source.fd);
		free(flow->ends[i].pending);
	}
	free(flow);
}

static struct end *other(struct end *end)
{
	return &end->flow->ends[end == &end->flow->ends[0]];
}

/* Tells epoll what is of interest now, and ends what has come to its end. */
static void update(struct forwarder *forwarder, struct flow *flow)
{
	struct end *client = &flow->ends[0], *container = &flow->ends[1];

	if (flow->dead)
		return;
	if (client->eof && container->eof && !client->length && !container->length) {
		kill_flow(forwarder, flow);
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct end *end = &flow->ends[i];
		uint32_t events = 0;
		if (flow->connected && !end->eof && !other(end)->length)
			events |= EPOLLIN;
		if (end->length || (!flow->connected && end == container))
			events |= EPOLLOUT;
		if (want(forwarder, &end->source, events) < 0)
			kill_flow(forwarder, flow);
	}
}

/* What is left of the bytes is kept. False where that side takes no more. */
static bool give(struct end *to, const char *bytes, size_t length)
{
	ssize_t n = send(to->source.fd, bytes, length, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	size_t done = n < 0 ? 0 : (size_t)n;
	if (done == length)
		return true;
	to->pending = malloc(length - done);
	if (!to->pending)
		return false;
	memcpy(to->pending, bytes + done, length - done);
	to->at = 0;
	to->length = length - done;
	return true;
}

/* Not inlined: its chunk must not be in the frame of who waits. */
__attribute__((noinline)) static bool carry(struct end *from)
{
	char chunk[CHUNK] not_zeroed;
	struct end *to = other(from);
	ssize_t n = recv(from->source.fd, chunk, sizeof chunk, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n > 0)
		return give(to, chunk, (size_t)n);
	from->eof = true;
	shutdown(to->source.fd, SHUT_WR);
	return true;
}

static bool flush(struct end *to)
{
	ssize_t n = send(to->source.fd, to->pending + to->at, to->length, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	to->at += (size_t)n;
	to->length -= (size_t)n;
	if (!to->length) {
		free(to->pending);
		to->pending = NULL;
	}
	return true;
}

static void serve_end(struct forwarder *forwarder, struct end *end, uint32_t events)
{
	struct flow *flow = end->flow;

	if (flow->dead)
		return;
	if (!flow->connected) {
		int why = 0;
		socklen_t size = sizeof why;
		if (getsockopt(end->source.fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0 || why) {
			reset_flow(forwarder, flow);
			return;
		}
		flow->connected = true;
	} else if ((end->length && !flush(end)) || (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !end->eof &&
							   !other(end)->length && !carry(end))) {
		reset_flow(forwarder, flow);
		return;
	}
	update(forwarder, flow);
}

/* One that cannot be served is let in to be sent away: where it waited, epoll would tell of it for ever. */
static void refuse(struct forwarder *forwarder, struct port *port)
{
	close_fd(&forwarder->spare);
	auto_close int client = accept4(port->source.fd, NULL, NULL, SOCK_CLOEXEC);
	close_fd(&client);
	forwarder->spare = fcntl(forwarder->epoll, F_DUPFD_CLOEXEC, 3);
}

static void welcome(struct forwarder *forwarder, struct port *port)
{
	static const int on = 1;
	auto_close int client = accept4(port->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client < 0 && (errno == EMFILE || errno == ENFILE))
		refuse(forwarder, port);
	if (client < 0)
		return;
	auto_close int container = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (container < 0)
		return;
	struct flow *flow = calloc(1, sizeof *flow);
	if (!flow)
		return;
	flow->ends[0] = (struct end){.source = {.kind = END, .fd = steal_fd(&client)}, .flow = flow};
	flow->ends[1] = (struct end){.source = {.kind = END, .fd = steal_fd(&container)}, .flow = flow};
	flow->next = forwarder->flows;
	forwarder->flows = flow;
	for (int i = 0; i < 2; i++) {
		setsockopt(flow->ends[i].source.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
		setsockopt(flow->ends[i].source.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
	if (connect(flow->ends[1].source.fd, (const struct sockaddr *)&port->target, sizeof port->target) <
			0 &&
		errno != EINPROGRESS)
		reset_flow(forwarder, flow);
	update(forwarder, flow);
}

/* Datagrams. */

static void kill_session(struct forwarder *forwarder, struct session *session)
{
	session->dead = forwarder->any_dead = true;
}

/* Room for one more: the idle go, and where none is, the one that was quiet the longest. */
static void make_room(struct forwarder *forwarder, struct port *port, bool need)
{
	int64_t now = time_since_boot();
	struct session *oldest = NULL;
	bool gone = false;

	for (struct session *session = port->sessions; session; session = session->next) {
		if (session->dead)
			continue;
		if (now - session->last > SESSION_IDLE * INT64_C(1000000000)) {
			kill_session(forwarder, session);
			gone = true;
		}
		if (!oldest || session->last < oldest->last)
			oldest = session;
	}
	if (need && !gone && oldest)
		kill_session(forwarder, oldest);
}

static void free_sessions(struct port *port, bool all)
{
	for (struct session **at = &port->sessions; *at;) {
		struct session *session = *at;
		if (!all && !session->dead) {
			at = &session->next;
			continue;
		}
		*at = session->next;
		close_fd(&session->source.fd);
		free(session);
		port->sessions_count--;
	}
}

static bool same_client(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
	       IN6_ARE_ADDR_EQUAL(&a->sin6_addr, &b->sin6_addr);
}

static struct session *session_of(
	struct forwarder *forwarder, struct port *port, const struct sockaddr_in6 *client)
{
	for (struct session *session = port->sessions; session; session = session->next)
		if (!session->dead && same_client(&session->client, client))
			return session;
	make_room(forwarder, port, port->sessions_count >= SESSIONS);
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		/* Its client sends again, as it must with datagrams. */
		make_room(forwarder, port, errno == EMFILE || errno == ENFILE);
		return NULL;
	}
	struct session *session = calloc(1, sizeof *session);
	if (!session)
		return NULL;
	*session = (struct session){.source = {.kind = SESSION, .fd = fd},
		.port = port,
		.client = *client,
		.next = port->sessions};
	if (connect(fd, (const struct sockaddr *)&port->target, sizeof port->target) < 0 ||
		want(forwarder, &session->source, EPOLLIN) < 0) {
		free(session);
		return NULL;
	}
	steal_fd(&fd);
	port->sessions = session;
	port->sessions_count++;
	return session;
}

static void take_local(struct msghdr *message, struct in6_pktinfo *local)
{
	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at))
		if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO)
			memcpy(local, CMSG_DATA(at), sizeof *local);
	/* The way back is the routing's choice, or the one that a client's own address names. */
	local->ipi6_ifindex = 0;
}

union control {
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct cmsghdr aligned;
};

/* From clients to the container. */
__attribute__((noinline)) static void serve_relay(struct forwarder *forwarder, struct port *port)
{
	char chunk[CHUNK] not_zeroed;

	for (int i = 0; i < DATAGRAMS; i++) {
		struct sockaddr_in6 client = {0};
		union control control = {0};
		struct iovec bytes = {.iov_base = chunk, .iov_len = sizeof chunk};
		struct msghdr message = {.msg_name = &client,
			.msg_namelen = sizeof client,
			.msg_iov = &bytes,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof control.bytes};
		ssize_t n = recvmsg(port->source.fd, &message, MSG_CMSG_CLOEXEC);
		if (n < 0)
			return;
		struct session *session = session_of(forwarder, port, &client);
		if (!session)
			continue;
		take_local(&message, &session->local);
		session->last = time_since_boot();
		/* Refused: that is for an earlier one; this one is on its way. */
		if (send(session->source.fd, chunk, (size_t)n, 0) < 0 && errno == ECONNREFUSED)
			send(session->source.fd, chunk, (size_t)n, 0);
	}
}

/* And back. */
__attribute__((noinline)) static void serve_session(struct session *session)
{
	char chunk[CHUNK] not_zeroed;

	for (int i = 0; i < DATAGRAMS && !session->dead; i++) {
		ssize_t n = recv(session->source.fd, chunk, sizeof chunk, 0);
		if (n < 0)
			return;
		union control control = {0};
		struct iovec bytes = {.iov_base = chunk, .iov_len = (size_t)n};
		struct msghdr message = {.msg_name = &session->client,
			.msg_namelen = sizeof session->client,
			.msg_iov = &bytes,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof control.bytes};
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		*head = (struct cmsghdr){.cmsg_level = IPPROTO_IPV6,
			.cmsg_type = IPV6_PKTINFO,
			.cmsg_len = CMSG_LEN(sizeof session->local)};
		memcpy(CMSG_DATA(head), &session->local, sizeof session->local);
		session->last = time_since_boot();
		sendmsg(session->port->source.fd, &message, 0);
	}
}

/* All of it. */

static void free_dead(struct forwarder *forwarder)
{
	for (struct flow **at = &forwarder->flows; *at;) {
		struct flow *flow = *at;
		if (!flow->dead) {
			at = &flow->next;
			continue;
		}
		*at = flow->next;
		free_flow(flow);
	}
	for (struct port *port = forwarder->ports; port; port = port->next)
		free_sessions(port, false);
	forwarder->any_dead = false;
}

int forwarder_open(struct forwarder **out)
{
	struct forwarder *forwarder = calloc(1, sizeof *forwarder);

	if (!forwarder)
		return -ENOMEM;
	forwarder->epoll = epoll_create1(EPOLL_CLOEXEC);
	forwarder->spare = forwarder->epoll < 0 ? -1 : fcntl(forwarder->epoll, F_DUPFD_CLOEXEC, 3);
	if (forwarder->spare < 0) {
		int result = -errno;
		forwarder_close(forwarder);
		return result;
	}
	*out = forwarder;
	return 0;
}

int forwarder_add(struct forwarder *forwarder, int socket, uint8_t protocol, const struct sockaddr_in *target)
{
	static const int on = 1;
	bool tcp = protocol == IPPROTO_TCP;

	if (fcntl(socket, F_SETFL, O_NONBLOCK) < 0 ||
		(!tcp && setsockopt(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) < 0))
		return -errno;
	struct port *port = calloc(1, sizeof *port);
	if (!port)
		return -ENOMEM;
	*port = (struct port){.source = {.kind = tcp ? LISTENER : RELAY, .fd = socket},
		.target = *target,
		.next = forwarder->ports};
	int result = want(forwarder, &port->source, EPOLLIN);
	if (result < 0)
		free(port);
	else
		forwarder->ports = port;
	return result;
}

int forwarder_fd(const struct forwarder *forwarder)
{
	return forwarder->epoll;
}

void forwarder_serve(struct forwarder *forwarder)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(forwarder->epoll, events, EVENTS, 0);

	for (int i = 0; i < count; i++) {
		struct source *source = events[i].data.ptr;
		switch (source->kind) {
		case LISTENER:
			welcome(forwarder, (struct port *)source);
			break;
		case END:
			serve_end(forwarder, (struct end *)source, events[i].events);
			break;
		case RELAY:
			serve_relay(forwarder, (struct port *)source);
			break;
		case SESSION:
			serve_session((struct session *)source);
			break;
		}
	}
	if (forwarder->any_dead)
		free_dead(forwarder);
}

void forwarder_close(struct forwarder *forwarder)
{
	if (!forwarder)
		return;
	for (struct flow *flow = forwarder->flows, *next; flow; flow = next) {
		next = flow->next;
		free_flow(flow);
	}
	for (struct port *port = forwarder->ports, *next; port; port = next) {
		next = port->next;
		free_sessions(port, true);
		free(port);
	}
	close_fd(&forwarder->spare);
	close_fd(&forwarder->epoll);
	free(forwarder);
}
