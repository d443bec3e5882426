"""gnomAD's sites VCF of all generations, and dbSNP's."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.coding.edit import Allele
from saliscope.variants.population.load import load_population
from saliscope.variants.population.record import Counts
from variants.population.population_data import GNOMAD, needs_data

REAL = {
    "hail_sample.gnomad.exomes.r2.1.1.sites.chr1.vcf.gz": (100, "v2.1.1 exomes", "GRCh37", 8, 69),
    "v2.1_exomes_chr1_PCSK9_55505599-55516888.vcf.bgz": (293, "v2.1 exomes", "GRCh37", 8, 44),
    "v4.0_exomes_chr1_PCSK9_55039893-55039951.vcf.gz": (101, "v4.0 exomes", "GRCh38", 9, 45),
    "v4.0_genomes_chr1_PCSK9.vcf": (22, "v4.0 genomes", "GRCh38", 10, 0),
}


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_sites(name: str) -> None:
    rows, source, build, groups, failed = REAL[name]
    found = load_population(GNOMAD / "vcf" / name)
    assert (found.source, found.build) == (f"gnomAD {source} sites VCF", build)
    assert (len(found.variants), len(found.groups)) == (rows, groups)
    assert sum(bool(v.filters) for v in found.variants.values()) == failed
    with (
        gzip.open(GNOMAD / "vcf" / name, "rt")
        if name[-2:] == "gz"
        else (GNOMAD / "vcf" / name).open() as lines
    ):
        raw = [line.split("\t") for line in lines if not line.startswith("#")]
    for variant, row in zip(found.variants.values(), raw, strict=True):
        info = dict(part.split("=", 1) for part in row[7].split(";") if "=" in part)
        assert str(variant.total.ac) == info["AC"]
        assert str(variant.groups["nfe"].an) == info["AN_nfe"]
        assert str(variant.groups["afr"].homozygotes) == info["nhomalt_afr"]
        assert sum(g.ac or 0 for g in variant.groups.values()) == variant.total.ac
        assert sum(s.ac or 0 for s in variant.sexes.values()) == variant.total.ac
        assert (row[6] == "PASS") == (variant.filters == ())


@needs_data
def test_exomes_have_no_amish_and_a_record_without_calls_keeps_its_zeros() -> None:
    found = load_population(GNOMAD / "vcf" / "hail_sample.gnomad.exomes.r2.1.1.sites.chr1.vcf.gz")
    first = found.variants[Allele("1", 12198, "G", "C")]
    assert (first.total, first.total.frequency) == (Counts(0, 0, 0), None)
    assert (first.filters, first.flags, first.ids) == (("AC0",), ("segdup",), ("rs62635282",))
    exomes = load_population(GNOMAD / "vcf" / "v4.0_exomes_chr1_PCSK9_55039893-55039951.vcf.gz")
    assert "ami" not in exomes.groups


def _vcf(keys: str, rows: list[str], *, contigs: str = "", other: str = "") -> str:
    """Return a VCF; `keys` lists INFO keys as "AC:A AN:1"."""
    lines = ["##fileformat=VCFv4.2"]
    if other:
        lines.append(other)
    for key in keys.split():
        name, number = key.split(":")
        kind = "Flag" if number == "0" else "String" if number in {".", "s"} else "Integer"
        number = "1" if number == "s" else number
        lines.append(f'##INFO=<ID={name},Number={number},Type={kind},Description="x">')
    filters = ("RF", "AC0", "EXOMES_FILTERED", "GENOMES_FILTERED", "BOTH_FILTERED")
    lines += [f'##FILTER=<ID={name},Description="x">' for name in filters]
    if contigs:
        lines.append(contigs)
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    return "\n".join([*lines, *(row.replace(" ", "\t") for row in rows)]) + "\n"


def _written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


V20 = "AC:A AN:1 Hom:A AC_AFR:A AN_AFR:1 Hom_AFR:A AC_NFE:A AN_NFE:1 Hom_NFE:A AC_Male:A AN_Male:1"
V20 += " AC_Female:A AN_Female:1 Hom_Male:A Hom_Female:A"
ROW20 = (
    "1 15274 rs62636497 A T,G,<DEL> . RF AC=7,3,1;AN=40;Hom=1,0,0;AC_AFR=2,3,1;AN_AFR=10;"
    "Hom_AFR=0,0,0;AC_NFE=5,0,0;AN_NFE=30;Hom_NFE=1,0,0;AC_Male=4,1,0;AN_Male=20;AC_Female=3,2,1;"
    "AN_Female=20;Hom_Male=1,0,0;Hom_Female=0,0,0"
)


def test_version_2_0_upper_case_and_several_alleles(tmp_path: Path) -> None:
    path = _written(tmp_path, "synthetic_gnomad.exomes.r2.0.2.sites.vcf", _vcf(V20, [ROW20]))
    with pytest.raises(InputError, match="names no genome build"):
        load_population(path)
    found = load_population(path, build="hg19")
    assert (found.source, found.build) == ("gnomAD v2.0.2 exomes sites VCF", "GRCh37")
    assert list(found.variants) == [Allele("1", 15274, "A", "T"), Allele("1", 15274, "A", "G")]
    one, two = found.variants.values()
    assert one.groups == {"afr": Counts(2, 10, 0), "nfe": Counts(5, 30, 1)}
    assert two.groups == {"afr": Counts(3, 10, 0), "nfe": Counts(0, 30, 0)}
    assert two.sexes == {"XX": Counts(2, 20, 0), "XY": Counts(1, 20, 0)}
    assert (one.filters, one.row) == (("RF",), 1)
    assert "1 alleles without a sequence" in " ".join(found.notes)


V31 = "AC:A AN:1 nhomalt:A popmax:. AC_ami:A AN_ami:1 nhomalt_ami:A AC_nfe:A AN_nfe:1 nhomalt_nfe:A"
V31 += " AC_XX:A AN_XX:1 nhomalt_XX:A AC_XY:A AN_XY:1 nhomalt_XY:A nonpar:0 AC_nfe_XX:A"
V31 += " AN_nfe_XX:1 nhomalt_nfe_XX:A AC_nfe_XY:A AN_nfe_XY:1 nhomalt_nfe_XY:A"
ROWX = (
    "chrX 15564175 . T C . PASS AC=7;AN=150;nhomalt=4;AC_ami=0;AN_ami=10;nhomalt_ami=0;AC_nfe=7;"
    "AN_nfe=140;nhomalt_nfe=4;AC_XX=4;AN_XX=100;nhomalt_XX=1;AC_XY=3;AN_XY=50;nhomalt_XY=3;nonpar;"
    "AC_nfe_XX=4;AN_nfe_XX=90;nhomalt_nfe_XX=1;AC_nfe_XY=3;AN_nfe_XY=50;nhomalt_nfe_XY=3"
)


def test_version_3_and_haploid_x(tmp_path: Path) -> None:
    path = _written(tmp_path, "synthetic_gnomad.genomes.v3.1.1.sites.vcf", _vcf(V31, [ROWX]))
    found = load_population(path)
    assert (found.source, found.build) == ("gnomAD v3.1.1 genomes sites VCF", "GRCh38")
    one = found.variants[Allele("X", 15564175, "T", "C")]
    assert one.sexes == {"XX": Counts(4, 100, 1), "XY": Counts(3, 50, 0, 3)}
    assert one.total == Counts(7, 150, 1, 3)
    assert one.groups["nfe"] == Counts(7, 140, 1, 3)
    assert one.total.carriers == 3 + 3  # three XX people and three XY people


JOINT = "AC_joint:A AN_joint:1 nhomalt_joint:A AC_joint_afr:A AN_joint_afr:1 nhomalt_joint_afr:A"
JOINT += " AC_joint_nfe:A AN_joint_nfe:1 nhomalt_joint_nfe:A AC_exomes:A AN_exomes:1 AC_genomes:A"
JOINT += " AN_genomes:1 exomes_filters:. genomes_filters:. not_called_in_exomes:0"
JOINT += " not_called_in_genomes:0 AC_joint_XX:A AN_joint_XX:1 AC_joint_XY:A AN_joint_XY:1"


def _joint(position: int, status: str, rest: str) -> str:
    return (
        f"chr1 {position} . G C . {status} AC_joint=9;AN_joint=1000;nhomalt_joint=1;AC_joint_afr=8;"
        "AN_joint_afr=300;nhomalt_joint_afr=1;AC_joint_nfe=1;AN_joint_nfe=700;nhomalt_joint_nfe=0;"
        f"AC_joint_XX=4;AN_joint_XX=500;AC_joint_XY=5;AN_joint_XY=500;{rest}"
    )


def test_version_4_1_joint_and_its_filters_by_data_type(tmp_path: Path) -> None:
    rows = [
        _joint(10, "PASS", "AC_exomes=1;AN_exomes=600;AC_genomes=8;AN_genomes=400"),
        _joint(
            20, "EXOMES_FILTERED",
            "AC_exomes=1;AN_exomes=600;AC_genomes=8;AN_genomes=400;exomes_filters=AC0,AS_VQSR",
        ),
        _joint(
            30, "GENOMES_FILTERED",
            "AC_genomes=9;AN_genomes=400;genomes_filters=AS_VQSR;not_called_in_exomes",
        ),
        _joint(
            40, "BOTH_FILTERED",
            "AC_exomes=1;AN_exomes=600;AC_genomes=8;AN_genomes=400;exomes_filters=AC0;"
            "genomes_filters=AC0",
        ),
        _joint(50, "EXOMES_FILTERED", "AC_exomes=9;AN_exomes=600"),
    ]  # fmt: skip
    path = _written(tmp_path, "synthetic_gnomad.joint.v4.1.sites.chr1.vcf", _vcf(JOINT, rows))
    found = load_population(path)
    assert found.source == "gnomAD v4.1 joint sites VCF"
    assert found.build == "GRCh38"
    told = [(v.allele.position, v.filters, v.flags) for v in found.variants.values()]
    assert told == [
        (10, (), ()),
        (20, (), ("exomes: AC0", "exomes: AS_VQSR")),
        (30, ("genomes: AS_VQSR",), ()),
        (40, ("exomes: AC0", "genomes: AC0"), ()),
        (50, ("exomes: not passed",), ()),
    ]
    one = found.variants[Allele("1", 10, "G", "C")]
    assert one.total == Counts(9, 1000, 1)
    assert one.groups["afr"] == Counts(8, 300, 1)
    assert one.sexes["XX"].ac == 4


def test_region_without_an_index_and_with_one(tmp_path: Path) -> None:
    import pysam

    rows = [_joint(p, "PASS", "AC_exomes=9;AN_exomes=600") for p in (10, 20, 30)]
    text = _vcf(JOINT, rows, contigs="##contig=<ID=chr1,length=248956422>")
    path = _written(tmp_path, "synthetic_gnomad.joint.v4.1.sites.vcf", text)
    wanted = [Allele("1", 20, "G", "C")]
    assert list(load_population(path, region=("1", 11, 29)).variants) == wanted
    pysam.tabix_compress(str(path), f"{path}.gz")
    pysam.tabix_index(f"{path}.gz", preset="vcf")
    packed = load_population(f"{path}.gz", region=("1", 11, 29))
    assert list(packed.variants) == wanted
    assert packed.build == "GRCh38"
    with pytest.raises(InputError, match="is on GRCh38 by its header, but the build given is"):
        load_population(path, build="GRCh37")
    with pytest.raises(OptionError, match="build 'hg17' is not known"):
        load_population(path, build="hg17")


FAULTS = {
    "sum": (
        ROW20.replace("AC_NFE=5,0,0", "AC_NFE=4,0,0"),
        "row 1: the allele counts of the groups",
    ),
    "missing": (ROW20.replace("AN=40;", ""), "row 1: AC or AN is missing"),
    "list": (ROW20.replace("AC=7,3,1", "AC=7,3"), "is not a whole number for each allele"),
    "negative": (ROW20.replace("AC=7,3,1", "AC=-7,3,1"), "allele count of total is negative"),
    "twice": (f"{ROW20}\n{ROW20}", "1-15274-A-T stands there twice"),
    "cut": (ROW20[:12], "columns where the header has 8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_sites_get_one_line(fault: str, tmp_path: Path) -> None:
    row, told = FAULTS[fault]
    path = _written(tmp_path, "synthetic.vcf", _vcf(V20, row.split("\n")))
    with pytest.raises(InputError) as caught:
        load_population(path, build="GRCh37")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_vcf_are_named(tmp_path: Path) -> None:
    people = _vcf("AC:A AN:1", []).replace("INFO\n", "INFO\tFORMAT\tme\tyou\n")
    with pytest.raises(InputError, match="holds 2 people: give it as a panel"):
        load_population(_written(tmp_path, "panel.vcf", people))
    with pytest.raises(InputError, match="neither of gnomAD nor of dbSNP"):
        load_population(_written(tmp_path, "sites.vcf", _vcf("AC:A AN:1", [])))
    cut = tmp_path / "cut.vcf.gz"
    cut.write_bytes(gzip.compress(_vcf(V20, [ROW20] * 50).encode(), mtime=0)[:-20])
    with pytest.raises(InputError, match="is cut off or damaged"):
        load_population(cut)


NEW = "RS:1 dbSNPBuildID:1 SSR:1 GENEINFO:s VC:s FREQ:. COMMON:0 INT:0 GNO:0"
ROW_NEW = (
    "NC_000001.10 8036291 rs72854879 T C . . RS=72854879;dbSNPBuildID=130;SSR=0;"
    "GENEINFO=PARK7:11315;VC=SNV;INT;GNO;FREQ=1000Genomes:0.9391,0.0609|GnomAD:0.9427,0.0573|"
    "TOPMED:0.939,0.061|dbGaP_PopFreq:0.9689,0.03107;COMMON"
)
ROW_TWO = "NC_000001.10 8036300 rs80357446 C A,T . . RS=1;FREQ=1000Genomes:0.99,.,0.01"
ROW_SAME = "NC_000001.10 8036291 rs5 T C . . RS=5"
OLD = "RS:1 RSPOS:1 CAF:. TOPMED:. COMMON:1"
ROW_OLD = "1 8036291 rs72854879 T C . . RS=72854879;RSPOS=8036291;CAF=0.9413,0.05871;COMMON=1;"
ROW_OLD += "TOPMED=0.914829,0.0851707"


def test_dbsnp_new_and_old(tmp_path: Path) -> None:
    head = "##dbSNP_BUILD_ID=155"
    text = _vcf(NEW, [ROW_NEW, ROW_SAME, ROW_TWO], other=head)
    found = load_population(_written(tmp_path, "synthetic_dbsnp.vcf", text))
    assert (found.source, found.build, found.groups) == ("dbSNP build 155", "GRCh37", ())
    assert "dbSNP has no ancestry groups" in found.notes
    one = found.variants[Allele("1", 8036291, "T", "C")]
    assert one.frequencies == {
        "1000Genomes": 0.0609, "GnomAD": 0.0573, "TOPMED": 0.061, "dbGaP_PopFreq": 0.03107,
    }  # fmt: skip
    assert one.ids == ("rs72854879", "rs5")
    assert (one.total, one.total.carriers, found.counted) == (Counts(None, None), None, False)
    assert found.variants[Allele("1", 8036300, "C", "A")].frequencies == {}
    assert found.variants[Allele("1", 8036300, "C", "T")].frequencies == {"1000Genomes": 0.01}
    text = _vcf(OLD, [ROW_OLD], other="##reference=GRCh37.p13")
    old = load_population(_written(tmp_path, "synthetic_old.vcf", text))
    assert old.build == "GRCh37"
    assert old.variants[Allele("1", 8036291, "T", "C")].frequencies == {
        "1000Genomes": 0.05871, "TOPMED": 0.0851707,
    }  # fmt: skip


def test_dbsnp_faults(tmp_path: Path) -> None:
    text = _vcf(OLD, [ROW_OLD])
    with pytest.raises(InputError, match="names no genome build"):
        load_population(_written(tmp_path, "synthetic_a.vcf", text))
    text = _vcf(OLD, [ROW_OLD.replace("0.05871", "5.8")], other="##reference=GRCh38")
    with pytest.raises(InputError, match=r"row 1: the frequency of 1000Genomes is '5\.8'"):
        load_population(_written(tmp_path, "synthetic_b.vcf", text))
    text = _vcf(NEW, [ROW_NEW], other="##reference=GRCh38")
    with pytest.raises(InputError, match=r"NC_000001\.10 is on GRCh37, the file on GRCh38"):
        load_population(_written(tmp_path, "synthetic_c.vcf", text))
