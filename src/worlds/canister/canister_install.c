/* Install, reinstall, upgrade: the new code runs beside the old one until all of it has ended well;
 * then it takes its place, or nothing has changed. */
#include "worlds/canister/canister_internal.h"

#include <string.h>

struct install {
    struct weir_canister *canister;
    const struct weir_canister_code *code;
    struct weir_principal sender;
    struct weir__body *body;    /* the new one */
    struct weir_stable *stable; /* a reinstall's, which begins empty */
    struct weir_canister_response *response;
    bool has_failed; /* the guest did; the response says how */
};

static enum weir_status check(const struct install *install, struct weir_error *error)
{
    const struct weir_canister *canister = install->canister;
    const struct weir_canister_code *code = install->code;
    if (code->arg_size > CANISTER_ARGUMENT_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the argument has %zu bytes, at most %llu are taken", code->arg_size,
                              (unsigned long long)CANISTER_ARGUMENT_BYTES_MAX);
    if (code->mode == WEIR_CANISTER_INSTALL && canister->body != NULL)
        return weir_error_set(error, WEIR_EXISTS, WEIR_NO_OFFSET,
                              "canister %s has code already; upgrade it, or reinstall, which "
                              "drops its state",
                              canister->name);
    if (code->mode == WEIR_CANISTER_INSTALL)
        return WEIR_OK;
    return weir__ready(canister, error);
}

static enum weir_status check_heap(const struct install *install, struct weir_error *error)
{
    const struct weir__body *body = install->body;
    if (install->code->mode != WEIR_CANISTER_UPGRADE)
        return WEIR_OK;
    if (body->has_keep && install->code->heap == WEIR_CANISTER_HEAP_UNSAID)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "Missing upgrade option: the module has enhanced orthogonal "
                              "persistence; say whether to keep its heap, or to replace it");
    if (!body->has_keep && install->code->heap == WEIR_CANISTER_HEAP_KEEP)
        return weir_error_set(
            error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
            "Invalid upgrade option: the module does not have enhanced orthogonal "
            "persistence, so its heap cannot be kept");
    return WEIR_OK;
}

/* Runs an entry point of a body, if it has it; what it does stays uncommitted. */
static enum weir_status run_entry(struct install *install, struct weir__body *body,
                                  const char *name, unsigned mode, struct weir_error *error)
{
    struct weir_funcref *func = weir__body_func(body, "", name);
    if (func == NULL)
        return WEIR_OK;
    struct weir__message message = {.mode = mode,
                                    .method = name,
                                    .caller = &install->sender,
                                    .is_heap_limited = mode == IC0_INIT};
    if (mode == IC0_INIT) {
        message.arg = install->code->arg;
        message.arg_size = install->code->arg_size;
    }
    enum weir_status status =
        weir__message_try(body, &message, func, install->response, &install->has_failed, error);
    weir__message_done(install->canister, &message);
    return status;
}

static enum weir_status instantiate(struct install *install, struct weir_error *error)
{
    struct weir_canister *canister = install->canister;
    struct weir__body *body = install->body;
    struct weir_linker *linker = NULL;
    struct weir_trap trap = {0};
    enum weir_status status = weir__ic0_linker(canister, body->is_64, &linker, error);
    if (status == WEIR_OK)
        status = weir__body_open_store(body, error);
    if (status != WEIR_OK)
        return status;
    struct weir__message message = {.mode = IC0_START, .method = "start"};
    weir__message_begin(body, &message);
    if (install->code->heap == WEIR_CANISTER_HEAP_KEEP) {
        const struct weir_successor successor = {body->module, linker, canister->body->instance};
        status =
            weir_instance_new_successor(body->store, &successor, &body->instance, &trap, error);
    } else {
        status =
            weir_instance_new(body->store, linker, body->module, &body->instance, &trap, error);
    }
    canister->message = NULL;
    install->has_failed = status == WEIR_TRAP;
    if (status == WEIR_TRAP) {
        weir_error_done(error);
        weir__message_trapped(body, &message, &trap, install->response);
        weir_trap_done(&trap);
        status = WEIR_OK;
    }
    weir__message_done(canister, &message);
    if (body->instance != NULL)
        weir__body_find_memory(body);
    return status;
}

static void check_limit(struct install *install)
{
    struct weir_canister *canister = install->canister;
    uint64_t heap = weir__body_heap_bytes(install->body);
    if (install->has_failed || canister->heap_limit == 0 || heap <= canister->heap_limit)
        return;
    weir__response_heap_limit(canister, "the installation", heap, NULL, install->response);
    install->has_failed = true;
}

/* Everything that can fail, commit of the new instance included. */
static enum weir_status try_all(struct install *install, struct weir_error *error)
{
    struct weir_canister *canister = install->canister;
    bool is_upgrade = install->code->mode == WEIR_CANISTER_UPGRADE;
    enum weir_status status = WEIR_OK;
    if (is_upgrade && !install->code->skip_pre_upgrade)
        status = run_entry(install, canister->body, "canister_pre_upgrade", IC0_PRE_UPGRADE, error);
    canister->timer_ns = 0; /* any change of code switches it off */
    canister->version++;    /* pre_upgrade sees the old one, what follows the new */
    if (!is_upgrade)
        canister->certified_size = 0; /* init may set some */
    if (status == WEIR_OK && !install->has_failed)
        status = instantiate(install, error);
    if (status == WEIR_OK && !install->has_failed)
        status = run_entry(install, install->body,
                           is_upgrade ? "canister_post_upgrade" : "canister_init", IC0_INIT, error);
    if (status != WEIR_OK)
        return status;
    check_limit(install);
    return install->has_failed ? WEIR_OK
                               : weir_instance_commit(install->body->instance, NULL, error);
}

static void remember(struct install *install, uint64_t heap_before)
{
    struct weir_canister *canister = install->canister;
    if (canister->change_count == CANISTER_HISTORY_MAX) {
        canister->change_count--;
        memmove(&canister->changes[0], &canister->changes[1],
                canister->change_count * sizeof canister->changes[0]);
    }
    struct weir_canister_change *change = &canister->changes[canister->change_count++];
    *change = (struct weir_canister_change){.time_ns = weir__now(canister),
                                            .version = canister->version,
                                            .mode = install->code->mode,
                                            .heap_before = heap_before,
                                            .heap_after = weir__body_heap_bytes(install->body)};
    memcpy(change->module_sha256, install->body->upload_hash.bytes, sizeof change->module_sha256);
    canister->change_total++;
}

/* Nothing here can fail. */
static void take_place(struct install *install)
{
    struct weir_canister *canister = install->canister;
    uint64_t heap_before = canister->body != NULL ? weir__body_heap_bytes(canister->body) : 0;
    if (canister->controller_count == 0)
        canister->controllers[canister->controller_count++] = install->sender;
    remember(install, heap_before);
    canister->growth_count = 0;
    canister->is_changed = true;
    weir__body_free(canister, canister->body);
    canister->body = install->body;
    install->body = NULL;
    (void)weir_stable_commit(canister->stable);
    canister->committed_timer_ns = canister->timer_ns;
    memcpy(canister->committed_certified, canister->certified, sizeof canister->certified);
    canister->committed_certified_size = canister->certified_size;
}

static enum weir_status run_install(struct install *install, struct weir_error *error)
{
    struct weir_canister *canister = install->canister;
    const struct weir_canister_code *code = install->code;
    enum weir_status status =
        weir_hash_bytes(code->module, code->module_size, &install->body->upload_hash, error);
    if (status == WEIR_OK)
        status = weir__body_compile(canister, install->body, code, error);
    if (status == WEIR_OK)
        status = check_heap(install, error);
    if (status == WEIR_OK && install->code->mode == WEIR_CANISTER_REINSTALL)
        status =
            weir_stable_new(canister->account, canister->stable_bytes_max, &install->stable, error);
    if (status != WEIR_OK)
        return status;
    /* A reinstall runs over an empty stable memory; the old one waits for how it ends. */
    struct weir_stable *old = canister->stable;
    if (install->stable != NULL)
        canister->stable = install->stable;
    uint64_t version = canister->version;
    status = try_all(install, error);
    bool is_done = status == WEIR_OK && !install->has_failed;
    struct weir_stable *gone = canister->stable == old ? NULL : is_done ? old : canister->stable;
    if (!is_done) {
        canister->stable = old;
        canister->version = version;
        weir__body_close(install->body);
        struct weir_error undo = {0};
        enum weir_status undone = weir__roll_back(canister, NULL, &undo);
        if (status == WEIR_OK && undone != WEIR_OK) {
            status = undone;
            weir_error_move(error, &undo);
        }
        weir_error_done(&undo);
    } else {
        take_place(install);
    }
    weir_stable_free(gone);
    return status;
}

enum weir_status weir_canister_install(struct weir_canister *canister,
                                       const struct weir_canister_code *code,
                                       struct weir_canister_response *ret, struct weir_error *error)
{
    struct weir_canister_response response = {.canister = canister};
    struct install install = {.canister = canister,
                              .code = code,
                              .sender =
                                  code->sender != NULL ? *code->sender : weir_principal_anonymous(),
                              .response = &response};
    enum weir_status status = check(&install, error);
    if (status != WEIR_OK)
        return status;
    install.body =
        weir_account_alloc(canister->account, WEIR_KIND_METADATA, sizeof *install.body, error);
    if (install.body == NULL)
        return weir_error_refused(error);
    install.body->canister = canister;
    canister->instructions = 0;
    canister->pages_written = 0;
    status = run_install(&install, error);
    weir__body_free(canister, install.body);
    if (status == WEIR_OK && !install.has_failed)
        status = weir__low_memory_check(canister, &response, error);
    if (status != WEIR_OK) {
        weir_canister_response_done(&response);
        return status;
    }
    response.canister = canister;
    response.instructions = canister->instructions;
    response.pages_written = canister->pages_written;
    *ret = response;
    return WEIR_OK;
}
