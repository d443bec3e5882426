"""The sequence engine: transcripts, edits of a coding sequence, haplotypes, names. No model."""
