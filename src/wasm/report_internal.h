/* Errors of the front end: every message ends with the section, and the function where there is
 * one, that its offset lies in. */
#ifndef WEIR_WASM_REPORT_H
#define WEIR_WASM_REPORT_H

#include "wasm/module.h"

/* As weir_error_set(). The message begins with the words of the official test suite. */
enum weir_status weir__wasm_report(const struct weir_wasm_module *module, struct weir_error *error,
                                   enum weir_status status, uint64_t offset, const char *format,
                                   ...) WEIR_PRINTF(5, 6);

/* UNSUPPORTED: "WHAT needs the feature NAME, which is off". `reason` is the suite's text for the
 * same bytes under a specification without the feature, or NULL. */
enum weir_status weir__wasm_feature_off(const struct weir_wasm_module *module,
                                        struct weir_error *error, uint64_t offset, uint32_t feature,
                                        const char *reason, const char *what);

#endif
