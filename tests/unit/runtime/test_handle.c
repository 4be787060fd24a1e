/* Handles: the component model's indices against a model written from its text, every refusal,
 * borrows and children, ends with their receipts, refused memory at every step. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handle_wasm.h"
#include "ledger/ledger.h"
#include "tests/run_suite.h"

static unsigned destroyed;
static uint64_t last_destroyed;

static void destroy(void *context, uint64_t rep)
{
    (void)context;
    destroyed++;
    last_destroyed = rep;
}

static const struct weir_resource_type file = {.name = "file", .destroy = destroy};
static const struct weir_resource_type socket = {.name = "socket", .destroy = destroy};
static const struct weir_resource_type scarce = {
    .name = "scarce", .destroy = destroy, .handles_max = 2};

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_store *store;
static struct weir_handles *handles;

static void setup(void)
{
    destroyed = 0;
    engine = fixture_engine(&config);
    store = fixture_store(engine);
    ck_assert_int_eq(weir_store_handles(store, &handles, NULL), WEIR_OK);
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    weir_engine_unref(engine);
}

static struct weir_handle make(const struct weir_resource_type *type, uint64_t rep)
{
    struct weir_handle handle;
    struct weir_error error = {0};
    enum weir_status status = weir_handle_make(
        handles, &(struct weir_handle_new){.type = type, .rep = rep}, &handle, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return handle;
}

/* --- the model: canonical ABI, class Table ------------------------------------------------- */

#define MODEL_MAX 4096

struct model {
    struct {
        bool is_used;
        uint64_t rep;
    } array[MODEL_MAX];
    uint32_t size; /* index 0 is never used */
    uint32_t free[MODEL_MAX];
    uint32_t free_count;
};

static uint32_t model_add(struct model *model, uint64_t rep)
{
    uint32_t index = model->free_count > 0 ? model->free[--model->free_count] : model->size++;
    model->array[index].is_used = true;
    model->array[index].rep = rep;
    return index;
}

static void model_remove(struct model *model, uint32_t index)
{
    model->array[index].is_used = false;
    model->free[model->free_count++] = index;
}

static uint32_t random_state;

static uint32_t pick(uint32_t count)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)random_state * count >> 32);
}

static void step(struct model *model, uint64_t rep)
{
    uint32_t index = pick(model->size + 3);
    bool exists = index < model->size && model->array[index].is_used;
    uint64_t found = 0;
    struct weir_error error = {0};
    switch (pick(4)) {
    case 0:
    case 1:
        if (model->size + 1 < MODEL_MAX)
            ck_assert_uint_eq(make(&file, rep).index, model_add(model, rep));
        break;
    case 2:
        ck_assert_int_eq(weir_handle_find(handles, index, &file, &found, &error),
                         exists ? WEIR_OK : WEIR_NOT_FOUND);
        ck_assert(!exists || found == model->array[index].rep);
        break;
    default:
        ck_assert_int_eq(pick(2) ? weir_handle_drop(handles, index, &file, &error)
                                 : weir_handle_take(handles, index, NULL, &found, &error),
                         exists ? WEIR_OK : WEIR_NOT_FOUND);
        if (exists)
            model_remove(model, index);
        break;
    }
    weir_error_done(&error);
}

START_TEST(gives_the_indices_of_the_specification)
{
    static struct model model;
    memset(&model, 0, sizeof model);
    model.size = 1;
    random_state = (uint32_t)_i + 1;
    for (uint64_t i = 0; i < 5000; i++)
        step(&model, i);
    ck_assert_uint_eq(weir_handles_count(handles), model.size - 1 - model.free_count);
}
END_TEST

/* --- refusals ------------------------------------------------------------------------------ */

START_TEST(a_wrong_handle_is_an_error_with_a_name)
{
    struct weir_error error = {0};
    uint64_t rep;
    struct weir_handle handle = make(&file, 5);
    ck_assert_int_eq(weir_handle_find(handles, 0, NULL, &rep, NULL), WEIR_NOT_FOUND);
    ck_assert_int_eq(weir_handle_find(handles, UINT32_MAX, NULL, &rep, NULL), WEIR_NOT_FOUND);
    ck_assert_int_eq(weir_handle_drop(handles, handle.index, &socket, &error),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_str_eq(error.message,
                     "handle 1 of store \"store\" is of type \"file\", not \"socket\"");
    weir_error_done(&error);
    ck_assert_uint_eq(destroyed, 0);
    ck_assert_int_eq(weir_handle_drop(handles, handle.index, &file, NULL), WEIR_OK);
    ck_assert_uint_eq(last_destroyed, 5);
    ck_assert_int_eq(weir_handle_drop(handles, handle.index, &file, &error), WEIR_NOT_FOUND);
    ck_assert_str_eq(error.message, "handle 1 of store \"store\" does not exist");
    weir_error_done(&error);
}
END_TEST

START_TEST(a_stale_handle_is_never_an_alias)
{
    struct weir_error error = {0};
    uint64_t rep = 0;
    struct weir_handle old = make(&file, 1);
    ck_assert_int_eq(weir_handle_drop(handles, old.index, NULL, NULL), WEIR_OK);
    struct weir_handle new = make(&file, 2);
    ck_assert_uint_eq(new.index, old.index);
    ck_assert_int_eq(weir_handle_check(handles, old, &file, &rep, &error), WEIR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "is gone: generation 1 was meant, now there is 2"));
    weir_error_done(&error);
    ck_assert_int_eq(weir_handle_check(handles, new, &file, &rep, NULL), WEIR_OK);
    ck_assert_uint_eq(rep, 2);
    struct weir_handle remembered;
    ck_assert_int_eq(weir_handle_remember(handles, new.index, &remembered, NULL), WEIR_OK);
    ck_assert_uint_eq(remembered.generation, new.generation);
    struct weir_handle_new child = {.type = &file, .parent = old};
    ck_assert_int_eq(weir_handle_make(handles, &child, &old, NULL), WEIR_NOT_FOUND);
}
END_TEST

START_TEST(limits_of_type_table_and_store)
{
    struct weir_error error = {0};
    struct weir_handle handle;
    const struct weir_handle_new one = {.type = &scarce};
    (void)make(&scarce, 1);
    (void)make(&scarce, 2);
    ck_assert_int_eq(weir_handle_make(handles, &one, &handle, &error), WEIR_LIMIT);
    ck_assert_str_eq(error.message, "a \"scarce\" for store \"store\" is refused: the type may "
                                    "have 2 handles");
    ck_assert_ptr_nonnull(error.details);
    ck_assert_ptr_nonnull(strstr(error.details->text, "handle 1, a \"scarce\""));
    weir_error_done(&error);
    weir_handles_set_max(handles, 3);
    (void)make(&file, 3);
    ck_assert_int_eq(
        weir_handle_make(handles, &(struct weir_handle_new){.type = &file}, &handle, &error),
        WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "the table may have 3 handles"));
    weir_error_done(&error);
    ck_assert_int_eq(weir_handle_drop(handles, 1, NULL, NULL), WEIR_OK);
    (void)make(&scarce, 4);

    struct weir_store *small = NULL;
    struct weir_handles *table;
    ck_assert_int_eq(
        weir_store_new(engine, &(struct weir_store_config){.handles_max = 1}, &small, NULL),
        WEIR_OK);
    ck_assert_int_eq(weir_store_handles(small, &table, NULL), WEIR_OK);
    ck_assert_int_eq(weir_handle_make(table, &one, &handle, NULL), WEIR_OK);
    ck_assert_int_eq(weir_handle_make(table, &one, &handle, &error), WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "the store may have 1 handles"));
    weir_error_done(&error);
    weir_store_close(small, NULL);
}
END_TEST

START_TEST(an_account_that_refuses_leaves_the_table_as_it_was)
{
    struct weir_store *small = NULL;
    struct weir_handles *table;
    struct weir_handle handle;
    ck_assert_int_eq(weir_store_new(engine,
                                    &(struct weir_store_config){.memory_bytes_max = 64 << 10},
                                    &small, NULL),
                     WEIR_OK);
    ck_assert_int_eq(weir_store_handles(small, &table, NULL), WEIR_OK);
    enum weir_status status = WEIR_OK;
    uint32_t count = 0;
    struct weir_error error = {0};
    while (status == WEIR_OK) {
        status = weir_handle_make(table, &(struct weir_handle_new){.type = &file}, &handle, &error);
        count += status == WEIR_OK;
    }
    ck_assert_int_eq(status, WEIR_LIMIT);
    ck_assert_uint_gt(count, 100);
    ck_assert_uint_eq(weir_handles_count(table), count);
    weir_error_done(&error);
    ck_assert_int_eq(weir_handle_drop(table, 17, &file, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_handle_make(table, &(struct weir_handle_new){.type = &file}, &handle, NULL), WEIR_OK);
    ck_assert_uint_eq(handle.index, 17);
    weir_store_close(small, NULL);
    ck_assert_uint_eq(destroyed, count + 1);
}
END_TEST

/* --- borrows and children ------------------------------------------------------------------ */

START_TEST(what_is_lent_stays)
{
    struct weir_scope scope;
    struct weir_error error = {0};
    uint64_t rep = 0;
    struct weir_handle handle = make(&file, 9);
    weir_scope_begin(&scope, store);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(weir_handle_lend(handles, handle.index, &file, &scope, &rep, NULL),
                         WEIR_OK);
    ck_assert_uint_eq(rep, 9);
    ck_assert_int_eq(weir_handle_drop(handles, handle.index, &file, &error), WEIR_STATE);
    ck_assert_ptr_nonnull(strstr(error.message, "is lent to 20 calls that have not ended"));
    weir_error_done(&error);
    ck_assert_int_eq(weir_handle_take(handles, handle.index, &file, &rep, NULL), WEIR_STATE);
    ck_assert_int_eq(weir_scope_end(&scope, NULL), WEIR_OK);
    ck_assert_int_eq(weir_handle_take(handles, handle.index, &file, &rep, NULL), WEIR_OK);
    ck_assert_uint_eq(destroyed, 0); /* handed over */
}
END_TEST

START_TEST(a_borrow_ends_with_its_call)
{
    struct weir_scope scope;
    struct weir_error error = {0};
    struct weir_handle borrow, other;
    uint64_t rep = 0;
    const struct weir_handle_new wanted = {.type = &file, .rep = 3};
    weir_scope_begin(&scope, store);
    ck_assert_int_eq(weir_handle_borrow(handles, &wanted, &scope, &borrow, NULL), WEIR_OK);
    ck_assert_int_eq(weir_handle_find(handles, borrow.index, &file, &rep, NULL), WEIR_OK);
    ck_assert_uint_eq(rep, 3);
    ck_assert_int_eq(weir_handle_take(handles, borrow.index, &file, &rep, &error),
                     WEIR_INVALID_ARGUMENT);
    weir_error_done(&error);
    ck_assert_int_eq(weir_handle_drop(handles, borrow.index, &file, NULL), WEIR_OK);
    ck_assert_uint_eq(destroyed, 0);
    ck_assert_int_eq(weir_scope_end(&scope, NULL), WEIR_OK);

    weir_scope_begin(&scope, store);
    ck_assert_int_eq(weir_handle_borrow(handles, &wanted, &scope, &borrow, NULL), WEIR_OK);
    ck_assert_int_eq(weir_handle_borrow(handles, &wanted, &scope, &other, NULL), WEIR_OK);
    ck_assert_int_eq(weir_scope_end(&scope, &error), WEIR_STATE);
    ck_assert_str_eq(error.message, "the call ended with 2 borrowed handles not dropped, the first "
                                    "is handle 1 of store \"store\", a \"file\"");
    weir_error_done(&error);
    memset(&scope, 0xee, sizeof scope); /* gone */
    ck_assert_int_eq(weir_handle_drop(handles, other.index, &file, NULL), WEIR_OK);
}
END_TEST

START_TEST(parents_outlive_their_children)
{
    struct weir_error error = {0};
    struct weir_handle child;
    struct weir_handle parent = make(&file, 1);
    const struct weir_handle_new wanted = {.type = &socket, .rep = 2, .parent = parent};
    ck_assert_int_eq(weir_handle_make(handles, &wanted, &child, NULL), WEIR_OK);
    ck_assert_int_eq(weir_handle_drop(handles, parent.index, NULL, &error), WEIR_STATE);
    ck_assert_ptr_nonnull(strstr(error.message, "has 1 children; drop them first"));
    weir_error_done(&error);
    ck_assert_int_eq(weir_handle_drop(handles, child.index, NULL, NULL), WEIR_OK);
    ck_assert_int_eq(weir_handle_drop(handles, parent.index, NULL, NULL), WEIR_OK);
    ck_assert_uint_eq(destroyed, 2);
}
END_TEST

/* --- ends ---------------------------------------------------------------------------------- */

static enum weir_status host_open(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    struct weir_handles *table;
    struct weir_handle handle;
    struct weir_error error = {0};
    enum weir_status status = weir_instance_handles(weir_caller_instance(caller), &table, &error);
    const struct weir_handle_new wanted = {
        .type = &file, .rep = (uint32_t)args[0].i32, .label = "open"};
    if (status == WEIR_OK)
        status = weir_handle_make(table, &wanted, &handle, &error);
    if (status == WEIR_OK)
        results[0].i32 = (int32_t)handle.index;
    else
        status = weir_caller_trap(caller, WEIR_TRAP_HOST, "%s", error.message);
    weir_error_done(&error);
    return status;
}

static enum weir_status host_drop(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    struct weir_handles *table;
    struct weir_error error = {0};
    enum weir_status status = weir_instance_handles(weir_caller_instance(caller), &table, &error);
    if (status == WEIR_OK)
        status = weir_handle_drop(table, (uint32_t)args[0].i32, &file, &error);
    if (status != WEIR_OK)
        status = weir_caller_trap(caller, WEIR_TRAP_HOST, "%s", error.message);
    weir_error_done(&error);
    results[0].i32 = 0;
    return status;
}

struct world {
    struct weir_linker *linker;
    struct weir_module *module;
};

static struct world make_world(void)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    static const struct weir_func_type type = {i32, 1, i32, 1};
    struct world world = {0};
    struct weir_error error = {0};
    world.module = fixture_module(engine, &config, handle_wasm, sizeof handle_wasm);
    ck_assert_int_eq(weir_linker_new(engine, &world.linker, &error), WEIR_OK);
    const struct weir_host_definition open = {&type, host_open, NULL};
    const struct weir_host_definition drop = {&type, host_drop, NULL};
    ck_assert_int_eq(weir_linker_define_func(world.linker, "host", "open", &open, &error), WEIR_OK);
    ck_assert_int_eq(weir_linker_define_func(world.linker, "host", "drop", &drop, &error), WEIR_OK);
    return world;
}

static void free_world(struct world *world)
{
    weir_module_unref(world->module);
    weir_linker_free(world->linker);
}

START_TEST(the_receipt_names_who_forgot_what)
{
    struct world world = make_world();
    struct weir_store *own = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(own, world.linker, world.module);
    ck_assert_int_eq(CALL_OK(instance, "open", 70), 1);
    ck_assert_int_eq(CALL_OK(instance, "open", 71), 2);
    ck_assert_int_eq(CALL_OK(instance, "open_and_drop", 72), 0);
    ck_assert_uint_eq(destroyed, 1);
    CALL_TRAPS(instance, "drop", WEIR_TRAP_HOST, 3);
    struct weir_receipt receipt = {0};
    weir_store_close(own, &receipt);
    ck_assert_uint_eq(destroyed, 3);
    ck_assert_uint_eq(last_destroyed, 70); /* youngest first */
    ck_assert_uint_eq(receipt.undropped_count, 2);
    const char *text = receipt.undropped->holder;
    ck_assert_msg(strstr(text, "handle 2 of instance 1 of store \"store\": \"file\", ") == text,
                  "%s", text);
    ck_assert_msg(strstr(text, "made by inner (+0x") != NULL, "%s", text);
    ck_assert_msg(strstr(text, ", open") != NULL, "%s", text);
    ck_assert_ptr_null(receipt.undropped->next->next);
    ck_assert_uint_gt(receipt.released[WEIR_KIND_HANDLE], 0);
    ck_assert(receipt.drained);
    weir_receipt_done(&receipt);
    free_world(&world);
}
END_TEST

START_TEST(a_reset_empties_the_table)
{
    struct world world = make_world();
    struct weir_store *own = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(own, world.linker, world.module);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(CALL_OK(instance, "open", i), i + 1);
    ck_assert_int_eq(weir_instance_reset(instance, NULL), WEIR_OK);
    ck_assert_uint_eq(destroyed, 100);
    struct weir_receipt receipt = {0};
    weir_store_close(own, &receipt);
    ck_assert_uint_eq(receipt.undropped_count, 0);
    weir_receipt_done(&receipt);
    free_world(&world);
}
END_TEST

static bool see(void *context, const struct weir_handle_info *info)
{
    unsigned *seen = context;
    ck_assert_uint_eq(info->rep, *seen);
    ck_assert_uint_eq(info->child_count, info->rep == 0 ? 1 : 0);
    ck_assert_uint_eq(info->parent, info->rep == 2 ? 1 : 0);
    ck_assert(info->is_owner && !info->has_site);
    return ++*seen < 3;
}

START_TEST(a_walk_goes_by_age)
{
    unsigned seen = 0;
    struct weir_handle first = make(&file, 0);
    struct weir_handle gone = make(&file, 9);
    (void)make(&socket, 1);
    ck_assert_int_eq(weir_handle_drop(handles, gone.index, NULL, NULL), WEIR_OK);
    struct weir_handle child;
    const struct weir_handle_new wanted = {.type = &file, .rep = 2, .parent = first};
    ck_assert_int_eq(weir_handle_make(handles, &wanted, &child, NULL), WEIR_OK);
    ck_assert_uint_eq(child.index, gone.index); /* the young one has the old index */
    (void)make(&file, 3);
    weir_handles_walk(handles, see, &seen);
    ck_assert_uint_eq(seen, 3);
}
END_TEST

/* The n-th charge fails, for every n: an error, nothing lost. */
static bool live(void)
{
    struct weir_store *own = NULL;
    struct weir_handles *table;
    struct weir_handle handle;
    struct weir_scope scope;
    uint64_t rep;
    bool is_whole = weir_store_new(engine, NULL, &own, NULL) == WEIR_OK;
    if (!is_whole)
        return false;
    is_whole = weir_store_handles(own, &table, NULL) == WEIR_OK;
    for (int i = 0; is_whole && i < 40; i++)
        is_whole = weir_handle_make(table, &(struct weir_handle_new){.type = &file}, &handle,
                                    NULL) == WEIR_OK;
    if (is_whole) {
        weir_scope_begin(&scope, own);
        for (int i = 0; is_whole && i < 40; i++)
            is_whole = weir_handle_lend(table, 1, NULL, &scope, &rep, NULL) == WEIR_OK;
        ck_assert_int_eq(weir_scope_end(&scope, NULL), WEIR_OK);
    }
    weir_store_close(own, NULL);
    return is_whole;
}

START_TEST(refused_memory_loses_nothing)
{
    struct weir_account_reading before, after;
    ck_assert(live());
    weir_account_read(weir_account_host(), &before);
    bool is_whole = false;
    uint64_t n = 0;
    while (!is_whole) {
        ck_assert_uint_lt(++n, 100);
        (void)weir_ledger_fail_nth(n);
        is_whole = live();
        (void)weir_ledger_fail_nth(0);
        weir_account_read(weir_account_host(), &after);
        ck_assert_uint_eq(after.used_bytes, before.used_bytes);
    }
    ck_assert_uint_gt(n, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle");
    TCase *tests = tcase_create("handles");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, gives_the_indices_of_the_specification, 0, 8);
    tcase_add_test(tests, a_wrong_handle_is_an_error_with_a_name);
    tcase_add_test(tests, a_stale_handle_is_never_an_alias);
    tcase_add_test(tests, limits_of_type_table_and_store);
    tcase_add_test(tests, an_account_that_refuses_leaves_the_table_as_it_was);
    tcase_add_test(tests, what_is_lent_stays);
    tcase_add_test(tests, a_borrow_ends_with_its_call);
    tcase_add_test(tests, parents_outlive_their_children);
    tcase_add_test(tests, the_receipt_names_who_forgot_what);
    tcase_add_test(tests, a_reset_empties_the_table);
    tcase_add_test(tests, a_walk_goes_by_age);
    tcase_add_test(tests, refused_memory_loses_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
