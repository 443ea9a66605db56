/* SPDX-License-Identifier: Apache-2.0 */
/* show_index: the index of a recording's deployments as a table. */
#ifndef AIPC_CLI_SHOW_INDEX_H
#define AIPC_CLI_SHOW_INDEX_H

#include <stdbool.h>

/* Prints it on stdout; false when the document is no index. */
bool show_index(const char *document);

#endif
