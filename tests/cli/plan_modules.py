#!/usr/bin/env python3
"""What `weir plan` takes a module's code for before it is compiled is never less than what it then
is: over every guest that was built. And what is compiled counts with its artifact.

usage: plan_modules.py --program BUILD/bin/weir --guests BUILD/guests
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile


def plan(program, folder, module):
    path = os.path.join(folder, "w.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"cache: {folder}/cache\nroutes: [ {{ path: /a, module: {module} }} ]\n")
    text = subprocess.run([program, "plan", path, "--json", "--memory", "64GB"],
                          capture_output=True, text=True, check=True).stdout
    line = next(line for line in json.loads(text)["lines"] if line["name"] == "module_code")
    return line["bytes"], line["source"]["kind"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--guests", required=True)
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    checked, worst = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for module in sorted(glob.glob(os.path.abspath(options.guests) + "/*.wasm")):
            guess, kind = plan(options.program, folder, module)
            done = subprocess.run([options.program, "compile", "-q", "--cache", folder + "/cache",
                                   module], capture_output=True, check=False)
            if done.returncode != 0:
                continue  # the invalid ones
            measured, now = plan(options.program, folder, module)
            assert (kind, now) == ("estimate", "measured"), f"{module}: {kind}, then {now}"
            assert 0 < measured <= guess, f"{module}: {measured} compiled, {guess} planned"
            checked += 1
            worst = max(worst, measured / os.path.getsize(module)
                        if os.path.getsize(module) > 16384 else 0)
    assert checked >= 5, f"only {checked} modules"
    print(f"{checked} modules; at most {worst:.2f} times the module")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
