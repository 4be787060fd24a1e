#!/usr/bin/env python3
"""What README.md, docs/SERVE.md and weir.yaml(5) print runs as printed: configurations start,
commands do what stands beside them. A command that is not known here fails the test."""
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile

from weir_http import Options, equal, parse_options

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# Of README.md: the exit code, or why it cannot run here.
COMMANDS = {
    "weir run --memory-max 64MiB --report guests/hello.wasm": 0,
    "weir run --memory-max 3MiB --env QUERY_STRING=bomb guests/misbehave.wasm": 14,
    "weir serve --config ../../examples/serve/weir.yaml --modules guests":
        "runs until it is stopped",
    "weir top http://127.0.0.1:7070": "wants a terminal and a host",
    "weir cache ls": 0,
    "weir inspect --for wasmd hackatom.wasm": "the contracts' tests fetch it",
    "weir contract --state chain store hackatom.wasm": "the contracts' tests fetch it",
    "weir canister --state ic install counter counter.wasm": "the canisters' tests compile it",
    "weir plan --for nitro --memory 16GB": 0,
    "weir guard --pid 4711 --mem-free-limit 1GB --on-pause 'systemctl stop indexer'":
        "runs until it is stopped",
    "weir doctor 4711": "no such process",
}


def read(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        return file.read()


def blocks(text, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)


def run(command, folder, **more):
    environment = dict(os.environ, PATH=os.path.dirname(Options.program) + ":" + os.environ["PATH"],
                       XDG_CACHE_HOME=os.path.join(folder, "home"), **more)
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)


def runs_commands(folder):
    found = [line.split("  ")[0].strip()
             for line in re.findall(r"^    \$ (weir .*)$", read("README.md"), re.M)]
    equal(sorted(set(found)), sorted(COMMANDS), "commands of README.md")
    os.symlink(Options.guests, os.path.join(folder, "guests"))
    for command in found:
        if not isinstance(COMMANDS[command], int):
            continue
        done = run(command, folder)
        equal(done.returncode, COMMANDS[command], command + "\n" + done.stderr)
    checked = run("weir serve --check --config " + os.path.join(SOURCE, "examples/serve/weir.yaml")
                  + " --modules guests --overcommit", folder)
    lacks_sqlite = not os.path.exists(os.path.join(Options.guests, "sqlite.wasm"))
    equal(checked.returncode == 0 or lacks_sqlite, True, checked.stderr)


def place(text, folder):
    """Paths of a machine in a folder of ours."""
    for path in ("/var/lib/weir", "/var/log/weir", "/etc/weir", "/run"):
        text = text.replace(path, folder + path)
    return text


def serves(folder):
    page = read("docs/SERVE.md")
    config, tenants = blocks(page, "yaml")
    for path in ("/var/lib/weir", "/var/log/weir", "/etc/weir", "/run"):
        os.makedirs(folder + path)
    shutil.copy(os.path.join(Options.guests, "hello.wasm"), folder + "/var/lib/weir")
    shutil.copy(os.path.join(Options.guests, "hello.wasm"), folder)
    token = secrets.token_hex(32)
    with open(os.open(folder + "/etc/weir/token", os.O_CREAT | os.O_WRONLY, 0o600), "w",
              encoding="utf-8") as file:
        file.write(token + "\n")
    text = place(tenants + config, folder).replace("127.0.0.1:7070", "127.0.0.1:0")
    text = text.replace("control:\n", f"control:\n  socket: {folder}/run/weir.sock\n")
    with open(os.path.join(folder, "weir.yaml"), "w", encoding="utf-8") as file:
        file.write(text)
    for command in re.findall(r"`(weir plan --config [^`]*)`", page):
        done = run(command, folder)
        equal("running guests of acme" in done.stdout, True, done.stderr)
    server = subprocess.Popen([Options.program, "serve", "--quiet", "--config", "weir.yaml"],
                              cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        equal(url.startswith("http://127.0.0.1:"), True, url)
        for command in "".join(blocks(page, "sh")).splitlines():
            if command.startswith("#"):
                continue
            command = place(command, folder).replace("http://127.0.0.1:7070", url)
            done = run(command.replace("curl ", "curl -fsS ", 1), folder, TOKEN=token)
            equal(done.returncode, 0, command + "\n" + done.stderr)
            equal('"sha256"' in done.stdout, True, done.stdout)
        equal(run(f"curl -fsS {url}/hello", folder).stdout, "hello, world\n")
        for log in ("access.log", "events.log"):
            equal(os.path.exists(f"{folder}/var/log/weir/{log}"), True, log)
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()
    equal(server.returncode, 0)


def reads_man_example(folder):
    page = read("man/weir.yaml.5.scd")
    for name in ("hello.wasm", "counter.wasm"):
        shutil.copy(os.path.join(Options.guests, name), folder)
    with open(os.path.join(folder, "man.yaml"), "w", encoding="utf-8") as file:
        file.write("".join(blocks(page, "")))
    done = run("weir serve --check --overcommit --config man.yaml", folder)
    equal((done.returncode, "running guests /counter" in done.stdout), (0, True), done.stderr)


def main():
    parse_options()
    for test in (runs_commands, serves, reads_man_example):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
            test(folder)
            print("pass", test.__name__)
    sys.exit(0)


if __name__ == "__main__":
    main()
