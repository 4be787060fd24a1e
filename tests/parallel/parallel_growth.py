#!/usr/bin/env python3
"""Plugins on 2, 4 and 64 threads with host callbacks, handles and allocations: nothing grows.
Broken on purpose, as leaks and as what only the allocator keeps, each is told for what it is.

usage: parallel_growth.py --program parallel_main [--seconds 20]
"""
import argparse
import sys

from parallel_runs import check, check_right, grown, run


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--seconds", type=float, default=20, help="of the hosts without mistake")
    options = parser.parse_args()
    round_ms = int(options.seconds * 1000 / 3 / 110)
    runs = [("right", threads, round_ms, 0) for threads in (2, 4, 64)]
    runs += [("stores", 4, 20, 1), ("handles", 4, 20, 4), ("engines", 2, 20, 1),
             ("arenas", 4, 20, 1), ("arenas", 64, 20, 1)]
    failed = 0
    for policy, threads, round_ms, lives in runs:
        result = run(options.program, policy, threads, 100, round_ms, lives)
        wrong = check(result)
        if policy != "right" and not check_right(result):
            wrong.append("it would pass for a right host")
        failed += bool(wrong)
        print(f"{policy} on {threads} threads: {result['completed']} plugins, "
              f"{grown(result)} bytes grown, live {grown(result, 'live_bytes')}, "
              f"slack {grown(result, 'slack_bytes')}; {result['headline']}")
        for line in wrong:
            print("  FAILED:", line)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
