#!/usr/bin/env python3
"""That .ci/cpu-ceiling fails what takes too long, and nothing else. Prints what went wrong."""

import os
import subprocess
import sys

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".ci", "cpu-ceiling")
# The time is that of a grandchild, as a compiler's is.
BUSY = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.run([sys.executable, '-c', "
    "'import time\\nwhile time.process_time() < 1.2: pass'], check=True)",
]
CASES = (
    ("a stage above its ceiling fails", ["1", *BUSY], 1, "limit 1: exceeded"),
    ("a stage below its ceiling passes", ["60", *BUSY], 0, "limit 60\n"),
    ("a failed stage keeps its status", ["60", "sh", "-c", "exit 77"], 77, "limit 60\n"),
    ("a failed stage above its ceiling keeps its status", ["0", "sh", "-c", "exit 3"], 3, "exceeded"),
    ("a killed stage fails", ["60", "sh", "-c", "kill -9 $$"], 137, "limit 60\n"),
)

failed = 0
for name, arguments, status, text in CASES:
    ran = subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False, timeout=60)
    if ran.returncode != status or text not in ran.stderr:
        failed += 1
        print(f"{name}: status {ran.returncode} instead of {status}; printed: {ran.stderr}")
sys.exit(failed != 0)
