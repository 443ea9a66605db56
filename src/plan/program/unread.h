// SPDX-License-Identifier: Apache-2.0
// unread: are outputs that fail their gates needed at all? The recorded program is asked: it runs once as it
// is and once with these tensors of a module's answers without data, which whoever reads them gets an error
// from. When it ends alike, the model can do without these outputs.
#ifndef AP_PLAN_UNREAD_H
#define AP_PLAN_UNREAD_H

#include "golden/gates.h"
#include "plan/sides/sides.h"
#include "plan/work/context.h"

// One a recording: the program is run as it is only once.
typedef struct ap_unread {
    const aipc_deploy_options *o; // of the recording's deployment; tasks: how its end is compared
    const char *folder;           // of the recording
    const json_t *recording;      // its document
    ap_arena arena;
    ap_gates gates;
    ap_sides sides;       // as it is, without the data
    bool ran;             // as it is
    const char **command; // NULL-ended
    json_t *needed;       // {question: why}: what was answered
} ap_unread;

void ap_unread_open(ap_unread *u, const aipc_deploy_options *o, const char *folder, const json_t *recording);
void ap_unread_close(ap_unread *u);

typedef struct ap_unread_question {
    aipc_context *ctx;         // whom it tells
    const json_t *model, *sig; // of the recording
    const json_t *made;        // of the export document: the signature's file, feeds and results
    // Deploys such a signature into a folder: its entry of an index, or NULL when that fails.
    json_t *(*deploy)(void *user, const json_t *made, const char *dir);
    void *user;
    // What came of it.
    json_t *without;  // `made` without the outputs nobody needs; NULL: they are needed, or it cannot be told
    json_t *evidence; // <unread> of docs/documents.md
    const char *why;  // else: what needs them
} ap_unread_question;

// One question at a time. Are the outputs that fail `gates` unread? Then `without` and `evidence` are set.
bool ap_unread_ask(ap_unread *u, ap_unread_question *q, const json_t *gates);
void ap_unread_question_release(ap_unread_question *q);

// The leaves of an answer, with "read": false where no output of `made` makes them. New reference.
json_t *ap_unread_leaves(const json_t *leaves, const json_t *made);

// Writes the model of `made` without the outputs named by the keys of `drop` to `file`; *without is `made` of
// that.
AP_MUST ap_err ap_unread_cut(const json_t *made, const json_t *drop, const char *file, json_t **without);

#endif
