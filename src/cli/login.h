/* login.h - what login and logout have in common. */
#ifndef CLI_LOGIN_H
#define CLI_LOGIN_H

#include "cli/cli.h"

/* The registry that the operand means, in the arena; Docker Hub where there is none. */
int login_registry(struct cli *cli, const char *given, const char **registry, struct err *e);

#endif
