"""Statistics of variant effects: plain functions of numbers, no model and no file."""
