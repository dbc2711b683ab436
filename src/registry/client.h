/*
 * client.h - brig's end of the socket to brig-net: start it, ask, and believe nothing.
 *
 * The one thing to know: what comes back through here is well-formed (lengths, texts,
 * known kinds), and still only a claim. protocol.h says who checks what.
 */
#ifndef REGISTRY_CLIENT_H
#define REGISTRY_CLIENT_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "registry/protocol.h"

struct net_client {
	int socket; /* poll it for reading; -1 where the client was not started */
	int pidfd;
	pid_t pid;
	uint32_t last_id;
};

/* A client that was not started, which net_client_stop takes too. */
#define NET_CLIENT_NONE ((struct net_client){.socket = -1, .pidfd = -1})

/* The path of brig-net; false where there is no such program. */
bool net_client_locate(char *path, size_t size);

/* Starts brig-net: the one beside this program, else the one in libexec. */
int net_client_start(struct net_client *client, struct err *e);
/* Ends it, whatever it is doing. */
void net_client_stop(struct net_client *client);

/* setup's header and version are filled in here. certificates has a file in PEM, or -1, for each
 * endpoint; NULL is none at all. */
int net_client_setup(
	struct net_client *client, struct net_setup *setup, const int *certificates, struct err *e);

/* Each sends one request and returns its id (> 0). Descriptors stay the caller's, who closes
 * its own end of a pipe afterwards. */
int net_client_get_manifest(
	struct net_client *client, const char *repository, const char *reference, int file, struct err *e);
/* tar is a pipe for what lies in the blob, or -1. */
int net_client_get_blob(struct net_client *client, const char *repository, const char *digest, int64_t size,
	int file, int tar, struct err *e);
/* Whether the registry lets the user of the setup in. */
int net_client_login(struct net_client *client, struct err *e);
int net_client_inflate(struct net_client *client, int in, int tar, struct err *e);

struct net_event {
	enum net_type type; /* NET_PROGRESS, NET_DONE, NET_FAILED */
	uint32_t id;        /* 0 with NET_FAILED: setup failed, nothing else will come */
	struct net_progress progress;
	struct net_done done;
	struct err failure; /* texts cleaned */
	unsigned status;    /* of the HTTP answer behind a failure, or 0 */
};

/* Waits for the next answer, through signals: who wants to hear those polls the socket.
 * Fails where the helper ended or does not keep to the protocol. */
int net_client_receive(struct net_client *client, struct net_event *event, struct err *e);

#endif
