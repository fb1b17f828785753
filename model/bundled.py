"""Where the English model lies that comes along with Fenestra."""

from pathlib import Path

from model.errors import InputError


def bundled_model() -> Path:
    """Find the bundled model: inside the installed package, else in the source tree.

    Raises:
        InputError: it is in neither place.
    """
    here = Path(__file__).resolve().parent
    for place in (here / "english", here.parent / "data" / "models" / "english"):
        if place.is_dir():
            return place
    raise InputError("this installation bundles no model; name a checkpoint folder")
