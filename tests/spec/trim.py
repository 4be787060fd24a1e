#!/usr/bin/env python3
"""Converts a .wast file of which wast2json can read most: top-level forms that it complains about
are left out, with what depends on them, until it takes the rest. Prints how many were left out.

usage: trim.py FILE.wast FILE.json WAST2JSON-OPTION ...
"""
import os
import re
import subprocess
import sys
import tempfile

TOKEN = re.compile(r'\(;.*?;\)|;;[^\n]*|"(?:\\.|[^"\\])*"|[()]', re.S)
# What is meant for the module before it.
FOLLOWERS = ("(assert_return", "(assert_trap", "(assert_exhaustion", "(invoke", "(register", "(get")


def split_forms(text):
    """The (start, end) of each form on the top level."""
    forms = []
    depth = 0
    for token in TOKEN.finditer(text):
        if token.group() == "(":
            if depth == 0:
                start = token.start()
            depth += 1
        elif token.group() == ")":
            depth -= 1
            if depth == 0:
                forms.append((start, token.end()))
    return forms


def blank(text, start, end):
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def leave_out(text, line):
    """Blanks the form that covers the line, and the followers of a module. 0 when there is none."""
    position = [match.start() for match in re.finditer(r"^", text, re.M)][line - 1]
    position += len(re.match(r"\s*", text[position:]).group())
    forms = split_forms(text)
    index = next((i for i, (start, end) in enumerate(forms) if start <= position < end), None)
    if index is None:
        return text, 0
    last = index + 1
    if text.startswith("(module", forms[index][0]):
        while last < len(forms) and text.startswith(FOLLOWERS, forms[last][0]):
            last += 1
    for start, end in forms[index:last]:
        text = blank(text, start, end)
    return text, last - index


def convert(text, name, output, options):
    """Returns the line of the first complaint; 0 when there is none, -1 when it has no line."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        result = subprocess.run(["wast2json", *options, name, "-o", output], cwd=folder,
                                capture_output=True, text=True, errors="replace")
    if result.returncode == 0:
        return 0
    match = re.search(rf"^{re.escape(name)}:(\d+):\d+: error", result.stderr, re.M)
    return int(match.group(1)) if match else -1


def main():
    source, output, *options = sys.argv[1:]
    with open(source, encoding="utf-8", newline="") as file:
        text = file.read()
    count = 0
    line = convert(text, os.path.basename(source), os.path.abspath(output), options)
    while line > 0:
        text, dropped = leave_out(text, line)
        count += dropped
        if dropped == 0:
            break
        line = convert(text, os.path.basename(source), os.path.abspath(output), options)
    if line != 0:
        print(f"{os.path.basename(source)}: wast2json cannot read it")
        return 1
    if count:
        print(f"{os.path.basename(source)}: {count} forms left out that wast2json cannot read")
    return 0


if __name__ == "__main__":
    sys.exit(main())
