/* One line of a log in a buffer of the caller's: JSON, logfmt, or words for people. Values may be
 * anything; what they hold can neither end the line nor begin a field. A line that is too long is
 * cut between bytes of a value and says so. */
#ifndef WEIR_OBSERVE_LOG_LINE_H
#define WEIR_OBSERVE_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_log_form {
    WEIR_LOG_TEXT, /* values alone, separated by spaces */
    WEIR_LOG_LOGFMT,
    WEIR_LOG_JSON
};

enum weir_log_level {
    WEIR_LOG_DEBUG,
    WEIR_LOG_INFO,
    WEIR_LOG_WARNING,
    WEIR_LOG_ERROR
};

struct weir_log_line {
    enum weir_log_form form;
    char *text;
    size_t size, capacity; /* at least WEIR_LOG_LINE_MIN */
    bool is_cut;
};

#define WEIR_LOG_LINE_MIN 64

void weir_log_line_begin(struct weir_log_line *line, enum weir_log_form form, char *text,
                         size_t capacity);
/* Keys are ours: lower-case words. */
void weir_log_line_text(struct weir_log_line *line, const char *key, const char *value);
void weir_log_line_number(struct weir_log_line *line, const char *key, uint64_t value);
/* Ends with a line feed; returns the size. */
size_t weir_log_line_end(struct weir_log_line *line);

/* Without a key, as in an Apache log: a word, or a string in quotes with \xhh for what is not
 * printable ASCII. NULL and "" are "-". */
void weir_log_line_word(struct weir_log_line *line, const char *value);
void weir_log_line_quoted(struct weir_log_line *line, const char *value);

/* UTC: "2026-01-02T03:04:05.678Z", and "[02/Jan/2026:03:04:05 +0000]" for Apache's forms. */
#define WEIR_LOG_TIME_SIZE 32
void weir_log_time(uint64_t unix_ns, char ret_text[WEIR_LOG_TIME_SIZE]);
void weir_log_time_apache(uint64_t unix_ns, char ret_text[WEIR_LOG_TIME_SIZE]);

#endif
