/* login.c - is it a user and password of that registry? */
#include "engine/login.h"

#include <string.h>

#include "engine/endpoints.h"
#include "registry/client.h"

static int put(char *to, size_t size, const char *text, const char *what, struct err *e)
{
	if (strlen(text) >= size)
		return err_set(e, ERR_INVALID, 0, "the %s is longer than %zu bytes", what, size - 1);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static int ask(struct net_client *client, struct endpoints *endpoints, struct err *e)
{
	struct net_event event = {0};

	if (net_client_setup(client, &endpoints->setup, endpoints->certificates, e) < 0 ||
		net_client_login(client, e) < 0)
		return -1;
	do {
		if (net_client_receive(client, &event, e) < 0)
			return -1;
	} while (event.type == NET_PROGRESS);
	if (event.type == NET_DONE)
		return 0;
	*e = event.failure;
	return -1;
}

int engine_login(const struct config *config, const char *registry, const char *user, const char *secret,
	struct err *e)
{
	struct endpoints endpoints;
	struct net_client client = NET_CLIENT_NONE;

	if (endpoints_find_own(&endpoints, config, registry, e) < 0)
		return -1;
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < endpoints.setup.count; i++) {
		struct net_endpoint *p = &endpoints.setup.endpoints[i];
		rc = put(p->user, sizeof p->user, user, "user name", e);
		if (rc == 0)
			rc = put(p->secret, sizeof p->secret, secret, "password", e);
	}
	if (rc == 0)
		rc = net_client_start(&client, e);
	if (rc == 0)
		rc = ask(&client, &endpoints, e);
	net_client_stop(&client);
	endpoints_free(&endpoints);
	return rc;
}
