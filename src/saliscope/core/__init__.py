"""The core: units, targets, perturbations, one engine, one result type; no framework."""
