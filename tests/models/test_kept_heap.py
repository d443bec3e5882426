"""What glibc has learned: a block of a batch comes from the heap, which is kept, not from a map."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import torch
if sys.argv[1] == "kept":
    from saliscope.models.memory import keep_heap
    keep_heap()
place = torch.ones(5 << 20).data_ptr()  # 20 MiB
heap = next(line for line in open("/proc/self/maps") if line.endswith("[heap]\\n"))
low, high = (int(end, 16) for end in heap.split()[0].split("-"))
print(int(low <= place < high))
"""


def on_heap(mode: str) -> bool:
    """Return whether the first large block of a process lies on its heap."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode], check=True, capture_output=True, text=True
    )
    return done.stdout.strip() == "1"


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.libc_ver()[0] != "glibc", reason="glibc is taught"
)
def test_blocks_of_a_batch_come_from_the_heap() -> None:
    assert on_heap("kept")
    assert not on_heap("as it is")
