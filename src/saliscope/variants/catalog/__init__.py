"""The catalog: what a model says of every protein of one gene in a population, kept by content."""
