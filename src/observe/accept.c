/* The Accept header (RFC 9110, section 12.5.1) of whoever asks for a page of metrics: which of the
 * two forms it likes better. The header is a client's text: what makes no sense in it is passed
 * over. */
#include "observe/metrics.h"

#include <string.h>
#include <strings.h>

/* A cursor over the header; everything ends at the zero. */
static const char *skip_blank(const char *at)
{
    return at + strspn(at, " \t");
}

/* The end of a token. */
static const char *token_end(const char *at)
{
    return at + strcspn(at, " \t,;=/\"");
}

static bool is_word(const char *at, size_t size, const char *word)
{
    return strlen(word) == size && strncasecmp(at, word, size) == 0;
}

struct value {
    const char *at;
    size_t size;
};

/* A token or a quoted string without its quotes; returns what is behind it. */
static const char *read_value(const char *at, struct value *ret_value)
{
    if (*at != '"') {
        const char *end = token_end(at);
        *ret_value = (struct value){at, (size_t)(end - at)};
        return end;
    }
    const char *end = at + 1;
    while (*end != 0 && *end != '"')
        end += end[0] == '\\' && end[1] != 0 ? 2 : 1;
    *ret_value = (struct value){at + 1, (size_t)(end - at - 1)};
    return *end == '"' ? end + 1 : end;
}

/* Thousandths; 1000 when it is no quality. */
static unsigned quality_of(struct value value)
{
    unsigned thousandths = 0;
    unsigned weight = 1000;
    for (size_t i = 0; i < value.size; i++) {
        char c = value.at[i];
        if (i == 1 && c == '.')
            continue;
        if (i == 1 || c < '0' || c > '9')
            return 1000;
        thousandths += (unsigned)(c - '0') * weight;
        weight /= 10;
    }
    return value.size == 0 || thousandths > 1000 ? 1000 : thousandths;
}

/* How exactly a range names a form: 0 not at all, then by a wildcard, a type, a name. */
struct range {
    unsigned exact[2]; /* by form */
    unsigned quality;
};

static void match_type(const char *at, size_t size, const char *sub, size_t sub_size,
                       struct range *range)
{
    bool any = is_word(at, size, "*") && is_word(sub, sub_size, "*");
    if (is_word(at, size, "text"))
        range->exact[WEIR_METRICS_TEXT] = is_word(sub, sub_size, "plain") ? 3
                                          : is_word(sub, sub_size, "*")   ? 2
                                                                          : 0;
    else if (is_word(at, size, "application"))
        range->exact[WEIR_METRICS_OPENMETRICS] = is_word(sub, sub_size, "openmetrics-text") ? 3
                                                 : is_word(sub, sub_size, "*")              ? 2
                                                                                            : 0;
    else if (any)
        range->exact[WEIR_METRICS_TEXT] = range->exact[WEIR_METRICS_OPENMETRICS] = 1;
}

/* A version that is not ours is another form's. */
static void match_version(struct value version, struct range *range)
{
    if (!is_word(version.at, version.size, "0.0.4"))
        range->exact[WEIR_METRICS_TEXT] = 0;
    if (!is_word(version.at, version.size, "1.0.0"))
        range->exact[WEIR_METRICS_OPENMETRICS] = 0;
}

/* ";name=value" after a range; returns what is behind it. */
static const char *read_parameter(const char *at, struct range *range)
{
    const char *name = skip_blank(at + 1);
    const char *end = token_end(name);
    const char *next = skip_blank(end);
    if (*next != '=')
        return end;
    struct value value;
    next = read_value(skip_blank(next + 1), &value);
    if (is_word(name, (size_t)(end - name), "q"))
        range->quality = quality_of(value);
    else if (is_word(name, (size_t)(end - name), "version"))
        match_version(value, range);
    return next;
}

/* One range and its comma; returns what is behind it. */
static const char *read_range(const char *at, struct range *range)
{
    *range = (struct range){.quality = 1000};
    const char *type = skip_blank(at);
    const char *end = token_end(type);
    if (*end == '/') {
        const char *sub = end + 1;
        const char *sub_end = token_end(sub);
        match_type(type, (size_t)(end - type), sub, (size_t)(sub_end - sub), range);
        end = sub_end;
    }
    for (;;) {
        struct value passed;
        end += strcspn(end, ";,\"");
        if (*end == '"')
            end = read_value(end, &passed);
        else if (*end == ';')
            end = read_parameter(end, range);
        else
            return *end == ',' ? end + 1 : end;
    }
}

enum weir_metrics_form weir_metrics_accepted(const char *accept)
{
    /* The most exact range that names a form decides its quality. */
    unsigned exact[2] = {0, 0};
    unsigned quality[2] = {0, 0};
    for (const char *at = accept != NULL ? accept : ""; *at != 0;) {
        struct range range;
        at = read_range(at, &range);
        for (int form = 0; form < 2; form++) {
            bool is_better = range.exact[form] > exact[form] ||
                             (range.exact[form] == exact[form] && range.quality > quality[form]);
            if (range.exact[form] == 0 || !is_better)
                continue;
            exact[form] = range.exact[form];
            quality[form] = range.quality;
        }
    }
    const int text = WEIR_METRICS_TEXT, open = WEIR_METRICS_OPENMETRICS;
    if (quality[open] != quality[text])
        return quality[open] > quality[text] ? WEIR_METRICS_OPENMETRICS : WEIR_METRICS_TEXT;
    return quality[open] > 0 && exact[open] > exact[text] ? WEIR_METRICS_OPENMETRICS
                                                          : WEIR_METRICS_TEXT;
}
