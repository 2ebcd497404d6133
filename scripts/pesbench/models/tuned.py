"""Fine-tuned models: the files of a family's checkpoint, and beside them what they are; loaded like any other model.

>>> from pesbench.models.tuned import load_tuned
>>> model = load_tuned("results/fine_tuning/chgnet-0.3.0/files/readout-10-mlearn-Si-0")
>>> atoms.calc = model.calculator
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pesbench.errors import CheckpointError
from pesbench.models.loaders import Model, load_model
from pesbench.models.registry import Checkpoint, ModelEntry, load_registry

#: What stands beside the files of a fine-tuned model.
DESCRIPTION = "tuned.json"


def describe(entry: ModelEntry, files: Mapping[str, bytes], parameters: int, **told: Any) -> str:
    """Return the description of a fine-tuned model, as JSON.

    Parameters
    ----------
    entry
        Of the model that it was made from.
    files
        Content of its checkpoint's files.
    told
        What else to say: how it was trained, what its energies count from.
    """
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    model = {"model": entry.name, "model_sha256": entry.checkpoint_sha256}
    return json.dumps({**model, "files": hashes, "parameters": parameters, **told}, indent=1) + "\n"


def load_tuned(folder: str | Path, device: str = "cpu", registry: str | Path = "data/models.yaml") -> Model:
    """Load a fine-tuned model through the loader of its family, in the family's environment.

    Its energies count from where those of the model that it was made from do; add ``energy_reference_ev`` of
    `DESCRIPTION` (eV an atom of each element) for those of the labels.

    Raises
    ------
    CheckpointError
        Naming the file and the mend: there is no such model, or a file is not the one that was written.
    """
    folder = Path(folder)
    try:
        told = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        base, files, parameters = str(told["model"]), dict(told["files"]), int(told["parameters"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / DESCRIPTION}: no fine-tuned model to read ({error})") from error
    entry = load_registry(Path(registry)).get(base)
    checkpoint = Checkpoint(where="fetched", path=str(folder), files=files)
    listing = hashlib.sha256(checkpoint.listing().encode()).hexdigest()
    tuned = replace(
        entry,
        name=f"{base} ({folder.name})",
        checkpoint=replace(checkpoint, sha256=listing),
        parameters=parameters,
    )
    return load_model(tuned, device)
