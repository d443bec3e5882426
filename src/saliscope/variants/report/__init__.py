"""The report of an interpretation: a page, its pictures, and the words that it may not use."""
