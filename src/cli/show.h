/* SPDX-License-Identifier: Apache-2.0 */
/* show: the larger documents as text for people, on stdout. */
#ifndef AIPC_CLI_SHOW_H
#define AIPC_CLI_SHOW_H

#include "cli/cli.h"

#include <jansson.h>

/* What most commands do with their document, which also comes with an error: --json prints it, else `put`
 * shows it. Ends the progress line; frees the document. */
void show_document(cli_env *env, char *document, void (*put)(const json_t *doc));
/* The stages of all targets, what failed, where the report is, the verdict. */
void show_deploy(const char *document, const char *out_dir);
/* What it took, and whose it was: one line; nothing when the document does not say. */
void show_time(const json_t *doc);
/* What surgery did for a target, in a few lines; nothing for null. */
void show_repairs(const json_t *repairs, const char *target);
/* Layers as measured and as estimated; `top` > 0: only the slowest, slowest first. */
void show_profile(const char *document, unsigned top);

#endif
