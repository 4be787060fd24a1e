#!/usr/bin/env python3
"""Packages weir-tools and weir: each installed into an empty prefix, and made by cpack. The tools
link nothing of the engine and no library but those listed here; alone, they work, and what is
missing is named with its package.

usage: packages.py --build BUILD --version X.Y.Z
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

# What the programs of weir-tools link beside libc, and what for.
LIBRARIES = {
    "weir": set(),
    "weir-plan": {"libjansson",  # node.json, --json
                  "libcyaml", "libyaml-0",  # weir.yaml
                  "libcrypto"},  # the identity of modules that weir.yaml names
    "weir-guard": {"libjansson", "libmicrohttpd"},
    "weir-doctor": {"libjansson"},
    "weir-top": {"libjansson"},
    "weir-deploy": {"libjansson", "libcrypto"},
    "weir-inspect": {"libjansson", "libz"},
}
# Libraries of the tree that are the engine: none of their functions may be in a tool.
ENGINE = ("libweir_runtime.a", "libweir_cache.a", "libweir_compiler.a", "libweir_wasi.a",
          "libweir_server.a", "libweir_fast.a")
# A sanitizer brings its own.
SANITIZERS = re.compile(r"lib(asan|ubsan|tsan|stdc\+\+|m|gcc_s|dl|rt|pthread)\b")


class Failures:
    count = 0

    @classmethod
    def expect(cls, good, what):
        if not good:
            cls.count += 1
            print("FAIL", what)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def functions(*files):
    """Names of the global functions that object files define."""
    names = set()
    for file in files:
        for line in run("nm", "--defined-only", file).stdout.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] == "T":
                names.add(words[2])
    return names


def install(build, component, prefix):
    done = run("cmake", "--install", build, "--component", component, "--prefix", prefix)
    Failures.expect(done.returncode == 0, done.stderr)
    return {os.path.relpath(os.path.join(folder, name), prefix)
            for folder, _, names in os.walk(prefix) for name in names}


def check_links(prefix, build):
    engine = functions(*[path for name in ENGINE
                         for path in glob.glob(f"{build}/src/**/{name}", recursive=True)])
    Failures.expect(len(engine) > 100, "the engine's libraries were not found")
    programs = [f"{prefix}/bin/weir", *sorted(glob.glob(f"{prefix}/libexec/weir/*"))]
    for path in programs:
        name = os.path.basename(path)
        needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", path).stdout)
        libraries = {re.sub(r"\.so.*", "", library) for library in needed}
        libraries = {library for library in libraries - {"libc", "ld-linux-x86-64"}
                     if not SANITIZERS.match(library)}
        Failures.expect(libraries <= LIBRARIES[name],
                        f"{name} links {', '.join(sorted(libraries - LIBRARIES[name]))}")
        inside = functions(path) & engine
        Failures.expect(not inside, f"{name} has {len(inside)} functions of the engine: "
                                    f"{', '.join(sorted(inside)[:5])}")
        print(f"{name}: {', '.join(sorted(libraries)) or 'libc only'}; nothing of the engine")


def check_alone(prefix):
    """weir-tools without weir: in an environment that knows no other prefix."""
    weir = f"{prefix}/bin/weir"
    environment = {"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"}
    done = run(weir, "plan", "--for", "nitro", "--memory", "16GB", env=environment)
    Failures.expect(done.returncode == 0 and done.stdout.startswith("GOMEMLIMIT=11228MiB"),
                    f"weir plan: {done}")
    done = run(weir, "doctor", "--help", env=environment)
    Failures.expect(done.returncode == 0 and "usage: weir doctor" in done.stdout, f"doctor: {done}")
    for command in ("run", "serve", "compile"):
        done = run(weir, command, "x.wasm", env=environment)
        Failures.expect(done.returncode != 0 and "the package weir," in done.stderr,
                        f"weir {command}: {done}")
    os.rename(f"{prefix}/libexec/weir/weir-plan", f"{prefix}/plan")
    done = run(weir, "plan", env=environment)
    Failures.expect("the package weir-tools," in done.stderr, f"weir plan: {done}")


def check_install(build, scratch):
    tools = install(build, "weir-tools", f"{scratch}/tools")
    host = install(build, "weir", f"{scratch}/host")
    Failures.expect(not tools & host, f"in both packages: {tools & host}")
    everything = install(build, "weir", f"{scratch}/all") | install(build, "weir-tools",
                                                                    f"{scratch}/all")
    unnamed = run("cmake", "--install", build, "--prefix", f"{scratch}/whole")
    Failures.expect(unnamed.returncode == 0, unnamed.stderr)
    whole = {os.path.relpath(os.path.join(folder, name), f"{scratch}/whole")
             for folder, _, names in os.walk(f"{scratch}/whole") for name in names}
    Failures.expect(whole == everything, f"in no package: {whole - everything}")
    programs = {os.path.basename(name) for name in tools if name.startswith(("bin/", "libexec/"))}
    Failures.expect(programs <= set(LIBRARIES), f"weir-tools has {programs - set(LIBRARIES)}")
    Failures.expect({"weir", "weir-plan", "weir-doctor", "weir-inspect"} <= programs,
                    f"weir-tools lacks programs, it has {programs}")
    Failures.expect({"libexec/weir/weir-run", "libexec/weir/weir-compile",
                     "include/weir/weir.h"} <= host, f"weir lacks parts, it has {host}")
    if any(name.startswith("share/man") for name in whole):
        for program in programs:
            Failures.expect(f"share/man/man1/{program}.1" in tools, f"no man page of {program}")
    check_links(f"{scratch}/tools", build)
    check_alone(f"{scratch}/tools")


def field(package, name):
    return run("dpkg-deb", "-f", package, name).stdout.strip()


def check_debian(build, scratch, version):
    if not all(map(shutil.which, ("cpack", "dpkg-deb", "dpkg-shlibdeps"))):
        print("no Debian packages: cpack, dpkg-deb or dpkg-shlibdeps is missing")
        Failures.expect(os.environ.get("WEIR_REQUIRE_ALL") != "1", "they are required")
        return
    done = run("cpack", "-G", "DEB", "-B", f"{scratch}/deb", cwd=build)
    Failures.expect(done.returncode == 0, done.stdout + done.stderr)
    packages = {field(path, "Package"): path for path in glob.glob(f"{scratch}/deb/*.deb")}
    Failures.expect(set(packages) == {"weir", "weir-tools"}, f"packages {packages}")
    for name, path in packages.items():
        depends = field(path, "Depends")
        print(f"{os.path.basename(path)}: {os.path.getsize(path) >> 10} KiB, depends on {depends}")
        Failures.expect(field(path, "Version") == version, f"{name} has another version")
        needs_tools = f"weir-tools (= {version})" in depends
        Failures.expect(needs_tools == (name == "weir"), f"{name} depends on {depends}")
        Failures.expect("LLVM" not in depends.upper(), f"{name} depends on {depends}")
        listing = run("dpkg-deb", "-c", path).stdout
        Failures.expect(("./usr/bin/weir\n" in listing) == (name == "weir-tools"), listing)
    done = run("dpkg-deb", "-x", packages["weir-tools"], f"{scratch}/root")
    Failures.expect(done.returncode == 0, done.stderr)
    check_alone(f"{scratch}/root/usr")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--version", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        check_install(options.build, scratch)
        check_debian(options.build, scratch, options.version)
    print(f"{Failures.count} failed")
    return 1 if Failures.count else 0


if __name__ == "__main__":
    sys.exit(main())
