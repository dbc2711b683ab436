/* session.c - one registry: its endpoints and what lets us in there. */
#include "registry/session.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "registry/answer.h"
#include "registry/url.h"

enum { TOKEN_ANSWER_MAX = 64 << 10 };

struct token {
	struct token *next;
	char *repository;
	char *authorization; /* "Bearer ..." */
};

struct endpoint {
	const char *ca;       /* PEM, or NULL */
	const char *prefix;   /* of repositories: "" or "prefix/" */
	pthread_mutex_t lock; /* of what follows, held while a token is fetched */
	struct token *tokens;
	atomic_bool dead, alive;
};

static bool is_text(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

struct session *session_new(const struct net_setup *setup, char *const ca[NET_ENDPOINTS], struct err *e)
{
	if (setup->count < 1 || setup->count > NET_ENDPOINTS || setup->parallel > NET_PARALLEL_MAX ||
		!NET_TEXT_OK(setup->registry) || !NET_TEXT_OK(setup->user_agent) ||
		!is_text(setup->user_agent)) {
		err_set(e, ERR_INVALID, 0, "malformed setup");
		return NULL;
	}
	for (unsigned i = 0; i < setup->count; i++) {
		const struct net_endpoint *p = &setup->endpoints[i];
		struct url url;
		if (!NET_TEXT_OK(p->base) || !NET_TEXT_OK(p->user) || !NET_TEXT_OK(p->secret) ||
			url_parse(p->base, &url) < 0 || strchr(p->base, '?')) {
			err_set(e, ERR_INVALID, 0, "malformed endpoint");
			return NULL;
		}
	}
	struct session *session = calloc(1, sizeof *session);
	if (!session || !(session->endpoints = calloc(setup->count, sizeof *session->endpoints)))
		abort();
	session->setup = *setup;
	for (unsigned i = 0; i < setup->count; i++) {
		struct endpoint *p = &session->endpoints[i];
		struct url url;
		pthread_mutex_init(&p->lock, NULL);
		p->ca = ca[i];
		/* "https://host/prefix/" is the origin "https://host" and "prefix/". */
		char *base = session->setup.endpoints[i].base;
		url_parse(base, &url);
		p->prefix = "";
		if (url.path[0]) {
			char *path = base + (url.path - base);
			size_t length = strlen(path);
			while (length && path[length - 1] == '/')
				path[--length] = '\0';
			if (length) {
				p->prefix = arena_printf(&session->arena, "%s/", path + 1);
				*path = '\0';
			}
		}
	}
	session->http = (struct http_settings){
		.user_agent = session->setup.user_agent,
		.folder = http_system_folder(),
		.shared = http_shared_new(),
	};
	return session;
}

void session_mark_dead(struct session *session, unsigned index)
{
	session->endpoints[index].dead = true;
}

bool session_is_dead(struct session *session, unsigned index)
{
	return session->endpoints[index].dead;
}

void session_mark_alive(struct session *session, unsigned index)
{
	session->endpoints[index].alive = true;
}

bool session_is_alive(struct session *session, unsigned index)
{
	return session->endpoints[index].alive;
}

/* "Basic ..." in out, for the endpoint's user. */
static void make_basic(const struct net_endpoint *endpoint, struct buf *out)
{
	struct buf pair = {0};
	buf_printf(&pair, "%s:%s", endpoint->user, endpoint->secret);
	buf_string(out, "Basic ");
	base64_encode(out, pair.data, pair.length);
	explicit_bzero(pair.data, pair.length);
	buf_free(&pair);
}

static void add_query(struct buf *url, const char *name, const char *value)
{
	buf_printf(url, "%c%s=", strchr(url->data, '?') ? '&' : '?', name);
	for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || strchr("-._~:/,", *p);
		if (plain)
			buf_append(url, p, 1);
		else
			buf_printf(url, "%%%02X", *p);
	}
}

static int take_token(
	void *context, const struct http_answer *answer, const char *bytes, size_t size, struct err *e)
{
	struct buf *body = context;
	if (body->length + size > TOKEN_ANSWER_MAX)
		return err_set(e, ERR_INVALID, 0, "the token server's answer is larger than 64 KiB");
	buf_append(body, bytes, size);
	return 0;
}

/* Asks the token server of a Bearer challenge; *authorization is the caller's to free. */
static enum http_outcome fetch_token(struct session *session, unsigned index, struct http *http,
	const struct challenge *challenge, const char *repository, char **authorization, struct err *e)
{
	const struct net_endpoint *endpoint = &session->setup.endpoints[index];
	auto_arena struct arena arena = {0};
	auto_buf struct buf url = {0}, body = {0}, basic = {0};
	struct url home, realm;
	const char *why;
	char host[300], scope[512], quote[512];
	struct err cause = {0};

	url_parse(endpoint->base, &home);
	if (url_parse(challenge->realm, &realm) < 0 || strlen(challenge->realm) == 0) {
		err_set(e, ERR_INVALID, 0, "the registry names a malformed token server");
		return HTTP_REFUSED;
	}
	err_sanitize(host, sizeof host, realm.host);
	if (!url_same_origin(&home, &realm) && !realm.https && url_place_of(&home) == URL_ELSEWHERE) {
		err_set(e, ERR_DENIED, 0,
			"the registry names the token server %s without encryption, which is refused", host);
		return HTTP_REFUSED;
	}
	if (!url_may_follow(&home, &realm, &why)) {
		err_set(e, ERR_DENIED, 0, "the registry names the token server %s, which is refused: %s",
			host, why);
		return HTTP_REFUSED;
	}
	if (endpoint->user[0]) {
		if (!url_may_have_credentials(&home, &realm)) {
			err_set(e, ERR_DENIED, 0,
				"the registry asks for its users' passwords to be sent to %s, which is "
				"refused",
				host);
			return HTTP_REFUSED;
		}
		make_basic(endpoint, &basic);
	}
	buf_string(&url, challenge->realm);
	if (challenge->service[0])
		add_query(&url, "service", challenge->service);
	if (endpoint->user[0])
		add_query(&url, "account", endpoint->user);
	/* What we need, whatever it asks for. Who only logs in needs nothing. */
	if (*repository) {
		snprintf(scope, sizeof scope, "repository:%s:pull", repository);
		add_query(&url, "scope", scope);
	}

	struct http_request request = {
		.url = url.data,
		.authorization = basic.length ? basic.data : NULL,
		.unverified = endpoint->flags & NET_ENDPOINT_UNVERIFIED,
		.ca = session->endpoints[index].ca,
		.take = take_token,
		.context = &body,
	};
	struct http_answer answer;
	enum http_outcome outcome = http_get(http, &request, &answer, &cause);
	if (basic.length)
		explicit_bzero(basic.data, basic.length);
	if (outcome != HTTP_ANSWERED) {
		err_set(e, cause.kind, 0, "no token from %s: %s", host, cause.what);
		err_hint(e, "%s", cause.hint);
	} else if (answer.status == 200) {
		char *token = answer_token(&arena, &body, &cause);
		if (token) {
			struct buf line = {0};
			buf_printf(&line, "Bearer %s", token);
			*authorization = line.data;
		} else {
			err_set(e, cause.kind, 0, "no token from %s: %s", host, cause.what);
			outcome = HTTP_REFUSED;
		}
	} else {
		answer_quote(&answer.body, quote, sizeof quote);
		bool again = answer.status >= 500;
		err_set(e, again ? ERR_UNREACHABLE : ERR_DENIED, 0, "no token from %s: %s%sstatus %u", host,
			quote, quote[0] ? ", " : "", answer.status);
		if (answer.status == 429)
			err_hint(e, "this address has asked too often; wait, or log in");
		outcome = again ? HTTP_CUT : HTTP_REFUSED;
	}
	http_answer_free(&answer);
	return outcome;
}

static struct token *find_token(struct endpoint *endpoint, const char *repository)
{
	struct token *t = endpoint->tokens;
	while (t && strcmp(t->repository, repository) != 0)
		t = t->next;
	return t;
}

/* A copy of what is known to let us in, or NULL. */
static char *known_authorization(struct endpoint *endpoint, const char *repository)
{
	pthread_mutex_lock(&endpoint->lock);
	struct token *t = find_token(endpoint, repository);
	char *copy = t ? strdup(t->authorization) : NULL;
	pthread_mutex_unlock(&endpoint->lock);
	return copy;
}

/* Replaces *authorization, which was refused, by a newer one: another worker's, or one
 * fetched here. HTTP_ANSWERED on success. */
static enum http_outcome renew(struct session *session, unsigned index, struct http *http,
	const struct challenge *challenge, const char *repository, char **authorization, struct err *e)
{
	struct endpoint *endpoint = &session->endpoints[index];
	enum http_outcome outcome = HTTP_ANSWERED;
	char *fresh = NULL;

	pthread_mutex_lock(&endpoint->lock);
	struct token *t = find_token(endpoint, repository);
	if (!t || (*authorization && !strcmp(t->authorization, *authorization))) {
		if (challenge->scheme == CHALLENGE_BASIC) {
			struct buf basic = {0};
			make_basic(&session->setup.endpoints[index], &basic);
			fresh = basic.data;
		} else {
			outcome = fetch_token(session, index, http, challenge, repository, &fresh, e);
		}
		if (outcome == HTTP_ANSWERED) {
			if (!t) {
				t = calloc(1, sizeof *t);
				if (!t || !(t->repository = strdup(repository)))
					abort();
				t->next = endpoint->tokens;
				endpoint->tokens = t;
			}
			free(t->authorization);
			t->authorization = fresh;
		}
	}
	if (outcome == HTTP_ANSWERED) {
		free(*authorization);
		*authorization = strdup(t->authorization);
	}
	pthread_mutex_unlock(&endpoint->lock);
	return outcome;
}

enum http_outcome session_get(struct session *session, unsigned index, struct http *http,
	const char *repository, const char *path, struct http_request *request, struct http_answer *answer,
	struct err *e)
{
	const struct net_endpoint *endpoint = &session->setup.endpoints[index];
	auto_buf struct buf url = {0};
	auto_arena struct arena arena = {0};
	struct endpoint *here = &session->endpoints[index];
	if (*repository)
		repository = arena_printf(&arena, "%s%s", here->prefix, repository);
	char *authorization = known_authorization(here, repository);
	bool had = authorization != NULL;
	enum http_outcome outcome;

	buf_string(&url, endpoint->base);
	buf_printf(&url, "/v2/%s%s%s", repository, *repository ? "/" : "", path);
	request->url = url.data;
	request->unverified = endpoint->flags & NET_ENDPOINT_UNVERIFIED;
	request->ca = here->ca;
	for (int tries = 0;; tries++) {
		request->authorization = authorization;
		outcome = http_get(http, request, answer, e);
		/* A 401 from elsewhere is not the registry's to ask (its answer stands). */
		if (outcome != HTTP_ANSWERED || answer->status != 401 || answer->foreign)
			break;
		/* One new token; a second one where the first was an old one. */
		if (tries > (had ? 1 : 0) || answer->challenge.scheme == CHALLENGE_NONE)
			break;
		if (answer->challenge.scheme == CHALLENGE_BASIC && (!endpoint->user[0] || authorization))
			break;
		struct challenge challenge = answer->challenge;
		http_answer_free(answer);
		outcome = renew(session, index, http, &challenge, repository, &authorization, e);
		if (outcome != HTTP_ANSWERED) {
			*answer = (struct http_answer){.length = -1, .range_start = -1, .retry_after = -1};
			break;
		}
	}
	if (authorization)
		explicit_bzero(authorization, strlen(authorization));
	free(authorization);
	request->url = NULL;
	request->authorization = NULL;
	return outcome;
}
