"""Work in several processes: what workers tell, how they end, and results of equal bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import saliscope
from helpers import tokens
from helpers.labor import Squares, unsendable
from saliscope import InputError, ModelError, OptionError
from saliscope.api.inputs import Input
from saliscope.api.planning import plan
from saliscope.api.progress import Meter
from saliscope.api.sharing import Shard, fill
from saliscope.api.store import Store, chunks
from saliscope.api.workers import crew
from saliscope.core.engine import Progress
from saliscope.models.loading import origin_of
from saliscope.models.protein import ProteinModel
from saliscope.models.quiet import threads
from saliscope.models.text import TextModel

TEXTS = [f"the film was {word}" for word in ("good", "bad", "fine", "not bad", "good", "very good")]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a tiny text classifier."""
    folder = tmp_path_factory.mktemp("models") / "bert"
    tokens.bert().save_pretrained(folder)
    tokens.word_tokenizer().save_pretrained(folder)
    return str(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# -- crews --------------------------------------------------------------------------------------


def test_a_crew_does_what_it_is_given_and_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    with crew("local", Squares(), 2) as workers:
        workers.progress = lambda worker, state: told.append((worker, state.done))
        done = dict(workers.each(iter(range(7))))
        assert {task: square for task, (square, _) in done.items()} == {n: n * n for n in range(7)}
        pids = {pid for _, pid in done.values()}
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert {worker for worker, _ in told} <= {1, 2}
        assert told
    end = time.monotonic() + 10
    while time.monotonic() < end and any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.02)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize(
    ("start", "task", "words"),
    [
        (Squares(broken=True), 1, "^there is no such model$"),
        (Squares(), -1, r"^a worker failed \(ZeroDivisionError: one line\)$"),
        (Squares(), -9, r"^worker 1 was killed \(signal 9\), perhaps because memory ran out"),
    ],
)
def test_a_worker_that_fails_is_told_in_one_line(start: Squares, task: int, words: str) -> None:
    with crew("local", start, 1) as workers, pytest.raises(ModelError, match=words):
        list(workers.each([task]))


def test_what_cannot_be_sent_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match="something cannot be sent there") as caught:
        crew("local", unsendable(), 2)
    assert "\n" not in str(caught.value)


# -- explain ------------------------------------------------------------------------------------


def test_two_processes_give_the_bytes_of_one(
    bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saliscope.api.store._LETTERS", 40)
    inputs = [Input(f"r{i}", text) for i, text in enumerate([*TEXTS, "good " * 60])]
    options = {"method": "masking", "errors": "collect"}
    one = saliscope.explain(bert, inputs, resume=str(tmp_path / "one"), **options)
    seen: list[Progress] = []
    model = saliscope.load(bert)  # known by the folder that it was loaded from
    two = saliscope.explain(
        model, iter(inputs), resume=str(tmp_path / "two"), workers=2, progress=seen.append,
        **options,
    )  # fmt: skip
    assert isinstance(two, Iterator)
    for a, b in zip(one, two, strict=True):
        if isinstance(a, saliscope.Attribution):
            assert a.equals(b)
        else:
            assert str(a) == str(b)
            assert isinstance(b, InputError)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert seen[-1].done == len(inputs)
    assert seen[-1].rows > len(inputs)
    monkeypatch.setattr("saliscope.api.workers.Processes._begin", None)  # nobody is needed now
    again = saliscope.explain(model, inputs, resume=str(tmp_path / "two"), workers=2, **options)
    assert [str(a) for a in again] == [str(a) for a in one]


@pytest.mark.skipif(
    "SALISCOPE_SLOW" not in os.environ,
    reason="Ray takes long to start, and the catalog has a test of it; SALISCOPE_SLOW=1 runs it",
)
def test_ray_gives_the_bytes_of_one_process(bert: str, tmp_path: Path) -> None:
    one = saliscope.explain(bert, TEXTS, "gradient", resume=str(tmp_path / "one"))
    ray = saliscope.explain(
        bert, TEXTS, "gradient", resume=str(tmp_path / "ray"), workers=1, engine="ray"
    )
    assert all(a.equals(b) for a, b in zip(one, ray, strict=True))
    assert contents(tmp_path / "one") == contents(tmp_path / "ray")
    import ray as library

    assert not library.is_initialized()


def test_workers_that_cannot_be_are_refused(
    text: TextModel, bert: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"tiny-bert is an object of this process; give a name"):
        saliscope.explain(text, TEXTS, workers=2)
    with pytest.raises(OptionError, match="workers=0 must be a positive number"):
        saliscope.explain(bert, TEXTS, workers=0)
    with pytest.raises(OptionError, match="engine='rai' does not exist: did you mean 'ray'"):
        saliscope.explain(bert, TEXTS, engine="rai")
    with pytest.raises(OptionError, match="a function or object without a value"):
        saliscope.explain(bert, TEXTS, "gradient", lambda out: out[:, 0], resume=str(tmp_path))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"ray is not installed.*pip install ray"):
        saliscope.explain(bert, TEXTS, engine="ray")


def test_weights_that_were_changed_here_are_not_found_there(bert: str) -> None:
    model = saliscope.load(bert)
    used = torch.get_num_threads()
    assert origin_of(model).again(model.describe(), used).describe() == model.describe()
    with torch.no_grad():
        next(model.module.parameters()).mul_(1.5)  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="a worker loads other weights") as caught:
        origin_of(model).again(model.describe(), used)
    assert "\n" not in str(caught.value)


def test_a_script_without_a_guard_is_told_what_it_needs(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from helpers.labor import Squares\nfrom saliscope.api.workers import crew\n"
        "list(crew('local', Squares(), 1).each([1]))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs the line `if __name__ == '__main__':`" in done.stderr.splitlines()[-1]


# -- the store ----------------------------------------------------------------------------------


def test_what_a_chunk_computes_depends_on_the_inputs_alone(
    protein: ProteinModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saliscope.api.store._LETTERS", 8)
    wanted = plan(protein, "gradient", None)
    inputs = [Input("", raw) for raw in ("MKV", "M1V", "MKV", "MAA", "M1V", "MKL", "MAA")]
    found = list(chunks(wanted, inputs, Store(tmp_path)))
    assert [[named.raw for named in chunk.fresh.values()] for chunk in found] == [
        ["MKV", "M1V"], ["MAA"], ["MKL"], [],
    ]  # fmt: skip
    assert [len(chunk.inputs) for chunk in found] == [2, 2, 2, 1]


def test_a_file_that_is_damaged_is_made_again(protein: ProteinModel, tmp_path: Path) -> None:
    sequences = ["MVHLTPEEK", "MKTAYIAKQR"]
    saliscope.explain(protein, sequences, "gradient", resume=str(tmp_path))
    before = contents(tmp_path)
    damaged = min(tmp_path.glob("*.nc"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (tmp_path / ".0.nc.abc.part").write_bytes(b"left by a run that was killed")
    saliscope.explain(protein, sequences, "gradient", resume=str(tmp_path))
    assert contents(tmp_path) == before


def test_a_folder_keeps_the_threads_that_it_was_begun_with(
    protein: ProteinModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with threads(2):
        saliscope.explain(protein, "MVHL", "gradient", resume=str(tmp_path))
    assert json.loads((tmp_path / "settings.json").read_text()) == {"threads": 2}
    used: list[int] = []
    forward = ProteinModel.run

    def counted(self: ProteinModel, *args: object, **options: object) -> object:
        used.append(torch.get_num_threads())
        return forward(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ProteinModel, "run", counted)
    before = torch.get_num_threads()
    saliscope.explain(protein, "MKTA", "gradient", resume=str(tmp_path))
    assert set(used) == {2}
    assert torch.get_num_threads() == before
    used.clear()
    saliscope.explain(protein, "MVHL", "gradient", resume=str(tmp_path))
    assert not used
    (tmp_path / "settings.json").write_text("{")  # not ours any more: begun anew
    assert Store(tmp_path, 3).threads == 3


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, list])
def test_vectors_have_keys_of_their_own(
    kind: Callable[[npt.NDArray[np.float64]], Any], protein: ProteinModel, tmp_path: Path
) -> None:
    """All numbers count, and all digits of them, of which a printed array leaves some out."""
    store, keys = Store(tmp_path), set()
    for value in (0.0, 1.0, 1.0, 1.0 + 1e-12):
        vector = np.zeros(5000)
        vector[2500] = value
        wanted = plan(protein, "gradient", None)
        object.__setattr__(wanted, "target", saliscope.Projection(kind(vector)))
        keys.add(store.key(wanted, Input("", "MKV")))
    assert len(keys) == 3


def test_a_store_without_a_folder_has_one_for_a_time(protein: ProteinModel) -> None:
    store = Store(None, 2)
    assert store.threads == 2
    with store:
        folder = store.folder
        wanted = plan(protein, "gradient", None)
        key = store.key(wanted, Input("", "MKV"))
        store.keep(key, saliscope.explain(protein, "MKV", "gradient"))
        assert store.path(key).exists()
    assert not folder.exists()


def test_results_that_nobody_takes_leave_nothing(
    bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stream = saliscope.explain(bert, iter(TEXTS), "gradient", workers=2)
    assert not list(tmp_path.iterdir())
    stream.close()
    assert not list(tmp_path.iterdir())


def test_every_input_is_counted_once(protein: ProteinModel, tmp_path: Path) -> None:
    """Those that are new, repeated, impossible, finished before, or of another shard."""
    inputs = [Input("", raw) for raw in ("MKV", "M1V", "MKV", "MAA", "M1V")]
    told: list[Progress] = []
    with Meter(told.append, None) as meter:
        done = fill(plan(protein, "gradient", None), inputs, Store(tmp_path), meter, Shard(1, 1))
    assert (done.chunks, done.inputs, len(done.failed)) == (1, 3, 1)
    assert told[-1].done == 5
    for _ in range(2):
        made = saliscope.explain(
            protein, inputs, "gradient", resume=str(tmp_path), errors="collect",
            progress=told.append,
        )  # fmt: skip
        assert [isinstance(one, InputError) for one in made] == [False, True, False, False, True]
        assert told[-1] == Progress(5, 5, 0, 0)


def test_ray_is_not_asked_to_report_and_the_environment_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from saliscope.api.on_ray import _no_report

    name = "RAY_USAGE_STATS_ENABLED"
    monkeypatch.delenv(name, raising=False)
    with _no_report():
        assert os.environ[name] == "0"
    assert name not in os.environ
    monkeypatch.setenv(name, "1")
    with _no_report():
        assert os.environ[name] == "1"
    assert os.environ[name] == "1"
