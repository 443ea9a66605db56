/* SPDX-License-Identifier: Apache-2.0 */
/* show_recording: what a program's models were called with, as a table for a person. */
#ifndef AIPC_CLI_SHOW_RECORDING_H
#define AIPC_CLI_SHOW_RECORDING_H

#include "cli/show.h"

/* On stderr, since stdout is the program's. `doc` is recording.json (docs/recordings.md), `dir` its folder.
 */
void show_recording(const json_t *doc, const char *dir);

#endif
