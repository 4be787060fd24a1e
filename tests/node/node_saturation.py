#!/usr/bin/env python3
"""Saturates the budgets of plans/cases.txt: the stand-in node is started with each configuration,
and every line of its plan is driven to its bound, one at a time and then all together.

What a line takes (by the allocator's own figure) is never more than planned, and not much less, so
that a plan which asks for too much is seen as well. The whole (by smaps) stays below what the plan
adds up to, and below the memory it was made for when it fits.

usage: node_saturation.py --program BUILD/bin/weir --node BUILD/tests/stand-in-node [CASE ...]
"""
import argparse
import json
import os
import shlex
import subprocess
import sys

from stand_in import MIB, Node, skip

HERE = os.path.dirname(os.path.abspath(__file__))
PLANS = os.path.join(HERE, "plans")

# What a line has to reach of its plan. Less is deliberate where it says why. The whole stays far
# below the sum: besides the databases (below), what arenas have free serves the caches.
LEAST = 0.8
LEAST_WHOLE = 0.5
# Go's maps double: between two doublings as much as half of the index is still free.
LEAST_INDEX = 0.55
# The databases' lines: the parts are summed at their own peaks, because Pebble takes the memtables
# out of the cache and both are never at their bound together.
DATABASES = {"l2chaindata": ("pebble_block_cache", "pebble_memtables", "pebble_minimum"),
             "wasm": ("wasm_block_cache", "wasm_memtables"),
             "arbitrumdata": ("arbitrumdata",), "classic-msg": ("classic_msg",)}
GO_CACHES = ("trie_dirty_cache", "contract_code_cache", "activated_wasm_cache")
# Two caches of Go are hard-coded, 320 MB in every plan: these plans fill them, for the others the
# first is enough.
WHOLE = ("even", "uneven", "no_fastcache", "does_not_fit")
# What no line has: Pebble's own structures, malloc's heads, what Go's threads use of their stacks.
UNPLANNED_MAX = 32 * MIB
# What the rest of the process may take while one line is filled.
NOISE = 1 * MIB


def read_cases():
    """Name -> arguments of `weir plan`."""
    cases, name = {}, None
    with open(os.path.join(PLANS, "cases.txt"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("== "):
                name = line[3:].strip()
            elif name and line.startswith("weir plan "):
                cases[name] = shlex.split(line.replace("$CASES", PLANS))[2:]
    return cases


def option(arguments, name, default=None):
    return arguments[arguments.index(name) + 1] if name in arguments else default


def make_plan(program, arguments):
    done = subprocess.run([program, "plan", *arguments, "--json"], capture_output=True, text=True,
                          check=False)
    assert done.returncode in (0, 4), done.stderr
    return json.loads(done.stdout)


class Case:
    """One plan and the node that was started with it."""

    def __init__(self, options, name, arguments):
        self.name = name
        self.failures = []
        if option(arguments, "--arenas") == "unset":
            # glibc counts this machine's CPUs, not those of the golden file.
            arguments = [*arguments, "--cpus", str(os.cpu_count())]
        self.arguments = arguments
        self.plan = make_plan(options.program, arguments)
        self.lines = {line["name"]: line["bytes"] for line in self.plan["code"]["lines"]
                      if not line["unbounded"]}
        self.rows = []

    def start(self, options):
        arguments = ["--threads", option(self.arguments, "--threads", "150")]
        if "--classic" in self.arguments:
            arguments.append("--classic")
        environment = {}
        arenas = option(self.arguments, "--arenas", "2")
        if arenas != "unset":
            environment["MALLOC_ARENA_MAX"] = arenas
        if self.plan["fits"]:
            environment["GOMEMLIMIT"] = f"{self.plan['documented']['gomemlimit_mb']}MiB"
        config = next(word for word in self.arguments if word.endswith(".json"))
        return Node(options.node, config, arguments, environment)

    def check(self, what, measured, planned, least=LEAST):
        share = measured / planned if planned else 0
        self.rows.append((what, measured, planned, share))
        if measured > planned or share < least:
            self.failures.append(f"{what}: {measured / MIB:.1f} of {planned / MIB:.1f} MB planned,"
                                 f" between {least:.0%} and 100 % expected")

    def fill_native(self, node):
        """Lines outside Go, one at a time."""
        stats = node.fill("malloc_arenas")
        self.check("malloc_arenas", stats["malloc"]["free"], self.lines["malloc_arenas"])
        before = node.smaps("Anonymous")
        stats = node.fill("thread_stacks")
        self.check("thread_stacks", node.smaps("Anonymous") - before - NOISE,
                   self.lines["thread_stacks"])
        node.fill("stylus_cache")
        for name, lines in DATABASES.items():
            if lines[0] not in self.lines:
                continue
            node.fill(*[line for line in lines if line != "pebble_minimum"])
            sizes = node.get("/stats")["lines"]
            planned = sum(self.lines.get(line, 0) for line in lines)
            self.check(name, sizes[name + ".cache_peak"] + sizes[name + ".memtables_peak"], planned)
            self.check(name + ", block cache", sizes[name + ".cache_peak"], planned * 2 // 3)
        sizes = node.get("/stats")["lines"]
        self.check("stylus_cache", sizes["stylus_cache"], self.lines["stylus_cache"])

    def fill_go(self, node):
        """fastcache with its index in Go, then the caches on Go's heap."""
        start = node.fill("collect")["go"]["heap_alloc"]
        if self.lines["trie_clean_cache"] + self.lines["snapshot_cache"] > 0:
            sizes = node.fill("trie_clean_cache", "snapshot_cache", "collect")["lines"]
            self.check("fastcache", sizes["trie_clean_cache"] + sizes["snapshot_cache"],
                       self.lines["trie_clean_cache"] + self.lines["snapshot_cache"] +
                       self.lines.get("fastcache_rounding", 0))
            index = node.get("/stats")["go"]["heap_alloc"] - start
            self.check("fastcache_index", index, self.lines["fastcache_index"], LEAST_INDEX)
        caches = GO_CACHES if self.name in WHOLE else GO_CACHES[:1]
        stats = node.fill(*caches, "collect")
        for line in caches:
            self.check(line, stats["lines"][line], self.lines[line])
        if self.name not in WHOLE:
            return
        floor = self.plan["go"]["floor_mb"] * MIB
        self.check("floor of Go", stats["go"]["heap_alloc"] - start, floor, 0.7)

    def check_whole(self, node):
        """All lines are at their bounds: the sums, by smaps."""
        stats = node.get("/stats")
        anonymous = node.smaps("Anonymous")
        outside = anonymous - stats["go"]["resident"]
        lines = stats["lines"]
        now = sum(size for name, size in lines.items()
                  if name not in GO_CACHES and not name.endswith("_peak"))
        planned = self.plan["code"]["non_go_mb"] * MIB
        self.check("outside Go, by smaps", outside, planned, LEAST_WHOLE)
        self.check("  of it in no line", max(outside - now, 0), UNPLANNED_MAX, 0)
        memory = self.plan["memory_mb"] * MIB
        if self.plan["fits"]:
            self.check("anonymous, by smaps", anonymous, memory, 0)
        elif anonymous <= memory:
            self.failures.append(f"the plan does not fit, but {anonymous / MIB:.0f} MB are no more "
                                 f"than {memory / MIB:.0f}")

    def run(self, options):
        with self.start(options) as node:
            self.fill_native(node)
            self.fill_go(node)
            self.check_whole(node)

    def report(self):
        print(f"{self.name}: {'FAILED' if self.failures else 'reached, none exceeded'}")
        for what, measured, planned, share in self.rows:
            print(f"  {what:26} {measured / MIB:8.1f} of {planned / MIB:8.1f} MB  {share:5.0%}")
        for failure in self.failures:
            print("  FAIL", failure)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if not os.path.exists(options.node):
        skip("the stand-in node was not built (test stand_in_node says why)")
    failed = 0
    cases = read_cases()
    for name in options.names or cases:
        case = Case(options, name, cases[name])
        arenas = case.lines["malloc_arenas"]
        if arenas > os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2:
            print(f"skip: {name}: {arenas / MIB:.0f} MB of arenas are too much for this machine")
            failed += os.environ.get("WEIR_REQUIRE_ALL") == "1"
            continue
        case.run(options)
        case.report()
        failed += bool(case.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
