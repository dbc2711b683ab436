/*
 * protocol.h - what brig and its helper brig-net say to each other.
 *
 * THEORY OF OPERATION
 *
 * brig-net holds what is big and what meets strangers: libcurl, OpenSSL, ISA-L, zstd.
 * brig starts it with a cleaned environment, no_new_privs and one socket, descriptor
 * NET_FD, of type SOCK_SEQPACKET: a message is one packet, and what packets carry are the
 * fixed structs below, both ends having been built together. Every packet opens with
 * struct net_header; its length is exactly the struct's; every text ends with a NUL inside
 * its array. The helper knows no store: it gets descriptors, and puts bytes there.
 *
 *	brig                                     brig-net
 *	NET_SETUP (+ certificates)     ------->  confines itself; answers nothing
 *	NET_GET_MANIFEST id (+ body)   ------->
 *	                               <-------  NET_DONE id | NET_FAILED id
 *	NET_LOGIN id                   ------->  whether the setup's user is let in
 *	NET_GET_BLOB id (+ file, tar)  ------->  (as many as brig likes; `parallel` at a time)
 *	                               <-------  NET_PROGRESS id, now and then
 *	                               <-------  NET_DONE id | NET_FAILED id, in any order
 *	NET_INFLATE id (+ in, tar)     ------->  the same; needs no NET_SETUP
 *	closes the socket              ------->  exits, whatever it was doing
 *
 * Trust. brig believes nothing that comes back: it computes the digest of a manifest and
 * of a config from the bytes it got, and the store's unpacker computes the diff_id of what
 * came through the tar pipe. The helper checks the digest of the compressed bytes as they
 * stream (so that a bad registry is caught early and named), and whoever reads a kept blob
 * again checks it again. What a captured helper can do is to lie, which is found out, and
 * to fail; texts from it are cleaned before they are shown.
 *
 * Descriptors. They are sent with the request, in the order named at its struct; the
 * helper closes its copies before NET_DONE or NET_FAILED is sent, so that the reader of a
 * tar pipe sees its end: an end alone means nothing, only NET_DONE makes the bytes whole.
 * The file is written from its beginning; the helper writes no more than `size` bytes to it.
 *
 * Limits. At most NET_JOBS_MAX requests in flight; a further one is NET_FAILED. PROGRESS
 * is dropped where the socket is full; DONE and FAILED wait.
 */
#ifndef REGISTRY_PROTOCOL_H
#define REGISTRY_PROTOCOL_H

#include <stdint.h>

enum {
	NET_FD = 3,          /* the socket, in the helper */
	NET_VERSION = 1,     /* in NET_SETUP and NET_INFLATE; another one is refused */
	NET_ENDPOINTS = 8,   /* a registry's mirrors and itself */
	NET_JOBS_MAX = 1024, /* requests in flight */
	NET_PARALLEL = 4,    /* downloads at a time where SETUP says 0 */
	NET_PARALLEL_MAX = 16,
	NET_MANIFEST_MAX = 4 << 20, /* bytes of a manifest or index */
};

enum net_type {
	NET_SETUP = 1,
	NET_GET_MANIFEST,
	NET_GET_BLOB,
	NET_INFLATE,
	NET_LOGIN,
	NET_PROGRESS = 16,
	NET_DONE,
	NET_FAILED,
};

struct net_header {
	uint32_t type; /* enum net_type */
	uint32_t id;   /* brig's choice for a request; its answers carry it. 0 in NET_SETUP */
};

enum net_endpoint_flags {
	NET_ENDPOINT_UNVERIFIED = 1, /* https without a look at the certificate (insecure registries) */
	NET_ENDPOINT_MIRROR = 2,     /* whatever goes wrong here, the next endpoint is tried */
	/* The next endpoint is the same registry by another scheme: it is tried only where
	 * nothing at all that speaks this scheme was found here. */
	NET_ENDPOINT_OR_NEXT = 4,
	NET_ENDPOINT_CA = 8, /* a descriptor with certificates in PEM to trust there, besides the system's */
};

struct net_endpoint {
	uint32_t flags;
	uint32_t reserved;
	/* "https://registry-1.docker.io", "http://localhost:5000/prefix": requests go to
	 * /v2/[PREFIX/]REPOSITORY/... there. */
	char base[512];
	/* "" is anonymous. Sent to this origin only, and to a token server that it may name. */
	char user[256];
	char secret[4096]; /* the password or token that goes with user */
};

/* As many descriptors as endpoints have NET_ENDPOINT_CA, in their order. */
struct net_setup {
	struct net_header header;
	uint32_t version;  /* NET_VERSION */
	uint32_t count;    /* of endpoints, at least 1; tried in order */
	uint32_t parallel; /* downloads at a time; 0: NET_PARALLEL */
	uint32_t reserved;
	char registry[256]; /* what the user calls it, for messages: "localhost:5000", "docker.io" */
	char user_agent[128];
	struct net_endpoint endpoints[NET_ENDPOINTS];
};

/* No descriptor. */
struct net_login {
	struct net_header header;
};

/* One descriptor: a file for the body, at most NET_MANIFEST_MAX bytes. */
struct net_get_manifest {
	struct net_header header;
	char repository[256]; /* "library/debian" */
	char reference[160];  /* a tag or a digest */
};

/* The file for the bytes as they come, then the pipe for the tar within them. */
struct net_get_blob {
	struct net_header header;
	char repository[256];
	char digest[160];
	int64_t size;      /* bytes, exactly */
	uint32_t with_tar; /* 1: the pipe is there: the bytes are inflated into it */
	uint32_t reserved;
};

/* A file or pipe of compressed or plain bytes, then the pipe for the tar within them. */
struct net_inflate {
	struct net_header header;
	uint32_t version;
	uint32_t reserved;
};

enum net_state {
	NET_STATE_RUNNING = 1,
	NET_STATE_WAITING, /* a retry comes in `seconds` */
};

struct net_progress {
	struct net_header header;
	uint32_t state; /* enum net_state */
	uint32_t seconds;
	int64_t done;     /* bytes of the blob that have come */
	int64_t inflated; /* bytes written into the tar pipe */
};

struct net_done {
	struct net_header header;
	int64_t size;         /* bytes of the body */
	int64_t inflated;     /* bytes written into the tar pipe */
	char media_type[128]; /* a manifest's Content-Type without parameters; "" where none was sent */
	char digest[160];     /* a manifest's Docker-Content-Digest; "" where none was sent */
};

struct net_failed {
	struct net_header header;
	uint32_t kind;   /* enum err_kind */
	uint32_t status; /* of the HTTP answer, or 0 */
	char what[768];
	char hint[384];
};

/* True where a text's array holds its NUL. */
#define NET_TEXT_OK(array) (__builtin_memchr((array), '\0', sizeof(array)) != NULL)

#endif
