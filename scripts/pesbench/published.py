"""What the papers call a model, and which column of their tables is its (standard library only)."""

from __future__ import annotations

from collections.abc import Mapping

#: Deng et al. 2025, surfaces (Supplementary Table I): our model -> (stem of the published column, printed name).
#: Its "M3GNet" is the original TensorFlow model there.
PAPER_MODELS: Mapping[str, tuple[str, str]] = {
    "m3gnet-mp-2021.2.8-efs": ("m3gnet", "M3GNet"),
    "chgnet-0.3.0": ("chgnet", "CHGNet"),
    "mace-mp-0-medium": ("mace", "MACE"),
}
