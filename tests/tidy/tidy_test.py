#!/usr/bin/env python3
"""Tests tools/tidy: each bad tree below must give exactly the named finding, the good one none."""
import os
import re
import subprocess
import sys
import tempfile

TIDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "tidy")

GOOD = {
    "CMakeLists.txt": "add_subdirectory(src/base)\n",
    "src/base/CMakeLists.txt": "weir_add_library(weir_base SOURCES a.c)\n",
    "src/base/a.h": "/* A. */\n#include <weir/p.h>\nint a(void);\n",
    "src/base/a.c": "/* A. */\n#include \"base/a.h\"\n\nint a(void)\n{\n    return 1;\n}\n",
    "include/weir/p.h": "/* P. */\nint p(void);\n",
}


def body(lines):
    return "/* A. */\n#include \"base/a.h\"\n\nint a(void)\n{\n" + "    ;\n" * lines + "}\n"


def c_file(text):
    return {"src/base/a.c": GOOD["src/base/a.c"] + text}


# (which findings, files that replace or join the good tree)
CASES = [
    ("", {}),
    ("", {"src/base/a.c": body(70)}),
    ("", c_file('/* strcpy( */ static const char *b = "gets(";\n')),
    ("", c_file("int b(int a, int (*f)(int, int), int c, int d, int e, int g)\n{\n}\n")),
    ("src/base/a.c:5: function-length", {"src/base/a.c": body(71)}),
    ("src/base/a.c:8: parameters",
     c_file("int b(int a, int b, int c, int d,\n      int e, int f, int g)\n{\n}\n")),
    ("src/base/a.c:8: line-length", c_file("/*" + "x" * 97 + "*/\n")),
    ("src/base/a.c:801: file-length", c_file("\n" * 794)),
    ("src/base/a.c:1: opening", {"src/base/a.c": '#include "base/a.h"\n'}),
    ("src/base/a.c:8: banned", c_file("static int b = strcpy(x, y);\n")),
    ("src/base/a.c:8: dead-code", c_file("#if 0\n#endif\n")),
    ("src/base/a.c:8: marker", c_file("/* TO" "DO: more */\n")),
    ("src/base/b.c:1: dead-file", {"src/base/b.c": "/* B. */\n"}),
    ("", {"src/base/x_b.c": "/* B. */\n", "src/base/CMakeLists.txt":
          "weir_add_library(weir_base SOURCES a.c)\nforeach(name b)\nadd(x_${name}.c)\n"}),
    ("src/base/x_c.c:1: dead-file", {"src/base/x_c.c": "/* C. */\n", "src/base/CMakeLists.txt":
          "weir_add_library(weir_base SOURCES a.c)\nforeach(name b)\nadd(x_${name}.c)\n"}),
    ("src/base/b.h:1: dead-file", {"src/base/b.h": "/* B. */\n"}),
    ("src/base/a.c:8: arrow", c_file('#include "wasm/w.h"\n')),
    ("src/base/a.c:8: arrow", c_file("#include <base/a.h>\n")),
    ("include/weir/p.h:2: arrow include/weir/p.h:1: public-header",
     {"include/weir/p.h": '/* P. */\n#include "base/a.h"\n'}),
    ("tests/a.h:1: file-name",
     {"tests/a.h": "/* A. */\n"}),
    ("include/weir/p.h:1: public-header", {"include/weir/p.h": "/* P. */\nsize_t p(void);\n"}),
    ("include/weir/p.h:1: public-header", {"include/weir/p.h": "/* P. */\nint p(int class);\n"}),
]


def findings(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in {**GOOD, **files}.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        result = subprocess.run([TIDY, "--root", root], capture_output=True, text=True)
    lines = result.stdout.splitlines()[:-1]
    if result.stderr or result.returncode != (1 if lines else 0):
        lines.append(f"exit {result.returncode}: {result.stderr}")
    return lines


def main():
    failed = 0
    for want, files in CASES:
        lines = findings(files)
        places = {":".join(line.split(":")[:3]) for line in lines}
        if places != set(re.findall(r"\S+: \S+", want)):
            failed += 1
            print(f"want {want or 'nothing'}, got {lines}")
    print(f"{len(CASES)} trees, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
