// SPDX-License-Identifier: Apache-2.0
#include "plan/work/host.h"

#include "base/cpu.h"
#include "base/file.h"

#include <string.h>

// The value behind `key` in a "key<separators>value" text file, "" when there is none.
static void field(const char *path, const char *key, ap_buf *out) {
    ap_buf text = {0};
    ap_err_free(ap_file_read(path, 1 << 20, &text));
    const char *p = strstr(ap_buf_str(&text), key);
    if (p) {
        p += strlen(key);
        p += strspn(p, " \t:=\"");
        ap_buf_append(out, p, strcspn(p, "\"\n"));
    }
    ap_buf_free(&text);
}

json_t *ap_host_json(void) {
    ap_buf os = {0}, cpu = {0};
    field("/etc/os-release", "PRETTY_NAME", &os);
    field("/proc/cpuinfo", "model name", &cpu);
    json_t *j = json_pack("{so,so,sI}", "os", ap_json_string(ap_buf_str(&os)), "cpu",
                          ap_json_string(ap_buf_str(&cpu)), "cores", (json_int_t)ap_cpu_total());
    ap_buf_free(&os);
    ap_buf_free(&cpu);
    return j;
}
