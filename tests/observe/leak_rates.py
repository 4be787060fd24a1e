#!/usr/bin/env python3
"""How often the leak alert of examples/prometheus fires on seeded series of every kind: twelve
hours at one sample a minute, played by promtool against the rules as they are shipped.

usage: leak_rates.py [SEEDS]     20 series of each kind by default

Prints the table that docs/METRICS.md has, and fails when a rate is outside its bounds. Each series
is a process of 200 MiB that does 100 requests a second. Daily load is looked at on its second day.
"""
import math
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = os.path.join(ROOT, "examples", "prometheus")
MIB = 1 << 20
MINUTES = 720
DAILY_MINUTES = 2160


def white(random_, minutes, sd):
    return [random_.gauss(0, sd) for _ in range(minutes)]


def autoregressive(random_, minutes, phi, sd=2):
    values, at = [], 0.0
    for _ in range(minutes):
        at = phi * at + random_.gauss(0, sd)
        values.append(at)
    return values


def walk(random_, minutes):
    return autoregressive(random_, minutes, 1, 0.2)


def plateau(random_, minutes, tau_hours, height=100):
    noise = white(random_, minutes, 1)
    return [height * (1 - math.exp(-t / 60 / tau_hours)) + noise[t] for t in range(minutes)]


def records(random_, minutes):
    """High water of bursts that are drawn alike: it grows ever more seldom."""
    top, values = 0.0, []
    for _ in range(minutes):
        top = max(top, random_.expovariate(0.1))
        values.append(top + random_.gauss(0, 0.2))
    return values


def steps(random_, minutes, count, size):
    times = sorted(random_.sample(range(30, minutes - 30), count))
    noise = white(random_, minutes, 1)
    return [size * sum(t >= at for at in times) + noise[t] for t in range(minutes)]


def arenas(random_, minutes):
    """Retention's staircase: each of 16 arenas grows once to the largest burst."""
    filled, values = set(), []
    for t in range(minutes):
        if t % 10 == 0:
            filled.add(random_.randrange(16))
        values.append(24 * len(filled) + random_.gauss(0, 0.5))
    return values


def sawtooth(random_, minutes, period, slope=0.0):
    shift = random_.randrange(period)
    noise = white(random_, minutes, 1)
    return [50 * ((t + shift) % period) / period + slope * t / 60 + noise[t]
            for t in range(minutes)]


def daily(random_, minutes):
    shift = random_.randrange(1440)
    noise = white(random_, minutes, 1)
    return [50 - 50 * math.cos(2 * math.pi * (t + shift) / 1440) + noise[t]
            for t in range(minutes)]


def leak(random_, minutes, mib_per_hour, sd):
    noise = white(random_, minutes, sd)
    return [mib_per_hour * t / 60 + noise[t] for t in range(minutes)]


def leak_by_load(random_, minutes):
    """Leaks per request, and the load comes and goes every two hours."""
    at, values = 0.0, []
    for t in range(minutes):
        at += 0.1 * (1 + 0.8 * math.sin(t / 60 * math.pi))
        values.append(at + random_.gauss(0, 1))
    return values


def logarithmic(random_, minutes):
    noise = white(random_, minutes, 0.5)
    return [15 * math.log(1 + t / 10) + noise[t] for t in range(minutes)]


# name -> (series of MiB above the base, lowest and highest share that may fire)
KINDS = {
    "white noise": (lambda r, n: white(r, n, 4), 0, 0),
    "AR(1), phi 0.8": (lambda r, n: autoregressive(r, n, 0.8), 0, 0),
    "AR(1), phi 0.95": (lambda r, n: autoregressive(r, n, 0.95), 0, 0.05),
    "random walk": (walk, 0, 0.35),
    "plateau, tau 1 h": (lambda r, n: plateau(r, n, 1), 0, 0),
    "plateau, tau 4 h": (lambda r, n: plateau(r, n, 4), 0, 0.1),
    "record maxima": (records, 0, 0.05),
    "one step": (lambda r, n: steps(r, n, 1, 100), 0, 0),
    "three steps": (lambda r, n: steps(r, n, 3, 40), 0, 0.1),
    "arenas that fill, host": (arenas, 0, 0),
    "arenas that fill, cgroup alone": (arenas, 0, 1),
    "logarithmic growth": (logarithmic, 0, 1),
    "sawtooth, 20 min": (lambda r, n: sawtooth(r, n, 20), 0, 0),
    "sawtooth, 3 h": (lambda r, n: sawtooth(r, n, 180), 0, 0),
    "leak, 2 MiB/h, noise 1": (lambda r, n: leak(r, n, 2, 1), 0.95, 1),
    "leak, 6 MiB/h, noise 4": (lambda r, n: leak(r, n, 6, 4), 0.95, 1),
    "leak with the load, 6 MiB/h": (leak_by_load, 0.9, 1),
    "leak under a sawtooth, 6 MiB/h": (lambda r, n: sawtooth(r, n, 20, 6), 0.9, 1),
}
DAILY = {"daily load": (daily, 0, 0)}


def bytes_of(values):
    return " ".join(str(int(value * MIB)) for value in values)


def samples_of(kind, seed, kinds, minutes):
    """(name, values) of every metric of one process."""
    values = kinds[kind][0](random.Random(f"{kind} {seed}"), minutes)
    yield "weir_requests_total", f"0+6000x{minutes}"
    yield "process_start_time_seconds", f"1x{minutes}"
    if "cgroup" in kind:
        yield 'weir_cgroup_part_bytes{part="anonymous"}', bytes_of(200 + v for v in values)
        return
    yield "weir_growth_bytes", bytes_of(200 + v for v in values)
    free = values if "arenas" in kind else [0] * minutes
    yield "weir_malloc_free_resident_bytes", bytes_of(free)


def write_test(path, kinds, seeds, minutes):
    """The only expression asked is which processes alerted in the last eleven hours."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"rule_files: [{RULES}/rules.yml, {RULES}/alerts.yml]\n"
                   "evaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n")
        for kind in kinds:
            for seed in range(seeds):
                for name, text in samples_of(kind, seed, kinds, minutes):
                    labels = f'job="{kind}",instance="{seed}"'
                    name = name.replace("{", "{" + labels + ",") if "{" in name \
                        else f"{name}{{{labels}}}"
                    file.write(f"  - series: '{name}'\n    values: '{text}'\n")
        file.write("  promql_expr_test:\n  - expr: count by (job, instance) (count_over_time(ALERTS"
                   '{alertname="WeirMemoryLeak",alertstate="firing"}[11h]))\n'
                   f"    eval_time: {minutes}m\n    exp_samples: []\n")


def alerted(kinds, seeds, minutes):
    """{kind: how many alerted}: promtool names them as what was not expected."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "test.yml")
        write_test(path, kinds, seeds, minutes)
        try:
            run = subprocess.run(["promtool", "test", "rules", path], capture_output=True,
                                 text=True)
        except FileNotFoundError:
            print("skip: promtool is not installed (package prometheus)")
            sys.exit(1 if os.environ.get("WEIR_REQUIRE_ALL") == "1" else 77)
    output = run.stdout + run.stderr
    if "got:" not in output and "SUCCESS" not in output:
        sys.exit(f"promtool did not tell what alerted:\n{output[:2000]}")
    counts = dict.fromkeys(kinds, 0)
    for kind in re.findall(r'job=\\?"([^"\\]+)', output.partition("got:")[2]):
        counts[kind] += 1
    return counts


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    failed = False
    print("| series | alerted |\n|---|---|")
    for kinds, count, minutes in ((KINDS, seeds, MINUTES), (DAILY, 1, DAILY_MINUTES)):
        for kind, fired in alerted(kinds, count, minutes).items():
            _, least, most = kinds[kind]
            share = fired / count
            wrong = not least <= share <= most
            failed |= wrong
            print(f"| {kind} | {share:.2f} |" + (f" not {least} to {most}" if wrong else ""))
    sys.exit(failed)


if __name__ == "__main__":
    main()
