// SPDX-License-Identifier: Apache-2.0
// oracle_command: a second oracle, by an external program (tools/second_oracle.py).
//
// The program is started with the rest of the line as its arguments. It reads requests and writes replies on
// file descriptor 3, each one line of JSON:
//   {"model": FILE, "inputs": [{name, dtype, dims, file}], "dir": FOLDER}
//   {"outputs": [{name, dtype, dims, file}]}  or  {"error": TEXT}
// Files are .npy; those of the outputs lie in the folder. What it cannot run is an error of the model.
#ifndef AP_SURGERY_ORACLE_COMMAND_H
#define AP_SURGERY_ORACLE_COMMAND_H

#include "surgery/oracle/oracle.h"

typedef struct ap_oracle_command ap_oracle_command;
// Error USAGE when there is no such program.
AP_MUST ap_err ap_oracle_command_open(const char *line, const char *scratch, ap_oracle_command **out);
void ap_oracle_command_close(ap_oracle_command *c); // NULL is fine
ap_piece_oracle ap_oracle_command_piece(ap_oracle_command *c);

#endif
