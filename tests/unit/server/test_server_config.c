/* weir.yaml as values: defaults, units, paths; refusals are golden tests of the command line. And
 * the table of refusals against the table of statuses. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/server_config.h"
#include "server/server_internal.h"
#include "tests/run_suite.h"

static const char FULL[] = "listen: '[::1]:8080'\n"
                           "memory_max: 1.5GiB\n"
                           "modules: ../guests\n"
                           "cache: none\n"
                           "governor: { mem_free_limit: 100MiB, mem_free_leave: 1GiB, dwell: 3s,\n"
                           "            interval: 50ms, transitions_max: 7, on_unknown: closed,\n"
                           "            pressure_file: figures }\n"
                           "module_cache: { memory_max: 512MiB, pinned_max: 64KiB,\n"
                           "                disk_max: 1024TiB, trace: uses }\n"
                           "log: { access: /var/log/a, access_format: json, events: e,\n"
                           "       events_format: logfmt, level: warning, queue: 64KiB }\n"
                           "control: { token: t, socket: /run/weir.sock, upload_max: 3MiB,\n"
                           "           reads: token }\n"
                           "server:\n"
                           "  loops: 3\n"
                           "  workers: 5\n"
                           "  connections_max: 77\n"
                           "  idle_timeout: 2m\n"
                           "  spool: spool\n"
                           "tenants:\n"
                           "  - name: acme\n"
                           "    limits: { memory: 5MiB, concurrency: 7 }\n"
                           "routes:\n"
                           "  - path: /a/b\n"
                           "    module: a.wasm\n"
                           "    tenant: acme\n"
                           "    memory_max: 100MiB\n"
                           "    warm: 2\n"
                           "    args: [one, 'two three']\n"
                           "    env: [A=b, C=]\n"
                           "    dirs: ['data::/data:ro', /abs]\n"
                           "    limits: { memory: 2MiB, fuel: 5, time: 1500ms, concurrency: 4,\n"
                           "              body: 0, output: 1KiB }\n"
                           "  - path: /\n"
                           "    module: /root/b.wasm\n"
                           "  - path: /r\n"
                           "    module: r.wasm\n"
                           "    mode: resident\n"
                           "    handler: answer\n"
                           "    residents: 3\n"
                           "    affinity: X-User\n"
                           "    recycle: { calls: 9, age: 1h, idle: 90s, memory: 1MiB,\n"
                           "               linear: 2MiB }\n"
                           "  - path: /p\n"
                           "    module: p.wasm\n"
                           "    mode: pool\n"
                           "    verify: true\n"
                           "    limits: { concurrency: 5 }\n";

static struct weir_server_config parse(struct weir_arena *arena, const char *text)
{
    struct weir_server_config config = {0};
    struct weir_error error = {0};
    const struct weir_config_text file = {"/etc/weir/weir.yaml", (const uint8_t *)text,
                                          strlen(text)};
    enum weir_status status = weir_server_config_parse(&file, NULL, arena, &config, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return config;
}

START_TEST(reads_every_key)
{
    struct weir_arena *arena = NULL;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    struct weir_server_config config = parse(arena, FULL);
    ck_assert_str_eq(config.listen, "[::1]:8080");
    ck_assert_uint_eq(config.memory_bytes_max, UINT64_C(3) << 29);
    ck_assert_ptr_null(config.cache_dir);
    ck_assert_str_eq(config.spool_dir, "/etc/weir/spool");
    ck_assert_uint_eq(config.loops, 3);
    ck_assert_uint_eq(config.workers, 5);
    ck_assert_uint_eq(config.connections_max, 77);
    ck_assert_uint_eq(config.idle_ns, UINT64_C(120000000000));
    ck_assert_uint_eq(config.module_cache.memory_bytes, UINT64_C(512) << 20);
    ck_assert_uint_eq(config.module_cache.pinned_bytes, UINT64_C(64) << 10);
    ck_assert_uint_eq(config.module_cache.disk_bytes, UINT64_C(1) << 50);
    ck_assert_str_eq(config.module_cache.trace, "/etc/weir/uses");
    ck_assert_str_eq(config.log.access, "/var/log/a");
    ck_assert_str_eq(config.log.events, "/etc/weir/e");
    ck_assert_int_eq(config.log.access_form, WEIR_LOG_JSON);
    ck_assert_int_eq(config.log.events_form, WEIR_LOG_LOGFMT);
    ck_assert_int_eq(config.log.level, WEIR_LOG_WARNING);
    ck_assert_uint_eq(config.log.queue_bytes, 64 << 10);
    ck_assert_str_eq(config.control.token, "/etc/weir/t");
    ck_assert_str_eq(config.control.socket, "/run/weir.sock");
    ck_assert_uint_eq(config.control.upload_bytes_max, 3 << 20);
    ck_assert(config.control.are_reads_guarded);
    ck_assert_str_eq(config.modules_dir, "/etc/weir/../guests");
    ck_assert_uint_eq(config.governor.free_bytes, UINT64_C(100) << 20);
    ck_assert_uint_eq(config.governor.leave_bytes, UINT64_C(1) << 30);
    ck_assert_uint_eq(config.governor.dwell_ns, UINT64_C(3000000000));
    ck_assert_uint_eq(config.governor.interval_ns, 50000000);
    ck_assert_uint_eq(config.governor.transitions_max, 7);
    ck_assert(config.governor.is_closed_on_unknown);
    ck_assert_str_eq(config.governor.pressure_file, "/etc/weir/figures");
    ck_assert_uint_eq(config.route_count, 4);
    const struct weir_route_config *route = &config.routes[0];
    ck_assert_str_eq(route->path, "/a/b");
    ck_assert_str_eq(route->tenant, "acme");
    ck_assert_uint_eq(config.tenant_count, 1);
    ck_assert_ptr_eq(route->tenant_keys, &config.tenants[0]);
    ck_assert_ptr_eq(weir_server_config_tenant(&config, "acme"), &config.tenants[0]);
    ck_assert_ptr_null(weir_server_config_tenant(&config, "/"));
    ck_assert_uint_eq(config.tenants[0].memory_bytes_max, UINT64_C(5) << 20);
    ck_assert_uint_eq(config.tenants[0].concurrency, 7);
    ck_assert_ptr_null(config.routes[1].tenant_keys);
    ck_assert_str_eq(route->module, "/etc/weir/../guests/a.wasm");
    ck_assert_uint_eq(route->tenant_bytes_max, UINT64_C(100) << 20);
    ck_assert_uint_eq(route->warm, 2);
    ck_assert_uint_eq(route->arg_count, 2);
    ck_assert_str_eq(route->args[1], "two three");
    ck_assert_uint_eq(route->env_count, 2);
    ck_assert_str_eq(route->env[1], "C=");
    ck_assert_uint_eq(route->dir_count, 2);
    ck_assert_str_eq(route->dirs[0].host_path, "/etc/weir/data");
    ck_assert_str_eq(route->dirs[0].guest_path, "/data");
    ck_assert(route->dirs[0].is_read_only);
    ck_assert_str_eq(route->dirs[1].host_path, "/abs");
    ck_assert(!route->dirs[1].is_read_only);
    ck_assert_uint_eq(route->memory_bytes_max, 2u << 20);
    ck_assert_uint_eq(route->guaranteed_bytes, 512u << 10); /* a quarter */
    ck_assert_uint_eq(route->fuel, 5);
    ck_assert_uint_eq(route->time_ns, 1500000000u);
    ck_assert_uint_eq(route->concurrency, 4);
    ck_assert_uint_eq(route->body_bytes_max, 0);
    ck_assert_uint_eq(route->output_bytes_max, 1024);
    weir_arena_free(arena);
}
END_TEST

START_TEST(reads_modes)
{
    struct weir_arena *arena = NULL;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    struct weir_server_config config = parse(arena, FULL);
    const struct weir_route_config *route = &config.routes[2];
    ck_assert_int_eq(route->mode, WEIR_ROUTE_RESIDENT);
    ck_assert_str_eq(weir_route_mode_name(route->mode), "resident");
    ck_assert_str_eq(route->handler, "answer");
    ck_assert_str_eq(route->affinity, "X-User");
    ck_assert_uint_eq(route->slots, 3);
    ck_assert_uint_eq(route->warm, 3);
    ck_assert_uint_eq(route->concurrency, 16);
    ck_assert_uint_eq(route->recycle.calls_max, 9);
    ck_assert_uint_eq(route->recycle.age_ns_max, UINT64_C(3600000000000));
    ck_assert_uint_eq(route->recycle.idle_ns_max, UINT64_C(90000000000));
    ck_assert_uint_eq(route->recycle.private_bytes_max, UINT64_C(1) << 20);
    ck_assert_uint_eq(route->recycle.linear_bytes_max, UINT64_C(2) << 20);
    route = &config.routes[3];
    ck_assert_int_eq(route->mode, WEIR_ROUTE_POOL);
    ck_assert_str_eq(route->handler, "handle");
    ck_assert_str_eq(route->affinity, "client");
    ck_assert_uint_eq(route->slots, 5);
    ck_assert(route->is_verifying);
    weir_arena_free(arena);
}
END_TEST

START_TEST(fills_in_defaults)
{
    struct weir_arena *arena = NULL;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    struct weir_server_config config = parse(arena, FULL);
    const struct weir_route_config *route = &config.routes[1];
    ck_assert_str_eq(route->module, "/root/b.wasm");
    ck_assert_uint_eq(route->memory_bytes_max, UINT64_C(64) << 20);
    ck_assert_uint_eq(route->tenant_bytes_max, WEIR_UNLIMITED);
    ck_assert_uint_eq(route->fuel, 0);
    ck_assert_uint_eq(route->concurrency, 16);
    ck_assert_uint_eq(route->warm, 8);
    ck_assert_int_eq(route->mode, WEIR_ROUTE_REQUEST);
    ck_assert_uint_eq(route->slots, 16);
    ck_assert(!route->is_verifying);
    config = parse(arena, "routes: [{path: /x, module: x.wasm}]\n");
    ck_assert_str_eq(config.listen, "127.0.0.1:7070");
    ck_assert_uint_eq(config.memory_bytes_max, WEIR_UNLIMITED);
    ck_assert_str_eq(config.spool_dir, "/var/tmp");
    ck_assert_uint_eq(config.governor.free_bytes, WEIR_SERVER_FREE_LIMIT_DEFAULT);
    ck_assert(!config.governor.is_closed_on_unknown);
    weir_arena_free(arena);
}
END_TEST

START_TEST(refusals_follow_the_status_table)
{
    static const struct {
        enum weir__refusal refusal;
        enum weir_status status;
    } PAIRS[] = {
        {WEIR__REFUSAL_NO_ROUTE, WEIR_NOT_FOUND},  {WEIR__REFUSAL_TARGET, WEIR_MALFORMED},
        {WEIR__REFUSAL_BODY, WEIR_TOO_LARGE},      {WEIR__REFUSAL_BUSY, WEIR_BUSY},
        {WEIR__REFUSAL_MEMORY, WEIR_LIMIT},        {WEIR__REFUSAL_TRAP, WEIR_TRAP},
        {WEIR__REFUSAL_EXIT, WEIR_EXIT},           {WEIR__REFUSAL_DEADLINE, WEIR_DEADLINE},
        {WEIR__REFUSAL_CANCELLED, WEIR_CANCELLED}, {WEIR__REFUSAL_DRAINING, WEIR_CANCELLED},
        {WEIR__REFUSAL_FUEL, WEIR_DEADLINE},       {WEIR__REFUSAL_INTERNAL, WEIR_IO},
    };
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++)
        ck_assert_uint_eq(weir__refusal_http(PAIRS[i].refusal),
                          (unsigned)weir_status_http(PAIRS[i].status));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server_config");
    TCase *tcase = tcase_create("server_config");
    tcase_add_test(tcase, reads_every_key);
    tcase_add_test(tcase, reads_modes);
    tcase_add_test(tcase, fills_in_defaults);
    tcase_add_test(tcase, refusals_follow_the_status_table);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
