/* Cells are kept until the table is printed, because only then all widths are known. */
#include "cli/cli_table.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void weir_cli_table_init(struct weir_cli_table *table, size_t column_count, unsigned right_mask)
{
    WEIR_ASSERT(column_count > 0 && column_count <= WEIR_CLI_COLUMNS_MAX);
    *table = (struct weir_cli_table){.column_count = column_count, .right_mask = right_mask};
}

void weir_cli_table_done(struct weir_cli_table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct weir_cli_table){0};
}

void weir_cli_table_cell(struct weir_cli_table *table, const char *format, ...)
{
    if (table->cell_count == table->cell_capacity) {
        size_t capacity = table->cell_capacity * 2 + 32;
        char **cells = realloc(table->cells, capacity * sizeof *cells);
        if (cells == NULL)
            return;
        table->cells = cells;
        table->cell_capacity = capacity;
    }
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    table->cells[table->cell_count++] = text;
}

static const char *cell_text(const struct weir_cli_table *table, size_t index)
{
    return table->cells[index] != NULL ? table->cells[index] : "";
}

void weir_cli_table_print(struct weir_cli_table *table, FILE *to)
{
    size_t columns = table->column_count;
    int widths[WEIR_CLI_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->cell_count; i++) {
        int size = (int)strlen(cell_text(table, i));
        if (size > widths[i % columns])
            widths[i % columns] = size;
    }
    for (size_t row = 0; row < table->cell_count; row += columns) {
        size_t last = 0;
        for (size_t i = 0; i < columns && row + i < table->cell_count; i++)
            if (cell_text(table, row + i)[0] != 0)
                last = i;
        for (size_t i = 0; i <= last; i++) {
            const char *text = cell_text(table, row + i);
            if ((table->right_mask >> i & 1) != 0)
                (void)fprintf(to, "  %*s", widths[i], text);
            else
                (void)fprintf(to, "  %-*s", i == last ? 0 : widths[i], text);
        }
        (void)fputc('\n', to);
    }
    weir_cli_table_done(table);
    table->column_count = columns;
}
