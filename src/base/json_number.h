/* Our numbers in JSON: jansson's integers are signed, so what lies beyond is INT64_MAX. A number
 * that found no memory is left out. Header only: the base itself does not need jansson. */
#ifndef WEIR_BASE_JSON_NUMBER_H
#define WEIR_BASE_JSON_NUMBER_H

#include <jansson.h>
#include <stdint.h>

static inline json_t *weir_json_number(uint64_t value)
{
    return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static inline void weir_json_set_number(json_t *object, const char *key, uint64_t value)
{
    (void)json_object_set_new(object, key, weir_json_number(value));
}

#endif
