/* Host functions: what a guest may ask of its host, and the two contexts that such a function has.
 *
 * A linker maps names to definitions. It holds nothing of any guest, so one linker serves all
 * stores. `data` of a definition is for what all of them share; what one guest owns is the data of
 * its store. A linker whose data is one guest's would keep that guest alive, or worse.
 */
#include <ctype.h>

#include "chapter.h"

#define LINE_BYTES_MAX 80

/* Of one guest: made and freed with its store. */
struct guest {
    const char *name;
    int lines;
};

static void guest_free(void *data)
{
    struct guest *guest = data;
    printf("%s said %d lines\n", guest->name, guest->lines);
    free(guest);
}

/* host.say: a string of the guest's memory. Its size and place are the guest's word: nothing is
 * believed, weir_memory_read() checks the range. */
static enum weir_status say(struct weir_caller *caller, void *data, const union weir_value *args,
                            union weir_value *results)
{
    int *all_lines = data;
    struct guest *guest = weir_store_data(weir_caller_store(caller));
    char line[LINE_BYTES_MAX];
    uint32_t size = (uint32_t)args[1].i32;
    if (size > sizeof line)
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "a line of %u bytes; at most %zu", size,
                                sizeof line);
    if (weir_memory_read(weir_caller_memory(caller), (uint32_t)args[0].i32, line, size) != WEIR_OK)
        return weir_caller_trap(caller, WEIR_TRAP_MEMORY_BOUNDS, "the line is not in the memory");
    for (uint32_t i = 0; i < size; i++)
        if (!isprint((unsigned char)line[i]))
            line[i] = '?';
    printf("%s: %.*s\n", guest->name, (int)size, line);
    results[0].i32 = ++guest->lines;
    ++*all_lines;
    return WEIR_OK;
}

static void define(struct weir_linker *linker, int *all_lines)
{
    struct weir_error error = {0};
    static const enum weir_type params[] = {WEIR_TYPE_I32, WEIR_TYPE_I32};
    static const enum weir_type results[] = {WEIR_TYPE_I32};
    struct weir_func_type type = {params, 2, results, 1};
    must(weir_linker_define_func(
             linker, "host", "say",
             &(struct weir_host_definition){.type = &type, .func = say, .data = all_lines}, &error),
         &error);
}

static void run_guest(const struct weir_linker *linker, struct weir_module *module,
                      const char *name)
{
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    struct guest *guest = calloc(1, sizeof *guest);
    EXPECT(guest != NULL);
    guest->name = name;
    must(weir_store_new(
             weir_module_engine(module),
             &(struct weir_store_config){.name = name, .data = guest, .data_free = guest_free},
             &store, &error),
         &error);
    must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    (void)chapter_call(instance, "greet", 0, 0);
    weir_store_close(store, NULL);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_linker *linker = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    int all_lines = 0;

    must(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "host");
    must(weir_linker_new(engine, &linker, &error), &error);

    /* What is missing is named, all of it. */
    must(weir_store_new(engine, NULL, &store, &error), &error);
    EXPECT(weir_instance_new(store, linker, module, &instance, NULL, &error) == WEIR_LINK);
    print_error(stdout, &error);
    weir_error_done(&error);
    weir_store_close(store, NULL);

    define(linker, &all_lines);
    run_guest(linker, module, "ann");
    run_guest(linker, module, "bob");
    printf("%d lines in all\n", all_lines);

    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
