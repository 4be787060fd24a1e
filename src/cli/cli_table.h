/* Aligned tables: rows of short texts, columns as wide as their widest cell. */
#ifndef WEIR_CLI_TABLE_H
#define WEIR_CLI_TABLE_H

#include <stdio.h>

#include "base/error.h"

#define WEIR_CLI_COLUMNS_MAX 8

struct weir_cli_table {
    size_t column_count;
    unsigned right_mask; /* bit i: column i is aligned to the right */
    char **cells;
    size_t cell_count;
    size_t cell_capacity;
};

void weir_cli_table_init(struct weir_cli_table *table, size_t column_count, unsigned right_mask);
void weir_cli_table_done(struct weir_cli_table *table);
/* One call per cell, row after row. A cell that memory is refused for is left empty. */
void weir_cli_table_cell(struct weir_cli_table *table, const char *format, ...) WEIR_PRINTF(2, 3);
/* Prints and empties the table; two spaces in front of each row and between columns, no spaces at
 * the end of a line. */
void weir_cli_table_print(struct weir_cli_table *table, FILE *to);

#endif
