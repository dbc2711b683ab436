/* import.c - an image from a tar archive. */
#include "engine/import.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"
#include "engine/archive.h"
#include "engine/image.h"
#include "engine/interrupt.h"
#include "oci/change.h"
#include "oci/image.h"
#include "oci/platform.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/image.h"
#include "store/layer.h"

enum {
	PIECE = 256 << 10,
	PIPE = 1 << 20,
	BLAME_MS = 1000, /* how long brig-net may take to say why it has stopped */
};

struct import {
	struct engine *engine;
	const struct import_options *options;
	int signals;
	struct layer_stage stage;
	struct net_client client;
	uint32_t request; /* to brig-net; 0: there is none */
	bool answered;
	struct unpack unpack;
	bool unpacked;
	struct unpack_result result;
	int to; /* who reads the archive; -1 once it has all, or has gone */
	char *piece;
	size_t filled, sent;
	bool ended;
	struct oci_config config;
	struct reference reference;
};

/* ---- the layer ---- */

static int interrupted(struct err *e)
{
	return err_set(e, ERR_INTERRUPTED, 0, "the import was interrupted");
}

/* Adds what can be read now. */
static int read_more(struct import *im, struct err *e)
{
	ssize_t n = read(im->options->input, im->piece + im->filled, PIECE - im->filled);

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return err_errno(e, errno, "cannot read %s", im->options->source);
	im->ended = n == 0;
	im->filled += n > 0 ? (size_t)n : 0;
	return 0;
}

/* The beginning, by which it is seen whether it is compressed. */
static int read_first(struct import *im, bool *compressed, struct err *e)
{
	while (!im->ended && im->filled < ARCHIVE_FIRST) {
		struct pollfd polled[] = {
			{.fd = im->signals, .events = POLLIN}, {.fd = im->options->input, .events = POLLIN}};
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return err_errno(e, errno, "cannot wait");
		if (polled[0].revents)
			return interrupted(e);
		if (read_more(im, e) < 0)
			return -1;
	}
	if (!im->filled)
		return err_set(e, ERR_INVALID, 0, "cannot import %s: it is empty", im->options->source);
	*compressed = archive_compression_of(im->piece, im->filled) == ARCHIVE_COMPRESSED;
	return 0;
}

static int start(struct import *im, struct err *e)
{
	int first[2], second[2];
	bool compressed;
	int rc = read_first(im, &compressed, e);

	if (rc < 0)
		return -1;
	rc = fd_pipe(first, 0);
	if (rc < 0)
		return err_errno(e, rc, "cannot make a pipe");
	auto_close int input = first[0];
	im->to = first[1];
	fcntl(im->to, F_SETPIPE_SZ, PIPE);
	fcntl(im->to, F_SETFL, O_WRONLY | O_NONBLOCK);
	if (compressed) {
		rc = fd_pipe(second, 0);
		if (rc < 0)
			return err_errno(e, rc, "cannot make a pipe");
		auto_close int out = second[1], in = input;
		input = second[0];
		fcntl(out, F_SETPIPE_SZ, PIPE);
		if (net_client_start(&im->client, e) < 0)
			return -1;
		int id = net_client_inflate(&im->client, in, out, e);
		if (id < 0)
			return -1;
		im->request = (uint32_t)id;
	}
	/* Of a pipe nobody knows how much will come. */
	struct stat st;
	bool known = compressed && fstat(im->options->input, &st) == 0 && S_ISREG(st.st_mode);
	const struct unpack_options options = {
		.input = input,
		.one_owner = im->engine->user_namespace,
		.compressed_size = known ? (uint64_t)st.st_size : 0,
	};
	return layer_unpack(&im->stage, options, &im->unpack, e);
}

static int refuse(const struct import *im, struct err *e)
{
	struct err cause = *e;

	err_set(e, cause.kind, 0, "cannot import %s: %s", im->options->source, cause.what);
	e->number = cause.number;
	memcpy(e->hint, cause.hint, sizeof e->hint);
	return -1;
}

static int on_unpacked(struct import *im, struct err *e)
{
	struct pollfd socket = {.fd = im->client.socket, .events = POLLIN};
	struct net_event event;
	struct err other;

	if (layer_unpacked(&im->stage, &im->unpack, NULL, &im->result, e) == 0) {
		im->unpacked = true;
		return 0;
	}
	/* Unless it was brig-net that stopped, and says so in a moment. */
	while (im->request && !im->answered && poll(&socket, 1, BLAME_MS) > 0 &&
		net_client_receive(&im->client, &event, &other) == 0) {
		if (event.type == NET_PROGRESS)
			continue;
		if (event.type == NET_FAILED && event.failure.kind != ERR_SYSTEM)
			*e = event.failure;
		break;
	}
	return refuse(im, e);
}

static int on_answer(struct import *im, struct err *e)
{
	struct net_event event;

	if (net_client_receive(&im->client, &event, e) < 0)
		return -1;
	if (event.type == NET_PROGRESS)
		return 0;
	im->answered = true;
	if (event.type == NET_DONE)
		return 0;
	/* Most likely the unpacker has gone, which knows better why. */
	if (event.failure.kind != ERR_SYSTEM || im->unpacked ||
		unpack_finish(&im->unpack, &im->result, e) == 0)
		*e = event.failure;
	return refuse(im, e);
}

static int pass_on(struct import *im, struct err *e)
{
	ssize_t n = write(im->to, im->piece + im->sent, im->filled - im->sent);

	if (n > 0)
		im->sent += (size_t)n;
	else if (n < 0 && errno == EPIPE)
		close_fd(&im->to); /* whoever read it says why */
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		return err_errno(e, errno, "cannot pass the archive on");
	return 0;
}

static int wait_and_act(struct import *im, struct err *e)
{
	bool full = im->sent < im->filled;

	if (!full && im->ended)
		close_fd(&im->to);
	struct pollfd polled[] = {
		{.fd = im->signals, .events = POLLIN},
		{.fd = im->request && !im->answered ? im->client.socket : -1, .events = POLLIN},
		{.fd = im->unpacked ? -1 : im->unpack.result, .events = POLLIN},
		{.fd = full ? im->to : -1, .events = POLLOUT},
		{.fd = im->to >= 0 && !full ? im->options->input : -1, .events = POLLIN},
	};

	if (poll(polled, sizeof polled / sizeof *polled, -1) < 0)
		return errno == EINTR ? 0 : err_errno(e, errno, "cannot wait");
	if (polled[0].revents)
		return interrupted(e);
	if (polled[1].revents)
		return on_answer(im, e);
	if (polled[2].revents)
		return on_unpacked(im, e);
	if (polled[3].revents)
		return pass_on(im, e);
	if (!polled[4].revents)
		return 0;
	im->filled = im->sent = 0;
	return read_more(im, e);
}

static void warn(const struct import *im)
{
	const struct unpack_result *r = &im->result;

	if (r->devices)
		log_warning("%llu device files of %s are not in the image", (unsigned long long)r->devices,
			im->options->source);
}

static int make_layer(struct import *im, struct err *e)
{
	struct layer *layer = &im->stage.layer;

	if (layer_begin(&im->engine->store, NULL, NULL, &im->stage, e) < 0 || start(im, e) < 0)
		return -1;
	while (!im->unpacked || (im->request && !im->answered))
		if (wait_and_act(im, e) < 0)
			return -1;
	if (!layer->entries)
		return err_set(
			e, ERR_INVALID, 0, "cannot import %s: there is nothing in it", im->options->source);
	oci_chain_id(NULL, &layer->diff_id, &layer->chain_id);
	return layer_seal(&im->engine->store, &im->stage, NULL, e);
}

/* ---- the image ---- */

/* Before anything is read: what is wrong with the words is said at once. */
static int prepare(struct import *im, struct err *e)
{
	const struct import_options *options = im->options;
	struct arena *arena = im->engine->arena;
	auto_buf struct buf changes = {0};

	im->config = (struct oci_config){
		.created = time_now(), .user = "", .working_dir = "", .stop_signal = "", .hostname = ""};
	if (options->name &&
		(reference_parse(arena, options->name, &im->reference, e) < 0 ||
			(im->reference.digest ? err_set(e, ERR_INVALID, 0,
							"refusing to create a tag with a digest reference")
					      : 0) < 0 ||
			(reference_default_tag(&im->reference), reference_check_new(&im->reference, e)) < 0))
		return -1;
	oci_platform_host(&im->config.platform);
	if (options->platform && oci_platform_parse(options->platform, &im->config.platform, e) < 0)
		return -1;
	for (size_t i = 0; i < options->changes.count; i++)
		buf_printf(&changes, "%s\n", options->changes.items[i]);
	return changes.length ? oci_change_apply(arena, changes.data, &im->config, e) : 0;
}

static int add_image(struct import *im, const struct layer *layer, struct oci_digest *id, struct err *e)
{
	struct arena *arena = im->engine->arena;
	auto_buf struct buf document = {0};
	struct oci_digest diff_id = layer->diff_id;
	struct oci_history history = {
		.created = im->config.created,
		.comment = im->options->message && *im->options->message
				   ? im->options->message
				   : arena_printf(arena, "Imported from %s", im->options->source),
	};
	struct image_layer image_layer = {
		.diff_id = layer->diff_id, .chain_id = layer->chain_id, .size = layer->size};
	struct image image = {
		.created = history.created,
		.tagged = TIME_NONE,
		.platform = im->config.platform,
		.size = layer->size,
		.layers = &image_layer,
		.layer_count = 1,
	};
	struct image_names_given names = {
		.references = &im->reference, .count = im->options->name != NULL, .synced = false};

	im->config.history = &history;
	im->config.history_count = 1;
	im->config.diff_ids = &diff_id;
	im->config.layer_count = 1;
	oci_config_write(&document, &im->config);
	if (blob_write(&im->engine->store, document.data, document.length, &image.id, e) < 0 ||
		image_add(&im->engine->store, &image, &names, e) < 0)
		return -1;
	*id = image.id;
	return 0;
}

static int import_locked(struct import *im, struct oci_digest *id, struct err *e)
{
	struct store *store = &im->engine->store;

	if (store_lock(store, STORE_SHARED, e) < 0)
		return -1;
	int rc = make_layer(im, e);
	struct layer layer = im->stage.layer;
	if (rc == 0)
		rc = store_sync(store, e);
	if (rc == 0)
		rc = layer_publish(store, &im->stage, e);
	if (rc == 0)
		rc = add_image(im, &layer, id, e);
	unpack_stop(&im->unpack);
	net_client_stop(&im->client);
	layer_drop(store, &im->stage);
	store_unlock(store);
	return rc;
}

int engine_import(
	struct engine *engine, const struct import_options *options, struct oci_digest *id, struct err *e)
{
	struct store *store = &engine->store;
	struct interrupt interrupt;
	auto_free char *piece = malloc(PIECE);
	struct import im = {
		.engine = engine,
		.options = options,
		.client = NET_CLIENT_NONE,
		.unpack.result = -1,
		.to = -1,
		.piece = piece,
	};

	if (!piece)
		return err_errno(e, ENOMEM, "cannot import");
	if (prepare(&im, e) < 0 || driver_use(store, engine->config->driver, e) < 0)
		return -1;
	store_sweep(store);
	engine_collect_garbage(engine);
	if (interrupt_begin(&interrupt, e) < 0)
		return -1;
	im.signals = interrupt.fd;
	int rc = import_locked(&im, id, e);
	interrupt_end(&interrupt, rc < 0 && e->kind == ERR_INTERRUPTED);
	close_fd(&im.to);
	if (rc == 0)
		warn(&im);
	return rc;
}
