/* authority: an upstream for benchmarks. It answers every A question with one address and every other question with
 * no data, from one core, batched, so that it is never what limits a resolver under test. Loopback only, UDP only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>

enum { BATCH = 64, MAX_MESSAGE = 1500, HEADER = 12, TYPE_A = 1, TYPE_SOA = 6, TYPE_OPT = 41 };

static unsigned char bytes[BATCH][MAX_MESSAGE];
static struct iovec parts[BATCH];
static struct mmsghdr heads[BATCH];
static struct sockaddr_in peers[BATCH];

static void fail(const char *what) {
    fprintf(stderr, "authority: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Where the question ends (after type and class), or 0 where it is not one plain question. */
static size_t question_end(const unsigned char *message, size_t size) {
    size_t at = HEADER;
    if (size < HEADER || message[2] & 0x80 || message[4] || message[5] != 1) return 0;
    while (at < size && message[at]) {
        if (message[at] > 63) return 0;
        at += (size_t)message[at] + 1;
    }
    return at + 5 <= size ? at + 5 : 0;
}

static size_t append_address(unsigned char *out, uint32_t ttl) {
    const unsigned char record[] = {0xc0, HEADER, 0, TYPE_A, 0, 1, (unsigned char)(ttl >> 24), (unsigned char)(ttl >> 16), (unsigned char)(ttl >> 8),
                                    (unsigned char)ttl, 0, 4, 198, 51, 100, 7}; /* RFC 5737: a documentation address */
    memcpy(out, record, sizeof record);
    return sizeof record;
}

/* RFC 2308: no data is said with the SOA of the zone; here the root is the zone. */
static size_t append_no_data(unsigned char *out, uint32_t ttl) {
    const unsigned char record[] = {0, 0, TYPE_SOA, 0, 1, (unsigned char)(ttl >> 24), (unsigned char)(ttl >> 16), (unsigned char)(ttl >> 8), (unsigned char)ttl, 0, 22,
                                    0, 0, 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 14, 16};
    memcpy(out, record, sizeof record);
    return sizeof record;
}

/* Turns the query in place into its answer; returns the answer's size, 0 where there is nothing to say. */
static size_t answer(unsigned char *message, size_t size, uint32_t ttl) {
    size_t at = question_end(message, size);
    if (!at) return 0;
    int has_edns = message[11] != 0;
    int is_address = message[at - 4] == 0 && message[at - 3] == TYPE_A;
    message[2] = 0x80 | (message[2] & 1); /* QR, and RD as it came */
    message[3] = 0x80;                    /* RA, NOERROR */
    memset(message + 6, 0, 6);
    message[is_address ? 7 : 9] = 1;
    at += is_address ? append_address(message + at, ttl) : append_no_data(message + at, ttl);
    if (has_edns) {
        const unsigned char opt[] = {0, 0, TYPE_OPT, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};
        memcpy(message + at, opt, sizeof opt);
        message[11] = 1;
        at += sizeof opt;
    }
    return at;
}

static int open_socket(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int buffer = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) fail("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (bind(fd, (struct sockaddr *)&address, sizeof address)) fail("bind");
    return fd;
}

static void serve(int fd, uint32_t ttl) {
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = MAX_MESSAGE - 64};
            heads[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1, .msg_name = &peers[i], .msg_namelen = sizeof peers[i]};
        }
        int got = recvmmsg(fd, heads, BATCH, MSG_WAITFORONE, NULL), ready = 0;
        if (got < 0) {
            if (errno == EINTR || errno == ECONNREFUSED) continue;
            fail("recvmmsg");
        }
        for (int i = 0; i < got; i++) {
            size_t size = answer(bytes[i], heads[i].msg_len, ttl);
            if (!size) continue;
            parts[i].iov_len = size;
            heads[ready++].msg_hdr = heads[i].msg_hdr;
        }
        for (int sent = 0; sent < ready;) {
            int taken = sendmmsg(fd, heads + sent, (unsigned)(ready - sent), 0);
            sent += taken > 0 ? taken : 1; /* one that cannot be sent is dropped, as a network would */
        }
    }
}

int main(int count, char **words) {
    static const struct option known[] = {{"port", required_argument, 0, 'p'}, {"ttl", required_argument, 0, 't'}, {0, 0, 0, 0}};
    int port = 0;
    uint32_t ttl = 3600;
    for (int letter; (letter = getopt_long(count, words, "", known, NULL)) != -1;) {
        if (letter == 'p') port = atoi(optarg);
        else if (letter == 't') ttl = (uint32_t)strtoul(optarg, NULL, 10);
        else return 2;
    }
    if (port < 1 || port > 65535) return fprintf(stderr, "usage: authority --port N [--ttl SECONDS]\n"), 2;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* it never outlives the run that started it */
    serve(open_socket(port), ttl);
}
