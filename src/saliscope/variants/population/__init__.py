"""Populations: counts of alleles per group, and phased panels of people."""
