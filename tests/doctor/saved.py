#!/usr/bin/env python3
"""Makes saved /proc files for the golden tests: processes as other kernels show them.

usage: saved.py FOLDER      writes FOLDER/proc/PID/{stat,status,comm,limits,smaps}
"""
import os
import sys

ANON = "00000000 00:00 0"
FILE = "00000000 fe:00 7"
MIB = 1024


def area(start, kib, access, name, rss, flags, place=ANON):
    """An area of `kib` KiB of which `rss` KiB are resident; anonymous unless it has a file."""
    anonymous = rss if place == ANON else 0
    return (f"{start:x}-{start + kib * 1024:x} {access} {place} {name}\n"
            f"Rss: {rss} kB\nPss: {rss} kB\nAnonymous: {anonymous} kB\nSwap: 0 kB\n"
            f"VmFlags: rd wr mr mw me {flags}\n")


def node():
    """A Nitro-like node on a kernel that names areas: Go, fastcache, arenas, stacks."""
    text = area(0x400000, 60 * MIB, "r-xp", "/usr/local/bin/nitro", 48 * MIB, "", FILE)
    text += area(0x2a00000000, 200 * MIB, "rw-p", "[heap]", 200 * MIB, "ac")
    text += area(0xc000000000, 6144 * MIB, "rw-p", "[anon: Go: heap]", 6042 * MIB, "ac")
    for i in range(61):
        start = 0x7e0000000000 + i * (64 << 20)
        text += area(start, 32 * MIB, "rw-p", "[anon: glibc: malloc arena]", 32 * MIB, "nr")
        text += area(start + (32 << 20), 32 * MIB, "---p", "", 0, "nr")
    text += area(0x7f0000000000, 64 * 17 * MIB, "rw-p", "", 64 * 17 * MIB, "ac")
    for i in range(212):
        start = 0x7f8000000000 + i * (8 << 20)
        name = f"[anon: glibc: pthread stack: {5000 + i}]"
        text += area(start, 8 * MIB, "rw-p", name, 400, "ac nh")
    text += area(0x7fa000000000, 90 * MIB, "r--p", "", 83 * MIB, "nr")
    return text


def guest():
    """A host with Wasm memories on a kernel without names."""
    text = area(0x400000, 8 * MIB, "r-xp", "/usr/bin/host", 6 * MIB, "", FILE)
    text += area(0x2a00000000, 20 * MIB, "rw-p", "[heap]", 19 * MIB, "ac")
    for i in range(3):
        start = 0x7e0000000000 + i * (6 << 30)
        text += area(start, 40 * MIB, "rw-p", "", 40 * MIB, "")
        text += area(start + (40 << 20), 6144 * MIB - 40 * MIB, "---p", "", 0, "")
    text += area(0x7ffc00000000, 132, "rw-p", "[stack]", 24, "gd ac")
    return text


def changing():
    """Saved while it was at work: an arena had grown when the kernel went on behind its old end."""
    text = area(0x400000, 8 * MIB, "r-xp", "/usr/bin/host", 6 * MIB, "", FILE)
    text += area(0x2a00000000, 20 * MIB, "rw-p", "[heap]", 19 * MIB, "ac")
    text += area(0x7e0000000000, 8 * MIB, "rw-p", "[anon: glibc: malloc arena]", 7 * MIB, "nr")
    text += area(0x7e0000000000, 24 * MIB, "rw-p", "[anon: glibc: malloc arena]", 22 * MIB, "nr")
    text += area(0x7e0001800000, 40 * MIB, "---p", "", 0, "nr")
    text += area(0x7ffc00000000, 132, "rw-p", "[stack]", 24, "gd ac")
    return text


def write(folder, pid, name, smaps, program="", environment="", state="S", flags=1 << 22,
          threads=1, thread=None):
    """The files of a process, or of one of its threads."""
    path = f"{folder}/proc/{pid}" + (f"/task/{thread}" if thread else "")
    os.makedirs(path, exist_ok=True)
    rest = ["1"] * 4 + [str(flags), "1200", "0", "3", "0"] + ["0"] * 9 + ["77"] + ["0"] * 4
    files = {
        "stat": f"{thread or pid} ({name}) {state} 1 " + " ".join(rest) + "\n",
        "status": f"Name:\t{name}\nVmHWM:\t 9999999 kB\nVmPTE:\t 20480 kB\nThreads:\t{threads}\n",
        "comm": name + "\n",
        "limits": "Max stack size            8388608              unlimited            bytes\n",
        "smaps": smaps,
        "environ": environment,
    }
    if program and not os.path.lexists(path + "/exe"):
        os.symlink(program, path + "/exe")
    for file, text in files.items():
        with open(f"{path}/{file}", "w", encoding="ascii") as out:
            out.write(text)


def main():
    folder = sys.argv[1]
    write(folder, 4711, "nitro", node(), "/usr/local/bin/nitro",
          "PATH=/bin\0MALLOC_ARENA_MAX=4\0", threads=231)
    write(folder, 4712, "host", guest(), "/usr/bin/host", threads=4)
    write(folder, 4713, "gone", "", state="Z")
    write(folder, 4713, "gone", "", state="Z", thread=4713)
    write(folder, 4718, "leader", "", state="Z", threads=3)
    write(folder, 4718, "leader", "", state="Z", thread=4718)
    write(folder, 4718, "worker", guest(), "/usr/bin/host", threads=3, thread=4719)
    write(folder, 4714, "kworker/0:1", "", flags=4194304 | 1 << 21)
    write(folder, 4715, "ended", "")
    write(folder, 4716, "broken", "no smaps at all\n")
    write(folder, 4717, "busy", changing(), "/usr/bin/host", threads=2)
    os.makedirs(folder + "/proc/self", exist_ok=True)
    with open(folder + "/proc/self/mountinfo", "w", encoding="ascii") as out:
        out.write("30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n")
    cgroup = folder + "/sys/fs/cgroup/node"
    os.makedirs(cgroup, exist_ok=True)
    for file, text in {
            "cgroup.procs": "4711\n4712\n4713\n4799\n",
            "cgroup.controllers": "memory\n",
            "memory.max": f"{16 << 30}\n",
            "memory.current": f"{10 << 30}\n",
            "memory.stat": f"file {400 << 20}\nshmem 0\nkernel {60 << 20}\nsock 0\n"
                           f"active_file {100 << 20}\ninactive_file {300 << 20}\n"}.items():
        with open(f"{cgroup}/{file}", "w", encoding="ascii") as out:
            out.write(text)


if __name__ == "__main__":
    main()
