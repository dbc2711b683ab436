/*
 * image.h - the documents of an image: index, manifest and config (OCI image-spec 1.1 and
 * Docker's schema 2), as plain structs.
 *
 * Everything here was written by somebody else and is checked for what the rest of brig
 * relies on: digests are well-formed, sizes are neither negative nor absurd, the numbers
 * of layers and diff ids agree, a document is not two kinds at once. Strings and lists
 * live in the arena. A field of the wrong type makes the whole document ERR_INVALID,
 * as it does in docker; null is a missing field.
 */
#ifndef OCI_IMAGE_H
#define OCI_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/time.h"
#include "oci/digest.h"
#include "oci/platform.h"

/* Bytes. Whoever reads a document from outside reads no more than this. */
#define OCI_MANIFEST_LIMIT (4 << 20) /* an index too: the least that registries must take */
#define OCI_CONFIG_LIMIT   (8 << 20)
#define OCI_BLOB_LIMIT     (INT64_C(1) << 40)
/* Docker stops at 125; images that grew by many commits are longer. */
#define OCI_LAYERS_MAX    1024
#define OCI_MANIFESTS_MAX 4096

#define OCI_TYPE_INDEX         "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_MANIFEST      "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_CONFIG        "application/vnd.oci.image.config.v1+json"
#define OCI_TYPE_LAYER         "application/vnd.oci.image.layer.v1.tar"
#define OCI_TYPE_LAYER_GZIP    "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_TYPE_LAYER_ZSTD    "application/vnd.oci.image.layer.v1.tar+zstd"
#define DOCKER_TYPE_LIST       "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_TYPE_MANIFEST   "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_TYPE_CONFIG     "application/vnd.docker.container.image.v1+json"
#define DOCKER_TYPE_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"

enum oci_compression {
	OCI_COMPRESSION_UNKNOWN, /* not a layer that we know */
	OCI_COMPRESSION_NONE,
	OCI_COMPRESSION_GZIP,
	OCI_COMPRESSION_ZSTD,
};

struct oci_descriptor {
	const char *media_type; /* never NULL, may be "" */
	struct oci_digest digest;
	int64_t size;
	bool has_platform;
	struct oci_platform platform;
	bool foreign;                   /* a layer that may not be distributed: other urls hold it */
	const struct json *annotations; /* an object of strings, or NULL */
};

struct oci_index {
	const char *media_type;
	struct oci_descriptor *manifests;
	size_t count;
};

struct oci_manifest {
	const char *media_type; /* one of the two manifest types */
	struct oci_descriptor config;
	struct oci_descriptor *layers; /* the lowest first */
	size_t count;
	const struct json *annotations;
};

enum oci_document_kind { OCI_DOCUMENT_INDEX, OCI_DOCUMENT_MANIFEST };

struct oci_document {
	enum oci_document_kind kind;
	struct oci_index index;
	struct oci_manifest manifest;
};

struct oci_pair {
	const char *key, *value;
};

struct oci_healthcheck {
	struct strings test; /* {"NONE"}, {"CMD", …}, {"CMD-SHELL", line}; empty inherits */
	int64_t interval, timeout, start_period, start_interval; /* nanoseconds; 0 is the default */
	int64_t retries;
};

struct oci_history {
	int64_t created;                           /* TIME_NONE */
	const char *created_by, *author, *comment; /* NULL where missing */
	bool empty_layer;
};

/* A list's items are NULL where the document has none, and {NULL} where it is empty. */
struct oci_config {
	struct oci_platform platform;
	int64_t created; /* TIME_NONE where missing */
	const char *author;
	/* What a container inherits. */
	const char *user;        /* "" */
	const char *working_dir; /* "" */
	const char *stop_signal; /* "" */
	const char *hostname;    /* ""; docker itself ignores it in images */
	struct strings env;      /* every entry holds a "=": others are dropped, never completed */
	struct strings entrypoint, cmd, shell, on_build;
	struct strings exposed_ports; /* "80/tcp" */
	struct strings volumes;
	struct oci_pair *labels;
	size_t label_count;
	bool has_healthcheck;
	struct oci_healthcheck healthcheck;
	bool args_escaped;
	bool has_stop_timeout;
	int64_t stop_timeout; /* seconds */
	/* How it came about. */
	struct oci_history *history;
	size_t history_count;
	struct oci_digest *diff_ids; /* the lowest layer first */
	size_t layer_count;
	const struct json *document; /* the whole, for fields that brig does not know */
	/* Written only, as "brig.below" (store/image.h): the config whose history and layers come
	 * before these. */
	struct oci_digest below;
	bool below_stacked;
};

/*
 * Parses an index (or Docker's manifest list) or a manifest, whichever it is.
 * expected_type is what the Content-Type or the descriptor said, or NULL: the body may
 * not contradict it. Docker's schema 1 is ERR_UNSUPPORTED.
 */
int oci_document_parse(struct arena *arena, const char *text, size_t length, const char *expected_type,
	struct oci_document *out, struct err *e);
/* As oci_document_parse, and nothing but a manifest will do. */
int oci_manifest_parse(struct arena *arena, const char *text, size_t length, const char *expected_type,
	struct oci_manifest *out, struct err *e);
int oci_config_parse(
	struct arena *arena, const char *text, size_t length, struct oci_config *out, struct err *e);
/* A manifest and the config that it names must have the same number of layers. */
int oci_manifest_check(const struct oci_manifest *manifest, const struct oci_config *config, struct err *e);

/* The entry that suits best, the first of equals; one without a platform suits if nothing
 * else does. ERR_NOT_FOUND with docker's words. */
const struct oci_descriptor *oci_index_choose(
	const struct oci_index *index, const struct oci_platform *want, struct err *e);

/* What a layer's media type says about it. */
enum oci_compression oci_layer_compression(const char *media_type);

/* The chain id of each layer, layer_count of them. */
struct oci_digest *oci_chain_ids(struct arena *arena, const struct oci_config *config);

/* Append the document as compact JSON, always the same bytes for the same values. */
void oci_config_write(struct buf *out, const struct oci_config *config);
void oci_manifest_write(struct buf *out, const struct oci_manifest *manifest);

#endif
