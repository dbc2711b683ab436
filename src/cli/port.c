/* port.c - brig port: where a container's ports are reached. */
#include <string.h>

#include "cli/open.h"
#include "engine/ports.h"
#include "oci/port.h"

static int run_port(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct engine *engine = cli_engine(cli, ENGINE_READ, e);
	struct port_spec *wanted = NULL;
	struct container container;
	struct ports_row *rows;
	size_t count, shown = 0;
	(void)given;

	if (!engine || container_find(&engine->containers, argv[0], &container, e) < 0 ||
		ports_of(engine, &container, NULL, &rows, &count, e) < 0)
		return -1;
	if (argc == 2) {
		char clean[128];
		if (port_parse_expose(&cli->arena, argv[1], &wanted, &shown, e) < 0 || shown != 1) {
			err_set(e, ERR_INVALID, 0, "invalid port (%s)",
				err_sanitize(clean, sizeof clean, argv[1]));
			return err_hint(e, "name one port of the container's: 80, or 53/udp");
		}
		shown = 0;
	}
	for (size_t i = 0; i < count; i++) {
		const struct net_port *port = &rows[i].port;
		if (wanted &&
			(wanted->container != port->container_port || wanted->protocol != port->protocol))
			continue;
		shown++;
		if (wanted)
			cli_print(cli, "%s\n", ports_host(&cli->arena, &rows[i]));
		else
			cli_print(cli, "%u/%s -> %s\n", port->container_port, port_protocol(port->protocol),
				ports_host(&cli->arena, &rows[i]));
	}
	if (wanted && !shown)
		return err_set(e, ERR_NOT_FOUND, 0, "no public port '%s' published for %s", argv[1], argv[0]);
	return 0;
}

const struct verb verb_port = {
	.name = "port",
	.aliases = "container port",
	.summary = "List port mappings or a specific mapping for the container",
	.usage = "CONTAINER [PRIVATE_PORT[/PROTO]]",
	.examples = "port web\tall of them\nport web 80\twhere its port 80 is reached",
	.min_operands = 1,
	.max_operands = 2,
	.run = run_port,
};
