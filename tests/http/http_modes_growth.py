#!/usr/bin/env python3
"""Zero growth (DESIGN 7) of hosts whose guests leak: 20,000 requests over four connections, each of
which leaks a page in a resident guest or in a slot that is set up once, one in a hundred
misbehaving in a resident; and while it goes on no more than the marks is held.

usage: http_modes_growth.py --program ... --guests ... [REQUESTS]
"""
import http.client
import json
import sys
import threading
import time

from http_growth import GROWTH_MAX, measure
from weir_http import equal, parse_options, serving

MIB = 1 << 20
RESIDENTS, MARK = 2, 1 * MIB
CONFIG = """
memory_max: 256MiB
cache: {cache}
server: {{ loops: 2, workers: 2, spool: {spool} }}
routes:
  - {{ path: /leak, module: reactor_tester.wasm, mode: resident, residents: %d,
      recycle: {{ memory: %dMiB, idle: 200ms }}, limits: {{ memory: 4MiB, time: 5s }} }}
  - {{ path: /pool, module: reactor_tester.wasm, mode: pool, warm: 4,
      limits: {{ memory: 4MiB, time: 5s, concurrency: 4 }} }}
  - {{ path: /bad, module: reactor_tester.wasm, mode: resident, residents: 2,
      recycle: {{ calls: 50, idle: 200ms }},
      limits: {{ memory: 4MiB, time: 50ms, output: 64KiB }} }}
""" % (RESIDENTS, MARK // MIB)
ACTS = ("trap", "recurse", "bomb", "exit=3", "exit=0", "garbage", "loop", "sleep", "flood", "close",
        "answer=3")


class Client(threading.Thread):
    def __init__(self, server, first, count):
        super().__init__()
        self.server, self.first, self.count = server, first, count
        self.failures = []

    def run(self):
        connection = self.server.connect()
        for number in range(self.first, self.first + self.count):
            is_bad = number % 100 == 99
            path = ("/bad?" + ACTS[number // 100 % len(ACTS)] if is_bad else
                    "/leak?leak=4096" if number % 4 else "/pool?leak=4096")
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                text = response.read()
                if not is_bad and (response.status != 200 or not text.startswith(b"count=")):
                    self.failures.append((number, response.status, text[:100]))
                if path.startswith("/pool") and not text.startswith(b"count=101 "):
                    self.failures.append((number, "the state of another request", text[:100]))
            except (http.client.HTTPException, OSError) as error:
                if not is_bad:
                    self.failures.append((number, repr(error)))
                connection.close()
                connection = self.server.connect()
        connection.close()


def pools(server):
    return {pool["route"]: pool for pool in server.memory()["pools"]}


def wait_idle(server):
    """Until the residents are gone: what is measured does not depend on where in their lives."""
    end = time.monotonic() + 20
    while any(pool["in_use"] + pool["warm"] > 0 for pool in pools(server).values()
              if pool["mode"] == "resident"):
        if time.monotonic() > end:
            raise AssertionError("residents do not go")
        time.sleep(0.05)


def fill(server, path):
    """As many requests under way at once as there ever will be: no block is a first one later."""
    threads = [threading.Thread(target=server.get, args=(path + "?nap=40",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def load(server, count):
    share = count // 4
    clients = [Client(server, index * share, share) for index in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    equal([failure for client in clients for failure in client.failures][:5], [], "good requests")


def main():
    rest = parse_options().rest
    count = int(rest[0]) if rest else 20000
    with serving(CONFIG) as server:
        for _ in range(3):  # warm-up: every stack, buffer and heap of a thread was used
            for path in pools(server):
                fill(server, path)
            load(server, 4400)
            wait_idle(server)
        before, most = measure(server), 0
        for _ in range(10):
            load(server, count // 10)
            most = max(most, measure(server)["growth_bytes"] - before["growth_bytes"])
        wait_idle(server)
        after = measure(server)
        seen = pools(server)
        equal(server.stop(), 0, "a clean stop")
    growth = after["growth_bytes"] - before["growth_bytes"]
    recycled = seen["/leak"]["recycled"]["private"]
    print(json.dumps({"requests": count, "growth_bytes": growth, "most_bytes": most,
                      "recycled": {path: pool["recycled"] for path, pool in seen.items()}}))
    equal(growth <= GROWTH_MAX, True, f"grew by {growth} bytes")
    held = RESIDENTS * (MARK + 4096) + 2 * 64 * 1024  # and what is new in /bad's
    equal(most <= held + GROWTH_MAX + MIB, True, f"held {most} bytes at most, the marks are {held}")
    equal(recycled * MARK > count * 0.7 * 4096, True, f"{recycled} lives were enough to leak in")
    for name in ("mappings", "descriptors", "ledger_mappings"):
        equal(after[name], before[name], name)
    equal(after["ledger_bytes"] - before["ledger_bytes"] <= 4096, True,
          f"the ledger: {before['ledger_bytes']} to {after['ledger_bytes']} bytes")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
