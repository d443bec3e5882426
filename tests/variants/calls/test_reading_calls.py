"""Reading genotypes: packings, names of contigs, kinds of alleles, kinds of genotypes."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError
from saliscope.variants.calls.builds import LENGTHS, declared_build
from saliscope.variants.calls.genotypes import read_cell
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.coding.edit import Allele, Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript
from variants.calls.calls_data import TOY, vcf

# TOY: ATG AAA CGT at 101 to 109, GGT GAA TAA at 201 to 209.
ROWS = ["105 A G 0|1 0|0#id=rs1", "150 A G 1|1 0|1", "202 G A,C 1|2 0|1#id=rs2;rs3"]
HEAD = ["##contig=<ID=chr6,length=170805979>"]


def bgzip(plain, target):
    with pysam.BGZFile(str(target), "wb") as file:
        file.write(plain.read_bytes())
    return target


def as_bcf(plain, target):
    pysam.set_verbosity(0)
    text = plain.read_text().replace(
        "#CHROM", '##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">\n#CHROM'
    )
    plain.write_text(text)
    with (
        pysam.VariantFile(str(plain)) as source,
        pysam.VariantFile(str(target), "wb", header=source.header) as out,
    ):
        for record in source:
            out.write(record)
    return target


@pytest.mark.parametrize("packing", ["plain", "gzip", "bgzip", "tbi", "csi", "bcf", "crlf"])
def test_packings(tmp_path, packing):
    plain = vcf(tmp_path / "a.vcf", ROWS)
    file = plain
    if packing == "gzip":
        file = tmp_path / "a.vcf.gz"
        file.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    elif packing == "crlf":
        file.write_bytes(plain.read_bytes().replace(b"\n", b"\r\n"))
    elif packing == "bcf":
        file = as_bcf(plain, tmp_path / "a.bcf")
    elif packing != "plain":
        file = bgzip(plain, tmp_path / "a.vcf.gz")
        if packing != "bgzip":
            pysam.tabix_index(str(file), preset="vcf", csi=packing == "csi", force=True)
    before = sorted(p.name for p in tmp_path.iterdir())
    calls = read_calls(file, TOY)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert calls.samples == ("ann", "ben")
    assert calls.genotypes.tolist() == [[[0, 1], [1, 2]], [[0, 0], [0, 1]]]
    assert calls.genotypes.dtype == np.int8
    assert [row.ids for row in calls.rows] == [("rs1",), ("rs2", "rs3")]
    assert calls.outside == (None if packing in {"tbi", "csi"} else 1)
    indexed = "row at 6:105" if packing in {"tbi", "csi"} else "row 1 (6:105)"
    assert calls.rows[0].where == indexed
    assert (calls.build, calls.build_source) == ("GRCh38", "contig lengths")


def test_a_folder_that_cannot_be_written(tmp_path):
    folder = tmp_path / "input"
    folder.mkdir()
    file = bgzip(vcf(tmp_path / "a.vcf", ROWS), folder / "a.vcf.gz")
    folder.chmod(0o555)
    try:
        assert len(read_calls(file, TOY).rows) == 2
    finally:
        folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["6", "chr6", "NC_000006.12"])
def test_contig_names_declared_or_not(tmp_path, name):
    rows = [f"{row}{' ' if '#' in row else '#'}chrom={name}" for row in ROWS]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows, header=[]), TOY, build="hg38")
    assert [row.chrom for row in calls.rows] == ["6", "6"]
    assert (calls.build, calls.build_source) == ("GRCh38", "given")
    if name.startswith("NC"):
        header = [f"##contig=<ID={name}>"]
        calls = read_calls(vcf(tmp_path / "a.vcf", rows, header=header), TOY)
        assert (calls.build, calls.build_source) == ("GRCh38", "contig names")


def test_reference_bases_tell_the_build(tmp_path):
    rows = ["105 A G 0|1 0|0", "202 G A 0|0 0|1", "204 G A 0|0 0|1"]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows, header=[]), TOY)
    assert (calls.build, calls.build_source) == ("GRCh38", "REF of 3 bases")
    calls = read_calls(vcf(tmp_path / "a.vcf", rows[:1], header=[]), replace(TOY, build=None))
    assert (calls.build, calls.build_source) == (None, "")


def test_lengths_of_the_builds_differ_for_every_chromosome():
    for name, length in LENGTHS["GRCh37"].items():
        assert declared_build({name: length}) == ("GRCh37", "contig lengths")
        assert declared_build({f"chr{name}": LENGTHS["GRCh38"][name]})[0] == "GRCh38"
    assert LENGTHS["GRCh37"]["6"] == 171115067
    assert LENGTHS["GRCh38"]["6"] == 170805979
    assert declared_build({"6": 171115067, "7": 159345973}) is None
    assert declared_build({}, ["##contig=<ID=6,assembly=b37>"]) == ("GRCh37", "##contig")


def test_unsorted_rows_are_sorted(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", ROWS[::-1]), TOY)
    assert [(row.position, row.number) for row in calls.rows] == [(105, 3), (202, 1)]
    assert calls.genotypes[0].tolist() == [[0, 1], [1, 2]]


def test_samples_in_the_order_asked_for(tmp_path):
    file = vcf(tmp_path / "a.vcf", ROWS)
    calls = read_calls(file, TOY, samples=["ben", "ann"])
    assert calls.samples == ("ben", "ann")
    assert calls.genotypes[:, 1].tolist() == [[0, 1], [1, 2]]
    assert read_calls(file, TOY, samples=["ben"]).genotypes.shape == (1, 2, 2)


def test_kinds_of_alleles(tmp_path):
    rows = [
        "103 GA G 1|0 0|0",  # takes 104 out
        "104 A *,C 1|2 0|0",  # spanned by it; no change by itself
        "107 C <DEL> 0|1 0|0#info=END=205",
        "109 TC T 0|1 0|0",  # of 109 and 110 the second, in the intron
        "108 GT G 0|0 1|0",
        "109 T TAA 0|0 0|1",  # between exon and intron
        "200 C CAA 0|0 1|0",  # between intron and exon
        "202 G ]chr7:5]G 0|0 0|1",
        "203 T N 0|0 0|1",
        "208 AAC A 0|0 1|0",  # over the edge of the gene
        "209 A AG 0|0 1|0",  # behind the stop codon
    ]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows), TOY)
    seen = {
        (row.position, a.text): a.edit or a.reason for row in calls.rows for a in row.alternatives
    }
    edge = "inserts at the edge of an exon, where splicing decides what it does"
    assert seen == {
        (103, "G"): Edit(3, 4, ""),
        (104, "*"): "",
        (104, "C"): Edit(3, 4, "C"),
        (107, "<DEL>"): "symbolic allele",
        (108, "G"): Edit(8, 9, ""),
        (109, "TAA"): edge,
        (200, "CAA"): edge,
        (202, "]chr7:5]G"): "breakend",
        (203, "N"): "letters other than A, C, G, T",
        (208, "A"): "reaches over the edge of an exon",
    }
    assert calls.outside == 2
    assert calls.edits(calls.genotypes[0, :, 0]) == (Edit(3, 4, ""),)
    assert calls.edits(calls.genotypes[0, :, 1]) == (Edit(3, 4, "C"),)
    assert calls.unassessed.any(axis=1).tolist() == [[False, True], [True, True]]


def test_kinds_of_genotypes(tmp_path):
    rows = ["102 T C 0/1 .", "104 A C .|1 ./.", "105 A C 1/1 0/.", "106 A C 0|1 .|."]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows), TOY)
    assert calls.genotypes.tolist() == [
        [[0, 1], [-1, 1], [1, 1], [0, 1]],
        [[-1, -1], [-1, -1], [0, -1], [-1, -1]],
    ]
    assert calls.phased[0].tolist() == [False, True, False, True]
    assert calls.heterozygous.tolist() == [[True, True, False, True], [False, False, True, False]]


def test_one_copy(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", ["104 A C 1 0", "105 A C . 1"]), TOY)
    assert calls.genotypes.tolist() == [[[1, -2], [-1, -2]], [[0, -2], [1, -2]]]


def test_one_copy_of_x_written_as_two(tmp_path):
    x = replace(TOY, chrom="X")
    rows = ["104 A C 1/1 0/1#chrom=X", "105 A C 0 0/0#chrom=X"]
    file = vcf(tmp_path / "a.vcf", rows, header=[])
    calls = read_calls(file, x, build="GRCh38")
    assert calls.genotypes.tolist() == [[[1, -2], [0, -2]], [[0, 1], [0, 0]]]
    rows = ["104 A C 0/1 0/1#chrom=X", "105 A C 0 0/0#chrom=X"]
    with pytest.raises(InputError, match="sample 'ann' has one copy here and two in"):
        read_calls(vcf(file, rows, header=[]), x, build="GRCh38")


def test_phase_sets(tmp_path):
    rows = [
        "102 T C 0|1:7 0|1:.",
        "104 A C 0|1:7 0|1",
        "105 A C 1|0:9 0/1:9",
    ]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows, keys="GT:PS"), TOY)
    assert calls.sets[0, 0] == calls.sets[0, 1] > 1
    assert calls.sets[0, 2] > 1
    assert calls.sets[0, 2] != calls.sets[0, 0]
    assert calls.sets[1].tolist() == [1, 1, 0]


def test_rows_split_from_one(tmp_path):
    """Some tools write the other allele of a split row as missing; it is not."""
    calls = read_calls(vcf(tmp_path / "a.vcf", ["105 A C 1/. .", "105 A G ./1 1/."]), TOY)
    assert calls.genotypes.tolist() == [[[1, 0], [0, 1]], [[0, -1], [1, -1]]]


def test_rows_without_alternatives(tmp_path):
    """A genome VCF: a base called as the reference, or not called, is known."""
    rows = ["105 A . 0/0 ./.", "201 G <NON_REF> 0/0 ./.#info=END=206"]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows), TOY)
    assert [row.coding for row in calls.rows] == ["c.5", "c.10_15"]
    assert calls.unknown[1].all()
    assert not calls.unknown[0].any()


def test_substitutions_of_several_bases_are_the_same_haplotype(tmp_path):
    one = read_calls(vcf(tmp_path / "a.vcf", ["104 AAA GAC 0|1 0|1"]), TOY)
    two = read_calls(vcf(tmp_path / "b.vcf", ["104 A G 0|1 0|0", "106 A C 0|1 0|0"]), TOY)
    edits = (Edit(3, 4, "G"), Edit(5, 6, "C"))
    assert one.edits(one.genotypes[0, :, 1]) == two.edits(two.genotypes[0, :, 1]) == edits
    assert haplotype(TOY, edits).label == "p.Lys2Asp"
    both = read_calls(
        vcf(tmp_path / "c.vcf", ["104 AAA GAC 0|1 0|0", "104 A G 0|1 0|0"]), TOY
    )  # one change told twice
    assert both.edits([1, 1]) == edits


def test_alleles_that_exclude_each_other(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", ["104 AAA A 0|1 0|0", "105 A C 0|1 1|0"]), TOY)
    with pytest.raises(InputError, match=r"row 1 \(6:104\) and row 2 \(6:105\) are called on one"):
        calls.edits([1, 1])


def test_notes(tmp_path):
    far = vcf(tmp_path / "a.vcf", ["5000 A G 0|1 0|0"])
    (note,) = read_calls(far, TOY).notes
    assert "lie between 5000 and 5000, not around the coding sequence of T.1 (101 to 209)" in note
    low = vcf(tmp_path / "b.vcf", ["105 A G 0|1 0|0#filter=LowQual;q10", "900 A C 0|0 0|0"])
    (note,) = read_calls(low, TOY).notes
    assert note == "1 rows did not pass filters (LowQual, q10); their calls are used"


def test_ids_by_allele_and_edit(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", ROWS), TOY)
    assert calls.ids[Allele("6", 105, "A", "G")] == ("rs1",)
    assert calls.ids[Edit(4, 5, "G")] == ("rs1",)
    assert calls.ids[Edit(10, 11, "A")] == ("rs2",)
    assert calls.ids[Edit(10, 11, "C")] == ("rs3",)


def test_the_genome_differs_from_the_transcript(tmp_path):
    """Every copy starts as the genome: Lys AAA in the transcript, AAG in the genome."""
    more = ["102 T C 0|0 0|0", "104 A C 0|0 0|0", "202 G A 0|0 0|0"]
    file = vcf(tmp_path / "a.vcf", ["106 G A,C 0|1 2|.", *more])
    calls = read_calls(file, TOY)
    assert dict(calls.transcript.genome) == {5: "G"}
    at = next(i for i, row in enumerate(calls.rows) if row.position == 106)
    codes = np.zeros(4, dtype=np.int8)
    found = {}
    for code in (0, 1, 2, -1):
        codes[at] = code
        found[code] = calls.edits(codes)
    silent = (Edit(5, 6, "G"),)
    assert found == {0: silent, 1: (), 2: (Edit(5, 6, "C"),), -1: silent}
    assert haplotype(TOY, silent).label == "reference"
    assert "differ at c.6 (A in the transcript, G in GRCh38)" in calls.notes[0]
    # A second file is read with what the first one showed, and needs no row there.
    other = read_calls(vcf(tmp_path / "b.vcf", ["102 T C 0|1 0|0"]), calls.transcript)
    assert other.edits([0]) == silent
    assert other.edits([1]) == (Edit(1, 2, "C"), *silent)
    # A deletion over the place leaves nothing of it.
    gone = read_calls(vcf(tmp_path / "c.vcf", ["105 AGC A 0|1 0|0"]), calls.transcript)
    assert gone.edits([1]) == (Edit(5, 7, ""),)


def test_a_difference_that_changes_the_residue_is_refused(tmp_path):
    more = ["102 T C 0|0 0|0", "104 A C 0|0 0|0", "202 G A 0|0 0|0"]
    file = vcf(tmp_path / "a.vcf", ["105 G A 0|1 0|1", *more])
    with pytest.raises(InputError, match=r"row 1 \(6:105\): REF G disagrees with T.1"):
        read_calls(file, TOY)


def test_copies_of_an_allele(tmp_path):
    rows = ["104 A C 0/1 1/1", "105 A G 0/1 ./1"]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows), TOY)
    carried, called = calls.copies([Edit(3, 4, "C")])
    assert (carried.tolist(), called.tolist()) == ([1, 2], [2, 2])
    carried, called = calls.copies([Edit(4, 5, "G")])
    assert (carried.tolist(), called.tolist()) == ([1, 1], [2, 1])


alleles = st.one_of(st.just("."), st.integers(0, 127).map(str))


@given(alleles, alleles, st.sampled_from("/|"), st.sampled_from(["", ".", "12"]))
def test_cells_of_two_copies(first, second, mark, phase_set):
    one, two, found = read_cell(f"{first}{mark}{second}", phase_set)
    assert [one, two] == [-1 if a == "." else int(a) for a in (first, second)]
    assert found == (None if mark == "/" else phase_set.replace(".", ""))


@given(st.text(alphabet="0123456789./|x-", max_size=8))
def test_cells_of_any_text(text):
    """A cell is read into what it says, or refused; nothing else happens."""
    parts = text.replace("/", "|").removeprefix("|").split("|")
    fine = all(part == "." or (part.isdigit() and int(part) < 128) for part in parts)
    if text and (len(parts) > 2 or not fine):
        with pytest.raises(ValueError, match="GT"):
            read_cell(text)
        return
    first, second, phase = read_cell(text)
    assert -1 <= first <= 127
    assert -3 <= second <= 127
    assert phase in {None, ""}


@given(st.data())
def test_any_genotypes_give_the_sequences_they_say(tmp_path, data):
    """Random rows on a minus strand, against bases put into the genome by hand."""
    minus = Transcript(
        "T.2", "T", "ATGAAACGTGGTGAATAA", "GRCh38", "6", -1, ((200, 209), (100, 109))
    )
    genome = dict(zip(range(101, 110), "TTATTCACC", strict=True))
    genome |= dict(zip(range(201, 210), "ACGTTTCAT", strict=True))
    places = data.draw(st.lists(st.sampled_from(sorted(genome)), min_size=1, unique=True))
    rows, expected = [], [dict(genome), dict(genome)]
    for place in places:
        alts = data.draw(
            st.lists(st.sampled_from("ACGT".replace(genome[place], "")), min_size=1, unique=True)
        )
        codes = [data.draw(st.integers(0, len(alts))) for _ in range(2)]
        rows.append(f"{place} {genome[place]} {','.join(alts)} {codes[0]}|{codes[1]}")
        for copy, code in zip(expected, codes, strict=True):
            copy[place] = [genome[place], *alts][code]
    file = vcf(tmp_path / "a.vcf", rows, samples=["ann"])
    calls = read_calls(file, minus)
    other = dict(zip("ACGT", "TGCA", strict=True))
    for i, copy in enumerate(expected):
        edits = calls.edits(calls.genotypes[0, :, i])
        cds = "".join(other[copy[place]] for place in sorted(copy, reverse=True))
        assert haplotype(minus, edits).cds == cds


@pytest.mark.parametrize("binary", [False, True])
def test_an_index_without_rows_of_the_gene(tmp_path, binary):
    """The file was made for all chromosomes, and this person has no row in the gene."""
    header = [*HEAD, "##contig=<ID=chr7,length=159345973>"]
    plain = vcf(tmp_path / "a.vcf", ["105 A G 0|1 0|0#chrom=chr7"], header=header)
    if binary:
        file = as_bcf(plain, tmp_path / "a.bcf")
        pysam.tabix_index(str(file), preset="bcf", csi=True, force=True)
    else:
        file = bgzip(plain, tmp_path / "a.vcf.gz")
        pysam.tabix_index(str(file), preset="vcf", force=True)
    calls = read_calls(file, TOY)
    assert (calls.rows, calls.outside) == ((), None)
    assert calls.genotypes.shape == (2, 0, 2)


def test_an_index_of_another_file(tmp_path):
    rows = [f"{place} A G 0|1 0|1" for place in range(300, 9000)]
    long = bgzip(vcf(tmp_path / "b.vcf", rows), tmp_path / "b.vcf.gz")
    pysam.tabix_index(str(long), preset="vcf", force=True)
    file = bgzip(vcf(tmp_path / "a.vcf", ROWS), tmp_path / "a.vcf.gz")
    shutil.copy(f"{long}.tbi", f"{file}.tbi")
    assert len(read_calls(file, TOY).rows) == 2
