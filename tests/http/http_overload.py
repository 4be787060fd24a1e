#!/usr/bin/env python3
"""Ten times the sustainable load for a minute, in a real memory cgroup (v1) of 256 MiB with page
cache pressure beside it: no OOM kill, no memory refused by the kernel, what cannot be reclaimed
stays below the limit less the free limit at every sample, every refusal is a 429 with its reason,
accepted requests complete; afterwards another process fills the cgroup and the governor refuses
until it is gone. Needs root."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

from weir_http import Options, Server, equal, parse_options, serving, skip, until
from http_pressure import pressure
from memory_cgroup import Cgroup

MIB = 1 << 20
LIMIT = 256 * MIB
FREE = 24 * MIB
MEASURE_SECONDS = 3
SECONDS = 60
CONNECTIONS = 120
FACTOR = 10
FILE_BYTES = 320 * MIB

# Slots for more guests than there is memory: what refuses is the reservation, not the slot count.
CONFIG = """
memory_max: 1GiB
cache: {cache}
governor: {{ mem_free_limit: 24MiB, interval: 20ms, dwell: 200ms, transitions_max: 60 }}
server: {{ loops: 2, workers: 2, connections_max: 128, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm, limits: {{ memory: 4MiB, time: 30s }} }}
  - {{ path: /hoard, module: misbehave.wasm, warm: 4,
      limits: {{ memory: 16MiB, guaranteed: 16MiB, time: 30s, concurrency: 64 }} }}
"""


class Sampler(threading.Thread):
    """rss + kernel memory of the cgroup every 10 ms."""

    def __init__(self, cgroup):
        super().__init__(daemon=True)
        self.cgroup, self.samples, self.stopped = cgroup, [], threading.Event()

    def run(self):
        due = time.monotonic()
        with open(f"{self.cgroup.path}/memory.stat", encoding="ascii") as stat, \
                open(f"{self.cgroup.path}/memory.kmem.usage_in_bytes", encoding="ascii") as kernel:
            while not self.stopped.is_set():
                stat.seek(0)
                kernel.seek(0)
                rss = next(int(line.split()[1]) for line in stat if line.startswith("total_rss "))
                self.samples.append((rss, int(kernel.read())))
                due += 0.01
                time.sleep(max(0, due - time.monotonic()))

    def stop(self):
        self.stopped.set()
        self.join()
        return max(rss + kernel for rss, kernel in self.samples)


def in_cgroup(cgroup, script, *arguments):
    return subprocess.Popen(["sh", "-c", f'echo $$ >{cgroup.path}/cgroup.procs; {script}', "sh",
                             *arguments], start_new_session=True)


def end(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def load(server, connections, rate, seconds):
    program = os.path.join(os.path.dirname(Options.program), "../tests/http_load")
    done = subprocess.run([program, str(server.port), "/hoard?hoard", str(connections), str(rate),
                           str(seconds), "1"], capture_output=True, text=True, check=True,
                          timeout=seconds + 120)
    return json.loads(done.stdout)


def check_answers(counts):
    for what in ("bad_status", "bad_refusal", "bad_body", "broken"):
        equal(counts[what], 0, f"{what}: {counts}")


def overload(cgroup, server):
    measured = load(server, 2, 0, MEASURE_SECONDS)
    check_answers(measured)
    equal(measured["accepted"], measured["sent"], "what is sustainable is accepted")
    rate = max(1, measured["accepted"] // MEASURE_SECONDS)
    sampler = Sampler(cgroup)
    sampler.start()
    counts = load(server, CONNECTIONS, FACTOR * rate, SECONDS)
    most = sampler.stop()
    refused = counts["refused_memory"] + counts["refused_busy"]
    print(f"sustainable {rate}/s, offered {FACTOR * rate}/s for {SECONDS} s: "
          f"sent {counts['sent']}, accepted {counts['accepted']}, refused {refused} "
          f"({counts['refused_memory']} for memory), late {counts['late']}; rss + kernel at most "
          f"{most / MIB:.1f} MiB of {(LIMIT - FREE) >> 20} in {len(sampler.samples)} samples; "
          f"cgroup peak {cgroup.peak() >> 20} MiB; oom_kill {cgroup.oom_kills()}")
    check_answers(counts)
    equal(counts["accepted"] > 0 and counts["refused_memory"] > 0, True, "both happened")
    equal(most <= LIMIT - FREE, True, f"{most} of {LIMIT - FREE}")
    equal(len(sampler.samples) > SECONDS * 20, True, "it was sampled")
    equal(cgroup.oom_kills(), 0, "oom_kill")
    equal(cgroup.peak() > LIMIT * 9 // 10, True, "page cache filled the cgroup")
    until("admission is open", lambda: pressure(server)["state"] == "normal" and
         server.get("/hoard?hoard")[0] == 200)


def another_fills_it(cgroup, server):
    """A process that is not ours takes most of the cgroup: refused until it is gone."""
    hog = in_cgroup(cgroup, 'exec python3 -c "$1"', f"a = b'x' * {176 * MIB}; import time; "
                    "time.sleep(600)")
    try:
        status, headers, body = until("a refusal", lambda: (
            lambda got: got if got[0] == 429 else None)(server.get("/hoard?hoard")), 60)
        answer = json.loads(body)
        equal((status, answer["error"], "Retry-After" in headers), (429, "memory", True), body)
    finally:
        end(hog)
    until("admission is open again", lambda: pressure(server)["state"] == "normal" and
         server.get("/hoard?hoard")[0] == 200, 60)
    equal(cgroup.oom_kills(), 0, "oom_kill")


def refuses_to_start(wrap):
    """The plan is for more than the cgroup has: said with figures and the knobs."""
    try:
        Server(CONFIG, wrap).close()
    except AssertionError as failure:
        said = str(failure)
        for words in ("the plan does not fit", "of 256 MiB (memory.limit_in_bytes of",
                      "The largest knobs", "memory_max", "--overcommit starts anyway"):
            equal(words in said, True, f"{words!r} in {said}")
        return
    raise AssertionError("it started although the plan does not fit")


def run(cgroup, wrap, folder):
    refuses_to_start(wrap)
    with serving(CONFIG, wrap, ("--overcommit",)) as server:
        cache = in_cgroup(cgroup, 'dd if=/dev/zero of="$1" bs=1M count=$2 2>/dev/null; '
                          'while :; do cat "$1" >/dev/null; '
                          'dd if=/dev/zero of="$1" bs=1M count=32 conv=notrunc 2>/dev/null; done',
                          os.path.join(folder, "file"), str(FILE_BYTES // MIB))
        try:
            until("page cache fills the cgroup",
                 lambda: cgroup.read("memory.usage_in_bytes") > LIMIT * 8 // 10, 120)
            overload(cgroup, server)
            another_fills_it(cgroup, server)
        finally:
            end(cache)
        log = server.read_log()
        for words in ("no memory", "Cannot allocate", "the system refused", "cannot start"):
            equal(words in log, False, f"the log says {words!r}: {log[-2000:]}")
        equal(server.memory()["holds"], True, "equation (a)")
        equal(server.stop(), 0, "a clean stop")


def main():
    parse_options()
    if os.geteuid() != 0:
        skip("a memory cgroup needs root")
    try:
        cgroup = Cgroup("overload", LIMIT)
    except OSError as error:
        skip(f"no memory cgroup can be made here: {error}")
    try:
        if cgroup.version != 1:
            skip("the figures of this test are those of cgroup v1")
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            run(cgroup, cgroup.enter(), folder)
    finally:
        cgroup.remove()


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
