// SPDX-License-Identifier: Apache-2.0
// served: calls of original models answered by deployed artifacts. What stands before the original (the
// Python hook, the drop-in) describes a call; which artifact answers it, and how often that happened, is
// known here.
#ifndef AP_PLAN_SERVED_H
#define AP_PLAN_SERVED_H

#include "base/json.h"
#include "plan/artifact/artifact_priv.h"
#include "plan/artifact/counts.h"

typedef struct ap_feed {
    const char *name;
    size_t leaf;    // of a module's call
    bool fixed;     // not an input of the artifact: it must have this value
    ap_dtype dtype; // the last two only when it is fixed
    int64_t value;
} ap_feed;

#define AP_NO_OUTPUT SIZE_MAX

struct aipc_deployed {
    aipc_served *model;
    const char *dir;
    aipc_artifact *contract;          // read, not started
    _Atomic(aipc_artifact *) running; // NULL until it is wanted; set once, then it works
    const json_t *call;               // its entry in an index; NULL: the model's own folder
    const char *refusal;              // why it answers nothing; the server's lock
    ap_feed *feeds;                   // the contract's inputs, then what is fixed
    size_t feed_count;
    size_t *results; // of a module: for every leaf of the answer, which output it is; AP_NO_OUTPUT: none,
                     // because the program does not read it
    size_t slot;     // of its counter, when this process is
    pid_t slot_owner;
    aipc_deployed *next;
};

struct aipc_served {
    aipc_server *server;
    const char *name, *key; // key: the identity
    const json_t *entry;    // in an index; NULL: of one ONNX model
    aipc_deployed *list;    // in the order of the folders
    aipc_served *next;
};

struct aipc_server {
    aipc_context *ctx;
    ap_arena arena;
    const char *target;   // NULL: the first of each; "htp:": the first of that family
    pthread_mutex_t lock; // refusals; held while an artifact is started
    json_t *indexes;      // kept: entries point into them
    aipc_served *models;
    ap_counts counts;
};

// As aipc_server_*, aipc_served_* and aipc_deployed_* (aipc.h).
AP_MUST ap_err ap_server_open(aipc_context *c, const char *folders, const char *target, aipc_server **out);
void ap_server_close(aipc_server *s);
void ap_server_forking(aipc_server *s);
void ap_server_forked(aipc_server *s);
json_t *ap_server_models(const aipc_server *s);
aipc_served *ap_server_find(const aipc_server *s, const char *identity);
AP_MUST ap_err ap_server_find_model(const aipc_server *s, const char *path, const void *bytes, size_t len,
                                    aipc_served **out);

// ---- served_call.c
AP_MUST ap_err ap_served_choose(aipc_served *m, const json_t *spec, const aipc_tensor *leaves, size_t count,
                                aipc_deployed **out);
AP_MUST ap_err ap_served_choose_json(aipc_served *m, const char *call, aipc_deployed **out);
bool ap_served_refuse(aipc_served *m, const char *why);
ap_loan *ap_deployed_lend(aipc_deployed *d, void **outputs);
json_t *ap_deployed_document(const aipc_deployed *d);
AP_MUST ap_err ap_deployed_answer(aipc_deployed *d, const void *const *inputs, aipc_answer *out);
AP_MUST ap_err ap_deployed_run(aipc_deployed *d, const void *const *inputs, void *const *outputs);

#endif
