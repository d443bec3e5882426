"""Kill `saliscope explain` at random points, and at and around renames; compare what it ends in.

A program: ``python killed.py FOLDER SETTINGS``, with settings in JSON. One process imports
everything and forks a run for each kill; it runs nothing itself, because threads of a library that
has run do not come along.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path

import h5netcdf  # noqa: F401 - so that children need not
import pandas as pd  # noqa: F401
import torch
import transformers.models.bert.modeling_bert
import transformers.models.bert.tokenization_bert  # noqa: F401
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer  # noqa: F401

import saliscope.api.store
import saliscope.cli.explain
import saliscope.cli.writing
import saliscope.show
from saliscope.cli.main import main

MARK = "SALISCOPE_TEST_MARK"


class Runs:
    """Runs of one command, each in a process of its own."""

    def __init__(self, base: Path, settings: dict[str, object]) -> None:
        self.base, self.settings = base, settings
        self.random = random.Random(int(settings["seed"]))
        self.kills = 0

    def child(self, folder: str, *more: str, prepare: Callable[[], None] = lambda: None) -> int:
        """Start a run; its process ends with the exit code of the command."""
        os.environ[MARK] = uuid.uuid4().hex
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            prepare()
            arguments = ["explain", str(self.settings["source"]), "-m", str(self.settings["model"])]
            arguments += ["--method", str(self.settings["method"]), "-q"]
            main([*arguments, "-o", str(self.base / folder), *more])
            code = 0
        except SystemExit as left:
            code = int(left.code or 0)
        except BaseException:  # noqa: BLE001 - this process must not go on
            traceback.print_exc()
        os._exit(code)

    def finish(self, folder: str, *more: str, code: int | None = None) -> float:
        """Let a run end by itself with an exit code, and return the seconds that it took."""
        start = time.monotonic()
        status = os.waitpid(self.child(folder, *more), 0)[1]
        found = os.waitstatus_to_exitcode(status)
        wanted = self.settings["code"] if code is None else code
        assert found == wanted, f"{folder}: ended with {found}"
        return time.monotonic() - start

    def killed_by_clock(self, folder: str, seconds: float, *more: str) -> None:
        """Kill a run after some seconds, wherever it is."""
        pid = self.child(folder, *more)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        self.kills += os.waitpid(pid, 0)[1] == signal.SIGKILL
        alone()

    def killed_at_rename(self, folder: str, number: int, *more: str, before: bool) -> None:
        """Kill a run just before or just after a file takes its name."""

        def prepare() -> None:
            count, replace = 0, os.replace

            def counted(*arguments: object, **options: object) -> None:
                nonlocal count
                count += 1
                if count == number and before:
                    os.kill(os.getpid(), signal.SIGKILL)
                replace(*arguments, **options)
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            os.replace = counted

        status = os.waitpid(self.child(folder, *more, prepare=prepare), 0)[1]
        assert status == signal.SIGKILL, f"{folder}: rename {number} never came ({status})"
        self.kills += 1
        alone()

    def hashes(self, folder: str) -> dict[str, str]:
        """Return the SHA-256 of every file, hidden ones too."""
        place = self.base / folder
        return {
            str(file.relative_to(place)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(place.rglob("*"))
            if file.is_file()
        }

    def same(self, folder: str) -> None:
        """Demand that a folder holds the same bytes as the run that nobody killed."""
        whole, found = self.hashes("whole"), self.hashes(folder)
        differ = sorted(n for n in found.keys() | whole.keys() if found.get(n) != whole.get(n))
        assert not differ, f"{folder}: other bytes in {differ[:5]}"


def alone(seconds: float = 60.0) -> None:
    """Wait until the workers of the last run are gone too, and demand that they go."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        left = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if int(process.name) != os.getpid() and mark in (process / "environ").read_bytes():
                    left.append(process.name)
            except OSError:
                continue
        if not left:
            return
        time.sleep(0.05)
    msg = f"workers outlive the run that began them: {left}"
    raise AssertionError(msg)


def kill_and_compare(base: Path, settings: dict[str, object]) -> str:
    """Return one line about what was done; whatever differs is an `AssertionError`."""
    torch.set_num_threads(1)
    saliscope.api.store._LETTERS = int(settings["letters"])
    saliscope.cli.writing.REPORTED = int(settings["reported"])
    runs = Runs(base, settings)
    seconds = runs.finish("whole")
    files = runs.hashes("whole")
    records = sum(name.endswith(".nc") for name in files)
    rest = len(files) - records - 1  # renamed at the end: all but the settings of the folder
    chains = {"cut": (), **({"workers": ("--workers", "2")} if settings["workers"] else {})}
    for folder, more in chains.items():
        # Each goes on where the one before was killed, so that none of them may come far.
        for _ in range(int(settings["clock"])):
            runs.killed_by_clock(folder, runs.random.uniform(0.05, 0.25) * seconds, *more)
        for k in range(int(settings["renames"])):
            left = records - len(list((base / folder / "records").glob("*.nc")))
            number = runs.random.randint(1, max(1, left // (int(settings["renames"]) + 1 - k)))
            runs.killed_at_rename(folder, number, *more, before=k % 2 == 0)
        runs.finish(folder, "--shard", "1/1", *more, code=0)  # all records, and nothing of the rest
        ends = [(number, before) for number in range(1, rest + 1) for before in (True, False)]
        for number, before in ends if settings["every"] else (ends[0], ends[-1]):
            runs.killed_at_rename(folder, number, *more, before=before)
        runs.finish(folder, *more)
        runs.same(folder)
    for k in (2, 1) if settings["shards"] else ():
        more = ("--workers", "2") if k == 1 else ()
        runs.killed_by_clock("shards", runs.random.uniform(0.1, 0.4) * seconds, "--shard", f"{k}/2")
        runs.finish("shards", "--shard", f"{k}/2", *more, code=0)
    if settings["shards"]:
        runs.finish("shards")
        runs.same("shards")
    folders = len(chains) + bool(settings["shards"])
    return (
        f"{records} records and {rest} other files, {runs.kills} kills in {folders} folder(s): "
        f"the same bytes as without any, in {seconds:.1f} seconds"
    )


if __name__ == "__main__":
    print(kill_and_compare(Path(sys.argv[1]), json.loads(sys.argv[2])))
