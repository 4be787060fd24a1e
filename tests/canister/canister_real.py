#!/usr/bin/env python3
"""`weir canister` with canisters that others' tools made: Motoko's in both forms of persistence,
and the Rust template of azle. What survives and what does not, what is live of a heap, what a limit
says, and what a process that is killed leaves.

usage: canister_real.py --program BUILD/bin/weir --loop BUILD/tests/canister_loop --folder DIR
                        [--kills N] [NAME ...]
"""
import argparse
import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import canister_fixtures  # noqa: E402

MIB = 1 << 20
PAGE = 1 << 16


class Options:
    program = None
    loop = None
    kills = 30
    state = None
    modules = {}
    azle = None


def command(*words):
    return [Options.program, "canister", "--state", Options.state, "--cache",
            os.path.join(Options.state, "cache"), *words]


def run(*words, code=0):
    """stdout of one that ends so; of a reject stderr."""
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return (done.stdout if code == 0 else done.stderr).strip()


def status(name):
    return json.loads(run("status", name, "--json"))


def equal(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def loop(module, method, kind, count, *argument):
    done = subprocess.run([Options.loop, Options.modules[module], method, kind, str(count),
                           *argument], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def count_to_three(name):
    for wanted in (1, 2, 3):
        equal(run("call", name, "inc"), f"({wanted} : nat)")
    equal(run("query", name, "get"), "(3 : nat)")
    equal(run("query", name, "hello", '("you")'), '("Hello, you!")')
    text = run("query", name, "hello", code=14)
    assert "IC0503" in text and "'IDL error: too few arguments t'" in text, text
    assert re.search(r"^ +(at|<-) @deserialize<t> ", text, re.M), text
    equal(run("query", name, "get"), "(3 : nat)")


def test_counter_classic():
    """32 bits: state goes through stable memory at an upgrade."""
    run("install", "c32", Options.modules["counter32"])
    count_to_three("c32")
    equal(run("call", "c32", "twice"), "(5 : nat)")  # calls to itself, and their replies
    text = run("query", "c32", "sum", "(vec { 1; 2_000_000_000_000_000_000_000; 5 })")
    assert "total = 2000000000000000000006 : nat" in text, text
    assert "least = opt (1 : nat)" in text, text
    equal(status("c32")["memory_metrics"]["stable_memory_size"], 0)
    run("upgrade", "c32", Options.modules["counter32"])
    equal(run("query", "c32", "get"), "(5 : nat)")
    found = status("c32")
    equal(found["change_total"], 2)
    equal(found["memory_metrics"]["stable_memory_size"] % PAGE, 0)
    assert found["language"] == "Motoko", found


def test_counter_kept():
    """64 bits: the heap itself stays, or does not; one of the two has to be said."""
    run("install", "c64", Options.modules["counter64"])
    count_to_three("c64")
    equal(run("call", "c64", "twice"), "(5 : nat)")
    text = run("upgrade", "c64", Options.modules["counter64"], code=2)
    assert "Missing upgrade option" in text, text
    run("upgrade", "c64", Options.modules["counter64"], "--keep")
    equal(run("query", "c64", "get"), "(5 : nat)")
    equal(status("c64")["memory_metrics"]["stable_memory_size"], 0)
    run("upgrade", "c64", Options.modules["counter64"], "--replace")
    equal(run("query", "c64", "get"), "(0 : nat)")
    text = run("upgrade", "c64", Options.modules["counter32"], "--keep", code=2)
    assert "Invalid upgrade option" in text, text


def test_queries():
    """A thousand queries leave nothing: the saved state is the same, and so is the process."""
    for module in ("counter32", "counter64"):
        found = loop(module, "get", "query", 1000)
        equal((found["failed"], found["leaked"]), (0, 0))
        assert found["grown_bytes"] <= 256 << 10, found
        print(f"  {module}: {found['ns_per_call'] / 1000:.1f} us a query, "
              f"{found['pages_per_call']:.1f} pages")


def test_gzip():
    """Code is what was uploaded."""
    with open(Options.modules["counter32"], "rb") as file:
        packed = gzip.compress(file.read(), 9, mtime=0)
    path = os.path.join(Options.state, "counter.wasm.gz")
    with open(path, "wb") as file:
        file.write(packed)
    run("install", "packed", path)
    equal(run("call", "packed", "inc"), "(1 : nat)")
    found = status("packed")["memory_metrics"]
    equal(found["wasm_binary_size"], len(packed))
    assert found["custom_sections_size"] > 20000, found


def test_live():
    """The complaint: a heap of 521 pages of which 32 bytes are live, and what brings it back."""
    run("install", "leak", Options.modules["leak32"])
    equal(status("leak")["heap"]["pages"], 33)
    for _ in range(6):
        equal(run("call", "leak", "leak", "(1_000_000)"), "()")
    found = status("leak")
    equal(found["heap"]["pages"], 521)
    equal(found["memory_metrics"]["wasm_memory_size"], 521 * PAGE)
    assert found["heap"]["live_bytes"] >= 24_000_000, found
    assert found["heap"]["image_bytes"] >= 20 * MIB, found
    grown = {item["method"]: item for item in found["growths"]}
    equal(sum(item["pages"] for item in found["growths"]), 521 - 33)
    equal(set(grown), {"leak"})
    assert any("motoko_rts" in item["function"] for item in found["growths"]), found["growths"]
    run("call", "leak", "drop")
    run("call", "leak", "__motoko_gc_trigger")
    text = run("query", "leak", "stats")
    assert "heap = 32 : nat" in text and "memory = 34144256 : nat" in text, text
    found = status("leak")
    equal(found["heap"]["pages"], 521)
    assert found["heap"]["live_bytes"] < 1000, found
    text = run("status", "leak")
    first = text.splitlines()[0]
    assert re.match(r"32\.6 MiB of heap, of which \d+ B live; the limit is 1\.0 GiB", first), first
    for name in ("wasm_memory_size", "stable_memory_size", "wasm_binary_size",
                 "wasm_chunk_store_size", "custom_sections_size", "canister_history_size",
                 "snapshots_size", "global_memory_size"):
        assert name in text, name
    run("upgrade", "leak", Options.modules["leak32"])
    equal(status("leak")["heap"]["pages"], 33)
    changes = status("leak")["changes"]
    equal([changes[1]["heap_before_bytes"], changes[1]["heap_after_bytes"]],
          [521 * PAGE, 33 * PAGE])


def test_kept_heap_stays():
    """With enhanced orthogonal persistence an upgrade gives nothing back."""
    run("install", "leak64", Options.modules["leak64"])
    for _ in range(4):
        run("call", "leak64", "leak", "(1_000_000)")
    before = status("leak64")["heap"]["pages"]
    assert before > 300, before
    run("call", "leak64", "drop")
    run("upgrade", "leak64", Options.modules["leak64"], "--keep")
    assert status("leak64")["heap"]["pages"] >= before


def test_cap():
    """300 pages: the fourth fails with the platform's text, and all else goes on."""
    run("install", "cap", Options.modules["leak32"], "--heap-limit", str(300 * PAGE))
    for _ in range(3):
        run("call", "cap", "leak", "(1_000_000)")
    before = status("cap")
    for _ in range(2):
        text = run("call", "cap", "leak", "(1_000_000)", code=14)
        assert text.startswith("Reject code: 5, error code IC0539"), text
        assert f"current Wasm memory limit of {300 * PAGE} bytes" in text, text
        assert "settings..\nTry checking the canister for a possible memory leak" in text, text
        assert re.search(r"^in leak, which wanted [\d.]+ MiB", text, re.M), text
        assert re.search(r"^grown by motoko_rts::.* <- leak", text, re.M), text
        assert "biggest growths since the deploy:" in text, text
    after = status("cap")
    equal(after["heap"]["pages"], before["heap"]["pages"])
    equal(after["growths"], before["growths"])
    run("query", "cap", "stats")
    run("call", "cap", "drop")
    run("call", "cap", "__motoko_gc_trigger")
    run("call", "cap", "leak", "(1_000_000)")
    run("upgrade", "cap", Options.modules["leak32"])
    equal(status("cap")["heap"]["pages"], 33)


def test_hard_cap():
    """What a host gives to all of it together: memory.grow answers -1, Motoko traps."""
    run("install", "hard", Options.modules["leak32"])
    text = ""
    for _ in range(8):
        done = subprocess.run(command("call", "hard", "leak", "(1_000_000)", "--memory-max",
                                      "40MiB"), capture_output=True, text=True, check=False)
        text = text or done.stderr
    assert "RTS error: Cannot grow memory" in text or "cannot be kept" in text, text
    run("query", "hard", "stats")


def test_azle():
    """The ready-made Rust template: 44 imports, installs, answers, says what it misses."""
    run("install", "azle", Options.azle)
    text = run("query", "azle", "_azle_heap_allocation")
    assert text.endswith(": nat32)"), text
    text = run("query", "azle", "_azle_actions_len", code=14)
    assert "QuickJS context not initialized" in text, text
    found = status("azle")
    equal(found["language"], "Rust")
    equal(found["heap"]["live_bytes"], None)
    assert "not observable" in found["heap"]["live_source"], found
    run("upgrade", "azle", Options.azle)


def test_killed():
    """Killed at any moment: what was printed is there, and at most one more."""
    run("install", "killed", Options.modules["counter32"])
    random.seed(1)
    acknowledged = 0
    killed = 0
    for number in range(Options.kills):
        process = subprocess.Popen(command("call", "killed", "inc"), stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        try:
            output, _ = process.communicate(timeout=random.uniform(0.001, 0.08))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            output, _ = process.communicate()
            killed += 1
        found = int(re.search(r"\d+", run("query", "killed", "get")).group())
        if output:
            equal(output.strip(), f"({found} : nat)")
        assert acknowledged <= found <= acknowledged + 1, (number, acknowledged, found)
        acknowledged = found
    print(f"  {killed} of {Options.kills} killed, {acknowledged} counted")
    assert killed > 0 and sorted(os.listdir(os.path.join(Options.state, "killed")))[-1] == "state"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--loop", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--kills", type=int, default=Options.kills)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    Options.program, Options.loop, Options.kills = options.program, options.loop, options.kills
    Options.modules = canister_fixtures.motoko(options.folder)
    Options.azle = canister_fixtures.azle(options.folder)
    tests = {name: test for name, test in globals().items() if name.startswith("test_")}
    Options.state = tempfile.mkdtemp(prefix="weir-canister-")
    try:
        for name, test in tests.items():
            if not options.names or name in options.names:
                print(f"{name}: {test.__doc__.strip().splitlines()[0]}", flush=True)
                test()
    finally:
        shutil.rmtree(Options.state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
