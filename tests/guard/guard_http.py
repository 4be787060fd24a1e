#!/usr/bin/env python3
"""`weir guard` over HTTP: answers and their exact form, pages, hostile requests, policies for the
unknown, and the commands that pause and resume background work."""
import json
import os
import re
import signal
import socket
import stat
import sys
import tempfile
import threading

from weir_guard import (MIB, equal, figures, guarding, holds, injected, main, put, run_once, until)

LIMIT = ("--mem-free-limit", "100MiB", "--leave-free", "150MiB", "--transitions", "60")
UNREAD = 'weir_admissions_total{answer="refused",reason="unread"}'
UNKNOWN = 'weir_admissions_total{answer="admitted",reason="unknown"}'
KNOWN = "arb_rpc_limitcheck_success"


def test_admit():
    with injected(*LIMIT) as (guard, path):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"):
            status, headers, body = guard.request(method, "/admit")
            equal((status, body), (204, b""), method)
            holds("Content-Length" not in headers, headers)
            status, _, body = guard.request(method, "/admit/rpc/v1?x=1", b"x" * 1000)
            equal((status, body), (200, b""), method)
        equal(guard.get("/admit?token=1")[0], 204)
        equal(guard.get("/admits")[0], 404)
        put(path, figures(1000, 900))
        until(guard.refusal, "a refusal")
        for method in ("GET", "POST", "PROPFIND"):
            status, headers, body = guard.request(method, "/admit/rpc")
            equal(status, 429, method)
            equal(headers["Content-Type"], "application/json")
            equal(headers["Retry-After"], "1")
            equal(headers["Weir-Refusal"] + "\n", body.decode())
            answer = json.loads(body)
            since = answer.pop("since_ms")
            holds(0 <= since < 60000, since)
            equal(answer, {"error": "memory", "reason": "free memory below mem_free_limit",
                           "limit_bytes": 1000 * MIB, "used_bytes": 900 * MIB,
                           "free_bytes": 100 * MIB, "mem_free_limit_bytes": 100 * MIB,
                           "binding": path})
            equal(list(json.loads(body)), ["error", "reason", "limit_bytes", "used_bytes",
                                           "free_bytes", "mem_free_limit_bytes", "since_ms",
                                           "binding"])
        equal(guard.request("HEAD", "/admit")[0], 429)
        put(path, figures(1000, 850))  # between the thresholds: still refused
        until(lambda: guard.pressure()["reading"]["free_bytes"] == 150 * MIB, "a reading")
        equal(guard.status(), 429)
        put(path, figures(1000, 849))
        guard.until_status(204)


def test_retry_after_is_the_dwell():
    with injected(*LIMIT, dwell="7s") as (guard, path):
        put(path, figures(1000, 950))
        until(guard.refusal, "a refusal")
        equal(guard.get("/admit")[1]["Retry-After"], "7")


def test_pages():
    with injected(*LIMIT) as (guard, _):
        equal(guard.get("/healthz")[::2], (200, b"ok\n"))
        equal(guard.request("POST", "/healthz")[0], 405)
        status, headers, body = guard.get("/nothing")
        equal((status, json.loads(body)["error"]), (404, "not_found"))
        status, headers, _ = guard.get("/metrics")
        equal((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        _, headers, body = guard.request("GET", "/metrics", None,
                                         {"Accept": "application/openmetrics-text"})
        holds(headers["Content-Type"].startswith("application/openmetrics-text"), headers)
        holds(body.endswith(b"# EOF\n"), body[-100:])
        page = guard.pressure()
        equal(page["state"], "normal")
        equal(page["protecting"], True)
        equal(page["reading"]["free_bytes"], 900 * MIB)
        equal(page["actions"][0]["enter_free_bytes"], 100 * MIB)


def test_metrics_follow():
    with injected(*LIMIT) as (guard, path):
        for _ in range(3):
            guard.get("/admit")
        equal(guard.metric('weir_admissions_total{answer="admitted",reason="known"}'), 3)
        equal(guard.metric("arb_rpc_limitcheck_success"), 3)
        equal(guard.metric("arb_rpc_limitcheck_duration_count"), 3)
        equal(guard.metric("arb_memory_limit"), 900 * MIB)
        equal(guard.metric("arb_memory_usage"), 100 * MIB)
        put(path, figures(1000, 950, psi_full_avg10="12.5"))
        until(guard.refusal, "a refusal")
        refused = guard.metric("arb_rpc_limitcheck_failure")
        holds(refused >= 1, refused)
        equal(guard.metric('weir_admissions_total{answer="refused",reason="short"}'), refused)
        equal(guard.metric('weir_pressure_state{state="pressed"}'), 1)
        equal(guard.metric('weir_pressure_transitions_total{to="pressed"}'), 1)
        equal(guard.metric('weir_cgroup_stall_ratio{kind="full"}'), 0.125)
        equal(guard.metric("weir_pressure_protected"), 1)


def test_off_admits_and_says_so():
    for arguments in (("--mem-free-limit", ""), ()):
        with injected(*arguments) as (guard, path):
            guard.until_log("protection is off: no --mem-free-limit is set")
            put(path, figures(1000, 1000))
            until(lambda: guard.pressure()["reading"]["free_bytes"] == 0, "nothing is free")
            equal(guard.status(), 204)
            equal(guard.metric("weir_pressure_protected"), 0)
            put(path, "broken\n")
            guard.until_log("cannot tell the memory pressure")
            equal(guard.status(), 204)


def test_unknown_follows_the_policy():
    for policy, status in (("open", 204), ("closed", 429)):
        with injected(*LIMIT, "--on-unknown", policy, stale="2s") as (guard, path):
            guard.until_status(204)
            put(path, "unknown the sensor is away\n")
            guard.until_log("error: cannot tell the memory pressure: the sensor is away")
            guard.until_state("unknown")
            counts = {name: guard.metric(name) for name in (UNREAD, UNKNOWN, KNOWN)}
            code, headers, body = guard.get("/admit")
            equal(code, status, policy)
            counts[UNREAD if policy == "closed" else UNKNOWN] += 1
            equal({name: guard.metric(name) for name in counts}, counts, "only known ones succeed")
            equal(guard.metric('weir_pressure_state{state="unknown"}'), 1)
            if policy == "closed":
                equal(headers["Retry-After"], "1")
                answer = json.loads(body)
                equal(answer["error"], "memory")
                equal(answer["reason"], "memory pressure is unknown: the sensor is away")
            put(path, figures(1000, 100))
            guard.until_state("normal")
            guard.until_status(204)


def test_a_monitor_that_stands_still_is_unknown():
    """The thread that reads hangs in open() of a pipe that nobody writes; HTTP goes on."""
    with injected(*LIMIT, "--on-unknown", "closed", stale="2s") as (guard, path):
        guard.until_status(204)  # a thread that waits for a processor counts as one that hangs
        os.mkfifo(path + ".new")
        os.rename(path + ".new", path)
        refusal = until(guard.refusal, "the last reading is older than --stale")
        equal(refusal["reason"], "memory pressure is unknown: the monitor has stopped")
        guard.until_state("unknown")
        until(lambda: guard.metric('weir_pressure_state{state="unknown"}') == 1, "the metric")
        guard.until_status(429)
        equal(guard.get("/healthz")[0], 200)


def test_transitions_are_bounded():
    with injected("--mem-free-limit", "100MiB", "--leave-free", "150MiB", "--transitions", "4",
                  dwell="0s") as (guard, path):
        for _ in range(5):
            put(path, figures(1000, 950))
            until(lambda: guard.pressure()["reading"]["free_bytes"] == 50 * MIB, "short")
            equal(guard.status(), 429)  # pressure is never put off
            put(path, figures(1000, 100))
            until(lambda: guard.pressure()["reading"]["free_bytes"] == 900 * MIB, "enough")
        action = guard.pressure()["actions"][0]
        equal((action["state"], action["transitions"]), ("pressed", 3))
        holds(10 < int(guard.get("/admit")[1]["Retry-After"]) <= 60, "until the minute is over")


# --- hostile requests --------------------------------------------------------------------------

def raw(guard, data, shut=True):
    """What comes back on a connection of its own."""
    with socket.create_connection(("127.0.0.1", guard.port), 60) as connection:
        try:
            connection.sendall(data)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            got = b""
            while True:
                part = connection.recv(65536)
                if not part:
                    return got
                got += part
        except OSError:
            return b""


def test_hostile_requests():
    with injected(*LIMIT) as (guard, _):
        head = b"Host: x\r\nConnection: close\r\n"
        holds(b" 413 " in raw(guard, b"POST /admit HTTP/1.1\r\n" + head +
                              b"Content-Length: 99999999999\r\n\r\n", False), "a long body")
        holds(b" 204 " in raw(guard, b"POST /admit HTTP/1.1\r\n" + head +
                              b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
              "a body in chunks")
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        equal(raw(guard, b"POST /admit HTTP/1.1\r\n" + head +
                  b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 64 + b"0\r\n\r\n"), b"",
              "endless chunks")
        for request in (b"\r\n\r\n", b"GET\r\n\r\n", b"\0\1\2\3" * 100, b"GET /" + b"a" * 100000,
                        b"GET /admit HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                        b"GET /admit HTTP/9.9\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n"):
            holds(b" 204 " not in raw(guard, request), request[:40])
        for path in ("/admit/%00%ff", "/admit/../metrics", "/admit//", "/admit/\u00e4".encode()):
            path = path if isinstance(path, bytes) else path.encode()
            holds(b" 200 " in raw(guard, b"GET " + path + b" HTTP/1.1\r\n" + head + b"\r\n"), path)
        equal(guard.status(), 204)
        idle = [socket.create_connection(("127.0.0.1", guard.port), 60) for _ in range(600)]
        for connection in idle:  # more than there are places: those beyond wait or are closed
            connection.close()
        guard.until_status(204)
        equal(guard.stop(), 0)


def test_signals():
    with injected(*LIMIT) as (guard, _):
        guard.process.send_signal(signal.SIGHUP)
        guard.until_log(r"weir guard: admits: enough memory is free; 900 MiB free of 1000 MiB")
        equal(guard.status(), 204)
        with socket.create_connection(("127.0.0.1", guard.port), 60):  # does not keep it
            equal(guard.stop(signal.SIGINT), 0)


def test_a_reader_that_never_reads():
    with injected(*LIMIT) as (guard, _):
        with socket.create_connection(("127.0.0.1", guard.port), 60) as connection:
            connection.setblocking(False)
            try:
                for _ in range(3000):
                    connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            except OSError:
                pass
            equal(guard.status(), 204)


# --- commands ----------------------------------------------------------------------------------

class Commands:
    """A folder with a log that the commands write."""

    def __init__(self, folder):
        self.folder = folder
        self.path = os.path.join(folder, "log")
        self.pause = self.write("pause", 'echo "begin pause" >>$LOG; $WORK; echo "$WEIR_EVENT '
                                '$WEIR_FREE_BYTES $WEIR_LIMIT_BYTES $WEIR_FREE_LIMIT_BYTES '
                                '$WEIR_REASON" >>$LOG')
        self.resume = self.write("resume", 'echo "begin resume" >>$LOG; echo $WEIR_EVENT >>$LOG')

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nLOG={self.path}\nWORK=\"$1\"\n{text}\n")
        os.chmod(path, stat.S_IRWXU)
        return path

    def lines(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as file:
            return file.read().splitlines()

    def until(self, lines):
        until(lambda: self.lines() == lines, f"the commands log {lines}, not {self.lines()}")


PAUSE = ("--pause-free-limit", "200MiB", "--pause-leave-free", "250MiB", "--transitions", "60")


def test_background_work_is_paused_and_resumed():
    with tempfile.TemporaryDirectory() as folder:
        commands = Commands(folder)
        with injected(*LIMIT, *PAUSE, "--on-pause", commands.pause, "--on-resume",
                      commands.resume) as (guard, path):
            guard.until_log("background work is paused when no more than 200 MiB is free")
            put(path, figures(1000, 800))
            paused = ["begin pause", f"pause {200 * MIB} {1000 * MIB} {200 * MIB} free memory "
                                     "below mem_free_limit"]
            commands.until(paused)
            until(lambda: guard.metric('weir_background_paused{task="background"}') == 1, "paused")
            until(lambda: guard.metric(
                'weir_background_transitions_total{task="background",to="paused"}') == 1, "count")
            equal(guard.metric("arb_validator_memory_limit_exceeded"), 1)
            equal(guard.status(), 204)  # requests have another threshold
            put(path, figures(1000, 700))
            commands.until(paused + ["begin resume", "resume"])
            guard.until_log("background work is running")
            guard.until_log("--on-resume ended with status 0")
            equal(guard.metric("arb_validator_memory_limit_exceeded"), 0)
            put(path, figures(1000, 900))
            until(lambda: len(commands.lines()) == 6, "paused again")
            guard.until_log("background work is paused\n(.*\n)*.*background work is paused\n")
            equal(guard.stop(), 0)  # nobody would be left to resume it
            equal(commands.lines()[-2:], ["begin resume", "resume"])


def test_the_default_threshold_is_the_validators():
    with tempfile.TemporaryDirectory() as folder:
        commands = Commands(folder)
        with injected("--on-pause", commands.pause) as (guard, path):
            guard.until_log("paused when no more than 1.0 GiB is free")
            put(path, figures(4096, 3071))
            until(lambda: guard.metric("weir_memory_free_bytes") == 1025 * MIB, "a reading")
            holds(len(commands.lines()) <= 2, "the first figures were short")
    with injected("--on-pause", "false", "--pause-free-limit", "") as (guard, _):
        guard.until_log("background work is never paused")
        equal(guard.metric('weir_background_paused{task="background"}'), 0)


def test_commands_never_overlap_and_keep_their_order():
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "fifo")
        os.mkfifo(fifo)
        commands = Commands(folder)
        with injected(*PAUSE, "--on-pause", f"{commands.pause} 'cat {fifo}'", "--on-resume",
                      commands.resume) as (guard, path):
            put(path, figures(1000, 950))
            commands.until(["begin pause"])
            put(path, figures(1000, 100))  # the pressure ends while the command runs
            until(lambda: guard.pressure()["tasks"][0]["state"] == "resuming", "it is to resume")
            put(path, figures(1000, 960))  # and comes back, and ends
            until(lambda: guard.pressure()["tasks"][0]["state"] == "pausing", "it is to pause")
            put(path, figures(1000, 100))
            until(lambda: guard.pressure()["tasks"][0]["state"] == "resuming", "it is to resume")
            equal(commands.lines(), ["begin pause"])
            with open(fifo, "w", encoding="utf-8"):
                pass  # lets the command end
            until(lambda: commands.lines()[-1:] == ["resume"], "resumed")
            equal([line.split()[0] for line in commands.lines()],
                  ["begin", "pause", "begin", "resume"])


def test_commands_are_bounded_in_time_and_failures_counted():
    with injected(*PAUSE, "--on-pause", "trap '' TERM; sleep 1000 & wait; sleep 1000",
                  "--command-timeout", "100ms") as (guard, path):
        put(path, figures(1000, 950))
        guard.until_log("--on-pause ended by signal 9 .*longer than --command-timeout")
        holds(guard.metric('weir_background_failures_total{task="background"}') >= 1, "failures")
        equal(guard.pressure()["tasks"][0]["state"], "pausing")
    with injected(*PAUSE, "--on-pause", "exit 3") as (guard, path):
        put(path, figures(1000, 950))
        guard.until_log("error: --on-pause ended with status 3")
        until(lambda: guard.metric('weir_background_failures_total{task="background"}') >= 1,
              "the failure is counted")


def test_a_command_gets_nothing_of_ours():
    """No descriptor but the three, no blocked signal, a group of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        with injected(*PAUSE, "--on-pause", f"(echo `ls /proc/self/fd`; grep SigBlk "
                      f"/proc/self/status; ps -o pgid= -p $$; echo $$) >{out}.new 2>&1; "
                      f"mv {out}.new {out}") as (guard, path):
            put(path, figures(1000, 950))
            until(lambda: os.path.exists(out), "the command has run")
            with open(out, encoding="utf-8") as file:
                descriptors, signals, group, own = file.read().splitlines()
            holds(len(descriptors.split()) <= 4, descriptors)  # one more is that of ls
            equal(signals.split()[-1], "0000000000000000")
            equal(group.strip(), own)
            equal(guard.status(), 204)


# --- starting ----------------------------------------------------------------------------------

def test_starting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run_once("--listen", f"127.0.0.1:{port}")
        equal(code, 11)
        holds("another program listens there" in err, err)
    with guarding("--pressure-file", "/nowhere/pressure", *LIMIT, "--on-unknown",
                  "closed") as guard:
        guard.until_log("error: protection is blind: .*nowhere.*; requests are refused "
                        r"\(--on-unknown closed\) until it can be read")
        equal(guard.status(), 429)
    with injected("--mem-free-limit", "1000MiB") as (guard, _):
        guard.until_log("refuses everything: the free limit of 1000 MiB is not below the limit")
        equal(guard.status(), 429)
    with injected(*LIMIT) as (guard, path):
        guard.until_log(re.escape(
            "protection is active: refuses when no more than 100 MiB is free, admits again above "
            f"150 MiB for 50.0 ms: 900 MiB free of 1000 MiB, {path}"))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pressure")
        put(path, figures(1000, 100, high="800MiB"))
        with guarding("--pressure-file", path, "--mem-free-limit", "100MiB") as guard:
            guard.until_log("warning: memory.high is 800 MiB")


def test_many_at_once():
    with injected(*LIMIT) as (guard, path):
        wrong = []

        def ask():
            for _ in range(200):
                status = guard.status()
                if status not in (204, 429):
                    wrong.append(status)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for used in (950, 100) * 20:
            put(path, figures(1000, used))
            until(lambda: guard.pressure()["reading"]["used_bytes"] == used * MIB, "a reading")
        for thread in threads:
            thread.join()
        equal(wrong, [])


if __name__ == "__main__":
    sys.exit(main(dict(globals())))
