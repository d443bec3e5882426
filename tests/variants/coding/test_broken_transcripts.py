"""Files of transcripts that must be refused, each in one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError
from saliscope.variants.coding.edit import reverse_complement
from saliscope.variants.coding.files import read_transcript
from variants.coding.coding_data import CDS, genome
from variants.coding.transcript_texts import (
    FASTA,
    LFS,
    STYLES,
    TRANSLATION,
    genbank,
    gencode,
    refseq,
    write,
)


def broken(text: str, *swaps: tuple[str, str]) -> str:
    for old, new in swaps:
        assert old in text, old
        text = text.replace(old, new)
    return text


PHASE = ("\t2\tID=cds-1", "\t1\tID=cds-1")
ANNOTATIONS = [
    ("empty", "", FASTA, "t.gff: is empty"),
    ("pointer", LFS, FASTA, "t.gff: is a Git LFS pointer"),
    ("text", "hello\n", FASTA, "is not GFF3, GTF, GenBank or FASTA"),
    ("no CDS", "\n".join(refseq(1).splitlines()[:4]), FASTA, "has no CDS rows"),
    ("columns", refseq(1) + "6\tx\tCDS\n", FASTA, "line 8: has 3 columns"),
    ("start", broken(refseq(1), ("\t11\t17\t", "\tx\t17\t")), FASTA, "line 5: 'x' to '17'"),
    ("order", broken(refseq(1), ("\t11\t17\t", "\t17\t11\t")), FASTA, "line 5: '17' to '11'"),
    ("strand", broken(refseq(1), ("\t+\t0\t", "\t.\t0\t")), FASTA, "strand of a CDS row"),
    ("phase word", broken(refseq(1), ("\t2\tID", "\t5\tID")), FASTA, "phase of a CDS row is '5'"),
    ("phase", broken(refseq(1), PHASE), FASTA,
     "line 6: the phase is 1, and the rows before give 2"),
    ("first phase", broken(refseq(1), ("\t11\t17\t.\t+\t0", "\t11\t17\t.\t+\t1")), FASTA,
     "line 5: the phase is 1, and the coding sequence of NM_000001.2 is incomplete"),
    ("lengths", broken(refseq(1), ("\t36\t41\t", "\t36\t38\t")), FASTA,
     "span 18 bases, and .* has 21; the CDS rows leave the stop codon out"),
    ("lengths 2", broken(refseq(1), ("\t36\t41\t", "\t36\t40\t")), FASTA,
     "span 20 bases, and .* has 21; give both of the same transcript version"),
    ("overlap", broken(refseq(1), ("\t23\t30\t", "\t17\t24\t")), FASTA, "ribosomal slippage"),
    ("strands", broken(refseq(1), ("23\t30\t.\t+", "23\t30\t.\t-")), FASTA, "several chromosomes"),
    ("partial", broken(refseq(1), ("tag=MANE Select", "partial=true")), FASTA,
     r"incomplete \(partial=true\)"),
    ("NF", broken(gencode(1), ("CCDS", "cds_start_NF")), FASTA, r"incomplete \(cds_start_NF\)"),
    ("slippage", broken(refseq(1), ("protein_id", "exception=ribosomal slippage;protein_id")),
     FASTA, "exception=ribosomal slippage"),
    ("except", broken(refseq(1), ("protein_id", "transl_except=(pos:1..3%2Caa:Sec);protein_id")),
     FASTA, r"transl_except=\(pos:1..3,aa:Sec\)"),
    ("no table", broken(refseq(1), ("protein_id", "transl_table=x;protein_id")), FASTA,
     "translation table 'x': is not a number"),
    ("table", broken(refseq(1), ("protein_id", "transl_table=99;protein_id")), FASTA,
     "translation table 99"),
    ("other version", refseq(1), f">NM_000001.1\n{CDS}\n", "holds NM_000001.1, which is not"),
    ("other", refseq(1), f">NM_000007.1\n{CDS}\n", r"no record NM_000001.2 \(it holds NM_000007.1"),
    ("several", refseq(1), f">a\n{CDS}\n>b\n{CDS}\n", "no record NM_000001.2"),
    ("twice", refseq(1), FASTA * 2, "line 3: the name 'NM_000001.2' stands there twice"),
    ("no header", refseq(1), f"{CDS}\n", "line 1: is not FASTA"),
    ("no sequence", refseq(1), ">NM_000001.2\n", "has no sequence"),
    ("sequence pointer", refseq(1), LFS, "cds.fa: is a Git LFS pointer"),
    ("genome of another build", refseq(1), f">6\n{genome(1)[3:]}{'A' * 9}\n", "start codon"),
    ("genome too short", refseq(1), f">6\n{genome(1)[:38]}\n", "ends before position 41"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "table", "sequence", "message"), ANNOTATIONS)
def test_broken_annotations(
    name: str, table: str, sequence: str, message: str, tmp_path: Path
) -> None:
    paths = write(tmp_path, t_gff=table, cds_fa=sequence)
    with pytest.raises(InputError, match=message) as error:
        read_transcript(paths[0], sequence=paths[1])
    assert "\n" not in str(error.value)


SEQUENCES = [
    ("", "is empty"),
    (LFS, "Git LFS pointer"),
    (">T.1\n\n", "has no sequence"),
    (f">T.1\n{CDS[:-1]}\n", "length 20 is not a multiple of three"),
    (f">T.1\n{CDS[:-3]}\n", "ends with TGC, not with a stop codon"),
    (f">T.1\n{CDS[3:]}\n", "starts with AAA, not with a start codon"),
    (f">T.1\nC{CDS[1:]}\n", "starts with CTG, not with a start codon"),
    (">T.1\nATGTGAAAATAA\n", "has a stop codon within, at codon 2 of 4"),
    (f">T.1\n{reverse_complement(CDS)}\n", "this is the wrong strand"),
    (f">T.1\n{CDS[:4]}N{CDS[5:]}\n", "'N' at base 5"),
    (f">T.1\n{CDS[:4]}-{CDS[5:]}\n", "'-' at base 5"),
    (">T.1\nMKRGGC*\n", "is a protein"),
    (">T.1\nMDGTRTSLDIEEYSDTEV\n", "is a protein"),
    (f">T.1\n{CDS.replace('T', 'U')}\n", "is RNA"),
    (f">a\n{CDS}\n>b\n{CDS}\n", "several records; choose one by name: a, b"),
]


@pytest.mark.parametrize(("text", "message"), SEQUENCES)
def test_broken_coding_sequences(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "cds.fa").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_transcript(tmp_path / "cds.fa")
    assert "\n" not in str(error.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_transcript(tmp_path / "no.gff3")
    with pytest.raises(InputError, match="is a folder"):
        read_transcript(tmp_path)
    for name, data, message in (
        ("utf16", f">T\n{CDS}".encode("utf-16"), "UTF-16"),
        ("zip", b"PK\x03\x04abc", "zip archive"),
        ("null", b">T\nATG\x00", "null bytes"),
        ("latin", b">T\xe9\nATG", "is not UTF-8"),
        ("cut", gzip.compress(FASTA.encode(), mtime=0)[:-9], "cut off or damaged"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_transcript(tmp_path / name)
    (tmp_path / "t.gff3").write_text(refseq(1))
    with pytest.raises(InputError, match="holds no sequence"):
        read_transcript(tmp_path / "t.gff3")


@given(st.text(st.sampled_from('\t\n#>=;"ACGTN+-.0159CDSgenID '), max_size=80))
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(text)
    coding = tmp_path_factory.getbasetemp() / "any_cds.fa"
    coding.write_text(FASTA)
    for sequence in (None, coding):
        with pytest.raises(InputError) as error:
            read_transcript(path, sequence=sequence)
        assert "\n" not in str(error.value)


VALID = (
    *(make(1) for make in STYLES.values()),
    genbank("4..24", f"ccc{CDS}gg", TRANSLATION),
    genbank("complement(join(35..41,22..29,11..16))", genome(-1), TRANSLATION, "NC_000006.11"),
)


@given(st.sampled_from(VALID), st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    tmp_path_factory, text: str, data: st.DataObject
) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        lost = data.draw(st.sampled_from([0, 1, 5, 40]))
        new = data.draw(st.text('\t\n=;"0189ACGTacgt.,()<>/+-x %', max_size=3))
        text = text[:place] + new + text[place + lost :]
    folder = tmp_path_factory.getbasetemp()
    (folder / "damaged").write_text(text)
    (folder / "damaged_genome.fa").write_text(f">6\n{genome(1)}\n")
    sequence = None if text.startswith("LOCUS") else folder / "damaged_genome.fa"
    message = ""
    try:
        found = read_transcript(folder / "damaged", sequence=sequence)
        assert len(found.cds) % 3 == 0
    except InputError as error:
        message = str(error)
    assert "\n" not in message
