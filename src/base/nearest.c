/* Optimal string alignment distance over short names: three rows on the stack. */
#include "base/nearest.h"

#include <ctype.h>
#include <string.h>

#define NAME_BYTES_MAX 63

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static int lower(char c)
{
    return tolower((unsigned char)c);
}

static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t replaced = above[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
            row[j] = min3(above[j] + 1, row[j - 1] + 1, replaced);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]) && two_above[j - 2] + 1 < row[j])
                row[j] = two_above[j - 2] + 1;
        }
    }
    return rows[a_size % 3][b_size];
}

const char *weir_nearest_name(const char *word, const char *const *names, size_t count)
{
    size_t word_size = strlen(word);
    if (word_size == 0 || word_size > NAME_BYTES_MAX)
        return NULL;
    const char *best = NULL;
    size_t best_distance = word_size / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t name_size = strlen(names[i]);
        if (name_size > NAME_BYTES_MAX)
            continue;
        size_t edits = distance(word, word_size, names[i], name_size);
        if (edits < best_distance) {
            best_distance = edits;
            best = names[i];
        }
    }
    return best;
}
