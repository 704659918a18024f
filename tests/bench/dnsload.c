/* dnsload: UDP DNS load from one core, batched with sendmmsg and recvmmsg; prints one line of JSON.
 *
 * Closed loop (the default) keeps --window queries outstanding on every socket: it finds the throughput.
 * Open loop (--rate) sends by the clock whatever the server does and measures each latency from the moment at which
 * the query was due, so that a server that stalls cannot hide the queries that it kept from being sent.
 *
 * An id is a slot of the socket's window and the slot's generation, so an answer that comes after its time-out, or
 * twice, is not counted. A query without an answer after --timeout seconds is lost.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 64,
    MAX_QUERY = 600,
    MAX_ANSWER = 4096,
    HEADER = 12,
    MAX_WINDOW = 16384,
    MAX_SOCKETS = 4096,
    MICROSECONDS = 1000000, /* the histogram's reach: one second, in steps of one microsecond */
    UNIQUE_DIGITS = 8,
};

struct options {
    const char *server, *queries, *unique;
    struct in_addr source;
    bool has_source, want_dnssec;
    int port, window, sockets, edns_size, timeline_ms;
    double seconds, rate, timeout;
};

struct query {
    unsigned char *wire;
    size_t size;
};

struct query_list {
    struct query *items;
    size_t count, next;
    uint32_t unique_next;
    size_t unique_at; /* where the counter's digits stand in the wire form; 0: names are sent as they are */
};

struct slot {
    double due;
    uint16_t generation;
    bool live;
};

struct client {
    int fd;
    struct slot *slots;
    uint16_t *free_slots;
    int free_count;
};

struct interval {
    unsigned long answered, lost;
    double worst;
};

struct tally {
    unsigned long sent, answered, lost, truncated, rcodes[16];
    unsigned histogram[MICROSECONDS + 1];
    double worst;
    struct interval *timeline;
    int intervals;
};

struct load {
    struct options options;
    struct query_list queries;
    struct client *clients;
    struct tally tally;
    int epoll, generation_shift, turn;
    double start, end;
};

static unsigned char sent_bytes[BATCH][MAX_QUERY], got_bytes[BATCH][MAX_ANSWER];
static struct iovec sent_parts[BATCH], got_parts[BATCH];
static struct mmsghdr sent_heads[BATCH], got_heads[BATCH];

static void fail(const char *what) {
    fprintf(stderr, "dnsload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void refuse(const char *what) {
    fprintf(stderr, "dnsload: %s\n", what);
    exit(2);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) fail("memory");
    return memory;
}

static double now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + (double)moment.tv_nsec * 1e-9;
}

/* ---- queries ---- */

static int type_number(const char *text) {
    static const struct {
        const char *name;
        int number;
    } types[] = {{"A", 1}, {"NS", 2}, {"CNAME", 5}, {"SOA", 6}, {"PTR", 12}, {"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {"HTTPS", 65}, {"ANY", 255}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(text, types[i].name)) return types[i].number;
    return 0;
}

/* Appends the labels of `name` and the root; returns the bytes written, 0 where the name has no wire form. */
static size_t encode_name(const char *name, unsigned char *out) {
    size_t at = 0;
    while (*name) {
        size_t length = strcspn(name, ".");
        if (length == 0 || length > 63 || at + length + 2 > 255) return 0;
        out[at++] = (unsigned char)length;
        memcpy(out + at, name, length);
        at += length;
        name += length;
        if (*name == '.') name++;
    }
    out[at++] = 0;
    return at;
}

static size_t encode_query(const char *name, int type, const struct options *options, unsigned char *out) {
    size_t at = HEADER;
    memset(out, 0, HEADER);
    out[2] = 1; /* RD */
    out[5] = 1; /* QDCOUNT */
    if (options->unique) {
        size_t length = strlen(options->unique) + UNIQUE_DIGITS;
        out[at++] = (unsigned char)length;
        memcpy(out + at, options->unique, length - UNIQUE_DIGITS);
        at += length;
    }
    size_t size = encode_name(name, out + at);
    if (!size) return 0;
    at += size;
    const unsigned char question[] = {(unsigned char)(type >> 8), (unsigned char)type, 0, 1};
    memcpy(out + at, question, sizeof question);
    at += sizeof question;
    if (options->edns_size) { /* RFC 6891: root, OPT, size, extended rcode, version, flags, no options */
        const unsigned char opt[] = {0, 0, 41, (unsigned char)(options->edns_size >> 8), (unsigned char)options->edns_size, 0, 0,
                                     options->want_dnssec ? 0x80 : 0, 0, 0, 0};
        memcpy(out + at, opt, sizeof opt);
        at += sizeof opt;
        out[11] = 1; /* ARCOUNT */
    }
    return at;
}

static void read_queries(struct load *load) {
    struct query_list *list = &load->queries;
    FILE *file = fopen(load->options.queries, "r");
    if (!file) fail(load->options.queries);
    char name[301], type[21];
    unsigned char wire[MAX_QUERY];
    size_t capacity = 0;
    while (fscanf(file, "%300s %20s", name, type) == 2) {
        int number = type_number(type);
        size_t size = number ? encode_query(name, number, &load->options, wire) : 0;
        if (!size) continue;
        if (list->count == capacity) {
            capacity = capacity ? capacity * 2 : 1024;
            list->items = realloc(list->items, capacity * sizeof *list->items);
            if (!list->items) fail("memory");
        }
        struct query *query = &list->items[list->count++];
        query->wire = allocate(1, size);
        query->size = size;
        memcpy(query->wire, wire, size);
    }
    fclose(file);
    if (!list->count) refuse("no usable query in the file");
    if (load->options.unique) list->unique_at = HEADER + 1 + strlen(load->options.unique);
}

static size_t next_query(struct query_list *list, unsigned char *out) {
    const struct query *query = &list->items[list->next];
    if (++list->next == list->count) list->next = 0;
    memcpy(out, query->wire, query->size);
    if (list->unique_at) {
        uint32_t number = list->unique_next++;
        for (int i = UNIQUE_DIGITS - 1; i >= 0; i--, number >>= 4) out[list->unique_at + (size_t)i] = (unsigned char)"0123456789abcdef"[number & 15];
    }
    return query->size;
}

/* ---- sockets ---- */

static void open_client(struct load *load, int index, const struct sockaddr_in *server) {
    const struct options *options = &load->options;
    struct client *client = &load->clients[index];
    int buffer = 8 << 20;
    client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) fail("socket");
    if (setsockopt(client->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer))
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer); /* without the right to force it: what is allowed */
    if (options->has_source) {
        struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(ntohl(options->source.s_addr) + (uint32_t)index)};
        if (bind(client->fd, (struct sockaddr *)&source, sizeof source)) fail("bind");
    }
    if (connect(client->fd, (const struct sockaddr *)server, sizeof *server)) fail("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event)) fail("epoll_ctl");
    client->slots = allocate((size_t)options->window, sizeof *client->slots);
    client->free_slots = allocate((size_t)options->window, sizeof *client->free_slots);
    for (int slot = 0; slot < options->window; slot++) client->free_slots[client->free_count++] = (uint16_t)slot;
}

static void open_clients(struct load *load) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load->options.port)};
    if (inet_pton(AF_INET, load->options.server, &server.sin_addr) != 1) refuse("--server is not an IPv4 address");
    load->epoll = epoll_create1(0);
    if (load->epoll < 0) fail("epoll_create1");
    load->clients = allocate((size_t)load->options.sockets, sizeof *load->clients);
    for (int i = 0; i < load->options.sockets; i++) open_client(load, i, &server);
    for (int i = 0; i < BATCH; i++) {
        sent_parts[i].iov_base = sent_bytes[i];
        sent_heads[i].msg_hdr.msg_iov = &sent_parts[i];
        sent_heads[i].msg_hdr.msg_iovlen = 1;
        got_parts[i].iov_base = got_bytes[i];
        got_parts[i].iov_len = MAX_ANSWER;
        got_heads[i].msg_hdr.msg_iov = &got_parts[i];
        got_heads[i].msg_hdr.msg_iovlen = 1;
    }
    load->generation_shift = 0;
    while ((1 << load->generation_shift) < load->options.window) load->generation_shift++;
}

/* ---- sending and receiving ---- */

static void release(struct client *client, int index) {
    client->slots[index].live = false;
    client->slots[index].generation++;
    client->free_slots[client->free_count++] = (uint16_t)index;
}

/* Sends up to `wanted` queries; the i-th was due at `due + i * step`. Returns how many the kernel took. */
static int send_batch(struct load *load, struct client *client, int wanted, double due, double step) {
    int count = wanted < client->free_count ? wanted : client->free_count;
    if (count > BATCH) count = BATCH;
    if (count <= 0) return 0;
    for (int i = 0; i < count; i++) {
        int index = client->free_slots[--client->free_count];
        struct slot *slot = &client->slots[index];
        uint16_t id = (uint16_t)((slot->generation << load->generation_shift) | index);
        sent_parts[i].iov_len = next_query(&load->queries, sent_bytes[i]);
        sent_bytes[i][0] = (unsigned char)(id >> 8);
        sent_bytes[i][1] = (unsigned char)id;
        slot->due = due + i * step;
        slot->live = true;
    }
    int taken = sendmmsg(client->fd, sent_heads, (unsigned)count, 0);
    if (taken < 0) {
        if (errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED && errno != EINTR) fail("sendmmsg");
        taken = 0;
    }
    load->tally.sent += (unsigned long)taken;
    for (int i = taken; i < count; i++) release(client, (sent_bytes[i][0] << 8 | sent_bytes[i][1]) & ((1 << load->generation_shift) - 1));
    return taken;
}

static struct interval *interval_of(struct load *load, double due) {
    if (!load->tally.intervals) return NULL;
    int index = (int)((due - load->start) * 1000 / load->options.timeline_ms);
    if (index < 0) index = 0;
    if (index >= load->tally.intervals) index = load->tally.intervals - 1;
    return &load->tally.timeline[index];
}

static void count_answer(struct load *load, double due, double at, const unsigned char *answer) {
    struct tally *tally = &load->tally;
    double latency = at > due ? at - due : 0;
    int bucket = (int)(latency * MICROSECONDS);
    tally->histogram[bucket < MICROSECONDS ? bucket : MICROSECONDS]++;
    tally->answered++;
    tally->rcodes[answer[3] & 15]++;
    if (answer[2] & 2) tally->truncated++;
    if (latency > tally->worst) tally->worst = latency;
    struct interval *interval = interval_of(load, due);
    if (!interval) return;
    interval->answered++;
    if (latency > interval->worst) interval->worst = latency;
}

static int receive_batch(struct load *load, struct client *client) {
    int count = recvmmsg(client->fd, got_heads, BATCH, MSG_DONTWAIT, NULL);
    if (count < 0) {
        if (errno != EAGAIN && errno != ECONNREFUSED && errno != EINTR) fail("recvmmsg");
        return 0;
    }
    double at = now();
    for (int i = 0; i < count; i++) {
        const unsigned char *answer = got_bytes[i];
        if (got_heads[i].msg_len < HEADER || !(answer[2] & 0x80)) continue;
        int id = answer[0] << 8 | answer[1];
        int index = id & ((1 << load->generation_shift) - 1);
        if (index >= load->options.window) continue;
        struct slot *slot = &client->slots[index];
        if (!slot->live || (uint16_t)((slot->generation << load->generation_shift) | index) != id) continue;
        count_answer(load, slot->due, at, answer);
        release(client, index);
    }
    return count;
}

static int give_up_on_late_ones(struct load *load, double at) {
    int outstanding = 0;
    for (int i = 0; i < load->options.sockets; i++) {
        struct client *client = &load->clients[i];
        if (client->free_count == load->options.window) continue;
        for (int index = 0; index < load->options.window; index++) {
            struct slot *slot = &client->slots[index];
            if (!slot->live) continue;
            if (at - slot->due < load->options.timeout) {
                outstanding++;
                continue;
            }
            load->tally.lost++;
            struct interval *interval = interval_of(load, slot->due);
            if (interval) interval->lost++;
            release(client, index);
        }
    }
    return outstanding;
}

static void wait_for_answers(struct load *load, double seconds, bool refill) {
    struct epoll_event events[BATCH];
    if (seconds < 0) seconds = 0;
    struct timespec limit = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(fmod(seconds, 1) * 1e9)};
    int ready = epoll_pwait2(load->epoll, events, BATCH, &limit, NULL);
    if (ready < 0 && errno != EINTR) fail("epoll_pwait2");
    for (int i = 0; i < ready; i++) {
        struct client *client = events[i].data.ptr;
        receive_batch(load, client);
        if (refill) send_batch(load, client, BATCH, now(), 0);
    }
}

static void run_closed_loop(struct load *load) {
    double sweep = load->start;
    while (now() < load->end) {
        double at = now();
        if (at >= sweep) { /* the first fill, and again after losses or a full socket */
            give_up_on_late_ones(load, at);
            for (int i = 0; i < load->options.sockets; i++)
                while (load->clients[i].free_count && send_batch(load, &load->clients[i], BATCH, at, 0) > 0) continue;
            sweep = at + 0.05;
        }
        wait_for_answers(load, 0.001, true);
    }
}

static void run_open_loop(struct load *load) {
    double step = 1 / load->options.rate, due = load->start, sweep = load->start;
    while (due < load->end) {
        double at = now();
        for (int tries = 0; due <= at && tries < load->options.sockets; tries++) {
            struct client *client = &load->clients[load->turn];
            load->turn = (load->turn + 1) % load->options.sockets;
            due += step * send_batch(load, client, (int)((at - due) / step) + 1, due, step);
        }
        if (at >= sweep) {
            give_up_on_late_ones(load, at);
            sweep = at + 0.05;
        }
        wait_for_answers(load, due <= at ? 0.001 : due - now(), false);
        if (at > load->end + load->options.timeout) break; /* the server took none for so long: what was not sent is told apart */
    }
}

static void drain(struct load *load) {
    while (give_up_on_late_ones(load, now())) wait_for_answers(load, 0.005, false);
}

/* ---- the result ---- */

static int percentile(const struct tally *tally, double share) {
    unsigned long seen = 0;
    for (int i = 0; i <= MICROSECONDS; i++) {
        seen += tally->histogram[i];
        if ((double)seen >= share * (double)tally->answered) return i;
    }
    return MICROSECONDS;
}

static void print_timeline(const struct load *load) {
    printf(", \"interval_ms\": %d, \"timeline\": [", load->options.timeline_ms);
    for (int i = 0; i < load->tally.intervals; i++) {
        const struct interval *interval = &load->tally.timeline[i];
        printf("%s{\"answered\": %lu, \"lost\": %lu, \"max_us\": %.0f}", i ? ", " : "", interval->answered, interval->lost, interval->worst * 1e6);
    }
    printf("]");
}

static void print_result(const struct load *load, double elapsed) {
    const struct tally *tally = &load->tally;
    printf("{\"started_at\": %.6f, \"seconds\": %.3f, \"qps\": %.0f, \"sent\": %lu, \"answered\": %lu, \"lost\": %lu, \"truncated\": %lu", load->start, elapsed,
           (double)tally->answered / elapsed, tally->sent, tally->answered, tally->lost, tally->truncated);
    printf(", \"noerror\": %lu, \"formerr\": %lu, \"servfail\": %lu, \"nxdomain\": %lu, \"refused\": %lu", tally->rcodes[0], tally->rcodes[1],
           tally->rcodes[2], tally->rcodes[3], tally->rcodes[5]);
    if (tally->answered)
        printf(", \"p50_us\": %d, \"p99_us\": %d, \"p999_us\": %d, \"max_us\": %.0f", percentile(tally, 0.5), percentile(tally, 0.99),
               percentile(tally, 0.999), tally->worst * 1e6);
    if (load->options.rate > 0) printf(", \"wanted\": %.0f", load->options.rate * load->options.seconds);
    if (tally->intervals) print_timeline(load);
    printf("}\n");
}

/* ---- options ---- */

static void usage(void) {
    refuse("usage: dnsload --server IP --port N --queries FILE [--seconds S] [--window N] [--sockets N] [--source FIRST_IP]\n"
           "  [--rate QPS] [--edns SIZE] [--dnssec] [--unique PREFIX] [--timeline MS] [--timeout S]\n"
           "  FILE has \"name TYPE\" a line. --window: outstanding queries per socket (closed loop), at most so many (open loop).\n"
           "  --source: socket i sends from the i-th address after FIRST_IP, so that each is another client.\n"
           "  --unique: every name gets a first label that was not sent before in this run: PREFIX and eight digits.");
}

static void read_options(int count, char **words, struct options *options) {
    static const struct option known[] = {
        {"server", required_argument, 0, 's'}, {"port", required_argument, 0, 'p'},    {"queries", required_argument, 0, 'q'},
        {"seconds", required_argument, 0, 't'}, {"window", required_argument, 0, 'w'},  {"sockets", required_argument, 0, 'n'},
        {"source", required_argument, 0, 'b'}, {"rate", required_argument, 0, 'r'},    {"edns", required_argument, 0, 'e'},
        {"dnssec", no_argument, 0, 'd'},       {"unique", required_argument, 0, 'u'},  {"timeline", required_argument, 0, 'i'},
        {"timeout", required_argument, 0, 'o'}, {0, 0, 0, 0},
    };
    *options = (struct options){.window = 64, .sockets = 8, .seconds = 5, .timeout = 1};
    for (int letter; (letter = getopt_long(count, words, "", known, NULL)) != -1;) {
        switch (letter) {
        case 's': options->server = optarg; break;
        case 'p': options->port = atoi(optarg); break;
        case 'q': options->queries = optarg; break;
        case 't': options->seconds = atof(optarg); break;
        case 'w': options->window = atoi(optarg); break;
        case 'n': options->sockets = atoi(optarg); break;
        case 'b':
            if (inet_pton(AF_INET, optarg, &options->source) != 1) refuse("--source is not an IPv4 address");
            options->has_source = true;
            break;
        case 'r': options->rate = atof(optarg); break;
        case 'e': options->edns_size = atoi(optarg); break;
        case 'd': options->want_dnssec = true; break;
        case 'u': options->unique = optarg; break;
        case 'i': options->timeline_ms = atoi(optarg); break;
        case 'o': options->timeout = atof(optarg); break;
        default: usage();
        }
    }
    if (!options->server || !options->queries || options->port < 1 || options->port > 65535) usage();
    if (options->window < 1 || options->window > MAX_WINDOW || options->sockets < 1 || options->sockets > MAX_SOCKETS) usage();
    if (options->seconds <= 0 || options->seconds > 600 || options->timeout <= 0 || options->rate < 0 || options->timeline_ms < 0) usage();
    if (options->edns_size < 0 || options->edns_size > 65535 || (options->want_dnssec && !options->edns_size)) usage();
    if (options->unique && strlen(options->unique) + UNIQUE_DIGITS > 63) usage();
}

int main(int count, char **words) {
    static struct load load;
    read_options(count, words, &load.options);
    read_queries(&load);
    open_clients(&load);
    prctl(PR_SET_TIMERSLACK, 1);
    if (load.options.timeline_ms) {
        load.tally.intervals = (int)ceil(load.options.seconds * 1000 / load.options.timeline_ms);
        load.tally.timeline = allocate((size_t)load.tally.intervals, sizeof *load.tally.timeline);
    }
    load.start = now();
    load.end = load.start + load.options.seconds;
    if (load.options.rate > 0) run_open_loop(&load);
    else run_closed_loop(&load);
    double elapsed = now() - load.start;
    drain(&load);
    print_result(&load, elapsed);
    return 0;
}
