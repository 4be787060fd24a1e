#!/usr/bin/env python3
"""Sizes are read by one grammar everywhere: every option whose help says SIZE, of every subcommand,
and every key of weir.yaml that is a size. What is wrong is refused with the grammar shown.

usage: sizes.py --program BUILD/bin/weir --source DIR
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

GRAMMAR = "a number with B, K/KB/KiB, M/MB/MiB, G/GB/GiB or T/TB/TiB (1024-based)"
BAD = ("-1GB", "+1GB", "1GB junk", "1 GB", "1G B", "GB", "1.5", "1e3MB", "0x10MB", "1_000MB", "1XB",
       "8388608TB0", "99999999999TB", "18446744073709551616")
GOOD = ("33554432", "32MB", "32mb", "32MiB", "32M", "0.03125GiB", "32768K", "0.00003125T")

ROUTE = "path: /a, module: a.wasm"
KEYS = {
    "memory_max": "memory_max: %s\nroutes: [ { " + ROUTE + " } ]\n",
    "governor.mem_free_limit":
        "governor: { mem_free_limit: %s }\nroutes: [ { " + ROUTE + " } ]\n",
    "governor.mem_free_leave":
        "governor: { mem_free_leave: %s }\nroutes: [ { " + ROUTE + " } ]\n",
    **{f"module_cache.{key}":
       "module_cache: { " + key + ": %s }\nroutes: [ { " + ROUTE + " } ]\n"
       for key in ("memory_max", "pinned_max", "disk_max")},
    "memory_max of a route":
        "routes: [ { " + ROUTE + ", memory_max: %s, limits: { memory: 4MiB } } ]\n",
    "log.queue": "log: { queue: %s }\nroutes: [ { " + ROUTE + " } ]\n",
    "control.upload_max": "modules: m\ncontrol: { token: t, upload_max: %s }\n"
                          "routes: [ { " + ROUTE + " } ]\n",
    "memory": "routes: [ { " + ROUTE + ", limits: { memory: %s } } ]\n",
    "guaranteed": "routes: [ { " + ROUTE + ", limits: { memory: 64MiB, guaranteed: %s } } ]\n",
    **{f"recycle.{key}":
       "routes: [ { " + ROUTE + ", mode: resident, recycle: { " + key + ": %s } } ]\n"
       for key in ("memory", "linear")},
    "body": "routes: [ { " + ROUTE + ", limits: { body: %s } } ]\n",
    "output": "routes: [ { " + ROUTE + ", limits: { output: %s } } ]\n",
}


def ask(program, *arguments, folder=None):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60,
                          cwd=folder, stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout + done.stderr


def size_options(program):
    """(subcommand, option) of all that take a SIZE."""
    commands = re.findall(r"^  (\w+) +\w", ask(program, "help")[1], re.M)
    found = [(command, option) for command in commands
             for option in re.findall(r"--([\w-]+) SIZE\b", ask(program, command, "--help")[1])]
    assert len(found) >= 5, f"options: {found}"
    return found


def check(what, code, text, is_good, failures):
    shows = GRAMMAR in text
    if is_good and shows:
        failures.append(f"{what}: refused, but it is a size: {text[:200]}")
    elif not is_good and (code == 0 or not shows):
        failures.append(f"{what}: exit {code}, the grammar is not shown: {text[:200]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--source", required=True)
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    failures = []
    count = 0
    for command, option in size_options(options.program):
        for value in BAD + GOOD:
            code, text = ask(options.program, command, f"--{option}={value}", "--no-such-option")
            check(f"weir {command} --{option}={value}", code, text, value in GOOD, failures)
            count += 1
    read = 0
    for name in ("server_config.c", "config_modes.c"):
        with open(f"{options.source}/src/server/{name}", encoding="utf-8") as file:
            read += len(re.findall(r"\bread(?:_|->)size\(loader,", file.read()))
    if read != len(KEYS):
        failures.append(f"weir.yaml's readers read {read} sizes, this test knows {len(KEYS)}")
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/a.wasm", "w", encoding="ascii"):
            pass
        for key, text in KEYS.items():
            for value in BAD + GOOD:
                with open(f"{folder}/w.yaml", "w", encoding="utf-8") as file:
                    file.write(text % f"'{value}'")
                code, said = ask(options.program, "plan", "w.yaml", "--memory", "100GB",
                                 folder=folder)
                check(f"{key}: {value}", code, said, value in GOOD, failures)
                count += 1
    print("\n".join(failures) if failures else f"{count} sizes are read as they should be")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
