"""Broken or hostile VCF files: one clear line with file and row, and nothing read in."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pysam
import pytest

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.calls.person import person
from saliscope.variants.calls.vcf import read_calls
from variants.calls.calls_data import TOY, vcf

SITE = "105 A G 0|1 0|0"
GRCH37 = "##contig=<ID=6,length=171115067>"


def refusal(file, **options) -> str:
    with pytest.raises((InputError, OptionError)) as caught:
        read_calls(file, TOY, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert message.startswith(str(file)) or isinstance(caught.value, OptionError)
    return message.replace(str(file), "FILE")


def write(path, data: bytes | str):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "FILE: is empty"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
            "FILE: is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`",
        ),
        ("chrom,pos\n6,105\n", "FILE: is not a VCF: its first line is 'chrom,pos'"),
        ("\ufeff##fileformat=VCFv4.2\n", "FILE: starts with a byte order mark"),
        ("##fileformat=VCFv4.2\n".encode("utf-16"), "FILE: is UTF-16 text; save it as UTF-8"),
        (b"PK\x03\x04rest", "FILE: is compressed (a zip archive"),
        ("##fileformat=VCFv4.2\n6\t105\t.\n", "FILE: its header has no line '#CHROM"),
        ("##fileformat=VCFv4.2\n#CHROM POS ID\n", "FILE: its line '#CHROM ...' has 1 columns"),
        (gzip.compress(b"", mtime=0), "FILE: is empty"),
        (
            gzip.compress(b"##fileformat=VCFv4.2\n" * 99, mtime=0)[:40],
            "FILE: is cut off or damaged",
        ),
    ],
)
def test_not_a_vcf(tmp_path, data, reason):
    assert refusal(write(tmp_path / "a.vcf", data)).startswith(reason)


def test_not_there(tmp_path):
    assert refusal(tmp_path / "b.vcf") == "FILE: there is no such file"
    assert refusal(tmp_path) == "FILE: is a folder; give a file"


def test_header_only(tmp_path):
    assert refusal(vcf(tmp_path / "a.vcf", [])).startswith("FILE: has a header and no row")


def test_sites_only(tmp_path):
    text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    file = write(tmp_path / "a.vcf", text + "6\t105\t.\tA\tG\t.\t.\t.\n")
    assert refusal(file) == "FILE: has no sample columns; give a VCF with genotypes"


def test_truncated(tmp_path):
    plain = vcf(tmp_path / "a.vcf", [SITE] + [f"{5000 + i} A G 0|1 0|0" for i in range(4000)])
    text = plain.read_bytes()
    packed = tmp_path / "a.vcf.gz"
    with pysam.BGZFile(str(packed), "wb") as file:
        file.write(text)
    data = packed.read_bytes()
    cut = "FILE: is cut off or damaged (its compression ends early); copy it again"
    for part in (data[: len(data) // 2], data[:-28]):
        assert refusal(write(tmp_path / "b.vcf.gz", part)) == cut
    damaged = data[:6000] + bytes(100) + data[6100:]
    assert refusal(write(tmp_path / "b.vcf.gz", damaged)) == cut
    ordinary = gzip.compress(text, 1, mtime=0)
    assert refusal(write(tmp_path / "c.vcf.gz", ordinary[: len(ordinary) // 2])) == cut
    assert refusal(write(tmp_path / "c.vcf.gz", ordinary[:-6])) == cut
    message = refusal(write(tmp_path / "d.vcf", text[: len(text) - 11]))
    assert message == (
        "FILE, row 4001 (line 4004): has 9 columns where the header has 11 and ends the file; "
        "is it cut off?"
    )


def test_htslib_keeps_quiet(tmp_path):
    """What is wrong is said once, by the error; the standard error stays empty."""
    file = vcf(tmp_path / "a.vcf", [SITE], header=[])
    write(file, file.read_text() + "6\t106\t.\tA\tG\t.\t.\t.\tGT\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from variants.calls.calls_data import TOY\n"
        "from saliscope.variants.calls.vcf import read_calls\n"
        "try: read_calls(sys.argv[1], TOY, build='GRCh38')\n"
        "except ValueError as error: print(error)\n"
    )
    tests = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), tests], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "row 2 (line 4): has 9 columns where the header has 11" in done.stdout


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "row 2 (line 5): is blank; remove the line"),
        ("chr6\t1x\t.\tA\tG\t.\t.\t.\tGT\t0|1\t0|1", "row 2 (line 5): POS '1x' is not a number"),
        ("chr6\t106\t.\tA\tG\t.\t.\t.\tGT\tfoo\t0|1", "row 2 (line 5): cannot be parsed"),
    ],
)
def test_rows_that_cannot_be_parsed(tmp_path, line, reason):
    file = vcf(tmp_path / "a.vcf", [SITE])
    write(file, file.read_text() + line + "\n" + "chr6\t107\t.\tC\tG\t.\t.\t.\tGT\t0|1\t0|1\n")
    assert refusal(file).startswith(f"FILE, {reason}")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["105 C G 0|1 0|0"], "row 1 (6:105): REF C disagrees with T.1, which has A there"),
        (["105 A G 0|1 0|0", "105 A G 0|0 0|1"], "row 2 (6:105): A to G stands in row 1 (6:105)"),
        (["105 A G,G 0|1 0|0"], "row 1 (6:105): A to G stands in row 1 (6:105) as well"),
        (["104 AA AG 0|1 0|0", "105 A G 0|0 0|1"], "row 2 (6:105): A to G stands in row 1"),
        (["105 A G 0|1 0|0", "105 C G 0|0 0|1"], "row 2 (6:105): its REF C contradicts REF A"),
        (["105 A G 0|1 1", "106 A G 0|1 0|1"], "row 1 (6:105): sample 'ben' has one copy here"),
        (["105 A G 0|1 0|0|1"], "row 1 (6:105), sample 'ben': GT '0|0|1' has 3 copies"),
        (["105 A G 0|2 0|0"], "row 1 (6:105), sample 'ann': GT '0|2' names an allele"),
        (["105 A G 12 12#keys=DP"], "row 1 (6:105): its FORMAT has no GT"),
    ],
)
def test_rows_refused(tmp_path, rows, reason):
    assert refusal(vcf(tmp_path / "a.vcf", rows)).startswith(f"FILE, {reason}")


def test_wrong_build(tmp_path):
    file = vcf(tmp_path / "a.vcf", [SITE], header=[GRCH37])
    assert refusal(file) == (
        "FILE: is on GRCh37 by its contig lengths, and T.1 is placed on GRCh38; "
        "give the transcript's positions on GRCh37"
    )
    file = vcf(tmp_path / "a.vcf", [SITE], header=["##reference=file:///ref/hs37d5.fa"])
    assert "is on GRCh37 by its ##reference" in refusal(file)
    file = vcf(tmp_path / "a.vcf", [SITE])
    assert "is on GRCh38 by its contig lengths, but the build given is GRCh37" in refusal(
        file, build="hg19"
    )
    wrong = [f"{place} {ref} G 0|1 0|0" for place, ref in ((102, "C"), (104, "T"), (106, "T"))]
    message = refusal(vcf(tmp_path / "a.vcf", wrong, header=[]))
    assert message.startswith("FILE: its REF disagrees with T.1 at 3 of 3 bases")
    few = vcf(tmp_path / "a.vcf", [SITE], header=[])
    assert refusal(few) == (
        "FILE: neither its header nor its 1 reference bases within T.1 tell the genome build; "
        "give the build (GRCh37 or GRCh38)"
    )
    assert "build 'hg17' is not known" in refusal(few, build="hg17")


def test_unknown_contig(tmp_path):
    file = vcf(tmp_path / "a.vcf", [SITE + "#chrom=7"], header=["##contig=<ID=7>"])
    assert refusal(file) == (
        "FILE: holds no contig that is chromosome 6 of T.1 (contigs: 7); "
        "give the file of that chromosome"
    )
    file = vcf(tmp_path / "a.vcf", [SITE + "#chrom=chr7"], header=[])
    assert "holds no contig that is chromosome 6 of T.1 (contigs: chr7)" in refusal(file)


def test_samples(tmp_path):
    file = vcf(tmp_path / "a.vcf", [SITE])
    assert refusal(file, samples=["anna"]) == ("FILE: has no sample 'anna'; did you mean 'ann'?")
    with pytest.raises(InputError, match="has no sample 'Ben'; did you mean 'ben'"):
        person(read_calls(file, TOY), "Ben")
    twice = vcf(tmp_path / "b.vcf", [SITE], samples=["ann", "ann"])
    assert refusal(twice) == "FILE: sample 'ann' stands twice in the header; rename one"


def test_script_tags_are_data(tmp_path):
    evil = "<script>alert(1)</script>"
    file = vcf(tmp_path / "a.vcf", [f"{SITE}#id={evil}"], samples=[evil, "b,c d"])
    calls = read_calls(file, TOY)
    assert calls.samples == (evil, "b,c d")
    assert calls.rows[0].ids == (evil,)


def test_an_allele_of_10000_characters(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", [f"105 A A{'C' * 10000} 0|1 0|0"]), TOY)
    (only,) = person(calls, "ann").configurations
    assert len(only.haplotypes[1].cds) == 10018
    reference = "ATGAAACGT" + "C" * 91 + "GGTGAATAA" + "C" * 10000
    calls = read_calls(vcf(tmp_path / "a.vcf", [f"101 {reference} A 0|1 0|0"]), TOY)
    (note,) = person(calls, "ann").not_assessed
    assert note == "6-101-ATGAAACG...(10,109 bases)-A: reaches over the edge of an exon"
    message = refusal(vcf(tmp_path / "a.vcf", [f"101 {'C' * 10000} A 0|1 0|0"]))
    assert "REF CCCCCCCC...(10,000 bases) disagrees" in message


def test_a_broken_index_is_not_needed(tmp_path):
    file = vcf(tmp_path / "a.vcf", [SITE])
    packed = tmp_path / "b.vcf.gz"
    with pysam.BGZFile(str(packed), "wb") as out:
        out.write(file.read_bytes())
    write(tmp_path / "b.vcf.gz.tbi", b"")
    assert len(read_calls(packed, TOY).rows) == 1
