/*
 * strangers.c - being let through by iptables' FORWARD chain.
 *
 * Theory of operation. iptables-nft keeps its rules in nf_tables, in the table `ip
 * filter`; it reads them back and gives up on a table that holds expressions it would not
 * have written itself. So the rules put there are spelled exactly as iptables spells them:
 *
 *	-i BRIDGE -j ACCEPT
 *	-o BRIDGE -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
 *
 * and in DOCKER-USER, before them, so that docker still keeps its own networks closed:
 *
 *	-i BRIDGE -o docker0 -j RETURN
 *	-i BRIDGE -o br-+ -j RETURN	(docker's other bridges)
 *
 * They carry the comment "brig BRIDGE" in the rule's user data, by which they are found
 * again. The legacy variant keeps its tables in another part of the kernel, under a
 * binary interface of its own: there the iptables program does it. It is only run when
 * /proc/net/ip_tables_names says that the filter table is in use.
 */
#include "net/strangers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/netfilter/xt_conntrack.h>

#include "base/auto.h"
#include "base/fd.h"
#include "net/link.h"
#include "net/nft.h"

#define PASS_RULES   2
#define DOCKER_RULES 2

struct survey {
	bool forward, docker_user;
	bool drops;      /* FORWARD's policy */
	bool translates; /* a chain of type nat, not brig's, with rules */
	unsigned rules;
	struct buf others; /* other tables whose forward chain drops by policy */
};

static int take_chain(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct survey *survey = context;
	struct netlink_attribute table, chain, hook, number, policy;
	uint32_t hook_number = UINT32_MAX, verdict = NFT_VERDICT_ACCEPT;
	char table_name[64], chain_name[64];
	(void)index;

	if (!message) {
		buf_free(&survey->others);
		*survey = (struct survey){0};
		return 0;
	}
	struct netlink_attributes list = nft_attributes_of(message);
	uint8_t family = nft_family_of(message);
	if (!netlink_find(list, NFTA_CHAIN_TABLE, &table) || !netlink_find(list, NFTA_CHAIN_NAME, &chain) ||
		!netlink_copy_text(&table, table_name, sizeof table_name) ||
		!netlink_copy_text(&chain, chain_name, sizeof chain_name))
		return 0;
	if (netlink_find(list, NFTA_CHAIN_HOOK, &hook) &&
		netlink_find(netlink_attributes_in(&hook, 0), NFTA_HOOK_HOOKNUM, &number))
		hook_number = netlink_get_be32(&number, UINT32_MAX);
	if (netlink_find(list, NFTA_CHAIN_POLICY, &policy))
		verdict = netlink_get_be32(&policy, NFT_VERDICT_ACCEPT);
	if (hook_number == NFT_HOOK_POSTROUTING && netlink_find(list, NFTA_CHAIN_TYPE, &number) &&
		netlink_text_is(&number, "nat") && strcmp(table_name, "brig") != 0 &&
		netlink_find(list, NFTA_CHAIN_USE, &number) && netlink_get_be32(&number, 0) > 0)
		survey->translates = true;

	if (family == NFT_FAMILY_IPV4 && !strcmp(table_name, "filter") &&
		!strcmp(chain_name, "DOCKER-USER")) {
		survey->docker_user = true;
	} else if (family == NFT_FAMILY_IPV4 && !strcmp(table_name, "filter") &&
		   !strcmp(chain_name, "FORWARD")) {
		survey->forward = true;
		survey->drops = verdict == NFT_VERDICT_DROP;
		if (netlink_find(list, NFTA_CHAIN_USE, &number))
			survey->rules = netlink_get_be32(&number, 0);
	} else if ((family == NFT_FAMILY_IPV4 || family == NFT_FAMILY_INET) &&
		   hook_number == NFT_HOOK_FORWARD && verdict == NFT_VERDICT_DROP) {
		buf_printf(&survey->others, "%s%s %s %s", survey->others.length ? ", " : "",
			family == NFT_FAMILY_INET ? "inet" : "ip", table_name, chain_name);
	}
	return 0;
}

struct found {
	const char *comment;
	unsigned count;
	uint64_t handles[16];
};

static int take_rule(void *context, const struct nlmsghdr *message, unsigned index)
{
	struct found *found = context;
	struct netlink_attribute data, handle;
	char text[64];
	(void)index;

	if (!message) {
		found->count = 0;
		return 0;
	}
	struct netlink_attributes list = nft_attributes_of(message);
	if (!netlink_find(list, NFTA_RULE_USERDATA, &data) || !nft_comment(&data, text, sizeof text) ||
		strcmp(text, found->comment) != 0 || !netlink_find(list, NFTA_RULE_HANDLE, &handle))
		return 0;
	if (found->count < sizeof found->handles / sizeof *found->handles)
		found->handles[found->count++] = netlink_get_be64(&handle, 0);
	return 0;
}

static void put_accept(struct netlink_batch *batch, const char *comment)
{
	nft_counter(batch);
	nft_verdict(batch, NFT_VERDICT_ACCEPT, NULL);
	nft_rule_end(batch, comment);
}

/* Traffic to docker's bridges goes back to docker's own rules. */
static void put_docker_return(struct netlink_batch *batch, const struct nft_place *place, const char *bridge,
	const char *prefix, size_t size, const char *comment)
{
	nft_rule(batch, place, true);
	nft_cmp_interface(batch, NFT_META_IIFNAME, bridge);
	nft_meta(batch, NFT_META_OIFNAME, NFT_WORD(0));
	nft_cmp(batch, NFT_CMP_EQ, NFT_WORD(0), prefix, size);
	nft_counter(batch);
	nft_verdict(batch, NFT_RETURN, NULL);
	nft_rule_end(batch, comment);
}

static int pass_nft(struct netlink *nl, const char *bridge, const struct survey *survey, struct buf *note)
{
	NETLINK_ROOM(room, 4096);
	struct netlink_batch ask = NETLINK_BATCH(room);
	char comment[32], docker0[LINK_NAME_SIZE] = "docker0";
	struct nft_place place = {NFT_FAMILY_IPV4, "filter", survey->docker_user ? "DOCKER-USER" : "FORWARD"};
	struct found found = {.comment = comment};
	struct xt_conntrack_mtinfo3 states = {.match_flags = XT_CONNTRACK_STATE,
		.state_mask = XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED) |
			      XT_CONNTRACK_STATE_BIT(IP_CT_RELATED) | XT_CONNTRACK_STATE_DNAT};
	unsigned char info[(sizeof states + 7) / 8 * 8] = {0};

	memcpy(info, &states, sizeof states);
	snprintf(comment, sizeof comment, "brig %s", bridge);
	nft_message(&ask, NFT_MSG_GETRULE, NLM_F_DUMP, NFT_FAMILY_IPV4);
	netlink_put_string(&ask, NFTA_RULE_TABLE, place.table);
	netlink_put_string(&ask, NFTA_RULE_CHAIN, place.chain);
	int result = netlink_dump(nl, &ask, take_rule, &found);
	if (result < 0)
		return result;
	if (found.count == PASS_RULES + (survey->docker_user ? DOCKER_RULES : 0))
		return 0;

	struct netlink_batch batch = NETLINK_BATCH(room);
	nft_begin(&batch);
	for (unsigned i = 0; i < found.count; i++) {
		nft_message(&batch, NFT_MSG_DELRULE, 0, NFT_FAMILY_IPV4);
		netlink_put_string(&batch, NFTA_RULE_TABLE, place.table);
		netlink_put_string(&batch, NFTA_RULE_CHAIN, place.chain);
		netlink_put_be64(&batch, NFTA_RULE_HANDLE, found.handles[i]);
	}
	/* Each goes to the head, so the last one written is the first one met. */
	nft_rule(&batch, &place, true);
	nft_cmp_interface(&batch, NFT_META_OIFNAME, bridge);
	nft_xt_match(&batch, "conntrack", 3, info, sizeof info);
	put_accept(&batch, comment);
	nft_rule(&batch, &place, true);
	nft_cmp_interface(&batch, NFT_META_IIFNAME, bridge);
	put_accept(&batch, comment);
	if (survey->docker_user) {
		put_docker_return(&batch, &place, bridge, "br-", 3, comment);
		put_docker_return(&batch, &place, bridge, docker0, sizeof docker0, comment);
	}
	result = nft_commit(nl, &batch, NULL);
	if (result == 0)
		buf_printf(note, "let traffic of %s pass iptables' chain %s\n", bridge, place.chain);
	return result;
}

/* The legacy tables. */

bool strangers_legacy(void)
{
	char names[256];
	auto_close int fd = fd_open(AT_FDCWD, "/proc/net/ip_tables_names", O_RDONLY, 0);

	if (fd < 0)
		return false;
	ssize_t n = fd_read_full(fd, names, sizeof names - 1);
	if (n <= 0)
		return false;
	names[n] = 0;
	return !strncmp(names, "filter\n", 7) || strstr(names, "\nfilter\n");
}

/* Runs iptables with those words (its own name included); its exit status, or -errno. */
static int run_iptables(const char *const *words)
{
	static const char *const places[] = {
		"/usr/sbin/iptables-legacy", "/sbin/iptables-legacy", "/usr/sbin/iptables", "/sbin/iptables"};
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
		if (null >= 0) {
			dup2(null, 0);
			dup2(null, 1);
			dup2(null, 2);
		}
		char *environment[] = {NULL};
		for (size_t i = 0; i < sizeof places / sizeof *places; i++)
			execve(places[i], (char *const *)(uintptr_t)words, environment);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (!WIFEXITED(status))
		return -EIO;
	return WEXITSTATUS(status) == 127 ? -ENOENT : WEXITSTATUS(status);
}

#define LEGACY_WORDS 12

static int pass_legacy(const char *bridge, struct buf *note)
{
	static const char *const look[] = {"iptables", "-w", "5", "-n", "-L", "DOCKER-USER", NULL};
	const char *const rules[][LEGACY_WORDS] = {
		{"-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT"},
		{"-i", bridge, "-j", "ACCEPT"},
		{"-i", bridge, "-o", "br-+", "-j", "RETURN"},
		{"-i", bridge, "-o", "docker0", "-j", "RETURN"},
	};
	int result = run_iptables(look);
	if (result < 0)
		return result;
	const char *chain = result == 0 ? "DOCKER-USER" : "FORWARD";
	size_t count = result == 0 ? PASS_RULES + DOCKER_RULES : PASS_RULES;
	bool changed = false;

	for (size_t i = 0; i < count; i++) {
		const char *words[LEGACY_WORDS + 6] = {"iptables", "-w", "5", "-C", chain};
		for (size_t k = 0; k < LEGACY_WORDS && rules[i][k]; k++)
			words[5 + k] = rules[i][k];
		if (run_iptables(words) == 0)
			continue;
		words[3] = "-I";
		result = run_iptables(words);
		if (result)
			return result < 0 ? result : -EIO;
		changed = true;
	}
	if (changed)
		buf_printf(note, "let traffic of %s pass iptables' legacy chain %s\n", bridge, chain);
	return 0;
}

static int look_around(struct netlink *nl, struct survey *survey)
{
	NETLINK_ROOM(room, 64);
	struct netlink_batch batch = NETLINK_BATCH(room);

	nft_message(&batch, NFT_MSG_GETCHAIN, NLM_F_DUMP, AF_UNSPEC);
	return netlink_dump(nl, &batch, take_chain, survey);
}

int strangers_view(struct netlink *nl, struct strangers_view *out)
{
	struct survey survey = {0};
	int result = look_around(nl, &survey);

	*out = (struct strangers_view){
		.drops = survey.drops || survey.others.length > 0, .translates = survey.translates};
	snprintf(out->droppers, sizeof out->droppers, "%s%s%s", survey.drops ? "ip filter FORWARD" : "",
		survey.drops && survey.others.length ? ", " : "",
		survey.others.length ? survey.others.data : "");
	buf_free(&survey.others);
	return result;
}

int strangers_pass(struct netlink *nl, const char *bridge, bool first, struct buf *note)
{
	struct survey survey = {0};
	int result = look_around(nl, &survey);

	if (result == 0 && (survey.docker_user || (survey.forward && (survey.drops || survey.rules))))
		result = pass_nft(nl, bridge, &survey, note);
	if (survey.others.length && first)
		buf_printf(note,
			"a firewall of this host drops what it is not told to forward (%s): containers reach "
			"nothing outside until it accepts traffic from and to %s\n",
			survey.others.data, bridge);
	buf_free(&survey.others);
	if (strangers_legacy()) {
		int legacy = pass_legacy(bridge, note);
		if (legacy == -ENOENT && first)
			buf_printf(note,
				"the legacy iptables is in use here, but the iptables program is missing: "
				"its FORWARD chain may drop the containers' traffic\n");
		else if (legacy < 0 && legacy != -ENOENT && result == 0)
			result = legacy;
	}
	return result;
}
