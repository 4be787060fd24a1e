"""Compile: megabytes of Wasm per second on one core, and peak memory, on SQLite as a guest."""
import os

import figures
import peers as known
from programs import BenchError, interleaved

SPEED_MIN = 10.0
CHILD_UP_MAX_MS = 2.0
MIB = 1 << 20


def speed(result, name="in_process"):
    """The spread turns round: the longest time is the lowest speed."""
    megabytes = result["module_bytes"] / 1e6
    ms = result[name]
    return {"median": megabytes / ms["median"] * 1e3,
            "lowest": megabytes / ms["highest"] * 1e3, "highest": megabytes / ms["lowest"] * 1e3}


def measure(run):
    wasm = run.big_module()
    if wasm is None:
        raise BenchError("no large module: the guest sqlite was not built, and no --module given")
    repeats = "1" if run.is_smoke else "9"
    program = os.path.join(run.build, "bench/bench_compile")
    commands = {"Weir": [program, wasm, repeats],
                "V8 Liftoff": run.peers.v8(known.LIFTOFF_COMPILE, "compile", wasm, repeats),
                "Wasmtime Winch": run.peers.wasmtime("compile", "winch", wasm, repeats),
                "Wasmtime": run.peers.wasmtime("compile", "cranelift", wasm, "1")}
    results = {}
    for name, objects in interleaved(commands, run.rounds_of_programs, run.build).items():
        for one in objects:
            rename_spread(one)
        results[name] = figures.merge_objects(objects)
    weir = results["Weir"]
    others = {name: result for name, result in results.items() if name != "Weir"}
    speeds = {name: speed(result) for name, result in others.items()}
    peaks = {name: result["peak_bytes"] / MIB for name, result in others.items()}
    module = weir["module_bytes"]
    lines = [
        figures.line("fast, in-process, one core", SPEED_MIN, "MB/s", speed(weir), at_least=True,
                     peers=speeds),
        figures.line("fast, in a child, with its start", SPEED_MIN, "MB/s",
                     speed(weir, "in_child"), at_least=True),
        figures.line("child up", CHILD_UP_MAX_MS, "ms", weir["child_up"]),
        figures.line("child's peak, 16 MiB + 8 x module", (16 * MIB + 8 * module) / MIB, "MiB",
                     weir["child_peak_bytes"] / MIB, peers=peaks,
                     note="the peers' are whole processes"),
    ]
    return {"unit": "ms", "module": os.path.basename(wasm), "module_bytes": module,
            "engines": results,
            "mb_per_s": {"Weir": speed(weir), "Weir child": speed(weir, "in_child"), **speeds},
            "lines": lines}


def rename_spread(result):
    for value in result.values():
        if figures.is_figure(value) and "min" in value:
            value["lowest"], value["highest"] = value.pop("min"), value.pop("max")
