#!/usr/bin/env python3
"""Who may change what, and PUT /v1/modules/NAME: routes switch to the new module while they answer,
bad modules change nothing, what is there after a restart is what was answered."""
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from weir_http import Options, Server, Thread, equal, parse_options, until

TOKEN = "0123456789abcdef0123456789abcdef"
CONFIG = """
cache: {{cache}}
modules: {modules}
server: {{{{ loops: 2, workers: 2, spool: {{spool}}, body_timeout: 600s }}}}
control: {{{{ {control} }}}}
log: {{{{ events: events, events_format: json, access: access, access_format: json }}}}
routes:
  - {{{{ path: /a, module: a.wasm, limits: {{{{ memory: 4MiB, time: 60s, body: 64KiB }}}} }}}}
  - {{{{ path: /fuel, module: a.wasm,
      limits: {{{{ memory: 4MiB, time: 60s, fuel: 100000000 }}}} }}}}
"""
BEARER = {"Authorization": "Bearer " + TOKEN}


def guest(name):
    with open(os.path.join(Options.guests, name), "rb") as file:
        return file.read()


class Modules(Server):
    """A server whose modules are in a folder of its own."""

    def __init__(self, control="token: token, upload_max: 4MiB", modules=None, wrap=(),
                 config=CONFIG):
        self.kept = tempfile.TemporaryDirectory() if modules is None else None
        self.modules = modules or self.kept.name
        if self.kept:
            shutil.copy(os.path.join(Options.guests, "hello.wasm"), self.modules + "/a.wasm")
            with open(self.modules + "/token", "w", encoding="ascii",
                      opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(TOKEN + "\n")
        control = control.replace("token: token", f"token: {self.modules}/token")
        super().__init__(config.format(control=control, modules=self.modules), wrap,
                         ("--modules", self.modules))

    def put(self, name, body, headers=None):
        status, fields, text = self.request("PUT", "/v1/modules/" + name, body,
                                            {**BEARER, **(headers or {})})
        return status, fields, json.loads(text)

    def close(self):
        super().close()
        if self.kept:
            self.kept.cleanup()


def asks_for_the_token(server):
    body = guest("hello.wasm")
    for headers, wanted in (({}, 401), ({"Authorization": "Bearer x"}, 401),
                            ({"Authorization": "Basic " + TOKEN}, 401),
                            ({"Authorization": "Bearer " + TOKEN + "0"}, 401), (BEARER, 201)):
        status, fields, text = server.request("PUT", "/v1/modules/t.wasm", body, headers)
        equal(status, wanted, text)
        if status == 401:
            equal(fields["WWW-Authenticate"], 'Bearer realm="weir"', fields)
            equal("token" in json.loads(text)["reason"], True, text)
    equal(server.request("DELETE", "/v1/modules/t.wasm")[0], 401, "DELETE, too")
    equal(server.request("DELETE", "/v1/modules/t.wasm", None, BEARER)[0], 200)
    equal(server.request("POST", "/v1/modules/t.wasm", b"", BEARER)[1]["Allow"],
          "GET, HEAD, PUT, DELETE")
    equal(server.request("PUT", "/v1/memory", b"", BEARER)[0], 405)
    equal(server.get("/v1/modules")[0], 200, "reads are open")
    for name in ("access", "events"):
        with open(os.path.join(server.folder.name, name), encoding="utf-8") as file:
            equal(TOKEN in file.read(), False, f"the token is not in log.{name}")


def switches_live(server):
    """Under load: each answer is of the old module or of the new one, and after the PUT is answered
    of the new one."""
    stop, answers = threading.Event(), []

    def ask(path):
        connection = server.connect()
        while not stop.is_set():
            connection.request("POST", path, b"abc")
            response = connection.getresponse()
            answers.append((response.status, response.read()))
        connection.close()

    threads = [Thread(target=ask, args=(path,)) for path in ("/a", "/fuel") * 2]
    for thread in threads:
        thread.start()
    for turn in range(6):
        name, wanted = (("transform.wasm", b"ABC"), ("hello.wasm", b"hello, world\n"))[turn % 2]
        status, fields, body = server.put("a.wasm", guest(name))
        sha256 = hashlib.sha256(guest(name)).hexdigest()
        equal((status, body["sha256"], fields["ETag"]), (200, sha256, f'"{sha256}"'), body)
        equal(body["routes"], ["/a", "/fuel"], body)
        for path in ("/a", "/fuel"):
            equal(server.request("POST", path, b"abc")[2], wanted, "the new one answers")
    stop.set()
    for thread in threads:
        thread.join()
    equal({status for status, _ in answers}, {200}, "no request was dropped")
    equal({body for _, body in answers} <= {b"ABC", b"hello, world\n"}, True)
    print(len(answers), "answers over 6 uploads")


def refuses_bad(server):
    before = server.request("GET", "/v1/modules/a.wasm")[1]["ETag"]
    hello = guest("hello.wasm")
    broken = hello[:200] + b"\xff" * 20 + hello[220:]
    for body, wanted, what in (
            (b"not wasm", 422, "bad_module"), (b"", 422, "bad_module"), (broken, 422, "bad_module"),
            (hello[:5000], 422, "bad_module"), (IMPORTS, 422, "bad_module")):
        status, _, answer = server.put("a.wasm", body)
        equal((status, answer["error"]), (wanted, what), answer)
        equal(server.request("GET", "/v1/modules/a.wasm")[1]["ETag"], before, "nothing changed")
        equal(server.get("/a")[2], b"hello, world\n", "it answers as before")
    equal(server.put("a.wasm", broken)[2].get("offset", 0) > 0, True, "the offset is told")
    details = "\n".join(server.put("a.wasm", IMPORTS)[2]["details"])
    equal("nosuch" in details and "nothing" in details, True, details)
    for name in ("a", ".wasm", "a%2fb.wasm", "..%2fa.wasm", "x" * 96 + ".wasm", "a%20b.wasm",
                 ".hidden.wasm", "token"):
        equal(server.request("PUT", "/v1/modules/" + name, hello, BEARER)[0], 400, name)
    client = begin_put(server, "a.wasm", 5 << 20)
    answer = client.recv(2000)
    equal(b" 413 " in answer.split(b"\r\n")[0] and b"control.upload_max" in answer, True, answer)
    client.close()
    # Chunked, its size shows only while it comes.
    connection = server.connect()
    try:
        connection.request("PUT", "/v1/modules/a.wasm", iter([b"\0" * 65536] * 200), BEARER,
                           encode_chunked=True)
        equal(connection.getresponse().status, 413, "chunked and too large")
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was told while it still sent
    connection.close()
    equal([name for name in os.listdir(server.modules) if name.startswith(".")], [], "no remains")
    equal(server.memory()["descriptors"] < 200, True)


# (module (import "nosuch" "f" (func)) (import "wasi_snapshot_preview1" "nothing" (func)))
IMPORTS = (b"\0asm\1\0\0\0" b"\1\4\1\x60\0\0" b"\2\x2d\2" b"\6nosuch\1f\0\0"
           b"\x16wasi_snapshot_preview1\7nothing\0\0")


def obeys_conditions(server):
    hello, etag = guest("hello.wasm"), server.request("GET", "/v1/modules/a.wasm")[1]["ETag"]
    equal(server.put("a.wasm", hello, {"If-Match": '"0"'})[0], 412, "another one")
    equal(server.put("n.wasm", hello, {"If-Match": "*"})[0], 412, "none there")
    equal(server.put("a.wasm", hello, {"If-None-Match": "*"})[0], 412, "one there")
    equal(server.put("a.wasm", hello, {"If-Match": etag})[0], 200)
    equal(server.put("n.wasm", hello, {"If-None-Match": "*"})[0], 201)
    equal(server.request("DELETE", "/v1/modules/n.wasm", None, {**BEARER, "If-Match": '"0"'})[0],
          412)
    status, _, body = server.request("DELETE", "/v1/modules/a.wasm", None, BEARER)
    equal((status, json.loads(body)["error"]), (409, "conflict"), body)
    listed = {entry["name"]: entry for entry in json.loads(server.get("/v1/modules")[2])}
    equal(sorted(listed), ["a.wasm", "n.wasm"])
    equal(listed["a.wasm"]["routes"], ["/a", "/fuel"])
    equal(listed["n.wasm"]["routes"], [])
    equal(server.request("DELETE", "/v1/modules/n.wasm", None, BEARER)[0], 200)
    equal(server.request("DELETE", "/v1/modules/n.wasm", None, BEARER)[0], 404)
    equal(server.get("/v1/modules/n.wasm")[0], 404)


def uploads(server):
    return [name for name in os.listdir(server.modules) if name.startswith(".upload-")]


def begin_put(server, name, size):
    client = server.socket()
    client.sendall(f"PUT /v1/modules/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n"
                   f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())
    return client


def has_one_winner(server):
    hello = guest("hello.wasm")
    client = begin_put(server, "a.wasm", len(hello))
    client.sendall(hello[:1000])
    until("it is being uploaded", lambda: uploads(server))
    equal(server.put("a.wasm", hello)[0], 409, "while another one is being uploaded")
    equal(server.put("b.wasm", hello)[0], 201, "another name is free")
    equal(server.request("DELETE", "/v1/modules/b.wasm", None, BEARER)[0], 200)
    client.sendall(hello[1000:])
    equal(client.recv(100).split(b"\r\n")[0], b"HTTP/1.1 200 OK", "the first one wins")
    client.close()
    client = begin_put(server, "a.wasm", len(hello))
    client.sendall(hello[:1000])
    until("it is being uploaded", lambda: uploads(server))
    client.close()  # a client that leaves
    until("nothing is left of it", lambda: not uploads(server))
    equal(server.put("a.wasm", hello)[0], 200, "the name is free again")


def rereads_the_token(server):
    path = server.modules + "/token"
    other = "f" * 32

    def reload_with(text, mode):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, mode)
        before = count(server, "reloaded") + count(server, "reload_refused")
        server.process.send_signal(signal.SIGHUP)
        until("the reload ends",
              lambda: count(server, "reloaded") + count(server, "reload_refused") > before)

    hello = guest("hello.wasm")
    reload_with(other, 0o644)
    equal(count(server, "reload_refused"), 1, "others may read it")
    reload_with("short", 0o600)
    equal(count(server, "reload_refused"), 2, "too short")
    equal(server.put("a.wasm", hello)[0], 200, "the old token holds")
    reload_with(other, 0o600)
    equal(server.put("a.wasm", hello)[0], 401, "the old token is over")
    equal(server.put("a.wasm", hello, {"Authorization": "bearer " + other})[0], 200)
    reload_with(TOKEN, 0o600)


def count(server, name):
    with open(os.path.join(server.folder.name, "events"), encoding="utf-8") as file:
        lines = file.read().split("\n")[:-1]  # the last one is being written
    return sum(json.loads(line)["event"] == name for line in lines)


def outlives_kill(server):
    """kill -9 in the middle of an upload, and after one: a restart has what was answered."""
    equal(server.put("a.wasm", guest("transform.wasm"))[0], 200)
    client = begin_put(server, "a.wasm", 100000)
    client.sendall(guest("hello.wasm")[:5000])
    until("it is being uploaded", lambda: uploads(server))
    server.process.kill()
    server.process.wait()
    client.close()
    again = Modules(modules=server.modules)
    try:
        equal(again.request("POST", "/a", b"abc")[2], b"ABC", "the uploaded one")
        equal(again.request("POST", "/fuel", b"abc")[2], b"ABC")
        equal([name for name in os.listdir(server.modules) if name.startswith(".")], [], "swept")
        equal(again.put("a.wasm", guest("hello.wasm"))[0], 200)
        equal(again.stop(), 0)
    finally:
        again.close()


FILTERED = CONFIG + """
  - path: /filtered
    module: a.wasm
    limits: {{{{ memory: 4MiB, time: 600s }}}}
    filters: [ {{{{ name: f, module: f.wasm, configuration: none }}}} ]
"""


def marks(response):
    return [name for name, _ in response.getheaders() if name.lower().startswith("x-")
            and name.lower() != "x-request-id"]


def accounts(tree, name):
    """Plugins of that name; their VMs are below them."""
    if tree["name"] == name:
        return 1
    return sum(accounts(child, name) for child in tree.get("children", []))


def switches_filters():
    """A filter's module under load, with a request that began before: that one ends with the old
    one, whose VMs are gone then. One that is no filter changes nothing."""
    first = guest("filter_probe.wasm")
    second = first.replace(b"x-filtered", b"x-replaced")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(Options.guests, "hello.wasm"), folder + "/a.wasm")
        with open(folder + "/f.wasm", "wb") as file:
            file.write(first)
        with open(folder + "/token", "w", encoding="ascii",
                  opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(TOKEN + "\n")
        server = Modules(modules=folder, config=FILTERED)
        try:
            switch_filters(server, first, second)
            equal(server.stop(), 0)
        finally:
            server.close()


def view_of(server):
    return json.loads(server.get("/v1/filters")[2])["filters"][0]


def switch_filters(server, first, second):
    stop, answers = threading.Event(), []

    def ask():
        connection = server.connect()
        while not stop.is_set():
            connection.request("POST", "/filtered", b"abc")
            response = connection.getresponse()
            answers.append((response.status, response.read(), *marks(response)))
        connection.close()

    def begin():
        streams = view_of(server)["streams"]
        client = server.socket()
        client.sendall(b"POST /filtered HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab")
        until("it has begun", lambda: view_of(server)["streams"] > streams)
        return client

    old = begin()
    threads = [Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(6):
        module, mark = ((second, "x-replaced"), (first, "x-filtered"))[turn % 2]
        status, _, body = server.put("f.wasm", module)
        equal((status, body["routes"]), (200, ["/filtered"]), body)
        equal(mark in server.request("POST", "/filtered", b"abc")[1], True, "the new one answers")
        seen = len(answers)  # those that are under way may be of the old one
        until("the others see it", lambda: (mark,) in [each[2:] for each in answers[seen:]])
    stop.set()
    for thread in threads:
        thread.join()
    equal({answer[:2] for answer in answers}, {(200, b"hello, world\n")}, "none was dropped")
    equal({answer[2:] for answer in answers}, {("x-filtered",), ("x-replaced",)})
    server.put("f.wasm", second)
    until("those without a request go by themselves",
          lambda: accounts(server.memory()["accounts"], "f") <= 2)
    equal(accounts(server.memory()["accounts"], "f"), 2, "the old one has a request")
    old.sendall(b"c")
    equal(b"x-filtered" in old.recv(4096), True, "it ends where it began")
    old.close()
    until("the old one is gone", lambda: accounts(server.memory()["accounts"], "f") == 1)
    for bad in (guest("hello.wasm"), second[:-1], b""):
        status, _, answer = server.put("f.wasm", bad)
        equal((status, answer["error"], answer["reason"].startswith("filter f of /filtered: ")),
              (422, "bad_module", True), answer)
        equal("x-replaced" in server.request("POST", "/filtered", b"abc")[1], True, "as before")
    streams = view_of(server)["streams"]
    for module, body in (("echo.wasm", b"\n\nabc"), ("hello.wasm", b"hello, world\n")):
        equal(server.put("a.wasm", guest(module))[0], 200)
        status, headers, answer = server.request("POST", "/filtered", b"abc")
        equal((status, answer.endswith(body), "x-replaced" in headers), (200, True, True), answer)
    equal(accounts(server.memory()["accounts"], "f"), 1, "the plugin stays when its guest changes")
    equal(view_of(server)["streams"], streams + 2, "and its VM")
    equal(server.request("DELETE", "/v1/modules/f.wasm", None, BEARER)[0], 409)
    print(len(answers), "answers over 6 uploads of a filter")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def without_a_token():
    """Changes are off, but on the UNIX socket."""
    server = Modules("socket: control.sock, upload_max: 4MiB")
    try:
        status, _, body = server.put("b.wasm", guest("hello.wasm"))
        equal((status, body["error"]), (403, "forbidden"), body)
        equal("control.token" in body["reason"], True, body)
        path = os.path.join(server.folder.name, "control.sock")
        equal(os.stat(path).st_mode & 0o777, 0o600, "the socket is the owner's")
        connection = UnixConnection(path)
        for _ in range(3):
            connection.request("PUT", "/v1/modules/b.wasm", guest("hello.wasm"))
            response = connection.getresponse()
            equal(response.status in (200, 201), True, response.read())
            response.read()
        connection.request("GET", "/a")
        equal(connection.getresponse().read(), b"hello, world\n", "routes are there, too")
        connection.close()
        equal(server.stop(), 0)
        equal(os.path.exists(path), False, "the socket is gone")
    finally:
        server.close()
    server = Modules("token: token")
    try:
        status, _, body = server.put("b.wasm", b"")
        equal((status, "control.upload_max" in body["reason"]), (403, True), body)
        equal(server.get("/v1/modules")[0], 403)
    finally:
        server.close()
    server = Modules("token: token, reads: token")
    try:
        equal((server.get("/v1/memory")[0], server.get("/healthz")[0], server.get("/a")[0]),
              (401, 200, 200))
        equal(server.request("GET", "/v1/memory", None, BEARER)[0], 200)
    finally:
        server.close()


def main():
    parse_options()
    server = Modules()
    try:
        for test in (asks_for_the_token, switches_live, refuses_bad, obeys_conditions,
                     has_one_winner, rereads_the_token, outlives_kill):
            test(server)
            print("pass", test.__name__)
        for test in (switches_filters, without_a_token):
            test()
            print("pass", test.__name__)
    except (AssertionError, subprocess.TimeoutExpired) as failure:
        print("FAIL", failure, server.read_log()[-2000:])
        sys.exit(1)
    finally:
        server.close()


if __name__ == "__main__":
    main()
