/* See the header. Memory 0 gets the real reservation of the guard form, so that faults happen where
 * they would; other memories and tables are plain allocations with room to grow. */
#include "tests/unit/compiler/fast_harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/bytes.h"
#include "wasm/insn.h"

#define STACK_BYTES (UINT64_C(1) << 20)
#define TABLE_ROOM 16384u
#define OTHER_PAGES_ROOM 64u
#define PAGES_MAX 1024u /* what memory.grow allows */

struct harness {
    struct weir_arena *arena;
    uint8_t *bytes;
    struct weir_wasm_module *module;
    struct weir_code code;
    uint8_t *text; /* text, then .rodata on the next page */
    size_t text_bytes;
    uint32_t *escapes;
    struct weir_vmctx *vmctx;
    struct weir_vm_state *state;
    struct weir_funcref *funcrefs;
    struct weir_vm_memory *memories;
    struct weir_vm_memory **memory_list;
    struct weir_vm_table *tables;
    struct weir_vm_table **table_list;
    union weir_value *imported_globals;
    uint32_t *type_ids;
    bool *has_data;
    bool *has_elem;
    uint32_t polls;
    uint32_t trap_offset;
    uint64_t stack_bytes;
};

struct answer {
    int64_t integer;
    double real;
};
typedef struct answer guest_code(struct weir_vmctx *, int64_t, int64_t, int64_t, int64_t, int64_t,
                                 double, double, double, double, double, double, double, double);

static struct harness *running;
static sigjmp_buf landing;

static _Noreturn void land(enum weir_trap_code code)
{
    siglongjmp(landing, (int)code + 1);
}

static _Noreturn void land_at_site(uint64_t pc, const char *how)
{
    uint64_t at = pc - (uint64_t)running->text;
    for (size_t i = 0; i < running->code.site_count; i++) {
        const struct weir_trap_site *site = &running->code.sites[i];
        if (site->text_offset != at || site->site >> 24 == WEIR_SITE_CALL)
            continue;
        running->trap_offset = site->site & 0xffffff;
        land((enum weir_trap_code)(site->site >> 24));
    }
    fprintf(stderr, "%s at text+%#llx, not a trap site\n", how, (unsigned long long)at);
    _exit(70);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)info;
    const ucontext_t *machine = context;
    land_at_site((uint64_t)machine->uc_mcontext.gregs[REG_RIP], strsignal(number));
}

static void install_signals(void)
{
    static uint8_t alternate[65536];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

/* Builtins. */

static void poll_from_guest(struct weir_vmctx *vmctx)
{
    running->polls++;
    if (vmctx->state->interrupt != 0) {
        vmctx->state->interrupt = 0;
        return;
    }
    land(WEIR_TRAP_STACK_EXHAUSTED);
}

/* POLL keeps every register; the tests' version saves those that C may change. */
__attribute__((naked)) static void builtin_poll(void)
{
    __asm__("pushq %%rbp; movq %%rsp, %%rbp\n"
            "pushq %%rax; pushq %%rcx; pushq %%rdx; pushq %%rsi; pushq %%rdi\n"
            "pushq %%r8; pushq %%r9; pushq %%r10; pushq %%r11; pushq %%r11\n"
            "subq $256, %%rsp\n"
            "movups %%xmm0, 0(%%rsp); movups %%xmm1, 16(%%rsp); movups %%xmm2, 32(%%rsp)\n"
            "movups %%xmm3, 48(%%rsp); movups %%xmm4, 64(%%rsp); movups %%xmm5, 80(%%rsp)\n"
            "movups %%xmm6, 96(%%rsp); movups %%xmm7, 112(%%rsp); movups %%xmm8, 128(%%rsp)\n"
            "movups %%xmm9, 144(%%rsp); movups %%xmm10, 160(%%rsp); movups %%xmm11, 176(%%rsp)\n"
            "movups %%xmm12, 192(%%rsp); movups %%xmm13, 208(%%rsp); movups %%xmm14, 224(%%rsp)\n"
            "movups %%xmm15, 240(%%rsp)\n"
            "call %P0\n"
            "movups 0(%%rsp), %%xmm0; movups 16(%%rsp), %%xmm1; movups 32(%%rsp), %%xmm2\n"
            "movups 48(%%rsp), %%xmm3; movups 64(%%rsp), %%xmm4; movups 80(%%rsp), %%xmm5\n"
            "movups 96(%%rsp), %%xmm6; movups 112(%%rsp), %%xmm7; movups 128(%%rsp), %%xmm8\n"
            "movups 144(%%rsp), %%xmm9; movups 160(%%rsp), %%xmm10; movups 176(%%rsp), %%xmm11\n"
            "movups 192(%%rsp), %%xmm12; movups 208(%%rsp), %%xmm13; movups 224(%%rsp), %%xmm14\n"
            "movups 240(%%rsp), %%xmm15\n"
            "addq $256, %%rsp\n"
            "popq %%r11; popq %%r11; popq %%r10; popq %%r9; popq %%r8\n"
            "popq %%rdi; popq %%rsi; popq %%rdx; popq %%rcx; popq %%rax\n"
            "popq %%rbp; ret\n" ::"i"(poll_from_guest));
}

static void trap_at(struct weir_vmctx *vmctx, uint64_t pc)
{
    (void)vmctx;
    land_at_site(pc, "a call of TRAP");
}

/* Jumped to by the function's exit, which its traps call. */
__attribute__((naked)) static void builtin_trap(void)
{
    __asm__("movq (%%rsp), %%rsi; jmp %P0\n" ::"i"(trap_at));
}

static uint64_t memory_grow(struct weir_vmctx *vmctx, uint64_t index, uint64_t pages)
{
    struct weir_vm_memory *memory = vmctx->memories[index];
    const struct weir_limits *limits = &running->module->memories[index];
    uint64_t old = memory->size_bytes / WEIR_WASM_PAGE_BYTES;
    uint64_t max = limits->has_max && limits->max < PAGES_MAX ? limits->max : PAGES_MAX;
    if (index != 0)
        max = max < OTHER_PAGES_ROOM ? max : OTHER_PAGES_ROOM;
    uint64_t refused = limits->is_64 ? UINT64_MAX : UINT32_MAX;
    if (pages > max || old + pages > max)
        return refused;
    memory->size_bytes += pages * WEIR_WASM_PAGE_BYTES;
    mprotect(memory->base, memory->size_bytes, PROT_READ | PROT_WRITE);
    return old;
}

static void check_range(uint64_t offset, uint64_t length, uint64_t size, enum weir_trap_code code)
{
    if (!weir_range_fits(offset, length, size))
        land(code);
}

static void memory_copy(struct weir_vmctx *v, uint64_t which, uint64_t to, uint64_t from,
                        uint64_t bytes)
{
    const struct weir_vm_memory *target = v->memories[(uint32_t)which];
    const struct weir_vm_memory *source = v->memories[which >> 32];
    check_range(to, bytes, target->size_bytes, WEIR_TRAP_MEMORY_BOUNDS);
    check_range(from, bytes, source->size_bytes, WEIR_TRAP_MEMORY_BOUNDS);
    memmove(target->base + to, source->base + from, bytes);
}

static void memory_fill(struct weir_vmctx *v, uint64_t which, uint64_t to, uint64_t value,
                        uint64_t bytes)
{
    check_range(to, bytes, v->memories[which]->size_bytes, WEIR_TRAP_MEMORY_BOUNDS);
    memset(v->memories[which]->base + to, (int)(uint8_t)value, bytes);
}

static void memory_init(struct weir_vmctx *v, uint64_t which, uint64_t to, uint64_t from,
                        uint64_t bytes)
{
    const struct weir_wasm_data *data = &running->module->datas[(uint32_t)which];
    const struct weir_vm_memory *memory = v->memories[which >> 32];
    uint64_t size = running->has_data[(uint32_t)which] ? data->bytes.size : 0;
    check_range(from, bytes, size, WEIR_TRAP_MEMORY_BOUNDS);
    check_range(to, bytes, memory->size_bytes, WEIR_TRAP_MEMORY_BOUNDS);
    if (bytes > 0)
        memcpy(memory->base + to, data->bytes.data + from, bytes);
}

static void data_drop(struct weir_vmctx *v, uint64_t segment)
{
    (void)v;
    running->has_data[segment] = false;
}

static uint64_t table_grow(struct weir_vmctx *v, uint64_t which, void *value, uint64_t count)
{
    struct weir_vm_table *table = v->tables[which];
    const struct weir_limits *limits = &running->module->tables[which].limits;
    uint64_t max = limits->has_max && limits->max < TABLE_ROOM ? limits->max : TABLE_ROOM;
    uint64_t old = table->size;
    if (count > max || old + count > max)
        return UINT64_MAX; /* i32: the generator clears the upper half */
    for (uint64_t i = 0; i < count; i++)
        table->elements[table->size++] = value;
    return old;
}

static void table_fill(struct weir_vmctx *v, uint64_t which, uint64_t to, void *value,
                       uint64_t count)
{
    check_range(to, count, v->tables[which]->size, WEIR_TRAP_TABLE_BOUNDS);
    for (uint64_t i = 0; i < count; i++)
        v->tables[which]->elements[to + i] = value;
}

static void table_copy(struct weir_vmctx *v, uint64_t which, uint64_t to, uint64_t from,
                       uint64_t count)
{
    const struct weir_vm_table *target = v->tables[(uint32_t)which];
    const struct weir_vm_table *source = v->tables[which >> 32];
    check_range(to, count, target->size, WEIR_TRAP_TABLE_BOUNDS);
    check_range(from, count, source->size, WEIR_TRAP_TABLE_BOUNDS);
    memmove(target->elements + to, source->elements + from, count * sizeof(void *));
}

/* Constant expressions: the last instruction counts, which is enough for what tests write. */
static uint64_t evaluate(const struct harness *h, struct weir_wasm_expr expr)
{
    struct weir_insn_reader reader = {h->module, expr.offset, expr.offset + expr.size};
    struct weir_insn insn = {.op = WEIR_OP_NOP};
    while (reader.position < reader.end) {
        if (weir_insn_read(&reader, &insn, NULL) != WEIR_OK)
            return 0;
    }
    switch (insn.op) {
    case WEIR_OP_I32_CONST:
        return (uint32_t)insn.bits;
    case WEIR_OP_I64_CONST:
    case WEIR_OP_F32_CONST:
    case WEIR_OP_F64_CONST:
        return insn.bits;
    case WEIR_OP_REF_FUNC:
        return (uint64_t)&h->funcrefs[insn.index];
    case WEIR_OP_GLOBAL_GET: {
        uint64_t *slot =
            (uint64_t *)((uint8_t *)h->vmctx +
                         WEIR_ABI_VMCTX_GLOBAL(h->module->func_import_count, insn.index));
        return insn.index < h->module->global_import_count ? *(uint64_t *)*slot : *slot;
    }
    default:
        return 0;
    }
}

static void *element(const struct harness *h, const struct weir_wasm_elem *elem, uint64_t i)
{
    if (elem->func_indices != NULL)
        return &h->funcrefs[elem->func_indices[i]];
    return (void *)evaluate(h, elem->exprs[i]);
}

static void table_init(struct weir_vmctx *v, uint64_t which, uint64_t to, uint64_t from,
                       uint64_t count)
{
    const struct weir_wasm_elem *elem = &running->module->elems[(uint32_t)which];
    struct weir_vm_table *table = v->tables[which >> 32];
    check_range(from, count, running->has_elem[(uint32_t)which] ? elem->count : 0,
                WEIR_TRAP_TABLE_BOUNDS);
    check_range(to, count, table->size, WEIR_TRAP_TABLE_BOUNDS);
    for (uint64_t i = 0; i < count; i++)
        table->elements[to + i] = element(running, elem, from + i);
}

static void elem_drop(struct weir_vmctx *v, uint64_t segment)
{
    (void)v;
    running->has_elem[segment] = false;
}

/* A function's address as data, which ISO C has no direct cast for. */
#define ADDRESS(function) ((const void *)(uintptr_t)(function))

static const void *const builtins[WEIR_BUILTIN_COUNT] = {
    [WEIR_BUILTIN_POLL] = ADDRESS(builtin_poll),
    [WEIR_BUILTIN_MEMORY_GROW] = ADDRESS(memory_grow),
    [WEIR_BUILTIN_MEMORY_COPY] = ADDRESS(memory_copy),
    [WEIR_BUILTIN_MEMORY_FILL] = ADDRESS(memory_fill),
    [WEIR_BUILTIN_MEMORY_INIT] = ADDRESS(memory_init),
    [WEIR_BUILTIN_DATA_DROP] = ADDRESS(data_drop),
    [WEIR_BUILTIN_TABLE_GROW] = ADDRESS(table_grow),
    [WEIR_BUILTIN_TABLE_FILL] = ADDRESS(table_fill),
    [WEIR_BUILTIN_TABLE_COPY] = ADDRESS(table_copy),
    [WEIR_BUILTIN_TABLE_INIT] = ADDRESS(table_init),
    [WEIR_BUILTIN_ELEM_DROP] = ADDRESS(elem_drop),
    [WEIR_BUILTIN_TRAP] = ADDRESS(builtin_trap),
};

static struct answer imported_function(void)
{
    return (struct answer){0, 0};
}

/* Building the instance. */

static bool place_code(struct harness *h)
{
    size_t rodata_at = (size_t)weir_align_up(h->code.text_size, 4096);
    h->text_bytes = rodata_at + h->code.rodata_size + 4096;
    h->text = mmap(NULL, h->text_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (h->text == MAP_FAILED)
        return false;
    memcpy(h->text, h->code.text, h->code.text_size);
    memcpy(h->text + rodata_at, h->code.rodata, h->code.rodata_size);
    for (size_t i = 0; i < h->code.fixup_count; i++) {
        const struct weir_code_fixup *f = &h->code.fixups[i];
        size_t target = f->target_offset + (f->target == WEIR_CODE_RODATA ? rodata_at : 0);
        weir_store_u32(h->text + f->at, (uint32_t)(target + (size_t)f->addend - f->at));
    }
    return mprotect(h->text, h->text_bytes, PROT_READ | PROT_EXEC) == 0;
}

static void make_memories(struct harness *h)
{
    const struct weir_wasm_module *m = h->module;
    for (uint32_t i = 0; i < m->memory_count; i++) {
        size_t reserve = i == 0 ? WEIR_ABI_GUARD_SPACE + WEIR_ABI_GUARD_BYTES
                                : OTHER_PAGES_ROOM * WEIR_WASM_PAGE_BYTES;
        h->memories[i].base =
            mmap(NULL, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        h->memories[i].size_bytes = m->memories[i].min * WEIR_WASM_PAGE_BYTES;
        mprotect(h->memories[i].base, h->memories[i].size_bytes, PROT_READ | PROT_WRITE);
        h->memory_list[i] = &h->memories[i];
    }
    if (m->memory_count > 0) {
        h->vmctx->memory0 = &h->memories[0];
        h->vmctx->memory0_base = h->memories[0].base;
    }
    for (uint32_t i = 0; i < m->table_count; i++) {
        h->tables[i].elements = calloc(TABLE_ROOM, sizeof(void *));
        h->tables[i].size = m->tables[i].limits.min;
        h->table_list[i] = &h->tables[i];
    }
}

static uint64_t spectest_value(weir_wasm_type type)
{
    switch (type) {
    case WEIR_TYPE_I32:
    case WEIR_TYPE_I64:
        return 666;
    case WEIR_TYPE_F32:
        return 0x4426a666;
    case WEIR_TYPE_F64:
        return UINT64_C(0x4084d4cccccccccd);
    default:
        return 0;
    }
}

static void make_functions_and_globals(struct harness *h)
{
    const struct weir_wasm_module *m = h->module;
    for (uint32_t i = 0; i < m->func_count; i++) {
        struct weir_funcref *ref = &h->funcrefs[i];
        ref->vmctx = h->vmctx;
        ref->func_index = i;
        ref->type_id = m->types[m->funcs[i].type_index].canonical + 100;
        ref->code = ADDRESS(imported_function);
        if (i >= m->func_import_count)
            ref->code = h->text + h->code.funcs[i - m->func_import_count].text_offset;
        if (i < m->func_import_count) {
            struct weir_vm_import *import =
                (void *)((uint8_t *)h->vmctx + WEIR_ABI_VMCTX_IMPORT(i));
            import->code = ref->code;
            import->vmctx = h->vmctx;
        }
    }
    for (uint32_t i = 0; i < m->type_count; i++)
        h->type_ids[i] = m->types[i].canonical + 100;
    for (uint32_t i = 0; i < m->global_count; i++) {
        uint8_t *slot = (uint8_t *)h->vmctx + WEIR_ABI_VMCTX_GLOBAL(m->func_import_count, i);
        if (i < m->global_import_count) {
            h->imported_globals[i].i64 = (int64_t)spectest_value(m->globals[i].type.type);
            *(void **)slot = &h->imported_globals[i];
        } else {
            *(uint64_t *)slot = evaluate(h, m->globals[i].init);
        }
    }
}

static void place_segments(struct harness *h)
{
    const struct weir_wasm_module *m = h->module;
    for (uint32_t i = 0; i < m->elem_count; i++) {
        const struct weir_wasm_elem *elem = &m->elems[i];
        h->has_elem[i] = elem->mode == WEIR_SEGMENT_PASSIVE;
        uint64_t at = elem->mode == WEIR_SEGMENT_ACTIVE ? evaluate(h, elem->offset) : 0;
        for (uint32_t k = 0; elem->mode == WEIR_SEGMENT_ACTIVE && k < elem->count; k++) {
            if (at + k < h->tables[elem->table_index].size)
                h->tables[elem->table_index].elements[at + k] = element(h, elem, k);
        }
    }
    for (uint32_t i = 0; i < m->data_count; i++) {
        const struct weir_wasm_data *data = &m->datas[i];
        h->has_data[i] = data->mode == WEIR_SEGMENT_PASSIVE;
        uint64_t at = data->mode == WEIR_SEGMENT_ACTIVE ? evaluate(h, data->offset) : 0;
        if (data->mode == WEIR_SEGMENT_ACTIVE && data->bytes.size > 0 &&
            weir_range_fits(at, data->bytes.size, h->memories[data->memory_index].size_bytes))
            memcpy(h->memories[data->memory_index].base + at, data->bytes.data, data->bytes.size);
    }
}

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

static void instantiate(struct harness *h)
{
    const struct weir_wasm_module *m = h->module;
    h->vmctx = room(1, WEIR_ABI_VMCTX_SIZE(m->func_import_count, m->global_count));
    h->state = room(1, sizeof *h->state);
    h->funcrefs = room(m->func_count, sizeof *h->funcrefs);
    h->memories = room(m->memory_count, sizeof *h->memories);
    h->memory_list = room(m->memory_count, sizeof(void *));
    h->tables = room(m->table_count, sizeof *h->tables);
    h->table_list = room(m->table_count, sizeof(void *));
    h->imported_globals = room(m->global_import_count, sizeof *h->imported_globals);
    h->type_ids = room(m->type_count, sizeof *h->type_ids);
    h->has_data = room(m->data_count, sizeof(bool));
    h->has_elem = room(m->elem_count, sizeof(bool));
    h->vmctx->state = h->state;
    h->vmctx->builtins = builtins;
    h->vmctx->type_ids = h->type_ids;
    h->vmctx->memories = h->memory_list;
    h->vmctx->tables = h->table_list;
    h->vmctx->funcrefs = h->funcrefs;
    h->state->fuel = INT64_MAX;
    make_memories(h);
    make_functions_and_globals(h);
    place_segments(h);
}

struct harness *harness_new(const uint8_t *bytes, size_t size,
                            const struct weir_code_options *options, struct weir_error *error)
{
    struct harness *h = room(1, sizeof *h);
    h->bytes = room(1, size);
    memcpy(h->bytes, bytes, size);
    struct weir_arena *scratch = NULL;
    const uint32_t features = WEIR_FEATURES_DEFAULT | WEIR_FEATURE_MULTI_MEMORY |
                              WEIR_FEATURE_MEMORY64 | WEIR_FEATURE_TABLE64;
    enum weir_status status = weir_arena_new(NULL, 0, &h->arena, error);
    if (status == WEIR_OK)
        status = weir_arena_new(NULL, 0, &scratch, error);
    if (status == WEIR_OK)
        status = weir_wasm_decode((struct weir_wasm_bytes){h->bytes, size}, features, NULL,
                                  h->arena, &h->module, error);
    if (status == WEIR_OK)
        status = weir_wasm_validate(h->module, scratch, error);
    weir_arena_free(scratch);
    if (status == WEIR_OK) {
        h->escapes = room(h->module->func_count, sizeof *h->escapes);
        for (uint32_t i = 0; i < h->module->func_count; i++)
            h->escapes[i] = i;
        status = weir_fast_generate(h->module, h->escapes, options, &h->code, error);
    }
    if (status != WEIR_OK || !place_code(h)) {
        harness_free(h);
        return NULL;
    }
    h->stack_bytes = STACK_BYTES;
    instantiate(h);
    install_signals();
    return h;
}

void harness_free(struct harness *h)
{
    if (h == NULL)
        return;
    if (h->memories != NULL) {
        for (uint32_t i = 0; i < h->module->memory_count; i++)
            munmap(h->memories[i].base, i == 0 ? WEIR_ABI_GUARD_SPACE + WEIR_ABI_GUARD_BYTES
                                               : OTHER_PAGES_ROOM * WEIR_WASM_PAGE_BYTES);
        for (uint32_t i = 0; i < h->module->table_count; i++)
            free(h->tables[i].elements);
    }
    if (h->text != NULL)
        munmap(h->text, h->text_bytes);
    weir_code_done(&h->code);
    weir_arena_free(h->arena);
    void *owned[] = {h->bytes,    h->escapes,     h->vmctx,   h->state,      h->funcrefs,
                     h->memories, h->memory_list, h->tables,  h->table_list, h->imported_globals,
                     h->type_ids, h->has_data,    h->has_elem};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(h);
}

static const struct weir_wasm_export *find_export(const struct harness *h, const char *name,
                                                  size_t length, enum weir_extern_kind kind)
{
    for (uint32_t i = 0; i < h->module->export_count; i++) {
        const struct weir_wasm_export *export = &h->module->exports[i];
        if (export->kind == kind && export->name.size == length &&
            memcmp(export->name.data, name, length) == 0)
            return export;
    }
    return NULL;
}

uint32_t harness_export(const struct harness *h, const char *name, size_t length)
{
    const struct weir_wasm_export *export = find_export(h, name, length, WEIR_EXTERN_FUNC);
    return export == NULL ? WEIR_WASM_NONE : export->index;
}

bool harness_global(const struct harness *h, const char *name, size_t length, uint64_t *ret_bits)
{
    const struct weir_wasm_export *export = find_export(h, name, length, WEIR_EXTERN_GLOBAL);
    if (export == NULL)
        return false;
    const uint64_t *slot =
        (const uint64_t *)((const uint8_t *)h->vmctx +
                           WEIR_ABI_VMCTX_GLOBAL(h->module->func_import_count, export->index));
    *ret_bits = export->index < h->module->global_import_count ? *(const uint64_t *)*slot : *slot;
    return true;
}

static bool is_float(weir_wasm_type type)
{
    return type == WEIR_TYPE_F32 || type == WEIR_TYPE_F64;
}

enum weir_trap_code harness_call(struct harness *h, uint32_t index, const uint64_t *args,
                                 uint64_t *ret_results, uint32_t *ret_offset)
{
    const struct weir_wasm_func_type *type = &h->module->types[h->module->funcs[index].type_index];
    int64_t ints[WEIR_ABI_INT_ARGS] = {0};
    double floats[WEIR_ABI_FLOAT_ARGS] = {0};
    unsigned int_count = 0;
    unsigned float_count = 0;
    for (uint32_t i = 0; i < type->param_count; i++) {
        if (is_float(type->params[i]) && float_count < WEIR_ABI_FLOAT_ARGS)
            memcpy(&floats[float_count++], &args[i], 8);
        else if (!is_float(type->params[i]) && int_count < WEIR_ABI_INT_ARGS)
            ints[int_count++] = (int64_t)args[i];
        else
            h->state->args[i].i64 = (int64_t)args[i];
    }
    union {
        const void *data;
        guest_code *code;
    } callee = {.data = h->funcrefs[index].code};
    struct harness *outer = running;
    running = h;
    volatile uint64_t here = 0;
    if (h->state->stack_limit != UINT64_MAX)
        h->state->stack_limit = (uint64_t)&here - h->stack_bytes;
    int code = sigsetjmp(landing, 0);
    if (code == 0) {
        struct answer answer =
            callee.code(h->vmctx, ints[0], ints[1], ints[2], ints[3], ints[4], floats[0], floats[1],
                        floats[2], floats[3], floats[4], floats[5], floats[6], floats[7]);
        for (uint32_t i = 1; i < type->result_count; i++)
            ret_results[i] = (uint64_t)h->state->results[i].i64;
        if (type->result_count > 0 && is_float(type->results[0]))
            memcpy(&ret_results[0], &answer.real, 8);
        else if (type->result_count > 0)
            ret_results[0] = (uint64_t)answer.integer;
        code = 1;
    }
    running = outer;
    if (ret_offset != NULL)
        *ret_offset = h->trap_offset;
    return (enum weir_trap_code)(code - 1);
}

void harness_set_stack(struct harness *h, uint64_t bytes)
{
    h->stack_bytes = bytes;
}

struct weir_vm_state *harness_state(struct harness *h)
{
    return h->state;
}

const struct weir_code *harness_code(const struct harness *h)
{
    return &h->code;
}

const struct weir_wasm_module *harness_module(const struct harness *h)
{
    return h->module;
}

uint8_t *harness_memory(struct harness *h)
{
    return h->memories[0].base;
}

uint32_t harness_polls(const struct harness *h)
{
    return h->polls;
}

const uint8_t *harness_text(const struct harness *h)
{
    return h->text;
}
