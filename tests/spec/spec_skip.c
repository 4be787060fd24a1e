/* The skip list, one line each, # begins a comment:
 *
 *   PATTERN REASON ...            files (names without suffix, fnmatch) that are not executed
 *   FILE:LINE STATUS REASON ...   the engine answers this status where the script says otherwise
 *
 * Decoding and validation are never skipped, so a list cannot hide what the front end gets wrong.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"

struct skip_entry {
    struct skip_entry *next;
    char *pattern; /* file names, or file:line when there is a status */
    char *status;  /* NULL for a pattern */
};

struct spec_skip_list {
    struct skip_entry *first;
};

_Noreturn static void fail(const char *path, unsigned line, const char *text)
{
    (void)fprintf(stderr, "weir-spec: %s:%u: %s\n", path, line, text);
    exit(2);
}

/* The next word of *line, which is moved behind it; NULL at the end. */
static char *next_word(char **line)
{
    char *word = *line + strspn(*line, " \t");
    size_t length = strcspn(word, " \t");
    if (length == 0)
        return NULL;
    *line = word + length;
    return strndup(word, length);
}

static struct skip_entry *parse_entry(char *line)
{
    struct skip_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL || (entry->pattern = next_word(&line)) == NULL)
        abort();
    if (strchr(entry->pattern, ':') != NULL)
        entry->status = next_word(&line);
    return line[strspn(line, " \t")] != 0 ? entry : NULL;
}

struct spec_skip_list *spec_skip_list_read(const char *path)
{
    if (path == NULL)
        return NULL;
    FILE *file = fopen(path, "r");
    struct spec_skip_list *list = calloc(1, sizeof *list);
    if (file == NULL || list == NULL)
        fail(path, 0, strerror(errno));
    char *line = NULL;
    size_t size = 0;
    for (unsigned number = 1; getline(&line, &size, file) > 0; number++) {
        line[strcspn(line, "#\n")] = 0;
        if (line[strspn(line, " \t")] == 0)
            continue;
        struct skip_entry *entry = parse_entry(line);
        if (entry == NULL)
            fail(path, number, "no reason given");
        entry->next = list->first;
        list->first = entry;
    }
    free(line);
    (void)fclose(file);
    return list;
}

void spec_skip_list_free(struct spec_skip_list *list)
{
    if (list == NULL)
        return;
    for (struct skip_entry *entry = list->first, *next; entry != NULL; entry = next) {
        next = entry->next;
        free(entry->pattern);
        free(entry->status);
        free(entry);
    }
    free(list);
}

bool spec_skip_execution(const struct spec_skip_list *list, const char *file)
{
    if (list == NULL)
        return false;
    for (const struct skip_entry *entry = list->first; entry != NULL; entry = entry->next) {
        if (entry->status == NULL && fnmatch(entry->pattern, file, 0) == 0)
            return true;
    }
    return false;
}

/* A status of two words is one in the list: "too large" is too-large there. */
static bool same_status(const char *listed, const char *name)
{
    for (; *listed != '\0' && *name != '\0'; listed++, name++) {
        if (*listed != (*name == ' ' ? '-' : *name))
            return false;
    }
    return *listed == *name;
}

bool spec_skip_verdict(const struct spec_skip_list *list, const char *file, long long line,
                       const char *name)
{
    if (list == NULL)
        return false;
    char place[256];
    (void)snprintf(place, sizeof place, "%s:%lld", file, line);
    for (const struct skip_entry *entry = list->first; entry != NULL; entry = entry->next) {
        if (entry->status != NULL && strcmp(entry->pattern, place) == 0)
            return same_status(entry->status, name);
    }
    return false;
}
