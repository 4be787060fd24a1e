/* What the files of `weir top` share: what a host answered becomes a sample with rows of one view,
 * which is sorted, filtered, and drawn as lines.
 *
 * All of it comes from another program: texts are cleaned when they are taken over, so that nothing
 * of them reaches the terminal but printable ASCII, and numbers that are none count as 0.
 */
#ifndef WEIR_CLI_TOP_INTERNAL_H
#define WEIR_CLI_TOP_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/top_limits.h"

/* --- what is shown (top_columns.def) --------------------------------------------------------- */

enum weir__top_column {
#define WEIR_TOP_COLUMN(id, name, title, width, form, help) WEIR__TOP_##id,
#include "cli/top_columns.def"
#undef WEIR_TOP_COLUMN
    WEIR__TOP_COLUMN_COUNT
};

enum weir__top_form {
    WEIR__TOP_TEXT,
    WEIR__TOP_BYTES,
    WEIR__TOP_NUMBER,
    WEIR__TOP_TIME,
    WEIR__TOP_RATE
};

struct weir__top_column_spec {
    const char *name, *title;
    int width;
    enum weir__top_form form;
    const char *help;
};
const struct weir__top_column_spec *weir__top_column(enum weir__top_column column);

enum weir__top_view_id {
    WEIR__TOP_ROUTES,
    WEIR__TOP_STORES,
    WEIR__TOP_KINDS,
    WEIR__TOP_OBJECTS,
    WEIR__TOP_VIEW_COUNT
};

#define WEIR__TOP_VIEW_COLUMNS 9
struct weir__top_view_spec {
    const char *name, *help;
    size_t column_count;
    enum weir__top_column columns[WEIR__TOP_VIEW_COLUMNS]; /* the first is the name */
};
const struct weir__top_view_spec *weir__top_view(enum weir__top_view_id view);
/* By its name; COUNT: none. */
enum weir__top_view_id weir__top_view_find(const char *name);
enum weir__top_column weir__top_column_find(const char *name);

/* --- samples (top_model.c) ------------------------------------------------------------------- */

struct weir__top_row {
    char name[WEIR_TOP_NAME_SIZE], detail[WEIR_TOP_NAME_SIZE];
    uint64_t values[WEIR__TOP_COLUMN_COUNT];
    double growth; /* bytes per second, where known */
    bool has_growth;
    bool has_stores;
    bool is_partial; /* some of its stores were not listed: for what only they tell */
};

#define WEIR__TOP_PARTS_MAX 64
struct weir__top_part {
    char name[40];
    uint64_t bytes;
};

struct weir__top_sample {
    double seconds; /* when, by the clock of this program */
    /* The process. */
    uint64_t rss_bytes, unclassified_bytes, free_bytes, charged_bytes, limit_bytes, peak_bytes;
    bool has_limit, holds;
    struct weir__top_part parts[WEIR__TOP_PARTS_MAX]; /* the largest first */
    size_t part_count;
    /* The census. */
    struct weir__top_part counts[WEIR__TOP_PARTS_MAX]; /* live objects by type */
    size_t count_count;
    uint64_t completed;
    char growth[16]; /* "growing", "undecided" */
    double per_instance, per_instance_low, per_instance_high;
    uint64_t left_out; /* stores or groups that the host did not list */
    /* The view. */
    enum weir__top_view_id view;
    struct weir__top_row *rows;
    size_t row_count, row_capacity;
    uint64_t rows_beyond;
};

/* From the bodies of /v1/memory and /v1/census. MALFORMED when one is no such answer. */
struct weir__top_answer {
    const char *memory, *census;
    size_t memory_size, census_size;
};
enum weir_status weir__top_read(const struct weir__top_answer *answer, enum weir__top_view_id view,
                                struct weir__top_sample *ret_sample, struct weir_error *error)
    WEIR_MUST_USE;
void weir__top_sample_done(struct weir__top_sample *sample);
/* Sets the rates of `now` from what `before` had of the same view; `before` may be empty. */
void weir__top_rates(const struct weir__top_sample *before, struct weir__top_sample *now);

/* --- drawing (top_draw.c) -------------------------------------------------------------------- */

struct weir__top_look {
    enum weir__top_view_id view;
    enum weir__top_column sort;
    bool is_reversed;
    char filter[64]; /* part of a name or detail; "": all */
    const char *url;
    /* Of a screen; `lines` 0: all rows, nothing but the table is drawn below the head. */
    int columns, lines;
    size_t first; /* row at the top */
    bool is_paused, is_help, is_filtering;
    bool has_styles; /* reverse video for the title line */
    const char *trouble; /* instead of keys in the last line; NULL: none */
};

/* Orders the rows as the look says; those that its filter leaves out go behind the end. Returns how
 * many are left. */
size_t weir__top_order(struct weir__top_sample *sample, const struct weir__top_look *look);
/* Lines, each with "\n" at its end, none wider than look->columns. `sample` NULL: none yet. */
void weir__top_draw(FILE *to, struct weir__top_sample *sample, const struct weir__top_look *look);
/* The same facts under stable names. NULL: no memory. */
json_t *weir__top_json(const struct weir__top_sample *sample, size_t count, const char *url);

/* --- the terminal (top_terminal.c) ----------------------------------------------------------- */

/* From here on the terminal is ours; it is given back by leave(), at exit and by every signal that
 * ends the program. NULL, or why it cannot be. */
const char *weir__top_terminal_enter(void);
void weir__top_terminal_leave(void);
void weir__top_terminal_size(int *ret_columns, int *ret_lines);
/* Writes over what is there, from the top; the rest of the screen is wiped. */
void weir__top_terminal_show(const char *text, size_t size);

enum weir__top_key {
    WEIR__TOP_KEY_NONE = 0, /* time is over; others: the character itself */
    WEIR__TOP_KEY_RESIZE = 256,
    WEIR__TOP_KEY_END, /* told to end, or the terminal is gone */
    WEIR__TOP_KEY_UP,
    WEIR__TOP_KEY_DOWN,
    WEIR__TOP_KEY_LEFT,
    WEIR__TOP_KEY_RIGHT,
    WEIR__TOP_KEY_ESCAPE
};
int weir__top_terminal_key(int timeout_ms);
/* The signal that told to end; 0: none. */
int weir__top_terminal_signal(void);

#endif
