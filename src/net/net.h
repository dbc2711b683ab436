/*
 * net.h - a container's network.
 *
 * The engine asks which kind a network is, makes the container's process (with a network
 * namespace of its own or not, as the kind says), and then, while that process waits,
 * has net_attach bring up what is inside. When the container has ended, net_detach gives
 * its address back; the interfaces went with the namespace. All state lies in the run
 * root, a folder for each network namespace of the host.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum net_kind {
	NET_BRIDGE = 0, /* an interface on brig's bridge */
	NET_NONE,       /* a namespace with nothing but the loopback interface */
	NET_HOST,       /* the host's own namespace */
};

/* What the user's word for a network means: "bridge", "default", "" and NULL, "none",
 * "host". Another one is ERR_NOT_FOUND. Asks the kernel nothing. */
int net_kind_of(const char *network, enum net_kind *out, struct err *e);

struct net_sysctl {
	const char *key; /* as the user writes it: net.ipv4.ip_forward */
	const char *value;
};

struct net_request {
	int run_root;          /* a folder */
	const char *network;   /* as for net_kind_of */
	const char *id;        /* the container's, 64 hexadecimal digits */
	int pidfd;             /* a process in the new namespace, or */
	int netns;             /* the namespace itself, where this is above 0 */
	const char *interface; /* its name inside; NULL is eth0 */
	uint32_t address;      /* wanted, host byte order; 0: any */
	/* Whether to let everybody in there ping and bind low ports, as docker does. */
	bool usual_sysctls;
	const struct net_sysctl *sysctls;
	size_t sysctl_count;
};

/* What a container got; plain data. Texts are "" where there is none. */
struct net_attachment {
	enum net_kind kind;
	char network[64];   /* "bridge", … */
	char interface[16]; /* inside */
	char host_interface[16];
	char bridge[16];
	char address[16];
	char gateway[16];
	char mac[18];
	unsigned prefix;
	char note[512]; /* what was changed on the host, for stderr: lines, each ended by \n */
};

/* Sets the namespace up. Needs a network namespace of the caller's own user namespace, or
 * rights over it. ERR_UNSUPPORTED for a bridge without the right to make one. */
int net_attach(const struct net_request *request, struct net_attachment *out, struct err *e);

/* Makes the host's part of a network (its bridge, forwarding, the firewall's) before there is a
 * container. Appends what was changed to note, in lines. */
int net_set_up(int run_root, const char *network, struct buf *note, struct err *e);

/* How a host's network stands, with a look at one bridge; changes nothing. */
struct net_look {
	bool nf_tables;     /* the kernel has them, and we may ask */
	bool forwarding;    /* IPv4's */
	bool forward_drops; /* somebody's firewall drops what it is not told to forward: */
	char droppers[160]; /* these chains */
	bool translates;    /* and somebody other than brig changes addresses on the way out */
	struct {
		bool exists, is_bridge, up;
		bool ours;        /* brig made it */
		char address[16]; /* "" none */
		unsigned prefix;
	} bridge;
};
int net_look(const char *bridge, struct net_look *out, struct err *e);

struct net_release {
	int run_root;
	const char *network;
	const char *id;
	const char *address; /* as net_attach gave it */
	bool publishes;      /* ports too */
};

/* Gives back what the container held. What is not held (any more) is no error. */
int net_detach(const struct net_release *release, struct err *e);

typedef bool net_dead_fn(void *context, const char *id);
/* Gives back the addresses of those containers of this run root of which dead says true.
 * Returns how many. */
int net_sweep(int run_root, net_dead_fn *dead, void *context, struct err *e);

/* A port of a container, published on a port of the host. */
struct net_port {
	uint32_t host;     /* IPv4, host byte order; 0: every address of the host */
	bool six;          /* on an IPv6 address instead, which the kernel does not lead to the container */
	uint8_t host6[16]; /* that one; zeroes: every one */
	uint16_t host_port;
	uint16_t container_port;
	uint8_t protocol; /* IPPROTO_TCP, … */
};

/* Whether two of them cannot both be published. */
bool net_ports_clash(const struct net_port *one, const struct net_port *other);

struct net_publish {
	int run_root;
	const char *network;
	const char *id;
	const char *address; /* as net_attach gave it */
	const struct net_port *ports;
	size_t count;
};

/* Publishes ports of an attached container, all of them or none; net_detach takes them back. Those of
 * IPv6 addresses are only recorded: the caller hands on what comes by them (net/forward.h).
 * ERR_CONFLICT where one is published already: clash (of 65 bytes) is then the id of the container of
 * this run root that has it, or "". ERR_UNSUPPORTED where that kind of network has no ports. */
int net_publish(const struct net_publish *publish, char clash[65], struct err *e);

/* Whether that kind of network can publish ports at all. */
bool net_publishes(const char *network);

typedef void net_port_fn(void *context, const char *id, const struct net_port *port);
/* Every published port of this run root, in the order in which they were given. */
int net_each_port(int run_root, net_port_fn *take, void *context, struct err *e);

/* Looks at everything of brig's on this host, the firewall and the published ports, and puts back what is
 * missing. note gets what was done, a line each. */
int net_reload(int run_root, struct buf *note, struct err *e);

struct net_holder {
	int pid; /* 0: nobody was found */
	char name[64];
};
/* Who holds a port of this host: the first process of /proc with a socket bound to it. */
void net_find_holder(const struct net_port *port, struct net_holder *out);

/* The files that docker writes for a container, as text appended to out. */
struct net_files {
	enum net_kind kind;
	const char *hostname;
	const char *domainname;       /* or NULL */
	const char *address;          /* or "" */
	const char *const *add_hosts; /* "name:address", NULL at the end; may be NULL */
	const char *const *dns;       /* the user's own choice; each may be NULL */
	const char *const *dns_search;
	const char *const *dns_options;
};

/* An add_hosts entry without an address is ERR_INVALID. "host-gateway" stands for gateway. */
int net_render_hosts(const struct net_files *files, const char *gateway, struct buf *out, struct err *e);
void net_render_hostname(const struct net_files *files, struct buf *out);
/* From the host's resolv.conf, read anew. */
void net_render_resolv(const struct net_files *files, struct buf *out);
/* The pure part: from that text. */
void net_render_resolv_from(const struct net_files *files, const char *text, struct buf *out);

#endif
