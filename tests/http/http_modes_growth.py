#!/usr/bin/env python3
"""Zero growth (DESIGN 7) of hosts whose guests leak: 20,000 requests over four connections, each of
which leaks a page in a resident guest or in a slot that is set up once, one in a hundred
misbehaving in a resident; and while it goes on no more than the marks is held.

usage: http_modes_growth.py --program ... --guests ... [REQUESTS]
"""
import http.client
import json
import sys

from http_growth import GROWTH_MAX, fill, grown, measure, measure_again
from weir_http import Thread, equal, parse_options, serving, until

MIB = 1 << 20
RESIDENTS, MARK = 2, 1 * MIB
CLIENTS = 4  # and as many requests of a route at once, so that none is a first one later
WARM_UPS, WARM_UP_REQUESTS = 3, 4400
CONFIG = """
memory_max: 256MiB
cache: {cache}
server: {{ loops: 2, workers: 2, spool: {spool} }}
routes:
  - {{ path: /leak, module: reactor_tester.wasm, mode: resident, residents: %d,
      recycle: {{ memory: %dMiB, idle: 200ms }},
      limits: {{ memory: 4MiB, time: 60s, concurrency: 4 }} }}
  - {{ path: /pool, module: reactor_tester.wasm, mode: pool, warm: 4,
      limits: {{ memory: 4MiB, time: 60s, concurrency: 4 }} }}
  - {{ path: /bad, module: reactor_tester.wasm, mode: resident, residents: %d,
      recycle: {{ calls: 50, idle: 200ms }},
      limits: {{ memory: 4MiB, time: 50ms, output: 64KiB, concurrency: 4 }} }}
""" % (RESIDENTS, MARK // MIB, RESIDENTS)
ACTS = ("trap", "recurse", "bomb", "exit=3", "exit=0", "garbage", "loop", "sleep", "flood", "close",
        "answer=3")


class Client(Thread):
    def __init__(self, server, first, count):
        super().__init__(target=self.work)
        self.server, self.first, self.count = server, first, count
        self.failures = []

    def work(self):
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


def are_gone(server):
    return all(sum(pool["recycled"].values()) == pool["cold_takes"] + RESIDENTS
               for pool in pools(server).values() if pool["mode"] == "resident")


def wait_idle(server):
    """Until all residents that were made, the first ones at the start, have ended: what is measured
    does not depend on where in their lives."""
    until("the residents go", lambda: are_gone(server))


def load(server, count):
    share = count // CLIENTS
    clients = [Client(server, index * share, share) for index in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    equal([failure for client in clients for failure in client.failures][:5], [], "good requests")


def main():
    rest = parse_options().rest
    count = int(rest[0]) if rest else 20000
    with serving(CONFIG) as server:
        for _ in range(WARM_UPS):  # warm-up: every stack, buffer and heap of a thread was used
            for path in pools(server):
                fill(server, path, CLIENTS)
            load(server, WARM_UP_REQUESTS)
            measure(server)
            wait_idle(server)
            before = measure(server)
        most = 0
        for _ in range(10):
            load(server, count // 10)
            most = max(most, measure(server)["growth_bytes"] - before["growth_bytes"])
        wait_idle(server)
        after = measure_again(server, before)
        seen = pools(server)
        equal(server.stop(), 0, "a clean stop")
    growth = after["growth_bytes"] - before["growth_bytes"]
    recycled = seen["/leak"]["recycled"]
    print(json.dumps({"requests": count, "growth_bytes": growth, "most_bytes": most,
                      "recycled": {path: pool["recycled"] for path, pool in seen.items()},
                      "before": before, "after": after}))
    equal(grown(before, after), [], "what has grown")
    held = RESIDENTS * (MARK + 4096) + 2 * 64 * 1024  # and what is new in /bad's
    equal(most <= held + GROWTH_MAX + MIB, True, f"held {most} bytes at most, the marks are {held}")
    # No life leaked more than its mark. How many end idle before depends on the machine.
    lives = recycled["private"] + recycled["idle"]
    leaked = 0.7 * (count + WARM_UPS * WARM_UP_REQUESTS) * 4096
    equal(recycled["spoiled"], 0, "residents that leak and do no more")
    equal(lives * MARK > leaked, True, f"{lives} lives for {leaked} bytes")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
