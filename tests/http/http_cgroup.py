#!/usr/bin/env python3
"""Bounded (in a real memory cgroup of 256 MiB): all misbehaving guests at once, again and again,
while good requests arrive at a stated rate. The kernel kills nobody, and at least 99 % of the good
requests are answered 200 with the right body. Version 1 and version 2 of cgroups; needs root."""
import http.client
import os
import sys
import threading
import time

from memory_cgroup import Cgroup
from weir_http import Thread, equal, parse_options, serving, skip

LIMIT = 256 << 20
RATE = 200  # good requests per second
SECONDS = 15
ACTS = ("trap", "recurse", "bomb", "exit=3", "silent", "garbage", "loop", "sleep", "flood", "late",
        "short", "hoard", "wild")

CONFIG = """
memory_max: 160MiB
cache: {cache}
server: {{ loops: 2, workers: 2, connections_max: 128, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm, memory_max: 32MiB,
      limits: {{ memory: 4MiB, time: 5s }} }}
  - {{ path: /transform, module: transform.wasm, memory_max: 32MiB,
      limits: {{ memory: 4MiB, time: 5s }} }}
  - {{ path: /misbehave, module: misbehave.wasm, memory_max: 64MiB,
      limits: {{ memory: 12MiB, time: 300ms, concurrency: 32, output: 16MiB }} }}
"""


def misbehave(server, act, stop):
    while not stop.is_set():
        try:
            server.get("/misbehave?" + act)
        except (http.client.HTTPException, OSError):
            pass


def ask(server, share, counts, stop):
    """Open loop: request number i is due at its time, whatever became of the one before."""
    connection = server.connect()
    begin = time.monotonic()
    for number in range(RATE * SECONDS // share):
        due = begin + number * share / RATE
        time.sleep(max(0, due - time.monotonic()))
        good = False
        try:
            if number % 2:
                connection.request("GET", "/hello")
                wanted = b"hello, world\n"
            else:
                connection.request("POST", "/transform", b"abc" * 3000)
                wanted = b"ABC" * 3000
            response = connection.getresponse()
            good = response.read() == wanted and response.status == 200
        except (http.client.HTTPException, OSError):
            connection.close()
            connection = server.connect()
        counts.append(good)
    stop.set()


def main():
    parse_options()
    if os.geteuid() != 0:
        skip("a memory cgroup needs root")
    try:
        cgroup = Cgroup("serve", LIMIT)
    except OSError as error:
        skip(f"no memory cgroup can be made here: {error}")
    try:
        run(cgroup, cgroup.enter())
    finally:
        cgroup.remove()


def run(cgroup, wrap):
    with serving(CONFIG, wrap) as server:
        stop = threading.Event()
        counts = []
        bad = [Thread(target=misbehave, args=(server, act, stop))
               for act in ACTS for _ in range(2)]
        good = [Thread(target=ask, args=(server, 4, counts, stop)) for _ in range(4)]
        for thread in bad + good:
            thread.start()
        for thread in good + bad:
            thread.join()
        answered = sum(counts)
        misbehaved = server.metric(r'weir_request_seconds_count\{route="/misbehave"')
        memory = server.memory()
        print(f"good: {answered} of {len(counts)} at {RATE}/s; misbehaving: {misbehaved:.0f}; "
              f"cgroup peak {cgroup.peak() >> 20} MiB of {LIMIT >> 20}; "
              f"oom_kill {cgroup.oom_kills()}; cgroup {memory['cgroup']}")
        equal(cgroup.oom_kills(), 0, "oom_kill")
        equal(memory["holds"], True, "equation (a)")
        equal(memory["cgroup"]["state"], "holds", f"equation (b): {memory['cgroup']}")
        equal(server.stop(), 0, "a clean stop")
        equal(answered >= 0.99 * len(counts), True, "good requests answered")
        equal(misbehaved >= 100, True, "there was misbehaviour")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
