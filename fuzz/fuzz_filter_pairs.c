/* Header maps as plugins write them: any bytes are a map or an error with a place; what is a map is
 * written back as the same bytes but for the case of names, and nothing stays charged. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "worlds/filter/filter_limits.h"
#include "worlds/filter/filter_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_filter_map map = {0};
    struct weir_error error = {0};
    enum weir_status status =
        weir_filter_pairs_read(data, size, weir_account_host(), &map, &error);
    WEIR_ASSERT(map.bytes <= WEIR_FILTER_MAP_BYTES_MAX && map.count <= WEIR_FILTER_MAP_PAIRS_MAX);
    if (status != WEIR_OK) {
        WEIR_ASSERT(error.message[0] != 0);
    } else if (map.count > 0) {
        WEIR_ASSERT(map.bytes == size);
        uint8_t *again = malloc(size);
        WEIR_ASSERT(again != NULL);
        weir_filter_map_write(&map, again);
        for (size_t i = 0; i < size; i++)
            WEIR_ASSERT(again[i] == data[i] || (data[i] | 0x20) == again[i]);
        free(again);
        const struct weir_filter_pair *first = map.first;
        WEIR_ASSERT(weir_filter_map_find(&map, (struct weir_filter_text){
                                                   first->bytes, first->name_size}) == first);
    }
    weir_filter_map_clear(&map);
    weir_error_done(&error);
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    WEIR_ASSERT(reading.kinds[WEIR_KIND_HEADER_MAP] == 0);
    return 0;
}
