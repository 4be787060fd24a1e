#!/usr/bin/env python3
"""The governor of `weir serve` with figures from a file: refusals with figures and a reason, the
ladder in order, background work paused and resumed in order, hysteresis, unknown pressure by
policy, another governor by reload; and admission by reservation in the ledger."""
import json
import os
import sys

from weir_http import PATIENCE, Options, Thread, account, equal, parse_options, until
from http_reload import Reloading

MIB = 1 << 20
CONFIG = """
memory_max: 256MiB
cache: {{cache}}
governor: {{{{ mem_free_limit: 100MiB, mem_free_leave: 120MiB, dwell: {dwell}, interval: 10ms,
            transitions_max: 60, on_unknown: {unknown}, pressure_file: figures }}}}
server: {{{{ loops: 2, workers: 2, connections_max: 64, spool: {{spool}} }}}}
routes:
  - {{{{ path: /hello, module: hello.wasm, warm: 4, limits: {{{{ memory: 4MiB }}}} }}}}
  - {{{{ path: /hoard, module: misbehave.wasm, warm: 0, memory_max: 33MiB,
      limits: {{{{ memory: 16MiB, guaranteed: {guaranteed}, time: 600s, concurrency: 8 }}}} }}}}
"""


def config(dwell="50ms", unknown="open", guaranteed="2MiB"):
    return CONFIG.format(dwell=dwell, unknown=unknown, guaranteed=guaranteed)


def put(server, text):
    path = os.path.join(server.folder.name, "figures")
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def free(server, mib):
    put(server, f"limit 2GiB\nusage {2048 - mib}MiB\n")


def pressure(server):
    return json.loads(server.get("/v1/pressure")[2])


def states(server):
    return {action["name"]: action["state"] for action in pressure(server)["actions"]}


def tasks(server):
    return {task["name"]: task["state"] for task in pressure(server)["tasks"]}


def wait_state(server, action, state):
    until(f"{action} {state}", lambda: states(server)[action] == state)


def refuses_with_figures(server):
    free(server, 1000)
    wait_state(server, "requests", "normal")
    equal(server.get("/hello")[0], 200, "while enough is free")
    free(server, 99)
    wait_state(server, "requests", "pressed")
    status, headers, body = server.get("/hello")
    answer = json.loads(body)
    equal(status, 429, "while memory is short")
    equal(int(headers["Retry-After"]) >= 1, True, "Retry-After")
    equal((answer["error"], answer["limit_bytes"], answer["free_bytes"]),
          ("memory", 2048 * MIB, 99 * MIB), body)
    equal((answer["mem_free_limit_bytes"], answer["needs_bytes"]), (100 * MIB, 4 * MIB), body)
    equal("reason" in answer and "since_ms" in answer and "binding" in answer, True, body)
    for page in ("/healthz", "/readyz", "/metrics", "/v1/memory"):
        equal(server.get(page)[0], 200, page + " is exempt")
    equal(server.metric(r'^weir_pressure_state\{state="pressed"') == 1, True, "the metric")


def enters_and_leaves_apart(server):
    free(server, 110)  # above enter, below leave
    time_there = server.metric(r"^weir_pressure_polls_total")
    until("ten more readings",
         lambda: server.metric(r"^weir_pressure_polls_total") > time_there + 10)
    equal(states(server)["requests"], "pressed", "between the thresholds it stays")
    free(server, 121)
    wait_state(server, "requests", "normal")
    if not Options.sanitized:  # a sanitizer's own memory counts as ours
        # What the process may still take beside the ledger is not free for guests.
        status, _, body = server.get("/hello")
        equal((status, json.loads(body).get("needs_bytes")), (429, 4 * MIB), "the ledger decides")
    free(server, 1000)
    until("open again", lambda: server.get("/hello")[0] == 200)


def climbs_the_ladder(server):
    """Each measure begins while more is free than the next one needs."""
    free(server, 1000)
    wait_state(server, "caches", "normal")
    order = ("caches", "idle guests", "background", "requests", "guests")
    for mib, count in ((300, 0), (199, 1), (174, 2), (149, 3), (99, 4), (49, 5)):
        free(server, mib)
        until(f"{count} of the ladder at {mib} MiB",
             lambda: [states(server)[name] for name in order] ==
             ["pressed"] * count + ["normal"] * (5 - count))
        if count == 2:
            until("idle slots are dropped", lambda: server.metric(
                r'^weir_pool_warm\{route="/hello"') == 0)
        if count == 3:
            until("background work is paused",
                 lambda: set(tasks(server).values()) == {"paused"})
    free(server, 1000)
    until("all is normal", lambda: set(states(server).values()) == {"normal"})
    until("background work runs", lambda: set(tasks(server).values()) == {"running"})
    lines = [line for line in server.read_log().splitlines() if line.startswith("governor: ")]
    resumed = [line.split(":")[1].split(" is ")[0].strip() for line in lines
               if " is running" in line]
    equal(resumed[-2:], ["compile jobs", "warm slots"], "resumed in the order of registration")
    equal(server.get("/hello")[0], 200)
    until("slots are kept again",
         lambda: server.get("/hello")[0] == 200 and
         server.metric(r'^weir_pool_warm\{route="/hello"') > 0)


def refuses_compiling(server):
    free(server, 149)
    until("paused", lambda: tasks(server)["compile jobs"] == "paused")
    text = config().replace("module: misbehave.wasm, warm: 0", "module: echo.wasm, warm: 0")
    equal("compile jobs are paused" in server.reload(text), True, "a reload that compiles waits")
    free(server, 1000)
    until("resumed", lambda: tasks(server)["compile jobs"] == "running")


def reserves(server):
    """33 MiB of the tenant hold two guests of 16; the third is refused, whatever they use."""
    answers = []
    threads = [Thread(target=lambda: answers.append(server.get("/hoard?sleep")))
               for _ in range(2)]
    for thread in threads:
        thread.start()
    tenant = until("two reservations", lambda: (
        lambda found: found if found["reserved_bytes"] > 28 * MIB else None)(
            account(server.memory()["accounts"], "/hoard")))
    equal(tenant["used_bytes"] + tenant["reserved_bytes"] <= 33 * MIB, True, "within its limit")
    status, headers, body = server.get("/hoard?exit=3")
    answer = json.loads(body)
    equal((status, answer["error"], headers["Retry-After"]), (429, "memory", "1"), body)
    equal((answer["needs_bytes"], answer["limit_bytes"]), (16 * MIB, 33 * MIB), body)
    return answers, threads


def stops_the_furthest(server, answers, threads):
    """Both sleepers are over their guarantee of 0; one hoarder is further over."""
    free(server, 40)
    for thread in threads:
        thread.join(PATIENCE)
    equal([status for status, _, _ in answers], [503, 503], "stopped")
    equal({json.loads(body)["error"] for _, _, body in answers}, {"stopped"}, answers)
    log = server.read_log()
    equal("one guest is stopped" in log and "/hoard" in log and "<-" in log, True, "the table")
    free(server, 1000)
    wait_state(server, "guests", "normal")
    equal(server.get("/hoard?exit=3")[0], 502, "the place is free again")


def unknown_by_policy(server):
    put(server, "unknown the file went away\n")
    until("unknown", lambda: pressure(server)["state"] == "unknown")
    equal(server.get("/hello")[0], 200, "open: as if all were well")
    equal("memory cannot be read" in server.read_log(), True, "and an error in the log")
    equal(server.reload(config(unknown="closed", guaranteed="0")), "", "reloaded")
    until("unknown", lambda: pressure(server)["state"] == "unknown")
    status, _, body = server.get("/hello")
    equal((status, json.loads(body)["error"]), (429, "memory"), body)
    put(server, "no figures at all\n")
    equal(server.get("/hello")[0], 429, "what cannot be understood is unknown too")
    free(server, 1000)
    until("known", lambda: pressure(server)["state"] == "normal")
    equal(server.get("/hello")[0], 200, "known again")


def goes_off(server):
    text = config(guaranteed="0").replace("mem_free_limit: 100MiB, mem_free_leave: 120MiB",
                                          "mem_free_limit: 0")
    free(server, 50)
    wait_state(server, "requests", "pressed")
    equal(server.reload(text), "", "reloaded")
    equal(pressure(server), {"state": "off"}, "off")
    equal(server.get("/hello")[0], 200, "nothing is refused")


def main():
    parse_options()
    server = Reloading(config(guaranteed="0"))
    try:
        for test in (refuses_with_figures, enters_and_leaves_apart, climbs_the_ladder,
                     refuses_compiling):
            test(server)
            print("pass", test.__name__)
        stops_the_furthest(server, *reserves(server))
        print("pass reserves, stops_the_furthest")
        for test in (unknown_by_policy, goes_off):
            test(server)
            print("pass", test.__name__)
        server.process.terminate()
        equal(server.process.wait(PATIENCE), 0, "a clean stop")
    except (AssertionError, OSError, ValueError) as failure:
        print("FAIL", repr(failure), server.read_log()[-3000:])
        sys.exit(1)
    finally:
        server.close()


if __name__ == "__main__":
    main()
