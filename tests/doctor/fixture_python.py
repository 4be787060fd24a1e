"""A Python process that knows what it holds: the arenas of its object allocator. Prints its own
statistics and waits for the end of stdin.

usage: fixture_python.py SEED OBJECTS
"""
import os
import random
import re
import sys
import tempfile

random.seed(int(sys.argv[1]))
kept = [{"index": i, "text": "x" * random.randrange(300)} for i in range(int(sys.argv[2]))]

# The interpreter writes them to the descriptor of stderr.
with tempfile.TemporaryFile("w+") as file:
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    sys._debugmallocstats()
    os.dup2(saved, 2)
    file.seek(0)
    arenas = re.search(r"(\d+) arenas \* (\d+) bytes/arena", file.read())
print('{"classes": {"python": %d}}' % (int(arenas.group(1)) * int(arenas.group(2))), flush=True)
sys.stdin.read()
