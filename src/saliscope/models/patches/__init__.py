"""Occlusion of pictures: of a row in which a window is covered, only what changes is computed."""
