"""FASTA and text files: read strictly, and refused with file, line and reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope import Input, InputError, read_fasta, read_texts
from saliscope.api.inputs import read_records

names = st.text("abcXYZ019_.|-", min_size=1, max_size=10)
sequences = st.text("ACDEFGHIKLMNPQRSTVWY*-", min_size=1, max_size=90)
records = st.lists(st.tuples(names, sequences), min_size=1, max_size=5, unique_by=lambda r: r[0])


@given(records, st.integers(1, 40), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_fasta_is_read_as_it_was_written(
    tmp_path: Path, wanted: list[tuple[str, str]], width: int, end: str, bom: bool, blank: bool
) -> None:
    lines = []
    for name, sequence in wanted:
        lines.append(f">{name} described \u00fcber all")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
        lines += ["", "; a comment"] if blank else []
    path = tmp_path / "a.fasta"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + end.join(lines).encode() + end.encode())
    assert list(read_fasta(path)) == [Input(n, s) for n, s in wanted]
    assert list(read_records(path, "protein")) == list(read_fasta(path))


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), min_size=1))
def test_texts_are_lines_with_their_numbers(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\n\n".join(lines).encode())
    got = list(read_texts(path))
    assert [g.raw for g in got] == lines
    assert [g.name for g in got] == [f"line {2 * i + 1}" for i in range(len(lines))]
    assert list(read_records(path, "text")) == got


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "holds no record"),
    "blank": (b"\n \n\n", "holds no record"),
    "comments only": (b"; one\n; two\n", "holds no record"),
    "no header": (b"MVHLT\n>a\nMV\n", "line 1: sequence without a header"),
    "empty header": (b">a\nMV\n> \nMV\n", "line 3: the header is empty"),
    "empty record": (b">a\n>b\nMV\n", "line 1: record 'a' has no sequence"),
    "empty last record": (b">a\nMV\n>b\n", "line 3: record 'b' has no sequence"),
    "duplicate names": (
        b">a x\nMV\n>b\nMV\n>a y\nML\n",
        "line 5: the name 'a' stands already at line 1",
    ),
    "UTF-16": (">a\nMV\n".encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (">a\nMV\n".encode("utf-16-le"), "null bytes"),
    "big-endian UTF-16": (b"\xfe\xff" + ">a\nMV\n".encode("utf-16-be"), "UTF-16"),
    "latin 1": (b">a\nMV\n>b\xe4\nMV\n", "line 3: is not UTF-8 (byte 0xe4 at column 3)"),
    "null bytes": (b">a\nMV\x00L\n", "line 2: holds null bytes"),
    "binary": (bytes(range(250, 0, -1)) * 3, "is not UTF-8"),
    "png": (b"\x89PNG\r\n\x1a\n\x00\x00", "is not UTF-8"),
    "gzip": (gzip.compress(b">a\nMV\n", mtime=0), "is compressed"),
    "zip": (b"PK\x03\x04\x14\x00", "is compressed"),
    "old line ends": (b">a\rMVHLT\r>b\rMV\r", "has no sequence"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "broken.fasta"
    content, words = BROKEN[name]
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_fasta(path))
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert "\r" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["empty", "blank", "UTF-16", "null bytes", "latin 1", "gzip", "png"]
)
def test_broken_texts_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "broken.txt"
    path.write_bytes(BROKEN[name][0])
    with pytest.raises(InputError) as caught:
        list(read_texts(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "none.fa", "no such file")):
        for read in (read_fasta, read_texts):
            with pytest.raises(InputError, match=words):
                list(read(path))
    with pytest.raises(InputError, match="FASTA, text, pictures"):
        read_records(tmp_path / "a.csv", "tensor")


def test_records_before_a_broken_one_are_given_first(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_bytes(b">a\nMV\n>b\nML\n>a\nMV\n")
    stream = read_fasta(path)
    assert next(stream) == Input("a", "MV")


def test_names_are_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text("><script>alert(1)</script>\nMV\n>{{7*7}}\nMV\n", encoding="utf-8")
    assert [r.name for r in read_fasta(path)] == ["<script>alert(1)</script>", "{{7*7}}"]
