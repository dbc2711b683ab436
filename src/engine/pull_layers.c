/* pull_layers.c - the layers of one image, several at once: see pull.h. */
#include "engine/pull_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sha256.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/layer.h"
#include "store/unpack.h"

enum {
	AT_ONCE = NET_PARALLEL, /* layers on their way */
	PIPE = 1 << 20,
	HASH_PIECE = 256 << 10,
	BUSY_MS = 200, /* between two looks at a layer that another brig makes */
};

/*
 * Where the driver puts layers together when it mounts, a layer goes from WAITING to RUNNING.
 * Where its trees hold what is below them (`stacked`), a tree can only be begun when the one
 * below has its name: then all are downloaded first (FETCHING, KEPT) and unpacked one by one.
 */
enum work_state {
	WORK_WAITING,
	WORK_FETCHING, /* brig-net downloads it into staging */
	WORK_KEPT,     /* its blob is in staging or in the store */
	WORK_RUNNING,  /* brig-net and the unpacker are at it */
	WORK_WHOLE,    /* its tree is in staging, verified */
	WORK_HERE,     /* it has its name */
};

/* Compressed bytes after which the disk is set to work: a tenth of a second of a fast registry. */
enum { WRITE_OUT = 10 << 20 };

struct work {
	enum work_state state;
	int64_t done; /* bytes of it that were downloaded */
	bool busy;    /* another brig makes it: to be looked at again */
	uint32_t request;
	bool fetched, unpacked;
	bool with_blob; /* a blob in staging, whole if fetched */
	struct blob_stage blob;
	struct layer_stage tree;
	struct unpack unpack;
	struct unpack_result result;
};

struct crowd {
	const struct pull_layers *pull;
	struct work *works;
	size_t count;
	size_t running; /* FETCHING and RUNNING ones */
	bool stacked;
	bool synced;
	int64_t behind; /* bytes since the disk was last set to work */
	pid_t writer;
};

static void tell(const struct crowd *c, enum pull_event_kind kind, size_t i, int64_t done, unsigned seconds)
{
	const struct oci_descriptor *blob = &c->pull->manifest->layers[i];
	char id[13];

	if (!c->pull->options->tell)
		return;
	memcpy(id, oci_digest_hex(&blob->digest), 12);
	id[12] = '\0';
	struct pull_event event = {
		.kind = kind,
		.layers = c->count,
		.layer = i,
		.id = id,
		.done = done,
		.total = blob->size,
		.seconds = seconds,
	};
	c->pull->options->tell(c->pull->options->context, &event);
}

static void set_state(struct crowd *c, size_t i, enum work_state state)
{
	struct work *w = &c->works[i];
	bool was = w->state == WORK_FETCHING || w->state == WORK_RUNNING;
	bool is = state == WORK_FETCHING || state == WORK_RUNNING;

	c->running = c->running - was + is;
	w->state = state;
}

/* Forgets the tree that is on its way or whole in staging. */
static void drop_tree(struct crowd *c, size_t i)
{
	unpack_stop(&c->works[i].unpack);
	layer_drop(c->pull->store, &c->works[i].tree);
}

static void drop_blob(struct crowd *c, size_t i)
{
	if (c->works[i].with_blob)
		blob_drop(c->pull->store, &c->works[i].blob);
	c->works[i].with_blob = false;
}

/* Whether the bytes in the blob's file are those that its name says. */
static bool is_sound(struct store *store, const struct oci_digest *digest)
{
	struct err ignored;
	struct sha256 sha;
	unsigned char raw[SHA256_SIZE];
	struct oci_digest is;
	auto_free char *bytes = malloc(HASH_PIECE);
	auto_close int fd = blob_open(store, digest, &ignored);
	ssize_t n = -1;

	if (!bytes)
		abort();
	sha256_init(&sha);
	while (fd >= 0 && (n = fd_read_full(fd, bytes, HASH_PIECE)) > 0)
		sha256_update(&sha, bytes, (size_t)n);
	sha256_final(&sha, raw);
	oci_digest_from_sha256(raw, &is);
	return n == 0 && oci_digest_equal(&is, digest);
}

/* Whether its blob is in the store, intact: an earlier pull left it there. One that is damaged is
 * of use to nobody, and goes, so that the one that will be downloaded gets the name. */
static bool is_in_store(struct crowd *c, size_t i)
{
	const struct oci_descriptor *d = &c->pull->manifest->layers[i];
	struct store *store = c->pull->store;
	struct err ignored;

	if (!blob_has(store, &d->digest, NULL))
		return false;
	if (is_sound(store, &d->digest))
		return true;
	log_warning("the kept blob %.19s was damaged, and is downloaded anew", d->digest.text);
	blob_remove(store, &d->digest, &ignored);
	return false;
}

/* Has brig-net download the layer into staging, what is in it into the pipe tar where that is
 * not -1. */
static int request_download(struct crowd *c, size_t i, int tar, struct err *e)
{
	const struct pull_layers *p = c->pull;
	struct work *w = &c->works[i];
	const struct oci_descriptor *d = &p->manifest->layers[i];

	if (blob_stage(p->store, &w->blob, e) < 0)
		return -1;
	w->with_blob = true;
	int id = net_client_get_blob(p->client, p->repository, d->digest.text, d->size, w->blob.fd, tar, e);
	w->request = (uint32_t)id;
	return id < 0 ? -1 : 0;
}

/* Has it inflate the blob that was downloaded, or is in the store. */
static int request_inflation(struct crowd *c, size_t i, int tar, struct err *e)
{
	const struct pull_layers *p = c->pull;
	struct work *w = &c->works[i];
	auto_close int kept = -1;
	int fd;

	if (w->with_blob) {
		fd = w->blob.fd;
		if (lseek(fd, 0, SEEK_SET) < 0)
			return err_errno(e, errno, "cannot read a layer in %s", p->store->path);
	} else {
		fd = kept = blob_open(p->store, &p->manifest->layers[i].digest, e);
		if (fd < 0)
			return -1;
	}
	int id = net_client_inflate(p->client, fd, tar, e);
	w->request = (uint32_t)id;
	return id < 0 ? -1 : 0;
}

/* Begins the layer's tree, and has it filled. */
static int start_tree(struct crowd *c, size_t i, struct err *e)
{
	const struct pull_layers *p = c->pull;
	struct work *w = &c->works[i];
	int ends[2];

	int r = layer_try_begin(p->store, &p->chains[i], i ? &p->chains[i - 1] : NULL, &w->tree, e);
	if (r < 0)
		return -1;
	if (r == 2 && !w->busy)
		tell(c, PULL_LAYER_BUSY, i, 0, 0);
	w->busy = r == 2;
	if (r == 2)
		return 0;
	if (r == 0) {
		/* Another brig has made it meanwhile. */
		drop_blob(c, i);
		set_state(c, i, WORK_HERE);
		tell(c, PULL_LAYER_COMPLETE, i, 0, 0);
		return 0;
	}
	bool inflate = w->state == WORK_KEPT || is_in_store(c, i);
	set_state(c, i, WORK_RUNNING);
	w->fetched = w->unpacked = false;
	r = fd_pipe(ends, 0);
	if (r < 0)
		return err_errno(e, r, "cannot make a pipe");
	auto_close int read_end = ends[0], write_end = ends[1];
	fcntl(write_end, F_SETPIPE_SZ, PIPE);
	if ((inflate ? request_inflation(c, i, write_end, e) : request_download(c, i, write_end, e)) < 0)
		return -1;
	/* Before the unpacker is made: a copy there would keep it from ever seeing the end. */
	close_fd(&write_end);
	struct unpack_options options = {
		.input = read_end,
		.one_owner = p->one_owner,
		.compressed_size = (uint64_t)p->manifest->layers[i].size,
	};
	return layer_unpack(&w->tree, options, &w->unpack, e);
}

/* Does what can be done next for a layer. */
static int advance(struct crowd *c, size_t i, struct err *e)
{
	struct work *w = &c->works[i];

	if (!c->stacked)
		return w->state == WORK_WAITING && c->running < AT_ONCE ? start_tree(c, i, e) : 0;
	if (w->state == WORK_WAITING && is_in_store(c, i))
		set_state(c, i, WORK_KEPT);
	if (w->state == WORK_WAITING && c->running < AT_ONCE) {
		set_state(c, i, WORK_FETCHING);
		if (request_download(c, i, -1, e) < 0)
			return -1;
	}
	if (w->state == WORK_KEPT && (i == 0 || c->works[i - 1].state == WORK_HERE))
		return start_tree(c, i, e);
	return 0;
}

/* The tree is whole, if its bytes are those that the config names. */
static int judge(struct crowd *c, size_t i, struct err *e)
{
	struct work *w = &c->works[i];
	const struct oci_digest *wanted = &c->pull->config->diff_ids[i], *is = &w->tree.layer.diff_id;
	const char *blob = c->pull->manifest->layers[i].digest.text;

	if (!oci_digest_equal(is, wanted)) {
		/* What was downloaded is what the manifest says; but of no use. */
		drop_blob(c, i);
		err_set(e, ERR_CORRUPT, 0,
			"layer %.19s does not hold what the image's config says (its diff_id is %.19s, not "
			"%.19s)",
			blob, is->text, wanted->text);
		return err_hint(e, "the image is damaged or forged; nothing of the layer was kept");
	}
	w->tree.layer.blob = c->pull->manifest->layers[i].digest;
	if (w->result.devices)
		log_warning("layer %.19s: %llu device files are left out", blob,
			(unsigned long long)w->result.devices);
	set_state(c, i, WORK_WHOLE);
	tell(c, PULL_LAYER_COMPLETE, i, 0, 0);
	return 0;
}

static ssize_t find_request(const struct crowd *c, uint32_t id)
{
	for (size_t i = 0; i < c->count; i++)
		if ((c->works[i].state == WORK_RUNNING || c->works[i].state == WORK_FETCHING) &&
			c->works[i].request == id)
			return (ssize_t)i;
	return -1;
}

/* What is on its way to the disk while more comes need not be waited for in the end: another
 * process syncs what there is by now. A kill of it loses nothing but the time. */
static void write_out(struct crowd *c)
{
	if (c->behind < WRITE_OUT || (c->writer > 0 && waitpid(c->writer, NULL, WNOHANG) == 0))
		return;
	c->behind = 0;
	c->writer = fork();
	if (c->writer == 0) {
		struct err ignored;
		_exit(store_sync(c->pull->store, &ignored) < 0);
	}
}

static int on_event(struct crowd *c, struct err *e)
{
	struct net_event event;

	if (net_client_receive(c->pull->client, &event, e) < 0)
		return -1;
	ssize_t found = find_request(c, event.id);
	if (event.type == NET_FAILED && (found < 0 || event.failure.kind != ERR_SYSTEM)) {
		*e = event.failure;
		return -1;
	}
	if (found < 0)
		return 0;
	size_t i = (size_t)found;
	struct work *w = &c->works[i];
	if (event.type == NET_PROGRESS) {
		if (event.progress.done > w->done)
			c->behind += event.progress.done - w->done;
		w->done = event.progress.done;
		write_out(c);
		if (event.progress.state == NET_STATE_WAITING)
			tell(c, PULL_LAYER_RETRY, i, event.progress.done, event.progress.seconds);
		else
			tell(c, PULL_LAYER_PROGRESS, i, event.progress.done, 0);
		return 0;
	}
	if (event.type == NET_FAILED) {
		/* Most likely the unpacker has gone, which knows better why. */
		if (w->state == WORK_RUNNING && !w->unpacked &&
			layer_unpacked(&w->tree, &w->unpack, NULL, &w->result, e) < 0)
			return -1;
		*e = event.failure;
		return -1;
	}
	w->fetched = true;
	log_trace("brig-net", "layer %zu is fetched", i);
	/* Of one that was kept, the download was told of before. */
	if (w->state == WORK_FETCHING || !c->stacked)
		tell(c, PULL_LAYER_FETCHED, i, event.done.size, 0);
	if (w->state == WORK_FETCHING)
		set_state(c, i, WORK_KEPT);
	return w->unpacked ? judge(c, i, e) : 0;
}

/* The unpacker gave up on layer i: unless it was brig-net that stopped, and says so in a moment. */
static int blame(struct crowd *c, size_t i, struct err *e)
{
	struct pollfd socket = {.fd = c->pull->client->socket, .events = POLLIN};
	struct net_event event;
	struct err other;

	while (!c->works[i].fetched && poll(&socket, 1, 100) > 0 &&
		net_client_receive(c->pull->client, &event, &other) == 0) {
		if (event.id != c->works[i].request)
			continue;
		if (event.type == NET_FAILED && event.failure.kind != ERR_SYSTEM)
			*e = event.failure;
		if (event.type != NET_PROGRESS)
			break;
	}
	return -1;
}

static int on_unpacked(struct crowd *c, size_t i, struct err *e)
{
	struct work *w = &c->works[i];

	if (layer_unpacked(&w->tree, &w->unpack, NULL, &w->result, e) < 0)
		return blame(c, i, e);
	w->unpacked = true;
	log_trace("unpacker", "layer %zu has %llu entries", i, (unsigned long long)w->result.entries);
	return w->fetched ? judge(c, i, e) : 0;
}

/* Seals, after one sync names, the whole layers from `first` that stand on named ones, and with
 * them the blobs. */
static int publish_trees(struct crowd *c, size_t first, size_t end, struct err *e)
{
	struct store *store = c->pull->store;

	for (size_t i = first; i < end; i++)
		if (layer_seal(store, &c->works[i].tree, i > first ? &c->works[i - 1].tree : NULL, e) < 0)
			return -1;
	if (store_sync(store, e) < 0)
		return -1;
	c->synced = true;
	log_trace("parent", "synced");
	for (size_t i = first; i < end; i++) {
		struct work *w = &c->works[i];
		if (w->with_blob &&
			blob_publish(store, &w->blob, &c->pull->manifest->layers[i].digest, true, e) < 0)
			return -1;
		w->with_blob = false;
		if (layer_publish(store, &w->tree, e) < 0)
			return -1;
		set_state(c, i, WORK_HERE);
	}
	int r = store_sync_folder(store_folder(store, STORE_LAYERS, e));
	return r < 0 ? err_errno(e, r, "cannot sync the layers in %s", store->path) : 0;
}

/* Gives names to what is whole and stands on what has its name. */
static int publish(struct crowd *c, struct err *e)
{
	for (size_t i = 0; i < c->count; i++) {
		size_t end = i;
		if (c->works[i].state == WORK_HERE)
			continue;
		while (end < c->count && c->works[end].state == WORK_WHOLE)
			end++;
		if (end == i)
			return 0;
		if (publish_trees(c, i, end, e) < 0)
			return -1;
		i = end - 1;
	}
	return 0;
}

/* Of what cannot have its name, as something below is missing, the blobs are kept: the next
 * pull need not download them. */
static void keep_blobs(struct crowd *c)
{
	struct err ignored;

	for (size_t i = 0; i < c->count; i++) {
		struct work *w = &c->works[i];
		if (w->with_blob && w->fetched &&
			blob_publish(c->pull->store, &w->blob, &c->pull->manifest->layers[i].digest, false,
				&ignored) == 0)
			w->with_blob = false;
	}
}

static int wait_and_act(struct crowd *c, bool busy, struct err *e)
{
	struct pollfd polled[2 + AT_ONCE];
	size_t who[2 + AT_ONCE], n = 2;

	polled[0] = (struct pollfd){.fd = c->pull->signals, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = c->pull->client->socket, .events = POLLIN};
	for (size_t i = 0; i < c->count && n < 2 + AT_ONCE; i++)
		if (c->works[i].state == WORK_RUNNING && !c->works[i].unpacked) {
			who[n] = i;
			polled[n++] = (struct pollfd){.fd = c->works[i].unpack.result, .events = POLLIN};
		}
	if (poll(polled, n, busy ? BUSY_MS : -1) < 0)
		return errno == EINTR ? 0 : err_errno(e, errno, "cannot wait");
	if (polled[0].revents)
		return err_set(e, ERR_INTERRUPTED, 0, "the pull was interrupted");
	if (polled[1].revents && on_event(c, e) < 0)
		return -1;
	for (size_t k = 2; k < n; k++)
		/* on_event may have taken it already. */
		if (polled[k].revents && c->works[who[k]].state == WORK_RUNNING &&
			!c->works[who[k]].unpacked && on_unpacked(c, who[k], e) < 0)
			return -1;
	return 0;
}

static int run(struct crowd *c, struct err *e)
{
	for (;;) {
		bool busy = false, left = false;
		for (size_t i = 0; i < c->count; i++) {
			if (advance(c, i, e) < 0)
				return -1;
			busy = busy || c->works[i].busy;
			left = left || c->works[i].state < WORK_WHOLE;
		}
		if (!left)
			return 0;
		/* Nobody may wait for us while we wait for him; and where trees are stacked the next
		 * one needs its name. */
		bool more = false;
		if (!c->running || c->stacked) {
			size_t had = 0, has = 0;
			for (size_t i = 0; i < c->count; i++)
				had += c->works[i].state == WORK_HERE;
			if (publish(c, e) < 0)
				return -1;
			for (size_t i = 0; i < c->count; i++)
				has += c->works[i].state == WORK_HERE;
			more = has > had;
		}
		if (!more && wait_and_act(c, busy, e) < 0)
			return -1;
	}
}

/* Waits for nothing any more. */
static void stop(struct crowd *c)
{
	net_client_stop(c->pull->client);
	for (size_t i = 0; i < c->count; i++)
		if (c->works[i].state == WORK_RUNNING || c->works[i].state == WORK_FETCHING) {
			drop_tree(c, i);
			set_state(c, i, WORK_WAITING);
		}
}

int pull_layers(
	const struct pull_layers *pull, struct arena *arena, int64_t *sizes, bool *synced, struct err *e)
{
	struct crowd c = {
		.pull = pull,
		.count = pull->manifest->count,
		.stacked = pull->store->driver->whiteouts == UNPACK_WHITEOUTS_APPLY,
	};
	struct err late = {0};

	c.works = arena_array(arena, c.count, sizeof *c.works);
	for (size_t i = 0; i < c.count; i++) {
		bool here = layer_has(pull->store, oci_digest_hex(&pull->chains[i]));
		c.works[i].unpack = (struct unpack){.result = -1};
		c.works[i].state = here ? WORK_HERE : WORK_WAITING;
		tell(&c, here ? PULL_LAYER_EXISTS : PULL_LAYER_PENDING, i, 0, 0);
	}
	int r = run(&c, e);
	if (r < 0)
		stop(&c);
	if (publish(&c, r < 0 ? &late : e) < 0)
		r = -1;
	if (r < 0)
		keep_blobs(&c);
	for (size_t i = 0; i < c.count; i++) {
		drop_tree(&c, i);
		drop_blob(&c, i);
	}
	if (c.writer > 0)
		waitpid(c.writer, NULL, 0);
	*synced = c.synced;
	for (size_t i = 0; r == 0 && i < c.count; i++) {
		struct layer layer;
		r = layer_read(pull->store, oci_digest_hex(&pull->chains[i]), &layer, e);
		if (r == 0)
			sizes[i] = layer.size;
	}
	return r;
}

int pull_wait(struct net_client *client, int signals, uint32_t id, struct net_event *event, struct err *e)
{
	for (;;) {
		struct pollfd polled[2] = {
			{.fd = signals, .events = POLLIN}, {.fd = client->socket, .events = POLLIN}};
		if (poll(polled, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_errno(e, errno, "cannot wait");
		}
		if (polled[0].revents)
			return err_set(e, ERR_INTERRUPTED, 0, "the pull was interrupted");
		if (net_client_receive(client, event, e) < 0)
			return -1;
		if (event->type == NET_FAILED && (event->id == id || !event->id)) {
			*e = event->failure;
			return -1;
		}
		if (event->type == NET_DONE && event->id == id)
			return 0;
	}
}
