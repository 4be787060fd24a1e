#!/usr/bin/env python3
"""Tests weir_fetch.py with a go and an npm that are played."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GO = """#!/bin/sh
echo x >>"$PLAYED/calls"
test "$(wc -l <"$PLAYED/calls")" -gt "$FAILURES" || { echo "$SAID" >&2; exit 1; }
echo '{"Dir": "here"}'
"""
# An npm that ends, or is ended, when it has unpacked a half.
NPM = """#!/bin/sh
mkdir -p node_modules/package
echo half >node_modules/package/file
test "$FAILURES" = 0 || { echo "npm error code E500
npm error FetchError: $SAID
npm error  at nowhere"; kill -"$FAILURES" $$; }
echo whole >node_modules/package/file
"""
ASK_GO = "import os, weir_fetch; print(weir_fetch.go_module('go', 'm@v1', dict(os.environ)))"
ASK_NPM = "import sys, weir_fetch; weir_fetch.npm_install(sys.argv[1], ['package@1'])"
LOST = "dial tcp: i/o timeout"
FOUND = "{'Dir': 'here'}\n"
PAUSES = "import weir_fetch; weir_fetch.PAUSES = (0, 0); weir_fetch.SECONDS_MAX = 60; "

# (failures, what Go says, exit code, output, calls)
GO_TABLE = [
    (0, LOST, 0, FOUND, 1),
    (2, LOST, 0, FOUND, 3),
    (3, LOST, 77, f"skip: m@v1 cannot be fetched: {LOST}\n", 3),
    (2, "unexpected EOF", 0, FOUND, 3),
    (1, "checksum mismatch", 1, "", 1),
]


def ask(folder, code, *arguments, **environment):
    path = os.pathsep.join([folder, os.environ["PATH"]])
    return subprocess.run([sys.executable, "-c", PAUSES + code, *arguments], capture_output=True,
                          text=True, check=False,
                          env={**os.environ, "PATH": path, "PLAYED": folder, "PYTHONPATH":
                               os.path.dirname(HERE), "WEIR_REQUIRE_ALL": "0", **environment})


def play(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o755)


def test_go(failures, said, code, output, calls):
    with tempfile.TemporaryDirectory() as folder:
        play(folder, "go", GO)
        done = ask(folder, ASK_GO, FAILURES=str(failures), SAID=said)
        with open(os.path.join(folder, "calls"), encoding="ascii") as file:
            called = len(file.readlines())
    return (done.returncode, done.stdout, called) == (code, output, calls) or print(done, called)


def test_npm():
    """Failed or killed, nothing is there; then everything is; and then npm is not asked again."""
    with tempfile.TemporaryDirectory() as folder:
        play(folder, "npm", NPM)
        into = os.path.join(folder, "into")
        for signal in ("TERM", "KILL"):
            done = ask(folder, ASK_NPM, into, FAILURES=signal, SAID="gone")
            if done.returncode != 77 or "skip: npm cannot fetch" not in done.stdout or \
                    "npm error FetchError: gone" not in done.stdout or os.listdir(into):
                return print(done)
        for failures in ("0", "TERM"):
            done = ask(folder, ASK_NPM, into, FAILURES=failures, SAID="gone")
            with open(os.path.join(into, "node_modules/package/file"), encoding="ascii") as file:
                if done.returncode != 0 or file.read() != "whole\n":
                    return print(done)
    return True


def test_slow():
    """What does not end is ended, with its children, and said."""
    with tempfile.TemporaryDirectory() as folder:
        play(folder, "go", "#!/bin/sh\nsleep 3600 &\nsleep 3600\n")
        done = ask(folder, "weir_fetch.SECONDS_MAX = 0.2; " + ASK_GO)
    return (done.returncode, done.stdout) == (
        77, "skip: go mod download -json m@v1 fetched for 0.2 s and was not done\n") or print(done)


def main():
    results = [test_go(*row) for row in GO_TABLE] + [test_npm(), test_slow()]
    print(f"{len(results)} tests, {results.count(None)} failed")
    return 1 if None in results else 0


if __name__ == "__main__":
    sys.exit(main())
