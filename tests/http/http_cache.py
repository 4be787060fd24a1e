#!/usr/bin/env python3
"""The module cache of a host: what /v1/cache and /metrics tell, and why; pins and the trace from
beside it; two routes with one module load it once; a damaged artifact is compiled again."""
import glob
import json
import os
import subprocess

from weir_http import Options, equal, main, serving

CONFIG = """
cache: {cache}
module_cache: {{ memory_max: 64KiB, pinned_max: 1MiB, disk_max: 64MiB, trace: {spool}/trace }}
server: {{ loops: 2, workers: 2, spool: {spool} }}
routes:
  - {{ path: /a, module: hello.wasm, limits: {{ memory: 4MiB }} }}
  - {{ path: /b, module: hello.wasm, limits: {{ memory: 4MiB }} }}
  - {{ path: /c, module: echo.wasm, limits: {{ memory: 4MiB }} }}
"""


def page(server):
    status, headers, body = server.get("/v1/cache")
    equal(status, 200, "status")
    equal(headers["Content-Type"], "application/json", "type")
    return json.loads(body)


def weir_cache(server, *arguments):
    folder = os.path.join(server.folder.name, "cache")
    done = subprocess.run([Options.program, "cache", "--cache", folder, *arguments],
                          capture_output=True, text=True, check=True)
    return done.stdout


def test_what_it_tells(_):
    with serving(CONFIG) as server:
        equal(server.get("/b")[0], 200, "a route")
        told = page(server)
        equal(told["uses"], 3, "uses")
        equal(told["compiled"], 2, "one module of two routes is compiled once")
        equal(told["misses"], {"first": 2}, "misses")
        equal(told["tiers"]["disk"]["limit_bytes"], 64 << 20, "disk limit")
        equal(told["tiers"]["disk"]["used_bytes"] > 0, True, "disk use")
        modules = {module["name"]: module for module in told["modules"]}
        equal(sorted(modules), ["echo.wasm", "hello.wasm"], "modules")
        for module in modules.values():
            fits = module["bytes"] <= 64 << 10
            equal(module["place"], "memory" if fits else "lent", module["why"])
            equal(("larger than the memory tier" in module["why"]), not fits, module["why"])
            equal(module["mapped_bytes"] > 16 << 10, True, "mapped")
            equal(module["private_bytes"] < 16 << 10, True, "private")
        equal(server.metric(r'^weir_cache_misses_total\{cause="first"\}'), 2, "metric")
        equal(server.metric(r'^weir_cache_loads_total\{from="compiler"\}'), 2, "loads")
        equal(server.metric(r'^weir_cache_modules\{'), 2, "modules")
        equal(server.metric(r'^weir_cache_module_bytes\{.*kind="mapped"'),
              sum(module["mapped_bytes"] for module in modules.values()), "bytes of modules")
        listed = json.loads(weir_cache(server, "ls", "--json"))
        equal([one["loaded"] for one in listed], [True, True], "loaded, says weir cache ls")
        equal(json.loads(weir_cache(server, "prune", "--max", "0", "--json"))["removed"], 0,
              "what a process has loaded stays")
        trace = os.path.join(server.folder.name, "spool", "trace")
        equal(server.stop(), 0, "stopped")
        with open(trace, encoding="ascii") as file:
            lines = file.read().splitlines()
        equal(lines[0], "# weir module trace 1", "the trace's first line")
        equal(len(lines), 4, "three uses")
        advice = weir_cache(server, "advise", "--trace", trace)
        equal("3 uses of 2 modules" in advice, True, advice)


def test_trace_is_cut(_):
    with serving(CONFIG.replace("{spool}/trace", "/dev/full")) as server:
        equal(server.stop(), 0, "stopped")
        log = server.read_log()
        equal("the trace could not be written to its end: No space left" in log, True, log)


def test_restarts(_):
    with serving(CONFIG) as server:
        equal(server.stop(), 0, "stopped")
        hello = os.path.join(Options.guests, "hello.wasm")
        weir_cache(server, "pin", hello)
        artifacts = {one["module"]: one["artifact"]
                     for one in json.loads(weir_cache(server, "ls", "--json"))
                     if not one["pinned"]}
        damaged = glob.glob(os.path.join(server.folder.name, "cache", "v*", *artifacts.values()))
        with open(damaged[0], "r+b") as file:
            file.seek(5000)
            file.write(b"x")
        config = CONFIG.replace("{cache}", os.path.join(server.folder.name, "cache"))
        with serving(config) as again:
            told = page(again)
            equal(told["quarantined"], 1, "the damaged one")
            equal(told["compiled"], 1, "is compiled again")
            equal(told["tiers"]["disk"]["hits"], 1, "the other comes from disk")
            places = {module["name"]: module["place"] for module in told["modules"]}
            equal(places["hello.wasm"], "pinned", "the pin holds")
            equal(places["echo.wasm"] != "pinned", True, "nothing else is pinned")
            equal(again.metric(r'^weir_cache_disk_misses_total\{cause="quarantined"\}'), 1,
                  "metric")
            equal(again.stop(), 0)
            equal("1 artifacts were damaged or foreign" in again.read_log(), True, "event")


if __name__ == "__main__":
    main([test_what_it_tells, test_trace_is_cut, test_restarts])
