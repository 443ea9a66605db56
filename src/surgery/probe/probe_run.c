// SPDX-License-Identifier: Apache-2.0
// Asking: batches, lanes (a thread with a worker of the target and one of the oracle), splitting what fails.
#include "base/cpu.h"
#include "base/map.h"
#include "surgery/probe/probe_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BATCH 48
#define BATCH_BYTES ((size_t)32 << 20) // of inputs and constants in a batch

// `lock` guards everything below it, and the cache.
typedef struct runner {
    const ap_probe_host *host;
    ap_probe_cache *cache;
    double tolerance;
    ap_probe_batch *batches;
    size_t batch_count, total;
    pthread_mutex_t lock;
    size_t next, done;
    ap_probe_stats stats;
    ap_err err; // the first one ends the run
} runner;

typedef struct lane {
    runner *r;
    size_t slot, sequence;
    ap_worker *target, *oracle;
    ap_arena arena; // reasons, until they move to the set's
    pthread_t thread;
} lane;

// ---- one batch

// What came of a batch that was given to both workers.
typedef struct outcome {
    json_t *target, *oracle, *sets;
    ap_err died;       // the target's worker is gone
    ap_err unfit;      // the oracle cannot run the batch
    const char *error; // the target's session or run failed, in its words; NULL
} outcome;

static void outcome_release(outcome *o) {
    json_decref(o->target);
    json_decref(o->oracle);
    json_decref(o->sets);
    ap_err_free(o->died);
    ap_err_free(o->unfit);
}

static bool is_death(const ap_error *e) {
    ap_code c = ap_err_code(e);
    return c == AP_ERR_WORKER_CRASH || c == AP_ERR_WORKER_HANG || c == AP_ERR_WORKER_MEMORY ||
           c == AP_ERR_WORKER_GARBAGE;
}

static ap_err need_worker(lane *l, bool oracle) {
    ap_worker **w = oracle ? &l->oracle : &l->target;
    return *w ? NULL : l->r->host->start(l->r->host->user, oracle, l->slot, w);
}

static ap_err call(lane *l, bool oracle, const char *dir, json_t *sets, json_t **result) {
    ap_arena a = {0};
    ap_err err = need_worker(l, oracle);
    char *out = ap_path_join(&a, dir, oracle ? "oracle" : "target");
    if (!err)
        err = ap_worker_call(oracle ? l->oracle : l->target, "probe",
                             json_pack("{ss,ss,sO,si,sb}", "file",
                                       ap_path_join(&a, dir, oracle ? "oracle.onnx" : "target.onnx"), "dir",
                                       out, "sets", sets, "repeats", oracle ? 1 : AP_PROBE_REPEATS,
                                       "reference", oracle),
                             result);
    if (!err && l->r->host->spent)
        l->r->host->spent(l->r->host->user, oracle, (uint64_t)ap_json_int(*result, "vendor_us", 0));
    if (is_death(err)) {
        ap_worker_stop(oracle ? l->oracle : l->target, NULL);
        *(oracle ? &l->oracle : &l->target) = NULL;
    }
    ap_arena_release(&a);
    return err;
}

// The oracle first: what it cannot run need not be asked. *err is trouble of our own.
static ap_err ask(lane *l, const ap_probe_batch *b, const char *dir, outcome *o) {
    ap_err err = NULL;
    AP_TRY(ap_probe_batch_write(b, dir, &o->sets));
    AP_TRY(need_worker(l, true));
    AP_TRY(need_worker(l, false));
    err = call(l, true, dir, o->sets, &o->oracle);
    if (is_death(err)) {
        o->unfit = err;
        return NULL;
    }
    if (err) goto done;
    const json_t *failed = json_object_get(o->oracle, "error");
    if (json_is_object(failed)) {
        o->unfit = ap_err_new(AP_ERR_MODEL_INVALID, "%s", ap_json_str(failed, "message", "?"));
        return NULL;
    }
    AP_TRY(ap_probe_batch_declare(b, dir, o->oracle));
    err = call(l, false, dir, o->sets, &o->target);
    if (is_death(err)) {
        o->died = err;
        return NULL;
    }
    if (err) goto done;
    failed = json_object_get(o->target, "error");
    if (json_is_object(failed)) o->error = ap_json_str(failed, "message", "?");
done:
    return err;
}

static ap_err do_batch(lane *l, const ap_probe_batch *b);

static ap_err do_part(lane *l, const ap_probe_batch *b, size_t from, size_t count) {
    ap_probe_batch part = {b->list + from, count};
    return count ? do_batch(l, &part) : NULL;
}

// Takes probe `i` out to its own batch, the rest stays together.
static ap_err do_apart(lane *l, const ap_probe_batch *b, size_t i) {
    ap_probe *suspect = b->list[i];
    memmove(b->list + i, b->list + i + 1, (b->count - i - 1) * sizeof *b->list);
    b->list[b->count - 1] = suspect;
    ap_err err = do_part(l, b, b->count - 1, 1);
    return err ? err : do_part(l, b, 0, b->count - 1);
}

static ap_err split(lane *l, const ap_probe_batch *b) {
    ap_err err = do_part(l, b, 0, b->count / 2);
    return err ? err : do_part(l, b, b->count / 2, b->count - b->count / 2);
}

// Brings the probes that the provider's log names as refused to the end of the list and returns how many they
// are. What the log says is not the last word: an operator that is a function is refused, expanded, and
// taken.
static size_t refused_last(const ap_probe_batch *b, const json_t *target) {
    bool *refused = ap_calloc(b->count, sizeof *refused);
    ap_probe **order = ap_calloc(b->count, sizeof *order);
    size_t i, kept = 0, last = b->count;
    json_t *n;
    json_array_foreach(json_object_get(target, "refused"), i, n) {
        size_t owner = ap_probe_batch_owner(b, ap_json_str(n, "node", ""));
        if (owner != SIZE_MAX) refused[owner] = true;
    }
    for (i = 0; i < b->count; i++) order[refused[i] ? --last : kept++] = b->list[i];
    memcpy(b->list, order, b->count * sizeof *order);
    free(order);
    free(refused);
    return b->count - kept;
}

static void decide_death(lane *l, ap_probe *p, const ap_error *died) {
    ap_probe_verdict v = ap_err_code(died) == AP_ERR_WORKER_HANG ? AP_PROBE_HUNG : AP_PROBE_CRASHED;
    ap_probe_decide(p, v, ap_err_message(died), &l->arena);
}

// Why a batch of one failed: the provider's reason is better than the library's.
static const char *first_reason(const outcome *o) {
    const json_t *refused = json_object_get(o->target, "refused");
    return ap_json_str(json_array_get(refused, 0), "reason", o->error);
}

// A batch of one: what happened is its verdict.
static ap_err settle_one(lane *l, const ap_probe_batch *b, const outcome *o) {
    ap_probe *p = b->list[0];
    if (o->unfit)
        ap_probe_decide(p, AP_PROBE_INVALID, ap_err_message(o->unfit), &l->arena);
    else if (o->died)
        decide_death(l, p, o->died);
    else {
        (void)ap_probe_note_refused(b, 0, json_object_get(o->target, "refused"), &l->arena);
        ap_probe_decide(p, AP_PROBE_REFUSED, first_reason(o), &l->arena);
    }
    return NULL;
}

// What to do with a batch of several that failed.
static ap_err settle_many(lane *l, const ap_probe_batch *b, const outcome *o) {
    const char *words = o->unfit ? ap_err_message(o->unfit) : o->error;
    size_t suspect = words ? ap_probe_batch_named(b, words) : SIZE_MAX;
    if (suspect != SIZE_MAX) return do_apart(l, b, suspect);
    size_t refused = o->error ? refused_last(b, o->target) : 0;
    if (refused && refused < b->count) {
        // The refused ones cannot be what failed: without them less is asked again.
        ap_err err = do_part(l, b, 0, b->count - refused);
        return err ? err : do_part(l, b, b->count - refused, refused);
    }
    return split(l, b);
}

// Probes the judge left open, one by one.
static ap_err do_open(lane *l, const ap_probe_batch *b) {
    ap_err err = NULL;
    for (size_t i = 0; i < b->count && !err; i++)
        if (b->list[i]->verdict == AP_PROBE_UNASKED) err = do_part(l, b, i, 1);
    return err;
}

// A quantisation alone is refused as the only node of a graph, which no real graph is: it gets company.
static bool needs_company(const ap_probe_batch *b) {
    const Onnx__GraphProto *g = b->list[0]->graph;
    return b->count == 1 && g->n_node == 1 &&
           (!strcmp(g->node[0]->op_type, "QuantizeLinear") ||
            !strcmp(g->node[0]->op_type, "DequantizeLinear"));
}

static ap_err add_company(const ap_probe *p, ap_probe_set *s) {
    json_t *relu = json_pack("{ss,ss,s[{ss,s[ii],ss}]}", "op", "Relu", "name", "company", "inputs", "dtype",
                             "float32", "dims", 1, 8, "values", "normal");
    ap_err err = ap_probe_add_variant(s, relu, p->opsets[0]->version);
    json_decref(relu);
    return err;
}

static ap_err do_batch(lane *l, const ap_probe_batch *b) {
    ap_probe_set company = {0};
    ap_probe *two[2] = {b->list[0], NULL};
    ap_probe_batch asked = *b;
    ap_arena a = {0};
    outcome o = {0};
    char *dir = ap_arena_printf(&a, "%s/%zu-%zu", l->r->host->scratch, l->slot, l->sequence++);
    ap_err err = NULL;
    pthread_mutex_lock(&l->r->lock);
    l->r->stats.batches++;
    pthread_mutex_unlock(&l->r->lock);
    AP_TRY(ap_mkdirs(dir));
    if (needs_company(b)) {
        AP_TRY(add_company(b->list[0], &company));
        two[1] = &company.list[0];
        asked = (ap_probe_batch){two, 2};
    }
    AP_TRY(ask(l, &asked, dir, &o));
    if (o.died) {
        pthread_mutex_lock(&l->r->lock);
        l->r->stats.restarts++;
        pthread_mutex_unlock(&l->r->lock);
    }
    if (!o.unfit && !o.died && !o.error)
        err = ap_probe_judge(&asked, o.target, o.oracle, o.sets, l->r->tolerance, &l->arena);
    else
        err = b->count == 1 ? settle_one(l, b, &o) : settle_many(l, b, &o);
done:
    if (!err && b->count > 1) err = do_open(l, b);
    outcome_release(&o);
    ap_probe_set_release(&company);
    ap_err_free(ap_rmtree(dir));
    ap_arena_release(&a);
    return err;
}

// ---- lanes

static bool take_batch(runner *r, size_t *index) {
    pthread_mutex_lock(&r->lock);
    bool there = !r->err && r->next < r->batch_count;
    if (there) *index = r->next++;
    pthread_mutex_unlock(&r->lock);
    return there;
}

static void finish_batch(runner *r, const ap_probe_batch *b, ap_err err) {
    pthread_mutex_lock(&r->lock);
    if (!err && r->cache) ap_probe_cache_put(r->cache, b->list, b->count);
    r->done += b->count;
    if (err && !r->err)
        r->err = err;
    else
        ap_err_free(err);
    if (r->host->progress) r->host->progress(r->host->user, r->done, r->total);
    pthread_mutex_unlock(&r->lock);
}

// Starts and stops its own workers: a child dies with the thread that started it.
static void *serve(void *arg) {
    lane *l = arg;
    size_t i;
    while (take_batch(l->r, &i)) finish_batch(l->r, &l->r->batches[i], do_batch(l, &l->r->batches[i]));
    ap_worker_stop(l->target, NULL);
    ap_worker_stop(l->oracle, NULL);
    return NULL;
}

static void run_lanes(runner *r, lane *lanes, size_t count) {
    size_t started = 0;
    for (; started < count; started++) {
        lanes[started] = (lane){.r = r, .slot = started};
        if (pthread_create(&lanes[started].thread, NULL, serve, &lanes[started]) != 0) break;
    }
    if (started == 0) serve(&lanes[0]);
    for (size_t i = 0; i < started; i++) pthread_join(lanes[i].thread, NULL);
}

// ---- making batches

static bool opsets_agree(const ap_probe *a, const ap_probe *b) {
    for (size_t i = 0; i < a->opset_count; i++)
        for (size_t k = 0; k < b->opset_count; k++)
            if (strcmp(a->opsets[i]->domain, b->opsets[k]->domain) == 0 &&
                a->opsets[i]->version != b->opsets[k]->version)
                return false;
    return true;
}

static int by_opset(const void *x, const void *y) {
    const ap_probe *a = *(ap_probe *const *)x, *b = *(ap_probe *const *)y;
    if (a->alone != b->alone) return a->alone ? 1 : -1;
    int64_t va = a->opsets[0]->version, vb = b->opsets[0]->version;
    if (va != vb) return va < vb ? -1 : 1;
    return a < b ? -1 : a > b; // else as they stand in the set
}

static bool fits(const runner *r, const ap_probe_batch *b, size_t bytes, const ap_probe *p) {
    size_t most = r->host->batch ? r->host->batch : DEFAULT_BATCH;
    if (b->count >= most || p->alone || b->list[0]->alone || bytes + p->bytes > BATCH_BYTES) return false;
    for (size_t i = 0; i < b->count; i++)
        if (!opsets_agree(b->list[i], p)) return false;
    return true;
}

static void make_batches(runner *r, ap_probe **list, size_t count) {
    size_t bytes = 0;
    qsort(list, count, sizeof *list, by_opset);
    r->batches = ap_calloc(count + 1, sizeof *r->batches);
    for (size_t i = 0; i < count; i++) {
        ap_probe_batch *last = r->batch_count ? &r->batches[r->batch_count - 1] : NULL;
        if (!last || !fits(r, last, bytes, list[i])) {
            last = &r->batches[r->batch_count++];
            last->list = list + i;
            bytes = 0;
        }
        last->count++;
        bytes += list[i]->bytes;
    }
}

// ---- the whole

// Probes to ask: unanswered, not in the cache, each signature once. *first maps keys to their first probe.
static size_t choose(ap_probe_set *s, ap_probe_cache *cache, ap_probe **list, ap_map *first, size_t *cached) {
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        ap_probe *p = &s->list[i];
        if (p->verdict != AP_PROBE_UNASKED || !p->signature) continue;
        if (cache && ap_probe_cache_get(cache, p, &s->arena)) {
            p->cached = true;
            ++*cached;
        } else if (ap_map_add(first, p->key, p)) {
            list[n++] = p;
        }
    }
    return n;
}

static void copy_answers(ap_probe_set *s, const ap_map *first) {
    for (size_t i = 0; i < s->count; i++) {
        ap_probe *p = &s->list[i];
        const ap_probe *from = p->signature ? ap_map_get(first, p->key) : NULL;
        if (!from || p->cached) continue;
        p->verdict = from->verdict;
        p->reason = ap_arena_strdup(&s->arena, from->reason);
        p->error = from->error;
        size_t *nodes = ap_arena_calloc(&s->arena, from->refused_count + 1, sizeof *nodes);
        if (from->refused_count) memcpy(nodes, from->refused, from->refused_count * sizeof *nodes);
        p->refused = nodes;
        p->refused_count = from->refused_count;
        p->folded = from->folded;
        p->inexact = from->inexact;
    }
}

ap_err ap_probe_run(ap_probe_set *s, ap_probe_cache *cache, const ap_probe_host *host,
                    ap_probe_stats *stats) {
    runner r = {.host = host,
                .cache = cache,
                .tolerance = host->tolerance > 0 ? host->tolerance : AP_PROBE_TOLERANCE};
    ap_map first = {0};
    ap_probe **list = ap_calloc(s->count + 1, sizeof *list);
    uint64_t start = ap_now_us();
    r.total = choose(s, cache, list, &first, &r.stats.cached);
    r.stats.asked = r.total;
    pthread_mutex_init(&r.lock, NULL);
    make_batches(&r, list, r.total);
    size_t threads = host->threads ? host->threads : 1;
    if (threads > r.batch_count) threads = r.batch_count;
    lane *lanes = ap_calloc(threads + 1, sizeof *lanes);
    if (threads) run_lanes(&r, lanes, threads);
    copy_answers(s, &first);
    for (size_t i = 0; i < threads; i++) ap_arena_release(&lanes[i].arena);
    pthread_mutex_destroy(&r.lock);
    r.stats.seconds = (double)(ap_now_us() - start) / 1e6;
    if (stats) *stats = r.stats;
    free(lanes);
    free(r.batches);
    free(list);
    ap_map_free(&first);
    return r.err;
}
