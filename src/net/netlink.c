/*
 * netlink.c - messages to the kernel and their answers.
 *
 * Theory of operation. A request is one datagram of one or more messages, each with a
 * sequence number of its own, counted up. The kernel handles them inside the send call,
 * so the answers are waiting when it returns: answers to requests first, then the
 * acknowledgement (NLMSG_ERROR) of each message that failed or asked for it. The exchange
 * is over when the last message's word is there. A dump is answered in several datagrams
 * that end with NLMSG_DONE, fetched one by one.
 *
 * An exchange that ends early (an error of its first message, which an nf_tables batch
 * answers alone) may leave answers in the socket: the next exchange passes over whatever
 * carries an older sequence number.
 */
#include "net/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"

/* Dump answers come in datagrams as large as the buffer they find, at most this. */
#define RECEIVE_SIZE 16384
#define DUMP_TRIES   8

int netlink_open(struct netlink *nl, int protocol)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int on = 1;
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	/* Both only make errors smaller and clearer: kernels without them still work. */
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&self, sizeof self) < 0)
		return -errno;
	*nl = (struct netlink){.fd = steal_fd(&fd), .sequence = 1};
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl->fd > 0)
		close_fd(&nl->fd);
	nl->fd = -1;
}

/* Writing. */

static unsigned char *take(struct netlink_batch *batch, size_t size)
{
	size_t padded = NLMSG_ALIGN(size);

	if (batch->overflow || padded < size || padded > batch->room - batch->length) {
		batch->overflow = true;
		return NULL;
	}
	unsigned char *at = batch->bytes + batch->length;
	/* The padding goes to the kernel too. */
	memset(at + size, 0, padded - size);
	batch->length += padded;
	return at;
}

static void finish_message(struct netlink_batch *batch)
{
	if (batch->overflow || !batch->count)
		return;
	if (batch->depth) {
		batch->overflow = true;
		return;
	}
	uint32_t length = (uint32_t)(batch->length - batch->message);
	memcpy(batch->bytes + batch->message + offsetof(struct nlmsghdr, nlmsg_len), &length, sizeof length);
}

void netlink_begin(
	struct netlink_batch *batch, uint16_t type, uint16_t flags, const void *header, size_t size)
{
	finish_message(batch);
	batch->message = batch->length;
	struct nlmsghdr message = {.nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST};
	unsigned char *at = take(batch, sizeof message);
	if (!at)
		return;
	memcpy(at, &message, sizeof message);
	batch->count++;
	at = take(batch, size);
	if (at && size)
		memcpy(at, header, size);
}

static unsigned char *put_head(struct netlink_batch *batch, uint16_t type, size_t size)
{
	if (size > UINT16_MAX - sizeof(struct nlattr)) {
		batch->overflow = true;
		return NULL;
	}
	unsigned char *at = take(batch, sizeof(struct nlattr) + size);
	if (!at)
		return NULL;
	struct nlattr head = {.nla_len = (uint16_t)(sizeof head + size), .nla_type = type};
	memcpy(at, &head, sizeof head);
	return at + sizeof head;
}

void netlink_put(struct netlink_batch *batch, uint16_t type, const void *bytes, size_t size)
{
	unsigned char *at = put_head(batch, type, size);
	if (at && size)
		memcpy(at, bytes, size);
}

void netlink_put_u8(struct netlink_batch *batch, uint16_t type, uint8_t value)
{
	netlink_put(batch, type, &value, sizeof value);
}

void netlink_put_u16(struct netlink_batch *batch, uint16_t type, uint16_t value)
{
	netlink_put(batch, type, &value, sizeof value);
}

void netlink_put_u32(struct netlink_batch *batch, uint16_t type, uint32_t value)
{
	netlink_put(batch, type, &value, sizeof value);
}

void netlink_put_be32(struct netlink_batch *batch, uint16_t type, uint32_t value)
{
	value = __builtin_bswap32(value);
	netlink_put(batch, type, &value, sizeof value);
}

void netlink_put_be64(struct netlink_batch *batch, uint16_t type, uint64_t value)
{
	value = __builtin_bswap64(value);
	netlink_put(batch, type, &value, sizeof value);
}

void netlink_put_string(struct netlink_batch *batch, uint16_t type, const char *text)
{
	netlink_put(batch, type, text, strlen(text) + 1);
}

void netlink_nest(struct netlink_batch *batch, uint16_t type)
{
	netlink_nest_with(batch, type, NULL, 0);
}

void netlink_nest_with(struct netlink_batch *batch, uint16_t type, const void *header, size_t size)
{
	if (batch->depth == NETLINK_NESTS) {
		batch->overflow = true;
		return;
	}
	size_t start = batch->length;
	unsigned char *at = put_head(batch, type | NLA_F_NESTED, size);
	if (!at)
		return;
	if (size)
		memcpy(at, header, size);
	batch->nests[batch->depth++] = start;
}

void netlink_nest_end(struct netlink_batch *batch)
{
	if (batch->overflow)
		return;
	if (!batch->depth) {
		batch->overflow = true;
		return;
	}
	size_t start = batch->nests[--batch->depth];
	size_t length = batch->length - start;
	if (length > UINT16_MAX) {
		batch->overflow = true;
		return;
	}
	uint16_t value = (uint16_t)length;
	memcpy(batch->bytes + start + offsetof(struct nlattr, nla_len), &value, sizeof value);
}

void netlink_expect(struct netlink_batch *batch)
{
	batch->expected = batch->count;
	batch->expected_at = batch->message;
}

/* Reading. */

static struct netlink_attributes attributes_from(const unsigned char *bytes, size_t size, size_t header)
{
	size_t skip = NLMSG_ALIGN(header);
	if (size < skip)
		return (struct netlink_attributes){0};
	return (struct netlink_attributes){.at = bytes + skip, .left = size - skip};
}

struct netlink_attributes netlink_attributes_of(const struct nlmsghdr *message, size_t header)
{
	if (message->nlmsg_len < NLMSG_HDRLEN)
		return (struct netlink_attributes){0};
	return attributes_from(
		(const unsigned char *)message + NLMSG_HDRLEN, message->nlmsg_len - NLMSG_HDRLEN, header);
}

struct netlink_attributes netlink_attributes_in(const struct netlink_attribute *attribute, size_t header)
{
	return attributes_from(attribute->bytes, attribute->size, header);
}

bool netlink_next(struct netlink_attributes *list, struct netlink_attribute *out)
{
	struct nlattr head;

	if (list->left < sizeof head)
		return false;
	memcpy(&head, list->at, sizeof head);
	if (head.nla_len < sizeof head || head.nla_len > list->left) {
		list->left = 0;
		return false;
	}
	*out = (struct netlink_attribute){
		.type = head.nla_type & NLA_TYPE_MASK,
		.size = (uint16_t)(head.nla_len - sizeof head),
		.bytes = list->at + sizeof head,
	};
	size_t step = NLA_ALIGN(head.nla_len);
	if (step > list->left)
		step = list->left;
	list->at += step;
	list->left -= step;
	return true;
}

bool netlink_find(struct netlink_attributes list, uint16_t type, struct netlink_attribute *out)
{
	struct netlink_attribute one;
	bool found = false;

	while (netlink_next(&list, &one)) {
		if (one.type == type) {
			*out = one;
			found = true;
		}
	}
	return found;
}

uint32_t netlink_get_u32(const struct netlink_attribute *attribute, uint32_t otherwise)
{
	if (attribute->size >= sizeof otherwise)
		memcpy(&otherwise, attribute->bytes, sizeof otherwise);
	return otherwise;
}

uint32_t netlink_get_be32(const struct netlink_attribute *attribute, uint32_t otherwise)
{
	return __builtin_bswap32(netlink_get_u32(attribute, __builtin_bswap32(otherwise)));
}

uint64_t netlink_get_be64(const struct netlink_attribute *attribute, uint64_t otherwise)
{
	uint64_t value;

	if (attribute->size < sizeof value)
		return otherwise;
	memcpy(&value, attribute->bytes, sizeof value);
	return __builtin_bswap64(value);
}

bool netlink_text_is(const struct netlink_attribute *attribute, const char *text)
{
	size_t length = strnlen((const char *)attribute->bytes, attribute->size);
	return length == strlen(text) && memcmp(attribute->bytes, text, length) == 0;
}

bool netlink_copy_text(const struct netlink_attribute *attribute, char *out, size_t size)
{
	size_t length = strnlen((const char *)attribute->bytes, attribute->size);
	if (length >= size)
		return false;
	memcpy(out, attribute->bytes, length);
	out[length] = 0;
	return true;
}

static void take_reason(struct netlink_exchange *x, const struct nlmsghdr *message)
{
	/* With NETLINK_CAP_ACK only the request's header comes back; without, all of it. */
	size_t skip = sizeof(struct nlmsgerr);
	struct nlmsgerr head;
	struct netlink_attribute text;

	if (!x->reason || !(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	memcpy(&head, (const unsigned char *)message + NLMSG_HDRLEN, sizeof head);
	if (!(message->nlmsg_flags & NLM_F_CAPPED)) {
		if (head.msg.nlmsg_len < sizeof head.msg || head.msg.nlmsg_len > message->nlmsg_len)
			return;
		skip += head.msg.nlmsg_len - sizeof head.msg;
	}
	if (netlink_find(netlink_attributes_of(message, skip), NLMSGERR_ATTR_MSG, &text))
		netlink_copy_text(&text, x->reason, sizeof((struct netlink *)0)->reason);
}

/* An NLMSG_ERROR or NLMSG_DONE: an error, or the end, or both. */
static void take_status(struct netlink_exchange *x, const struct nlmsghdr *message, uint32_t index)
{
	int32_t status = 0;

	if (message->nlmsg_len < NLMSG_HDRLEN + sizeof status) {
		/* A DONE may come bare; an error without a number is no answer. */
		status = message->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	} else {
		memcpy(&status, (const unsigned char *)message + NLMSG_HDRLEN, sizeof status);
	}
	if (status < -4095 || status > 0)
		status = -EBADMSG;
	if (status && !x->error) {
		x->error = status;
		x->failed = index;
		if (message->nlmsg_type == NLMSG_ERROR &&
			message->nlmsg_len >= NLMSG_HDRLEN + sizeof(struct nlmsgerr))
			take_reason(x, message);
	}
	/* The first message's error may be the only word there is (nf_tables refusing a batch). */
	if (index == x->expected - x->first || status)
		x->done = true;
}

int netlink_parse(struct netlink_exchange *x, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	while (size >= sizeof(struct nlmsghdr) && !x->done) {
		struct nlmsghdr head;
		memcpy(&head, at, sizeof head);
		if (head.nlmsg_len < sizeof head || head.nlmsg_len > size) {
			if (!x->error)
				x->error = -EBADMSG;
			x->done = true;
			return 0;
		}
		/* Unsigned on purpose: an older number gives a huge index. */
		uint32_t index = head.nlmsg_seq - x->first;
		const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)at;

		if (index > x->last - x->first) {
			/* another exchange's, passed over */
		} else if (head.nlmsg_type == NLMSG_ERROR || head.nlmsg_type == NLMSG_DONE) {
			if (head.nlmsg_flags & NLM_F_DUMP_INTR)
				x->disturbed = true;
			take_status(x, message, index);
		} else if (head.nlmsg_type >= NLMSG_MIN_TYPE) {
			if (head.nlmsg_flags & NLM_F_DUMP_INTR)
				x->disturbed = true;
			int result = x->answer ? x->answer(x->context, message, index) : 0;
			if (result)
				return result;
		}
		size_t step = NLMSG_ALIGN(head.nlmsg_len);
		if (step > size)
			step = size;
		at += step;
		size -= step;
	}
	return 0;
}

static int send_batch(struct netlink *nl, struct netlink_batch *batch, struct netlink_exchange *x)
{
	finish_message(batch);
	if (batch->overflow || !batch->count)
		return -ENOBUFS;

	x->first = nl->sequence + 1;
	x->last = nl->sequence + batch->count;
	x->expected = batch->expected ? nl->sequence + batch->expected : x->last;
	nl->sequence = x->last;
	uint32_t sequence = x->first;
	for (size_t at = 0; at < batch->length;) {
		struct nlmsghdr head;
		memcpy(&head, batch->bytes + at, sizeof head);
		head.nlmsg_seq = sequence++;
		memcpy(batch->bytes + at, &head, sizeof head);
		at += NLMSG_ALIGN(head.nlmsg_len);
	}

	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	for (;;) {
		ssize_t n = sendto(nl->fd, batch->bytes, batch->length, MSG_NOSIGNAL,
			(struct sockaddr *)&kernel, sizeof kernel);
		if (n == (ssize_t)batch->length)
			return 0;
		if (n >= 0)
			return -EMSGSIZE;
		if (errno != EINTR)
			return -errno;
	}
}

static int receive_until_done(struct netlink *nl, struct netlink_exchange *x)
{
	/* Only the pages that an answer fills are touched. */
	NETLINK_ROOM(bytes, RECEIVE_SIZE);

	while (!x->done) {
		struct sockaddr_nl from = {0};
		struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
		struct msghdr header = {
			.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1};
		ssize_t n = recvmsg(nl->fd, &header, MSG_CMSG_CLOEXEC);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (header.msg_namelen != sizeof from || from.nl_pid != 0)
			continue;
		if (header.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		if (n == 0)
			return -EBADMSG;
		int result = netlink_parse(x, bytes, (size_t)n);
		if (result)
			return result;
	}
	return 0;
}

int netlink_ask(struct netlink *nl, struct netlink_batch *batch, netlink_answer_fn *answer, void *context,
	unsigned *failed)
{
	struct netlink_exchange x = {.answer = answer, .context = context, .reason = nl->reason};

	nl->reason[0] = 0;
	if (!batch->overflow && batch->count) {
		unsigned char *at = batch->bytes + (batch->expected ? batch->expected_at : batch->message);
		struct nlmsghdr head;
		memcpy(&head, at, sizeof head);
		head.nlmsg_flags |= NLM_F_ACK;
		memcpy(at, &head, sizeof head);
	}
	int result = send_batch(nl, batch, &x);
	if (result == 0)
		result = receive_until_done(nl, &x);
	if (failed)
		*failed = x.failed;
	return result ? result : x.error;
}

int netlink_run(struct netlink *nl, struct netlink_batch *batch, unsigned *failed)
{
	return netlink_ask(nl, batch, NULL, NULL, failed);
}

int netlink_dump(struct netlink *nl, struct netlink_batch *batch, netlink_answer_fn *answer, void *context)
{
	for (int i = 0; i < DUMP_TRIES; i++) {
		struct netlink_exchange x = {.answer = answer, .context = context, .reason = nl->reason};
		nl->reason[0] = 0;
		int result = answer(context, NULL, 0);
		if (result == 0)
			result = send_batch(nl, batch, &x);
		if (result == 0)
			result = receive_until_done(nl, &x);
		if (result)
			return result;
		if (x.error)
			return x.error;
		if (!x.disturbed)
			return 0;
	}
	return -EAGAIN;
}
