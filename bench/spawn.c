/*
 * spawn.c - starts commands and measures them, without a shell between.
 *
 *   spawn ROUNDS FILE      each line of FILE is a name, a tab, and a command in words; every
 *                          round runs each command once, so that a busy moment hits all of
 *                          them alike, in an order of its own (the same ones each time), so
 *                          that none has always the same one before it: what that leaves in
 *                          the caches, or to be done, is worth some tenths of a millisecond
 *   spawn --row COUNT FILE each command COUNT times in a row before the next one; the wall
 *                          time of all together is what counts
 *   spawn --once COUNT FILE each command COUNT times at once; likewise
 *
 * In a word, %d is the number of the round. A name that ends in "@N" is run in every Nth
 * round only. A line that begins with "-" is run before the next one, every time, and is not
 * measured. SPAWN_PAUSE in the environment is the milliseconds of rest before each measured
 * command; twice the time of the command before is added, so that what that one left to do
 * (namespaces die slowly) does not count here.
 *
 * For each command one line: name, median, minimum, 90th percentile, mean CPU time (its own
 * and that of children it waited for) and failures, with tabs, in microseconds. With --row and
 * --once median, minimum and percentile are the wall time divided by COUNT.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS    64
#define COMMANDS 64
#define ROUNDS   2000

extern char **environ;

struct command {
	char *name;
	char *words[WORDS];
	char *before[WORDS]; /* empty where words[0] is NULL */
	int64_t wall[ROUNDS];
	int64_t cpu;
	int every;
	int runs;
	int failures;
};

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void split(char *line, char **words)
{
	size_t count = 0;
	for (char *word = strtok(line, " "); word && count < WORDS - 1; word = strtok(NULL, " "))
		words[count++] = word;
	words[count] = NULL;
}

/* Starts it; -1 where that failed. */
static pid_t start(char *const *words, int round, const posix_spawn_file_actions_t *actions)
{
	char texts[WORDS][256], *arguments[WORDS];
	size_t count = 0;
	for (; words[count]; count++) {
		char *place = strstr(words[count], "%d");
		arguments[count] = words[count];
		if (place) {
			snprintf(texts[count], sizeof texts[count], "%.*s%d%s", (int)(place - words[count]),
				words[count], round, place + 2);
			arguments[count] = texts[count];
		}
	}
	arguments[count] = NULL;
	pid_t pid;
	int r = posix_spawnp(&pid, arguments[0], actions, NULL, arguments, environ);
	if (r != 0) {
		fprintf(stderr, "spawn: %s: %s\n", arguments[0], strerror(r));
		return -1;
	}
	return pid;
}

static int64_t cpu_of(const struct rusage *usage)
{
	return (int64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
	       usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

/* Runs it to its end: wall time in µs, the CPU's added to *cpu; -1 where it failed. */
static int64_t run(char *const *words, int round, int64_t *cpu, const posix_spawn_file_actions_t *actions)
{
	int status;
	struct rusage usage;
	int64_t began = now_us();
	pid_t pid = start(words, round, actions);
	if (pid < 0)
		return -1;
	while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
		;
	int64_t wall = now_us() - began;
	*cpu += cpu_of(&usage);
	return status == 0 ? wall : -wall - 1;
}

/* Runs it count times at once, and keeps that as one run. */
static void run_at_once(struct command *c, int count, const posix_spawn_file_actions_t *actions)
{
	int64_t began = now_us();
	int left = 0, status;
	struct rusage usage;

	for (int i = 0; i < count; i++) {
		if (start(c->words, i, actions) > 0)
			left++;
		else
			c->failures++;
	}
	while (left > 0) {
		if (wait4(-1, &status, 0, &usage) < 0)
			continue;
		left--;
		c->failures += status != 0;
		c->cpu += cpu_of(&usage) / count;
	}
	c->wall[c->runs++] = (now_us() - began) / count;
}

/* A new order of the numbers below count. */
static void shuffle(size_t *order, size_t count)
{
	static uint64_t state = 0x9e3779b97f4a7c15;
	for (size_t i = count; i > 1; i--) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		size_t other = state % i, kept = order[i - 1];
		order[i - 1] = order[other];
		order[other] = kept;
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int once = argc > 1 && strcmp(argv[1], "--once") == 0;
	int row = argc > 1 && strcmp(argv[1], "--row") == 0;
	if (argc != 3 + row + once)
		return 2;
	int rounds = (int)strtol(argv[1 + row + once], NULL, 10);
	FILE *file = fopen(argv[2 + row + once], "re");
	if (!file || rounds < 1 || rounds > ROUNDS)
		return 2;
	struct command *commands = calloc(COMMANDS, sizeof *commands);
	if (!commands)
		return 1;
	size_t count = 0;
	char *line = NULL;
	for (size_t room = 0; getline(&line, &room, file) > 0 && count < COMMANDS; line = NULL, room = 0) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] == '-') {
			split(line + 1, commands[count].before);
			continue;
		}
		char *tab = strchr(line, '\t');
		if (!tab)
			continue;
		*tab = 0;
		char *every = strchr(line, '@');
		commands[count].every = every && !row ? (int)strtol(every + 1, NULL, 10) : 1;
		if (every)
			*every = 0;
		commands[count].name = line;
		split(tab + 1, commands[count++].words);
	}
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);

	int64_t ignored = 0, before = 0;
	const char *rest = getenv("SPAWN_PAUSE");
	long pause = rest && !row ? strtol(rest, NULL, 10) : 0;
	for (size_t k = 0; once && k < count; k++)
		run_at_once(&commands[k], rounds, &actions);
	if (once)
		rounds = 0;
	size_t order[COMMANDS];
	for (size_t k = 0; k < count; k++)
		order[k] = k;
	for (int i = 0; i < (row ? (int)count : rounds); i++) {
		shuffle(order, row ? 0 : count);
		for (size_t k = 0; k < (row ? (size_t)rounds : count); k++) {
			struct command *c = &commands[row ? (size_t)i : order[k]];
			int round = row ? (int)k : i;
			if (round % c->every != 0)
				continue;
			if (c->before[0])
				run(c->before, round, &ignored, &actions);
			if (pause > 0)
				usleep((useconds_t)(pause * 1000 + 2 * before));
			int64_t wall = run(c->words, round, &c->cpu, &actions);
			if (wall < 0) {
				c->failures++;
				wall = -wall;
			}
			c->wall[c->runs++] = wall;
			before = wall;
		}
	}
	for (size_t k = 0; k < count; k++) {
		struct command *c = &commands[k];
		int64_t sum = 0;
		for (int i = 0; i < c->runs; i++)
			sum += c->wall[i];
		qsort(c->wall, (size_t)c->runs, sizeof c->wall[0], compare);
		int64_t median = row ? sum / c->runs : c->wall[c->runs / 2];
		printf("%s\t%lld\t%lld\t%lld\t%lld\t%d\n", c->name, (long long)median,
			(long long)(row ? median : c->wall[0]),
			(long long)(row ? median : c->wall[c->runs * 9 / 10]), (long long)(c->cpu / c->runs),
			c->failures);
	}
	return 0;
}
