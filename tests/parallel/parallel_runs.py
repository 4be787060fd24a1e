"""Runs of the host of parallel plugins, and what has to hold of each: for the test, the
demonstration and the bench.

malloc counts blocks that a thread keeps back for itself (tcache) as in use; they fill up once and
are no plugin's. So that live bytes are live, hosts run without.
"""
import json
import os
import subprocess

GROWTH_MAX = 256 << 10
# Bytes per plugin. malloc gives a block that is taken anew 16 bytes more or fewer, which is a
# fraction of one; the least that a plugin can lose is 32.
LIVE_MAX = 1
# What each mistake is called by the census; the allocator's is none of Weir's objects.
PATTERNS = {"stores": "long-lived store", "handles": "undropped handles",
            "engines": "engine or linker per instance", "arenas": None, "right": None}
KIB, MIB = 1 << 10, 1 << 20


def run(program, policy, threads, rounds, round_ms, lives_max=0):
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    done = subprocess.run([program, policy, *map(str, (threads, rounds, round_ms, lives_max))],
                          capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise AssertionError(f"{policy}: ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def grown(result, what="growth_bytes"):
    return result["after"][what] - result["before"][what]


def is_live_growing(result):
    return result["live_per_plugin"]["low"] > LIVE_MAX


def check_right(result):
    """What is wrong with a host that should do nothing wrong; empty: nothing."""
    wrong = []
    if grown(result) > GROWTH_MAX:
        wrong.append(f"it grew by {grown(result)} bytes")
    for what in ("mappings", "descriptors"):
        if grown(result, what) != 0:
            wrong.append(f"{what}: {result['before'][what]}, then {result['after'][what]}")
    if result["verdict"] in ("leak", "retention"):
        wrong.append(f"the verdict is {result['verdict']}")
    if is_live_growing(result) or result["charged_per_plugin"]["is_growing"]:
        wrong.append("bytes per plugin are growing")
    if result["patterns"]:
        wrong.append(f"it is said to have a {result['patterns'][0]['pattern']}")
    return wrong


def check_mistake(result):
    """The same for a host with a mistake: it has to grow, and to be told why."""
    policy, wrong = result["policy"], []
    is_leak = policy != "arenas"
    wanted = "leak" if is_leak else "retention"
    if result["verdict"] != wanted:
        wrong.append(f"the verdict is {result['verdict']}, not {wanted}")
    if grown(result) <= 4 * GROWTH_MAX:
        wrong.append(f"it grew by {grown(result)} bytes only")
    if is_live_growing(result) != is_leak:
        wrong.append(f"live bytes per plugin: {result['live_per_plugin']}")
    if not is_leak and grown(result, "slack_bytes") < 0.8 * grown(result):
        wrong.append(f"malloc keeps {grown(result, 'slack_bytes')} bytes only")
    patterns = [finding["pattern"] for finding in result["patterns"]]
    if (PATTERNS[policy] not in patterns) if is_leak else patterns:
        wrong.append(f"the census names {patterns}, not {PATTERNS[policy]}")
    return wrong


def check(result):
    return check_right(result) if result["policy"] == "right" else check_mistake(result)
