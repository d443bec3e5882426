"""Variants: what a model says of a person's own proteins, beside a population's."""
