#!/usr/bin/env python3
"""The functions that include/ declares: as a map for the linker, and compared with a library.

usage: public_symbols.py --cc CC --root DIR [--map FILE] [--library FILE]

--map writes the version script that libweir.so is linked with; --library says what the library
exports without a declaration, or declares without exporting (exit 1).
"""
import argparse
import glob
import os
import re
import subprocess
import sys

VERSION = "WEIR_0"


def preprocess(cc, path, includes):
    """The text that comes from the file itself, macros expanded."""
    command = [cc, "-std=gnu17", "-E", "-x", "c", *[f"-I{folder}" for folder in includes], path]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    kept, is_own = [], False
    for line in done.stdout.splitlines():
        marker = re.match(r'# \d+ "([^"]*)"', line)
        if marker:
            is_own = os.path.realpath(marker[1]) == os.path.realpath(path)
        elif is_own:
            kept.append(line)
    return "\n".join(kept)


def statements(text):
    """Statements of file scope; a function's body is cut to {}."""
    text = re.sub(r'extern "C" \{', "", text)
    depth, start, found = 0, 0, []
    for at, char in enumerate(text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == ";" and depth == 0:
            found.append(text[start:at])
            start = at + 1
        elif char == "}" and depth == 0 and re.match(r"\s*(static )?inline", text[start:]):
            found.append(text[start:text.index("{", start)] + "{}")
            start = at + 1
    return [re.sub(r"\s+", " ", one).strip() for one in found if one.strip()]


def functions(root, cc):
    include = os.path.join(root, "include")
    names = set()
    for path in [os.path.join(include, "wasm.h"), *glob.glob(f"{include}/weir/*.h")]:
        for one in statements(preprocess(cc, path, [include])):
            name = re.search(r"\b(\w+) ?\(", one)
            if name and "{" not in one and not one.startswith(("typedef", "_Static_assert")):
                names.add(name[1])
    return names


def write_map(path, names):
    lines = "".join(f"    {name};\n" for name in sorted(names))
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{VERSION} {{\n  global:\n{lines}  local:\n    *;\n}};\n")


def exported(library):
    done = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                          check=True)
    return {line.split()[-1] for line in done.stdout.splitlines() if line.split()[1] != "A"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--map")
    parser.add_argument("--library")
    args = parser.parse_args()
    names = functions(args.root, args.cc)
    findings = []
    if args.map:
        write_map(args.map, names)
    if args.library:
        wanted = {f"{name}@@{VERSION}" for name in names}
        has = exported(args.library)
        findings += [f"declared, but not exported: {name}" for name in sorted(wanted - has)]
        findings += [f"exported, but not declared: {name}" for name in sorted(has - wanted)]
        print("\n".join(findings + [f"{len(names)} functions"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
