#!/usr/bin/env python3
"""The doctor against real processes that know what they hold.

Each fixture prints its own statistics by class (malloc_info, runtime.MemStats, mallctl, V8's) and
waits. `weir doctor --json` looks at it from outside. A class counts as explained only when it is
within 10 % of the fixture's figure, or under the bound that the fixture gives; what the kernel
names (files, stacks, vdso) is compared with a reading of smaps of this script's own; everything
else counts as unknown. At least 95 % of the resident set must be explained so.

usage: doctor_processes.py --program BUILD/bin/weir --fixtures DIR FIXTURE

Sizes and seeds are not those that the thresholds were found with (those were 1 to 3 and 100 MiB).
"""
import argparse
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from weir_outcome import skip  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
EXPLAINED_MIN = 0.95
CLOSE = 0.10
# Below this an absolute difference of a few pages would decide.
SLACK_BYTES = 64 << 10
GENERIC = {"anonymous", "other_name"}
FILES = ("binary", "library", "file")
DEADLINE_S = 60


def fail(message):
    print("FAIL", message)
    sys.exit(1)


def start(command, environment=None):
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, **(environment or {}), "ASAN_OPTIONS": ""})
    line = process.stdout.readline()
    if not line:
        process.wait()
        fail(f"{command}: no statistics (ended with {process.returncode})")
    return process, json.loads(line)


def stop(process):
    if process.stdin:
        process.stdin.close()
    else:
        process.terminate()
    process.wait(DEADLINE_S)


def look(options, pid, *arguments):
    done = subprocess.run([options.program, "doctor", str(pid), "--json", *arguments],
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode != 0:
        fail(f"weir doctor {pid}: {done.returncode} {done.stderr}")
    return json.loads(done.stdout)


def data_bytes(path):
    """How far an ELF file's segments reach in memory, in whole pages; 0 for other files."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if head[:5] != b"\x7fELF\x02":
                return 0
            offset, size, count = (struct.unpack_from(form, head, at)[0]
                                   for form, at in (("<Q", 32), ("<H", 54), ("<H", 56)))
            file.seek(offset)
            segments = [struct.unpack_from("<IIQQQQQ", file.read(size)) for _ in range(count)]
    except OSError:
        return 0
    loaded = [(s[3], s[3] + s[6]) for s in segments if s[0] == 1]
    first = min(s[0] for s in loaded) // 4096 * 4096
    return -(-(max(s[1] for s in loaded) - first) // 4096) * 4096


def named_by_kernel(pid):
    """Rss by smaps: of files with the zeroed data behind them, of the main stack, the vdso, shared
    memory."""
    sums = {"files": 0, "stack_main": 0, "kernel": 0, "shared": 0}
    target = None
    data_end = 0
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) (\S+) \S+ (\d+) *(.*)",
                            line)
            if head:
                begin, inode, name = head.group(1), head.group(5), head.group(6)
                if inode != "0" and head.group(4) == "00000000":
                    data_end = int(begin, 16) + data_bytes(name)
                is_bss = inode == "0" and not name and int(begin, 16) < data_end
                target = ("stack_main" if name == "[stack]" else
                          "kernel" if name.startswith("[v") else
                          "shared" if re.match(r"/memfd:|/dev/zero|/dev/shm|/SYSV", name) else
                          "files" if inode != "0" or is_bss else None)
            elif line.startswith("Rss:") and target:
                sums[target] += int(line.split()[1]) * 1024
    return sums


def is_close(got, wanted):
    return abs(got - wanted) <= max(CLOSE * wanted, SLACK_BYTES)


def check(name, seen, own, kernel):
    """Prints a line per class; the share that is explained must be large enough."""
    classes = {entry["class"]: entry for entry in seen["classes"]}
    total = sum(entry["bytes"] for entry in seen["classes"])
    if total != seen["rss_bytes"]:
        fail(f"{name}: classes make {total}, resident are {seen['rss_bytes']}")
    wanted = dict(own["classes"])
    for key in ("stack_main", "kernel", "shared"):
        wanted.setdefault(key, kernel[key])
    explained = 0
    files = sum(classes.get(key, {}).get("bytes", 0) for key in FILES)
    if is_close(files, kernel["files"]):
        explained += files
    print(f"{name}: resident {total >> 10} KiB; files {files >> 10}, by smaps "
          f"{kernel['files'] >> 10} KiB")
    for key in sorted(set(classes) | set(wanted)):
        got = classes.get(key, {}).get("bytes", 0)
        if key in FILES or (got == 0 and wanted.get(key, 0) == 0):
            continue
        bound = own.get("at_most", {}).get(key, 0)
        good = key not in GENERIC and (key in wanted and is_close(got, wanted[key]) or got <= bound)
        explained += got if good else 0
        rule = classes.get(key, {}).get("rule", "-")
        print(f"  {key:14} {got >> 10:9} KiB, own {(wanted.get(key, 0) or bound) >> 10:9} KiB  "
              f"{'counts' if good else 'unknown'}  {rule}")
        if own["classes"].get(key, 0) > SLACK_BYTES and not good:
            fail(f"{name}: {key} is not within 10 % of the process's own figure")
    share = explained / total
    print(f"  explained {100 * share:.1f} %, unknown by its own words "
          f"{100 * seen['unknown_bytes'] / total:.1f} %")
    if share < EXPLAINED_MIN:
        fail(f"{name}: only {100 * share:.1f} % is explained")


def check_walk(name, seen, own):
    """Live and free bytes by the walk against mallinfo2, within 10 %."""
    heaps = [seen["malloc"]["main_heap"], seen["malloc"]["arenas"]]
    heaps = [heap for heap in heaps if heap["state"] != "none"]
    if any(heap["state"] != "whole" for heap in heaps):
        fail(f"{name}: heaps were not walked whole: {heaps}")
    for key, field in (("live", "live_bytes"), ("free", "free_bytes")):
        got = sum(heap[field] for heap in heaps)
        print(f"  {key} {got >> 10} KiB, mallinfo2 {own[key] >> 10} KiB")
        if not is_close(got, own[key]):
            fail(f"{name}: {key} bytes are not within 10 % of mallinfo2's")


def run_plain(options, name, command, environment=None):
    process, own = start(command, environment)
    try:
        seen = look(options, process.pid)
        check(name, seen, own, named_by_kernel(process.pid))
        if "live" in own:
            check_walk(name, seen, own)
        return seen, own
    finally:
        stop(process)


def fixture(options, name):
    path = os.path.join(options.fixtures, name)
    if not os.path.exists(path):
        skip(f"{name} is not built: its compiler or library is missing")
    return path


# --- fixtures ------------------------------------------------------------------------------------

def test_glibc(options):
    program = fixture(options, "fixture_glibc")
    # seed, main MiB, threads, MiB each, chunks, KiB each, stack KiB
    for values in ("11 60 0 0 0 0 0", "12 8 6 9 0 0 64", "13 4 1 1 40 900 16",
                   "14 2 12 1 3 4000 900"):
        seen, own = run_plain(options, f"glibc {values}", [program, *values.split()])
        stacks = {c["class"]: c["count"] for c in seen["classes"]}.get("stack_thread", 0)
        if stacks != own["threads"]:
            fail(f"{stacks} stacks of {own['threads']} threads were found")


def test_brk(options):
    """A main heap in pieces: all of it is told; live and free are known of [heap] only."""
    for values in ("16 20 1", "17 3 30"):
        process, own = start([fixture(options, "fixture_brk"), *values.split()])
        try:
            seen = look(options, process.pid)
            check(f"brk {values}", seen, own, named_by_kernel(process.pid))
        finally:
            stop(process)
        heap = seen["malloc"]["main_heap"]
        total = heap["system_bytes"] + heap["lost_bytes"]
        if heap["state"] != "part" or not is_close(total, own["classes"]["malloc_main"]):
            fail(f"the pieces were not told from [heap]: {heap}, own {own}")
        if heap["live_bytes"] > own["live"]:
            fail(f"more is live in a part than in all: {heap}, own {own}")


def test_leader(options):
    """The main thread has ended, which makes the process look like a zombie: it is looked at."""
    process, own = start([fixture(options, "fixture_leader"), "18", "30"])
    try:
        seen = look(options, process.pid)
        check("leader", seen, own, named_by_kernel(own["thread"]))
        if (seen["pid"], seen["name"]) != (process.pid, "fixture_leader") or \
                not seen["memory_was_read"] or seen["page_table_bytes"] == 0:
            fail(f"not all of it was read: {seen}")
    finally:
        stop(process)


def test_drift(options):
    """Memory that arenas retain: the doctor says how much, our own trim agrees."""
    process, own = start([fixture(options, "fixture_drift"), "10", "20", "24"])
    try:
        before = look(options, process.pid)
        check_walk("drift", before, own)
        arenas = before["malloc"]["arenas"]
        if arenas["live_bytes"] > arenas["system_bytes"] / 10:
            fail(f"most of the arenas is free, not live: {arenas}")
        told = sum(heap.get("free_resident_bytes", 0) for heap in before["malloc"].values())
        advice = {entry["id"]: entry["bytes"] for entry in before["advice"]}
        process.stdin.write("trim\n")
        process.stdin.flush()
        process.stdout.readline()
        won = before["rss_bytes"] - look(options, process.pid)["rss_bytes"]
        print(f"drift: resident {before['rss_bytes'] >> 10} KiB, free in whole pages "
              f"{told >> 10} KiB, a trim won {won >> 10} KiB; advice {advice}")
        if not is_close(told, won):
            fail("a trim won something else than was told")
        if not {"malloc-trim", "arena-max"} <= set(advice):
            fail("no advice about the arenas")
    finally:
        stop(process)


def test_churn(options):
    """Heaps that change under the walk: a figure that is given is right, else it says it is not."""
    process, own = start([fixture(options, "fixture_churn"), "71", "3", "6000"])
    whole = 0
    try:
        for _ in range(12):
            arenas = look(options, process.pid)["malloc"]["arenas"]
            print(f"  churn: {arenas['state']}, live {arenas.get('live_bytes', 0) >> 10} KiB, own "
                  f"{own['live'] >> 10} KiB, lost {arenas.get('lost_bytes', 0) >> 10} KiB")
            if arenas["state"] == "whole":
                whole += 1
                if not is_close(arenas["live_bytes"], own["live"]):
                    fail("a walk that calls itself whole is wrong")
            elif arenas["state"] == "part" and arenas["live_bytes"] > 1.1 * own["live"]:
                fail("a part has more than the whole")
    finally:
        stop(process)
    print(f"churn: {whole} of 12 walks were whole")


def test_areas(options):
    """Areas that split, join, move, come and go: every look succeeds and counts each page once."""
    program = fixture(options, "fixture_areas")
    process, _ = start([program, "1", "0", "0"])
    base = look(options, process.pid)["rss_bytes"]
    stop(process)
    threads = (4, 3)
    process, own = start([program, "2", *map(str, threads)])
    # Of each thread a stack and what malloc takes for it.
    most_still = base + own["still"] + sum(threads) * SLACK_BYTES
    moved = 0
    try:
        for _ in range(40):
            seen = look(options, process.pid)
            total = sum(entry["bytes"] for entry in seen["classes"])
            if total != seen["rss_bytes"]:
                fail(f"classes make {total}, resident are {seen['rss_bytes']}")
            # What moves is seen once in every piece of the list, of four areas at least, wherever
            # it is by then.
            pieces = 1 + (seen["areas"] + seen["areas_moved"]) // 4
            most = most_still + pieces * own["moving"]
            if not own["still"] <= total <= most:
                fail(f"{total} bytes are no figure between {own['still']} and {most}: {seen}")
            moved += seen["areas_moved"]
    finally:
        stop(process)
    print(f"areas: {moved} moved in 40 looks")


def test_exec(options):
    """A process that begins its program again and again: each look is of one of them, whole, or
    says why it is none."""
    process, _ = start([fixture(options, "fixture_areas"), "exec", "40"])
    whole = 0
    try:
        for _ in range(60):
            done = subprocess.run([options.program, "doctor", str(process.pid), "--json"],
                                  capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            if done.returncode == 0:
                # The stack is the last area but those of the kernel, and never empty.
                classes = {c["class"]: c["bytes"] for c in json.loads(done.stdout)["classes"]}
                if classes.get("stack_main", 0) == 0:
                    fail(f"a part of a process was taken for the whole: {done.stdout}")
                whole += 1
            elif "began another program" not in done.stderr:
                fail(f"{done.returncode} {done.stderr}")
    finally:
        stop(process)
    print(f"exec: {whole} of 60 looks were whole")
    if whole == 0:
        fail("no look saw a whole program")


def refuse_others(options, pid):
    """Another user's process: an error that says what would help. Needs root to become nobody."""
    if os.geteuid() != 0:
        return
    program = os.path.join(os.path.dirname(options.program), "..", "libexec", "weir", "weir-doctor")
    try:
        done = subprocess.run([program, str(pid)], user=65534, group=65534, extra_groups=[],
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    except PermissionError:
        print("  nobody may not start what was built here")
        return
    if done.returncode != 24 or "CAP_SYS_PTRACE" not in done.stderr:
        fail(f"another user's process: {done.returncode} {done.stderr}")


def test_refused(options):
    """Without a look into the memory the shapes still tell, and what is free is not observable."""
    program = fixture(options, "fixture_glibc")
    process, own = start([program, *"15 30 5 12 0 0 300".split()])
    try:
        seen = look(options, process.pid, "--no-memory")
        check("glibc, memory unread", seen, own, named_by_kernel(process.pid))
        refuse_others(options, process.pid)
        states = {seen["malloc"][key]["state"] for key in ("main_heap", "arenas")}
        if states != {"refused"} or seen["memory_was_read"]:
            fail(f"free or live without reading: {seen['malloc']}")
    finally:
        stop(process)


def test_go(options):
    fixture(options, "fixture_go")
    for name in ("fixture_go", "fixture_go_fixed"):
        for values in ("21 90 0", "22 40 3"):
            run_plain(options, f"{name} {values}", [fixture(options, name), *values.split()])


def look_at_rest(options, pid, statistics):
    """What is seen while malloc's own figures stay: threads of the process's own may still free."""
    for _ in range(50):
        before = ask_malloc(pid, statistics)
        seen = look(options, pid)
        after = ask_malloc(pid, statistics)
        if all(is_close(before["classes"].get(key, 0), value)
               for key, value in after["classes"].items()):
            break
    return seen, after


def bound_arenas(seen, own):
    """malloc tells what its arenas have, of which threads that do little touch a part: no more than
    that is resident, and that is what the walk must find."""
    arenas = seen["malloc"]["arenas"]
    has = own["classes"].pop("malloc_arena")
    own["at_most"] = {**own.get("at_most", {}), "malloc_arena": has + SLACK_BYTES}
    if arenas["state"] == "whole" and not is_close(arenas["system_bytes"], has):
        fail(f"the walk found other arenas than malloc has ({has} bytes): {arenas}")


def test_node(options):
    node = shutil.which("node")
    if not node:
        skip("node is not installed")
    library = fixture(options, "fixture_malloc.so")
    script = os.path.join(HERE, "fixture_node.js")
    for values in ("31 300000 5 12", "32 900000 1 70"):
        with tempfile.TemporaryDirectory() as folder:
            process, own = start([node, "--expose-gc", script, *values.split()],
                                 {"LD_PRELOAD": library, "DOCTOR_STATISTICS": folder + "/own"})
            try:
                seen, malloc = look_at_rest(options, process.pid, folder + "/own")
                own["classes"].update(malloc["classes"])
                bound_arenas(seen, own)
                check(f"node {values}", seen, own, named_by_kernel(process.pid))
            finally:
                stop(process)


def test_python(options):
    library = fixture(options, "fixture_malloc.so")
    script = os.path.join(HERE, "fixture_python.py")
    for values in ("81 200000", "82 500000"):
        with tempfile.TemporaryDirectory() as folder:
            process, own = start([sys.executable, script, *values.split()],
                                 {"LD_PRELOAD": library, "DOCTOR_STATISTICS": folder + "/own"})
            try:
                own["classes"].update(ask_malloc(process.pid, folder + "/own")["classes"])
                del own["classes"]["malloc_mapped"]  # lists grow ahead: not all of it is touched
                check(f"python {values}", look(options, process.pid), own,
                      named_by_kernel(process.pid))
            finally:
                stop(process)


def test_jemalloc(options):
    fixture(options, "fixture_jemalloc")
    for name, values in (("fixture_jemalloc", "41 70"), ("fixture_jemalloc", "42 240"),
                         ("fixture_jemalloc_static", "43 130")):
        run_plain(options, f"{name} {values}", [fixture(options, name), *values.split()])


def test_mimalloc(options):
    program = fixture(options, "fixture_mimalloc")
    for values in ("51 70", "52 240"):
        run_plain(options, f"mimalloc {values}", [program, *values.split()])


def test_tcmalloc(options):
    program = fixture(options, "fixture_tcmalloc")
    library = "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4"
    if not os.path.exists(library):
        skip("libtcmalloc-minimal4 is not installed")
    for values in ("61 70", "62 240"):
        run_plain(options, f"tcmalloc {values}", [program, *values.split()],
                  {"LD_PRELOAD": library})


# --- servers -------------------------------------------------------------------------------------

def wait_for(what, ready):
    end = time.monotonic() + DEADLINE_S
    while not ready():
        if time.monotonic() > end:
            fail(f"waited {DEADLINE_S} s for {what}")
        time.sleep(0.02)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def ask_malloc(pid, path):
    """The statistics of the preloaded fixture_malloc, taken while the process waits."""
    wait_for("the process to wait",
             lambda: read_or_empty(f"/proc/{pid}/stat").split(") ")[-1][:1] == "S")
    os.kill(pid, signal.SIGRTMIN + 5)
    wait_for("malloc's statistics", lambda: os.path.exists(f"{path}.{pid}"))
    with open(f"{path}.{pid}", encoding="ascii") as file:
        os.unlink(f"{path}.{pid}")  # the next ones are in a file of their own
        return json.load(file)


NGINX = """
{user}
daemon off; master_process on; worker_processes 1; pid {folder}/pid; error_log stderr crit;
env DOCTOR_STATISTICS;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  map_hash_max_size 262144; map_hash_bucket_size 512;
  map $uri $where {{ default no; {entries} }}
  server {{ listen unix:{folder}/socket; location / {{ return 200 $where; }} }}
}}
"""


def test_nginx(options):
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not nginx:
        skip("nginx is not installed")
    library = fixture(options, "fixture_malloc.so")
    with tempfile.TemporaryDirectory() as folder:
        entries = " ".join(f"/path/{i}/{'y' * (i % 60)} w{i};" for i in range(60000))
        with open(folder + "/nginx.conf", "w", encoding="ascii") as file:
            user = "user root;" if os.geteuid() == 0 else ""
            file.write(NGINX.format(folder=folder, entries=entries, user=user))
        statistics = folder + "/statistics"
        process = subprocess.Popen([nginx, "-c", folder + "/nginx.conf"], stdin=subprocess.DEVNULL,
                                   env={**os.environ, "LD_PRELOAD": library,
                                        "DOCTOR_STATISTICS": statistics, "ASAN_OPTIONS": ""})
        try:
            wait_for("nginx's worker", lambda: process.poll() is not None or children(process.pid))
            if process.poll() is not None:
                fail(f"nginx ended with {process.returncode}")
            worker = children(process.pid)[0]
            wait_for("the socket", lambda: os.path.exists(folder + "/socket"))
            own = ask_malloc(worker, statistics)
            seen = look(options, worker)
            check("nginx", seen, own, named_by_kernel(worker))
            check_walk("nginx", seen, own)
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def merge(seen, name, parts):
    """Makes one class of several, where the process's own figure does not tell them apart."""
    own = [entry for entry in seen["classes"] if entry["class"] in parts]
    seen["classes"] = [entry for entry in seen["classes"] if entry not in own]
    if own:
        seen["classes"].append({"class": name, "bytes": sum(entry["bytes"] for entry in own),
                                "rule": own[0]["rule"]})


def test_serve(options):
    """Our own host, whose ledger knows its mappings; equation (a) gives the figures."""
    guests = os.path.join(os.path.dirname(os.path.dirname(options.program)), "guests")
    if not os.path.exists(guests + "/hello.wasm"):
        skip("the example guests are not built")
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/w.yaml", "w", encoding="ascii") as file:
            file.write("cache: none\nroutes:\n"
                       "  - { path: /hello, module: hello.wasm, warm: 4 }\n"
                       "  - { path: /echo, module: echo.wasm, warm: 4 }\n")
        process = subprocess.Popen([options.program, "serve", "--quiet", "--config",
                                    folder + "/w.yaml", "--modules", guests, "--listen",
                                    "127.0.0.1:0"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, text=True)
        try:
            url = process.stdout.readline().strip()
            if not url:
                fail(f"the host ended with {process.wait(DEADLINE_S)}")
            for _ in range(20):
                fetch(url + "/hello")
            seen = look(options, process.pid)
            own = json.loads(fetch(url + "/v1/memory"))["classes"]
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
            process.stdout.close()
    files = own.pop("binary_and_libraries") + own.pop("code_mapped", 0)
    classes = {"wasm_memory": own.pop("linear_memory", 0), "malloc": own.pop("malloc"),
               "kernel": own.pop("kernel", 0)}
    # The kernel merges a thread's stack with the host's own mapping above it now and then; then the
    # two cannot be told apart.
    classes["weir_own"] = sum(own.values())
    merge(seen, "malloc", ("malloc_main", "malloc_arena", "malloc_mapped"))
    merge(seen, "weir_own", ("weir_own", "stack_thread", "stack_main"))
    check("serve", seen, {"classes": classes},
          {"files": files, "stack_main": 0, "kernel": 0, "shared": 0})


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            return answer.read()
    except OSError:
        return None


def read_or_empty(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def main():
    tests = {name[5:]: test for name, test in globals().items() if name.startswith("test_")}
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("name", choices=sorted(tests))
    options = parser.parse_args()
    tests[options.name](options)


if __name__ == "__main__":
    main()
