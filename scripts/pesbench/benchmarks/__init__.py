"""One module a benchmark: ``Settings``, ``PROTOCOL``, ``run`` and ``score``.

A benchmark module is imported while the workflow is parsed (its ``Settings`` validate the entry in config.yaml), so it
imports everything heavier than the standard library inside its functions.
"""
