"""Load, instantiate, call, charge: programs that measure themselves, and the peers' equivalents."""
import os

import figures
from programs import interleaved


def measure_all(run, commands):
    results = interleaved(commands, run.rounds_of_programs, run.build)
    return {name: figures.merge_objects(objects) for name, objects in results.items()}


def take(results, name):
    """One figure of every peer that has it."""
    return {engine: result[name] for engine, result in results.items()
            if engine != "Weir" and name in result}


def program(run, name):
    return os.path.join(run.build, "bench", name)


def small_guest(run):
    return program(run, "bench_call.wasm")


def measure_load(run):
    wasm = run.big_module()
    arguments = [wasm] if wasm else []
    results = measure_all(run, {"Weir": [program(run, "bench_load"), *arguments],
                                "Wasmtime": wasm and run.peers.wasmtime("load", wasm)})
    weir = results["Weir"]
    flat = weir["load_and_unload_beside_others"]["median"] / weir["load_and_unload"]["median"]
    size = f"artifact of {weir['artifact_bytes'] / 1e6:.2f} MB"
    return {"unit": "us", "engines": results, "lines": [
        figures.line("load, verified before", 30, "us", weir["load_and_unload"],
                     peers=take(results, "load_and_unload"), note=size),
        figures.line("same, beside 10,000 loaded", 30, "us",
                     weir["load_and_unload_beside_others"]),
        figures.line("flat: beside 10,000 / alone", 1.25, "x", flat,
                     note="'flat' is taken as 1.25"),
        figures.line("others that could be loaded", 10000, "", weir["others_loaded"],
                     at_least=True),
        figures.line("private bytes per loaded module", 8192, "B", weir["private_bytes"]),
    ]}


def measure_cache(run):
    count = "200" if run.is_smoke else "10000"
    results = measure_all(run, {"Weir": [program(run, "bench_cache"), count]})
    weir = results["Weir"]
    direct = weir["load_directly"]["median"]
    return {"unit": "us", "engines": results, "lines": [
        figures.line("cache: drop and load from disk", 30, "us", weir["drop_and_load"],
                     note=f"the runtime's own load of an open file: {direct:.1f} us; "
                          f"a hit: {weir['hit_ns']['median'] / 1e3:.2f} us"),
        figures.line("same, beside 10,000 loaded", 30, "us", weir["drop_and_load_beside_others"]),
        figures.line("memory per loaded module", 8192, "B", weir["memory_per_module_bytes"],
                     note="page tables included"),
    ]}


def measure_instantiate(run):
    wasm = small_guest(run)
    results = measure_all(run, {
        "Weir": [program(run, "bench_instantiate")],
        "V8": run.peers.v8([], "instantiate", wasm),
        "Wasmtime": run.peers.wasmtime("instantiate", "plain", wasm),
        "Wasmtime pooling": run.peers.wasmtime("instantiate", "pooling", wasm)})
    weir = results["Weir"]

    def threads(name, clock=""):
        one, two = weir[f"{name}_1_thread{clock}"], weir[f"{name}_2_threads{clock}"]
        return 2 * one["median"] / two["median"]

    return {"unit": "us", "engines": results, "lines": [
        figures.line("warm: take, empty call, reset", 2, "us", weir["warm_empty_1_thread"],
                     peers=take(results, "empty_1_thread")),
        figures.line("same, 16 dirty pages", 5, "us", weir["warm_16_pages_1_thread"],
                     peers=take(results, "16_pages_1_thread")),
        figures.line("two threads against one, empty", 1.7, "x", threads("warm_empty"),
                     at_least=True, peers={"by their own time": threads("warm_empty", "_own")}),
        figures.line("two threads against one, 16 pages", 1.7, "x", threads("warm_16_pages"),
                     at_least=True,
                     peers={"by their own time": threads("warm_16_pages", "_own")}),
        figures.line("cold instantiate", 10, "us", weir["cold_instantiate"],
                     note="first faults not in it"),
        figures.line("idle instance, page tables apart", 4096, "B", weir["idle_instance_bytes"],
                     note=f"page tables: {weir['idle_page_table_bytes']} B"),
    ]}


# Dirty pages -> the target for a reset that finds them by PAGEMAP_SCAN; the rest is only shown.
RESET_LIMITS = {0: 2, 16: 5, 1000: None}


def pages_line(weir, what, pages, path):
    name = f"{what}_{pages}_pages_{path}"
    limit = RESET_LIMITS[pages] if (what, path) == ("reset", "scan") else None
    way = ", pagemap" if path == "pagemap" else ""
    clock = [weir[f"{name}_{threads}"]["median"] for threads in (1, 2)]
    return figures.line(f"{what}, {pages:,} pages{way}", limit, "us", weir[f"{name}_1_own"],
                        note=f"with two threads {weir[f'{name}_2_own']['median']:.2f} us each; by "
                             f"the clock {clock[0]:.2f} and {clock[1]:.2f} us")


def measure_pages(run):
    """Both ways of finding dirty pages: PAGEMAP_SCAN, and pagemap for kernels before 6.7."""
    divisor = ["100"] if run.is_smoke else []
    results = measure_all(run, {"Weir": [program(run, "bench_pages"), *divisor]})
    return {"unit": "us", "engines": results, "note": "by the threads' own time",
            "lines": [pages_line(results["Weir"], what, pages, path)
                      for path in ("scan", "pagemap") for what in ("instantiate", "reset")
                      for pages in RESET_LIMITS]}


def measure_image(run):
    """Keeping what a message wrote, and taking it back, in a heap of 32 MiB."""
    divisor = ["100"] if run.is_smoke else []
    weir = measure_all(run, {"Weir": [program(run, "bench_image"), *divisor]})["Weir"]
    ways = {"scan": "", "pagemap": ", pagemap"}
    return {"unit": "us", "engines": {"Weir": weir}, "note": "by the thread's own time",
            "lines": [figures.line(f"{what}, {pages:,} pages{ways[path]}", None, "us",
                                   weir[f"{what}_{pages}_pages_{path}"])
                      for path in ways for what in ("commit", "back") for pages in (0, 16, 1000)]}


def measure_stores(run):
    count = 1000 if run.is_smoke else 100000
    weir = measure_all(run, {"Weir": [program(run, "bench_stores"), str(count)]})
    result = weir["Weir"]
    return {"unit": "us", "engines": weir, "lines": [
        figures.line(f"a store of {count:,}: made, called, closed", None, "us",
                     result["per_store"]),
        figures.line("growth over all of them", 262144, "B", result["growth_bytes"]),
        *(figures.line(f"more {name} afterwards", 0, "", result[name][1] - result[name][0])
          for name in ("mappings", "descriptors")),
        figures.line("charged afterwards", 0, "B",
                     result["charged_bytes"][1] - result["charged_bytes"][0])]}


def measure_handles(run):
    results = measure_all(run, {"Weir": [program(run, "bench_handles")]})
    weir = results["Weir"]
    return {"unit": "ns", "engines": results, "lines": [
        *(figures.line(f"handle: {what}", None, "ns", weir[name],
                       note=f"beside {weir['others']:,} others: "
                            f"{weir[name + '_beside_others']['median']:.1f} ns")
          for what, name in (("make and drop", "make_drop"), ("find by index", "find"),
                             ("check what the host kept", "check"), ("lend to a call", "lend"))),
        figures.line("handle: bytes of each", None, "B", weir["bytes_per_handle"])]}


def measure_call(run):
    wasm = small_guest(run)
    results = measure_all(run, {"Weir": [program(run, "bench_call")],
                                "V8": run.peers.v8([], "call", wasm),
                                "Wasmtime": run.peers.wasmtime("call", wasm)})
    weir = results["Weir"]
    targets = (("host -> guest, empty", "host_to_guest_empty", 25),
               ("host -> guest, two integers", "host_to_guest_add", 25),
               ("host -> guest, three floats", "host_to_guest_floats", 25),
               ("guest -> host, nothing", "guest_to_host_nothing", 10),
               ("guest -> host, two integers", "guest_to_host_add", 10))
    return {"unit": "ns", "engines": results,
            "note": "V8's host is JavaScript, compiled together with the call",
            "lines": [figures.line(what, limit, "ns", weir[name], peers=take(results, name))
                      for what, name, limit in targets]}


def measure_charge(run):
    rounds = interleaved({"Weir": [program(run, "bench_charge")]}, run.rounds_of_programs,
                         run.build)["Weir"]
    merged = {}
    for one in rounds:
        for entry in one["figures"]:
            merged.setdefault(f"{entry['what']}, {entry['threads']}", []).append(
                {"median": entry["ns"], "lowest": entry["min"], "highest": entry["max"]})
    merged = {name: figures.merge(each) for name, each in merged.items()}
    lines = []
    for what in ("store", "instance", "tenant"):
        for threads in (1, 2):
            peer = "atomic_shared" if what == "tenant" else "atomic_own"
            lines.append(figures.line(
                f"charge + discharge, {what}, {threads} thr", 10, "ns",
                merged[f"{what}, {threads}"],
                peers={f"two atomic additions, {peer[7:]} line": merged[f"{peer}, {threads}"]},
                note="about two of these per store made, none per request; stores take slabs"
                if what == "tenant" else None))
    return {"unit": "ns", "engines": {"Weir": merged}, "lines": lines}
