"""Audits on text: what a score does when nothing changes but who is spoken of."""
