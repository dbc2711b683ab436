/* pull_layers.c - the layers of one image, several at once: see pull.h. */
#include "engine/pull_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "store/blob.h"
#include "engine/pull_stage.h"
#include "store/unpack.h"

enum {
	AT_ONCE = NET_PARALLEL, /* layers on their way */
	PIPE = 1 << 20,
	BUSY_MS = 200, /* between two looks at a layer that another brig pulls */
};

enum work_state {
	WORK_WAITING,
	WORK_BUSY,    /* another brig pulls it */
	WORK_RUNNING, /* brig-net and the unpacker are at it */
	WORK_WHOLE,   /* in staging, verified */
	WORK_HERE,    /* has its name */
};

struct work {
	enum work_state state;
	uint32_t request;
	bool fetched, unpacked;
	int lock; /* of the chain id, while it is ours; -1 */
	bool with_blob;
	struct blob_stage blob;
	struct pull_stage tree;
	struct unpack unpack;
	struct unpack_result result;
};

struct crowd {
	const struct pull_layers *pull;
	struct work *works;
	size_t count;
	size_t running;
	bool synced;
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

/* The byte that stands for a chain id: 62 bits of it. Two that share one merely wait. */
static off_t lock_place(const struct oci_digest *chain)
{
	char hex[17];
	memcpy(hex, oci_digest_hex(chain), 16);
	hex[16] = '\0';
	return (off_t)(strtoull(hex, NULL, 16) >> 2);
}

/* 1: ours now; 0: another brig's; -1. */
static int try_lock(const struct crowd *c, size_t i, struct err *e)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = lock_place(&c->pull->chains[i]),
		.l_len = 1,
	};
	auto_close int fd = fd_open(c->pull->store->root, "lock", O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0)
		return err_errno(e, fd, "cannot open the store's lock");
	/* A lock of this open file alone, so that each layer has one and closing it is enough. */
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return 0;
		return err_errno(e, errno, "cannot lock a layer");
	}
	c->works[i].lock = steal_fd(&fd);
	return 1;
}

/* Forgets what is on its way; whole work stays. */
static void drop(struct crowd *c, size_t i)
{
	struct work *w = &c->works[i];

	if (w->state == WORK_RUNNING)
		c->running--;
	unpack_stop(&w->unpack);
	pull_stage_drop(c->pull->store, &w->tree);
	if (w->with_blob)
		blob_drop(c->pull->store, &w->blob);
	w->with_blob = false;
	close_fd(&w->lock);
	w->state = WORK_WAITING;
}

/* Asks brig-net for the layer, its tar into the pipe: from the kept blob where there is one. */
static int request(struct crowd *c, size_t i, int tar, struct err *e)
{
	const struct pull_layers *p = c->pull;
	struct work *w = &c->works[i];
	const struct oci_descriptor *d = &p->manifest->layers[i];
	int64_t size;
	int id;

	if (blob_has(p->store, &d->digest, &size) && size == d->size) {
		/* That it is intact, the diff_id will tell. */
		auto_close int fd = blob_open(p->store, &d->digest, e);
		if (fd < 0)
			return -1;
		id = net_client_inflate(p->client, fd, tar, e);
	} else {
		if (blob_stage(p->store, &w->blob, e) < 0)
			return -1;
		w->with_blob = true;
		id = net_client_get_blob(
			p->client, p->repository, d->digest.text, d->size, w->blob.fd, tar, e);
	}
	if (id < 0)
		return -1;
	w->request = (uint32_t)id;
	return 0;
}

static int start(struct crowd *c, size_t i, struct err *e)
{
	const struct pull_layers *p = c->pull;
	struct work *w = &c->works[i];
	int ends[2];

	int r = try_lock(c, i, e);
	if (r < 0)
		return -1;
	if (r == 0) {
		if (w->state != WORK_BUSY)
			tell(c, PULL_LAYER_BUSY, i, 0, 0);
		w->state = WORK_BUSY;
		return 0;
	}
	/* Who had the lock may have brought it. */
	if (pull_stage_has(p->store, &p->chains[i])) {
		close_fd(&w->lock);
		w->state = WORK_HERE;
		tell(c, PULL_LAYER_COMPLETE, i, 0, 0);
		return 0;
	}
	w->state = WORK_RUNNING;
	w->fetched = w->unpacked = false;
	c->running++;
	if (pull_stage_make(p->store, &w->tree, e) < 0)
		return -1;
	r = fd_pipe(ends, 0);
	if (r < 0)
		return err_errno(e, r, "cannot make a pipe");
	auto_close int read_end = ends[0], write_end = ends[1];
	fcntl(write_end, F_SETPIPE_SZ, PIPE);
	if (request(c, i, write_end, e) < 0)
		return -1;
	/* Before the unpacker is made: a copy there would keep it from ever seeing the end. */
	close_fd(&write_end);
	struct unpack_options options = {
		.input = read_end,
		.directory = w->tree.tree,
		.whiteouts = w->tree.whiteouts,
		.one_owner = w->tree.one_owner,
		.compressed_size = (uint64_t)p->manifest->layers[i].size,
	};
	return unpack_start(&options, &w->unpack, e);
}

/* The layer is whole in staging, if its bytes are those that the config names. */
static int judge(struct crowd *c, size_t i, struct err *e)
{
	struct work *w = &c->works[i];
	struct oci_digest diff;

	oci_digest_from_sha256(w->result.diff_id, &diff);
	if (!oci_digest_equal(&diff, &c->pull->config->diff_ids[i])) {
		err_set(e, ERR_CORRUPT, 0,
			"layer %.19s does not hold what the image's config says (its diff_id is %.19s, not "
			"%.19s)",
			c->pull->manifest->layers[i].digest.text, diff.text,
			c->pull->config->diff_ids[i].text);
		return err_hint(e, "the image is damaged or forged; nothing of the layer was kept");
	}
	c->running--;
	w->state = WORK_WHOLE;
	tell(c, PULL_LAYER_COMPLETE, i, 0, 0);
	return 0;
}

static ssize_t find_request(const struct crowd *c, uint32_t id)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->works[i].state == WORK_RUNNING && c->works[i].request == id)
			return (ssize_t)i;
	return -1;
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
		if (event.progress.state == NET_STATE_WAITING)
			tell(c, PULL_LAYER_RETRY, i, event.progress.done, event.progress.seconds);
		else
			tell(c, PULL_LAYER_PROGRESS, i, event.progress.done, 0);
		return 0;
	}
	if (event.type == NET_FAILED) {
		/* Most likely the unpacker has gone, which knows better why. */
		if (!w->unpacked && unpack_finish(&w->unpack, &w->result, e) < 0)
			return -1;
		*e = event.failure;
		return -1;
	}
	w->fetched = true;
	log_trace("brig-net", "layer %zu is fetched", i);
	tell(c, PULL_LAYER_FETCHED, i, event.done.size, 0);
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

	if (unpack_finish(&w->unpack, &w->result, e) < 0)
		return blame(c, i, e);
	w->unpacked = true;
	log_trace("unpacker", "layer %zu has %llu entries", i, (unsigned long long)w->result.entries);
	return w->fetched ? judge(c, i, e) : 0;
}

/* Gives whole layers their names, after one sync, and releases their locks. */
static int publish(struct crowd *c, struct err *e)
{
	struct store *store = c->pull->store;
	bool any = false;

	for (size_t i = 0; i < c->count; i++)
		any = any || c->works[i].state == WORK_WHOLE;
	if (!any)
		return 0;
	if (store_sync(store, e) < 0)
		return -1;
	c->synced = true;
	log_trace("parent", "synced");
	for (size_t i = 0; i < c->count; i++) {
		struct work *w = &c->works[i];
		if (w->state != WORK_WHOLE)
			continue;
		if (w->with_blob &&
			blob_publish(store, &w->blob, &c->pull->manifest->layers[i].digest, true, e) < 0)
			return -1;
		w->with_blob = false;
		struct pull_stage_facts facts = {
			.chain = c->pull->chains[i],
			.diff = c->pull->config->diff_ids[i],
			.size = (int64_t)w->result.file_size,
		};
		if (pull_stage_publish(store, &w->tree, &facts, e) < 0)
			return -1;
		close_fd(&w->lock);
		w->state = WORK_HERE;
	}
	return 0;
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
		size_t left = 0;
		bool busy = false;
		for (size_t i = 0; i < c->count; i++) {
			struct work *w = &c->works[i];
			bool startable = w->state == WORK_WAITING || w->state == WORK_BUSY;
			if (startable && c->running < AT_ONCE && start(c, i, e) < 0)
				return -1;
			left += w->state == WORK_WAITING || w->state == WORK_BUSY || w->state == WORK_RUNNING;
			busy = busy || w->state == WORK_BUSY;
		}
		if (!left)
			return 0;
		/* Nobody may wait for us while we wait for him. */
		if (!c->running && publish(c, e) < 0)
			return -1;
		if (wait_and_act(c, busy, e) < 0)
			return -1;
	}
}

int pull_layers(
	const struct pull_layers *pull, struct arena *arena, int64_t *sizes, bool *synced, struct err *e)
{
	struct crowd c = {.pull = pull, .count = pull->manifest->count};
	struct err late = {0};

	c.works = arena_array(arena, c.count, sizeof *c.works);
	for (size_t i = 0; i < c.count; i++) {
		struct work *w = &c.works[i];
		w->lock = -1;
		w->unpack = (struct unpack){.result = -1};
		w->tree = PULL_STAGE_NONE;
		bool here = pull_stage_has(pull->store, &pull->chains[i]);
		w->state = here ? WORK_HERE : WORK_WAITING;
		tell(&c, here ? PULL_LAYER_EXISTS : PULL_LAYER_PENDING, i, 0, 0);
	}
	int r = run(&c, e);
	if (r < 0) {
		/* What is under way ends here. */
		net_client_stop(pull->client);
		for (size_t i = 0; i < c.count; i++)
			if (c.works[i].state == WORK_RUNNING)
				drop(&c, i);
	}
	if (publish(&c, r < 0 ? &late : e) < 0)
		r = -1;
	for (size_t i = 0; i < c.count; i++)
		if (c.works[i].state != WORK_HERE)
			drop(&c, i);
	*synced = c.synced;
	for (size_t i = 0; r == 0 && i < c.count; i++)
		r = pull_stage_size(pull->store, &pull->chains[i], &sizes[i], e);
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
