/*
 * save.h - images as an archive, or as an OCI layout in a folder.
 *
 * Theory of operation. An image that still has all it came with (manifest, config, compressed
 * layers) is written as it came, byte for byte, so its id and digest stay. Of any other, layers
 * whose archive is not kept are made from their trees; a layer that came another way than our
 * writer would write it, and one that commit named before its digest was known, has another digest
 * then, and the config that lists them, whose digest is the image's id, is written anew. The same
 * image always gives the same bytes: entries are in the order of the images and their layers, of
 * nobody, and dated 1970.
 *
 * Like docker's own, the archive is both forms in one: an OCI layout (oci-layout, index.json, blobs/),
 * and docker's manifest.json, which names the same blobs. Blobs are written as they are
 * found, the documents last.
 *
 * Kept blobs are hashed while they are copied: a damaged one ends the command with ERR_CORRUPT.
 */
#ifndef ENGINE_SAVE_H
#define ENGINE_SAVE_H

#include "engine/engine.h"
#include "oci/platform.h"

enum save_form {
	SAVE_BOTH,      /* an archive of both forms */
	SAVE_OCI,       /* an archive without docker's manifest.json */
	SAVE_DIRECTORY, /* a layout in a folder, which is new or empty */
};

struct save_options {
	enum save_form form;
	const char *const *images; /* names, ids; a repository without a tag means all of its tags */
	size_t count;
	const struct oci_platform *platform; /* what they have to be for, or NULL */
	int output;       /* an archive is written from where this stands; -1 where path is given */
	const char *path; /* the file, which appears whole and replaces an older one, or the folder */
};

/* SIGINT and the like end the process; a file by path is then not there. */
int engine_save(struct engine *engine, const struct save_options *options, struct err *e);

#endif
