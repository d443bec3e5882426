"""Attribution methods: one module each, discovered by `saliscope.core.registry`."""
