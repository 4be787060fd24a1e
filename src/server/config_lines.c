/* Where a key stands in the file. libcyaml checks and converts but keeps no positions, so an error
 * that is found later is located by reading the document once more with libyaml. */
#include "server/config_internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static bool load(yaml_parser_t *parser, yaml_document_t *document, const uint8_t *bytes,
                 size_t size)
{
    if (yaml_parser_initialize(parser) == 0)
        return false;
    yaml_parser_set_input_string(parser, bytes, size);
    if (yaml_parser_load(parser, document) != 0)
        return true;
    yaml_parser_delete(parser);
    return false;
}

static bool is_scalar(const yaml_node_t *node, const char *text, size_t size)
{
    return node != NULL && node->type == YAML_SCALAR_NODE && node->data.scalar.length == size &&
           memcmp(node->data.scalar.value, text, size) == 0;
}

static yaml_node_t *find_key(yaml_document_t *document, const yaml_node_t *node, const char *key,
                             size_t size)
{
    if (node->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++)
        if (is_scalar(yaml_document_get_node(document, pair->key), key, size))
            return yaml_document_get_node(document, pair->value);
    return NULL;
}

static yaml_node_t *find_item(yaml_document_t *document, const yaml_node_t *node, size_t index)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return NULL;
    yaml_node_item_t *item = node->data.sequence.items.start + index;
    return item < node->data.sequence.items.top ? yaml_document_get_node(document, *item) : NULL;
}

unsigned weir__config_line(const uint8_t *bytes, size_t size, const char *path)
{
    yaml_parser_t parser;
    yaml_document_t document;
    if (!load(&parser, &document, bytes, size))
        return 0;
    yaml_node_t *node = yaml_document_get_root_node(&document);
    size_t line = 0;
    const char *at = path;
    while (node != NULL) {
        line = node->start_mark.line + 1;
        if (*at == '[') {
            char *end = NULL;
            node = find_item(&document, node, strtoul(at + 1, &end, 10));
            at = *end == ']' ? end + 1 : end;
        } else if (*at != 0) {
            at += *at == '.';
            size_t length = strcspn(at, ".[");
            node = find_key(&document, node, at, length);
            at += length;
        } else {
            break;
        }
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return (unsigned)line;
}

unsigned weir__config_key_line(const uint8_t *bytes, size_t size, const char *key)
{
    yaml_parser_t parser;
    yaml_document_t document;
    if (!load(&parser, &document, bytes, size))
        return 0;
    unsigned line = 0;
    for (yaml_node_t *node = document.nodes.start; node < document.nodes.top && line == 0; node++) {
        if (node->type != YAML_MAPPING_NODE)
            continue;
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top; pair++) {
            const yaml_node_t *name = yaml_document_get_node(&document, pair->key);
            if (is_scalar(name, key, strlen(key))) {
                line = (unsigned)name->start_mark.line + 1;
                break;
            }
        }
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return line;
}
