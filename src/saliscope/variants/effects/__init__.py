"""What a model says of a person's variants: scores, ablation, interactions, paths, saliency."""
