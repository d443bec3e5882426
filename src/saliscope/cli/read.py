"""`saliscope read`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from saliscope.api.inputs import Input
from saliscope.api.progress import Meter
from saliscope.cli.common import (
    Folder,
    Page,
    read_bytes,
    read_flags,
    read_page,
    say,
    titled,
)
from saliscope.cli.summary import end
from saliscope.cli.writing import Failure, write_failures, write_report
from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError, OptionError, SaliscopeError
from saliscope.core.files import staged, write_beside
from saliscope.core.record import Record
from saliscope.core.registry import get_method
from saliscope.models.vision.reading import Reading
from saliscope.models.vision.recognizer import Recognizer
from saliscope.reading import compare, explain_characters, explain_mistakes, gallery, read_truth
from saliscope.reading.comparing import Comparison
from saliscope.reading.explaining import reader

__all__ = ["Maps", "run"]

_SHOWN = 12


class Maps(NamedTuple):
    """How mistakes are explained, and in how many lines."""

    method: str
    lines: int
    general: dict[str, Any]
    extra: Sequence[str]


def run(
    sources: Sequence[str], model: str, out: str, *, truth: str | None, page: Page, maps: Maps,
    beam: int | None, budget: str | None, seed: int, device: str, quiet: bool,
) -> None:  # fmt: skip
    """Read every line, and compare it with what is written there."""
    from saliscope.models.loading import load

    spec = get_method(maps.method)
    options = {
        **read_flags(maps.extra, [spec])[spec.name], "budget": read_bytes(budget), "seed": seed,
        **{k: v for k, v in maps.general.items() if v is not None},
    }  # fmt: skip
    if maps.lines < 0 or (beam is not None and beam < 1):
        msg = f"--maps {maps.lines} and --beam {beam} must not be negative; give a number of lines"
        raise OptionError(msg)
    recognizer = reader(load(model, device=device))
    inputs = read_page(sources, page, recognizer)
    texts = _texts(truth, inputs, sources, page)
    failures: list[Failure] = []
    with Folder(out) as folder:
        readings: list[Reading] = []
        with Meter(not quiet, len(inputs)) as meter:
            for item, reading in _read(recognizer, inputs, beam, failures, meter):
                readings.append(reading)
                if len(readings) <= _SHOWN:
                    say(_line(reading, None if texts is None else texts[item.name]), quiet=quiet)
        if not readings:
            raise failures[0].error
        if len(readings) > _SHOWN:
            say(f"  ... and {len(readings) - _SHOWN:,} more", quiet=quiet)
        _write(folder.path / "characters.csv", _characters(readings))
        if texts is None:
            _write(folder.path / "lines.csv", _lines(readings, None))
        else:
            compared = [compare(reading, texts[reading.name]) for reading in readings]
            _write(folder.path / "lines.csv", _lines(readings, compared))
            _write(folder.path / "errors.csv", _errors(compared))
            named = {item.name: item for item in inputs}
            _explained(folder.path, recognizer, named, compared, maps, options, titled(sources),
                       quiet=quiet)  # fmt: skip
        write_failures(folder.path, failures)
        _tell(folder.path, texts is not None, quiet=quiet)
        end(folder.path, failures, len(inputs))


def _texts(
    truth: str | None, inputs: Sequence[Input], sources: Sequence[str], page: Page
) -> dict[str, str] | None:
    """Return what is written in each picture, by its name."""
    if truth is None:
        return None
    if page.alto is not None or page.boxes:
        msg = "--truth names pictures of lines, and --alto and --box cut a page; give one of them"
        raise OptionError(msg)
    table = read_truth(truth)
    paths = [str(item.raw) for item in inputs]
    whole = all(Path(source).is_dir() for source in sources)
    try:
        found = table.of(paths, whole=whole)
    except ValueError as error:
        raise InputError(str(error)) from error
    return {item.name: text for item, text in zip(inputs, found, strict=True)}


def _read(
    model: Recognizer, inputs: Sequence[Input], beam: int | None, failures: list[Failure],
    meter: Meter,
) -> Iterator[tuple[Input, Reading]]:  # fmt: skip
    for item in inputs:
        try:
            reading = model.read(item.raw, name=item.name, beam_width=beam)
        except SaliscopeError as error:
            failures.append(Failure(item.name, "read", error))
        else:
            yield item, reading
        meter.next(1)


def _line(reading: Reading, truth: str | None) -> str:
    """Return a line of the summary: how sure, and what was read, beside the truth."""
    found = f"  {reading.name[:24]:<24} {_sure(reading):.2f}  {reading.text}"
    if truth is None or truth == reading.text:
        return found
    wrong = compare(reading, truth).mistakes
    told = ", ".join(map(str, wrong[:4])) + (", ..." if len(wrong) > 4 else "")
    return f"{found}\n  {'':<24}       {truth}  ({told})"


def _sure(reading: Reading) -> float:
    """Return the mean confidence of the characters; 1 where nothing was read."""
    each = [c.confidence for c in reading.characters]
    return sum(each) / len(each) if each else 1.0


def _characters(readings: Sequence[Reading]) -> pd.DataFrame:
    frames = []
    for reading in readings:
        frame = reading.to_frame()
        frame.insert(0, "record", reading.name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _lines(readings: Sequence[Reading], compared: Sequence[Comparison] | None) -> pd.DataFrame:
    rows = [[r.name, r.text, r.log_prob, _sure(r), len(r.characters)] for r in readings]
    frame = pd.DataFrame(rows, columns=["record", "text", "log_prob", "confidence", "characters"])
    if compared is not None:
        frame["truth"] = [c.truth for c in compared]
        frame["errors"] = [len(c.mistakes) for c in compared]
        frame["written"] = [c.written for c in compared]
        frame["error_rate"] = [c.error_rate for c in compared]
    return frame


def _errors(compared: Sequence[Comparison]) -> pd.DataFrame:
    frames = [c.to_frame() for c in compared if c.mistakes]
    if not frames:
        return compared[0].to_frame()
    return pd.concat(frames, ignore_index=True)


def _write(path: Path, frame: pd.DataFrame) -> None:
    with staged(path) as beside:
        frame.to_csv(beside, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")


def _explained(
    folder: Path, model: Recognizer, inputs: dict[str, Input], compared: Sequence[Comparison],
    maps: Maps, options: dict[str, Any], title: str, *, quiet: bool,
) -> None:  # fmt: skip
    """Write the gallery, and the report of the lines with most mistakes."""
    worst = sorted(
        (c for c in compared if c.mistakes), key=lambda c: -c.error_rate
    )[: maps.lines]  # fmt: skip
    chosen = {c.reading.name for c in worst}
    shown: list[Record] = []

    def each() -> Iterator[tuple[Comparison, Attribution | None]]:
        with Meter(not quiet and bool(worst), len(worst)) as meter:
            for comparison in compared:
                if comparison.reading.name not in chosen:
                    yield comparison, None
                    continue
                item = inputs[comparison.reading.name]
                _, wrong = explain_mistakes(model, item, comparison.truth, maps.method, **options)
                if wrong is not None:
                    shown.append(wrong)
                if comparison.reading.characters:
                    shown.append(
                        explain_characters(model, item, comparison.truth, maps.method, **options)
                    )
                meter.next(1)
                yield comparison, wrong

    name = Path(title).name
    page = gallery(each(), title=f"What {model.name} read for what in {name}")
    write_beside(folder / "gallery.html", page.encode())
    if shown:
        write_report(folder / "report.html", shown, f"Mistakes of {model.name} in {name}")
    else:
        (folder / "report.html").unlink(missing_ok=True)
    errors, written = sum(len(c.mistakes) for c in compared), sum(c.written for c in compared)
    rate = f"{errors / written:.2%}" if written else "–"
    say(f"character error rate {rate}: {errors:,} mistakes in {written:,} characters of "
        f"{len(compared):,} lines", quiet=quiet)  # fmt: skip
    if len(chosen) < sum(bool(c.mistakes) for c in compared):
        say(f"maps: of the {len(chosen):,} lines with most mistakes (--maps)", quiet=quiet)


def _tell(folder: Path, compared: bool, *, quiet: bool) -> None:
    names = ["lines.csv", "characters.csv"]
    names += ["errors.csv", "gallery.html", "report.html"] * compared
    for name in names:
        if (folder / name).exists():
            say(str(folder / name), quiet=quiet)
