#!/usr/bin/env python3
"""Runs a chapter and compares what it prints with a file, line by line; `*` stands for anything.

usage: chapter_check.py EXPECTED [--update] PROGRAM [ARG ...]

It fails too when the program ends with another code than 0. --update writes the file instead.
"""
import re
import subprocess
import sys


def matches(wanted, line):
    return re.fullmatch(".*".join(re.escape(part) for part in wanted.split("*")), line)


def main():
    path, command = sys.argv[1], sys.argv[2:]
    is_update = command[0] == "--update"
    done = subprocess.run(command[is_update:], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}exit code {done.returncode}")
    if is_update:
        with open(path, "w", encoding="utf-8") as file:
            file.write(done.stdout)
        return
    with open(path, encoding="utf-8") as file:
        wanted = file.read().splitlines()
    lines = done.stdout.splitlines()
    if len(lines) != len(wanted):
        sys.exit(f"{done.stdout}{len(lines)} lines, {path} has {len(wanted)}")
    for number, (line, pattern) in enumerate(zip(lines, wanted), 1):
        if not matches(pattern, line):
            sys.exit(f"line {number}:\n  printed  {line}\n  expected {pattern}")


main()
