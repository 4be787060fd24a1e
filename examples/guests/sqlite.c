/* A real application: SQLite answering the SQL of the request's body. The database is in memory, or
 * the file named by WEIR_DATABASE (read-only, under a directory of the route). Each request begins
 * with the same database: what one does, no other sees.
 *
 *   curl -d 'select name, height from peaks order by height desc' http://127.0.0.1:7070/sqlite
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_BYTES_MAX (256 * 1024)

static const char SAMPLE[] =
    "create table peaks(name text, country text, height integer);"
    "insert into peaks values ('Everest','Nepal',8849),('Aconcagua','Argentina',6961),"
    "('Denali','United States',6190),('Kilimanjaro','Tanzania',5895),('Elbrus','Russia',5642),"
    "('Vinson','Antarctica',4892),('Mont Blanc','France',4806),('Puncak Jaya','Indonesia',4884);";

static int fail(const char *status, const char *what)
{
    printf("Status: %s\nContent-Type: text/plain\n\n%s\n", status, what);
    return 0;
}

static int print_row(void *context, int count, char **values, char **names)
{
    int *rows = context;
    for (int i = 0; *rows == 0 && i < count; i++)
        printf("%s%s", i > 0 ? "\t" : "", names[i]);
    if (*rows == 0)
        printf("\n");
    for (int i = 0; i < count; i++)
        printf("%s%s", i > 0 ? "\t" : "", values[i] != NULL ? values[i] : "NULL");
    printf("\n");
    ++*rows;
    return 0;
}

static size_t read_sql(char *sql)
{
    size_t size = 0;
    while (size < SQL_BYTES_MAX) {
        size_t count = fread(sql + size, 1, SQL_BYTES_MAX - size, stdin);
        if (count == 0)
            break;
        size += count;
    }
    sql[size] = 0;
    return size;
}

static int open_database(sqlite3 **database)
{
    const char *path = getenv("WEIR_DATABASE");
    if (path != NULL)
        return sqlite3_open_v2(path, database, SQLITE_OPEN_READONLY, NULL);
    int result = sqlite3_open_v2(":memory:", database,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY,
                                 NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(*database, SAMPLE, NULL, NULL, NULL);
    return result;
}

int main(void)
{
    static char sql[SQL_BYTES_MAX + 1];
    sqlite3 *database = NULL;
    if (read_sql(sql) == 0)
        return fail("400 Bad Request", "send SQL as the body of a POST");
    if (open_database(&database) != SQLITE_OK)
        return fail("500 Internal Server Error", sqlite3_errmsg(database));
    int rows = 0;
    char *message = NULL;
    printf("Content-Type: text/tab-separated-values\n\n");
    if (sqlite3_exec(database, sql, print_row, &rows, &message) != SQLITE_OK)
        printf("error: %s\n", message);
    sqlite3_close(database);
    return 0;
}
