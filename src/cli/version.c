/* version.c - brig version. */
#include <sys/utsname.h>

#include "cli/format.h"
#include "oci/platform.h"

struct version_options {
	const char *format;
};

static const struct opt options_table[] = {
	{"format", 'f', OPT_STRING, offsetof(struct version_options, format), NULL, FORMAT_OBJECT_HELP},
	{NULL},
};

/* The members have docker's names: scripts ask for {{.Server.Version}}. Client and server are
 * the same program here. */
static void append_document(struct buf *out, const struct oci_platform *platform, const char *kernel)
{
	struct json_writer w = {.out = out};

	json_begin_object(&w, NULL);
	json_begin_object(&w, "Client");
	json_put_string(&w, "Version", BRIG_VERSION);
	json_put_string(&w, "Os", platform->os);
	json_put_string(&w, "Arch", platform->architecture);
	json_put_string(&w, "Context", "default");
	json_end_object(&w);
	json_begin_object(&w, "Server");
	json_begin_object(&w, "Platform");
	json_put_string(&w, "Name", "brig");
	json_end_object(&w);
	json_put_string(&w, "Version", BRIG_VERSION);
	json_put_string(&w, "Os", platform->os);
	json_put_string(&w, "Arch", platform->architecture);
	json_put_string(&w, "KernelVersion", kernel);
	json_end_object(&w);
	json_end_object(&w);
}

static int run_version(struct cli *cli, void *options, int argc, char **argv, struct err *e)
{
	const struct version_options *o = options;
	struct oci_platform platform;
	struct utsname host;

	uname(&host);
	oci_platform_host(&platform);
	if (!o->format || !*o->format) {
		cli_print(cli,
			"Client:\n Version:           %s\n OS/Arch:           %s/%s\n Context:           "
			"default\n"
			"\nServer: brig, without a daemon\n Engine:\n  Version:          %s\n"
			"  OS/Arch:          %s/%s\n  Kernel Version:   %s\n",
			BRIG_VERSION, platform.os, platform.architecture, BRIG_VERSION, platform.os,
			platform.architecture, host.release);
		return 0;
	}
	auto_buf struct buf text = {0};
	append_document(&text, &platform, host.release);
	const struct json *document = json_parse(&cli->arena, text.data, text.length, "version", e);
	if (!document)
		return -1;
	return format_object(cli, document, o->format, "version", "system.versionInfo", "", e);
}

const struct verb verb_version = {
	.name = "version",
	.summary = "Show the brig version information",
	.usage = "[OPTIONS]",
	.options = options_table,
	.options_size = sizeof(struct version_options),
	.flags = VERB_NO_CONFIG | VERB_COMMON,
	.run = run_version,
};
