#!/usr/bin/env python3
"""The cases of tests/capi on peers: the same source, their <wasm.h>, their library.

usage: capi_peers.py --cc CC --sources DIR --modules DIR --work DIR [--offline]

Fetches what is not there yet with the Go client: modules whose releases carry the library and the
header of the WebAssembly organisation, named below by version and checksum. Cases that end
otherwise than on Weir are listed in peers.txt with the reason; one that is not listed fails the
test, and so does a listed one that ends well. The declarations of the first peer's header are
compared with ours, too.
"""
import argparse
import glob
import json
import os
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from weir_fetch import fetch as fetch_by  # noqa: E402
from weir_outcome import skip  # noqa: E402

PEERS = {
    "wasmtime": {
        "module": "github.com/bytecodealliance/wasmtime-go/v37@v37.0.0",
        "sum": "h1:DPjdn2V3JhXHMoZ2ymRqGK+y1bDyr9wgpyYCvhjMky8=",
        "include": "build/include",
        "link": ["build/linux-x86_64/libwasmtime.a"],
        "defines": [],
    },
    # An implementation of an earlier form of the header, where EXTERNREF was called ANYREF.
    "wasmer": {
        "module": "github.com/wasmerio/wasmer-go@v1.0.4",
        "sum": "h1:MnqHoOGfiQ8MMq2RF6wyCeebKOe84G88h5yv+vmxJgs=",
        "include": "wasmer/packaged/include",
        "link": ["wasmer/packaged/lib/linux-amd64/libwasmer.so"],
        "defines": ["-DWASM_EXTERNREF=WASM_ANYREF",
                    "-Dwasm_valtype_new_externref=wasm_valtype_new_anyref"],
    },
}


def fetch(name, offline):
    """The module's folder, or None and why."""
    peer = PEERS[name]
    if shutil.which("go") is None:
        return None, "go is not installed, which fetches the peers"
    # The checksum is compared below, so no data base of checksums need be asked.
    environment = dict(os.environ, GOFLAGS="-mod=mod", GOSUMDB="off", GOTOOLCHAIN="local")
    if offline:
        environment["GOPROXY"] = "off"
    done = fetch_by(["go", "mod", "download", "-json", peer["module"]], env=environment, cwd="/")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {"Error": done.stderr.strip() or "no answer"}
    if "Error" in answer:
        return None, f"{name} cannot be fetched: {answer['Error'].splitlines()[-1]}"
    if answer["Sum"] != peer["sum"]:
        sys.exit(f"{name} has the checksum {answer['Sum']}, not {peer['sum']}")
    return answer["Dir"], None


def undefined_symbols(text):
    return sorted({line.split("undefined reference to `")[1].split("'")[0]
                   for line in text.splitlines() if "undefined reference to `" in line})


def build(name, folder, args):
    """The program; calls that the library lacks end it like an unimplemented one."""
    peer = PEERS[name]
    program = os.path.join(args.work, f"capi_{name}")
    sources = sorted(glob.glob(os.path.join(args.sources, "cases_*.c")) +
                     [os.path.join(args.sources, part) for part in ("capi_main.c", "capi_world.c")])
    libraries = [os.path.join(folder, path) for path in peer["link"]]
    used = sources + glob.glob(os.path.join(args.sources, "*.h")) + [__file__]
    if os.path.exists(program) and \
            os.path.getmtime(program) > max(os.path.getmtime(path) for path in used):
        return program
    command = [args.cc, "-std=gnu17", "-O1", "-Wall", "-Wextra", *peer["defines"],
               f"-I{os.path.join(folder, peer['include'])}", f"-I{args.modules}",
               f"-I{args.sources}", *sources, "-o", program]
    tail = [*libraries, "-lpthread", "-ldl", "-lm",
            *[f"-Wl,-rpath,{os.path.dirname(path)}" for path in libraries]]
    done = subprocess.run(command + tail, capture_output=True, text=True)
    missing = undefined_symbols(done.stderr)
    if missing and all(symbol.startswith("wasm_") for symbol in missing):
        stubs = os.path.join(args.work, f"{name}_lacks.c")
        with open(stubs, "w", encoding="utf-8") as file:
            file.write("#include <stdlib.h>\n")
            file.writelines(f"void {symbol}(void) {{ abort(); }}\n" for symbol in missing)
        print(f"{name} lacks {len(missing)} functions")
        done = subprocess.run(command + [stubs] + tail, capture_output=True, text=True)
    if done.returncode != 0 or "warning:" in done.stderr:
        sys.exit(f"{name}: the cases do not compile with its header:\n{done.stderr[:4000]}")
    return program


def read_list(path):
    """peer -> case -> reason."""
    table, key, reason = {}, None, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            if not line.startswith(" "):
                key, reason = line.split(": ", 1)
            else:
                for case in line.split():
                    table.setdefault(key, {})[case] = reason
    return table


def compare(name, program, expected):
    environment = dict(os.environ, RUST_BACKTRACE="0")
    done = subprocess.run([program], capture_output=True, text=True, env=environment, timeout=240)
    ended = {}
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("ok", "failed", "crashed"):
            ended[rest.split(":")[0]] = line
    findings = []
    for case, line in ended.items():
        if line.startswith("ok ") == (case in expected):
            findings.append(f"{name}: {line}" if case not in expected else
                            f"{name}: {case} ends well, but is listed: {expected[case]}")
    findings += [f"{name}: {case} is listed, but there is no such case"
                 for case in expected if case not in ended]
    print(f"{name}: {len(ended)} cases, {len(ended) - len(expected)} as here, "
          f"{len(expected)} otherwise for reasons listed")
    return findings if ended else [f"{name}: no case was run\n{done.stderr[:2000]}"]


def compile_examples(name, folder, args):
    """examples/capi with the peer's header."""
    examples = sorted(glob.glob(os.path.join(args.sources, "../../examples/capi/*.c")))
    command = [args.cc, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
               *PEERS[name]["defines"], f"-I{os.path.join(folder, PEERS[name]['include'])}",
               *examples]
    done = subprocess.run(command, capture_output=True, text=True)
    print(f"{name}: {len(examples)} examples compiled with its header")
    return [] if done.returncode == 0 and examples else [f"{name}: examples:\n{done.stderr[:2000]}"]


def compare_header(folder, args):
    script = os.path.join(args.sources, "capi_declarations.py")
    tests = glob.glob(os.path.join(args.sources, "*.c"))
    root = os.path.join(args.sources, "../..")
    command = [sys.executable, script, "--cc", args.cc, "--header",
               os.path.join(root, "include/wasm.h"), "--list",
               os.path.join(args.sources, "declarations.txt"), "--tests", *tests,
               *[f"-I{path}" for path in (os.path.join(root, "include"), os.path.join(root, "src"),
                                          root, args.modules, args.sources)],
               "--official", os.path.join(folder, PEERS["wasmtime"]["include"], "wasm.h")]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout, end="")
    return [] if done.returncode == 0 else ["the declarations are not those of the official header"]


def main():
    parser = argparse.ArgumentParser()
    for option in ("--cc", "--sources", "--modules", "--work"):
        parser.add_argument(option, required=True)
    parser.add_argument("--offline", action="store_true")
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    expected = read_list(os.path.join(args.sources, "peers.txt"))
    findings, absent = [], []
    for name in PEERS:
        folder, reason = fetch(name, args.offline)
        if folder is None:
            absent.append(reason)
            continue
        if name == "wasmtime":
            findings += compare_header(folder, args)
        findings += compile_examples(name, folder, args)
        findings += compare(name, build(name, folder, args), expected.get(name, {}))
    print("\n".join(findings + absent))
    if findings:
        sys.exit(1)
    if absent:
        skip("; ".join(absent))


main()
