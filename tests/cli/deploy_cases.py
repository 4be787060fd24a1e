#!/usr/bin/env python3
"""`weir deploy`: plans, manifests from elsewhere, folders that mean ill, builds that vary.

usage: deploy_cases.py --program WEIR
"""
import argparse
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from weir_outcome import equal  # noqa: E402


class Deploy:
    def __init__(self, program, folder):
        self.program = program
        self.folder = folder

    def run(self, *words):
        environment = dict(os.environ, TMPDIR=self.folder)
        return subprocess.run([self.program, "deploy", *words], capture_output=True, text=True,
                              cwd=self.folder, env=environment, timeout=120)

    def plan(self, *words, code=0):
        done = self.run("--plan", "site", "--json", *words)
        equal(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    def refused(self, code, text, *words):
        done = self.run(*words)
        equal((done.returncode, done.stdout), (code, ""), done.stderr)
        equal(text in done.stderr, True, f"{text!r} in {done.stderr!r}")
        equal(done.stderr.count("\n"), 1, done.stderr)

    def write(self, path, data):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())


def paths(entries):
    return [entry["path"] for entry in entries]


def manifest(files):
    return json.dumps({"version": 1, "files": {
        path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in files.items()}})


def test_plan(deploy):
    deploy.write("site/index.html", "now")
    deploy.write("site/a/same.js", "same")
    deploy.write("site/new.css", "12345")
    deploy.write("before.json", manifest({"index.html": b"before", "a/same.js": b"same",
                                          "a/old.js": b"orphan", "a.js": b""}))
    made = deploy.plan("--against", "before.json")
    equal(paths(made["new"]), ["new.css"])
    equal([(one["path"], one["bytes"], one["was"]["bytes"]) for one in made["changed"]],
          [("index.html", 3, 6)])
    equal(made["changed"][0]["sha256"], hashlib.sha256(b"now").hexdigest())
    equal(paths(made["orphaned"]), ["a.js", "a/old.js"])
    equal(made["unchanged"], {"files": 1, "bytes": 4})
    equal(made["bytes"], {"sent": 8, "replaced": 6, "orphaned": 6, "before": 16, "after": 18,
                          "after_prune": 12})
    text = deploy.run("--plan", "site", "--against", "before.json").stdout
    equal(text.splitlines(), [
        "  orphaned          0 B  a.js",
        "  orphaned          6 B  a/old.js",
        "  changed           3 B  index.html (was 6 B)",
        "  new               5 B  new.css",
        "new             1 file,          5 B",
        "changed         1 file,          3 B",
        "unchanged       1 file,          4 B",
        "orphaned        2 files,         6 B",
        "to send: 8 B, in place of 6 B",
        "there: 16 B before, 18 B after, 12 B once orphans are removed"])


def test_saved_and_planned_again(deploy):
    deploy.write("site/x", "x" * 100000)
    deploy.write("site/z\u00e9\n", "1")
    equal(len(deploy.plan("--save", "next.json")["new"]), 2)
    made = deploy.plan("--against", "next.json")
    equal((made["unchanged"]["files"], made["new"], made["orphaned"]), (2, [], []))
    equal([name for name in os.listdir(deploy.folder) if name.startswith("next.json.")], [])
    deploy.refused(11, "cannot write", "--plan", "site", "--save", "none/next.json")


def test_folders_that_mean_ill(deploy):
    deploy.write("site/ok", "ok")
    os.symlink("/etc/passwd", os.path.join(deploy.folder, "site/link"))
    os.symlink("..", os.path.join(deploy.folder, "site/up"))
    os.mkfifo(os.path.join(deploy.folder, "site/pipe"))
    deploy.write("site/\x1b[31mred", "red")
    with open(os.path.join(os.fsencode(deploy.folder), b"site/bad\xff"), "wb"):
        pass
    made = deploy.plan()
    equal([(one["path"], one["reason"]) for one in made["left_out"]],
          [("bad\\xff", "name is not UTF-8"), ("link", "link"), ("pipe", "special file"),
           ("up", "link")])
    equal(paths(made["new"]), ["\x1b[31mred", "ok"])
    text = deploy.run("--plan", "site").stdout
    equal("\x1b" in text, False)
    equal("\\x1b[31mred" in text, True)
    deep = "site/" + "/".join(["d"] * 70)
    deploy.write(deep + "/f", "deep")
    deploy.refused(22, "more than 64 folders", "--plan", "site")
    deploy.refused(9, "cannot open the folder none", "--plan", "none")
    deploy.refused(11, "cannot open the folder site/ok", "--plan", "site/ok")


def test_many_files(deploy):
    for i in range(3000):
        deploy.write(f"site/{i % 50}/{i}", str(i))
    made = deploy.plan("--save", "many.json")
    equal(len(made["new"]), 3000)
    equal(deploy.plan("--against", "many.json")["unchanged"]["files"], 3000)


def test_manifests_from_elsewhere(deploy):
    deploy.write("site/f", "f")
    digest = "0" * 64
    good = {"bytes": 1, "sha256": digest}
    cases = [
        (5, "line 1", "{"),
        (5, "line 1", ""),
        (5, "duplicate", '{"version": 1, "version": 1, "files": {}}'),
        (6, '"version": must be 1', '{"version": 2, "files": {}}'),
        (6, '"version": must be 1', "[]"),
        (6, '"files": must be an object', '{"version": 1, "files": []}'),
        (6, '"files": must be an object', '{"version": 1, "files": {}, "more": 1}'),
        (5, "", '{"version": 1, "files": {"a\\u0000b": 1}}'),
    ]
    for path, why in (("/etc/passwd", "is absolute"), ("../up", "'..'"), ("a/../b", "'..'"),
                      ("a//b", "empty component"), ("", "is empty"), ("a/", "empty component"),
                      ("./a", "'.'"), ("x" * 5000, "is longer than 4095 bytes"),
                      ("\x1b[2J/..", "\\x1b[2J")):
        cases.append((6, why, json.dumps({"version": 1, "files": {path: good}})))
    for value, why in ((1, "no more"), ({"bytes": 1}, "no more"), ({**good, "x": 1}, "no more"),
                       ({**good, "bytes": -1}, "from 0 on"), ({**good, "bytes": 1.5}, "from 0 on"),
                       ({**good, "bytes": 2**62}, None), ({**good, "sha256": "0" * 63}, "64 hex"),
                       ({**good, "sha256": "g" * 64}, "64 hex"), ({**good, "sha256": 1}, "64 hex")):
        cases.append((6 if why else 22, why or "more than 64 GiB",
                      json.dumps({"version": 1, "files": {"f": value}})))
    for code, text, content in cases:
        deploy.write("m.json", content)
        deploy.refused(code, text, "--plan", "site", "--against", "m.json")
    deploy.write("m.json", b'{"version": 1, "files": {"\xff": {}}}')
    deploy.refused(5, "unable to decode", "--plan", "site", "--against", "m.json")
    deploy.refused(9, "none.json", "--plan", "site", "--against", "none.json")


# What a build that varies writes; $n is 1 in the first build and 2 in the second.
BUILDS = {
    "date": ("date", 'echo "built 2026-11-0$n by me" > site/date', "time stamp", 15),
    "epoch": ("epoch", 'echo "t=179000000$n;" > site/epoch', "time stamp", 11),
    "gzip": ("x.gz", "cp $n.gz site/x.gz", "time stamp of gzip", 4),
    "temporary": ("map", 'echo "from /tmp/build-$n/x.c" > site/map',
                  "name of a temporary folder", 16),
    "identifier": ("id", 'echo "id: 0123456789abcde$n" > site/id', "identifier or hash", 19),
    "order": ("list", "if [ $n = 1 ]; then echo 'b a'; else echo 'a b'; fi > site/list", "order",
              0),
    "length": ("end", 'if [ $n = 1 ]; then echo -n zz; else echo -n zzz; fi > site/end', "unknown",
               2),
    "other": ("what", 'echo "!$n!" > site/what', "unknown", 1),
}
COUNT = 'n=$(($(cat n 2>/dev/null || echo 0) + 1)); echo $n > n; '


def test_builds_that_vary(deploy):
    for i in (1, 2):
        deploy.write(f"{i}.gz", gzip.compress(b"same", mtime=i))
    for name, (path, command, cause, offset) in BUILDS.items():
        deploy.write("n", "0")
        fresh = "rm -rf site; mkdir site; echo same > site/same; "
        made = deploy.plan("--check", COUNT + fresh + command, "--save", "no.json", code=6)
        check = made["check"]
        equal((check["is_reproducible"], paths(check["different"])), (False, [path]), name)
        found = check["different"][0]
        equal(found["cause"].startswith(cause), True, f"{name}: {found}")
        equal(found["offset"], offset, f"{name}: {found}")
        equal(os.path.exists(os.path.join(deploy.folder, "no.json")), False)
    deploy.write("n", "0")
    text = deploy.run("--plan", "site", "--check", COUNT + BUILDS["date"][1]).stdout
    equal("  differs     date\n    from byte 15 on: time stamp\n" in text, True, text)


def test_names_that_vary(deploy):
    command = COUNT + "rm -rf site; mkdir site; echo same > site/app.$n.js; echo $n > site/$n"
    check = deploy.plan("--check", command, code=6)["check"]
    equal(check["only_first"], [{"path": "1"},
                                {"path": "app.1.js", "same_bytes_as": "app.2.js"}])
    equal(paths(check["only_second"]), ["2", "app.2.js"])


def test_builds_that_do_not_vary(deploy):
    check = deploy.plan("--check", "rm -rf site; mkdir site; echo a > site/a; echo said",
                        "--save", "good.json")["check"]
    equal((check["is_reproducible"], check["files"], check["not_built_again"]), (True, 1, 0))
    equal(os.path.exists(os.path.join(deploy.folder, "good.json")), True)
    check = deploy.plan("--check", "true")["check"]
    equal((check["is_reproducible"], check["not_built_again"]), (True, 1))
    text = deploy.run("--plan", "site", "--check", "true").stdout
    equal("1 of 1 files were not written by the second build" in text, True, text)


def test_builds_that_fail(deploy):
    deploy.write("site/f", "f")
    deploy.refused(19, "'exit 3' ended with exit code 3", "--plan", "site", "--check", "exit 3")
    deploy.refused(19, "signal 9", "--plan", "site", "--check", "kill -9 $$")
    deploy.refused(9, "cannot open the folder", "--plan", "site", "--check", "rm -rf site")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    program = parser.parse_args().program
    tests = [function for name, function in sorted(globals().items()) if name.startswith("test_")]
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            test(Deploy(program, folder))
            equal([name for name in os.listdir(folder) if name.startswith("weir-deploy")], [],
                  "copies that stayed")
            print("ok", test.__name__)


main()
