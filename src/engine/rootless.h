/*
 * rootless.h - the rights of an ordinary user's engine.
 *
 * Without being root, brig makes a user namespace in which it is, with the caller's one
 * id as root's, and a mount namespace that belongs to it. All code after that is the
 * same; what one id cannot do (other owners, cgroups, a bridge) is said where it is met.
 */
#ifndef ENGINE_ROOTLESS_H
#define ENGINE_ROOTLESS_H

#include <stdbool.h>

#include "base/err.h"

/* Whether this process's root is not the host's. */
bool rootless_confined(void);

/* Moves the process into a user namespace of its own. ERR_UNSUPPORTED where the host
 * does not let users make one. */
int rootless_enter(struct err *e);

#endif
