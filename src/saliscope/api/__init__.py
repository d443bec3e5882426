"""What users call: composes models, methods and results."""
