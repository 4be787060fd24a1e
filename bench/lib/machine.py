"""Where and on what a figure was measured: date, commit, processor, kernel, load."""
import datetime
import os
import platform
import subprocess


def git(root, *arguments):
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def describe(root):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": git(root, "rev-parse", "HEAD"),
        "is_dirty": bool(git(root, "status", "--porcelain", "--untracked-files=no", "src",
                             "include", "bench", "cmake")),
        "machine": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "load_average": round(os.getloadavg()[0], 2),
            "niceness": os.nice(0),
        },
    }
