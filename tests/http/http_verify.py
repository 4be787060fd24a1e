#!/usr/bin/env python3
"""A route that verifies: the kernel is made to lie about which pages are private, so every reset is
wrong; each is found and counted, the first told, and no request sees another's state. Without the
lie nothing is found; without the option nobody looks.
"""
import os
import sys

from weir_http import Options, equal, parse_options, serving

CONFIG = """
cache: {cache}
server: {{ loops: 1, workers: 1, spool: {spool} }}
routes:
  - {{ path: /plain, module: echo.wasm, limits: {{ memory: 4MiB }} }}
  - {{ path: /request, module: echo.wasm, verify: true, limits: {{ memory: 4MiB }} }}
  - {{ path: /pool, module: reactor_tester.wasm, mode: pool, verify: true,
      limits: {{ memory: 4MiB }} }}
"""


def pools(server):
    return {pool["route"]: pool for pool in server.memory()["pools"]}


def serve(wrap):
    plain_is_right = True
    with serving(CONFIG, wrap=wrap) as server:
        for i in range(5):
            for path in ("/plain", "/request"):
                status, _, text = server.request("POST", path, b"body %d" % i)
                is_right = text.endswith(b"body %d" % i)
                if path == "/plain" and wrap:
                    plain_is_right = plain_is_right and is_right
                else:
                    equal((status, is_right), (200, True), path)
            text = server.get("/pool")[2]
            if wrap:
                equal(b"count=" in text, True)
            else:
                equal(text.startswith(b"count=101 "), True, "the state of `_initialize`")
        seen, log = pools(server), server.read_log()
        metric = server.metric(r'^weir_pool_faults_total\{route="/request"\}')
        equal(server.stop(), 0, "a clean stop")
        equal(plain_is_right, not wrap, "the lie does harm where nobody looks")
    return seen, log, metric


def main():
    parse_options()
    library = os.path.abspath(os.path.join(Options.guests, "..", "tests", "forget_pages.so"))
    os.stat(library)
    seen, log, metric = serve(())
    equal([seen[path]["faults"] for path in ("/plain", "/request", "/pool")], [0, 0, 0])
    equal((metric, "reset was not right" in log), (0, False))
    seen, log, metric = serve(("env", "LD_PRELOAD=" + library))
    equal(seen["/plain"]["faults"], 0, "nobody looks")
    equal((seen["/request"]["faults"], metric), (5, 5), "each is found")
    equal(seen["/request"]["warm"], 8 - 5, "and its slot is not used again")
    lines = [line for line in log.splitlines() if "reset was not right" in line]
    equal(len([line for line in lines if "/request" in line]), 1, log)
    equal("memory 0 at offset 0x" in lines[0], True, lines[0])


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
