// SPDX-License-Identifier: Apache-2.0
// The official ONNX operator tests against our reader and writer:
//   conformance DATA_DIR TESTS_DIR [all]
// DATA_DIR is aipc's data folder, with onnxruntime; TESTS_DIR has a folder for each category of tests. With
// `all` it also lists what ONNX Runtime itself does not pass.
//
// Each model is loaded and saved, which must give the same bytes; then ONNX Runtime runs the file as it is,
// the model written anew by us, and the model extracted by us at its outputs. What ONNX Runtime passes on the
// original it must pass on ours. ONNX Runtime may crash, so models run in children that share one table of
// results; a child that dies marks its model and is replaced.
#include "base/map.h"
#include "base/proc.h"
#include "device/runtime.h"
#include "engine/engine.h"
#include "graph/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 2, MODEL_LIMIT_S = 30, TEXT = 200, SETS_MAX = 20, IO_MAX = 64 };
// As the tests' own runner does, with the absolute tolerance ONNX Runtime uses for it.
static const double relative = 1e-3, absolute = 1e-5;

typedef enum outcome { NOT_RUN, RUNNING, PASS, WRONG, FAILED, NO_LOAD, NO_TENSOR } outcome;
typedef struct result {
    outcome original, written, extracted;
    bool loaded, same_bytes, same_bits;
    char why[TEXT];  // of the original
    char ours[TEXT]; // of whatever we got wrong
} result;
typedef struct test {
    const char *category, *name, *dir;
} test;
typedef struct bench { // what a child works with
    ap_engine *engine;
    const char *scratch;
    ap_arena arena; // of the model being run
} bench;

static void keep(char text[TEXT], const char *doing, ap_err err) {
    if (!text[0]) snprintf(text, TEXT, "%s: %s", doing, ap_err_message(err));
    for (char *c = text; *c; c++)
        if (*c == '\n') *c = ' ';
    ap_err_free(err);
}

// ---- running one model

static bool close_enough(const ap_tensor *want, const ap_tensor *have, char why[TEXT]) {
    if (want->dtype != have->dtype || !ap_shape_equal(want->dims, want->rank, have->dims, have->rank)) {
        snprintf(why, TEXT, "an output has another type or shape");
        return false;
    }
    if (!want->bytes || memcmp(want->data, have->data, want->bytes) == 0) return true;
    for (size_t i = 0, n = ap_tensor_count(want); i < n; i++) {
        double w = ap_tensor_at(want, i), h = ap_tensor_at(have, i);
        if (w == h || (isnan(w) && isnan(h)) || fabs(w - h) <= absolute + relative * fabs(w)) continue;
        snprintf(why, TEXT, "element %zu is %g, expected %g", i, h, w);
        return false;
    }
    return true;
}

static ap_err load_tensors(bench *b, const char *set, const char *kind, size_t count, ap_tensor *out,
                           size_t *got) {
    ap_err err = NULL;
    for (*got = 0; *got < count; ++*got) {
        const char *path = ap_path_join(&b->arena, set, ap_arena_printf(&b->arena, "%s_%zu.pb", kind, *got));
        if (!ap_file_exists(path)) break; // optional inputs at the end may be left out
        AP_TRY(ap_tensor_load_pb(path, &out[*got]));
    }
done:
    return err;
}

// These test files were written before their format could say bfloat16: it stands in them as uint16.
static void as_declared(ap_tensor *list, size_t count, const ap_io *io) {
    for (size_t i = 0; i < count; i++)
        if (list[i].dtype == AP_U16 && io[i].dtype == AP_BF16) list[i].dtype = AP_BF16;
}

// Adds the bytes of the outputs to `bits`, to compare runs with each other.
static outcome judge(const ap_run_result *r, const ap_tensor *want, size_t count, ap_buf *bits,
                     char why[TEXT]) {
    for (size_t i = 0; i < r->count; i++) ap_buf_append(bits, r->tensors[i].t.data, r->tensors[i].t.bytes);
    for (size_t i = 0; i < count; i++)
        if (!close_enough(&want[i], &r->tensors[i].t, why)) return WRONG;
    return PASS;
}

static outcome run_set(bench *b, ap_session *s, const char *set, ap_buf *bits, char why[TEXT]) {
    ap_tensor in[IO_MAX] = {0}, want[IO_MAX] = {0};
    ap_named_tensor named[IO_MAX];
    ap_run_result r = {0};
    size_t ins = 0, wants = 0;
    outcome how = FAILED;
    ap_err err = NULL;
    AP_TRY(load_tensors(b, set, "input", s->input_count, in, &ins));
    AP_TRY(load_tensors(b, set, "output", s->output_count, want, &wants));
    as_declared(in, ins, s->inputs);
    as_declared(want, wants, s->outputs);
    for (size_t i = 0; i < ins; i++) named[i] = (ap_named_tensor){s->inputs[i].name, in[i]};
    AP_TRY(ap_session_run(s, named, ins, NULL, 0, &r));
    how = judge(&r, want, wants, bits, why);
done:
    if (err) keep(why, "run", err);
    ap_run_result_free(&r);
    for (size_t i = 0; i < IO_MAX; i++) {
        ap_tensor_free(&in[i]);
        ap_tensor_free(&want[i]);
    }
    return how;
}

static bool all_tensors(const ap_io *io, size_t count, char why[TEXT]) {
    for (size_t i = 0; i < count; i++) {
        if (io[i].dtype != AP_DTYPE_NONE && io[i].dtype != AP_STRING) continue;
        snprintf(why, TEXT, io[i].dtype == AP_STRING ? "strings" : "sequences, maps or optionals");
        return false;
    }
    return count <= IO_MAX;
}

// From the file when `bytes` is NULL.
static outcome run_model(bench *b, const test *t, const ap_buf *bytes, ap_buf *bits, char why[TEXT]) {
    const ap_session_options options = {.threads = 1, .external_dir = bytes ? t->dir : NULL};
    ap_session *s = NULL;
    ap_err err = ap_session_open(b->engine, ap_path_join(&b->arena, t->dir, "model.onnx"),
                                 bytes ? bytes->data : NULL, bytes ? bytes->len : 0, &options, &s);
    if (err) {
        keep(why, "load", err);
        return NO_LOAD;
    }
    outcome how = PASS;
    if (!all_tensors(s->inputs, s->input_count, why) || !all_tensors(s->outputs, s->output_count, why))
        how = NO_TENSOR;
    size_t sets = 0;
    for (; how == PASS && sets < SETS_MAX; sets++) {
        const char *set =
            ap_path_join(&b->arena, t->dir, ap_arena_printf(&b->arena, "test_data_set_%zu", sets));
        if (!ap_is_dir(set)) break;
        how = run_set(b, s, set, bits, why);
    }
    if (how == PASS && sets == 0) {
        snprintf(why, TEXT, "no test data");
        how = NO_TENSOR;
    }
    ap_session_close(s);
    return how;
}

// ---- ours

static bool save_is_exact(bench *b, const ap_model *m, const char *path, char why[TEXT]) {
    const char *copy =
        ap_path_join(&b->arena, b->scratch, ap_arena_printf(&b->arena, "%d.onnx", (int)getpid()));
    ap_filemap first = {0}, second = {0};
    bool same = false;
    ap_err err = NULL;
    AP_TRY(ap_model_save(m, copy, NULL));
    AP_TRY(ap_filemap_open(path, &first));
    AP_TRY(ap_filemap_open(copy, &second));
    same = first.bytes == second.bytes && memcmp(first.data, second.data, first.bytes) == 0;
    if (!same) snprintf(why, TEXT, "saved with other bytes");
done:
    if (err) keep(why, "save", err);
    ap_filemap_close(&first);
    ap_filemap_close(&second);
    return same;
}

static outcome run_extracted(bench *b, const test *t, const ap_model *m, char why[TEXT]) {
    const ap_graph *g = m->graph;
    const char **outputs = ap_arena_calloc(&b->arena, g->output_count + 1, sizeof *outputs);
    for (size_t i = 0; i < g->output_count; i++) outputs[i] = g->outputs[i]->name;
    ap_model *part = NULL;
    ap_buf bytes = {0}, bits = {0};
    outcome how = FAILED;
    ap_err err = NULL;
    AP_TRY(ap_model_extract(m, NULL, NULL, 0, outputs, g->output_count, &part));
    AP_TRY(ap_model_bytes(part, &bytes));
    how = run_model(b, t, &bytes, &bits, why);
done:
    if (err) keep(why, "extract", err);
    ap_buf_free(&bytes);
    ap_buf_free(&bits);
    ap_model_free(part);
    return how;
}

static bool same(const ap_buf *a, const ap_buf *b) {
    return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

// An operator that draws random numbers may pass once by luck: then there is nothing to hold ours against.
static void check_random(bench *b, const test *t, const ap_buf *bits, result *r) {
    ap_buf again = {0};
    char why[TEXT] = "";
    outcome how = run_model(b, t, NULL, &again, why);
    if (how != PASS || !same(bits, &again)) {
        r->original = WRONG;
        snprintf(r->why, TEXT, "another result in each run");
    }
    ap_buf_free(&again);
}

static void run_test(bench *b, const test *t, result *out) {
    const char *path = ap_path_join(&b->arena, t->dir, "model.onnx");
    ap_model *m = NULL;
    ap_buf bytes = {0}, bits = {0}, our_bits = {0};
    ap_err err = NULL;
    result r = {.original = run_model(b, t, NULL, &bits, r.why)};
    r.written = r.extracted = FAILED;
    AP_TRY(ap_model_load(path, &m));
    r.loaded = true;
    r.same_bytes = save_is_exact(b, m, path, r.ours);
    m->edited = true; // so that the messages are written, not the file copied
    AP_TRY(ap_model_bytes(m, &bytes));
    r.written = run_model(b, t, &bytes, &our_bits, r.ours);
    r.same_bits = same(&bits, &our_bits);
    if (r.original == PASS && !r.same_bits) check_random(b, t, &bits, &r);
    r.extracted = run_extracted(b, t, m, r.ours);
done:
    if (err) keep(r.ours, "model", err);
    ap_model_free(m);
    ap_buf_free(&bytes);
    ap_buf_free(&bits);
    ap_buf_free(&our_bits);
    *out = r;
}

// ---- children

// Runs every CHILDREN-th test from `from` on; ends the process.
static _Noreturn void child(const test *tests, size_t count, size_t from, result *results, const char *ort,
                            const char *scratch) {
    bench b = {.scratch = scratch};
    ap_err err = ap_engine_open(ort, &b.engine);
    if (err) {
        fprintf(stderr, "conformance: %s\n", ap_err_message(err));
        _exit(3);
    }
    for (size_t i = from; i < count; i += CHILDREN) {
        results[i].original = RUNNING;
        alarm(MODEL_LIMIT_S);
        run_test(&b, &tests[i], &results[i]);
        ap_arena_release(&b.arena);
    }
    _exit(0); // vendor libraries need no goodbye
}

static void mark_crash(result *r, int status) {
    *r = (result){.original = FAILED, .loaded = true};
    snprintf(r->why, TEXT, "the process ended (%s %d)", WIFSIGNALED(status) ? "signal" : "exit code",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    memcpy(r->ours, r->why, TEXT);
}

// False when the library cannot even be opened.
static bool run_all(const test *tests, size_t count, result *results, const char *ort, const char *scratch) {
    pid_t pids[CHILDREN] = {0};
    size_t next[CHILDREN], running = 0;
    for (size_t k = 0; k < CHILDREN; k++) next[k] = k;
    for (;;) {
        for (size_t k = 0; k < CHILDREN; k++) {
            if (pids[k] || next[k] >= count) continue;
            pids[k] = fork();
            if (pids[k] == 0) child(tests, count, next[k], results, ort, scratch);
            if (pids[k] < 0) return false;
            running++;
        }
        if (running == 0) return true;
        int status = 0;
        pid_t pid = wait(&status);
        size_t k = 0;
        while (k < CHILDREN && pids[k] != pid) k++;
        if (k == CHILDREN) continue;
        pids[k] = 0;
        running--;
        while (next[k] < count && results[next[k]].original != RUNNING &&
               results[next[k]].original != NOT_RUN)
            next[k] += CHILDREN;
        if (next[k] >= count) continue;
        if (results[next[k]].original == NOT_RUN) return false; // died before its first model
        mark_crash(&results[next[k]], status);
        next[k] += CHILDREN;
    }
}

// ---- the list and the verdict

static test *list_tests(const char *root, ap_arena *a, size_t *count) {
    const char **categories = NULL, **names = NULL;
    size_t category_count = 0, name_count = 0, cap = 0;
    test *list = NULL;
    ap_err_free(ap_list_dir(root, a, &categories, &category_count));
    for (size_t c = 0; c < category_count; c++) {
        const char *dir = ap_path_join(a, root, categories[c]);
        name_count = 0;
        ap_err_free(ap_list_dir(dir, a, &names, &name_count));
        for (size_t i = 0; i < name_count; i++) {
            const char *test_dir = ap_path_join(a, dir, names[i]);
            if (!ap_file_exists(ap_path_join(a, test_dir, "model.onnx"))) continue;
            if (*count == cap) list = ap_realloc(list, (cap = cap * 2 + 64) * sizeof *list);
            list[(*count)++] = (test){categories[c], names[i], test_dir};
        }
    }
    return list;
}

typedef struct sums {
    size_t models, same_bytes, original, written, extracted, same_bits, strings, sequences, no_data, refused,
        wrong, bad;
} sums;

static void add(sums *s, const test *t, const result *r, bool all) {
    s->models++;
    s->same_bytes += r->same_bytes;
    s->original += r->original == PASS;
    s->written += r->written == PASS;
    s->extracted += r->extracted == PASS;
    s->same_bits += r->original == PASS && r->same_bits;
    if (r->original == NO_TENSOR) {
        if (strcmp(r->why, "strings") == 0)
            s->strings++;
        else if (strcmp(r->why, "no test data") == 0)
            s->no_data++;
        else
            s->sequences++;
    }
    s->refused += r->original == NO_LOAD;
    s->wrong += r->original == WRONG || r->original == FAILED;
    // Ours must do what the original does; where the original does not get far, being read and written is
    // enough.
    bool differs = (r->original == PASS || r->original == NO_TENSOR) &&
                   (r->written != r->original || r->extracted != r->original);
    if (all && r->original != PASS) printf("# original %s/%s: %s\n", t->category, t->name, r->why);
    if (r->loaded && r->same_bytes && !differs) return;
    s->bad++;
    printf("# %s/%s: %s\n", t->category, t->name, r->ours[0] ? r->ours : r->why);
}

static void print(const char *category, const sums *s) {
    printf("%s conformance %s: of %zu models %zu are saved with the same bytes; ONNX Runtime passes %zu as "
           "they are, "
           "%zu written by aipc (%zu with the same bits), %zu extracted by aipc\n",
           s->bad ? "not ok" : "ok", category, s->models, s->same_bytes, s->original, s->written,
           s->same_bits, s->extracted);
    printf("  # read and written only: %zu strings, %zu sequences, maps or optionals, %zu without data; ONNX "
           "Runtime "
           "does not load %zu and fails %zu of the originals; differences: %zu\n",
           s->strings, s->sequences, s->no_data, s->refused, s->wrong, s->bad);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    ap_arena a = {0};
    size_t count = 0;
    test *tests = list_tests(argv[2], &a, &count);
    if (count == 0) {
        puts("skipped: the ONNX operator tests are not here (package libonnx-testdata)");
        return 0;
    }
    ap_runtime rt = {0};
    char *scratch = NULL;
    bool ran = false;
    ap_err err = NULL;
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    result *results =
        mmap(NULL, count * sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED) return 2;
    AP_TRY(ap_runtime_find(argv[1], "onnxruntime", &rt));
    AP_TRY(ap_mkdtemp(ap_path_scratch(&a), "aipc-conformance", &a, &scratch));
    ran = run_all(tests, count, results, ap_runtime_file(&rt, "libonnxruntime.so.1"), scratch);
    size_t bad = 0;
    for (size_t i = 0; ran && i < count;) {
        sums s = {0};
        const char *category = tests[i].category;
        for (; i < count && tests[i].category == category; i++) add(&s, &tests[i], &results[i], argc > 3);
        print(category, &s);
        bad += s.bad;
    }
    if (bad) ran = false;
done:
    if (err) fprintf(stderr, "conformance: %s\n", ap_err_message(err));
    ap_err_free(err);
    if (scratch) ap_err_free(ap_rmtree(scratch));
    ap_runtime_release(&rt);
    free(tests);
    ap_arena_release(&a);
    return ran ? 0 : 1;
}
