"""Tables that a user gives beside the genotypes: star alleles, measured values, features."""
