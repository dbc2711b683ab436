/* prune.c - what the prune verbs have in common. */
#include "cli/prune.h"

#include <string.h>
#include <unistd.h>

int prune_confirmed(struct cli *cli, const char *what, struct err *e)
{
	char answer[16] = "";
	size_t length = 0;

	cli_print(cli, "WARNING! This will remove %s.\nAre you sure you want to continue? [y/N] ", what);
	if (cli_flush(cli, e) < 0)
		return -1;
	while (length + 1 < sizeof answer && read(STDIN_FILENO, answer + length, 1) == 1 &&
		answer[length] != '\n')
		length++;
	answer[length] = '\0';
	return !strcmp(answer, "y") || !strcmp(answer, "Y");
}

/* KEY or KEY=VALUE. */
static bool has_label(const struct strings *labels, const char *wanted)
{
	size_t length = strlen(wanted);

	for (size_t i = 0; i < labels->count; i++) {
		const char *label = labels->items[i];
		if (!strncmp(label, wanted, length) &&
			(!label[length] || (label[length] == '=' && !strchr(wanted, '='))))
			return true;
	}
	return false;
}

bool prune_labels(const struct filters *filters, const struct strings *labels)
{
	/* "label!=x" came apart at its "=", as docker's does. */
	for (const struct filter *filter = filters->first; filter; filter = filter->next)
		if ((!strcmp(filter->key, "label") && !has_label(labels, filter->value)) ||
			(!strcmp(filter->key, "label!") && has_label(labels, filter->value)))
			return false;
	return true;
}
