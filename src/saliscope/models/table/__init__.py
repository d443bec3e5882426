"""Tables: scikit-learn estimators, predict functions and torch modules on named columns."""
