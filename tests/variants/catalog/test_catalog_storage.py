"""A catalog on the disk: cut off and taken up again, refused, full, locked, on Ray."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from saliscope.core.errors import InputError, OptionError
from saliscope.models.loading import load
from saliscope.models.protein import ProteinModel
from saliscope.variants.catalog import forward, storage
from saliscope.variants.catalog.build import build_catalog
from saliscope.variants.catalog.catalog import Catalog
from saliscope.variants.coding.transcript import Transcript
from variants.catalog.catalog_data import CDS, TOY, hashes, longer, people, population

_TESTS = str(Path(__file__).parents[2])

# One process imports everything and forks a build for each cut, which is killed. It runs nothing
# itself, because threads of a library that has run do not come along.
_KILLS = f"""
import os, random, signal, sys, time, traceback
sys.path.insert(0, {_TESTS!r})
import pathlib, torch
import pandas, pyarrow.compute, pyarrow.parquet, saliscope.api.measuring
import transformers.models.esm.modeling_esm, transformers.models.esm.tokenization_esm
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer
from variants.catalog.catalog_data import hashes, longer
from saliscope.variants.catalog import build, forward
torch.set_num_threads(1)
forward.BATCH = 1300
gene, base = longer(24), sys.argv[1]

def run(folder, progress=False):
    build.build_catalog(gene, "zoo:protein", folder, progress=progress)

def child(folder, work):
    pid = os.fork()
    if not pid:
        try:
            work(folder)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid

def slow(_state):
    time.sleep(0.1)

def killed_by_clock(folder, after):
    pid = child(folder, lambda f: run(f, slow))
    while not (pathlib.Path(folder) / "parts").exists():
        time.sleep(0.002)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL, "the build was over before the kill"

def killed_at_rename(folder, number, before):
    count = [0]
    replace = pathlib.Path.replace

    def counted(self, target):
        count[0] += 1
        if count[0] == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(self, target)
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def work(f):
        pathlib.Path.replace = counted
        run(f)

    status = os.waitpid(child(folder, work), 0)[1]
    assert status in {{0, signal.SIGKILL}}, f"{{folder}}: ended with status {{status}}"
    return status == signal.SIGKILL

def finished(folder):
    assert os.waitpid(child(folder, run), 0)[1] == 0, "the rerun failed"
    same(hashes(pathlib.Path(folder)), folder)

def same(found, folder):
    differ = sorted(n for n in found.keys() | whole.keys() if found.get(n) != whole.get(n))
    assert not differ, f"{{folder}}: other bytes in {{differ}}"

os.waitpid(child(base + "/whole", run), 0)
whole = hashes(pathlib.Path(base, "whole"))
parts = []
for number in range(5):
    folder = f"{{base}}/clock{{number}}"
    killed_by_clock(folder, random.Random(number).uniform(0.0, 0.5))
    parts.append(len(list(pathlib.Path(folder, "parts").glob("*.parquet"))))
    finished(folder)
kills = 0
for number in range(1, 40):
    folder = f"{{base}}/rename{{number}}"
    before = number % 2 == 0
    if not killed_at_rename(folder, number, before):
        break
    kills += 1
    finished(folder)
print("parts", parts, "renames", kills, "files", len(whole))
"""


@pytest.mark.skipif(
    "SALISCOPE_SLOW" not in os.environ, reason="half a minute of kills; SALISCOPE_SLOW=1 runs it"
)
def test_a_killed_build_ends_in_the_same_bytes(tmp_path):
    """Five kills by the clock, and one at every rename that a build makes."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _KILLS, str(tmp_path)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert int(words[words.index("renames") + 1]) >= 7  # parts, commit, three tables, meta
    assert words[-1] == "5"  # three tables, meta.json, .lock


def test_ray_on_two_workers_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "BATCH", 250)
    local = build_catalog(TOY, "zoo:protein", tmp_path / "local", panel=people())
    ray = build_catalog(
        TOY, "zoo:protein", tmp_path / "ray", panel=people(), engine="ray", workers=2
    )
    assert hashes(ray.folder) == hashes(local.folder)
    import ray as library

    assert not library.is_initialized()


def test_workers_without_a_name_of_the_model_are_refused(tmp_path, monkeypatch):
    known = load("zoo:protein")
    mine = ProteinModel(known.module, known.tokenizer, "mine")
    with pytest.raises(OptionError, match="mine is an object of this process; give a name, a fol"):
        build_catalog(TOY, mine, tmp_path / "a", engine="ray")
    with pytest.raises(OptionError, match="did you mean 'local'"):
        build_catalog(TOY, "zoo:protein", tmp_path / "a", engine="locl")
    with pytest.raises(OptionError, match="workers=0 must be a positive number"):
        build_catalog(TOY, "zoo:protein", tmp_path / "a", engine="ray", workers=0)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"ray is not installed.*pip install ray"):
        build_catalog(TOY, "zoo:protein", tmp_path / "a", engine="ray")


SHORT = Transcript("S.1", "S", CDS[:9] + "TAA", "GRCh38", "1", 1, ((100, 112),))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    build_catalog(SHORT, "zoo:protein", tmp_path / "small")
    return tmp_path / "small"


def _edited(folder: Path, **changes: object) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, **changes}))


def test_a_catalog_of_something_else_is_refused_as_it_is(small):
    before = hashes(small)
    for gene, words in (
        (TOY, r"of another transcript \(S.1, not T.1\); choose another folder"),
        (Transcript("S.1", "S", "ATGAAAAAATAA", "GRCh38"), "of another coding sequence"),
        (Transcript("S.1", "S", SHORT.cds, "GRCh37"), r"genome build \(GRCh38, not GRCh37\)"),
    ):
        with pytest.raises(InputError, match=words) as refused:
            build_catalog(gene, "zoo:protein", small)
        assert "\n" not in str(refused.value)
    model = load("zoo:protein", name="other")
    with torch.no_grad():
        next(model.module.parameters()).mul_(1.5)
    with pytest.raises(InputError, match=r"of another model \(\w{16}, not \w{16}\); choose"):
        build_catalog(SHORT, model, small)
    assert hashes(small) == before


def test_a_newer_schema_is_refused(small):
    _edited(small, schema=2)
    for use in (Catalog.open, lambda f: build_catalog(SHORT, "zoo:protein", f)):
        with pytest.raises(InputError, match=r"newer Saliscope \(schema 2; this one reads 1\)"):
            use(small)


@pytest.mark.parametrize("name", ["proteins", "entries", "counts"])
def test_a_truncated_file_is_refused(small, name):
    file = small / f"{name}.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    for use in (Catalog.open, lambda f: build_catalog(SHORT, "zoo:protein", f)):
        with pytest.raises(InputError, match=rf"{name}\.parquet: is truncated or was changed"):
            use(small)


def test_what_is_no_catalog_is_refused(small, tmp_path):
    with pytest.raises(InputError, match=r"holds no catalog .*build one first"):
        Catalog.open(tmp_path / "nowhere")
    (small / "counts.parquet").unlink()
    with pytest.raises(InputError, match=r"counts\.parquet: cannot be read"):
        Catalog.open(small)
    (small / "meta.json").write_text("[]")
    with pytest.raises(InputError, match=r"meta\.json: is not the description of a catalog"):
        Catalog.open(small)


def test_a_build_that_was_cut_off_is_named(tmp_path):
    class Stop(Exception):
        pass

    def stop(_state):
        raise Stop

    with pytest.raises(Stop):
        build_catalog(SHORT, "zoo:protein", tmp_path, progress=stop)
    with pytest.raises(InputError, match="the build was cut off; run it again"):
        Catalog.open(tmp_path)


def test_a_damaged_part_is_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "BATCH", 900)
    gene = longer(24)
    whole = hashes(build_catalog(gene, "zoo:protein", tmp_path / "whole").folder)
    monkeypatch.setattr("saliscope.variants.catalog.build.publish", _fail(errno.ENOSPC))
    with pytest.raises(InputError, match="the disk is full"):
        build_catalog(gene, "zoo:protein", tmp_path / "a")
    parts = sorted((tmp_path / "a" / "parts").iterdir())
    assert len(parts) > 2
    parts[1].write_bytes(parts[1].read_bytes()[:-5])
    (tmp_path / "a" / "parts" / "00000-of-another-model.parquet").write_bytes(b"")
    monkeypatch.undo()
    monkeypatch.setattr(forward, "BATCH", 900)
    seen = []
    build_catalog(gene, "zoo:protein", tmp_path / "a", progress=seen.append)
    assert len(seen) == 2  # what was there, and the one that was damaged
    assert hashes(tmp_path / "a") == whole


def _fail(number: int):
    def fail(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def _mounted(folder: Path, options: str) -> bool:
    """Mount a small file system in memory, where that is allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_a_full_disk_is_told_and_a_rerun_goes_on(tmp_path, monkeypatch):
    """On a real small disk where one can be mounted, else with a write that fails."""
    small = tmp_path / "disk"
    real = _mounted(small, "size=192k")
    folder = small / "catalog"
    monkeypatch.setattr(forward, "BATCH", 250)
    try:
        with monkeypatch.context() as patch:
            if not real:
                patch.setattr(storage.os, "fsync", _fail(errno.ENOSPC))
            with pytest.raises(InputError) as full:
                build_catalog(TOY, "zoo:protein", folder, panel=people())
        assert str(full.value) == (
            f"{folder}: the disk is full; free some space and build again: what was finished "
            "is kept"
        )
        assert not list(folder.rglob("*.new"))
        assert not (folder / "meta.json").exists()
        if real:
            resize = ["mount", "-o", "remount,size=4m", str(small)]
            subprocess.run(resize, check=True)
        build_catalog(TOY, "zoo:protein", folder, panel=people())
        whole = build_catalog(TOY, "zoo:protein", tmp_path / "whole", panel=people())
        assert hashes(folder) == hashes(whole.folder)
    finally:
        if real:
            subprocess.run(["umount", str(small)], check=True)


def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\); choose another"):
        build_catalog(SHORT, "zoo:protein", tmp_path / "file" / "catalog")
    disk = tmp_path / "disk"
    real = _mounted(disk, "ro")
    if not real:
        monkeypatch.setattr(Path, "mkdir", _fail(errno.EROFS))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\)"):
            build_catalog(SHORT, "zoo:protein", disk / "catalog")
    finally:
        if real:
            subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_catalog_can_be_read(small):
    for file in (*small.iterdir(), small):
        file.chmod(0o555 if file.is_dir() else 0o444)
    try:
        assert len(Catalog.open(small).query("FROM entries")) > 10
    finally:
        small.chmod(0o755)


def test_two_builds_at_once_are_refused(tmp_path):
    inside = []

    def second(_state):
        with pytest.raises(InputError) as busy:
            build_catalog(SHORT, "zoo:protein", tmp_path)
        inside.append(str(busy.value))

    build_catalog(SHORT, "zoo:protein", tmp_path, progress=second)
    assert inside[0] == (
        f"{tmp_path}: another build is writing this catalog; wait for it, or choose another"
    )
    assert len(build_catalog(SHORT, "zoo:protein", tmp_path).entries()) > 10  # the lock is gone


def test_an_extension_that_is_cut_off_is_taken_up(tmp_path, monkeypatch):
    """The catalog of before stays whole until the new one is."""
    for name in ("a", "whole"):
        build_catalog(TOY, "zoo:protein", tmp_path / name)
    build_catalog(TOY, "zoo:protein", tmp_path / "whole", population=population())
    before = hashes(tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_sync", _fail(errno.EIO))
        with pytest.raises(InputError, match="Input/output error"):
            build_catalog(TOY, "zoo:protein", tmp_path / "a", population=population())
    now = hashes(tmp_path / "a")
    assert {name: now[name] for name in before} == before
    build_catalog(TOY, "zoo:protein", tmp_path / "a", population=population())
    assert hashes(tmp_path / "a") == hashes(tmp_path / "whole")
