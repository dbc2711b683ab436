/* logout.c - brig logout. */
#include "cli/login.h"
#include "engine/credentials.h"

static int run_logout(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const char *registry;

	if (login_registry(cli, argc ? argv[0] : NULL, &registry, e) < 0)
		return -1;
	int had = credentials_erase(&cli->arena, registry, e);
	if (had < 0)
		return -1;
	cli_print(cli, had ? "Removing login credentials for %s\n" : "Not logged in to %s\n",
		credentials_server(registry));
	return 0;
}

const struct verb verb_logout = {
	.name = "logout",
	.summary = "Log out from a registry",
	.usage = "[SERVER]",
	.examples = "logout registry.example.com\tthe password is forgotten",
	.max_operands = 1,
	.run = run_logout,
};
