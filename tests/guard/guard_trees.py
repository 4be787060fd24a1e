#!/usr/bin/env python3
"""Every state a cgroup can be in, through `weir guard` end to end on fake trees: v1, v2, hybrid,
nested, without limit, root, none, missing, malformed and unreadable files, resized and moved while
the guard runs."""
import os
import sys

from weir_guard import MIB, Tree, equal, guarding, holds, main, run_once, until

LIMIT = ("--mem-free-limit", "100MiB", "--leave-free", "150MiB")


def once(tree, *arguments):
    return run_once("--cgroup-root", tree.root, "--once", *LIMIT, *arguments)


def judge(tree, *arguments):
    """(exit code, first word): 0 admits, 4 refuses."""
    code, out, err = once(tree, *arguments)
    equal(err, "", "stderr")
    return code, out.split(":")[0], out


def test_the_rule_is_the_nodes():
    """The pinned case of the rule: limit 1000, free limit 75, file cache 75 and 76."""
    for kind in ("v1", "v2", "hybrid"):
        tree = Tree(kind)
        tree.level("/a/b", limit=1000, usage=1000, active=50, inactive=25)
        tree.level("/a", limit=None)
        tree.level("", limit=None)
        arguments = ("--cgroup-root", tree.root, "--once", "--mem-free-limit", "75B")
        if kind != "v2":  # above, v1 always has the files
            tree.level("/a", limit=9223372036854771712, usage=1000)
        equal(run_once(*arguments)[0], 4, f"{kind} 50 + 25")
        tree.level("/a/b", limit=1000, usage=1000, active=51, inactive=25)
        equal(run_once(*arguments)[0], 0, f"{kind} 51 + 25")


def test_an_ancestor_binds():
    for kind in ("v1", "v2", "hybrid"):
        tree = Tree(kind)
        tree.level("/a/b", limit=900 * MIB, usage=300 * MIB)
        tree.level("/a", limit=1000 * MIB, usage=950 * MIB)
        tree.level("")
        code, answer, out = judge(tree)
        equal((code, answer), (4, "refuses"), kind)
        holds(f"/sys/fs/cgroup{'' if kind == 'v2' else '/memory'}/a/memory." in out, out)
        holds("50.0 MiB free of 1000 MiB" in out, out)


def test_v1_without_hierarchy_limits_itself_only():
    tree = Tree("v1")
    tree.level("/a/b", limit=1000 * MIB, usage=100 * MIB)
    tree.level("/a", limit=1000 * MIB, usage=1000 * MIB, memory__use_hierarchy=0)
    tree.level("")
    equal(judge(tree)[0], 0)


def test_no_limit_anywhere():
    tree = Tree("v2")
    tree.level("/a/b", limit="max", usage=1 << 40)
    tree.level("/a", limit="max", usage=1 << 40)
    tree.level("")
    code, answer, out = judge(tree, "--on-unknown", "closed")
    equal((code, answer), (0, "admits"), out)
    tree = Tree("v1", path="/")
    tree.level("", limit=9223372036854771712, usage=1 << 40)
    equal(judge(tree, "--on-unknown", "closed")[0], 0, "the root of v1")
    tree = Tree("v2", path="/")
    tree.level("")
    code, _, out = judge(tree, "--on-unknown", "closed")
    equal(code, 0, "the root of v2")
    holds("the root of the hierarchy has no limit" in out, out)
    tree = Tree("none")
    code, _, out = judge(tree, "--on-unknown", "closed")
    equal(code, 0, "no cgroup")
    holds("no memory cgroup" in out, out)
    with guarding("--cgroup-root", tree.root, *LIMIT) as guard:
        guard.until_log("protection is not active: no memory cgroup; every request is admitted")
        equal(guard.metric("weir_pressure_protected"), 0)


def test_v2_without_the_controller_is_the_parents():
    tree = Tree("v2")
    tree.level("/a/b")  # no memory files: not in the parent's cgroup.subtree_control
    tree.level("/a", limit=1000 * MIB, usage=950 * MIB)
    tree.level("")
    equal(judge(tree)[0], 4)


# What can be wrong with the files, in words that must be said.
BROKEN = {
    "no limit": (dict(limit=None, usage=1), "is missing"),
    "no usage": (dict(limit=1000 * MIB, usage=None), "is missing"),
    "limit -1": (dict(limit=-1, usage=1), "is malformed"),
    "limit of nothing": (dict(limit="", usage=1), "is malformed"),
    "limit too large": (dict(limit="99999999999999999999", usage=1), "is malformed"),
    "usage of max": (dict(limit=1000 * MIB, usage="max"), "is malformed"),
    "two limits": (dict(limit="1\n2", usage=1), "is malformed"),
    "no key": (dict(limit=1000 * MIB, usage=1, memory__stat="anon 5"), "memory.stat is missing"),
    "keys too large": (dict(limit=1000 * MIB, usage=1, active=(1 << 64) - 1, inactive=1),
                       "memory.stat is malformed"),
}


def test_what_is_broken_is_unknown():
    for kind in ("v1", "v2"):
        for what, (files, words) in BROKEN.items():
            tree = Tree(kind)
            tree.level("/a/b", **files)
            tree.level("/a", limit=1000 * MIB, usage=1)
            tree.level("")
            code, answer, out = judge(tree)
            equal((code, answer), (0, "admits"), f"{kind}, {what}, open: {out}")
            holds("unknown" in out and words in out, f"{kind}, {what}: {out}")
            code, answer, out = judge(tree, "--on-unknown", "closed")
            equal((code, answer), (4, "refuses"), f"{kind}, {what}, closed: {out}")


def test_a_short_level_decides_whatever_the_others_are():
    tree = Tree("v2")
    tree.level("/a/b", limit="nonsense", usage=1)
    tree.level("/a", limit=1000 * MIB, usage=950 * MIB)
    tree.level("")
    equal(judge(tree)[0], 4)
    tree.level("/a", limit=1000 * MIB, usage=800 * MIB)  # not short for requests, but for a pause
    with guarding("--cgroup-root", tree.root, *LIMIT, "--on-unknown", "closed",
                  "--pause-free-limit", "300MiB", "--on-pause", "true") as guard:
        guard.until_log("error: protection is blind: /sys/fs/cgroup/a/b: memory.max is malformed")
        refusal = guard.refusal()
        equal(refusal["reason"],
              "memory pressure is unknown: /sys/fs/cgroup/a/b: memory.max is malformed")
        actions = {action["name"]: action["state"] for action in guard.pressure()["actions"]}
        equal(actions, {"pause": "pressed", "refuse": "unknown"})


def test_unreadable_is_not_missing():
    tree = Tree("v2", path="/a")
    tree.level("/a", limit=1000 * MIB, usage=1)
    tree.level("")
    os.remove(tree.file("/a", "memory.max"))
    os.mkdir(tree.file("/a", "memory.max"))  # cannot be read, whoever asks
    holds("memory.max is unreadable" in judge(tree)[2], "unreadable")


def test_processes_and_names():
    tree = Tree("v2", pid="77")
    tree.level("/a/b", limit=1000 * MIB, usage=950 * MIB)
    tree.level("/a", limit="max", usage=1)
    tree.level("")
    equal(judge(tree, "--pid", "77")[0], 4)
    equal(judge(tree, "--cgroup", "/a/b")[0], 4)
    equal(judge(tree, "--cgroup", "/sys/fs/cgroup/a/b/")[0], 4)
    equal(judge(tree, "--cgroup", "/a")[0], 0)
    holds("process 78 is gone" in judge(tree, "--pid", "78")[2], "no such process")
    holds("does not exist" in judge(tree, "--cgroup", "/c")[2], "no such cgroup")
    holds("is not inside" in judge(tree, "--cgroup", "/sys/fs/cgroups/a")[2], "another folder")
    tree.put("/proc/77/cgroup", "broken\n")
    holds("is no line of /proc/PID/cgroup" in judge(tree, "--pid", "77")[2], "a broken line")


def test_changes_while_running():
    tree = Tree("v2", pid="77")
    tree.level("/a/b", limit=1000 * MIB, usage=500 * MIB)
    tree.level("/a", limit="max", usage=1)
    tree.level("/c", limit=1000 * MIB, usage=950 * MIB)
    tree.level("")
    with guarding("--cgroup-root", tree.root, "--pid", "77", "--on-unknown", "closed",
                  "--transitions", "60", *LIMIT, stale="2s") as guard:
        guard.until_status(204)
        tree.level("/a/b", limit=600 * MIB, usage=500 * MIB)  # made smaller
        refusal = until(guard.refusal, "the smaller limit is seen")
        equal(refusal["limit_bytes"], 600 * MIB)
        equal(refusal["reason"], "free memory below mem_free_limit")
        tree.level("/a/b", limit="max", usage=500 * MIB)  # taken away
        guard.until_status(204)
        tree.level("/a/b", limit=80 * MIB, usage=0)  # below the free limit
        refusal = until(guard.refusal, "a limit below the free limit")
        equal(refusal["reason"], "mem_free_limit is not below the limit")
        tree.level("/a/b", limit=1000 * MIB, usage=100 * MIB)
        guard.until_status(204)
        tree.move("/c")  # the process is moved
        refusal = until(guard.refusal, "the process was moved")
        holds(refusal["binding"].endswith("/c/memory.max"), refusal)
        tree.move("/a/b")
        guard.until_status(204)
        tree.put("/sys/fs/cgroup/a/b/memory.current", "oops\n")
        refusal = until(guard.refusal, "a broken file")
        holds(refusal["reason"].startswith("memory pressure is unknown: "), refusal)
        holds("limit_bytes" not in refusal, refusal)
        failures = guard.metric("weir_pressure_read_failures_total")
        until(lambda: guard.metric("weir_pressure_read_failures_total") > failures + 5,
              "failures are counted")
        equal(guard.read_log().count("memory.current is malformed"), 1, "lines about one failure")
        tree.put("/sys/fs/cgroup/a/b/memory.current", "5\n")
        guard.until_status(204)
        guard.until_log("the memory pressure can be told again")
        os.remove(f"{tree.root}/proc/77/cgroup")
        refusal = until(guard.refusal, "the process ends")
        holds("process 77 is gone" in refusal["reason"], refusal)


def test_second_signals():
    tree = Tree("v2", path="/a")
    level = dict(limit=1000 * MIB, usage=880 * MIB)  # 120 free: between the two thresholds
    tree.level("/a", **level)
    tree.level("")
    arguments = ("--cgroup-root", tree.root, "--transitions", "60", *LIMIT)
    events = "low 0\nhigh {0}\nmax 7\noom 0\noom_kill {1}"
    calm = "some avg10=90.00 avg60=0.00 avg300=0.00 total=5\n" \
           "full avg10=9.99 avg60=0.00 avg300=0.00 total=3"
    with guarding(*arguments) as guard:
        def decides(name, on, off):
            tree.level("/a", **level, **on)
            refusal = until(guard.refusal, f"{name} refuses in the band")
            equal(refusal["reason"], "free memory near mem_free_limit and a second signal is up")
            tree.level("/a", limit=1000 * MIB, usage=400 * MIB, **on)
            guard.until_status(204)  # no signal keeps it shut
            tree.level("/a", **{**level, "usage": 400 * MIB}, **off)
            until(lambda: name not in guard.pressure()["signals"]["up"], f"{name} is over")
            tree.level("/a", **level, **off)
            until(lambda: guard.pressure()["reading"]["free_bytes"] == 120 * MIB, "a reading")
            equal(guard.status(), 204, f"{name} is over")

        decides("psi", {"memory__pressure": calm.replace("9.99", "10.00")},
                {"memory__pressure": calm})
        decides("high", {"memory__high": 300 * MIB}, {"memory__high": "max"})
        decides("swap", {"memory__swap.max": 100 * MIB, "memory__swap.current": 95 * MIB},
                {"memory__swap.max": 100 * MIB, "memory__swap.current": 0})
        tree.level("/a", **level, memory__events=events.format(1, 0))
        until(guard.refusal, "an event refuses in the band")
        tree.level("/a", limit=1000 * MIB, usage=400 * MIB, memory__events=events.format(1, 2))
        guard.until_log("the kernel has killed 2 processes")
        equal(guard.metric('weir_cgroup_events_total{event="oom_kill"}'), 2)
        guard.until_status(204)


def test_explain_names_the_file():
    tree = Tree("v2")
    tree.level("/a/b", limit="max", usage=1)
    tree.level("/a", limit=1000 * MIB, usage=950 * MIB, active=100 * MIB)
    tree.level("")
    code, out, _ = run_once("--cgroup-root", tree.root, "--explain", "--mem-free-limit", "100MiB")
    equal(code, 0)
    holds(out.startswith("Binds: /sys/fs/cgroup/a/memory.max\n"), out)
    holds("admits: free is above the free limit of 100 MiB" in out, out)


if __name__ == "__main__":
    sys.exit(main(dict(globals())))
