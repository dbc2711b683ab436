/*
 * import.h - an image from a tar archive of a root file system.
 *
 * The archive is taken as a layer is: read once from beginning to end, inflated by brig-net
 * where it is compressed, unpacked by the process without rights, its digest the layer's. A folder
 * of the host becomes an image by init.h.
 */
#ifndef ENGINE_IMPORT_H
#define ENGINE_IMPORT_H

#include "engine/engine.h"
#include "oci/digest.h"

struct import_options {
	int input;          /* from where it stands to its end; stays the caller's */
	const char *source; /* what the user calls it: "-" */
	const char *name;   /* what the image is to be called; NULL: nothing */
	const char *message;
	const char *platform;   /* NULL: the host's */
	struct strings changes; /* Dockerfile instructions */
};

/* SIGINT and the like end it with ERR_INTERRUPTED, and nothing is left. */
int engine_import(
	struct engine *engine, const struct import_options *options, struct oci_digest *id, struct err *e);

#endif
