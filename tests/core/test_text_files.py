"""The one reader of text files: what it yields, however the file is packed, and what it refuses."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError
from saliscope.core.textfile import head_of, lines, text_of, unpacked

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
LETTERS = st.text(st.characters(exclude_characters="\r\n\0\ufeff", codec="utf-8"), max_size=8)


@given(st.lists(LETTERS, min_size=1), st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_lines_are_the_same_however_they_are_packed(
    tmp_path: Path, texts: list[str], marked: bool, packed: bool, end: str
) -> None:
    texts = [*texts, "last"]
    raw = (b"\xef\xbb\xbf" if marked else b"") + end.join(texts).encode()
    file = tmp_path / "a.txt"
    file.write_bytes(gzip.compress(raw, 1, mtime=0) if packed else raw)
    assert list(lines(file)) == list(enumerate(texts, 1))
    assert text_of(file) == "".join(f"{text}\n" for text in texts)
    assert head_of(file, 4) == raw[:4]


REFUSED = {
    "UTF-16": ("a\n".encode("utf-16"), ": is UTF-16 text; save it as UTF-8"),
    "big-endian": (b"\xfe\xff\x00a", ": is UTF-16 text; save it as UTF-8"),
    "UTF-16 without a mark": ("ab\n".encode("utf-16-le"), ", line 1: holds null bytes"),
    "zip": (b"PK\x03\x04rest", ": is compressed (a zip archive or a workbook); unpack it"),
    "bzip2": (bz2.compress(b"a\n"), ": is compressed (bzip2); unpack it first"),
    "xz": (lzma.compress(b"a\n"), ": is compressed (xz); unpack it first"),
    "zstd": (b"(\xb5/\xfd\x00", ": is compressed (zstd); unpack it first"),
    "pointer": (LFS, ": is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
    "latin 1": (b"a\nb\xe4\n", ", line 2: is not UTF-8 (byte 0xe4 at column 2); save"),
    "marked latin 1": (b"\xef\xbb\xbfb\xe4\n", ", line 1: is not UTF-8 (byte 0xe4 at column 2)"),
    "null": (b"a\n\0b\n", ", line 2: holds null bytes; this is not a text file"),
    "empty": (b"", ": is empty"),
    "blank": (b" \n\r\n", ": is empty"),
    "packed nothing": (gzip.compress(b"", mtime=0), ": is empty"),
    "cut": (
        gzip.compress(b"abc\n" * 99, mtime=0)[:-9],
        ": is cut off or damaged (its compression ends",
    ),
    "damaged": (gzip.compress(b"abc\n", mtime=0)[:12] + b"\xff" * 9, ": is cut off or damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_text_gets_one_line(tmp_path: Path, name: str) -> None:
    data, words = REFUSED[name]
    file = tmp_path / "a.txt"
    file.write_bytes(data)
    with pytest.raises(InputError) as caught:
        list(lines(file))
    assert str(caught.value).startswith(f"{file}{words}")
    assert "\n" not in str(caught.value)


def test_words_of_the_caller(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"a\n\xff\n")
    with pytest.raises(InputError, match="row 2: is not UTF-8"):
        list(lines(file, unit="row"))
    file.write_bytes(b"\n")
    with pytest.raises(InputError, match=r"a\.txt: holds no record$"):
        list(lines(file, empty="holds no record"))
    file.write_bytes(gzip.compress(b"a\n", mtime=0))
    with pytest.raises(InputError, match=r"is compressed \(gzip\); unpack it first"):
        list(lines(file, unpack=False))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: there is no such file$"):
        head_of(tmp_path / "none")
    with pytest.raises(InputError, match=r": is a folder; give a file$"):
        head_of(tmp_path)
    with pytest.raises(InputError, match=r": cannot be read \("):
        head_of(tmp_path / ("x" * 300))


def test_a_file_is_closed_when_reading_stops(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"a\nb\n")
    with unpacked(file) as inner:
        assert inner.readline() == b"a\n"
    assert inner.closed
