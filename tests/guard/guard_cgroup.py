#!/usr/bin/env python3
"""The guard on a real memory cgroup (v1 or v2, needs root), behind nginx: a process fills it with
anonymous memory and is refused for, page cache is not, the pressure ends and admission is open
again; a smaller limit and a removed cgroup are seen. Nothing is killed by the kernel."""
import contextlib
import os
import subprocess
import sys

import stand_in_node
from gateway import Client, find_program
from weir_guard import MIB, equal, guarding, holds, main, parse_options, skip, until

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from memory_cgroup import Cgroup  # noqa: E402

LIMIT, FREE_LIMIT, FILL, CACHE = 192 * MIB, 64 * MIB, 140 * MIB, 150 * MIB

# Fills, drops, and writes page cache on command; answers each with a line.
FILLER = """
import sys, os
held = None
for line in sys.stdin:
    what, size = line.split()
    held = None
    if what == "fill":
        held = bytearray(int(size))
        held[::4096] = b"x" * len(held[::4096])
    elif what == "cache":
        with open(sys.argv[1], "wb") as file:
            for _ in range(int(size) >> 20):
                file.write(b"y" * (1 << 20))
            os.fsync(file.fileno())
    print("done", flush=True)
"""


def make_cgroup():
    try:
        return Cgroup("guard", LIMIT)
    except OSError as error:
        return skip(f"no memory cgroup can be made here: {error}")


@contextlib.contextmanager
def filler(cgroup, file):
    program = subprocess.Popen(
        [*cgroup.enter(), sys.executable, "-c", FILLER, file], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True)

    def do(what, size=0):
        program.stdin.write(f"{what} {size}\n")
        program.stdin.flush()
        equal(program.stdout.readline(), "done\n", what)

    try:
        yield do, program
    finally:
        program.kill()
        program.wait()
        program.stdin.close()
        program.stdout.close()


def check_pressure(guard, client, do, cgroup):
    """Cache does not count, anonymous memory does, and its end is seen."""
    do("cache", CACHE)
    reading = until(lambda: (lambda r: r["reclaimable_bytes"] > CACHE // 2 and r)(
        guard.pressure()["reading"]), "page cache is seen")
    holds(reading["usage_bytes"] > LIMIT - FREE_LIMIT, reading)
    equal(client.status(), 200, "page cache")
    do("fill", FILL)
    refusal = until(guard.refusal, "the guard refuses")
    equal(refusal["binding"], f"{cgroup.path}/{cgroup.limit_file}")
    equal(refusal["limit_bytes"], LIMIT)
    holds(refusal["used_bytes"] >= LIMIT - FREE_LIMIT, refusal)
    equal(client.status(), 429, "filled")
    do("drop")
    until(lambda: client.status() == 200, "the memory was given back")


def test_a_real_cgroup():
    import guard_nginx
    cgroup = make_cgroup()
    file = os.path.join("/var/tmp", f"weir-guard-test-{os.getpid()}")
    _, node_port = stand_in_node.start()
    arguments = ("--mem-free-limit", "64MiB", "--leave-free", "72MiB", "--transitions", "60")
    try:
        with filler(cgroup, file) as (do, program), \
                guarding("--pid", str(program.pid), *arguments, stale="2s") as guard, \
                guard_nginx.gateway(node_port, guard.port) as (client, _):
            until(lambda: client.status() == 200, "nginx answers")
            equal(guard.pressure()["reading"]["binding"], f"{cgroup.path}/{cgroup.limit_file}")
            check_pressure(guard, client, do, cgroup)
            cgroup.write(cgroup.limit_file, FREE_LIMIT)  # resized while it runs
            refusal = until(guard.refusal, "the smaller limit is seen")
            equal(refusal["reason"], "mem_free_limit is not below the limit")
            cgroup.write(cgroup.limit_file, LIMIT)
            until(lambda: client.status() == 200, "the old limit is seen")
            equal(cgroup.oom_kills(), 0)
            program.kill()
            program.wait()
            cgroup.remove()
            guard.until_log(f"process {program.pid} is gone")
            guard.until_state("unknown")
            equal(client.status(), 200, "open")
    finally:
        cgroup.remove()
        if os.path.exists(file):
            os.remove(file)


if __name__ == "__main__":
    parse_options()
    if os.geteuid() != 0:
        skip("a memory cgroup needs root")
    if find_program("nginx") is None:
        skip("nginx is missing")
    sys.exit(main(dict(globals())))
