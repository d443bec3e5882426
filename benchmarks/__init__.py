"""Saliscope beside its peers and beside the bare passes that a method needs."""
