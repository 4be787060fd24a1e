/* Vectors: a size and a block of malloc. The embedder owns them like what it allocates itself; many
 * programs fill `data` or change `size` with their own hands, which therefore must keep working. */
#include <stdlib.h>

#include <wasm.h>

static void *new_block(size_t count, size_t element_bytes)
{
    return count > 0 ? calloc(count, element_bytes) : NULL;
}

/* --- of plain elements --------------------------------------------------------------------- */

void wasm_byte_vec_new_empty(wasm_byte_vec_t *out)
{
    *out = (wasm_byte_vec_t){0};
}

void wasm_byte_vec_new_uninitialized(wasm_byte_vec_t *out, size_t size)
{
    out->data = size > 0 ? malloc(size) : NULL;
    out->size = out->data != NULL ? size : 0;
}

void wasm_byte_vec_new(wasm_byte_vec_t *out, size_t size, const wasm_byte_t data[])
{
    wasm_byte_vec_new_uninitialized(out, size);
    if (out->size > 0)
        memcpy(out->data, data, size);
}

void wasm_byte_vec_copy(wasm_byte_vec_t *out, const wasm_byte_vec_t *from)
{
    wasm_byte_vec_new(out, from != NULL ? from->size : 0, from != NULL ? from->data : NULL);
}

void wasm_byte_vec_delete(wasm_byte_vec_t *vec)
{
    if (vec == NULL)
        return;
    free(vec->data);
    *vec = (wasm_byte_vec_t){0};
}

/* --- of owned elements --------------------------------------------------------------------- */

static void delete_vals(wasm_val_t *vals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wasm_val_delete(&vals[i]);
}

void wasm_val_vec_new_empty(wasm_val_vec_t *out)
{
    *out = (wasm_val_vec_t){0};
}

void wasm_val_vec_new_uninitialized(wasm_val_vec_t *out, size_t size)
{
    out->data = new_block(size, sizeof *out->data);
    out->size = out->data != NULL ? size : 0;
}

void wasm_val_vec_new(wasm_val_vec_t *out, size_t size, const wasm_val_t data[])
{
    wasm_val_vec_new_uninitialized(out, size);
    if (out->size > 0) {
        memcpy(out->data, data, size * sizeof *data);
        return;
    }
    for (size_t i = 0; i < size; i++) { /* they were handed over */
        wasm_val_t val = data[i];
        wasm_val_delete(&val);
    }
}

void wasm_val_vec_copy(wasm_val_vec_t *out, const wasm_val_vec_t *from)
{
    wasm_val_vec_new_uninitialized(out, from != NULL ? from->size : 0);
    for (size_t i = 0; i < out->size; i++)
        wasm_val_copy(&out->data[i], &from->data[i]);
}

void wasm_val_vec_delete(wasm_val_vec_t *vec)
{
    if (vec == NULL)
        return;
    if (vec->data != NULL)
        delete_vals(vec->data, vec->size);
    free(vec->data);
    *vec = (wasm_val_vec_t){0};
}

/* A copy that lacks an element is no copy: then nothing is left of it. */
#define DEFINE_VEC(name)                                                                           \
    void wasm_##name##_vec_new_empty(wasm_##name##_vec_t *out)                                     \
    {                                                                                              \
        *out = (wasm_##name##_vec_t){0};                                                           \
    }                                                                                              \
    void wasm_##name##_vec_new_uninitialized(wasm_##name##_vec_t *out, size_t size)                \
    {                                                                                              \
        out->data = new_block(size, sizeof(void *));                                               \
        out->size = out->data != NULL ? size : 0;                                                  \
    }                                                                                              \
    void wasm_##name##_vec_new(wasm_##name##_vec_t *out, size_t size,                              \
                               wasm_##name##_t *const data[])                                      \
    {                                                                                              \
        wasm_##name##_vec_new_uninitialized(out, size);                                            \
        for (size_t i = 0; i < size; i++)                                                          \
            if (out->size > 0)                                                                     \
                out->data[i] = data[i];                                                            \
            else                                                                                   \
                wasm_##name##_delete(data[i]);                                                     \
    }                                                                                              \
    void wasm_##name##_vec_copy(wasm_##name##_vec_t *out, const wasm_##name##_vec_t *from)         \
    {                                                                                              \
        wasm_##name##_vec_new_uninitialized(out, from != NULL ? from->size : 0);                   \
        for (size_t i = 0; i < out->size; i++) {                                                   \
            out->data[i] = wasm_##name##_copy(from->data[i]);                                      \
            if (out->data[i] == NULL && from->data[i] != NULL) {                                   \
                wasm_##name##_vec_delete(out);                                                     \
                return;                                                                            \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    void wasm_##name##_vec_delete(wasm_##name##_vec_t *vec)                                        \
    {                                                                                              \
        if (vec == NULL)                                                                           \
            return;                                                                                \
        for (size_t i = 0; vec->data != NULL && i < vec->size; i++)                                \
            wasm_##name##_delete(vec->data[i]);                                                    \
        free(vec->data);                                                                           \
        *vec = (wasm_##name##_vec_t){0};                                                           \
    }

DEFINE_VEC(valtype)
DEFINE_VEC(functype)
DEFINE_VEC(globaltype)
DEFINE_VEC(tabletype)
DEFINE_VEC(memorytype)
DEFINE_VEC(tagtype)
DEFINE_VEC(externtype)
DEFINE_VEC(importtype)
DEFINE_VEC(exporttype)
DEFINE_VEC(frame)
DEFINE_VEC(extern)
