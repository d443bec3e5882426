"""Calls: a gene's genotypes in a VCF, one person's haplotypes, and panels of many people."""
