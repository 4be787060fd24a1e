/* Groups the lines `unknown import: "module" "name"` and `incompatible import type: …` of a
 * linker's report. Which world would have a name follows from the module and the name's beginning.
 */
#include "server/import_hints.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN "unknown import: "
#define OTHER_TYPE "incompatible import type: "
#define NAMES_BYTES 480

struct import {
    char module[64];
    char name[64];
    bool is_other_type;
};

static const struct {
    const char *module, *prefix, *world;
} WORLDS[] = {
    {"wasi_snapshot_preview1", "", "world wasi, which this host has; preview 1 has no such name"},
    {"wasi:", "", "wasi preview 2: a component, not a module"},
    {"ic0", "", "world canister"},
    {"env", "proxy_", "world filter, proxy-wasm"},
    {"env", "db_", "world contract, CosmWasm"},
    {"env", "addr_", "world contract, CosmWasm"},
    {"env", "secp256k1_", "world contract, CosmWasm"},
    {"env", "secp256r1_", "world contract, CosmWasm"},
    {"env", "ed25519_", "world contract, CosmWasm"},
    {"env", "bls12_381_", "world contract, CosmWasm"},
    {"env", "query_chain", "world contract, CosmWasm"},
    {"env", "debug", "world contract, CosmWasm"},
    {"env", "abort", "AssemblyScript's own: compile with --use abort="},
    {"go", "", "Go in a browser: compile with GOOS=wasip1"},
    {"gojs", "", "Go in a browser: compile with GOOS=wasip1"},
    {"wbg", "", "wasm-bindgen: JavaScript in a browser"},
    {"__wbindgen", "", "wasm-bindgen: JavaScript in a browser"},
    {"a", "", "Emscripten: JavaScript; compile with -sSTANDALONE_WASM"},
};

static const char *find_world(const struct import *import)
{
    if (import->is_other_type)
        return "known here, but of another type";
    for (size_t i = 0; i < sizeof WORLDS / sizeof WORLDS[0]; i++) {
        size_t size = strlen(WORLDS[i].module);
        bool is_family = WORLDS[i].module[size - 1] == ':' || WORLDS[i].module[0] == '_';
        bool is_module = is_family ? strncmp(import->module, WORLDS[i].module, size) == 0
                                   : strcmp(import->module, WORLDS[i].module) == 0;
        if (is_module && strncmp(import->name, WORLDS[i].prefix, strlen(WORLDS[i].prefix)) == 0)
            return WORLDS[i].world;
    }
    return "no world that Weir knows";
}

/* The text between the next two quotation marks; NULL without. */
static const char *take_quoted(const char *text, char *to, size_t size)
{
    const char *begin = strchr(text, '"');
    const char *end = begin != NULL ? strchr(begin + 1, '"') : NULL;
    if (end == NULL)
        return NULL;
    (void)snprintf(to, size, "%.*s", (int)(end - begin - 1), begin + 1);
    return end + 1;
}

static bool read_import(const char *text, struct import *import)
{
    import->is_other_type = strncmp(text, OTHER_TYPE, strlen(OTHER_TYPE)) == 0;
    if (!import->is_other_type && strncmp(text, UNKNOWN, strlen(UNKNOWN)) != 0)
        return false;
    const char *rest = take_quoted(text, import->module, sizeof import->module);
    return rest != NULL && take_quoted(rest, import->name, sizeof import->name) != NULL;
}

/* One line for all imports from `first` on that share its module and world. */
static void add_group(struct weir_error *to, const struct import *imports, bool *is_told,
                      size_t first, size_t count)
{
    const char *world = find_world(&imports[first]);
    char names[NAMES_BYTES];
    size_t used = 0, left_out = 0;
    for (size_t i = first; i < count; i++) {
        if (is_told[i] || strcmp(imports[i].module, imports[first].module) != 0 ||
            find_world(&imports[i]) != world)
            continue;
        is_told[i] = true;
        int size = snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "",
                            imports[i].name);
        if (size > 0 && used + (size_t)size < sizeof names)
            used += (size_t)size;
        else
            left_out++;
        names[used] = 0;
    }
    if (left_out > 0)
        weir_error_add(to, "%s: %s and %zu more  (%s)", imports[first].module, names, left_out,
                       world);
    else
        weir_error_add(to, "%s: %s  (%s)", imports[first].module, names, world);
}

void weir_import_hints(struct weir_error *error)
{
    if (error == NULL || error->status != WEIR_LINK || error->details == NULL)
        return;
    size_t total = 0, count = 0;
    for (const struct weir_error_detail *d = error->details; d != NULL; d = d->next)
        total++;
    struct import *imports = calloc(total, sizeof *imports);
    bool *is_told = calloc(total, sizeof *is_told);
    for (const struct weir_error_detail *d = error->details;
         d != NULL && imports != NULL && is_told != NULL; d = d->next)
        count += read_import(d->text, &imports[count]);
    if (count == total) {
        struct weir_error told = {0};
        const char *colon = strstr(error->message, ": " UNKNOWN);
        if (colon == NULL)
            colon = strstr(error->message, ": " OTHER_TYPE);
        (void)weir_error_set(&told, WEIR_LINK, WEIR_NO_OFFSET,
                             "%.*s%s%zu of its imports cannot be had here",
                             colon != NULL ? (int)(colon - error->message) : 0, error->message,
                             colon != NULL ? ": " : "the module does not fit: ", count);
        for (size_t i = 0; i < count; i++)
            if (!is_told[i])
                add_group(&told, imports, is_told, i, count);
        weir_error_done(error);
        weir_error_move(error, &told);
    }
    free(imports);
    free(is_told);
}
