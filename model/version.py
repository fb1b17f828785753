"""Which release of Fenestra this is."""

from importlib import metadata

DISTRIBUTION = "fenestra-ner"
"""Its name on package indexes; ``fenestra`` there is another project."""


def version() -> str:
    """The installed version; ``0`` of a source tree that is only on the path."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0"
