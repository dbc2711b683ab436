/* platform.c - operating system, architecture and variant of an image. */
#include "oci/platform.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum { CROSS = 100 /* the rank of another architecture that runs too */ };

#if defined(__x86_64__)
#define HOST_ARCHITECTURE "amd64"
#elif defined(__i386__)
#define HOST_ARCHITECTURE "386"
#elif defined(__aarch64__)
#define HOST_ARCHITECTURE "arm64"
#elif defined(__arm__)
#define HOST_ARCHITECTURE "arm"
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_ARCHITECTURE "ppc64le"
#elif defined(__s390x__)
#define HOST_ARCHITECTURE "s390x"
#elif defined(__riscv)
#define HOST_ARCHITECTURE "riscv64"
#elif defined(__loongarch64)
#define HOST_ARCHITECTURE "loong64"
#elif defined(__mips64)
#define HOST_ARCHITECTURE "mips64le"
#else
#error "an architecture without a name: add it here"
#endif

static const char *const systems[] = {"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd",
	"dragonfly", "solaris", "illumos", "android", "aix", "plan9", "js", "wasip1", "ios", NULL};
static const char *const architectures[] = {"386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle",
	"mips64", "mips64le", "ppc64", "ppc64le", "riscv", "riscv64", "s390x", "sparc64", "wasm", NULL};

/* Other names of an architecture, with the variant that they stand for. */
static const struct {
	const char *name, *architecture, *variant;
} aliases[] = {
	{"x86_64", "amd64", ""},
	{"x86-64", "amd64", ""},
	{"i386", "386", ""},
	{"i686", "386", ""},
	{"aarch64", "arm64", ""},
	{"armhf", "arm", "v7"},
	{"armel", "arm", "v6"},
};

static bool listed(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (!strcmp(*list, word))
			return true;
	return false;
}

static bool copy_part(char *out, size_t size, const char *text, size_t length)
{
	if (!length || length >= size)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
				 c == '-'))
			return false;
		out[i] = c;
	}
	out[length] = '\0';
	return true;
}

static void set(char out[32], const char *text)
{
	snprintf(out, 32, "%s", text);
}

static void normalize(struct oci_platform *p)
{
	if (!strcmp(p->os, "macos"))
		set(p->os, "darwin");
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
		if (strcmp(p->architecture, aliases[i].name) != 0)
			continue;
		set(p->architecture, aliases[i].architecture);
		if (aliases[i].variant[0])
			set(p->variant, aliases[i].variant);
		break;
	}
	/* "7" is "v7"; what every processor of that name has is no variant. */
	if (p->variant[0] >= '0' && p->variant[0] <= '9' && !p->variant[1]) {
		char digit = p->variant[0];
		snprintf(p->variant, sizeof p->variant, "v%c", digit);
	}
	if ((!strcmp(p->architecture, "amd64") && !strcmp(p->variant, "v1")) ||
		(!strcmp(p->architecture, "arm64") && !strcmp(p->variant, "v8")))
		p->variant[0] = '\0';
	if (!strcmp(p->architecture, "arm") && !p->variant[0])
		set(p->variant, "v7");
}

int oci_platform_parse(const char *text, struct oci_platform *out, struct err *e)
{
	struct oci_platform parsed = {0};
	char *fields[] = {parsed.os, parsed.architecture, parsed.variant};
	char shown[100];
	size_t count = 0;
	const char *at = text;

	for (;;) {
		size_t length = strcspn(at, "/");
		if (count == 3 || !copy_part(fields[count], sizeof parsed.os, at, length)) {
			err_set(e, ERR_INVALID, 0, "invalid platform: %s",
				err_sanitize(shown, sizeof shown, text));
			return err_hint(e,
				"write it as os/architecture or os/architecture/variant, e.g. linux/arm64");
		}
		count++;
		at += length;
		if (!*at)
			break;
		at++;
	}
	if (count == 1) {
		struct oci_platform host;
		oci_platform_host(&host);
		normalize(&parsed); /* for macos */
		if (listed(systems, parsed.os)) {
			set(parsed.architecture, host.architecture);
			set(parsed.variant, host.variant);
		} else {
			set(parsed.architecture, parsed.os);
			set(parsed.os, "linux");
			parsed.variant[0] = '\0';
			normalize(&parsed);
			if (!listed(architectures, parsed.architecture)) {
				err_set(e, ERR_INVALID, 0, "unknown operating system or architecture: %s",
					err_sanitize(shown, sizeof shown, text));
				return err_hint(e, "write it as os/architecture, e.g. linux/arm64");
			}
		}
	}
	normalize(&parsed);
	*out = parsed;
	return 0;
}

void oci_platform_from(
	const char *os, const char *architecture, const char *variant, struct oci_platform *out)
{
	*out = (struct oci_platform){0};
	if (!os || !copy_part(out->os, sizeof out->os, os, strlen(os)))
		set(out->os, "unknown");
	if (!architecture ||
		!copy_part(out->architecture, sizeof out->architecture, architecture, strlen(architecture)))
		set(out->architecture, "unknown");
	if (variant && *variant && !copy_part(out->variant, sizeof out->variant, variant, strlen(variant)))
		set(out->variant, "unknown");
	normalize(out);
}

void oci_platform_host(struct oci_platform *out)
{
	*out = (struct oci_platform){.os = "linux", .architecture = HOST_ARCHITECTURE};
	if (!strcmp(out->architecture, "arm")) {
		struct utsname name;
		/* "armv7l"; a 64-bit kernel under 32-bit programs says "aarch64" or "armv8l". */
		if (uname(&name) == 0 && !strncmp(name.machine, "armv", 4) && name.machine[4] < '8')
			snprintf(out->variant, sizeof out->variant, "v%c", name.machine[4]);
		else
			set(out->variant, "v8");
	}
}

char *oci_platform_format(char out[OCI_PLATFORM_TEXT], const struct oci_platform *platform)
{
	snprintf(out, OCI_PLATFORM_TEXT, "%s/%s%s%s", platform->os, platform->architecture,
		platform->variant[0] ? "/" : "", platform->variant);
	return out;
}

/* The number of "vN", where "" means otherwise; -1 for another text. */
static int variant_number(const char *variant, int otherwise)
{
	if (!variant[0])
		return otherwise;
	if (variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' && (!variant[2] || variant[2] == '.'))
		return variant[1] - '0';
	return -1;
}

int oci_platform_rank(const struct oci_platform *want, const struct oci_platform *have)
{
	const char *want_arch = want->architecture, *have_arch = have->architecture;

	if (strcmp(want->os, have->os) != 0)
		return -1;
	if (!strcmp(want_arch, have_arch)) {
		if (!strcmp(want->variant, have->variant))
			return 0;
		int base = !strcmp(want_arch, "amd64")   ? 1
			   : !strcmp(want_arch, "arm64") ? 8
			   : !strcmp(want_arch, "arm")   ? 7
							 : 0;
		int newest = variant_number(want->variant, base), is = variant_number(have->variant, base);
		return base && newest > 0 && is > 0 && is < newest ? newest - is : -1;
	}
	if (!strcmp(want_arch, "amd64") && !strcmp(have_arch, "386"))
		return CROSS;
	if (!strcmp(want_arch, "arm64") && !strcmp(have_arch, "arm")) {
		int is = variant_number(have->variant, 7);
		return is >= 5 && is <= 8 ? CROSS + 8 - is : -1;
	}
	return -1;
}
