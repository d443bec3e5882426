"""Keras 3: models read from files or given as objects, on PyTorch, TensorFlow or JAX.

A Keras model becomes a `torch.nn.Module` whose parts are the model's layers (`module.py`), so
that what is known of torch modules (quiet passes, hooks, attention, the embedding substituted in
place) holds for it unchanged. Files are read without running anything in them (`files.py`).
"""
