/*
 * seccomp.h - seccomp profiles as documents: docker's format and runtime-spec's
 * linux.seccomp, into base/seccomp.h's plain data.
 *
 * Docker's is runtime-spec's with conditions around rules (capabilities, architectures,
 * kernel version) and its own way to name architectures; both are read by the same
 * function. What a document leaves open is done as runc with libseccomp does it, because
 * that is what profiles were written for:
 *  - a rule with the default's action says nothing; of the others on one call a rule
 *    without conditions decides alone, the first of them, and rules that compare for
 *    equality go before those that compare for order;
 *  - two conditions on the same argument are two rules;
 *  - calls that nobody here knows are skipped, numbers above the newest call that the
 *    profile names get ENOSYS (unless the default lets calls through);
 *  - on i386, a rule on socket, bind, … or semop, … is one on socketcall or ipc as well.
 */
#ifndef OCI_SECCOMP_H
#define OCI_SECCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/seccomp.h"

#define OCI_SECCOMP_LIMIT (4 << 20) /* bytes of a profile that are read */

/* What docker's conditions are about. */
struct oci_seccomp_host {
	uint64_t capabilities; /* the container's bounding set, bits by number */
	unsigned kernel_major;
	unsigned kernel_minor;
};

struct oci_seccomp {
	bool enabled; /* false: the document is empty, there is no filter */
	struct seccomp_profile profile;
	const char *listener_path; /* or NULL */
	const char *listener_metadata;
};

/* Reads a parsed document; everything lives in the arena. Fails with ERR_INVALID. */
int oci_seccomp_read(const struct json *document, const struct oci_seccomp_host *host, struct arena *arena,
	struct oci_seccomp *out, struct err *e);

/* The same from a text. */
int oci_seccomp_parse(const char *text, size_t length, const struct oci_seccomp_host *host,
	struct arena *arena, struct oci_seccomp *out, struct err *e);

#endif
