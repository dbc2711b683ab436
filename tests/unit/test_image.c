/* test_image.c - index, manifest and config: one good document of each, and what spoils it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci/image.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static const char manifest[] =
	"{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE_MANIFEST
	"\",\"config\":{\"mediaType\":\"" OCI_TYPE_CONFIG "\",\"digest\":\"" A
	"\",\"size\":1234},\"layers\":[{\"mediaType\":\"" OCI_TYPE_LAYER_GZIP "\",\"digest\":\"" B
	"\",\"size\":5678},{\"mediaType\":\"" OCI_TYPE_LAYER_ZSTD "\",\"digest\":\"" C
	"\",\"size\":9,\"annotations\":{\"k\":\"v\"}}],\"annotations\":{\"a\":\"b\"}}";

static const char index_text[] =
	"{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE_INDEX
	"\",\"manifests\":[{\"mediaType\":\"" OCI_TYPE_MANIFEST "\",\"digest\":\"" A
	"\",\"size\":1,\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v6\"}},"
	"{\"mediaType\":\"" OCI_TYPE_MANIFEST "\",\"digest\":\"" B
	"\",\"size\":2,\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}},"
	"{\"mediaType\":\"" OCI_TYPE_MANIFEST "\",\"digest\":\"" C
	"\",\"size\":3,\"platform\":{\"architecture\":\"unknown\",\"os\":\"unknown\"}}]}";

static const char config[] = "{\"architecture\":\"arm64\",\"author\":\"me\",\"config\":{\"User\":\"1:2\","
			     "\"ExposedPorts\":{\"80/tcp\":{}},"
			     "\"Env\":[\"PATH=/bin\",\"E=\"],\"Entrypoint\":[\"/"
			     "e\"],\"Cmd\":[],\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"/w\","
			     "\"Labels\":{\"l\":\"x\",\"m\":\"\"},\"StopSignal\":\"SIGINT\",\"StopTimeout\":"
			     "7,\"ArgsEscaped\":true,"
			     "\"Healthcheck\":{\"Test\":[\"CMD\",\"t\"],\"Interval\":1,\"Timeout\":2,"
			     "\"StartPeriod\":3,\"StartInterval\":4,"
			     "\"Retries\":5},\"OnBuild\":[\"RUN "
			     "x\"],\"Shell\":[\"/bin/sh\",\"-c\"]},\"created\":\"2026-11-21T19:53:45.12Z\","
			     "\"history\":[{\"created\":\"2026-11-21T19:53:45Z\",\"created_by\":\"ADD\"},{"
			     "\"created_by\":\"CMD\",\"author\":\"x\","
			     "\"comment\":\"c\",\"empty_layer\":true},{\"created_by\":\"RUN\"}],\"os\":"
			     "\"linux\",\"rootfs\":{\"type\":\"layers\","
			     "\"diff_ids\":[\"" A "\",\"" B "\"]}}";

/* text with the first find replaced; the arena's. */
static char *replaced(struct arena *arena, const char *text, const char *find, const char *put)
{
	const char *at = strstr(text, find);
	if (!at)
		fail_msg("not in the document: %s", find);
	return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, put, at + strlen(find));
}

struct spoiled {
	const char *find, *put;
	const char *what; /* part of the message; NULL: it is still good */
	const char *type;
};

static const struct spoiled manifests[] = {
	{"", "", NULL, NULL},
	{"", "", NULL, OCI_TYPE_MANIFEST},
	{"", "", NULL, OCI_TYPE_MANIFEST "; charset=utf-8"},
	{"", "", NULL, "application/json"},
	{"\"mediaType\":\"" OCI_TYPE_MANIFEST "\",", "", NULL, NULL},
	{"\"mediaType\":\"" OCI_TYPE_MANIFEST "\",", "", NULL, DOCKER_TYPE_MANIFEST},
	{"\"mediaType\":\"" OCI_TYPE_MANIFEST "\",", "", "it has no manifests", OCI_TYPE_INDEX},
	{"\"mediaType\":\"" OCI_TYPE_MANIFEST "\",", "\"mediaType\":null,", NULL, NULL},
	{OCI_TYPE_MANIFEST, OCI_TYPE_INDEX, "it has no manifests", NULL},
	{OCI_TYPE_MANIFEST, "application/x-nothing", "which is no image", NULL},
	{"", "", "was announced as", DOCKER_TYPE_MANIFEST},
	{"", "", "was announced as", OCI_TYPE_INDEX},
	{"\"schemaVersion\":2", "\"schemaVersion\":1", "schema 1", NULL},
	{"\"schemaVersion\":2", "\"schemaVersion\":3", "schemaVersion is not 2", NULL},
	{"\"schemaVersion\":2,", "", "schemaVersion is not 2", NULL},
	{"\"schemaVersion\":2", "\"schemaVersion\":\"2\"", "schemaVersion is not an integer", NULL},
	{"", "", "schema 1", "application/vnd.docker.distribution.manifest.v1+prettyjws"},
	{"\"layers\"", "\"manifests\":[],\"layers\"", "an index and a manifest at once", NULL},
	{"\"layers\"", "\"nolayers\"", "it has no layers", NULL},
	{"\"config\"", "\"noconfig\"", "it has no config", NULL},
	{"\"config\":{", "\"config\":[],\"x\":{", "config is not an object", NULL},
	{OCI_TYPE_CONFIG, "application/vnd.cncf.helm.config.v1+json", "not a container image", NULL},
	{OCI_TYPE_LAYER_ZSTD, "application/vnd.in-toto+json", "unknown type", NULL},
	{OCI_TYPE_LAYER_ZSTD, DOCKER_TYPE_LAYER_GZIP, NULL, NULL},
	{"5678", "-1", "missing or negative", NULL},
	{"5678", "1.5", "size is not an integer", NULL},
	{"5678", "99999999999999999999", "size is not an integer", NULL},
	{"5678", "1099511627777", "is more than", NULL},
	{"1234", "8388609", "is more than", NULL},
	{",\"size\":9", "", "missing or negative", NULL},
	{A, "sha256:aa", "invalid checksum digest length", NULL},
	{B, "md5:bbbb", "unsupported digest algorithm", NULL},
	{B, "sha256:../bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "digest format", NULL},
	{"\"digest\":\"" C "\",", "", "a digest is missing", NULL},
	{"{\"k\":\"v\"}", "{\"k\":1}", "annotations holds", NULL},
	{"{\"k\":\"v\"}", "[]", "annotations is not an object", NULL},
	{"\"layers\":[", "\"layers\":[7,", "layers holds something", NULL},
	{"{\"schemaVersion\"", "[{\"schemaVersion\"", "not valid JSON", NULL},
	{"\"annotations\":{\"a\"", "\"layers\":[],\"annotations\":{\"a\"", "repeated", NULL},
};

static void test_manifests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof manifests / sizeof *manifests; i++) {
		const struct spoiled *row = &manifests[i];
		struct arena arena = {0};
		struct err e = {0};
		struct oci_manifest m;
		const char *text = replaced(&arena, manifest, row->find, row->put);
		int rc = oci_manifest_parse(&arena, text, strlen(text), row->type, &m, &e);
		if (rc == 0 && row->what)
			fail_msg("accepted: %s for %s", row->put, row->find);
		if (rc < 0 && !(row->what && strstr(e.what, row->what)))
			fail_msg("%s for %s: %s", row->put, row->find, e.what);
		arena_free(&arena);
	}
	struct arena arena = {0};
	struct err e = {0};
	struct oci_manifest m;
	struct buf out = {0};
	assert_int_equal(oci_manifest_parse(&arena, manifest, strlen(manifest), NULL, &m, &e), 0);
	assert_int_equal(m.count, 2);
	assert_string_equal(m.config.digest.text, A);
	assert_int_equal(m.layers[1].size, 9);
	assert_int_equal(oci_layer_compression(m.layers[0].media_type), OCI_COMPRESSION_GZIP);
	assert_int_equal(oci_layer_compression(m.layers[1].media_type), OCI_COMPRESSION_ZSTD);
	oci_manifest_write(&out, &m);
	assert_string_equal(out.data, manifest);
	assert_int_equal(oci_manifest_parse(&arena, index_text, strlen(index_text), NULL, &m, &e), -1);
	assert_non_null(strstr(e.what, "it is an index"));
	buf_free(&out);

	/* The number of layers is bounded, and so is the document. */
	for (int count = OCI_LAYERS_MAX; count <= OCI_LAYERS_MAX + 1; count++) {
		buf_printf(&out,
			"{\"schemaVersion\":2,\"config\":{\"digest\":\"" A "\",\"size\":1},\"layers\":[");
		for (int i = 0; i < count; i++)
			buf_printf(&out,
				"%s{\"mediaType\":\"" OCI_TYPE_LAYER "\",\"digest\":\"" B "\",\"size\":1}",
				i ? "," : "");
		buf_string(&out, "]}");
		assert_int_equal(oci_manifest_parse(&arena, out.data, out.length, NULL, &m, &e),
			count > OCI_LAYERS_MAX ? -1 : 0);
		buf_free(&out);
	}
	memset(buf_reserve(&out, OCI_CONFIG_LIMIT + 1), ' ', OCI_CONFIG_LIMIT + 1);
	assert_int_equal(oci_manifest_parse(&arena, out.data, OCI_MANIFEST_LIMIT + 1, NULL, &m, &e), -1);
	assert_non_null(strstr(e.what, "is larger than"));
	struct oci_config c;
	assert_int_equal(oci_config_parse(&arena, out.data, OCI_CONFIG_LIMIT + 1, &c, &e), -1);
	assert_non_null(strstr(e.what, "is larger than"));
	buf_free(&out);
	arena_free(&arena);
}

static void test_indexes(void **state)
{
	(void)state;
	static const struct spoiled rows[] = {
		{"", "", NULL, NULL},
		{"", "", NULL, OCI_TYPE_INDEX},
		{"\"mediaType\":\"" OCI_TYPE_INDEX "\",", "", NULL, DOCKER_TYPE_LIST},
		{OCI_TYPE_INDEX, DOCKER_TYPE_LIST, NULL, NULL},
		{"\"manifests\"", "\"layers\":[],\"manifests\"", "an index and a manifest at once", NULL},
		{"\"manifests\"", "\"config\":{},\"manifests\"", "an index and a manifest at once", NULL},
		{"\"manifests\"", "\"fsLayers\":[],\"manifests\"", "an index and a manifest at once", NULL},
		{"\"manifests\":[", "\"manifests\":[null,", "manifests holds", NULL},
		{"\"manifests\":[", "\"manifests\":7,\"x\":[", "manifests is not a list", NULL},
		{"\"size\":2", "\"size\":4194305", "is more than", NULL},
		{"\"size\":2", "\"size\":-2", "negative", NULL},
		{"\"os\":\"linux\"", "\"os\":1", "os is not a string", NULL},
		{"\"os\":\"linux\"", "\"os\":\"\\u001b[31m\"", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct err e = {0};
		struct oci_document d;
		const char *text = replaced(&arena, index_text, rows[i].find, rows[i].put);
		int rc = oci_document_parse(&arena, text, strlen(text), rows[i].type, &d, &e);
		if (rc == 0 && rows[i].what)
			fail_msg("accepted: %s for %s", rows[i].put, rows[i].find);
		if (rc < 0 && !(rows[i].what && strstr(e.what, rows[i].what)))
			fail_msg("%s for %s: %s", rows[i].put, rows[i].find, e.what);
		arena_free(&arena);
	}
}

static void test_choice(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct err e = {0};
	struct oci_document d;
	assert_int_equal(oci_document_parse(&arena, index_text, strlen(index_text), NULL, &d, &e), 0);
	assert_int_equal(d.kind, OCI_DOCUMENT_INDEX);
	static const struct {
		const char *platform, *digest;
	} rows[] = {
		{"linux/arm/v7", B},
		{"linux/arm/v6", A},
		{"linux/arm64", B},
		{"linux/arm/v5", NULL},
		{"linux/amd64", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct oci_platform want;
		assert_int_equal(oci_platform_parse(rows[i].platform, &want, &e), 0);
		const struct oci_descriptor *chosen = oci_index_choose(&d.index, &want, &e);
		assert_int_equal(chosen != NULL, rows[i].digest != NULL);
		if (chosen)
			assert_string_equal(chosen->digest.text, rows[i].digest);
	}
	assert_string_equal(e.what, "no matching manifest for linux/amd64 in the manifest list entries");
	assert_non_null(strstr(e.hint, "linux/arm/v6"));
	/* An entry that does not say what it is for is taken when nothing else suits. */
	d.index.manifests[2].has_platform = false;
	struct oci_platform want = {"linux", "amd64", ""};
	assert_string_equal(oci_index_choose(&d.index, &want, &e)->digest.text, C);
	d.index.count = 0;
	assert_null(oci_index_choose(&d.index, &want, &e));
	arena_free(&arena);
}

static void test_configs(void **state)
{
	(void)state;
	static const struct spoiled rows[] = {
		{"", "", NULL, NULL},
		{"\"Cmd\":[]", "\"Cmd\":\"/c\"", NULL, NULL},
		{"\"Cmd\":[]", "\"Cmd\":null", NULL, NULL},
		{"\"Cmd\":[]", "\"Cmd\":{}", "Cmd is not a list", NULL},
		{"\"Cmd\":[]", "\"Cmd\":[1]", "Cmd holds something", NULL},
		{"[\"PATH=/bin\",\"E=\"]", "\"PATH=/bin\"", "Env is not a list", NULL},
		{"\"User\":\"1:2\"", "\"User\":12", "User is not a string", NULL},
		{"{\"80/tcp\":{}}", "[\"80/tcp\"]", "ExposedPorts is not an object", NULL},
		{"{\"80/tcp\":{}}", "{\"80/tcp\":1}", "ExposedPorts holds", NULL},
		{"{\"80/tcp\":{}}", "{\"80/tcp\":null}", NULL, NULL},
		{"\"l\":\"x\"", "\"l\":1", "a label is not a string", NULL},
		{"\"l\":\"x\"", "\"m\":\"x\"", "repeated", NULL},
		{"\"StopTimeout\":7", "\"StopTimeout\":\"7\"", "StopTimeout is not an integer", NULL},
		{"\"ArgsEscaped\":true", "\"ArgsEscaped\":1", "ArgsEscaped is not a truth value", NULL},
		{"\"Interval\":1", "\"Interval\":-1", "negative number", NULL},
		{"\"created\":\"2026-11-21T19:53:45.12Z\"", "\"created\":\"\"", NULL, NULL},
		{"\"created\":\"2026-11-21T19:53:45.12Z\"", "\"created\":\"9999-01-01T00:00:00Z\"", NULL,
			NULL},
		{"\"created\":\"2026-11-21T19:53:45.12Z\"", "\"created\":1", "created is not a string", NULL},
		{"\"type\":\"layers\"", "\"type\":\"x\"", "is not \"layers\"", NULL},
		{"\"rootfs\"", "\"norootfs\"", "it has no rootfs", NULL},
		{"\"rootfs\":{", "\"rootfs\":7,\"x\":{", "rootfs is not an object", NULL},
		{"\"" A "\",\"" B "\"", "\"" A "\",7", "a diff id is not a string", NULL},
		{B, "sha256:BBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
			"digest format", NULL},
		{"\"empty_layer\":true", "\"empty_layer\":false", "tells of 3 layers, and it has 2", NULL},
		{"\"history\":[", "\"history\":[1,", "history holds", NULL},
		{"\"history\":[", "\"history\":null,\"x\":[", NULL, NULL},
		{"\"config\":{", "\"config\":null,\"x\":{", NULL, NULL},
		{"\"config\":{", "\"config\":\"\",\"x\":{", "config is not an object", NULL},
		{"\"os\":\"linux\"", "\"os\":\"li\\u0007nux\"", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct err e = {0};
		struct oci_config c;
		const char *text = replaced(&arena, config, rows[i].find, rows[i].put);
		int rc = oci_config_parse(&arena, text, strlen(text), &c, &e);
		if (rc == 0 && rows[i].what)
			fail_msg("accepted: %s for %s", rows[i].put, rows[i].find);
		if (rc < 0 && !(rows[i].what && strstr(e.what, rows[i].what)))
			fail_msg("%s for %s: %s", rows[i].put, rows[i].find, e.what);
		arena_free(&arena);
	}
}

static void test_config_values(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct err e = {0};
	struct oci_config c;
	struct buf out = {0};
	assert_int_equal(oci_config_parse(&arena, config, strlen(config), &c, &e), 0);
	assert_string_equal(c.platform.architecture, "arm64");
	assert_int_equal(c.created, 1795290825120000000);
	assert_string_equal(c.user, "1:2");
	assert_string_equal(c.env.items[1], "E=");
	assert_null(c.env.items[2]);
	assert_int_equal(c.cmd.count, 0);
	assert_non_null(c.cmd.items);
	assert_string_equal(c.exposed_ports.items[0], "80/tcp");
	assert_string_equal(c.volumes.items[0], "/v");
	assert_int_equal(c.label_count, 2);
	assert_string_equal(c.labels[0].key, "l");
	assert_int_equal(c.stop_timeout, 7);
	assert_int_equal(c.healthcheck.retries, 5);
	assert_int_equal(c.history_count, 3);
	assert_true(c.history[1].empty_layer);
	assert_int_equal(c.history[1].created, TIME_NONE);
	assert_int_equal(c.layer_count, 2);
	struct oci_digest *chain = oci_chain_ids(&arena, &c), second;
	assert_string_equal(chain[0].text, A);
	oci_digest_of(A " " B, sizeof A " " B - 1, &second);
	assert_string_equal(chain[1].text, second.text);
	struct oci_manifest m = {.count = 2};
	assert_int_equal(oci_manifest_check(&m, &c, &e), 0);
	m.count = 1;
	assert_int_equal(oci_manifest_check(&m, &c, &e), -1);
	/* Written again, it is the same but for the order of the configuration. */
	oci_config_write(&out, &c);
	struct oci_config again;
	struct buf second_out = {0};
	assert_int_equal(oci_config_parse(&arena, out.data, out.length, &again, &e), 0);
	oci_config_write(&second_out, &again);
	assert_string_equal(out.data, second_out.data);
	assert_int_equal(out.length, strlen(config));
	buf_free(&out);
	buf_free(&second_out);

	/* What the smallest document means. */
	static const char small[] =
		"{\"config\":{\"Env\":[\"NOEQUALS\",\"A=1\",\"=x\"]},\"rootfs\":{\"type\":\"layers\"}}";
	assert_int_equal(oci_config_parse(&arena, small, strlen(small), &c, &e), 0);
	assert_string_equal(c.platform.os, "unknown");
	assert_int_equal(c.created, TIME_NONE);
	assert_int_equal(c.layer_count, 0);
	assert_int_equal(c.env.count, 1);
	assert_string_equal(c.env.items[0], "A=1");
	assert_null(c.cmd.items);
	assert_string_equal(c.user, "");
	oci_config_write(&out, &c);
	assert_string_equal(out.data,
		"{\"architecture\":\"unknown\",\"config\":{\"Env\":[\"A=1\"]},\"os\":\"unknown\","
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
	buf_free(&out);
	arena_free(&arena);
}

static void test_compression(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		enum oci_compression compression;
	} rows[] = {
		{OCI_TYPE_LAYER, OCI_COMPRESSION_NONE},
		{OCI_TYPE_LAYER_GZIP, OCI_COMPRESSION_GZIP},
		{OCI_TYPE_LAYER_ZSTD, OCI_COMPRESSION_ZSTD},
		{DOCKER_TYPE_LAYER_GZIP, OCI_COMPRESSION_GZIP},
		{"application/vnd.docker.image.rootfs.diff.tar", OCI_COMPRESSION_NONE},
		{"application/vnd.docker.image.rootfs.diff.tar.zstd", OCI_COMPRESSION_ZSTD},
		{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", OCI_COMPRESSION_GZIP},
		{"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", OCI_COMPRESSION_ZSTD},
		{OCI_TYPE_LAYER "+xz", OCI_COMPRESSION_UNKNOWN},
		{OCI_TYPE_LAYER "+gzip2", OCI_COMPRESSION_UNKNOWN},
		{OCI_TYPE_LAYER "x", OCI_COMPRESSION_UNKNOWN},
		{"", OCI_COMPRESSION_UNKNOWN},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(oci_layer_compression(rows[i].type), rows[i].compression);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifests),
		cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_configs),
		cmocka_unit_test(test_config_values),
		cmocka_unit_test(test_compression),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
