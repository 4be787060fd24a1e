/* Recordings of a watch: CSV that an operator can send, a spreadsheet can open and a test can
 * replay.
 *
 *   # weir doctor watch 1
 *   # any comment
 *   seconds,operations,cache,cache_limit,limit,used,process.resident,malloc.resident,...
 *   0.000,1200,,,1073741824,734003200,61038592,40108032,...
 *
 * Bytes, but for seconds and operations; an empty cell was not seen. `seconds` and one column
 * CLASS.resident are needed, the others (CLASS.live, CLASS.system, ...) may be left out or stand in
 * any order, and CLASS is a name of [a-z0-9_]; cache_entries and cache_entries_limit instead of
 * cache and cache_limit say that the cache counts entries. Without process.resident the process is
 * the sum of its classes. */
#ifndef WEIR_DOCTOR_RECORD_H
#define WEIR_DOCTOR_RECORD_H

#include "doctor/watch.h"

/* The head for the classes of `watch`; `comment` is one line without its newline. `text` gets a
 * string to be freed. */
enum weir_status weir_record_head(const struct weir_watch *watch, const char *comment,
                                  char **ret_text, struct weir_error *error) WEIR_MUST_USE;
/* The line of one sample, newline included; to be freed. */
enum weir_status weir_record_line(const struct weir_watch *watch,
                                  const struct weir_watch_sample *sample, char **ret_text,
                                  struct weir_error *error) WEIR_MUST_USE;

/* Reads a recording whole. MALFORMED with `name`, line and reason; LIMIT: too many classes. */
enum weir_status weir_record_parse(const char *name, const char *bytes, size_t size,
                                   struct weir_watch **ret_watch, struct weir_error *error)
    WEIR_MUST_USE;

#endif
