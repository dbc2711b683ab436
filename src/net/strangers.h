/*
 * strangers.h - other people's firewalls on the same host.
 *
 * A packet must be let through by every chain that the kernel calls for forwarding, not
 * by brig's alone. Where iptables' FORWARD chain drops by default (docker sets it so, and
 * so does ufw), brig asks to be let through there: in DOCKER-USER, the chain that docker
 * leaves to others, or else at FORWARD's head. What is let through there is still decided
 * by brig's own table.
 */
#ifndef NET_STRANGERS_H
#define NET_STRANGERS_H

#include <stdbool.h>

#include "base/buf.h"
#include "net/netlink.h"

/* Puts brig's rules for a bridge into iptables' chains where they are needed and missing,
 * the nf_tables and the legacy variant both. Adds a line to note for each thing changed or
 * left to the administrator (the latter only the first time). Programs are run only where the legacy variant
 * is in use. Returns 0, or -errno where rules that are needed could not be put in. */
int strangers_pass(struct netlink *nl, const char *bridge, bool first, struct buf *note);

/* What stands there, changed nothing. */
struct strangers_view {
	bool drops;         /* some chain for forwarding drops by its policy */
	char droppers[160]; /* which: "ip filter FORWARD, inet firewall forward" */
	bool translates;    /* somebody, not brig, has rules that change addresses on the way out */
};
int strangers_view(struct netlink *nl, struct strangers_view *out);

/* Whether this network namespace uses the legacy iptables' filter table: its changes are
 * seen by no generation. */
bool strangers_legacy(void);

#endif
