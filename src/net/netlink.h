/*
 * netlink.h - talking to the kernel's routing and firewall tables.
 *
 * Messages are written into a batch whose bytes the caller provides, and go out in one
 * sendmsg. The writer never fails half-way: what does not fit sets `overflow`, and
 * sending then gives -ENOBUFS. Only the last message of a batch asks for an
 * acknowledgement: the kernel works through a batch in order, goes on after an error and
 * reports each, so one answer in the good case tells of them all.
 *
 * Answers are checked before anything is believed: they must come from the kernel
 * (port 0), carry this request's sequence number, and every length must lie inside what
 * was received.
 */
#ifndef NET_NETLINK_H
#define NET_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/netlink.h>

#define NETLINK_NESTS 12

struct netlink_batch {
	unsigned char *bytes; /* the caller's, aligned to 4 */
	size_t room;
	size_t length;
	size_t message; /* where the current message begins */
	size_t nests[NETLINK_NESTS];
	unsigned depth;
	unsigned count;    /* messages begun */
	unsigned expected; /* the message whose acknowledgement ends the exchange, + 1; 0 is the last */
	size_t expected_at;
	bool overflow;
};

/* Room for a batch, whose pages are not touched before they are written. */
#define NETLINK_ROOM(name, size) uint32_t name[(size) / sizeof(uint32_t)] __attribute__((uninitialized))
/* A batch over that room (or any array aligned to 4). */
#define NETLINK_BATCH(array)                                                                                 \
	{                                                                                                    \
		.bytes = (unsigned char *)(array), .room = sizeof(array)                                     \
	}

struct netlink {
	int fd;
	uint32_t sequence; /* the last one used */
	char reason[128];  /* what the kernel said about the last error, or "" */
};

#define NETLINK_CLOSED                                                                                       \
	{                                                                                                    \
		.fd = -1                                                                                     \
	}

/* Opens a socket in the current network namespace; protocol is NETLINK_ROUTE or
 * NETLINK_NETFILTER. Returns 0 or -errno. */
int netlink_open(struct netlink *nl, int protocol);
/* Takes a zeroed, a closed or an open one. */
void netlink_close(struct netlink *nl);
#define auto_netlink __attribute__((cleanup(netlink_close)))

/* Begins a message: NLM_F_REQUEST is added to flags; header (struct ifinfomsg and the
 * like) is size bytes. */
void netlink_begin(
	struct netlink_batch *batch, uint16_t type, uint16_t flags, const void *header, size_t size);
/* Adds an attribute to the current message. */
void netlink_put(struct netlink_batch *batch, uint16_t type, const void *bytes, size_t size);
void netlink_put_u8(struct netlink_batch *batch, uint16_t type, uint8_t value);
void netlink_put_u16(struct netlink_batch *batch, uint16_t type, uint16_t value);
void netlink_put_u32(struct netlink_batch *batch, uint16_t type, uint32_t value);
/* In network byte order, as nf_tables wants its numbers. */
void netlink_put_be32(struct netlink_batch *batch, uint16_t type, uint32_t value);
void netlink_put_be64(struct netlink_batch *batch, uint16_t type, uint64_t value);
/* With the NUL. */
void netlink_put_string(struct netlink_batch *batch, uint16_t type, const char *text);
/* Begins and ends an attribute that holds others; header bytes (may be none) come first. */
void netlink_nest(struct netlink_batch *batch, uint16_t type);
void netlink_nest_with(struct netlink_batch *batch, uint16_t type, const void *header, size_t size);
void netlink_nest_end(struct netlink_batch *batch);

/* Marks the current message as the one whose acknowledgement ends the exchange, where it
 * is not the last: the end mark of an nf_tables batch is never acknowledged. */
void netlink_expect(struct netlink_batch *batch);

/* Sends the batch and waits for the kernel's word on the last message. Returns 0, or the
 * first error as -errno; *failed (may be NULL) is then the index of the message that
 * failed, and nl->reason may say why. */
int netlink_run(struct netlink *nl, struct netlink_batch *batch, unsigned *failed);

/* Is handed each answer: the message, its payload after the family's header, and the
 * index of the request in the batch. A return other than 0 ends the exchange with it. */
typedef int netlink_answer_fn(void *context, const struct nlmsghdr *message, unsigned index);

/* As netlink_run, with the answers that the requests produce handed to answer. */
int netlink_ask(struct netlink *nl, struct netlink_batch *batch, netlink_answer_fn *answer, void *context,
	unsigned *failed);

/* Sends a batch of exactly one request with NLM_F_DUMP. A dump that the kernel says was
 * disturbed is run again: `answer` is called with message NULL first, every time, so that
 * the caller can begin anew. Returns 0 or -errno. */
int netlink_dump(struct netlink *nl, struct netlink_batch *batch, netlink_answer_fn *answer, void *context);

/* The attributes of an answer. */
struct netlink_attribute {
	uint16_t type; /* without NLA_F_NESTED and NLA_F_NET_BYTEORDER */
	uint16_t size;
	const unsigned char *bytes;
};

struct netlink_attributes {
	const unsigned char *at;
	size_t left;
};

/* The attributes that follow a family header of that size; none where the message is
 * too short. */
struct netlink_attributes netlink_attributes_of(const struct nlmsghdr *message, size_t header);
/* The attributes inside one, after header bytes. */
struct netlink_attributes netlink_attributes_in(const struct netlink_attribute *attribute, size_t header);
/* Takes the next one; false at the end or at the first malformed one. */
bool netlink_next(struct netlink_attributes *list, struct netlink_attribute *out);
/* Finds one of that type; the last counts where it is repeated. */
bool netlink_find(struct netlink_attributes list, uint16_t type, struct netlink_attribute *out);
/* Values, or `otherwise` where the attribute is shorter. */
uint32_t netlink_get_u32(const struct netlink_attribute *attribute, uint32_t otherwise);
uint32_t netlink_get_be32(const struct netlink_attribute *attribute, uint32_t otherwise);
uint64_t netlink_get_be64(const struct netlink_attribute *attribute, uint64_t otherwise);
/* Whether it is text, NUL-terminated or not, that equals this. */
bool netlink_text_is(const struct netlink_attribute *attribute, const char *text);
/* Copies it as text; false where it does not fit or holds no text. */
bool netlink_copy_text(const struct netlink_attribute *attribute, char *out, size_t size);

/*
 * The parser behind the exchanges, without a socket: goes through the bytes of one
 * datagram. Exposed for the fuzzer.
 */
struct netlink_exchange {
	uint32_t first, last; /* sequence numbers of the batch */
	uint32_t expected;    /* the one whose acknowledgement ends it */
	netlink_answer_fn *answer;
	void *context;
	char *reason; /* 128 bytes, or NULL */
	bool done;
	bool disturbed;
	int error; /* the first, or 0 */
	unsigned failed;
};

/* Returns 0, or what answer returned. */
int netlink_parse(struct netlink_exchange *x, const void *bytes, size_t size);

#endif
