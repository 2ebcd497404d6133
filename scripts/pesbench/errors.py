"""Errors that a user can mend: one line that names the file, the key or the material, and the mend."""


class PesbenchError(Exception):
    """Base of every error whose message is meant for the user; shown without a traceback."""


class ConfigError(PesbenchError):
    """A key or value of config.yaml or data/models.yaml is wrong."""


class DiskFullError(PesbenchError):
    """A file could not be written for want of space."""


class UnwritableError(PesbenchError):
    """A file could not be written because the place or its permissions do not allow it."""


class RecordError(PesbenchError):
    """A file of records is corrupt, incomplete or mixes settings."""


class PrototypeError(PesbenchError):
    """A structure file contradicts itself."""


class CheckpointError(PesbenchError):
    """The weights are missing or are not the ones that the registry pins."""


class ConformanceError(PesbenchError):
    """A model does not give the numbers that the registry pins for it."""


class SourceError(PesbenchError):
    """A structure or reference could not be fetched."""


class ArchiveError(PesbenchError):
    """An archive of results is damaged or incomplete."""


class DftError(PesbenchError):
    """A DFT code is missing or cannot run."""
