/* credential_helper.c - programs that keep passwords. */
#include "engine/credential_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/kernel.h"

enum { ANSWER_MAX = 64 << 10, VARIABLES = 32 };

/* What helpers need of the environment: where the user's things are, and how to ask them. */
static const char *const passed_on[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM",
	"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
	"DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "GPG_TTY", "GPG_AGENT_INFO", "PASSWORD_STORE_DIR",
	"AWS_PROFILE", "AWS_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_CONFIG",
	"GOOGLE_APPLICATION_CREDENTIALS", NULL};

static bool is_name(const char *helper)
{
	return *helper && *helper != '.' && *helper != '-' && strlen(helper) <= 64 &&
	       strspn(helper, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       strlen(helper);
}

/* Its absolute path. */
static int find_program(const char *helper, char path[PATH_MAX], struct err *e)
{
	const char *folders = getenv("PATH");
	char shown[200];

	if (!is_name(helper))
		return err_set(e, ERR_INVALID, 0, "\"%s\" cannot be the name of a credential helper",
			err_sanitize(shown, sizeof shown, helper));
	for (const char *at = folders ? folders : "/usr/local/bin:/usr/bin:/bin"; *at;) {
		size_t length = strcspn(at, ":");
		int n = snprintf(path, PATH_MAX, "%.*s/docker-credential-%s", (int)length, at, helper);
		if (*at == '/' && n < PATH_MAX && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
			return 0;
		at += length + (at[length] == ':');
	}
	err_set(e, ERR_NOT_FOUND, 0, "there is no program docker-credential-%s in PATH", helper);
	return err_hint(e, "docker's config.json names it in credsStore or credHelpers");
}

static _Noreturn void become(const char *path, const char *verb, int input, int output)
{
	char *environment[VARIABLES], *arguments[] = {(char *)(uintptr_t)path, (char *)(uintptr_t)verb, NULL};
	size_t count = 0;
	const struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t none;
	extern char **environ;

	for (char **variable = environ; *variable; variable++)
		for (const char *const *name = passed_on; *name && count + 1 < VARIABLES; name++) {
			size_t length = strlen(*name);
			if (!strncmp(*variable, *name, length) && (*variable)[length] == '=')
				environment[count++] = *variable;
		}
	environment[count] = NULL;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGPIPE, &usual, NULL);
	if (dup2(input, 0) < 0 || dup2(output, 1) < 0)
		_exit(126);
	kernel_close_range(3, ~0U, 0);
	execve(path, arguments, environment);
	_exit(127);
}

/* Runs it to its end. Its exit status, with what it said in answer; or -1. */
static int run(
	const char *helper, const char *verb, const struct buf *question, struct buf *answer, struct err *e)
{
	char path[PATH_MAX];
	int in[2], out[2], status = 0;

	if (find_program(helper, path, e) < 0)
		return -1;
	int rc = fd_pipe(in, 0);
	if (rc == 0 && (rc = fd_pipe(out, 0)) < 0) {
		close(in[0]);
		close(in[1]);
	}
	if (rc < 0)
		return err_errno(e, rc, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0)
		become(path, verb, in[0], out[1]);
	rc = pid < 0 ? err_errno(e, errno, "cannot make a process") : 0;
	close(in[0]);
	close(out[1]);
	/* It fits into the pipe; one that does not read it has its reasons. */
	if (rc == 0)
		fd_write_full(in[1], question->data, question->length);
	close(in[1]);
	if (rc == 0) {
		int number = fd_slurp(out[0], ANSWER_MAX, answer);
		if (number < 0)
			rc = err_errno(e, number, "cannot read what %s says", path);
	}
	close(out[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc < 0)
		return -1;
	if (!WIFEXITED(status))
		return err_set(e, ERR_SYSTEM, 0, "%s was ended by signal %d", path, WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* What a helper says that failed: its first line. */
static int refused(const char *helper, const char *verb, struct buf *answer, struct err *e)
{
	char shown[400];

	buf_append(answer, "", 1);
	answer->data[strcspn(answer->data, "\r\n")] = '\0';
	return err_set(e, ERR_DENIED, 0, "docker-credential-%s %s: %s", helper, verb,
		*answer->data ? err_sanitize(shown, sizeof shown, answer->data) : "it failed without a word");
}

static bool has_none(const struct buf *answer)
{
	static const char text[] = "credentials not found";
	return answer->length >= sizeof text - 1 &&
	       memmem(answer->data, answer->length, text, sizeof text - 1);
}

static int take(const char *text, char *out, size_t size)
{
	if (strlen(text) >= size)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

int credential_helper_get(const char *helper, const char *server, char *user, size_t user_size, char *secret,
	size_t secret_size, struct err *e)
{
	auto_arena struct arena arena = {0};
	auto_buf struct buf question = {0}, answer = {0};

	buf_string(&question, server);
	int status = run(helper, "get", &question, &answer, e);
	if (status < 0)
		return -1;
	if (status && has_none(&answer))
		return 0;
	if (status)
		return refused(helper, "get", &answer, e);
	const struct json *root = json_parse(&arena, answer.data, answer.length, "what the helper says", e);
	const char *name = json_get_string(root, "Username"), *password = json_get_string(root, "Secret");
	int rc = -1;
	if (name && password)
		rc = take(name, user, user_size) < 0 || take(password, secret, secret_size) < 0 ? -1 : 1;
	if (answer.length)
		explicit_bzero(answer.data, answer.length);
	if (rc < 0) {
		user[0] = secret[0] = '\0';
		return err_set(e, ERR_INVALID, 0,
			"docker-credential-%s get does not answer with a user and a secret of sensible "
			"length",
			helper);
	}
	/* Helpers whose keeper has none may say so like this. */
	return *user ? 1 : 0;
}

int credential_helper_store(
	const char *helper, const char *server, const char *user, const char *secret, struct err *e)
{
	auto_buf struct buf question = {0}, answer = {0};
	struct json_writer w = {.out = &question};

	json_begin_object(&w, NULL);
	json_put_string(&w, "ServerURL", server);
	json_put_string(&w, "Username", user);
	json_put_string(&w, "Secret", secret);
	json_end_object(&w);
	int status = run(helper, "store", &question, &answer, e);
	explicit_bzero(question.data, question.length);
	if (status > 0)
		return refused(helper, "store", &answer, e);
	return status;
}

int credential_helper_erase(const char *helper, const char *server, struct err *e)
{
	auto_buf struct buf question = {0}, answer = {0};

	buf_string(&question, server);
	int status = run(helper, "erase", &question, &answer, e);
	if (status > 0 && has_none(&answer))
		return 0;
	if (status > 0)
		return refused(helper, "erase", &answer, e);
	return status < 0 ? -1 : 1;
}
