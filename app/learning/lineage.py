"""Which checkpoint serves under the name of a model: that of the settings, or one that was learnt from corrections."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from fenestra.app.learning.files import locked, model_folder, read_json, write_json
from fenestra.app.settings import NamedFolder, Settings
from fenestra.model.errors import StorageError

KEPT = 5
"""Learnt models that are kept to go back to, the one that serves among them."""
LOCK = "lock"
"""In the folder of all that is learnt: held while a model learns, or goes back."""
_FILE, _MODELS = "serves.json", "models"


class Lineage:
    """The models that one of the settings became, the last of which serves."""

    def __init__(self, root: Path, name: str) -> None:
        self.folder = model_folder(root, name)
        self.models = self.folder / _MODELS

    def folders(self) -> list[Path]:
        """Of the learnt models, the one that serves last; none if that of the settings does."""
        names = read_json(self.folder / _FILE)
        known = names if isinstance(names, list) else []
        return [self.models / Path(str(name)).name for name in known]

    def push(self, model: Path) -> None:
        """Let a new model serve."""
        self.restore([*self.folders(), model][-KEPT:])

    def pop(self) -> None:
        """Let the one before serve."""
        self.restore(self.folders()[:-1])

    def restore(self, folders: Sequence[Path]) -> None:
        """Let the last of some learnt models serve, and the one of the settings if there is none."""
        write_json(self.folder / _FILE, [folder.name for folder in folders])

    def clean(self) -> None:
        """Remove models that nothing goes back to, and what a process that was killed left."""
        kept = {folder.name for folder in self.folders()}
        for path in self.models.glob("*"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def configured(settings: Settings, name: str) -> Path:
    """The folder that the settings name for a model."""
    return next(served.folder for served in settings.served if served.name == name)


def serving(settings: Settings, name: str) -> NamedFolder:
    """The folder that serves under a name."""
    learnt = Lineage(settings.learn_folder, name).folders() if settings.learn_folder else []
    return NamedFolder(name, learnt[-1] if learnt else configured(settings, name))


def is_learning(settings: Settings) -> bool:
    """Whether a process of the service is about to change what serves."""
    if settings.learn_folder is None or not (settings.learn_folder / LOCK).exists():
        return False
    try:
        with locked(settings.learn_folder / LOCK, wait=False, shared=True) as free:
            return not free
    except StorageError:
        return False
