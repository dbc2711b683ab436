/*
 * session.h - one registry: its endpoints and what lets us in there.
 *
 * All workers share one session. Tokens are kept for each endpoint and repository; while
 * one worker asks for a token, the others wait for it rather than ask too.
 */
#ifndef REGISTRY_SESSION_H
#define REGISTRY_SESSION_H

#include "base/arena.h"
#include "base/err.h"
#include "registry/http.h"
#include "registry/protocol.h"

struct session {
	struct net_setup setup; /* each base is an origin here, without a path */
	struct arena arena;
	struct http_settings http;
	struct endpoint *endpoints; /* setup.count of them */
};

/* ca has a PEM, or NULL, for each endpoint; they must outlive the session. ERR_INVALID for a
 * setup that is malformed. */
struct session *session_new(const struct net_setup *setup, char *const ca[NET_ENDPOINTS], struct err *e);

/* A GET of /v2/[PREFIX/]REPOSITORY/PATH, or of /v2/ where both are "", at endpoint number index, a token
 * fetched where one is asked for. `request` gives all but url and authorization. As http_get, but a token
 * that cannot be had is HTTP_REFUSED, HTTP_UNREACHABLE or HTTP_CUT too, with e about the token server. */
enum http_outcome session_get(struct session *session, unsigned index, struct http *http,
	const char *repository, const char *path, struct http_request *request, struct http_answer *answer,
	struct err *e);

/* An endpoint that nothing was had from is marked, and not asked again. */
void session_mark_dead(struct session *session, unsigned index);
bool session_is_dead(struct session *session, unsigned index);
/* Whether an answer ever came from there. */
void session_mark_alive(struct session *session, unsigned index);
bool session_is_alive(struct session *session, unsigned index);

#endif
