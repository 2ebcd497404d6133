"""Which elements the training sets cover: a network has weights for every element, trained or not."""

from __future__ import annotations

from ase.data import chemical_symbols

# The elements up to plutonium that the Materials Project's trajectories (MPtrj) lack; Alexandria and OMat24 lack
# the same. A network has random, untrained embeddings for them and answers without a word.
UNTRAINED_IN_MPTRJ = frozenset({"Po", "At", "Rn", "Fr", "Ra"})
ELEMENTS_OF_MPTRJ = frozenset(chemical_symbols[1:95]) - UNTRAINED_IN_MPTRJ
