#!/usr/bin/env python3
"""Signals shared with Go's runtime, in both orders: a Go program that embeds Weir by cgo, and a C
program that does and then loads a Go library. Guests trap while Go takes nil dereferences; what is
Go's still ends in Go's words.

usage: go_host.py --library DIR --include DIR --module FILE.wasm --late PROGRAM [--go GO]
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "node")]
from stand_in import find_go, go_environment  # noqa: E402
from weir_outcome import equal, skip  # noqa: E402

FORMS = {"guard": "behind", "explicit": "behind", "no-signals": "alone"}
CRASHES = {"crash": ("panic: runtime error: invalid memory address or nil pointer dereference",),
           "crash-in-c": ("main._Cfunc_guest_fault_in_c()",)}
ROUNDS = 20


def build(args, folder, output, *flags):
    environment = dict(go_environment(), CGO_CFLAGS=f"-D_GNU_SOURCE -I{args.include}",
                       CGO_LDFLAGS=f"-L{args.library} -lweir -Wl,-rpath,{args.library}")
    done = subprocess.run([args.go, "build", *flags, "-o", output, "."], cwd=folder,
                          env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{folder} does not build:\n{done.stderr}")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def check_go_host(args, program):
    for form, place in FORMS.items():
        done = run(program, args.module, form, str(ROUNDS))
        equal((done.returncode, done.stderr), (0, ""), form)
        print(done.stdout, end="")
        found = re.fullmatch(r"(\S+): (\d+) traps, (\d+) nil dereferences, (\d+) faults; "
                             r"Go's handler is (\w+)\n", done.stdout)
        equal(found.groups()[:2] + found.groups()[4:], (form, str(4 * ROUNDS * 8), place))
        equal(int(found[3]), int(found[2]) + 4 * ROUNDS, "a nil dereference per trap and callback")
    for form in FORMS:
        for crash, place in CRASHES.items():
            done = run(program, args.module, form, "1", crash)
            equal(done.returncode, 2, f"{crash} in form {form}")
            for words in (*place, "SIGSEGV: segmentation violation", "main.main()"):
                equal(words in done.stderr, True, f"{words} in\n{done.stderr}")


def check_late_go(args, plugin):
    for form in FORMS:
        done = run(args.late, args.module, form, plugin, str(ROUNDS))
        equal((done.returncode, done.stderr), (0, ""), form)
        equal(done.stdout, f"{form}: Go's handler came in front\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("library", "include", "module", "late"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--go", default=find_go())
    args = parser.parse_args()
    if args.go is None:
        skip("no Go 1.19 or later (package golang-go)")
    with tempfile.TemporaryDirectory() as folder:
        program, plugin = os.path.join(folder, "host"), os.path.join(folder, "plugin.so")
        build(args, HERE, program)
        build(args, os.path.join(HERE, "plugin"), plugin, "-buildmode=c-shared")
        check_go_host(args, program)
        check_late_go(args, plugin)


if __name__ == "__main__":
    main()
