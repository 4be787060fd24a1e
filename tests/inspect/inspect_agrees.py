#!/usr/bin/env python3
"""What `weir inspect --for WORLD` says is what the world does: every module of this file, every
guest that was built, and what other tests have fetched (--also) is given to all four worlds.

usage: inspect_agrees.py --program BUILD/bin/weir --wat2wasm wat2wasm --guests DIR [--also DIR ...]
"""
import argparse
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, ".."), os.path.join(HERE, "../http")]
sys.dont_write_bytecode = True
import weir_http  # noqa: E402

COMMAND = '(func (export "_start"))'
REACTOR = '(func (export "_initialize")) (func (export "f"))'
PLUGIN = '(memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))'
CONTRACT = ('(memory (export "memory") 1) (func (export "interface_version_8")) '
            '(func (export "allocate") (param i32) (result i32) i32.const 0) '
            '(func (export "deallocate") (param i32))')
CANISTER = '(memory 1) (func (export "canister_update f"))'
FLOAT = '(func (drop (f64.add (f64.const 1) (f64.const 2))))'
FILL = '(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))'
STARTED = '(func $s) (start $s)'

# name: (whether its own world takes it, module, flags of wat2wasm)
MODULES = {
    "empty": (True, "", ()),
    "command": (True, COMMAND, ()),
    "command_started": (True, COMMAND + STARTED, ()),
    "command_parameter": (False, '(func (export "_start") (param i32))', ()),
    "command_result": (False, '(func (export "_start") (result i32) i32.const 0)', ()),
    "command_not_function": (True,
                             '(global (export "_start") i32 (i32.const 0))', ()),
    "reactor": (True, REACTOR, ()),
    "reactor_parameter": (False,
                          '(func (export "_initialize") (param i32)) (func (export "f"))', ()),
    "snapshot_0": (True,
                   '(import "wasi_unstable" "fd_close" (func (param i32) (result i32)))'
                   + COMMAND, ()),
    "snapshot_0_later": (False, '(import "wasi_unstable" "sock_accept" '
                         '(func (param i32 i32 i32) (result i32)))' + COMMAND, ()),
    "wasi_type": (False,
                  '(import "wasi_snapshot_preview1" "fd_close" (func (param i32)))' + COMMAND,
                  ()),
    "wasi_exit": (True, '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))'
                  + COMMAND, ()),
    "wasi_global": (False,
                    '(import "wasi_snapshot_preview1" "fd_close" (global i32))' + COMMAND, ()),
    "no_such_world": (False,
                      '(import "wbg" "a" (func)) (import "b" "m" (memory 1))' + COMMAND, ()),
    "memory64": (False, '(memory i64 1)' + COMMAND, ("--enable-memory64",)),
    "tail_call": (True, '(func $f) (func (return_call $f))' + COMMAND, ("--enable-tail-call",)),
    "two_memories": (False, "(memory 1) (memory 1)" + COMMAND, ("--enable-multi-memory",)),
    "simd_code": (False, "(func (drop (v128.const i64x2 0 0)))" + COMMAND, ()),
    "simd_local": (False, "(func (local v128))" + COMMAND, ()),
    "simd_parameter": (False, "(func (param v128))" + COMMAND, ()),
    "simd_type": (True, "(type (func (param v128)))" + COMMAND, ()),
    "plugin": (True, PLUGIN, ()),
    "plugin_oldest": (True, PLUGIN.replace("0_2_1", "0_1_0"), ()),
    "plugin_unknown_abi": (False, PLUGIN.replace("0_2_1", "0_3_0"), ()),
    "plugin_without_memory": (False, '(func (export "proxy_abi_version_0_2_0"))', ()),
    "plugin_memory_name": (False, PLUGIN.replace('"memory"', '"mem"'), ()),
    "plugin_started": (True, PLUGIN + STARTED, ()),
    "plugin_large": (True, PLUGIN.replace(") 1)", ") 550)"), ()),
    "plugin_wasi_unknown": (True, '(import "wasi_snapshot_preview1" "thread_spawn" '
                            '(func (param i32) (result i32)))' + PLUGIN, ()),
    "plugin_wasi_unknown_wide": (False, '(import "wasi_snapshot_preview1" "thread_spawn" '
                                 '(func (param i32) (result i64)))' + PLUGIN, ()),
    "plugin_wasi_type": (False, '(import "wasi_unstable" "fd_close" (func (result i32)))' + PLUGIN,
                         ()),
    "plugin_log": (True, '(import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))'
                   + PLUGIN, ()),
    "plugin_log_type": (False, '(import "env" "proxy_log" (func (param i32 i32) (result i32)))'
                        + PLUGIN, ()),
    "plugin_growth": (True, '(import "env" "emscripten_notify_memory_growth" '
                      '(func (param i32)))' + PLUGIN, ()),
    "plugin_headers_2": (True, PLUGIN + '(func (export "proxy_on_request_headers") '
                         '(param i32 i32) (result i32) i32.const 0)', ()),
    "plugin_headers_1": (False, PLUGIN + '(func (export "proxy_on_request_headers") (param i32) '
                         '(result i32) i32.const 0)', ()),
    "plugin_headers_wide": (False, PLUGIN + '(func (export "proxy_on_request_headers") '
                            '(param i32 i64 i32) (result i32) i32.const 0)', ()),
    "plugin_body_2": (False, PLUGIN + '(func (export "proxy_on_request_body") (param i32 i32) '
                      '(result i32) i32.const 0)', ()),
    "plugin_malloc": (True, PLUGIN + '(func (export "malloc") (param i32) (result i32) '
                      'i32.const 0)', ()),
    "plugin_table": (False, '(import "env" "table" (table 1 funcref))' + PLUGIN, ()),
    "contract": (True, CONTRACT, ()),
    "contract_floats": (True, CONTRACT + FLOAT, ()),
    "contract_started": (True, CONTRACT + STARTED, ()),
    "contract_bulk": (False, CONTRACT + FILL, ()),
    "contract_simd": (False, CONTRACT + "(func (drop (v128.const i64x2 0 0)))", ()),
    "contract_old": (False, CONTRACT.replace("version_8", "version_5"), ()),
    "contract_maximum": (False, CONTRACT.replace(") 1)", ") 1 2)"), ()),
    "contract_large": (False, CONTRACT.replace(") 1)", ") 550)"), ()),
    "contract_most": (True, CONTRACT.replace(") 1)", ") 512)"), ()),
    "contract_import": (False, '(import "env" "db_drop" (func (param i32)))' + CONTRACT, ()),
    "contract_global": (False, '(import "env" "db_read" (global i32))' + CONTRACT, ()),
    "contract_capability": (False, CONTRACT + '(func (export "requires_gold"))', ()),
    "contract_table": (False, CONTRACT + "(table 1 funcref)", ()),
    "contract_locals": (False, CONTRACT + f"(func (local {'i32 ' * 101}))", ()),
    "canister": (True, CANISTER, ()),
    "canister_64": (True, CANISTER.replace("(memory 1)", "(memory i64 1)"),
                    ("--enable-memory64",)),
    "canister_import": (False, '(import "ic0" "no_such_thing" (func))' + CANISTER, ()),
    "canister_width": (False, '(import "ic0" "debug_print" (func (param i64 i64)))' + CANISTER, ()),
    "canister_width_64": (True, '(import "ic0" "debug_print" (func (param i64 i64)))'
                          + CANISTER.replace("(memory 1)", "(memory i64 1)"),
                          ("--enable-memory64",)),
    "canister_wasi": (False, '(import "wasi_snapshot_preview1" "fd_close" '
                      '(func (param i32) (result i32)))' + CANISTER, ()),
    "canister_method_type": (False, '(func (export "canister_query q") (param i32))', ()),
    "canister_twice": (False, CANISTER + '(func (export "canister_query f"))', ()),
    "canister_entry": (False, CANISTER + '(func (export "canister_on_fire"))', ()),
    "canister_started": (True, CANISTER + STARTED, ()),
    "canister_large": (True, CANISTER.replace("(memory 1)", "(memory 550)"), ()),
    "canister_globals": (False, CANISTER + "(global i32 (i32.const 0))" * 1001, ()),
    "invalid": (False, "(func (result i32))" + COMMAND + PLUGIN, ("--no-check",)),
}
# By the beginning of a module's name.
HOMES = {"plugin": "envoy", "contract": "wasmd", "canister": "ic", "packed": "ic"}


class Options:
    program = None
    state = None


def weir(*words):
    return subprocess.run([Options.program, *words], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=120)


def verdict(world, path):
    done = weir("inspect", "--for", world, "--json", path)
    assert done.returncode in (0, 6), (world, path, done.returncode, done.stderr)
    facts = json.loads(done.stdout)
    assert facts["taken"] == (done.returncode == 0), (world, path)
    said = facts["missing_imports"] or facts["refusals"]
    assert facts["taken"] == (not said), f"{path}: {facts}"
    text = weir("inspect", "--for", world, path)
    assert text.returncode == done.returncode, (world, path)
    wanted = "would be taken by" if facts["taken"] else "would be refused by"
    assert text.stdout.startswith(f"{path}: {wanted} {world}"), text.stdout
    return facts["taken"]


# --- what the worlds answer ---------------------------------------------------------------------

def wasi(path):
    """Refused by what ends a run before the guest has its say: 5 to 9 of the status table."""
    with open(path, "rb") as file:
        is_command = b"\x06_start\x00" in file.read()
    done = weir("run", *([] if is_command else ["--invoke", "f"]), "--timeout", "5s", path)
    assert done.returncode >= 0, f"{path}: ended by signal {-done.returncode}"
    if not is_command and done.returncode == 9:
        return True  # linked, and has no f
    return not (5 <= done.returncode <= 9 and done.stderr.startswith("weir run:"))


def wasmd(path):
    return weir("contract", "--state", os.path.join(Options.state, "contracts"), "store",
                path).returncode == 0


def ic(path):
    name = f"c{len(os.listdir(Options.state))}"
    done = weir("canister", "--state", os.path.join(Options.state, name), "install", name, path)
    assert done.returncode >= 0, path
    return done.returncode == 0


def envoy(paths):
    """All at once, each behind a route of its own: 503 names the filter that cannot be loaded."""
    keys = ["memory_max: 16GiB", "cache: {cache}",
            "server: {{ loops: 1, workers: 1, spool: {spool}, filter_threads: 1 }}", "routes:"]
    guest = next(path for path in paths if path.endswith("/command.wasm"))
    for i, path in enumerate(paths):
        keys.append(f"  - {{{{ path: /r{i}, module: '{guest}', limits: {{{{ memory: 2MiB }}}}, "
                    f"filters: [ {{{{ name: f{i}, module: '{path}', configuration: none, "
                    f"limits: {{{{ memory: 96MiB, buffer: 64KiB, streams: 1 }}}} }}}} ] }}}}")
    with weir_http.serving("\n".join(keys) + "\n") as server:
        answers = {}
        for i, path in enumerate(paths):
            status, _, body = server.get(f"/r{i}")
            assert status != 503 or b"cannot" in body, (path, body)
            answers[path] = status != 503
        return answers


WORLDS = {"wasi": wasi, "wasmd": wasmd, "ic": ic}


def make(folder, wat2wasm):
    wanted = {}
    for name, (is_taken, body, flags) in MODULES.items():
        path = os.path.join(folder, name + ".wasm")
        subprocess.run([wat2wasm, *flags, "-", "-o", path], input=f"(module {body})", text=True,
                       check=True)
        wanted[path] = is_taken
    for name, data in {"text": b"no module at all\n", "component": b"\0asm\x0d\0\1\0",
                       "cut": open(os.path.join(folder, "contract.wasm"), "rb").read()[:60]
                       }.items():
        path = os.path.join(folder, name + ".wasm")
        with open(path, "wb") as file:
            file.write(data)
        wanted[path] = False
    with open(os.path.join(folder, "canister.wasm"), "rb") as file:
        packed = gzip.compress(file.read(), mtime=0)
    for name, data in (("packed", packed), ("packed_cut", packed[:-30]),
                       ("packed_bomb", gzip.compress(bytes(1 << 22)))):
        path = os.path.join(folder, name + ".wasm.gz")
        with open(path, "wb") as file:
            file.write(data)
        wanted[path] = name == "packed"
    return wanted


def compare(path, world, answer, wanted):
    said = verdict(world, path)
    if said != answer:
        return f"{os.path.basename(path)}: inspect --for {world} says {said}, it is {answer}"
    home = HOMES.get(os.path.basename(path).split(".")[0].split("_")[0], "wasi")
    if wanted is not None and home == world and answer != wanted:
        return f"{os.path.basename(path)}: {world} answers {answer}, which this test does not want"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--wat2wasm", required=True)
    parser.add_argument("--guests", required=True)
    parser.add_argument("--also", nargs="*", default=[])
    options = parser.parse_args()
    Options.program = options.program
    weir_http.Options.program, weir_http.Options.guests = options.program, options.guests
    with tempfile.TemporaryDirectory() as folder:
        Options.state = os.path.join(folder, "state")
        os.mkdir(Options.state)
        wanted = make(folder, options.wat2wasm)
        real = [path for root in [options.guests, *options.also]
                for path in sorted(glob.glob(os.path.join(os.path.abspath(root), "**/*.wasm*"),
                                             recursive=True))]
        paths = [*wanted, *real]
        faults = []
        for path in paths:
            # What a real guest does when it is run is no matter of this test.
            for world, ask in WORLDS.items():
                if path in wanted or world == "wasmd":
                    faults.append(compare(path, world, ask(path), wanted.get(path)))
        for path, answer in envoy(paths).items():
            faults.append(compare(path, "envoy", answer, wanted.get(path)))
        compared = len(faults)
        faults = [fault for fault in faults if fault]
    print("\n".join(faults))
    print(f"{compared} verdicts on {len(paths)} modules, {len(real)} of them real, "
          f"{len(faults)} wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
