#!/usr/bin/env python3
"""Every option that --help prints is in the command's man page, and the other way round; every key
of weir.yaml that the schema knows is in weir.yaml(5).

usage: man_complete.py --program BUILD/bin/weir --source SOURCE_DIR
"""
import argparse
import re
import subprocess
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--source", required=True)
    options = parser.parse_args()
    missing = []
    for command in ("run", "serve", "compile", "contract", "cache", "inspect", "plan", "guard",
                    "doctor", "deploy", "top", "canister"):
        text = subprocess.run([options.program, command, "--help"], capture_output=True, text=True,
                              check=True).stdout
        known = set(re.findall(r"^  (?:-\w, |    )--([a-z-]+)", text, re.M)) - {"help", "version"}
        assert known, command
        page = read(f"{options.source}/man/weir-{command}.1.scd")
        body = page[page.index("# OPTIONS"):]
        told = set(re.findall(r"\*--([a-z-]+)\*", body[:body.find("\n# ", 5)]))
        missing += [f"weir-{command}(1) does not tell --{name}" for name in known - told]
        missing += [f"weir-{command}(1) tells --{name}, which is not there"
                    for name in told - known]
    page = read(f"{options.source}/man/weir.yaml.5.scd")
    schema = read(f"{options.source}/src/server/config_schema.c")
    keys = set(re.findall(r"(?:TEXT|LIST)\(struct \w+, (\w+)\)", schema))
    assert len(keys) > 20, keys
    missing += [f"weir.yaml(5) does not tell {key}" for key in keys if f"*{key}*" not in page]
    print("\n".join(missing) if missing else f"{len(keys)} keys and all options are told")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
