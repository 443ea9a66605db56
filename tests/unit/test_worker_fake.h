// SPDX-License-Identifier: Apache-2.0
// A worker that answers what a test wants: the test's own program, started again, with fd 3 as a worker has
// it. To be included behind a header with `must`.
#ifndef AP_TEST_WORKER_FAKE_H
#define AP_TEST_WORKER_FAKE_H

#include "base/channel.h"
#include "worker/protocol.h"

#include <string.h>

// Serves until the other side closes. `answer` gives the result of a request; `open` is one as any other, and
// the greeting is added here.
static inline int fake_worker_serve(json_t *(*answer)(void *user, const char *op, const json_t *args),
                                    void *user) {
    ap_buf in = {0};
    for (;;) {
        json_t *request = NULL;
        ap_channel_state state = AP_CHANNEL_DATA;
        must(ap_frame_take(&in, &request));
        if (!request) {
            must(ap_channel_read(3, -1, &in, &state));
            if (state == AP_CHANNEL_CLOSED) break;
            continue;
        }
        const char *op = ap_json_str(request, "op", "");
        json_t *result = answer(user, op, json_object_get(request, "args"));
        if (!strcmp(op, "open")) json_object_set_new(result, "protocol", json_integer(AP_PROTOCOL));
        json_t *reply = json_pack("{sb,so}", "ok", 1, "result", result);
        ap_err err = ap_frame_write(3, reply);
        json_decref(reply);
        json_decref(request);
        if (!err) continue;
        ap_err_free(err);
        break;
    }
    ap_buf_free(&in);
    return 0;
}

#endif
