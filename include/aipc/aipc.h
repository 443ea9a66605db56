/* SPDX-License-Identifier: Apache-2.0 */
/* aipc: the public interface. Load a deployed artifact, read its contract, run it; or deploy a model.
 *
 * Every function that can fail returns an aipc_error pointer: NULL is success, anything else belongs to the
 * caller and is released with aipc_error_free(). Results come by the last pointer argument and are untouched
 * on failure. Texts called "document" are JSON, malloc'ed, released with aipc_free(); their fields are listed
 * in docs/documents.md.
 *
 * Threads: an aipc_context may be used by several threads at once. One aipc_artifact may be run by several
 * threads at once; calls are served one after another. Closing a handle while another thread uses it is a
 * bug. After a fork the child opens artifacts of its own: running an inherited one is refused, closing it
 * lets go.
 *
 * Vendor libraries never run in the calling process: each target lives in a child process (the `aipc` program
 * in worker mode). It is looked for in $AIPC_PROGRAM, beside the library, in ../bin, and on PATH. */
#ifndef AIPC_H
#define AIPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define AIPC_API __attribute__((visibility("default")))
#else
#define AIPC_API
#endif

typedef struct aipc_context aipc_context;
typedef struct aipc_artifact aipc_artifact;
typedef struct ap_error aipc_error;

AIPC_API const char *aipc_version(void);
AIPC_API void aipc_free(void *p);

/* ---- errors ---- */
AIPC_API int
aipc_error_exit_code(const aipc_error *e); /* process exit code, docs/exit-codes.md; 0 for NULL */
AIPC_API const char *aipc_error_key(const aipc_error *e);     /* stable word, "input-shape" */
AIPC_API const char *aipc_error_message(const aipc_error *e); /* one sentence with the offending values */
AIPC_API const char *aipc_error_stage(const aipc_error *e);   /* NULL when unknown; the next two too */
AIPC_API const char *aipc_error_subject(const aipc_error *e);
AIPC_API const char *aipc_error_hint(const aipc_error *e); /* what to do next */
AIPC_API size_t aipc_error_note_count(const aipc_error *e);
AIPC_API const char *aipc_error_note(const aipc_error *e, size_t i);
AIPC_API char *aipc_error_document(const aipc_error *e); /* all of it as JSON; aipc_free() */
AIPC_API void aipc_error_free(aipc_error *e);
/* For programs that need an error of their own kind (bad command line): exit code 2. */
AIPC_API aipc_error *aipc_error_usage(const char *message, const char *hint);

/* ---- context ---- */
typedef enum aipc_level { AIPC_DEBUG, AIPC_INFO, AIPC_WARN } aipc_level;
typedef struct aipc_context_options {
    size_t size;           /* sizeof(aipc_context_options) */
    const char *cache_dir; /* results store; NULL: $AIPC_CACHE, $XDG_CACHE_HOME/aipc, ~/.cache/aipc */
    const char *data_dir;  /* vendor runtimes; NULL: $AIPC_DATA, $XDG_DATA_HOME/aipc, ~/.local/share/aipc */
    /* Both callbacks may come from any thread, one at a time. NULL: silent. */
    void (*log)(void *user, aipc_level level, const char *text);
    void (*progress)(void *user, size_t done, size_t total, const char *text);
    void *user;
} aipc_context_options;
AIPC_API aipc_error *aipc_context_open(const aipc_context_options *o, aipc_context **out); /* o may be NULL */
AIPC_API void aipc_context_close(aipc_context *c);

/* ---- deploy ---- */
typedef struct aipc_deploy_options {
    size_t size; /* sizeof(aipc_deploy_options) */
    const char *model;
    const char *const *targets; /* "cpu", "htp:sm8650"; none: cpu */
    size_t target_count;
    const char *const *inputs; /* "NAME=FILE" (.npy, .pb, .raw/.bin, .jpg, .png) */
    size_t input_count;
    const char *const *recipes; /* "NAME=layout=nchw,resize=letterbox,..." for image inputs */
    size_t recipe_count;
    const char *const *shapes; /* "INPUT=1,3,320,320" or "SYMBOL=1" */
    size_t shape_count;
    const char *const *gates; /* "METRIC=VALUE": thresholds of the user's own, shown in the report */
    size_t gate_count;
    const char *precision;    /* "fp16" or "fp32"; NULL: the target's default */
    const char *out_dir;      /* NULL: "out" */
    uint64_t seed;            /* of random inputs */
    bool dlc;                 /* also write a DLC file (htp) */
    bool no_trace;            /* skip the per-tensor comparison */
    bool intermediates;       /* keep every golden tensor in OUT/golden/ too */
    bool fresh;               /* ignore stored results */
    unsigned timeout_s;       /* per vendor call; 0: 600 */
    unsigned memory_mib;      /* per vendor process; 0: no limit */
    const char *command;      /* shown in the report as the way to reproduce; NULL: made from the options */
    bool no_surgery;          /* a model the target refuses or computes wrong stays as it is */
    bool allow_cpu;           /* nodes that cannot be repaired may run on the CPU; the report names them */
    const char *const *fixed; /* "INPUT=16000": the input is a switch that will always have this value */
    size_t fixed_count;
    bool tune; /* rewrite for speed what runs right, as far as gates and the cost estimate agree (htp) */
    const char *const *tasks; /* of a recording: how verify compares the program; none: as recorded */
    size_t task_count;
    unsigned repair_builds; /* most builds of the whole model repair, and tuning, may take; 0: 24 */
    unsigned repair_time_s; /* longest time of each; 0: 600 */
    unsigned piece_time_s;  /* of it, for the search of what repairs one piece; 0: 20 */
    bool sharpen;           /* also where the gates pass: operators the target is more exact in (htp) */
    unsigned jobs;          /* of a recording: most models at the same time; 0: as the machine allows */
} aipc_deploy_options;
/* Runs stages 1–4 and 6 for every target, writes the artifact folder. `document` (the content of report.json)
 * is set also when a gate failed or a target was refused: then an error is returned as well. document may be
 * NULL. */
AIPC_API aipc_error *aipc_deploy(aipc_context *c, const aipc_deploy_options *o, char **document);
/* For who records a program first, which may take minutes: are the options in order for its recording, and
 * the runtimes there? */
AIPC_API aipc_error *aipc_deploy_check(aipc_context *c, const aipc_deploy_options *o);

/* ---- a deployed artifact ---- */
typedef struct aipc_tensor {
    const char *name;
    const char *dtype; /* "float32" */
    size_t rank;
    const int64_t *dims;
    void *data; /* row-major, little-endian */
    size_t bytes;
} aipc_tensor;

/* `dir` is a folder written by deploy (or OUT/TARGET inside it). `target` picks one when there are several;
 * NULL: the first. */
AIPC_API aipc_error *aipc_artifact_open(aipc_context *c, const char *dir, const char *target,
                                        aipc_artifact **out);
AIPC_API void aipc_artifact_close(aipc_artifact *a);
AIPC_API size_t aipc_artifact_input_count(const aipc_artifact *a);
AIPC_API size_t aipc_artifact_output_count(const aipc_artifact *a);
/* Name, dtype and shape; data is NULL, bytes is what run expects. Valid until close. */
AIPC_API const aipc_tensor *aipc_artifact_input(const aipc_artifact *a, size_t i);
AIPC_API const aipc_tensor *aipc_artifact_output(const aipc_artifact *a, size_t i);
AIPC_API char *aipc_artifact_manifest(const aipc_artifact *a); /* document; aipc_free() */
/* Inputs are matched by name, outputs come in contract order into `outputs` (room for output_count entries,
 * filled by the call; release with aipc_outputs_free). */
AIPC_API aipc_error *aipc_artifact_run(aipc_artifact *a, const aipc_tensor *inputs, size_t input_count,
                                       aipc_tensor *outputs);
AIPC_API void aipc_outputs_free(aipc_tensor *outputs, size_t count);
/* The same into memory of the caller's: every output, in contract order, with `data` and `bytes`; the other
 * fields are not looked at. */
AIPC_API aipc_error *aipc_artifact_run_into(aipc_artifact *a, const aipc_tensor *inputs, size_t input_count,
                                            const aipc_tensor *outputs, size_t output_count);
/* Memory that the child process sees, too, of the size of this input or output; NULL when there is no such. A
 * tensor that lies there is not copied by run and run_into. Valid until close; for one thread at a time, and
 * an output there until the next run. */
AIPC_API void *aipc_artifact_input_memory(const aipc_artifact *a, size_t i);
AIPC_API void *aipc_artifact_output_memory(const aipc_artifact *a, size_t i);
/* Reads "NAME=FILE" inputs as deploy does (contract recipe for images), runs, writes OUT/NAME.npy. No inputs:
 * the golden sample. */
AIPC_API aipc_error *aipc_run_files(aipc_context *c, const char *dir, const char *target,
                                    const char *const *inputs, size_t input_count, const char *out_dir,
                                    char **document);
AIPC_API aipc_error *aipc_profile(aipc_context *c, const char *dir, const char *target, char **document);

/* ---- looking ---- */
typedef struct aipc_inspect_options {
    size_t size;               /* sizeof(aipc_inspect_options) */
    const char *const *shapes; /* as for deploy */
    size_t shape_count;
    bool macs; /* run the model once on the CPU to learn every shape; implied by shapes */
} aipc_inspect_options;
AIPC_API aipc_error *aipc_inspect(aipc_context *c, const char *model, const aipc_inspect_options *o,
                                  char **document); /* o may be NULL */
AIPC_API aipc_error *aipc_model_text(const char *model,
                                     char **text); /* one node a line; plain text, not JSON */
/* Two tensors, two folders of tensors (matched by file name), or two models. */
AIPC_API aipc_error *aipc_compare(const char *a, const char *b, char **document);
AIPC_API aipc_error *aipc_targets(char **document);
/* Writes the example program `name` into `dir` (NULL: named as the example), {name, dir, command, what,
 * files}; or, without a name, lists them: {examples}. */
AIPC_API aipc_error *aipc_new(const char *name, const char *dir, char **document);
AIPC_API aipc_error *aipc_doctor(aipc_context *c, char **document);

/* ---- asking a target ---- */
typedef struct aipc_probe_options {
    size_t size;            /* sizeof(aipc_probe_options) */
    const char *target;     /* "htp:sm8650" */
    const char *const *ops; /* operators of the built-in table of variants */
    size_t op_count;
    bool all;                  /* the whole table; ops are then ignored */
    const char *model;         /* or: every node of this model */
    const char *const *shapes; /* of the model, as for deploy */
    size_t shape_count;
    const char *csv, *html; /* files to write; NULL: none */
    bool fresh;             /* neither read nor keep stored answers */
    unsigned timeout_s;     /* per vendor call; 0: 60 */
    unsigned threads;       /* 0: one a processor */
    unsigned batch;         /* most probes a graph; 0: 48 */
    bool repair;            /* for what is refused or wrong: look for a chain of rules that makes it right */
    uint64_t seed;          /* of the table's numbers; 0: as they stand in it */
    bool vary_shapes;       /* other shapes for the table's variants, drawn from the seed */
} aipc_probe_options;
/* Asks the backend itself: small graphs are compiled, run twice and compared with the CPU. What the backend
 * does wrong is a verdict in the document, not an error. */
AIPC_API aipc_error *aipc_probe(aipc_context *c, const aipc_probe_options *o, char **document);

/* ---- rewrite rules ---- */
/* Everywhere below `folder` holds the user's own rules besides the built-in ones: a folder or a file; NULL:
 * the folder `rules` where the program was started, if there is one. */
AIPC_API aipc_error *aipc_rules_list(aipc_context *c, const char *folder, char **document);
/* One rule with its text, by name, family or file. */
AIPC_API aipc_error *aipc_rules_show(aipc_context *c, const char *folder, const char *name, char **document);
typedef struct aipc_rules_options {
    size_t size; /* sizeof(aipc_rules_options) */
    const char *folder;
    const char *const *what; /* names, families or files of rules; none: all */
    size_t what_count;
    size_t instances;   /* judged for each rule; 0: 200 */
    uint64_t seed;      /* 0: 1 */
    bool mutate;        /* also: does every line of the preconditions matter? */
    const char *keep;   /* folder for counterexamples; NULL: none */
    const char *second; /* command of a second oracle; NULL: none */
    unsigned threads;   /* 0: one a processor */
} aipc_rules_options;
/* Proves rules on random instances. A rule that fails is an error (exit code 10); `document` is set also
 * then. */
AIPC_API aipc_error *aipc_rules_test(aipc_context *c, const aipc_rules_options *o, char **document);
typedef struct aipc_rules_why_options {
    size_t size;               /* sizeof(aipc_rules_why_options) */
    const char *model;         /* .onnx */
    const char *target;        /* "htp:sm8650" */
    const char *folder;        /* rules of your own; NULL: "rules", when there is one */
    const char *const *shapes; /* as for deploy */
    size_t shape_count;
    bool fresh; /* neither read nor keep stored answers */
} aipc_rules_why_options;
/* For each distinct node of a model: does the target take it, alone or where it stands, and if not, which
 * rules make it right, or what was tried? */
AIPC_API aipc_error *aipc_rules_why(aipc_context *c, const aipc_rules_why_options *o, char **document);

/* ---- surgery ---- */
typedef struct aipc_surgery_options {
    size_t size; /* sizeof(aipc_surgery_options) */
    const char *model;
    const char *const *shapes; /* shapes, inputs, recipes as for deploy */
    size_t shape_count;
    const char *const *inputs;
    size_t input_count;
    const char *const *recipes;
    size_t recipe_count;
    const char *const *fixed; /* "INPUT=16000": the input is a switch that will always have this value */
    size_t fixed_count;
    const char *const *skip; /* names of passes that are not wanted */
    size_t skip_count;
    uint64_t seed;      /* of random inputs; 0: 1 */
    const char *plan;   /* plan.json to write; NULL: none */
    const char *save;   /* the model after surgery; NULL: not written */
    const char *target; /* "htp:sm8650": repair what it refuses or computes wrong, too; NULL: passes only */
    const char *const *gates; /* as for deploy; with a target */
    size_t gate_count;
    bool allow_cpu;                                      /* as for deploy; with a target */
    bool tune;                                           /* as for deploy; with a target */
    unsigned repair_builds, repair_time_s, piece_time_s; /* as for deploy; with a target */
    bool sharpen;                                        /* as for deploy; with a target */
} aipc_surgery_options;
/* Freezes shapes, folds constants, takes away what does nothing; every pass judged by the numbers. `document`
 * is the plan. */
AIPC_API aipc_error *aipc_surgery(aipc_context *c, const aipc_surgery_options *o, char **document);
/* Runs a recorded plan again: the same bits, or an error that names what no longer holds. */
AIPC_API aipc_error *aipc_apply(aipc_context *c, const char *model, const char *plan, const char *out,
                                char **document);
/* Takes the steps of a plan anew on a model that has changed: passes and rules by name, every step judged by
 * the numbers. Writes the new plan, and the model to `out` (NULL: not written). `document` is the new plan.
 * An error names the step that does not fit. */
AIPC_API aipc_error *aipc_rebase(aipc_context *c, const char *model, const char *plan, const char *new_plan,
                                 const char *out, char **document);
typedef struct aipc_rebase_options {
    size_t size;               /* sizeof(aipc_rebase_options) */
    const char *model, *plan;  /* the model that has changed; the plan of the one before */
    const char *new_plan;      /* written */
    const char *save;          /* the model after the steps; NULL: not written */
    const char *const *inputs; /* inputs, recipes as for deploy: what every step is judged on; none: random */
    size_t input_count;
    const char *const *recipes;
    size_t recipe_count;
    uint64_t seed; /* of random inputs; 0: 1 */
} aipc_rebase_options;
/* aipc_rebase on inputs of the caller's. */
AIPC_API aipc_error *aipc_rebase_on(aipc_context *c, const aipc_rebase_options *o, char **document);
/* Two models side by side. */
AIPC_API aipc_error *aipc_diff(const char *a, const char *b, char **document);

/* ---- the model of a running program (docs/recordings.md) ---- */
typedef struct aipc_record_options {
    size_t size;                /* sizeof(aipc_record_options) */
    const char *const *command; /* the program and its arguments */
    size_t command_count;
    const char *out_dir;        /* NULL: "recording"; an earlier recording there is replaced */
    const char *const *modules; /* torch modules to record instead of the outermost ones */
    size_t module_count;
    unsigned samples; /* kept calls a signature and process; 0: 8 */
    uint64_t budget;  /* bytes of samples a process; 0: 512 MiB */
    const char *const
        *tasks; /* how verify and split compare the program: kept, they hold when none is given */
    size_t task_count;
} aipc_record_options;
/* Runs the program in the foreground, with our stdin, stdout and stderr, and records its models. *status: its
 * exit code, 128 and the signal when one killed it. `document` is recording.json, also set with the error
 * that says that nothing was recorded. */
AIPC_API aipc_error *aipc_record(aipc_context *c, const aipc_record_options *o, int *status, char **document);

typedef struct aipc_export_options {
    size_t size; /* sizeof(aipc_export_options) */
    const char *recording;
    const char *module;         /* name, class or file of one model; NULL: the chosen ones */
    const char *out_dir;        /* NULL: RECORDING/export */
    const char *const *command; /* the program again; none: as recorded */
    size_t command_count;
    bool level1;        /* use the module replacements also when the export works without */
    unsigned timeout_s; /* of the program; 0: 1800 */
} aipc_export_options;
/* Runs the recorded program again up to the first call of each module and exports it there; models of
 * onnxruntime are taken as they are. `document` says what was tried. */
AIPC_API aipc_error *aipc_export(aipc_context *c, const aipc_export_options *o, char **document);

/* Does an ONNX model compute what was recorded? `request` is a JSON file (src/plan/recording/replay.h); used
 * by export.
 */
AIPC_API aipc_error *aipc_replay(aipc_context *c, const char *request, char **document);

typedef struct aipc_exec_options {
    size_t size;                /* sizeof(aipc_exec_options) */
    const char *const *command; /* the program and its arguments */
    size_t command_count;
    const char *const *artifacts; /* folders written by deploy */
    size_t artifact_count;
    const char *target; /* which target of them; NULL: the first */
    bool strict; /* a call of a deployed model that cannot be served fails, instead of running the original */
} aipc_exec_options;
/* Runs the program in the foreground with its models served by the artifacts. *status as for aipc_record;
 * `document` says which calls were served. */
AIPC_API aipc_error *aipc_exec(aipc_context *c, const aipc_exec_options *o, int *status, char **document);

/* ---- serving: calls of original models answered by artifacts ----
 * For what stands before the original: a hook, a library. It describes a call and is told which artifact
 * answers it. Safe for several threads; close it when none of them uses it. */
typedef struct aipc_server aipc_server;
typedef struct aipc_served aipc_served;     /* one model; belongs to its server */
typedef struct aipc_deployed aipc_deployed; /* one artifact of it; likewise */
/* `folders`: written by deploy, joined by ':'. `target`: which of each; NULL: the first; "htp:": the first of
 * that family. What is counted goes to $AIPC_HOOK_DIR, when there is one. */
AIPC_API aipc_error *aipc_server_open(aipc_context *c, const char *folders, const char *target,
                                      aipc_server **out);
AIPC_API void aipc_server_close(aipc_server *s);
AIPC_API void
aipc_server_forking(aipc_server *s); /* just before a fork: what is lent is each one's own then */
AIPC_API void aipc_server_forked(aipc_server *s);        /* in the child of a fork, before anything else */
AIPC_API char *aipc_server_models(const aipc_server *s); /* a document: [{name, kind, class, arch, path}] */
/* By identity (docs/recordings.md): a session's sha256, "CLASS/ARCH/CONTENT" of a module, with ".METHOD"
 * behind it for a method. NULL: not deployed. */
AIPC_API aipc_served *aipc_server_find(const aipc_server *s, const char *identity);
/* The same for an ONNX file, or for its bytes when `path` is NULL. */
AIPC_API aipc_error *aipc_server_find_model(const aipc_server *s, const char *path, const void *bytes,
                                            size_t len, aipc_served **out);
/* The artifact for a call. `leaves`: its tensors; data is not looked at. `spec`: JSON of what held them in a
 * module's call; NULL: a session's, whose tensors go by name. An error says why there is none. */
AIPC_API aipc_error *aipc_served_choose(aipc_served *m, const char *spec, const aipc_tensor *leaves,
                                        size_t count, aipc_deployed **out);
/* The same from JSON: [spec, [[name, dtype, dims], ...]]. */
AIPC_API aipc_error *aipc_served_choose_json(aipc_served *m, const char *call, aipc_deployed **out);
AIPC_API const char *aipc_served_name(const aipc_served *m);
/* Counts a call that the original answers. True: say so, it is the first for this reason. */
AIPC_API bool aipc_served_refuse(aipc_served *m, const char *why);
/* {dir, feeds: [{name, leaf, dtype}], outputs: [{name, dtype, dims, at}], results: [{output, dtype}],
 * out_spec, bytes}: what run takes (dtype null: as it is) and gives; how a module's answer is made of it
 * (output null: nothing makes what the program does not read; then dims, too); where in `bytes` of memory for
 * an answer each output begins. */
AIPC_API char *aipc_deployed_document(const aipc_deployed *d);
/* The same one by one: a feed's name, what is made; NULL behind the last. */
AIPC_API const char *aipc_deployed_feed(const aipc_deployed *d, size_t i);
AIPC_API const aipc_tensor *aipc_deployed_output(const aipc_deployed *d, size_t i);
/* Memory for one answer that the child process sees, too, so that nothing is copied when a run puts it there:
 * the address of every output, the first at its front. It is the caller's until he gives it back, which he
 * may do from any thread, and after the server was closed. NULL: they are small, the artifact did not run
 * yet, or all is lent; give other memory to run then. */
typedef struct aipc_loan aipc_loan;
AIPC_API aipc_loan *aipc_deployed_lend(aipc_deployed *d, void **outputs);
AIPC_API void aipc_loan_release(aipc_loan *loan);
/* Runs and counts. Addresses of row-major tensors: an input a feed, an output each; NULL: nobody wants it.
 * The artifact is started at the first run. */
AIPC_API aipc_error *aipc_deployed_run(aipc_deployed *d, const void *const *inputs, void *const *outputs);
/* The same into memory that is lent where there is such, else into memory of this process alone: it goes back
 * by aipc_loan_release() in either case. The document says where in it each output begins.
 * Inputs of both are copied to where the artifact's process sees them. Under `aipc exec` blocks of malloc
 * that are exactly as large as an input, 64 KiB and more, lie there already. */
typedef struct aipc_answer {
    void *memory;
    aipc_loan *loan;
    uint64_t vendor_us; /* the run of the vendor's library alone */
    uint64_t copied;    /* bytes of inputs that were copied */
} aipc_answer;
AIPC_API aipc_error *aipc_deployed_answer(aipc_deployed *d, const void *const *inputs, aipc_answer *out);

typedef struct aipc_verify_options {
    size_t size; /* sizeof(aipc_verify_options) */
    const char *const *command;
    size_t command_count;
    const char *const *artifacts; /* as for exec; the next too */
    size_t artifact_count;
    const char *target;
    const char *const *tasks; /* "TASK[=NUMBER][:FILE]", docs/recordings.md; none: as recorded, else text */
    size_t task_count;
    const char *keep_dir; /* copy what both runs left here; NULL: no */
    bool repair; /* when they differ: deploy again, from the recording, as exact as can be, and look again */
} aipc_verify_options;
/* Runs the program twice in copies of the working folder, as it is and served, and compares the answers of
 * its models, its exit code, its stdout and the files it wrote. `document` is set also with the error that a
 * gate failed. */
AIPC_API aipc_error *aipc_verify(aipc_context *c, const aipc_verify_options *o, char **document);

typedef struct aipc_split_options {
    size_t size;           /* sizeof(aipc_split_options) */
    const char *recording; /* NULL: `command` is recorded first, into DIR/recording */
    const char *const *command;
    size_t command_count;     /* none: as recorded */
    const char *module;       /* NULL: the one the program spends most time in */
    const char *out_dir;      /* NULL: "split" */
    const char *const *tasks; /* as for verify */
    size_t task_count;
    bool unchecked;
} aipc_split_options;
/* Writes a program as pre.py, model.onnx, post.py and infer.py; runs it and its parts, each in a copy of the
 * working folder, and compares them. `document` is set also with the error that they differ. */
AIPC_API aipc_error *aipc_split(aipc_context *c, const aipc_split_options *o, char **document);

/* ---- vendor runtimes ---- */
AIPC_API aipc_error *aipc_runtime_list(aipc_context *c, char **document);
AIPC_API aipc_error *aipc_runtime_install(aipc_context *c, const char *name, char **document);
AIPC_API aipc_error *aipc_runtime_remove(aipc_context *c, const char *name);

/* Serves one target on channel `fd`; what `aipc worker` runs. Returns a process exit code. */
AIPC_API int aipc_worker_main(int fd);

#ifdef __cplusplus
}
#endif
#endif
