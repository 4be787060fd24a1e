#!/usr/bin/env python3
"""An embedder's way: install into an empty prefix, move it elsewhere, and build a program outside
the tree with pkg-config and with find_package, against the shared library and the static one.

usage: library_install.py --build DIR --cc CC --source FILE --examples DIR --version X.Y.Z
"""
import argparse
import glob
import os
import shutil
import subprocess
import sys
import tempfile

CMAKE_LISTS = """cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES C)
find_package(weir 0.1 REQUIRED)
add_executable(shared embed_hello.c)
target_link_libraries(shared weir::weir)
add_executable(static embed_hello.c)
target_link_libraries(static weir::static)
"""


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(prefix):
    """Nothing of the build tree: the compiler must be found beside the library."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
    folders = glob.glob(f"{prefix}/lib*/**/pkgconfig", recursive=True)
    return dict(clean, PKG_CONFIG_PATH=":".join(folders),
                LD_LIBRARY_PATH=os.path.dirname(folders[0]))


def build_by_pkg_config(args, prefix, folder):
    clean = environment(prefix)
    if run("pkg-config", "--modversion", "weir", env=clean).strip() != args.version:
        sys.exit("pkg-config knows another version")
    for kind, flags in (("shared", []), ("static", ["--static"])):
        words = run("pkg-config", "--cflags", "--libs", *flags, "weir", env=clean).split()
        if kind == "static":
            words = ["-l:libweir.a" if word == "-lweir" else word for word in words]
        program = os.path.join(folder, f"by_pkg_config_{kind}")
        run(args.cc, "-std=c11", "-Wall", "-Werror", args.source, "-o", program, *words)
        yield program


def build_by_cmake(args, prefix, folder):
    project = os.path.join(folder, "outside")
    os.mkdir(project)
    shutil.copy(args.source, os.path.join(project, "embed_hello.c"))
    with open(os.path.join(project, "CMakeLists.txt"), "w", encoding="utf-8") as file:
        file.write(CMAKE_LISTS)
    built = os.path.join(project, "build")
    run("cmake", "-S", project, "-B", built, f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_C_COMPILER={args.cc}")
    run("cmake", "--build", built)
    yield os.path.join(built, "shared")
    yield os.path.join(built, "static")


def uses_shared(program):
    return "libweir.so.0" in run("readelf", "-d", program)


def check_says_where(program, env):
    """What is missing, where it was looked for, what to do."""
    done = subprocess.run([program], env=env, capture_output=True, text=True)
    for words in ("found no weir-compile near the program", "/no/where/weir-compile",
                  "set WEIR_LIBEXEC to its folder"):
        if done.returncode == 0 or words not in done.stderr:
            sys.exit(f"{program} says nothing of {words}: {done.returncode} {done.stderr}")


def check(args, prefix, folder):
    clean = environment(prefix)
    for build in (build_by_pkg_config, build_by_cmake):
        for program in build(args, prefix, folder):
            is_shared = program.endswith("shared")
            if uses_shared(program) != is_shared:
                sys.exit(f"{program} does not use the library it was to use")
            # A static library is a part of the program, and does not know where it was installed.
            env = clean if is_shared else dict(clean, WEIR_LIBEXEC=f"{prefix}/libexec/weir")
            if not is_shared:
                check_says_where(program, dict(clean, WEIR_LIBEXEC="/no/where"))
            print(f"{os.path.basename(program)} ({build.__name__}):",
                  run(program, env=env).strip())


def check_languages(args, prefix):
    """Each header alone, for pedants of both languages."""
    for path in sorted(glob.glob(f"{prefix}/include/**/*.h", recursive=True)):
        for flags in (("-x", "c", "-std=c11"), ("-x", "c++", "-std=c++11"),
                      ("-x", "c++", "-std=c++17")):
            run(args.cc, *flags, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                f"-I{prefix}/include", "-", input=f'#include "{path}"\n')


def check_examples(args, prefix):
    """Each chapter and each example as a stranger may compile it."""
    for path in sorted(glob.glob(f"{args.examples}/capi/*.c") +
                       glob.glob(f"{args.examples}/embed/*.c")):
        for standard in ("c11", "c17", "gnu17"):
            run(args.cc, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                "-fsyntax-only", f"-I{prefix}/include", path)


def main():
    parser = argparse.ArgumentParser()
    for option in ("--build", "--cc", "--source", "--examples", "--version"):
        parser.add_argument(option, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first = os.path.join(folder, "first")
        run("cmake", "--install", args.build, "--component", "weir", "--prefix", first)
        prefix = os.path.join(folder, "moved")
        os.rename(first, prefix)
        for path in ("include/wasm.h", "include/weir/weir.h", "include/weir/wasi.h",
                     "libexec/weir/weir-compile"):
            if not os.path.exists(os.path.join(prefix, path)):
                sys.exit(f"{path} was not installed")
        check_languages(args, prefix)
        check_examples(args, prefix)
        check(args, prefix, folder)


main()
