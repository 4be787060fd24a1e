#!/usr/bin/env python3
"""libweir.so exports what include/ declares, each under its version, and nothing else.

usage: library_symbols.py --cc CC --root DIR [--library FILE] [--update]

cmake/libweir.map is the list; --update writes it anew from the headers.
"""
import argparse
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../capi"))
import capi_declarations  # noqa: E402

VERSION = "WEIR_0"


def functions(root, cc):
    include = os.path.join(root, "include")
    names = set()
    for path in [os.path.join(include, "wasm.h"), *glob.glob(f"{include}/weir/*.h")]:
        for one in capi_declarations.statements(
                capi_declarations.preprocess(cc, path, [include])):
            name = capi_declarations.re.search(r"\b(\w+) ?\(", one)
            if name and "{" not in one and not one.startswith(("typedef", "_Static_assert")):
                names.add(name[1])
    return names


def map_text(names):
    lines = "".join(f"    {name};\n" for name in sorted(names))
    return ("/* What libweir.so exports: the functions of include/. Written by\n"
            " * tests/library/library_symbols.py --update. */\n"
            f"{VERSION} {{\n  global:\n{lines}  local:\n    *;\n}};\n")


def exported(library):
    done = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                          check=True)
    return {line.split()[-1] for line in done.stdout.splitlines() if line.split()[1] != "A"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--library")
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    names = functions(args.root, args.cc)
    path = os.path.join(args.root, "cmake/libweir.map")
    if args.update:
        with open(path, "w", encoding="utf-8") as file:
            file.write(map_text(names))
    findings = []
    with open(path, encoding="utf-8") as file:
        if file.read() != map_text(names):
            findings.append("cmake/libweir.map is not what include/ declares (--update)")
    if args.library:
        wanted = {f"{name}@@{VERSION}" for name in names}
        has = exported(args.library)
        findings += [f"not exported: {name}" for name in sorted(wanted - has)]
        findings += [f"exported, but not declared: {name}" for name in sorted(has - wanted)]
    print("\n".join(findings + [f"{len(names)} functions"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
