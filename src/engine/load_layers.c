/* load_layers.c - the layers of an archive's images: see load_layers.h. */
#include "engine/load_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sha256.h"
#include "oci/image.h"
#include "store/blob.h"
#include "store/driver.h"
#include "store/layer.h"

enum {
	ROUND = 48,
	AT_ONCE = 4, /* layers on their way */
	PIPE = 1 << 20,
	PIECE = 256 << 10, /* of a blob that is kept */
	BLAME_MS = 200,
};

/* One layer, or one blob whose layer is there. */
struct work {
	const struct load_source *source;
	const struct oci_digest *parent; /* the chain id below, or NULL */
	size_t depth;
	bool layer_wanted, blob_wanted;

	struct layer_stage stage;
	struct unpack unpack;
	struct unpack_result result;
	bool running, unpacked;
	uint32_t request; /* to brig-net, or 0 */
	bool answered;

	/* The bytes on their way. */
	const struct archive_member *member; /* NULL: from is a blob of the store */
	int from, to;                        /* to: a pipe that does not block; -1: closed */
	uint64_t offset, left;
	int opened; /* from, where it is ours */
	struct sha256 hash;
	struct blob_stage blob;
	char *piece;
	size_t filled, sent;
};

struct crowd {
	const struct load_layers *load;
	struct work *works;
	size_t count;
	struct work *round; /* the works of this round */
	size_t round_count, started, running;
	bool synced;
};

/* ---- what there is to do ---- */

static int compare_works(const void *a, const void *b)
{
	const struct work *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	int order = strcmp(x->source->chain.text, y->source->chain.text);
	return order ? order : strcmp(x->source->blob.text, y->source->blob.text);
}

/* Lists each layer once for each blob that holds it. */
static void list_works(struct crowd *c)
{
	const struct load_plan *plan = c->load->plan;
	size_t total = 0;

	for (size_t i = 0; i < plan->count; i++)
		total += plan->images[i].layer_count;
	c->works = calloc(total + 1, sizeof *c->works);
	if (!c->works)
		abort();
	for (size_t i = 0; i < plan->count; i++)
		for (size_t k = 0; k < plan->images[i].layer_count; k++) {
			const struct load_source *layers = plan->images[i].layers;
			c->works[c->count++] = (struct work){
				.source = &layers[k],
				.parent = k ? &layers[k - 1].chain : NULL,
				.depth = k,
				.unpack = {.result = -1},
				.from = -1,
				.to = -1,
				.opened = -1,
				.blob = {.fd = -1, .stage.fd = -1},
			};
		}
	qsort(c->works, c->count, sizeof *c->works, compare_works);
	size_t kept = 0;
	for (size_t i = 0; i < c->count; i++)
		if (!kept || compare_works(&c->works[kept - 1], &c->works[i]) != 0)
			c->works[kept++] = c->works[i];
	c->count = kept;
}

static bool is_same_chain(const struct work *a, const struct work *b)
{
	return oci_digest_equal(&a->source->chain, &b->source->chain);
}

/* Begins a layer of the round where the store lacks it, and finds its bytes. */
static int begin(struct crowd *c, struct work *w, struct err *e)
{
	const struct load_layers *load = c->load;
	const struct load_source *source = w->source;
	int64_t size;
	struct err missing;

	/* Of two blobs that hold one layer the first is unpacked. */
	bool again = w != c->works && is_same_chain(w - 1, w);
	if (!again) {
		int rc = layer_begin(load->store, &source->chain, w->parent, &w->stage, e);
		if (rc < 0)
			return -1;
		w->layer_wanted = rc == 1;
	}
	bool has_blob = source->blob.text[0] && blob_has(load->store, &source->blob, &size) &&
			size == source->blob_size;
	w->blob_wanted = source->blob.text[0] && !has_blob;
	if (!w->layer_wanted && !w->blob_wanted)
		return 0;
	w->member = archive_find(load->archive, source->member, &missing);
	if (w->member && source->blob.text[0] && (int64_t)w->member->size != source->blob_size)
		return err_set(e, ERR_CORRUPT, 0,
			"cannot load %s: %s in it has %llu bytes, and the manifest says %lld",
			load->archive->name, source->member, (unsigned long long)w->member->size,
			(long long)source->blob_size);
	if (w->member) {
		w->from = load->archive->file;
		w->offset = w->member->offset;
		w->left = w->member->size;
		return 0;
	}
	/* What the store has already need not be there. */
	if (missing.kind == ERR_NOT_FOUND && has_blob) {
		w->opened = w->from = blob_open(load->store, &source->blob, e);
		w->left = (uint64_t)size;
		return w->from < 0 ? -1 : 0;
	}
	if (missing.kind == ERR_NOT_FOUND && !w->layer_wanted) {
		w->blob_wanted = false;
		return 0;
	}
	*e = missing;
	return -1;
}

/* ---- the bytes ---- */

static void stop_pumping(struct work *w)
{
	close_fd(&w->to);
	free(w->piece);
	w->piece = NULL;
}

static int read_failed(const struct crowd *c, ssize_t n, struct err *e)
{
	if (n < 0)
		return err_errno(e, errno, "cannot read %s", c->load->archive->name);
	return err_set(
		e, ERR_INVALID, 0, "cannot load %s: it became shorter meanwhile", c->load->archive->name);
}

/* Reads the next piece, hashes it, and writes it to the blob. */
static int take_piece(struct crowd *c, struct work *w, struct err *e)
{
	size_t want = w->left < PIECE ? (size_t)w->left : PIECE;
	ssize_t n;

	do {
		n = pread(w->from, w->piece, want, (off_t)w->offset);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return read_failed(c, n, e);
	sha256_update(&w->hash, w->piece, (size_t)n);
	int rc = fd_write_full(w->blob.fd, w->piece, (size_t)n);
	if (rc < 0)
		return err_errno(e, rc, "cannot write into the store");
	w->offset += (uint64_t)n;
	w->left -= (uint64_t)n;
	w->filled = (size_t)n;
	w->sent = 0;
	return 0;
}

/* The blob's digest, from the piece that is at hand to the end, must be the manifest's. */
static int check_blob(struct crowd *c, struct work *w, struct err *e)
{
	unsigned char sum[SHA256_SIZE];
	struct oci_digest is;

	while (w->left)
		if (take_piece(c, w, e) < 0)
			return -1;
	sha256_final(&w->hash, sum);
	oci_digest_from_sha256(sum, &is);
	if (oci_digest_equal(&is, &w->source->blob))
		return 0;
	err_set(e, ERR_CORRUPT, 0, "cannot load %s: %s in it has the digest %s", c->load->archive->name,
		w->source->member, is.text);
	return err_hint(e, "the archive is damaged or forged; nothing of it was kept");
}

/* Moves what fits into the pipe. Where its reader has gone, that one knows better why. */
static int pump(struct crowd *c, struct work *w, struct err *e)
{
	ssize_t n;

	if (!w->piece) {
		loff_t offset = (loff_t)w->offset;
		n = splice(w->from, &offset, w->to, NULL, w->left < PIPE ? (size_t)w->left : PIPE,
			SPLICE_F_NONBLOCK);
		if (n == 0)
			return read_failed(c, 0, e);
		if (n > 0) {
			w->offset += (uint64_t)n;
			w->left -= (uint64_t)n;
		}
	} else {
		if (w->sent == w->filled && take_piece(c, w, e) < 0)
			return -1;
		n = write(w->to, w->piece + w->sent, w->filled - w->sent);
		if (n > 0)
			w->sent += (size_t)n;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE)
		return err_errno(e, errno, "cannot pass a layer on");
	if (n < 0 && errno == EPIPE)
		close_fd(&w->to);
	else if (!w->left && (!w->piece || w->sent == w->filled))
		close_fd(&w->to);
	return 0;
}

/* Makes the pipes and starts who reads them. */
static int start_unpacking(struct crowd *c, struct work *w, struct err *e)
{
	const struct load_layers *load = c->load;
	int first[2], second[2];
	int rc = fd_pipe(first, 0);

	if (rc < 0)
		return err_errno(e, rc, "cannot make a pipe");
	auto_close int input = first[0];
	w->to = first[1];
	fcntl(w->to, F_SETPIPE_SZ, PIPE);
	fcntl(w->to, F_SETFL, O_WRONLY | O_NONBLOCK);
	bool compressed = archive_compression_at(w->from, w->offset, w->left) == ARCHIVE_COMPRESSED;
	if (compressed) {
		rc = fd_pipe(second, 0);
		if (rc < 0)
			return err_errno(e, rc, "cannot make a pipe");
		auto_close int out = second[1], in = input;
		input = second[0];
		fcntl(out, F_SETPIPE_SZ, PIPE);
		if (load->client->socket < 0 && net_client_start(load->client, e) < 0)
			return -1;
		int id = net_client_inflate(load->client, in, out, e);
		if (id < 0)
			return -1;
		w->request = (uint32_t)id;
	}
	struct unpack_options options = {
		.input = input,
		.one_owner = load->one_owner,
		.compressed_size = compressed ? w->left : 0,
	};
	if (layer_unpack(&w->stage, options, &w->unpack, e) < 0)
		return -1;
	if (!w->left)
		close_fd(&w->to);
	return 0;
}

/* Starts a work of the round on its way. */
static int start(struct crowd *c, struct work *w, struct err *e)
{
	if (w->blob_wanted) {
		if (blob_stage(c->load->store, &w->blob, e) < 0)
			return -1;
		sha256_init(&w->hash);
		w->piece = malloc(PIECE);
		if (!w->piece)
			abort();
	}
	if (!w->layer_wanted)
		return w->blob_wanted ? check_blob(c, w, e) : 0;
	w->running = true;
	c->running++;
	return start_unpacking(c, w, e);
}

/* ---- what comes of it ---- */

/* The layer is whole in staging if its bytes are those that the config names. */
static int judge(struct crowd *c, struct work *w, struct err *e)
{
	if (!w->unpacked || (w->request && !w->answered))
		return 0;
	w->running = false;
	c->running--;
	if (w->blob_wanted && check_blob(c, w, e) < 0)
		return -1;
	stop_pumping(w);
	w->stage.layer.blob = w->source->blob;
	log_trace("unpacker", "layer %.19s has %llu entries", w->source->chain.text,
		(unsigned long long)w->result.entries);
	return 0;
}

/* A layer could not be unpacked: says what is wrong with it, which a digest tells best. */
static int blame(struct crowd *c, struct work *w, struct err *e)
{
	struct err cause = *e, digest;
	char shown[200];

	if (w->blob_wanted && cause.kind != ERR_NO_SPACE && check_blob(c, w, &digest) < 0 &&
		digest.kind == ERR_CORRUPT) {
		*e = digest;
		return -1;
	}
	err_set(e, cause.kind, 0, "cannot load %s: layer %s: %s", c->load->archive->name,
		err_sanitize(shown, sizeof shown, w->source->member), cause.what);
	e->number = cause.number;
	memcpy(e->hint, cause.hint, sizeof e->hint);
	return -1;
}

static int on_unpacked(struct crowd *c, struct work *w, struct err *e)
{
	struct net_client *client = c->load->client;
	struct pollfd socket = {.fd = client->socket, .events = POLLIN};
	struct net_event event;
	struct err other;

	if (layer_unpacked(&w->stage, &w->unpack, &w->source->diff, &w->result, e) == 0) {
		w->unpacked = true;
		return judge(c, w, e);
	}
	/* Unless it was brig-net that stopped, and says so in a moment. */
	while (w->request && !w->answered && poll(&socket, 1, BLAME_MS) > 0 &&
		net_client_receive(client, &event, &other) == 0) {
		if (event.id != w->request || event.type == NET_PROGRESS)
			continue;
		if (event.type == NET_FAILED && event.failure.kind != ERR_SYSTEM)
			*e = event.failure;
		break;
	}
	return blame(c, w, e);
}

static int on_answer(struct crowd *c, struct err *e)
{
	struct net_event event;
	struct work *w = NULL;

	if (net_client_receive(c->load->client, &event, e) < 0)
		return -1;
	if (event.type == NET_PROGRESS)
		return 0;
	for (size_t i = 0; i < c->round_count; i++)
		if (c->round[i].running && c->round[i].request == event.id)
			w = &c->round[i];
	if (!w)
		return 0;
	w->answered = true;
	if (event.type == NET_DONE)
		return judge(c, w, e);
	/* Most likely the unpacker has gone, which knows better why. */
	if (event.failure.kind != ERR_SYSTEM || w->unpacked || unpack_finish(&w->unpack, &w->result, e) == 0)
		*e = event.failure;
	return blame(c, w, e);
}

static int wait_and_act(struct crowd *c, struct err *e)
{
	struct pollfd polled[2 + 2 * AT_ONCE];
	struct work *who[2 + 2 * AT_ONCE];
	size_t n = 2;

	polled[0] = (struct pollfd){.fd = c->load->signals, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = c->load->client->socket, .events = POLLIN};
	for (size_t i = 0; i < c->round_count && n < 2 + 2 * AT_ONCE; i++) {
		struct work *w = &c->round[i];
		if (!w->running)
			continue;
		who[n] = w;
		polled[n++] = (struct pollfd){.fd = w->unpacked ? -1 : w->unpack.result, .events = POLLIN};
		who[n] = w;
		polled[n++] = (struct pollfd){.fd = w->to, .events = POLLOUT};
	}
	if (poll(polled, (nfds_t)n, -1) < 0)
		return errno == EINTR ? 0 : err_errno(e, errno, "cannot wait");
	if (polled[0].revents)
		return err_set(e, ERR_INTERRUPTED, 0, "the load was interrupted");
	if (polled[1].revents && on_answer(c, e) < 0)
		return -1;
	for (size_t k = 2; k < n; k++) {
		struct work *w = who[k];
		if (!polled[k].revents || !w->running)
			continue;
		/* What came before may have changed it. */
		bool is_pipe = k % 2 == 1;
		if (is_pipe ? w->to >= 0 && pump(c, w, e) < 0 : !w->unpacked && on_unpacked(c, w, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- rounds ---- */

static void drop(struct crowd *c, struct work *w)
{
	unpack_stop(&w->unpack);
	w->unpack = (struct unpack){.result = -1};
	stop_pumping(w);
	close_fd(&w->opened);
	blob_drop(c->load->store, &w->blob);
	layer_drop(c->load->store, &w->stage);
}

static struct work *find_below(struct crowd *c, const struct work *w)
{
	for (size_t i = 0; w->parent && i < c->round_count; i++)
		if (c->round[i].stage.begun && oci_digest_equal(&c->round[i].source->chain, w->parent))
			return &c->round[i];
	return NULL;
}

/* All of the round is whole: gives it its names after one sync. */
static int publish(struct crowd *c, struct err *e)
{
	struct store *store = c->load->store;
	bool any = false;

	for (size_t i = 0; i < c->round_count; i++) {
		struct work *w = &c->round[i];
		any = any || w->layer_wanted || w->blob_wanted;
		struct work *below = w->layer_wanted ? find_below(c, w) : NULL;
		if (w->layer_wanted && layer_seal(store, &w->stage, below ? &below->stage : NULL, e) < 0)
			return -1;
	}
	if (!any)
		return 0;
	if (store_sync(store, e) < 0)
		return -1;
	c->synced = true;
	log_trace("parent", "synced");
	for (size_t i = 0; i < c->round_count; i++) {
		struct work *w = &c->round[i];
		if (w->blob_wanted && blob_publish(store, &w->blob, &w->source->blob, true, e) < 0)
			return -1;
		if (w->layer_wanted && layer_publish(store, &w->stage, e) < 0)
			return -1;
	}
	int folder = store_folder(store, STORE_LAYERS, e);
	int rc = folder < 0 ? 0 : store_sync_folder(folder);
	if (folder >= 0 && rc == 0 && (folder = store_folder(store, STORE_BLOBS, e)) >= 0)
		rc = store_sync_folder(folder);
	if (folder < 0)
		return -1;
	return rc < 0 ? err_errno(e, rc, "cannot sync %s", store->path) : 0;
}

static int run_round(struct crowd *c, struct err *e)
{
	for (size_t i = 0; i < c->round_count; i++)
		if (begin(c, &c->round[i], e) < 0)
			return -1;
	c->started = c->running = 0;
	while (c->started < c->round_count || c->running) {
		while (c->started < c->round_count && c->running < AT_ONCE)
			if (start(c, &c->round[c->started++], e) < 0)
				return -1;
		if (c->running && wait_and_act(c, e) < 0)
			return -1;
	}
	return publish(c, e);
}

int load_layers(const struct load_layers *load, bool *synced, struct err *e)
{
	struct crowd c = {.load = load};
	const size_t at_once = load->store->driver->whiteouts == UNPACK_WHITEOUTS_OVERLAY ? ROUND : 1;
	int rc = 0;

	list_works(&c);
	for (size_t done = 0; rc == 0 && done < c.count; done += c.round_count) {
		c.round = &c.works[done];
		c.round_count = c.count - done < at_once ? c.count - done : at_once;
		rc = run_round(&c, e);
		for (size_t i = c.round_count; i--;)
			drop(&c, &c.round[i]);
	}
	free(c.works);
	*synced = c.synced;
	return rc;
}
