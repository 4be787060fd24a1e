"""What accounting and census cost: their instructions among all, counted by callgrind.

Two ways of work for two guests: a request as `weir serve` has it, and a whole life from store to
close; a guest that says hello in 5,000 instructions, and one that upper-cases 64 KiB. Counted is
what lies in src/ledger and in the census, inlined parts too, and what they call but for the
allocation itself. Left out of all is copying and zeroing by string instructions, which valgrind
counts by the byte."""
import os
import re
import shutil
import subprocess
import tempfile

import figures
from programs import BenchError, environment

OURS = re.compile(r"/src/ledger/|/src/runtime/census|/include/weir/(account|census)\.h")
# The work that is accounted for, not the accounting.
ALLOCATION = re.compile(r"malloc|calloc|aligned_alloc|^free|mmap|munmap|madvise|mprotect|memset")
BY_THE_BYTE = re.compile(r"weir__copy_guarded|memset|memcpy|memmove")
POSITION = re.compile(r"^[+\-*0-9]")


class Profile:
    """A callgrind file: own instructions by (file, function), and calls with what they cost."""

    def __init__(self, path):
        self.own = {}
        self.calls = {}  # (file, function) of the caller, function called -> instructions
        self.names = {"file": {}, "function": {}}
        with open(path, encoding="utf-8", errors="replace") as file:
            self.read(file)

    def name(self, kind, text):
        found = re.match(r"\((\d+)\)(?: (.*))?", text)
        if found[2] is not None:
            self.names[kind][found[1]] = found[2]
        return self.names[kind].get(found[1], "???")

    def read(self, lines):
        file = function = called = None
        is_call = False
        for line in lines:
            key, _, value = line.rstrip("\n").partition("=")
            if key in ("fl", "fi", "fe"):
                file = self.name("file", value)
            elif key == "fn":
                function = self.name("function", value)
            elif key in ("cfi", "cfl"):
                self.name("file", value)
            elif key == "cfn":
                called = self.name("function", value)
            elif key == "calls":
                is_call = True
            elif POSITION.match(line):
                cost = int(line.split()[1])
                if is_call:
                    at = ((file, function), called)
                    self.calls[at] = self.calls.get(at, 0) + cost
                else:
                    self.own[file, function] = self.own.get((file, function), 0) + cost
                is_call = False


def shares(path):
    """Instructions of accounting, and of everything."""
    profile = Profile(path)
    all_of_them = sum(cost for (_, function), cost in profile.own.items()
                      if not BY_THE_BYTE.search(function))
    functions = {function for file, function in profile.own if OURS.search(file)}
    ours = sum(cost for (file, function), cost in profile.own.items()
               if OURS.search(file) and not BY_THE_BYTE.search(function))
    ours += sum(cost for ((file, _), called), cost in profile.calls.items()
                if OURS.search(file) and called not in functions
                and not ALLOCATION.search(called))
    return ours, all_of_them


def count(run, mode, guest, cycles):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=work",
                   f"--callgrind-out-file={out}", os.path.join(run.build, "bench/bench_work"), mode,
                   guest, str(cycles)]
        done = subprocess.run(command, capture_output=True, text=True,
                              env=environment(run.build))
        if done.returncode != 0 or not os.path.exists(out):
            raise BenchError(f"callgrind: {done.stderr.strip()[-500:]}")
        return shares(out)


def measure(run):
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is not installed, which has callgrind")
    result, lines = {}, []
    for guest in ("hello", "transform"):
        path = os.path.join(run.build, f"guests/{guest}.wasm")
        if not os.path.exists(path):
            run.peers.skipped[guest] = "the example guest is not built"
            continue
        if run.is_smoke and lines:
            break
        cycles = 3 if run.is_smoke else 50
        for mode in ("request", "life"):
            ours, total = count(run, mode, path, cycles)
            result[f"{mode}_{guest}"] = {"accounting": ours / cycles, "all": total / cycles}
            lines.append(figures.line(f"accounting, {mode}, {guest}", 1, "%", 100 * ours / total,
                                      note=f"{ours / cycles:,.0f} of {total / cycles:,.0f} "
                                           f"instructions"))
    if not lines:
        raise BenchError("no example guest is built")
    return {"unit": "instructions", "engines": {"Weir": result}, "lines": lines}
