#!/usr/bin/env python3
"""Every declaration of include/wasm.h: called by a test, listed, and that of the official header.

usage: capi_declarations.py --cc CC --header FILE --list FILE --tests FILE ... [-I DIR ...]
                            [--official FILE] [--update]

The list (tests/capi/declarations.txt) has one line per function and type, as they are declared
here. With --official, each prototype and type is declared once more behind that header, which the
compiler refuses when they differ in anything, and no name of that header may be missing here.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))
from public_symbols import preprocess, statements  # noqa: E402

# Of this header alone: short-hands behind the API.
OWN = {"weir_wasm_functype"}


def declared(text):
    """name -> statement, of functions and types."""
    names = {}
    for one in statements(text):
        if one.startswith("_Static_assert"):
            continue
        if one.startswith("typedef"):
            callback = re.search(r"\(\* ?(\w+)\)", one)
            names[callback[1] if callback else one.split()[-1]] = one
        elif one.startswith("enum"):
            names["enum " + one.split()[1]] = one
        elif "(" in one:
            names[re.search(r"(\w+) ?\(", one)[1]] = one
    return names


def check_called(names, args):
    called = set()
    for path in args.tests:
        text = preprocess(args.cc, path, args.I)
        called |= set(re.findall(r"\b(wasm_\w+)\b", text))
    missing = [name for name, one in names.items()
               if "(" in one and not one.startswith("typedef") and name.startswith("wasm_")
               and name not in called]
    return [f"no test calls {name}" for name in missing]


def check_list(names, args):
    text = "".join(f"{names[name]}\n" for name in sorted(names))
    if args.update:
        with open(args.list, "w", encoding="utf-8") as file:
            file.write(text)
    with open(args.list, encoding="utf-8") as file:
        listed = file.read()
    if listed == text:
        return []
    differ = set(listed.splitlines()) ^ set(text.splitlines())
    return [f"{args.list} does not have it so: {one} (--update)" for one in sorted(differ)]


def check_official(names, args):
    official = declared(preprocess(args.cc, args.official, []))
    found = [f"the official header has {name}" for name in official if name not in names]
    more = sorted(set(names) - set(official) - OWN)
    shared = [name for name in names if name in official and "{}" not in names[name]]
    lines = [f'#include "{args.official}"']
    for name in shared:
        one = names[name]
        if one.startswith("typedef struct") and "{" in one:
            continue  # a struct is compared by its members, below
        if not one.startswith("enum"):
            lines.append(one + ";")
    for name in shared:
        if "{" not in names[name] or "(" in names[name]:
            continue
        ours, theirs = (re.findall(r"\w+|[*=]", table[name]) for table in (names, official))
        # Later versions append enumerators.
        if ours != theirs and not (name.startswith("enum") and ours[:len(theirs)] == theirs):
            found.append(f"{names[name]} is {official[name]}")
    with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        done = subprocess.run([args.cc, "-std=gnu17", "-fsyntax-only", file.name],
                              capture_output=True, text=True)
    if done.returncode != 0:
        found.append(done.stderr)
    print(f"{len(shared)} declarations as in {os.path.basename(args.official)}; "
          f"{len(more)} that it lacks: {' '.join(more)}")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("--header", required=True)
    parser.add_argument("--list", required=True)
    parser.add_argument("--tests", nargs="+", required=True)
    parser.add_argument("-I", action="append", default=[])
    parser.add_argument("--official")
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    names = declared(preprocess(args.cc, args.header, []))
    found = check_called(names, args) + check_list(names, args)
    if args.official:
        found += check_official(names, args)
    for one in found:
        print(one)
    print(f"{len(names)} declarations")
    return 1 if found else 0


sys.exit(main())
