// SPDX-License-Identifier: Apache-2.0
// What run.c and bind.c share.
#ifndef AP_ENGINE_RUN_PRIV_H
#define AP_ENGINE_RUN_PRIV_H

#include "engine/engine.h"

const ap_io *ap_io_find(const ap_io *list, size_t count, const char *name); // NULL when there is none
// A value for every input: each must be one of the session's, and none may be missing. `names` and `values`
// have room for `count`; values are released by the caller, also on failure.
AP_MUST ap_err ap_inputs_bind(ap_session *s, const ap_named_tensor *inputs, size_t count, const char **names,
                              OrtValue **values);
// A value over the tensor's memory.
AP_MUST ap_err ap_value_over(ap_engine *e, const ap_tensor *t, OrtValue **out);
// A view of what the library made; dtype NONE when it is no tensor.
AP_MUST ap_err ap_value_view(ap_engine *e, OrtValue *v, ap_tensor *out);

#endif
