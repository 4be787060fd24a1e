"""Compute: five guests on every engine against the same C natively, all in one process each."""
import os

import figures
import peers as known
from programs import BenchError, Driver

# Chosen for about 100 ms natively on a machine of 2024.
GUESTS = {"sha256": 400, "nbody": 1500, "chains": 100, "sieve": 80, "vm": 240}
MEAN_MAX = 2.5
WORST_MAX = 6.0
WARM_UPS = 4  # V8 needs some until its optimised code is there
WEIR = {f"Weir {mode}": mode for mode in ("guard", "explicit", "no-signals", "fuel", "bare")}
PEERS = ("V8 Liftoff", "V8", "Wasmtime", "Wasmtime epoch")


def commands(run, guest, scale):
    program = os.path.join(run.build, "bench", "")
    wasm = os.path.join(run.build, f"guests/compute_{guest}.wasm")
    made = {"native": [f"{program}native_{guest}", scale]}
    for name, mode in WEIR.items():
        made[name] = [f"{program}bench_compute", mode, wasm, scale]
    made["V8 Liftoff"] = run.peers.v8(known.LIFTOFF, "compute", wasm, scale)
    made["V8"] = run.peers.v8([], "compute", wasm, scale)
    made["Wasmtime"] = run.peers.wasmtime("compute", "plain", wasm, scale)
    made["Wasmtime epoch"] = run.peers.wasmtime("compute", "epoch", wasm, scale)
    return {name: command for name, command in made.items() if command}


def run_rounds(drivers, rounds, guest):
    """Nanoseconds per engine and round; every run must give the same checksum."""
    names = list(drivers)
    times = {name: [] for name in names}
    checksums = {}
    for index in range(-min(WARM_UPS, rounds), rounds):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            ns, checksum = drivers[name].run()
            checksums.setdefault(checksum, name)
            if index >= 0:
                times[name].append(ns)
    if len(checksums) != 1:
        raise BenchError(f"{guest}: engines disagree: {checksums}")
    return times, next(iter(checksums))


def measure_guest(run, guest, scale):
    drivers = {}
    try:
        for name, command in commands(run, guest, scale).items():
            drivers[name] = Driver(command, run.build)
        times, checksum = run_rounds(drivers, run.rounds, guest)
    finally:
        for driver in drivers.values():
            driver.close()
    native = times["native"]
    return {"scale": int(scale), "checksum": checksum,
            "ms": {name: figures.figure([ns / 1e6 for ns in each])
                   for name, each in times.items()},
            "ratio": {name: figures.figure([ns / base for ns, base in zip(each, native)])
                      for name, each in times.items() if name != "native"}}


def mean_of(guests, engine):
    """Geometric mean of the median ratios, with the spread of means over guests' extremes."""
    return {key: figures.geometric_mean([guest["ratio"][engine][key] for guest in guests.values()])
            for key in ("median", "lowest", "highest")}


def measure(run):
    guests = {guest: measure_guest(run, guest, "1" if run.is_smoke else str(scale))
              for guest, scale in GUESTS.items()}
    engines = list(next(iter(guests.values()))["ratio"])
    means = {engine: mean_of(guests, engine) for engine in engines}
    peers = {name: means[name] for name in PEERS if name in means}
    lines = []
    for engine in ("Weir guard", "Weir explicit"):
        lines.append(figures.line(f"fast, {engine[5:]}, mean of five", MEAN_MAX, "x",
                                  means[engine], peers=peers if engine == "Weir guard" else None))
        worst = max(guests, key=lambda guest: guests[guest]["ratio"][engine]["median"])
        lines.append(figures.line(f"fast, {engine[5:]}, worst: {worst}", WORST_MAX, "x",
                                  guests[worst]["ratio"][engine],
                                  peers={name: guests[worst]["ratio"][name] for name in peers}))
    return {"unit": "time relative to clang -O2", "engines": means, "guests": guests,
            "lines": lines}
