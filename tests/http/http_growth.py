#!/usr/bin/env python3
"""Zero growth (DESIGN 7): 20,000 requests on the examples over four connections, one in a hundred
misbehaving, grow nothing: neither private memory with page tables, nor mappings, nor descriptors,
nor what the ledger holds. Equation (a) is read all along.

usage: http_growth.py --program ... --guests ... [REQUESTS [RESULT.json]]
"""
import http.client
import json
import subprocess
import sys
import time

from weir_http import PATIENCE, Options, Thread, equal, parse_options, serving, until

CONFIG = """
memory_max: 1GiB
cache: {cache}
server: {{ loops: 2, workers: 2, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm, limits: {{ memory: 4MiB, time: 60s }} }}
  - {{ path: /echo, module: echo.wasm, limits: {{ memory: 4MiB, time: 60s }} }}
  - {{ path: /transform, module: transform.wasm, limits: {{ memory: 4MiB, time: 60s }} }}
{sqlite}
  - {{ path: /misbehave, module: misbehave.wasm,
      limits: {{ memory: 8MiB, time: 20ms, concurrency: 8, output: 256KiB }} }}
"""
SQLITE = "  - { path: /sqlite, module: sqlite.wasm, limits: { memory: 16MiB, time: 60s } }"

ACTS = ("trap", "recurse", "bomb", "exit=3", "silent", "garbage", "loop", "sleep", "flood", "late",
        "short", "hoard", "wild")
PATHS = ("/hello", "/echo", "/transform", "/misbehave?hoard", "/misbehave?flood",
         "/misbehave?recurse")
GROWTH_MAX, LEDGER_MAX = 256 * 1024, 4096
COUNTS = ("mappings", "descriptors", "ledger_mappings")


def settle(server, connection):
    """Asks on one connection until it is the only one, and its question the only request."""

    def is_alone():
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return "\nweir_requests_active 1\n" in text and "\nweir_connections_open 1\n" in text

    until("one request on one connection", is_alone)


def measure(server):
    """Growth's own definition, and the counts, when nothing is in flight."""
    connection = server.connect()
    settle(server, connection)
    # First, so that what this page takes from malloc was taken in each measure.
    connection.request("GET", "/v1/memory")
    memory = json.loads(connection.getresponse().read())
    values = {}
    with open(f"/proc/{server.process.pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in ("Pss_Anon", "Pss_Shmem", "Swap"):
                values[name] = int(rest.split()[0]) * 1024
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmPTE:"):
                values["VmPTE"] = int(line.split()[1]) * 1024
    connection.close()
    equal(memory["holds"], True, f"equation (a): {memory['classes']}")
    host = memory["accounts"]
    return {**values, "growth_bytes": sum(values.values()), "mappings": memory["mappings"],
            "descriptors": memory["descriptors"], "ledger_bytes": host["used_bytes"],
            "ledger_mappings": host["kinds"]["mapping"], "rss_bytes": memory["rss_bytes"],
            "unclassified_bytes": memory["unclassified_bytes"],
            "uncharged_heap_bytes": memory["heap"]["uncharged_bytes"]}


def grown(before, after):
    return [f"{name}: {before[name]} to {after[name]}"
             for name, bound in [("growth_bytes", GROWTH_MAX), ("ledger_bytes", LEDGER_MAX),
                                 *((name, 0) for name in COUNTS)]
             if after[name] - before[name] > bound]


def measure_again(server, before):
    """Until nothing has grown: what ended may be closing yet, a socket or a guest's memory, when it
    counts no more. What has grown indeed stays so, and is measured when patience ends."""
    end = time.monotonic() + PATIENCE
    while True:
        after = measure(server)
        if not grown(before, after) or time.monotonic() > end:
            return after
        time.sleep(0.05)


class Client(Thread):
    def __init__(self, server, first, count, has_sqlite):
        super().__init__(target=self.work)
        self.server, self.first, self.count = server, first, count
        self.good = [("GET", "/hello", None, b"hello, world\n"),
                     ("POST", "/echo", b"x" * 2000, None),
                     ("POST", "/transform", b"abc" * 700, b"ABC" * 700)]
        if has_sqlite:
            self.good.append(("POST", "/sqlite", b"select count(*) n from peaks", b"n\n8\n"))
        self.failures = []

    def work(self):
        connection = self.server.connect()
        for number in range(self.first, self.first + self.count):
            try:
                if number % 100 == 99:
                    connection.request("GET", "/misbehave?" + ACTS[number // 100 % len(ACTS)])
                    connection.getresponse().read()
                else:
                    self.ask(connection, number)
            except (http.client.HTTPException, OSError):
                if number % 100 != 99:
                    self.failures.append(number)
                connection.close()
                connection = self.server.connect()
        connection.close()

    def ask(self, connection, number):
        method, path, body, wanted = self.good[number % len(self.good)]
        connection.request(method, path, body)
        response = connection.getresponse()
        got = response.read()
        if response.status != 200 or (wanted is not None and got != wanted):
            self.failures.append((number, response.status, got[:100]))


def fill(server, path, count):
    """`count` requests of a route that are all under way at once: every slot that is kept warm, its
    stack and its buffers have then been used, and nothing later can be a first time."""
    connections = []
    for _ in range(count):
        raw = server.socket()
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n"
                    "Connection: close\r\n\r\n".encode() + b"a" * 20000)
        connections.append(raw)
    server.wait_active(count)
    for raw in connections:
        raw.sendall(b"a" * 20000)
    for raw in connections:
        try:
            while raw.recv(65536):
                pass
        except ConnectionResetError:
            pass
        raw.close()
    server.wait_idle()


def load(server, count, has_sqlite):
    share = count // 4
    clients = [Client(server, index * share, share, has_sqlite) for index in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    equal([failure for client in clients for failure in client.failures][:5], [], "good requests")


def main():
    rest = parse_options().rest
    count = int(rest[0]) if rest else 20000
    try:
        open(f"{Options.guests}/sqlite.wasm", "rb").close()
        has_sqlite = True
    except OSError:
        has_sqlite = False
    config = CONFIG.replace("{sqlite}", SQLITE.replace("{", "{{").replace("}", "}}")
                            if has_sqlite else "")
    with serving(config) as server:
        for path in PATHS + (("/sqlite",) if has_sqlite else ()):  # warm-up
            fill(server, path, 8)
        for _ in range(3):  # as it goes on: malloc's heap is as large as load and reports make it
            load(server, 4000, has_sqlite)
            before = measure(server)
        begin = time.monotonic()
        for _ in range(5):
            load(server, count // 5, has_sqlite)
            measure(server)
        seconds = time.monotonic() - begin
        after = measure_again(server, before)
        equal(server.stop(), 0, "a clean stop")
    growth = after["growth_bytes"] - before["growth_bytes"]
    result = {"requests": count, "seconds": round(seconds, 1), "growth_bytes": growth,
              "before": before, "after": after}
    print(json.dumps(result))
    if len(rest) > 1:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True,
                                text=True, check=False).stdout.strip()
        with open(rest[1], "w", encoding="utf-8") as file:
            json.dump({"date": time.strftime("%Y-%m-%d"), "commit": commit, **result}, file,
                      indent=2)
            file.write("\n")
    equal(grown(before, after), [], "what has grown")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
