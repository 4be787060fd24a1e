#!/usr/bin/env python3
"""Looks at an object compiled from functions.ll for what docs/ABI.md promises of generated code.

usage: check_object.py OBJECT SOURCE LLVM_READELF

- relocations of what is loaded are PC32 or PLT32 only: the mini-linker can resolve them
- every function sets up its frame pointer with its first two instructions
- `ret` pops nothing; nothing below rsp is touched (no red zone)
- tail calls are jumps; each function keeps as many ud2 as its comment in SOURCE says
- no frame is larger than the constant that `recurse` checks with
"""
import re
import subprocess
import sys

FRAME_MAX = 1024


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_functions(path):
    """{name: [instruction, ...]}, each as objdump prints it, without address and bytes."""
    functions = {}
    for line in run("objdump", "-d", "--no-show-raw-insn", path).splitlines():
        start = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        if start:
            functions[start.group(1)] = current = []
        elif "\t" in line:
            current.append(re.sub(r"\s+", " ", line.split("\t", 1)[1]).strip())
    return functions


def read_expectations(path):
    """{name: (number of ud2, number of musttail calls)} from the LLVM source."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = {}
    for part in re.split(r"(?=^; ud2: )", text, flags=re.M)[1:]:
        name = re.search(r"^define .*? @(\w+)\(", part, re.M).group(1)
        found[name] = int(re.match(r"; ud2: (\d+)", part).group(1)), part.count("musttail")
    return found


def check_function(name, code, ud2_count, tail_count):
    if code[:2] != ["push %rbp", "mov %rsp,%rbp"]:
        yield f"{name}: no frame pointer first: {code[:2]}"
    for instruction in code:
        if re.match(r"(ret|retq) \S", instruction):
            yield f"{name}: {instruction}: a return that pops"
        if re.search(r"(?<!lea )-0x[0-9a-f]+\(%rsp", instruction):
            yield f"{name}: {instruction}: below the stack pointer"
        if instruction.startswith("call") and "__" in instruction:
            yield f"{name}: {instruction}: a library call"
    if code.count("ud2") != ud2_count:
        yield f"{name}: {code.count('ud2')} ud2, not {ud2_count}"
    leaving = [code[i] for i in range(1, len(code))
               if code[i].startswith("jmp") and code[i - 1] == "pop %rbp"]
    if len(leaving) != tail_count:
        yield f"{name}: {len(leaving)} tail jumps, not {tail_count}"


def check_relocations(path):
    section = ""
    for line in run("readelf", "-rW", path).splitlines():
        match = re.match(r"Relocation section '\.rela(\S+)'", line)
        section = match.group(1) if match else section
        kind = re.search(r"R_X86_64_\w+", line)
        if kind and section != ".stack_sizes" and \
                kind.group(0) not in ("R_X86_64_PC32", "R_X86_64_PLT32"):
            yield f"{section}: relocation {kind.group(0)}"


def check_frames(path, readelf, names):
    sizes = {name: int(size) for size, name in
             re.findall(r"^\s*(\d+)\s+(\w+)$", run(readelf, "--stack-sizes", path), re.M)}
    for name in names:
        if name not in sizes:
            yield f"{name}: its frame size is unknown"
        elif sizes[name] > FRAME_MAX:
            yield f"{name}: a frame of {sizes[name]} bytes"


def main():
    path, source, readelf = sys.argv[1:]
    functions = read_functions(path)
    expected = read_expectations(source)
    problems = list(check_relocations(path)) + list(check_frames(path, readelf, expected))
    for name, (ud2_count, tail_count) in expected.items():
        problems += check_function(name, functions.get(name, ["missing"]), ud2_count, tail_count)
    if set(functions) != set(expected):
        problems.append(f"functions {sorted(set(functions) ^ set(expected))} on one side only")
    print("\n".join(problems))
    print(f"{len(expected)} functions, {len(problems)} problems")
    return 1 if problems or not expected else 0


if __name__ == "__main__":
    sys.exit(main())
