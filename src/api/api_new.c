// SPDX-License-Identifier: Apache-2.0
// new: writes a small program around a known model, to record, deploy and serve.
#include "aipc/aipc.h"
#include "base/data.h"
#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static ap_err read_table(json_t **table) {
    size_t len;
    const char *text = ap_data_get("examples.json", &len);
    return ap_json_parse(text, len, "examples.json", AP_ERR_INTERNAL, table);
}

static json_t *find(const json_t *table, const char *name) {
    return ap_json_find(json_object_get(table, "examples"), "name", name);
}

// The words after "# KEY: " in the head of a program.
static char *head_words(const char *text, const char *key, ap_arena *a) {
    const char *at = strstr(text, ap_arena_printf(a, "# %s: ", key));
    if (!at) return ap_arena_strdup(a, "");
    at += strlen(key) + 4;
    return ap_arena_printf(a, "%.*s", (int)strcspn(at, "\n"), at);
}

static ap_err put(const char *dir, const char *name, const char *text, size_t len, ap_arena *a,
                  json_t *files) {
    ap_err err = ap_file_write(ap_path_join(a, dir, name), text, len);
    if (!err) json_array_append_new(files, json_string(name));
    return err;
}

static ap_err put_needs(const char *dir, char *names, ap_arena *a, json_t *files) {
    char *rest = NULL;
    for (char *n = strtok_r(names, " ", &rest); n; n = strtok_r(NULL, " ", &rest)) {
        size_t len;
        const char *text = ap_data_get(n, &len);
        if (!text) return ap_err_new(AP_ERR_INTERNAL, "the program holds no file %s", n);
        ap_err err = put(dir, n, text, len, a, files);
        if (err) return err;
    }
    return NULL;
}

static char *words(const json_t *list, ap_arena *a) {
    const char *all = "";
    for (size_t i = 0; i < json_array_size(list); i++)
        all = ap_arena_printf(a, "%s %s", all, json_string_value(json_array_get(list, i)));
    return ap_arena_strdup(a, all);
}

// The command that runs it: "python app.py ...".
static char *command(const json_t *e, ap_arena *a) {
    return ap_arena_printf(a, "python app.py%s%s", words(json_object_get(e, "args"), a),
                           words(json_object_get(e, "given"), a));
}

static ap_err put_texts(const json_t *e, const char *dir, char *pip, const char *run, ap_arena *a,
                        json_t *files) {
    char *lines = ap_arena_strdup(a, pip);
    for (char *c = lines; *c; c++) {
        if (*c == ' ') *c = '\n';
    }
    lines = ap_arena_printf(a, "%s\n", lines);
    ap_err err = put(dir, "requirements.txt", lines, strlen(lines), a, files);
    if (err) return err;
    char *readme =
        ap_arena_printf(a,
                        "# %s\n\n%s.\n\n"
                        "    pip install -r requirements.txt\n"
                        "    %s\n\n"
                        "From the program to the device:\n\n"
                        "    aipc record --task %s -o rec -- %s\n"
                        "    aipc deploy rec --target htp:sm8650 -o out\n"
                        "    aipc exec --artifacts out -- %s\n"
                        "    aipc verify --artifacts out -- %s\n\n"
                        "Weights: %s. What is fetched at run time (pinned in models.json) comes "
                        "under licences of its own.\n",
                        ap_json_str(e, "name", ""), ap_json_str(e, "what", ""), run,
                        ap_json_str(e, "task", "text"), run, run, run, ap_json_str(e, "weights", ""));
    return put(dir, "README.md", readme, strlen(readme), a, files);
}

static ap_err write_example(const json_t *e, const char *dir, json_t **document) {
    ap_arena a = {0};
    json_t *files = json_array();
    size_t len;
    ap_err err = NULL;
    const char *text = ap_data_get(ap_json_str(e, "app", ""), &len);
    if (!text) AP_FAIL(AP_ERR_INTERNAL, "the program holds no file %s", ap_json_str(e, "app", "?"));
    char *app = ap_path_join(&a, dir, "app.py");
    if (ap_file_exists(app)) {
        err = ap_err_hint(ap_err_new(AP_ERR_USAGE, "%s is there already", app),
                          "choose another folder with -o");
        goto done;
    }
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(put_needs(dir, head_words(text, "needs", &a), &a, files));
    AP_TRY(put_texts(e, dir, head_words(text, "pip", &a), command(e, &a), &a, files));
    AP_TRY(put(dir, "app.py", text, len, &a, files));
    *document = json_pack("{sO,ss,so,sO,sO,sO}", "name", json_object_get(e, "name"), "dir", dir, "command",
                          ap_json_string(command(e, &a)), "task", json_object_get(e, "task"), "what",
                          json_object_get(e, "what"), "files", files);
done:
    json_decref(files);
    ap_arena_release(&a);
    return ap_err_stage(err, "new");
}

aipc_error *aipc_new(const char *name, const char *dir, char **document) {
    json_t *table = NULL, *doc = NULL, *e;
    ap_err err = NULL;
    AP_TRY(read_table(&table));
    if (!name) {
        doc = json_pack("{sO}", "examples", json_object_get(table, "examples"));
    } else if (!(e = find(table, name))) {
        err = ap_err_hint(ap_err_new(AP_ERR_USAGE, "there is no example '%s'", name),
                          "'aipc new' alone lists them");
        goto done;
    } else {
        AP_TRY(write_example(e, dir ? dir : name, &doc));
    }
    *document = ap_json_text(doc, true);
done:
    json_decref(doc);
    json_decref(table);
    return err;
}
