#!/usr/bin/env python3
"""What Wasmtime makes of modules of fuzz/smith: FILE.txt beside each FILE.wasm, in the form that
fuzz/smith_run.c describes and compares with.

usage: outcomes.py FILE.wasm ...      (with a python that has the package wasmtime)
"""
import hashlib
import math
import struct
import sys

import wasmtime
from wasmtime import TrapCode

CALLS = 2
INTEGERS = [0, 1, -1, 7, 65535, -2**31, 2**63 - 1, 1000]
FLOATS = [0.0, -1.5, 1e10, 0.25, -0.0, 3e38, 64.0, -7.0]
TRAPS = {
    TrapCode.UNREACHABLE: "unreachable",
    TrapCode.MEMORY_OUT_OF_BOUNDS: "memory",
    TrapCode.TABLE_OUT_OF_BOUNDS: "table",
    TrapCode.INDIRECT_CALL_TO_NULL: "indirect",
    TrapCode.BAD_SIGNATURE: "indirect",
    TrapCode.INTEGER_DIVISION_BY_ZERO: "zero",
    TrapCode.INTEGER_OVERFLOW: "range",
    TrapCode.BAD_CONVERSION_TO_INTEGER: "range",
}


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def signed(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def argument(kind, call, index):
    chosen = (call * 5 + index * 3) % 8
    if kind == "i32":
        return signed(INTEGERS[chosen], 32)
    if kind == "i64":
        return INTEGERS[chosen]
    # Both sides take floats that fit 32 bits.
    return f32(FLOATS[chosen]) if kind in ("f32", "f64") else None


def is_null(value):
    """The package hands some null references out wrapped."""
    return value is None or isinstance(value, wasmtime.Val) and value.value is None


def text_of(kind, value):
    if kind in ("i32", "i64"):
        bits = int(kind[1:])
        return f"{value & ((1 << bits) - 1):0{bits // 4}x}"
    if kind in ("f32", "f64"):
        if math.isnan(value):
            return "nan"
        return struct.pack(">f" if kind == "f32" else ">d", value).hex()
    return "null" if is_null(value) else "ref"


def digest(data):
    return hashlib.sha256(data).hexdigest()[:8]


def state(store, exports):
    words = []
    for item in exports:
        if isinstance(item, wasmtime.Memory):
            words.append(f"m{item.size(store)}:{digest(item.read(store))}")
        elif isinstance(item, wasmtime.Table):
            size = item.size(store)
            nulls = bytes(is_null(item.get(store, i)) for i in range(size))
            words.append(f"t{size}:{digest(nulls)}")
        elif isinstance(item, wasmtime.Global):
            words.append(text_of(str(item.type(store).content), item.value(store)))
    return " ".join(["|", *words])


def mix(a, b):
    return signed((a & 0xffffffff) * 2654435761 + b * 3, 64)


def imports(store):
    """By the names that smith.rs gives them."""
    kind = {name: getattr(wasmtime.ValType, name)() for name in ("i32", "i64", "f32", "f64")}

    def func(params, results, call):
        return wasmtime.Func(store, wasmtime.FuncType(params, results), call)

    def constant(name, value):
        item_type = wasmtime.GlobalType(kind[name], False)
        return wasmtime.Global(store, item_type, getattr(wasmtime.Val, name)(value))

    return {"h": func([kind["i32"], kind["i64"]], [kind["i64"]], mix),
            "f": func([kind["f64"]], [kind["f32"]], lambda x: 2.5 if x > 1.0 else -0.5),
            "n": func([], [], lambda: None),
            "g": constant("i32", 9),
            "k": constant("i64", -77)}


def trap_class(error):
    return TRAPS.get(error.trap_code, f"trap: {error.message}")


def instantiate(engine, module):
    store = wasmtime.Store(engine)
    given = imports(store)
    instance = wasmtime.Instance(store, module, [given[item.name] for item in module.imports])
    exports = instance.exports(store)
    return store, [exports.by_index[i] for i in range(len(module.exports))]


def call(store, func, number):
    kind = func.type(store)
    args = [argument(str(param), number, i) for i, param in enumerate(kind.params)]
    try:
        results = func(store, *args)
    except wasmtime.Trap as error:
        return trap_class(error)
    if len(kind.results) < 2:
        results = [results][:len(kind.results)]
    return " ".join(["ok", *map(text_of, map(str, kind.results), results)])


def outcome(engine, path):
    module = wasmtime.Module.from_file(engine, path)
    try:
        store, exports = instantiate(engine, module)
    except wasmtime.Trap as error:
        return [f"begin {trap_class(error)}"]
    lines = [f"begin ok {state(store, exports)}"]
    for index, item in enumerate(exports):
        if not isinstance(item, wasmtime.Func):
            continue
        store, fresh = instantiate(engine, module)
        for number in range(CALLS):
            lines.append(f"{index}.{number} {call(store, fresh[index], number)} "
                         f"{state(store, fresh)}")
    return lines


def main():
    config = wasmtime.Config()
    config.wasm_memory64 = True
    config.wasm_multi_memory = True
    config.wasm_tail_call = True
    config.max_wasm_stack = 3 << 19
    config.memory_reservation = 1 << 20  # many stores of many memories
    config.memory_guard_size = 1 << 16
    config.cranelift_opt_level = "none"
    engine = wasmtime.Engine(config)
    for path in sys.argv[1:]:
        lines = outcome(engine, path)
        with open(path.removesuffix(".wasm") + ".txt", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


main()
