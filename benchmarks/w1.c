/* W1 and W2 as a C program: what a person would write who wants nothing but these two workloads, fast.
 *
 * A thousand tasks think, pick one of 4,096 pages (Zipf), lock it, hold it, unlock it. Who finds the page locked queues:
 * W1 in one of 256 queues found by hash, W2 in a queue of the page's own, whose tagged number replaces the page's
 * mapping while somebody waits. README.md beside this file has the rules; every peer keeps the same log, and the hash
 * over its columns shows that it does.
 *
 *   cc -O3 -o w1 w1.c;  ./w1 RECORDS W2 TABLES [SEED TASKS PAGES LOAD]
 *
 * TABLES is what benchmarks/tables.py wrote: threshold u32[PAGES], alias u32[PAGES], exponential u64[4097].
 * Prints one line of JSON: CPU seconds of the simulation alone, records, hash, entries of other pages walked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOLD_NS 10000u          /* mean */
#define WAKE_NS 500u
#define QUEUES 256u
#define GAMMA UINT64_C(0x9E3779B97F4A7C15)          /* splitmix64 */
#define VMEMMAP UINT64_C(0xFFFFEA0000000000)        /* struct page 0 */
#define HASH_RATIO UINT64_C(0x61C8864680B583EB)     /* include/linux/hash.h: GOLDEN_RATIO_64 */
#define TASK_BITS 20u                               /* a pending event: time above, task below */
#define TAG UINT64_C(1)                             /* of mapping, W2 */
#define NOBODY UINT32_MAX

enum kind { LOCK = 1, WAIT, UNLOCK, WAKE, ATTACH, DETACH };
enum state { THINKING, WOKEN, HOLDING, WAITING };

struct queue { uint32_t first, last, length; };

struct task { uint64_t random; uint32_t page, next, state; };

static struct {
    /* the world */
    struct task *task;
    uint8_t *locked;            /* by page */
    uint64_t *mapping;          /* by page, W2 only */
    struct queue *queue;        /* W1: by hash; W2: wait structures */
    uint32_t *spare;            /* W2: stack of wait structures that nobody uses */
    uint32_t pages, spares;
    uint64_t think_ns, skipped;
    /* pending events: a binary heap of packed keys */
    uint64_t *heap;
    uint32_t pending;
    /* tables */
    uint32_t *threshold, *alias;
    uint64_t *exponential;
    /* the log, by column */
    uint64_t *time;
    uint8_t *kind;
    uint32_t *who, *page, *length;
    size_t records;
} w;

static inline uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline uint64_t draw(struct task *task)
{
    return mix(task->random += GAMMA);
}

static inline uint64_t draw_exponential(struct task *task, uint64_t mean)
{
    const uint64_t r = draw(task);
    const uint64_t *step = w.exponential + (r >> 52);
    const uint64_t part = (r >> 20) & UINT32_MAX;

    return 1 + (((step[0] + (((step[1] - step[0]) * part) >> 32)) * mean) >> 20);
}

static inline uint32_t draw_page(struct task *task)
{
    const uint64_t r = draw(task);
    const uint32_t column = (uint32_t)(((r >> 32) * w.pages) >> 32);

    return (uint32_t)r < w.threshold[column] ? column : w.alias[column];
}

static inline uint32_t hashed_queue(uint32_t page)
{
    return (uint32_t)(((VMEMMAP + (uint64_t)page * 64) * HASH_RATIO) >> 56);
}

static inline void note(uint64_t time, enum kind kind, uint32_t who, uint32_t page, uint32_t length)
{
    const size_t at = w.records++;

    w.time[at] = time;
    w.kind[at] = (uint8_t)kind;
    w.who[at] = who;
    w.page[at] = page;
    w.length[at] = length;
}

static inline uint64_t key(uint64_t time, uint32_t who)
{
    return time << TASK_BITS | who;
}

static inline void heap_add(uint64_t new)
{
    uint32_t at = w.pending++;

    while (at && new < w.heap[(at - 1) / 2]) {
        w.heap[at] = w.heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w.heap[at] = new;
}

/* The root has been dealt with: put new in its place and let it sink. One walk instead of a removal and an addition. */
static inline void heap_replace(uint64_t new)
{
    uint64_t *const heap = w.heap;
    const uint32_t end = w.pending;
    uint32_t at = 0, child;

    while ((child = 2 * at + 1) < end) {
        if (child + 1 < end)
            child += heap[child + 1] < heap[child];
        if (new <= heap[child])
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = new;
}

static inline void heap_drop(void)
{
    w.pending--;
    heap_replace(w.heap[w.pending]);
}

static inline void enqueue(struct queue *queue, uint32_t who)
{
    w.task[who].next = NOBODY;
    if (queue->first == NOBODY)
        queue->first = who;
    else
        w.task[queue->last].next = who;
    queue->last = who;
    queue->length++;
}

/* Unlink and return the first task that waits for page; entries of other pages in front of it are walked over. */
static inline uint32_t dequeue(struct queue *queue, uint32_t page)
{
    uint32_t before = NOBODY, who = queue->first;

    while (who != NOBODY && w.task[who].page != page) {
        w.skipped++;
        before = who;
        who = w.task[who].next;
    }
    if (who == NOBODY)
        return NOBODY;
    if (before == NOBODY)
        queue->first = w.task[who].next;
    else
        w.task[before].next = w.task[who].next;
    if (queue->last == who)
        queue->last = before;
    queue->length--;
    return who;
}

static inline uint64_t untagged(uint32_t page)
{
    return 0x1000 + (uint64_t)page * 16;        /* stands for the address of the file's address_space */
}

/* The queue where waiters of page are, or NULL. */
static inline struct queue *queue_of(uint32_t page, int own)
{
    if (!own)
        return w.queue + hashed_queue(page);
    return w.mapping[page] & TAG ? w.queue + (w.mapping[page] >> 1) : NULL;
}

static inline void wait(uint64_t now, uint32_t who, uint32_t page, int own)
{
    struct queue *queue = queue_of(page, own);

    if (!queue) {
        const uint32_t number = w.spare[--w.spares];

        w.mapping[page] = (uint64_t)number << 1 | TAG;
        queue = w.queue + number;
        note(now, ATTACH, who, page, 0);
    }
    enqueue(queue, who);
    w.task[who].state = WAITING;
    note(now, WAIT, who, page, queue->length);
}

static inline void unlock(uint64_t now, uint32_t who, int own)
{
    struct task *const task = w.task + who;
    const uint32_t page = task->page;
    struct queue *const queue = queue_of(page, own);
    const uint32_t woken = queue ? dequeue(queue, page) : NOBODY;
    const uint32_t length = queue ? queue->length : 0;

    w.locked[page] = 0;
    note(now, UNLOCK, who, page, length);
    task->state = THINKING;
    heap_replace(key(now + draw_exponential(task, w.think_ns), who));
    if (woken == NOBODY)
        return;
    note(now, WAKE, woken, page, length);
    if (own && !length) {
        w.spare[w.spares++] = (uint32_t)(queue - w.queue);
        w.mapping[page] = untagged(page);
        note(now, DETACH, woken, page, 0);
    }
    w.task[woken].state = WOKEN;
    heap_add(key(now + WAKE_NS, woken));
}

static inline void try_lock(uint64_t now, uint32_t who, int own)
{
    struct task *const task = w.task + who;

    if (task->state == THINKING)
        task->page = draw_page(task);           /* a woken task wants the page that it waited for */
    if (w.locked[task->page]) {
        wait(now, who, task->page, own);
        heap_drop();
        return;
    }
    const struct queue *const queue = queue_of(task->page, own);

    w.locked[task->page] = 1;
    task->state = HOLDING;
    note(now, LOCK, who, task->page, queue ? queue->length : 0);
    heap_replace(key(now + draw_exponential(task, HOLD_NS), who));
}

static inline void play(size_t records, int own)
{
    while (w.records < records) {
        const uint64_t now = w.heap[0] >> TASK_BITS;
        const uint32_t who = (uint32_t)w.heap[0] & ((1u << TASK_BITS) - 1);

        if (w.task[who].state == HOLDING)
            unlock(now, who, own);
        else
            try_lock(now, who, own);
    }
}

static void *room(size_t count, size_t size)
{
    void *const bytes = malloc(count * size);

    if (!bytes) {
        fprintf(stderr, "w1: no memory for %zu bytes\n", count * size);
        exit(1);
    }
    return memset(bytes, 0, count * size);      /* touched here, so that no page fault falls into the measured time */
}

static void read_table(FILE *file, void *into, size_t count, size_t size)
{
    if (fread(into, size, count, file) != count) {
        fprintf(stderr, "w1: the tables are short\n");
        exit(1);
    }
}

static uint64_t log_hash(size_t records)
{
    const uint64_t prime = UINT64_C(0x100000001B3);
    uint64_t hash = UINT64_C(0xCBF29CE484222325);

    for (size_t i = 0; i < records; i++) {
        hash = (hash ^ w.time[i]) * prime;
        hash = (hash ^ ((uint64_t)w.page[i] << 32 | w.who[i])) * prime;
        hash = (hash ^ ((uint64_t)w.kind[i] << 32 | w.length[i])) * prime;
    }
    return hash;
}

static double cpu_seconds(void)
{
    struct timespec spec;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spec);
    return (double)spec.tv_sec + (double)spec.tv_nsec * 1e-9;
}

int main(int count, char **word)
{
    if (count < 4) {
        fprintf(stderr, "usage: w1 RECORDS W2 TABLES [SEED TASKS PAGES LOAD]\n");
        return 2;
    }
    const size_t records = (size_t)strtod(word[1], NULL);
    const int own = atoi(word[2]);
    const uint64_t seed = count > 4 ? strtoull(word[4], NULL, 10) : 1;
    const uint32_t tasks = count > 5 ? (uint32_t)strtod(word[5], NULL) : 1000;
    const uint64_t load = count > 7 ? strtoull(word[7], NULL, 10) : 120;
    FILE *const tables = fopen(word[3], "rb");

    if (!tables) {
        perror(word[3]);
        return 1;
    }
    w.pages = count > 6 ? (uint32_t)strtod(word[6], NULL) : 4096;
    w.think_ns = load * HOLD_NS * tasks / 1000;
    w.threshold = room(w.pages, sizeof *w.threshold);
    w.alias = room(w.pages, sizeof *w.alias);
    w.exponential = room(4097, sizeof *w.exponential);
    read_table(tables, w.threshold, w.pages, sizeof *w.threshold);
    read_table(tables, w.alias, w.pages, sizeof *w.alias);
    read_table(tables, w.exponential, 4097, sizeof *w.exponential);
    fclose(tables);

    const uint32_t queues = own ? tasks : QUEUES;
    const size_t log = records + 4;             /* one event may add three records after the last one wanted */

    w.task = room(tasks, sizeof *w.task);
    w.heap = room(tasks, sizeof *w.heap);
    w.locked = room(w.pages, sizeof *w.locked);
    w.mapping = room(w.pages, sizeof *w.mapping);
    w.queue = room(queues, sizeof *w.queue);
    w.spare = room(queues, sizeof *w.spare);
    w.time = room(log, sizeof *w.time);
    w.kind = room(log, sizeof *w.kind);
    w.who = room(log, sizeof *w.who);
    w.page = room(log, sizeof *w.page);
    w.length = room(log, sizeof *w.length);
    for (uint32_t page = 0; page < w.pages; page++)
        w.mapping[page] = untagged(page);
    for (uint32_t queue = 0; queue < queues; queue++) {
        w.queue[queue] = (struct queue){NOBODY, NOBODY, 0};
        w.spare[w.spares++] = queues - 1 - queue;
    }
    for (uint32_t who = 0; who < tasks; who++) {
        w.task[who].random = mix(seed + (who + 1) * GAMMA);
        heap_add(key(draw_exponential(w.task + who, w.think_ns), who));
    }

    const double before = cpu_seconds();

    if (own)                                    /* two calls: the compiler makes a loop for each workload */
        play(records, 1);
    else
        play(records, 0);

    const double cpu = cpu_seconds() - before;

    printf("{\"peer\": \"c\", \"w2\": %d, \"records\": %zu, \"cpu\": %.6f, \"hash\": \"%016" PRIx64 "\", \"skipped\": %" PRIu64 "}\n",
           own, records, cpu, log_hash(records), w.skipped);
    return 0;
}
