"""Audits on pictures: places that decide for a class, whatever else is in the picture."""
