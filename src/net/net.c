/* net.c - the kinds of network, by name. */
#include "net/net.h"

#include <string.h>

#include "net/driver.h"

static const struct net_driver *const drivers[] = {
	&net_bridge_driver,
	&net_none_driver,
	&net_host_driver,
};

static const struct net_driver *find(const char *network, struct err *e)
{
	if (!network || !*network || !strcmp(network, "default"))
		return drivers[0];
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
		if (!strcmp(network, drivers[i]->name))
			return drivers[i];
	}
	char clean[128];
	err_set(e, ERR_NOT_FOUND, 0, "network %s not found", err_sanitize(clean, sizeof clean, network));
	err_hint(e, "the networks are bridge (the default), none and host");
	return NULL;
}

int net_kind_of(const char *network, enum net_kind *out, struct err *e)
{
	const struct net_driver *driver = find(network, e);
	if (!driver)
		return -1;
	*out = driver->kind;
	return 0;
}

int net_attach(const struct net_request *request, struct net_attachment *out, struct err *e)
{
	const struct net_driver *driver = find(request->network, e);
	struct net_attachment made = {0};

	if (!driver)
		return -1;
	made.kind = driver->kind;
	strncpy(made.network, driver->name, sizeof made.network - 1);
	if (driver->attach && driver->attach(request, &made, e) < 0)
		return -1;
	*out = made;
	return 0;
}

int net_detach(const struct net_release *release, struct err *e)
{
	const struct net_driver *driver = find(release->network, e);
	if (!driver)
		return -1;
	return driver->detach ? driver->detach(release, e) : 0;
}

int net_sweep(int run_root, net_dead_fn *dead, void *context, struct err *e)
{
	int freed = 0;

	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
		if (!drivers[i]->sweep)
			continue;
		int one = drivers[i]->sweep(run_root, dead, context, e);
		if (one < 0)
			return -1;
		freed += one;
	}
	return freed;
}
