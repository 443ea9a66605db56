/* SPDX-License-Identifier: Apache-2.0 */
/* The program started by itself: hosts one target in a process of its own. Not for people, so not in the
 * help. */
#include "cli/cli.h"

#include <limits.h>

typedef struct values {
    unsigned fd;
} values;

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    (void)env;
    if (v->fd == 0) return cli_usage("aipc starts its workers itself", "'aipc worker' needs --fd N");
    *status = aipc_worker_main((int)v->fd);
    return NULL;
}

static const cli_option options[] = {
    {.name = "fd",
     .kind = CLI_UINT,
     .offset = offsetof(values, fd),
     .arg = "N",
     .min = 3,
     .max = INT_MAX,
     .help = "the channel to serve"},
    {0},
};

const cli_command cli_worker = {
    .name = "worker",
    .summary = "serve one target to another aipc",
    .purpose =
        "Started by aipc itself: hosts one target and one vendor library, and serves requests on a channel.",
    .options = options,
    .hidden = true,
    .values_size = sizeof(values),
    .run = run,
};
