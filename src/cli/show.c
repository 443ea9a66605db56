/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

void show_document(cli_env *env, char *document, void (*put)(const json_t *doc)) {
    term_progress_end();
    json_t *doc = doc_parse(document);
    if (doc && env->common.json)
        term_document(env, document);
    else if (doc)
        put(doc);
    json_decref(doc);
    aipc_free(document);
}
