#!/usr/bin/env python3
"""examples/guard/nginx.conf, with addresses and folders replaced, in Debian's nginx between a
client and a stand-in node: what is admitted and refused, and both policies for a killed guard."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile

import stand_in_node
from gateway import GUARD, Client, check_gateway, find_program, process, substitute
from weir_guard import Options, equal, figures, holds, injected, main, put, skip, until
from weir_port import free_port

CLOSED = (r"return 204; # open.*", "return 403;")


@contextlib.contextmanager
def gateway(node_port, guard_port, *more):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(Options.source, "examples/guard/nginx.conf"),
                  encoding="utf-8") as file:
            text = file.read()
        text = substitute(text, [
            (r"127\.0\.0\.1:8545", f"127.0.0.1:{node_port}"),
            (r"127\.0\.0\.1:7071", f"127.0.0.1:{guard_port}"),
            (r"listen 8080;", f"listen 127.0.0.1:{port};"),
            (r"/run/nginx\.pid", f"{folder}/pid"), (r"/var/log/nginx", folder),
            (r"worker_processes auto;", "worker_processes 1;\ndaemon off;"),
            (r"access_log .*;", "access_log off;\n" + "".join(
                f"    {name}_temp_path {folder}/{name};\n"
                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))),
            *more])
        if os.geteuid() == 0:  # else workers cannot enter the folder
            text = "user root;\n" + text
        path = os.path.join(folder, "nginx.conf")
        put(path, text)
        nginx = find_program("nginx")
        checked = subprocess.run([nginx, "-t", "-q", "-p", folder, "-c", path, "-e",
                                  folder + "/error.log"], capture_output=True, text=True,
                                 check=False)
        equal((checked.returncode, checked.stderr), (0, ""), "nginx -t")
        with process([nginx, "-p", folder, "-c", path, "-e", folder + "/error.log"],
                     folder + "/out"):
            yield Client(port), folder + "/error.log"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_the_example():
    _, node_port = stand_in_node.start()
    with injected(*GUARD) as (guard, path), gateway(node_port, guard.port) as (client, log):
        check_gateway(client, guard, path)
        holds("[error]" not in read(log), "a refusal is nothing for the error log")


def test_a_killed_guard_is_open():
    _, node_port = stand_in_node.start()
    with injected(*GUARD) as (guard, path), gateway(node_port, guard.port) as (client, _):
        put(path, figures(1000, 950))
        until(lambda: client.status() == 429, "refused")
        guard.process.kill()
        guard.process.wait()
        until(lambda: client.status() == 200, "open")
        with client.websocket() as (status, _, send):
            equal((status, send("x")), (101, "x"))


def test_a_killed_guard_is_closed():
    _, node_port = stand_in_node.start()
    with injected(*GUARD) as (guard, _), gateway(node_port, guard.port, CLOSED) as (client, _):
        until(lambda: client.status() == 200, "admitted")
        guard.process.kill()
        guard.process.wait()
        until(lambda: client.status() == 503, "closed")
        status, headers, body = client.request("POST", "/rpc", b"{}")
        equal((status, headers["Content-Type"]), (503, "application/json"))
        equal(json.loads(body)["error"], "guard")
        equal(client.request("GET", "/health")[0], 200)


if __name__ == "__main__":
    if find_program("nginx") is None:
        skip("nginx is missing")
    sys.exit(main(dict(globals())))
