// SPDX-License-Identifier: Apache-2.0
#include "plan/work/host.h"

#include "base/cpu.h"
#include "base/file.h"

json_t *ap_host_json(void) {
    ap_buf os = {0}, cpu = {0};
    ap_file_field("/etc/os-release", "PRETTY_NAME", &os);
    ap_file_field("/proc/cpuinfo", "model name", &cpu);
    json_t *j = json_pack("{so,so,sI}", "os", ap_json_string(ap_buf_str(&os)), "cpu",
                          ap_json_string(ap_buf_str(&cpu)), "cores", (json_int_t)ap_cpu_total());
    ap_buf_free(&os);
    ap_buf_free(&cpu);
    return j;
}
