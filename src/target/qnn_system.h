// SPDX-License-Identifier: Apache-2.0
// qnn_system: what a QNN context binary says about itself, read through libQnnSystem.so.
//
// The emulator loads a binary made for any SoC, so "it runs here" proves nothing about the device: the SoC,
// the library build and the graphs' inputs and outputs are read back and compared with what was asked.
#ifndef AP_TARGET_QNN_SYSTEM_H
#define AP_TARGET_QNN_SYSTEM_H

#include "base/json.h"

// {soc_model, build_id, backend_id, core_api, backend_api, graphs: [{name, inputs: [{name, dtype, dims}],
// outputs}]}. Errors: RUNTIME_LOAD (library), VENDOR (refused: not a context binary, damaged), CORRUPT
// (values out of range).
AP_MUST ap_err ap_qnn_readback(const char *system_lib, const char *binary_path, json_t **out);

#endif
