/*
 * netget.c - drives brig-net by itself: a manifest, then its layers into a digest.
 *
 *	netget [-m MIRROR]... [-c CA] [-k] [-u USER:PASSWORD] [-o] [-q] BASE REPOSITORY REFERENCE
 *
 * Prints the manifest's type and digest, and for each layer the digest of its tar. With -o
 * each layer is inflated into nothing, to time the helper alone.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sha256.h"
#include "registry/client.h"

static void die(const struct err *e)
{
	printf("failed: kind %d: %s\n", e->kind, e->what);
	if (e->hint[0])
		printf("  %s\n", e->hint);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Reads the pipe and prints what the tar's digest is. */
static void read_tar(int fd, bool hash)
{
	static char bytes[256 << 10];
	struct sha256 state;
	char hex[SHA256_HEX_SIZE];
	long long total = 0;
	ssize_t n;

	sha256_init(&state);
	while ((n = read(fd, bytes, sizeof bytes)) > 0) {
		total += n;
		if (hash)
			sha256_update(&state, bytes, (size_t)n);
	}
	unsigned char digest[SHA256_SIZE];
	sha256_final(&state, digest);
	sha256_hex(digest, hex);
	printf("tar %s %lld\n", hash ? hex : "-", total);
	fflush(stdout);
	_exit(0);
}

/* Receives until `left` requests have ended. */
static int finish(struct net_client *c, int left, bool quiet, struct net_event *last)
{
	struct err e = {0};
	int failures = 0;

	while (left) {
		if (net_client_receive(c, last, &e) < 0)
			die(&e);
		if (last->type == NET_PROGRESS && !quiet)
			printf("progress %u %lld %lld%s\n", last->id, (long long)last->progress.done,
				(long long)last->progress.inflated, last->progress.seconds ? " waiting" : "");
		if (last->type == NET_FAILED) {
			printf("failed: id %u kind %d status %u: %s\n", last->id, last->failure.kind,
				last->status, last->failure.what);
			if (last->failure.hint[0])
				printf("  %s\n", last->failure.hint);
			failures++;
		}
		if (last->type == NET_DONE || last->type == NET_FAILED)
			left--;
	}
	return failures;
}

int main(int argc, char **argv)
{
	struct net_client c = NET_CLIENT_NONE;
	auto_free struct net_setup *setup = calloc(1, sizeof *setup);
	struct net_event event;
	struct err e = {0};
	bool hash = true, quiet = false, unverified = false;
	auto_close int ca = -1;
	int option;

	if (!setup)
		abort();
	while ((option = getopt(argc, argv, "c:km:oqu:")) >= 0) {
		if (option == 'm') {
			setup->endpoints[setup->count].flags = NET_ENDPOINT_MIRROR;
			snprintf(setup->endpoints[setup->count++].base, 512, "%s", optarg);
		} else if (option == 'u') {
			char *colon = strchr(optarg, ':');
			snprintf(setup->endpoints[setup->count].user, 256, "%.*s", (int)(colon - optarg),
				optarg);
			snprintf(setup->endpoints[setup->count].secret, 256, "%s", colon + 1);
		} else if (option == 'c') {
			ca = fd_open(AT_FDCWD, optarg, O_RDONLY, 0);
		} else if (option == 'k') {
			unverified = true;
		} else if (option == 'o') {
			hash = false;
		} else {
			quiet = true;
		}
	}
	if (argc - optind != 3)
		return 2;
	const char *base = argv[optind], *repository = argv[optind + 1], *reference = argv[optind + 2];
	setup->endpoints[setup->count].flags = unverified ? NET_ENDPOINT_UNVERIFIED : 0;
	snprintf(setup->endpoints[setup->count++].base, 512, "%s", base);
	snprintf(setup->registry, sizeof setup->registry, "%s",
		strstr(base, "//") ? strstr(base, "//") + 2 : base);
	snprintf(setup->user_agent, sizeof setup->user_agent, "brig/test");

	int certificates[NET_ENDPOINTS];
	for (unsigned i = 0; i < NET_ENDPOINTS; i++)
		certificates[i] = i + 1 == setup->count ? ca : -1;
	double start = now();
	if (net_client_start(&c, &e) < 0 || net_client_setup(&c, setup, certificates, &e) < 0)
		die(&e);
	int body = memfd_create("manifest", MFD_CLOEXEC);
	if (net_client_get_manifest(&c, repository, reference, body, &e) < 0)
		die(&e);
	if (finish(&c, 1, quiet, &event))
		return 1;
	printf("manifest %lld %s %s\n", (long long)event.done.size, event.done.media_type, event.done.digest);
	double manifest_at = now();

	auto_buf struct buf text = {0};
	auto_arena struct arena arena = {0};
	lseek(body, 0, SEEK_SET);
	fd_slurp(body, NET_MANIFEST_MAX, &text);
	const struct json *root = json_parse(&arena, text.data, text.length, "manifest", &e);
	if (!root)
		die(&e);
	int jobs = 0;
	json_for_each (layer, json_get_array(root, "layers")) {
		int ends[2];
		FILE *file = tmpfile();
		fd_pipe(ends, 0);
		fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
		if (fork() == 0) {
			close(ends[1]);
			close(c.socket);
			read_tar(ends[0], hash);
		}
		close(ends[0]);
		if (net_client_get_blob(&c, repository, json_get_string(layer, "digest"),
			    json_get_integer(layer, "size", -1), fileno(file), ends[1], &e) < 0)
			die(&e);
		close(ends[1]);
		fclose(file);
		jobs++;
	}
	int failures = finish(&c, jobs, quiet, &event);
	double done_at = now();
	net_client_stop(&c);
	struct rusage net, tar;
	getrusage(RUSAGE_CHILDREN, &net);
	while (wait(NULL) > 0)
		;
	getrusage(RUSAGE_CHILDREN, &tar);
	if (!quiet)
		return failures != 0;
	double u = (double)net.ru_utime.tv_sec + (double)net.ru_utime.tv_usec / 1e6;
	double s = (double)net.ru_stime.tv_sec + (double)net.ru_stime.tv_usec / 1e6;
	double all = (double)(tar.ru_utime.tv_sec + tar.ru_stime.tv_sec) +
		     (double)(tar.ru_utime.tv_usec + tar.ru_stime.tv_usec) / 1e6;
	printf("manifest after %.3f s, layers after %.3f s; brig-net user %.3f sys %.3f; readers %.3f\n",
		manifest_at - start, done_at - start, u, s, all - u - s);
	return failures != 0;
}
