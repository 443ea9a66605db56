// SPDX-License-Identifier: Apache-2.0
// Shared by the files of from_recording alone.
#ifndef AP_PLAN_FROM_RECORDING_PRIV_H
#define AP_PLAN_FROM_RECORDING_PRIV_H

#include "plan/deploy/deploy.h"
#include "plan/program/unread.h"

#include <pthread.h>

typedef struct batch {
    aipc_context *ctx;
    const aipc_deploy_options *o;
    ap_arena arena;
    const char *recording, *out;
    json_t *doc;            // recording
    json_t *exported;       // export document
    json_t *models;         // of the index
    ap_err first;           // of the deployments
    ap_ledger spent;        // by all of it
    struct signature *list; // all that are deployed, in the order of the recording
    size_t count;
    pthread_mutex_t program; // held by who runs the program; guards what follows, and the arena
    ap_unread unread;        // who asks it
    json_t *level1;          // {model: as exported again, or null}
} batch;

// One signature of a model, on its way. Written by who deploys it alone.
typedef struct signature {
    batch *b;
    aipc_context *ctx; // whom its deployment tells
    ap_arena arena;
    const json_t *exported;    // the model's entry of the export document
    const json_t *model, *sig; // of the recording
    const json_t *first;       // as exported first
    const json_t *made;        // as exported
    json_t *switches, *tried;  // tried: exports that failed before `made`
    char *below, *dir;
    aipc_deploy_options o;
    ap_deploy_asks asks;
    ap_unread_question question;
    bool passed;
    json_t *entry; // of the index
    ap_err err;
} signature;

// from_recording.c
bool ap_signature_file_there(const json_t *made); // of the export document
// The signature as exported again with level 1, for one that its target refused; NULL when there is none. The
// export is made once a model, whichever of its signatures is refused first.
const json_t *ap_signature_level1(const signature *s);

// from_recording_one.c
void ap_signature_deploy(void *sig, aipc_context *c); // fills `entry` and `err`
void ap_signature_release(signature *s);

#endif
