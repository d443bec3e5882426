"""`saliscope explain`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, cast

from saliscope.api.explaining import explain_each
from saliscope.api.inputs import Input
from saliscope.api.planning import Plan, plan
from saliscope.api.progress import Meter
from saliscope.api.running import Result
from saliscope.api.sharing import Shard, Team, fill, team
from saliscope.api.store import Store
from saliscope.api.trusting import with_verdict
from saliscope.api.workers import Engine, check_workers, threads_each
from saliscope.cli.common import Folder, Page, read_bytes, read_flags, read_page, say, titled
from saliscope.cli.summary import finish
from saliscope.cli.writing import Written
from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError, SaliscopeError, nearest
from saliscope.core.groups import REDUCERS, check
from saliscope.core.model import Model
from saliscope.core.registry import get_method
from saliscope.models.loading import load
from saliscope.reading.measures import column_table

__all__ = ["Many", "run"]


class Many(NamedTuple):
    """How many inputs are worked on, and how results are shown."""

    workers: int | None = None
    engine: str = "local"
    shard: str | None = None
    by: str | None = None
    reduce: str = "sum"


def run(
    sources: Sequence[str], model: str, out: str, *, methods: Sequence[str],
    targets: Sequence[str], general: dict[str, Any], budget: str | None, seed: int, device: str,
    strict: bool, quiet: bool, extra: Sequence[str], many: Many, page: Page,
    per_character: bool, pixels: bool, trust: bool,
) -> None:  # fmt: skip
    """Explain every record of some files by every chosen method."""
    specs = list({spec.name: spec for spec in map(get_method, methods)}.values())
    own = read_flags(extra, specs)
    bytes_ = read_bytes(budget)
    check_workers(many.engine, many.workers)
    engine = cast("Engine", many.engine)
    shard = _shard(many.shard)
    adapter = load(model, device=device)
    if adapter.modality == "table" and (many.workers is not None or engine == "ray"):
        msg = "tables are explained in one process; leave --workers and --engine out"
        raise OptionError(msg)
    if pixels and not (per_character and many.by is None):
        msg = "--pixels says how --per-character writes its table; give that, and no --by"
        raise OptionError(msg)
    by = _by(many, adapter.modality)
    target = _one_or_more(_characters(targets, adapter) if per_character else targets)
    general = {**general, "baseline": _one_or_more(general["baseline"])}
    # A general parameter goes to the methods that use it, and must be used by one.
    used = {name for spec in specs for name in spec.accepts}
    plans = [
        plan(
            adapter, spec.name, target, budget=bytes_, seed=seed, options=own[spec.name],
            **{k: v for k, v in general.items() if k in spec.accepts or k not in used},
        )
        for spec in specs
    ]  # fmt: skip
    inputs = read_page(sources, page, adapter)
    with ExitStack() as inside:
        folder = inside.enter_context(Folder(out))
        threads = threads_each(adapter.threads, engine, many.workers)
        store = inside.enter_context(Store(folder.path / "records", threads))
        workers: Team | None = None
        if many.workers is not None or engine == "ray":
            workers = inside.enter_context(team(plans, store, many.workers, engine))
        if shard is not None:
            _fill(plans, inputs, store, shard, workers, quiet=quiet)
            return

        def results() -> Iterator[tuple[str, str, Result]]:
            for number, wanted in enumerate(plans):
                each = explain_each(
                    wanted, inputs, collect=True, strict=strict, progress=not quiet, store=store,
                    workers=workers, number=number,
                )  # fmt: skip
                for item, result in zip(inputs, each, strict=True):
                    tested = with_verdict(wanted, item, result) if trust else result
                    yield item.name, wanted.method.name, _grouped(tested, by, many.reduce)

        columns = per_character and not pixels and by is None
        frame = {"frame": column_table} if columns else {}
        written = Written(folder.path / "attributions.csv", titled(sources), **frame)
        written.add(results())
        title = f"{Path(titled(sources)).name} by {adapter.name}"
        finish(folder.path, written, title, len(inputs), quiet=quiet)


def _characters(targets: Sequence[str], model: Model) -> list[str]:
    """Return the target that explains each character, of what is read or of a given text."""
    if "strings" not in model.heads:
        msg = f"--per-character is for models that read lines of text, and {model.name} does not"
        raise OptionError(msg)
    if len(targets) > 1 or any(" vs " in text for text in targets):
        msg = "--per-character explains the characters of one text; give one --target, or none"
        raise OptionError(msg)
    return [f"characters: {text.removeprefix('string:').lstrip()}" for text in targets] or [
        "characters"
    ]


def _one_or_more(given: Sequence[str] | None) -> str | list[str] | None:
    if not given:
        return None
    return given[0] if len(given) == 1 else list(given)


def _shard(text: str | None) -> Shard | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        msg = f"--shard {text!r}: write K/N with K from 1 to N, e.g. 2/8 for the second of eight"
        raise OptionError(msg)
    return Shard(int(found[1]), int(found[2]))


def _by(many: Many, modality: str) -> str | int | None:
    """Return how results are grouped, once that is known to be possible."""
    if many.reduce not in REDUCERS:
        msg = f"--reduce {many.reduce!r} does not exist: {nearest(many.reduce, REDUCERS)}"
        raise OptionError(msg)
    if many.by is None:
        if many.reduce != "sum":
            msg = f"--reduce {many.reduce} says how groups are made one; give --by as well"
            raise OptionError(msg)
        return None
    if many.by.isdecimal() and int(many.by) > 0:
        return int(many.by)
    check(many.by, modality)
    return many.by


def _grouped(result: Result, by: str | int | None, reduce: str) -> Result:
    if by is None or not isinstance(result, Attribution):
        return result
    try:
        return result.group(by, reduce)
    except SaliscopeError as error:
        return error


def _fill(
    plans: Sequence[Plan], inputs: Sequence[Input], store: Store, shard: Shard,
    workers: Team | None, *, quiet: bool,
) -> None:  # fmt: skip
    """Compute one shard, and tell what to do when all are done."""
    for number, wanted in enumerate(plans):
        with Meter(not quiet, None) as meter:
            done = fill(wanted, inputs, store, meter, shard, workers, number)
        lost = f", {len(done.failed):,} of which have no result" if done.failed else ""
        say(
            f"{wanted.method.name}: shard {shard.number} of {shard.of} is done "
            f"({done.chunks:,} chunks, {done.inputs:,} inputs{lost})",
            quiet=quiet,
        )
    say(
        f"{store.folder}: when all {shard.of} shards are done, give the same command without "
        "--shard for the table and the report",
        quiet=quiet,
    )
