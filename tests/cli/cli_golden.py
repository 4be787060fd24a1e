#!/usr/bin/env python3
"""Golden tests of the command line: each case of cases.txt is run by sh in an empty folder with
`weir` and the guests at hand; its exit code, stdout and stderr are compared with golden/CASE.

usage: cli_golden.py --program BUILD/bin/weir --guests BUILD/guests [--update] [CASE ...]
With --cases DIR the cases and golden files of another folder; with --exact nothing is replaced.

What differs from run to run is replaced before comparing: times, sizes of this process, folders.
"""
import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

REPLACEMENTS = [
    (r"\b\d+(\.\d+)? (ns|us|ms|s)\b(?! is over)", "TIME"),
    (r"\b0x[0-9a-f]+\b", "0xOFFSET"),
    (r"(http://127\.0\.0\.1):\d+", r"\1:PORT"),
    (r" +\d+\.\d MiB  ", "  N.N MiB  "),
    (r"used [\d.]+ [KM]iB", "used N"),
    (r"handle [\d.]+ (Ki)?B", "handle N"),
    (r"at most [\d.]+ [KM]iB\n", "at most N\n"),
    (r"(accessible|reserved|private|file-backed|peak) [\d.]+", r"\1 N"),
    (r"\d+\.\d %", "N.N %"),
]


def read_cases(folder):
    cases = {}
    name = None
    with open(os.path.join(folder, "cases.txt"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("== "):
                name = line[3:].strip()
                assert name not in cases, name
                cases[name] = ""
            elif name and not line.startswith("#"):
                cases[name] += line
    return cases


def run(script, options):
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.path.dirname(os.path.abspath(options.program)) + ":/usr/bin:/bin",
                       "GUESTS": os.path.abspath(options.guests), "HOME": folder, "LANG": "C",
                       "CASES": os.path.abspath(options.cases)}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "WEIR_LIBEXEC"):
            if name in os.environ:
                environment[name] = os.environ[name]
        done = subprocess.run(["sh", "-c", script], cwd=folder, env=environment, timeout=120,
                              capture_output=True, stdin=subprocess.DEVNULL, check=False)
        text = f"exit {done.returncode}\n"
        for title, output in (("stdout", done.stdout), ("stderr", done.stderr)):
            if output:
                text += f"--- {title}\n" + output.decode("utf-8", "backslashreplace")
                text += "" if text.endswith("\n") else "\n(no newline at the end)\n"
        text = text.replace(folder, "FOLDER").replace(environment["GUESTS"], "GUESTS")
        text = text.replace(environment["CASES"], "CASES")
        for pattern, replacement in [] if options.exact else REPLACEMENTS:
            text = re.sub(pattern, replacement, text)
        return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--guests", required=True)
    parser.add_argument("--cases", default=HERE)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    cases = read_cases(options.cases)
    failed = 0
    require_all = os.environ.get("WEIR_REQUIRE_ALL") == "1"
    for name in options.names or cases:
        absent = [guest for guest in re.findall(r"GUESTS/(\w+\.wasm)", cases[name])
                  if not os.path.exists(os.path.join(options.guests, guest))]
        if absent:
            print(f"skip: {name}: {absent[0]} is not built")
            failed += require_all
            continue
        got = run(cases[name], options)
        path = os.path.join(options.cases, "golden", name)
        if options.update:
            with open(path, "w", encoding="utf-8") as file:
                file.write(got)
            continue
        wanted = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                wanted = file.read()
        if got != wanted:
            failed += 1
            print(f"FAIL {name}: {cases[name].strip()}")
            sys.stdout.writelines(difflib.unified_diff(
                wanted.splitlines(True), got.splitlines(True), "golden", "got"))
    left = set(os.listdir(os.path.join(options.cases, "golden"))) - set(cases)
    for name in sorted(left):
        failed += 1
        print(f"FAIL golden/{name} belongs to no case")
    print(f"{len(options.names or cases)} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
