#!/usr/bin/env python3
"""The guard itself does not grow: over 100,000 requests to /admit, admitted and refused, with pages
read and connections opened and closed in between, the private memory of its process stays within
256 KiB, and so do the counts of mappings and descriptors."""
import os
import re
import socket
import sys

from weir_guard import (MIB, Options, equal, figures, holds, injected, main, put, until)

REQUESTS = 100_000
BATCH = 50  # requests in one write
ALLOWED_KIB = 256
REQUEST = b"GET /admit HTTP/1.1\r\nHost: guard\r\n\r\n"


def footprint(pid):
    """(KiB that are its own, mappings, descriptors): Pss_Anon + Pss_Shmem + Swap + VmPTE."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        sums = dict(re.findall(r"^(\w+): +(\d+) kB$", file.read(), re.M))
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        tables = int(re.search(r"^VmPTE:\s+(\d+) kB$", file.read(), re.M).group(1))
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        mappings = len(file.readlines())
    own = sum(int(sums[name]) for name in ("Pss_Anon", "Pss_Shmem", "Swap")) + tables
    return own, mappings, len(os.listdir(f"/proc/{pid}/fd"))


def ask(port, count):
    """`count` requests on one connection; the answers' statuses, counted."""
    got = {}
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        stream = connection.makefile("rb")
        for _ in range(count // BATCH):
            connection.sendall(REQUEST * BATCH)
            for _ in range(BATCH):
                status = int(stream.readline().split()[1])
                got[status] = got.get(status, 0) + 1
                size = 0
                while (line := stream.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        size = int(line.split()[1])
                stream.read(size)
    return got


def settled(guard, descriptors):
    """What the process has when it stands still: no connection is open any more."""
    until(lambda: footprint(guard.process.pid)[2] == descriptors, "connections are closed")
    return footprint(guard.process.pid)


def round_of(guard, path, count):
    for used, status in ((100, 204), (950, 429)):
        put(path, figures(1000, used))
        until(lambda: guard.pressure()["reading"]["used_bytes"] == used * MIB, "a reading")
        guard.until_status(status)
        for _ in range(10):
            equal(ask(guard.port, count // 20), {status: count // 20}, "answers")
            guard.pressure()


def test_growth_is_zero():
    requests = REQUESTS // 10 if Options.sanitized else REQUESTS
    with injected("--mem-free-limit", "100MiB", "--leave-free", "150MiB", "--transitions",
                  "60") as (guard, path):
        descriptors = footprint(guard.process.pid)[2]
        round_of(guard, path, requests // 5)  # warm-up
        before = settled(guard, descriptors)
        round_of(guard, path, requests)
        after = settled(guard, descriptors)
        print(f"{requests} requests: {before[0]} KiB, {before[1]} mappings, {before[2]} "
              f"descriptors before; {after[0]} KiB, {after[1]}, {after[2]} after")
        holds(Options.sanitized or after[0] - before[0] <= ALLOWED_KIB, "memory has grown")
        equal(after[1:], before[1:], "mappings and descriptors")


if __name__ == "__main__":
    sys.exit(main(dict(globals())))
