/* net.c - the kinds of network, by name. */
#include "net/net.h"

#include <string.h>

#include "net/driver.h"
#include "net/pool.h"

static const struct net_driver *const drivers[] = {
	&net_bridge_driver,
	&net_classic_driver,
	&net_none_driver,
	&net_host_driver,
};

const struct net_driver *net_driver_find(const char *network, struct err *e)
{
	if (!network || !*network || !strcmp(network, "default"))
		return drivers[0];
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
		if (!strcmp(network, drivers[i]->name))
			return drivers[i];
	}
	char clean[128];
	err_set(e, ERR_NOT_FOUND, 0, "network %s not found", err_sanitize(clean, sizeof clean, network));
	err_hint(e, "the networks are bridge (the default), bridge0, none and host");
	return NULL;
}

const struct net_driver *net_driver_at(size_t n)
{
	return n < sizeof drivers / sizeof *drivers ? drivers[n] : NULL;
}

int net_kind_of(const char *network, enum net_kind *out, struct err *e)
{
	const struct net_driver *driver = net_driver_find(network, e);
	if (!driver)
		return -1;
	*out = driver->kind;
	return 0;
}

int net_attach(const struct net_request *request, struct net_attachment *out, struct err *e)
{
	const struct net_driver *driver = net_driver_find(request->network, e);
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
	const struct net_driver *driver = net_driver_find(release->network, e);
	if (!driver)
		return -1;
	return driver->detach ? driver->detach(release, e) : 0;
}

int net_set_up(int run_root, const char *network, struct buf *note, struct err *e)
{
	const struct net_driver *driver = net_driver_find(network, e);
	if (!driver)
		return -1;
	return driver->set_up ? driver->set_up(run_root, note, e) : 0;
}

struct sweep {
	net_dead_fn *dead;
	void *context;
};

/* What the pool holds is no container's, dead or alive. */
static bool dead_container(void *context, const char *id)
{
	const struct sweep *sweep = context;
	return !net_pool_holds(id) && sweep->dead(sweep->context, id);
}

int net_sweep(int run_root, net_dead_fn *dead, void *context, struct err *e)
{
	struct sweep sweep = {.dead = dead, .context = context};
	int freed = 0;

	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
		if (!drivers[i]->sweep)
			continue;
		int one = drivers[i]->sweep(run_root, dead_container, &sweep, e);
		if (one < 0)
			return -1;
		freed += one;
	}
	return freed;
}

bool net_publishes(const char *network)
{
	struct err ignored;
	const struct net_driver *driver = net_driver_find(network, &ignored);

	return driver && driver->publish;
}

int net_publish(const struct net_publish *publish, char clash[65], struct err *e)
{
	const struct net_driver *driver = net_driver_find(publish->network, e);

	clash[0] = '\0';
	if (!driver)
		return -1;
	if (!driver->publish)
		return err_set(e, ERR_UNSUPPORTED, 0, "network %s has no ports to publish", driver->name);
	return driver->publish(publish, clash, e);
}

int net_each_port(int run_root, net_port_fn *take, void *context, struct err *e)
{
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
		if (drivers[i]->each_port && drivers[i]->each_port(run_root, take, context, e) < 0)
			return -1;
	return 0;
}

int net_reload(int run_root, struct buf *note, struct err *e)
{
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
		if (drivers[i]->reload && drivers[i]->reload(run_root, note, e) < 0)
			return -1;
	return 0;
}
