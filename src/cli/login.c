/* login.c - brig login. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/login.h"
#include "engine/credentials.h"
#include "engine/interrupt.h"
#include "engine/login.h"
#include "oci/reference.h"

enum { SECRET_MAX = 4096 };

struct login_cli {
	const char *user, *password;
	bool password_stdin;
};

static const struct opt options_table[] = {
	{"password", 'p', OPT_STRING, offsetof(struct login_cli, password), NULL,
		"Password or Personal Access Token (PAT)"},
	{"password-stdin", 0, OPT_BOOL, offsetof(struct login_cli, password_stdin), NULL,
		"Take the Password or Personal Access Token (PAT) from stdin"},
	{"username", 'u', OPT_STRING, offsetof(struct login_cli, user), NULL, "Username"},
	{NULL},
};

int login_registry(struct cli *cli, const char *given, const char **registry, struct err *e)
{
	struct reference reference;
	char shown[200];

	*registry = "docker.io";
	if (!given || !*given)
		return 0;
	/* People paste addresses. */
	for (size_t i = 0; i < 2; i++) {
		const char *scheme = i ? "http://" : "https://";
		if (!strncmp(given, scheme, strlen(scheme)))
			given += strlen(scheme);
	}
	const char *domain = arena_memdup(&cli->arena, given, strcspn(given, "/"));
	if (!strcmp(domain, "docker.io") || !strcmp(domain, "index.docker.io") ||
		!strcmp(domain, "registry-1.docker.io"))
		return 0;
	/* What may stand before the first slash of an image's name. */
	if (reference_parse(&cli->arena, arena_printf(&cli->arena, "%s/x", domain), &reference, e) < 0 ||
		strcmp(reference.domain, domain) != 0)
		return err_set(e, ERR_INVALID, 0,
			"\"%s\" is no registry: a host name with a dot or a port is wanted",
			err_sanitize(shown, sizeof shown, domain));
	*registry = domain;
	return 0;
}

/* Reads until the line's end; the user may also want to end it all. */
static int read_line(int terminal, int interrupt, char *out, size_t size, struct err *e)
{
	size_t length = 0;

	for (;;) {
		struct pollfd polled[] = {
			{.fd = interrupt, .events = POLLIN}, {.fd = terminal, .events = POLLIN}};
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return err_errno(e, errno, "cannot wait for the answer");
		if (polled[0].revents)
			return err_set(e, ERR_INTERRUPTED, 0, "the login was interrupted");
		if (!polled[1].revents)
			continue;
		ssize_t n = read(terminal, out + length, 1);
		if (n < 0)
			return err_errno(e, errno, "cannot read the answer");
		if (n == 0 || out[length] == '\n')
			break;
		if (++length + 1 == size)
			return err_set(e, ERR_INVALID, 0, "the answer is longer than %zu bytes", size - 1);
	}
	out[length] = '\0';
	return length ? 0 : err_set(e, ERR_INVALID, 0, "nothing was entered");
}

/* A line from the terminal, as it is typed or unseen. */
static int ask(const char *prompt, bool unseen, char *out, size_t size, struct err *e)
{
	struct termios before, quiet;
	struct interrupt interrupt;
	auto_close int terminal = fd_open(AT_FDCWD, "/dev/tty", O_RDWR | O_NOCTTY, 0);

	if (terminal < 0)
		return err_errno(e, terminal, "cannot ask: there is no terminal");
	if (interrupt_begin(&interrupt, e) < 0)
		return -1;
	bool changed = unseen && tcgetattr(terminal, &before) == 0;
	if (changed) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(terminal, TCSAFLUSH, &quiet);
	}
	fd_write_full(terminal, prompt, strlen(prompt));
	int rc = read_line(terminal, interrupt.fd, out, size, e);
	if (changed) {
		tcsetattr(terminal, TCSAFLUSH, &before);
		fd_write_full(terminal, "\n", 1);
	}
	interrupt_end(&interrupt, rc < 0 && e->kind == ERR_INTERRUPTED);
	return rc;
}

/* All of standard input, without the line's end. */
static int read_secret(char secret[SECRET_MAX], struct err *e)
{
	ssize_t n = fd_read_full(STDIN_FILENO, secret, SECRET_MAX);

	if (n < 0)
		return err_errno(e, (int)n, "cannot read the password from standard input");
	if (n == SECRET_MAX || memchr(secret, '\0', (size_t)n))
		return err_set(e, ERR_INVALID, 0, "standard input does not hold a password");
	secret[n] = '\0';
	secret[strcspn(secret, "\r\n")] = '\0';
	return *secret ? 0 : err_set(e, ERR_INVALID, 0, "the password on standard input is empty");
}

/* Fills both: as given, as stored, or as the user says. 1 where they are stored already. */
static int find_out(const struct login_cli *o, const char *registry, char user[256], char secret[SECRET_MAX],
	struct err *e)
{
	if (o->user)
		snprintf(user, 256, "%s", o->user);
	if (o->password_stdin)
		return read_secret(secret, e);
	if (o->password) {
		log_warning("a password in the arguments is seen by other users of this host; "
			    "--password-stdin is not");
		if (strlen(o->password) >= SECRET_MAX)
			return err_set(
				e, ERR_INVALID, 0, "the password is longer than %d bytes", SECRET_MAX - 1);
		memcpy(secret, o->password, strlen(o->password) + 1);
	} else if (!o->user) {
		if (credentials_find(registry, user, 256, secret, SECRET_MAX, e) < 0)
			return -1;
		if (*user)
			return 1;
	}
	if ((!*user || !*secret) && !isatty(STDIN_FILENO)) {
		err_set(e, ERR_INVALID, 0, "cannot ask for the user and the password: this is no terminal");
		return err_hint(e, "brig login -u USER --password-stdin %s <FILE", registry);
	}
	if (!*user && ask("Username: ", false, user, 256, e) < 0)
		return -1;
	return *secret ? 0 : ask("Password: ", true, secret, SECRET_MAX, e);
}

static int run_login(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct login_cli *o = given;
	struct credentials_place place = {0};
	const char *registry;
	char user[256] = "", secret[SECRET_MAX] = "";

	if (o->password && o->password_stdin)
		return err_set(e, ERR_INVALID, 0, "--password and --password-stdin are mutually exclusive");
	if (o->password_stdin && !o->user)
		return err_set(e, ERR_INVALID, 0, "Must provide --username with --password-stdin");
	if (o->user && strlen(o->user) >= sizeof user)
		return err_set(e, ERR_INVALID, 0, "the user name is longer than %zu bytes", sizeof user - 1);
	if (o->user && strchr(o->user, ':'))
		return err_set(e, ERR_INVALID, 0, "a user name cannot have a colon in it");
	if (login_registry(cli, argc ? argv[0] : NULL, &registry, e) < 0)
		return -1;
	int stored = find_out(o, registry, user, secret, e);
	if (stored > 0)
		cli_print(cli, "Authenticating with existing credentials... [Username: %s]\n", user);
	int rc = stored < 0 ? -1 : engine_login(&cli->config, registry, user, secret, e);
	if (rc == 0 && !stored)
		rc = credentials_store(&cli->arena, registry, user, secret, &place, e);
	explicit_bzero(secret, sizeof secret);
	if (rc < 0)
		return -1;
	if (place.path && !place.helper)
		log_warning(
			"the password is stored unencrypted in %s; a credential helper would keep it better",
			place.path);
	cli_print(cli, "Login Succeeded\n");
	return 0;
}

const struct verb verb_login = {
	.name = "login",
	.summary = "Authenticate to a registry",
	.usage = "[OPTIONS] [SERVER]",
	.examples = "login -u joe --password-stdin registry.example.com <password\tfor scripts\n"
		    "login\tto Docker Hub, asking for both",
	.options = options_table,
	.options_size = sizeof(struct login_cli),
	.max_operands = 1,
	.run = run_login,
};
