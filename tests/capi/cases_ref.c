/* References: handles, sameness, host info, and the way from every kind to wasm_ref_t and back. */
#include "capi_case.h"

static int finalized;

static void count(void *info)
{
    finalized += (int)(intptr_t)info;
}

/* Every reference of some kind, in a world of its own. */
struct things {
    struct world world;
    struct exports exports;
    wasm_instance_t *instance;
    wasm_module_t *module;
    wasm_foreign_t *foreign;
    wasm_trap_t *trap;
    wasm_func_t *func;
    wasm_global_t *global;
    wasm_table_t *table;
    wasm_memory_t *memory;
};

static void open_things(struct things *things)
{
    world_open(&things->world);
    exports_open(&things->exports, &things->world, "plain", NULL);
    things->instance = world_instance(&things->world, "plain", NULL);
    things->module = world_module(&things->world, "plain");
    things->trap = trap_of(things->world.store, "a trap");
    things->func = func_of(&things->exports, "f");
    things->global = wasm_extern_as_global(export_of(&things->exports, "g"));
    things->table = wasm_extern_as_table(export_of(&things->exports, "table"));
    things->memory = wasm_extern_as_memory(export_of(&things->exports, "memory"));
}

static void close_things(struct things *things)
{
    exports_close(&things->exports);
    wasm_instance_delete(things->instance);
    wasm_module_delete(things->module);
    wasm_trap_delete(things->trap);
    world_close(&things->world);
}

/* One handle more, the same object; the other is not. Copies keep working when one is deleted. */
#define SAME(name, thing, other)                                                                   \
    do {                                                                                           \
        wasm_##name##_t *copy_ = wasm_##name##_copy(thing);                                        \
        CHECK(copy_ != NULL && wasm_##name##_same(copy_, thing));                                  \
        wasm_##name##_t *again_ = wasm_##name##_copy(copy_);                                       \
        wasm_##name##_delete(copy_);                                                               \
        CHECK(wasm_##name##_same(again_, thing));                                                  \
        if ((other) != NULL)                                                                       \
            CHECK(!wasm_##name##_same(again_, other));                                             \
        wasm_##name##_delete(again_);                                                              \
    } while (0)

#define SAME_CASE(name, other)                                                                     \
    static void same_##name(void)                                                                  \
    {                                                                                              \
        struct things things;                                                                      \
        open_things(&things);                                                                      \
        SAME(name, things.name, other);                                                            \
        close_things(&things);                                                                     \
    }

SAME_CASE(func, func_of(&things.exports, "h"))
SAME_CASE(global, wasm_extern_as_global(export_of(&things.exports, "c")))
SAME_CASE(table, (wasm_table_t *)NULL)
SAME_CASE(memory, (wasm_memory_t *)NULL)
SAME_CASE(instance, (wasm_instance_t *)NULL)
SAME_CASE(module, (wasm_module_t *)NULL)
SAME_CASE(trap, (wasm_trap_t *)NULL)

static void same_extern(void)
{
    struct things things;
    open_things(&things);
    SAME(extern, export_of(&things.exports, "f"), export_of(&things.exports, "h"));
    close_things(&things);
}

static void same_foreign(void)
{
    struct world world;
    world_open(&world);
    wasm_foreign_t *a = wasm_foreign_new(world.store);
    wasm_foreign_t *b = wasm_foreign_new(world.store);
    SAME(foreign, a, b);
    wasm_ref_t *ref = wasm_foreign_as_ref(a);
    SAME(ref, ref, wasm_foreign_as_ref(b));
    wasm_foreign_delete(a);
    wasm_foreign_delete(b);
    world_close(&world);
}

/* Two modules, instances and traps of the same making are two all the same. */
static void same_is_identity(void)
{
    struct things things;
    open_things(&things);
    wasm_module_t *module = world_module(&things.world, "plain");
    CHECK(!wasm_module_same(module, things.module));
    wasm_instance_t *instance = world_instance(&things.world, "plain", NULL);
    CHECK(!wasm_instance_same(instance, things.instance));
    wasm_trap_t *trap = trap_of(things.world.store, "a trap");
    CHECK(!wasm_trap_same(trap, things.trap));
    wasm_trap_delete(trap);
    wasm_instance_delete(instance);
    wasm_module_delete(module);
    close_things(&things);
}

/* Exports asked for twice are the same objects. */
static void same_exports(void)
{
    struct world world;
    world_open(&world);
    wasm_instance_t *instance = world_instance(&world, "plain", NULL);
    wasm_extern_vec_t a;
    wasm_extern_vec_t b;
    wasm_instance_exports(instance, &a);
    wasm_instance_exports(instance, &b);
    for (size_t i = 0; i < a.size; i++)
        for (size_t j = 0; j < b.size; j++)
            CHECK(wasm_extern_same(a.data[i], b.data[j]) == (i == j));
    wasm_extern_vec_delete(&a);
    wasm_extern_vec_delete(&b);
    wasm_instance_delete(instance);
    world_close(&world);
}

/* Host info is the object's: set by one handle, seen by another, finalized with the object. */
#define INFO_CASE(name)                                                                            \
    static void info_##name(void)                                                                  \
    {                                                                                              \
        struct things things;                                                                      \
        open_things(&things);                                                                      \
        CHECK(wasm_##name##_get_host_info(things.name) == NULL);                                   \
        wasm_##name##_set_host_info(things.name, &things);                                         \
        CHECK(wasm_##name##_get_host_info(things.name) == &things);                                \
        wasm_##name##_t *copy = wasm_##name##_copy(things.name);                                   \
        CHECK(wasm_##name##_get_host_info(copy) == &things);                                       \
        wasm_##name##_set_host_info_with_finalizer(copy, (void *)1, count);                        \
        wasm_##name##_delete(copy);                                                                \
        CHECK(wasm_##name##_get_host_info(things.name) == (void *)1 && finalized == 0);            \
        wasm_##name##_set_host_info_with_finalizer(things.name, (void *)10, count);                \
        CHECK(finalized <= 1); /* what was there before is finalized, now or later */              \
        close_things(&things);                                                                     \
        CHECK(finalized == 11);                                                                    \
    }

INFO_CASE(func)
INFO_CASE(global)
INFO_CASE(table)
INFO_CASE(memory)
INFO_CASE(instance)
INFO_CASE(module)
INFO_CASE(trap)

static void info_foreign(void)
{
    struct world world;
    world_open(&world);
    wasm_foreign_t *foreign = wasm_foreign_new(world.store);
    wasm_foreign_set_host_info(foreign, &world);
    CHECK(wasm_foreign_get_host_info(foreign) == &world);
    wasm_foreign_set_host_info_with_finalizer(foreign, (void *)1, count);
    wasm_foreign_delete(foreign);
    world_close(&world);
    CHECK(finalized == 1);
}

static void info_extern(void)
{
    struct things things;
    open_things(&things);
    wasm_extern_t *item = export_of(&things.exports, "g");
    wasm_extern_set_host_info(item, &things);
    CHECK(wasm_global_get_host_info(things.global) == &things);
    CHECK(wasm_extern_get_host_info(item) == &things);
    wasm_extern_set_host_info_with_finalizer(item, (void *)3, count);
    close_things(&things);
    CHECK(finalized == 3);
}

static void info_ref(void)
{
    struct things things;
    open_things(&things);
    wasm_ref_t *ref = wasm_func_as_ref(things.func);
    wasm_ref_set_host_info(ref, &things);
    CHECK(wasm_func_get_host_info(things.func) == &things);
    wasm_ref_set_host_info_with_finalizer(ref, (void *)5, count);
    close_things(&things);
    CHECK(finalized == 5);
}

/* The last handle of an export goes; its info is there when it is asked for again. */
static void info_outlives_handles(void)
{
    struct world world;
    world_open(&world);
    wasm_instance_t *instance = world_instance(&world, "plain", NULL);
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    wasm_extern_set_host_info_with_finalizer(exports.data[0], (void *)1, count);
    wasm_extern_vec_delete(&exports);
    CHECK(finalized == 0);
    wasm_instance_exports(instance, &exports);
    CHECK(wasm_extern_get_host_info(exports.data[0]) == (void *)1);
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
    world_close(&world);
    CHECK(finalized == 1);
}

/* The object, as a reference and back, is the same handle; all other kinds are NULL. */
#define CONVERT(name, thing)                                                                       \
    do {                                                                                           \
        wasm_ref_t *ref_ = wasm_##name##_as_ref(thing);                                            \
        CHECK(ref_ != NULL && wasm_ref_as_##name(ref_) == (thing));                                \
        const wasm_ref_t *const_ = wasm_##name##_as_ref_const(thing);                              \
        CHECK(wasm_ref_as_##name##_const(const_) == (thing));                                      \
        int kinds_ = (wasm_ref_as_func(ref_) != NULL) + (wasm_ref_as_global(ref_) != NULL) +       \
                     (wasm_ref_as_table(ref_) != NULL) + (wasm_ref_as_memory(ref_) != NULL) +      \
                     (wasm_ref_as_instance(ref_) != NULL) + (wasm_ref_as_module(ref_) != NULL) +   \
                     (wasm_ref_as_foreign(ref_) != NULL) + (wasm_ref_as_trap(ref_) != NULL);       \
        CHECK(kinds_ == 1);                                                                        \
    } while (0)

static void to_ref_and_back(void)
{
    struct things things;
    open_things(&things);
    CONVERT(func, things.func);
    CONVERT(global, things.global);
    CONVERT(table, things.table);
    CONVERT(memory, things.memory);
    CONVERT(instance, things.instance);
    CONVERT(module, things.module);
    CONVERT(trap, things.trap);
    CHECK(wasm_ref_as_extern(wasm_instance_as_ref(things.instance)) == NULL);
    wasm_extern_t *item = export_of(&things.exports, "memory");
    CHECK(wasm_ref_as_extern(wasm_extern_as_ref(item)) == item);
    CHECK(wasm_ref_as_extern_const(wasm_extern_as_ref_const(item)) == item);
    CHECK(wasm_ref_as_memory(wasm_extern_as_ref(item)) == things.memory);
    close_things(&things);
}

static void foreign_to_ref_and_back(void)
{
    struct world world;
    world_open(&world);
    wasm_foreign_t *foreign = wasm_foreign_new(world.store);
    CONVERT(foreign, foreign);
    wasm_ref_delete(wasm_foreign_as_ref(foreign));
    world_close(&world);
}

static void externs(void)
{
    struct things things;
    open_things(&things);
    const wasm_extern_t *items[] = {
        wasm_func_as_extern_const(things.func), wasm_global_as_extern_const(things.global),
        wasm_table_as_extern_const(things.table), wasm_memory_as_extern_const(things.memory)};
    for (size_t i = 0; i < 4; i++) {
        CHECK(wasm_extern_kind(items[i]) == i); /* FUNC, GLOBAL, TABLE, MEMORY */
        CHECK((wasm_extern_as_func_const(items[i]) != NULL) == (i == WASM_EXTERN_FUNC));
        CHECK((wasm_extern_as_global_const(items[i]) != NULL) == (i == WASM_EXTERN_GLOBAL));
        CHECK((wasm_extern_as_table_const(items[i]) != NULL) == (i == WASM_EXTERN_TABLE));
        CHECK((wasm_extern_as_memory_const(items[i]) != NULL) == (i == WASM_EXTERN_MEMORY));
        wasm_externtype_t *type = wasm_extern_type(items[i]);
        CHECK(wasm_externtype_kind(type) == i);
        wasm_externtype_delete(type);
    }
    CHECK(wasm_extern_as_func(wasm_func_as_extern(things.func)) == things.func);
    CHECK(wasm_extern_as_global(wasm_global_as_extern(things.global)) == things.global);
    CHECK(wasm_extern_as_table(wasm_table_as_extern(things.table)) == things.table);
    CHECK(wasm_extern_as_memory(wasm_memory_as_extern(things.memory)) == things.memory);
    close_things(&things);
}

static void extern_vectors(void)
{
    struct things things;
    open_things(&things);
    wasm_extern_t *two[] = {wasm_extern_copy(export_of(&things.exports, "f")),
                            wasm_extern_copy(export_of(&things.exports, "g"))};
    wasm_extern_vec_t vec;
    wasm_extern_vec_new(&vec, 2, two);
    wasm_extern_vec_t copy;
    wasm_extern_vec_copy(&copy, &vec);
    wasm_extern_vec_delete(&vec);
    CHECK(copy.size == 2 && wasm_extern_kind(copy.data[1]) == WASM_EXTERN_GLOBAL);
    wasm_extern_vec_delete(&copy);
    wasm_extern_vec_new_empty(&vec);
    CHECK(vec.size == 0);
    wasm_extern_vec_new_uninitialized(&vec, 1);
    vec.data[0] = NULL;
    wasm_extern_vec_delete(&vec);
    close_things(&things);
}

static void nothing(void)
{
    wasm_ref_delete(NULL);
    wasm_func_delete(NULL);
    wasm_instance_delete(NULL);
    wasm_store_delete(NULL);
    wasm_engine_delete(NULL);
    wasm_config_delete(NULL);
    wasm_trap_delete(NULL);
    wasm_shared_module_delete(NULL);
    CHECK(wasm_ref_copy(NULL) == NULL);
}

const struct capi_case capi_ref_cases[] = {
    {"same_func", same_func},
    {"same_global", same_global},
    {"same_table", same_table},
    {"same_memory", same_memory},
    {"same_instance", same_instance},
    {"same_module", same_module},
    {"same_trap", same_trap},
    {"same_extern", same_extern},
    {"same_foreign", same_foreign},
    {"same_is_identity", same_is_identity},
    {"same_exports", same_exports},
    {"info_func", info_func},
    {"info_global", info_global},
    {"info_table", info_table},
    {"info_memory", info_memory},
    {"info_instance", info_instance},
    {"info_module", info_module},
    {"info_trap", info_trap},
    {"info_foreign", info_foreign},
    {"info_extern", info_extern},
    {"info_ref", info_ref},
    {"info_outlives_handles", info_outlives_handles},
    {"to_ref_and_back", to_ref_and_back},
    {"foreign_to_ref_and_back", foreign_to_ref_and_back},
    {"externs", externs},
    {"extern_vectors", extern_vectors},
    {"nothing", nothing},
    {NULL, NULL},
};
