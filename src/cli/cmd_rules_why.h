/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AIPC_CLI_CMD_RULES_WHY_H
#define AIPC_CLI_CMD_RULES_WHY_H

#include <jansson.h>

/* Prints the document of aipc_rules_why. */
void cli_rules_why_show(const json_t *doc);

#endif
