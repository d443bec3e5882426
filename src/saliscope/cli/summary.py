"""What a command leaves and tells when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saliscope.cli.common import say, warn
from saliscope.cli.writing import (
    REPORTED,
    Failure,
    Verdict,
    Written,
    lost,
    write_failures,
    write_report,
    write_verdicts,
)
from saliscope.core.attribution import Attribution
from saliscope.core.errors import ToleranceError
from saliscope.core.record import Record

__all__ = ["brief", "doubts", "end", "finish", "heading", "judged", "summarize"]

_LINES = 6


def finish(folder: Path, written: Written, title: str, inputs: int, *, quiet: bool) -> None:
    """Write the report and the table of failures beside the results, and tell what was found.

    Raises
    ------
    SystemExit
        Where records failed: 1 if only a tolerance was missed, else 2.
    """
    title = heading(title, written, inputs)
    write_report(folder / "report.html", written.shown, title)
    write_verdicts(folder, written.verdicts)
    write_failures(folder, written.failures)
    summarize(folder, written, inputs, quiet=quiet)
    end(folder, written.failures, inputs)


def end(folder: Path, failures: Sequence[Failure], inputs: int) -> None:
    """Tell of records that failed, and leave with a code that says so.

    Raises
    ------
    SystemExit
        Where records failed: 1 if only a tolerance was missed, else 2.
    """
    if failures:
        warn(lost(failures, inputs, folder / "failures.csv"))
        only_strict = all(isinstance(f.error, ToleranceError) for f in failures)
        raise SystemExit(1 if only_strict else 2)


def heading(title: str, written: Written, inputs: int) -> str:
    """Return the report's title, which also says what the report leaves out."""
    left = []
    if inputs > REPORTED:
        left.append(f"the first {REPORTED} of {inputs:,} records")
    lost = len({f.record for f in written.failures})
    if lost:
        left.append(f"{lost:,} of {inputs:,} records failed")
    return f"{title} ({'; '.join(left)})" if left else title


def brief(record: Record, wide: int = 10) -> str:
    """Return one line: what was explained, and the units that count most."""
    text = record.name if len(record.name) < 24 else record.name[:21] + "..."
    if not isinstance(record, Attribution):
        shape = ", ".join(f"{n} {d}s" for d, n in record.values.sizes.items())
        return f"  {text:<{wide}} {record.meta.get('method', record.kind)}: {shape}"
    target = record.target if isinstance(record.target, str) else f"{len(record.target)} targets"
    return f"  {text:<{wide}} {record.method:<20} {target}: {record.strongest(3, 2)}"


def doubts(records: Sequence[Record]) -> list[str]:
    """Return the findings of many records in lines, each finding once, the worst first."""
    findings: dict[str, tuple[str, int]] = {}
    for record in records:
        for item in record.health:
            severity, count = findings.get(item.sentence, (item.severity, 0))
            findings[item.sentence] = (severity, count + 1)
    order = {"error": 0, "warning": 1}
    ranked = sorted(findings.items(), key=lambda f: (order.get(f[1][0], 2), -f[1][1]))
    lines = [f"{kind}: {text} ({n} of {len(records)} results)" for text, (kind, n) in ranked[:3]]
    if len(ranked) > 3:
        lines.append(f"... and {len(ranked) - 3} more kinds of findings, in the report")
    return lines


def judged(verdicts: Sequence[Verdict]) -> list[str]:
    """Return verdicts in lines: the sentence of one, how many there are of several.

    Examples
    --------
    >>> judged([Verdict("a", "masking", "passes", "Passes: ..."),
    ...         Verdict("b", "masking", "fails", "Fails: ...")])
    ['verdicts on masking: passes 1, fails 1']
    """
    if len(verdicts) == 1:
        return [f"verdict: {verdicts[0].sentence}"]
    lines = []
    for method in dict.fromkeys(each.method for each in verdicts):
        words = [each.verdict for each in verdicts if each.method == method]
        counts = ", ".join(f"{word} {words.count(word):,}" for word in dict.fromkeys(words))
        lines.append(f"verdicts on {method}: {counts}")
    return lines


def summarize(folder: Path, written: Written, inputs: int, *, quiet: bool) -> None:
    """Tell what was found in the first records, what to doubt, and where the files are.

    One result is told in full; of several, each in a line, and every finding once.
    """
    if quiet:
        return
    if written.count == 1:
        say(repr(written.shown[0]))
    else:
        first = written.shown[:_LINES]
        wide = max(len(r.name[:24]) for r in first) if first else 0
        for record in first:
            say(brief(record, wide))
        if written.count > len(first):
            say(f"  ... and {written.count - len(first):,} more")
        for line in doubts(written.shown):
            say(line)
    for line in judged(written.verdicts):
        say(line)
    say(f"{written.table}  ({written.count:,} results)")
    more = f"  (the first {REPORTED} of {inputs:,} records)" if inputs > REPORTED else ""
    say(f"{folder / 'report.html'}{more}")
