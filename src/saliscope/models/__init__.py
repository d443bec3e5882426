"""Adapters: what turns a user's model into a `saliscope.core.model.Model`."""
