"""Where the models lie that come along with Fenestra, each a checkpoint folder with the name of its language."""

from pathlib import Path

from fenestra.model.errors import InputError
from fenestra.model.suggest import did_you_mean

DEFAULT = "english"
"""The bundled model that is meant where none is named."""


def bundled_models() -> dict[str, Path]:
    """The folders of all bundled models by name, in the order of the alphabet; empty if there are none.

    They lie in ``data/models`` beside the room: of the source tree, or of the installed package.
    """
    place = Path(__file__).resolve().parents[1] / "data" / "models"
    found = sorted(manifest.parent for manifest in place.glob("*/manifest.json"))
    return {folder.name: folder for folder in found}


def bundled_model(name: str = DEFAULT) -> Path:
    """The folder of a bundled model.

    Raises:
        InputError: none of that name is bundled; names those that are.
    """
    found = bundled_models()
    if not found:
        raise InputError("this installation bundles no model; name a checkpoint folder")
    if name not in found:
        raise InputError(f"no model {name!r} is bundled, but {', '.join(found)}{did_you_mean(name, found)}")
    return found[name]


def bundled_name(folder: Path) -> str:
    """The name of the bundled model that a folder is; empty if it is none."""
    there = folder.resolve()
    return next((name for name, place in bundled_models().items() if place == there), "")


def find_model(given: str) -> Path:
    """The checkpoint folder that someone means by a path or by the name of a bundled model.

    Whatever is written as a path (``./russian``) is one, and so is a bare name that a folder or a link in the current
    folder has: no folder of one's own is passed over. Any other bare name is that of a bundled model. Whether the
    folder holds a checkpoint is not looked at.

    Raises:
        InputError: a bare name is neither; names the bundled models.
    """
    path = Path(given)
    if given != path.name or path.is_dir() or path.is_symlink():
        return path
    try:
        return bundled_model(given)
    except InputError as error:
        raise InputError(f"{given!r} is not a folder here, and {error}") from None
