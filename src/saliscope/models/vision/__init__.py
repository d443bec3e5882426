"""Adapters for models that see: image classifiers and handwriting recognizers."""
