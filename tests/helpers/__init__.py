"""Toy models, slow references and snapshots that the tests share."""
