/* main.c - brig-net: takes requests from its socket, works them off in threads. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/fd.h"
#include "registry/confine.h"
#include "registry/protocol.h"
#include "registry/transfer.h"

enum { CA_MAX = 4 << 20, PROGRESS_MS = 100 };

union request {
	struct net_header header;
	struct net_setup setup;
	struct net_get_manifest manifest;
	struct net_get_blob blob;
	struct net_inflate inflate;
	struct net_login login;
};

/* One request that waits or is worked on. */
struct job {
	struct job *next;
	uint32_t type, id;
	char repository[256];
	char reference[160]; /* or digest */
	int64_t size;
	int first, second; /* descriptors, ours; -1 where there is none */
	struct pool *pool;
	int64_t told; /* when progress was last sent, in ms */
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *head, **tail;
	unsigned count; /* of jobs, waiting or worked on */
	unsigned idle, workers, limit;
	struct session *session; /* set once, before the first job that needs it */
};

static void answer_failed(uint32_t id, const struct err *e, unsigned status)
{
	struct net_failed out = {.header = {NET_FAILED, id}, .kind = (uint32_t)e->kind, .status = status};
	memcpy(out.what, e->what, sizeof out.what < sizeof e->what ? sizeof out.what : sizeof e->what);
	memcpy(out.hint, e->hint, sizeof out.hint < sizeof e->hint ? sizeof out.hint : sizeof e->hint);
	fd_send(NET_FD, &out, sizeof out, NULL, 0);
}

static void answer_progress(void *context, int64_t done, int64_t inflated, unsigned seconds)
{
	struct job *job = context;
	struct timespec clock;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &clock);
	int64_t now = clock.tv_sec * 1000 + clock.tv_nsec / 1000000;
	if (!seconds && now - job->told < PROGRESS_MS)
		return;
	job->told = now;
	struct net_progress out = {
		.header = {NET_PROGRESS, job->id},
		.state = seconds ? NET_STATE_WAITING : NET_STATE_RUNNING,
		.seconds = seconds,
		.done = done,
		.inflated = inflated,
	};
	send(NET_FD, &out, sizeof out, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void work_off(struct job *job, struct http **http)
{
	struct session *session = job->pool->session;
	struct net_done done = {.header = {NET_DONE, job->id}};
	struct transfer t = {
		.session = session,
		.repository = job->repository,
		.file = job->first,
		.tar = job->second,
		.progress = answer_progress,
		.context = job,
	};
	struct err e = {0};
	int r;

	if (job->type != NET_INFLATE && !*http)
		*http = http_new(&session->http);
	t.http = *http;
	if (job->type == NET_GET_MANIFEST)
		r = transfer_manifest(&t, job->reference, &done, &e);
	else if (job->type == NET_LOGIN)
		r = transfer_login(&t, &e);
	else if (job->type == NET_GET_BLOB)
		r = transfer_blob(&t, job->reference, job->size, &done, &e);
	else
		r = transfer_inflate(&t, job->first, &done, &e);
	/* Before the answer: who reads the pipe sees its end. */
	close_fd(&job->first);
	close_fd(&job->second);
	if (r == 0)
		fd_send(NET_FD, &done, sizeof done, NULL, 0);
	else
		answer_failed(job->id, &e, t.status);
}

static void *run_worker(void *argument)
{
	struct pool *pool = argument;
	struct http *http = NULL;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->head) {
			pool->idle++;
			pthread_cond_wait(&pool->wake, &pool->lock);
			pool->idle--;
		}
		struct job *job = pool->head;
		pool->head = job->next;
		if (!pool->head)
			pool->tail = &pool->head;
		pthread_mutex_unlock(&pool->lock);
		work_off(job, &http);
		free(job);
		pthread_mutex_lock(&pool->lock);
		pool->count--;
	}
	return NULL;
}

/* Hands a job to the workers, one more of them where all are busy. */
static int give(struct pool *pool, struct job *job, struct err *e)
{
	pthread_t thread;
	int r = 0;

	pthread_mutex_lock(&pool->lock);
	if (pool->count >= NET_JOBS_MAX) {
		r = err_set(e, ERR_CONFLICT, 0, "too many requests at once");
	} else {
		unsigned waiting = 1;
		for (struct job *j = pool->head; j; j = j->next)
			waiting++;
		if (waiting > pool->idle && pool->workers < pool->limit) {
			int number = pthread_create(&thread, NULL, run_worker, pool);
			if (number == 0) {
				pthread_detach(thread);
				pool->workers++;
			} else if (!pool->workers) {
				r = err_errno(e, number, "cannot start a thread");
			}
		}
	}
	if (r == 0) {
		pool->count++;
		*pool->tail = job;
		pool->tail = &job->next;
		pthread_cond_signal(&pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	return r;
}

/* Those in fd; where the system's lie in a bundle that they would replace, that before them. */
static char *read_certificates(int fd, struct err *e)
{
	struct buf all = {0};
	CURL *curl = curl_easy_init();
	char *bundle = NULL;
	int r;

	if (curl && !http_system_folder() && curl_easy_getinfo(curl, CURLINFO_CAINFO, &bundle) == CURLE_OK &&
		bundle) {
		auto_close int file = fd_open(-1, bundle, O_RDONLY, 0);
		if (file >= 0 && fd_slurp(file, CA_MAX, &all) < 0)
			all.length = 0;
		buf_string(&all, "\n");
	}
	curl_easy_cleanup(curl);
	r = fd_slurp(fd, all.length + CA_MAX, &all);
	if (r < 0) {
		err_errno(e, r, "cannot read the registry's certificates");
		buf_free(&all);
		return NULL;
	}
	return all.data;
}

static int set_up(struct pool *pool, const struct net_setup *m, const int fds[], size_t count, struct err *e)
{
	char *certificates[NET_ENDPOINTS] = {NULL};
	size_t used = 0;

	if (pool->session)
		return err_set(e, ERR_CONFLICT, 0, "a second setup");
	if (m->version != NET_VERSION)
		return err_set(e, ERR_UNSUPPORTED, 0, "brig and brig-net are of different versions");
	for (unsigned i = 0; i < m->count && i < NET_ENDPOINTS; i++) {
		if (!(m->endpoints[i].flags & NET_ENDPOINT_CA))
			continue;
		if (used == count)
			return err_set(e, ERR_INVALID, 0, "malformed setup");
		if (!(certificates[i] = read_certificates(fds[used++], e)))
			return -1;
	}
	pool->session = session_new(m, certificates, e);
	if (!pool->session)
		return -1;
	pool->limit = m->parallel ? m->parallel : NET_PARALLEL;
	return 0;
}

/* Judges one message and acts on it. The descriptors that it keeps are taken out of fds. */
static int take_message(
	struct pool *pool, const union request *m, size_t size, int fds[], size_t count, struct err *e)
{
	struct job *job;

	if (m->header.type == NET_SETUP && size == sizeof m->setup)
		return set_up(pool, &m->setup, fds, count, e);

	job = calloc(1, sizeof *job);
	if (!job)
		abort();
	*job = (struct job){
		.pool = pool, .type = m->header.type, .id = m->header.id, .first = -1, .second = -1};
	bool sound = false;
	if (m->header.type == NET_GET_MANIFEST && size == sizeof m->manifest) {
		sound = count == 1 && pool->session && NET_TEXT_OK(m->manifest.repository) &&
			NET_TEXT_OK(m->manifest.reference);
		memcpy(job->repository, m->manifest.repository, sizeof job->repository);
		memcpy(job->reference, m->manifest.reference, sizeof job->reference);
	} else if (m->header.type == NET_GET_BLOB && size == sizeof m->blob) {
		sound = count == 1 + (m->blob.with_tar != 0) && pool->session &&
			NET_TEXT_OK(m->blob.repository) && NET_TEXT_OK(m->blob.digest);
		memcpy(job->repository, m->blob.repository, sizeof job->repository);
		memcpy(job->reference, m->blob.digest, sizeof job->reference);
		job->size = m->blob.size;
	} else if (m->header.type == NET_INFLATE && size == sizeof m->inflate) {
		sound = count == 2 && m->inflate.version == NET_VERSION;
	} else if (m->header.type == NET_LOGIN && size == sizeof m->login) {
		sound = count == 0 && pool->session;
	}
	if (!sound) {
		free(job);
		return err_set(e, ERR_INVALID, 0, "malformed request");
	}
	job->first = fds[0];
	job->second = count > 1 ? fds[1] : -1;
	if (give(pool, job, e) < 0) {
		free(job);
		return -1;
	}
	fds[0] = fds[1] = -1;
	return 0;
}

int main(void)
{
	struct pool pool = {.limit = NET_PARALLEL, .tail = &pool.head};
	struct err e = {0};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t none;

	/* The terminal's signals are brig's affair: it closes the socket. */
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGQUIT, &ignore, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd_expect(NET_FD, S_IFSOCK) < 0) {
		static const char text[] =
			"brig-net: brig starts this program by itself; it does nothing alone\n";
		fd_write_full(STDERR_FILENO, text, sizeof text - 1);
		return 125;
	}
	pthread_mutex_init(&pool.lock, NULL);
	pthread_cond_init(&pool.wake, NULL);
	if (confine_helper(&e) < 0) {
		answer_failed(0, &e, 0);
		return 1;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	union request *message = malloc(sizeof *message);
	if (!message)
		abort();
	for (;;) {
		int fds[8];
		size_t count = 8;
		ssize_t n = fd_receive(NET_FD, message, sizeof *message, fds, &count);
		if (n <= 0)
			break;
		for (size_t i = count; i < 8; i++)
			fds[i] = -1;
		e = (struct err){0};
		if ((size_t)n < sizeof message->header)
			err_set(&e, ERR_INVALID, 0, "malformed request");
		else
			take_message(&pool, message, (size_t)n, fds, count, &e);
		for (size_t i = 0; i < count; i++)
			close_fd(&fds[i]);
		if (e.kind)
			answer_failed((size_t)n < sizeof message->header ? 0 : message->header.id, &e, 0);
		if (message->header.type == NET_SETUP)
			explicit_bzero(message, sizeof *message);
	}
	/* Workers may be in the middle of something; nobody wants it any more. */
	_exit(0);
}
