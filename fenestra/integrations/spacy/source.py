"""Where the model of a component is: a name, a folder, or its files in memory."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fenestra.integrations.taggers import model_of, packed_tagger, shared_tagger
from fenestra.model import checkpoint
from fenestra.model.bundled import find_model
from fenestra.model.errors import InputError
from fenestra.model.tagger import Tagger

Files = Mapping[str, bytes]
"""Of a checkpoint, by name."""


@dataclass
class Source:
    """A model that is opened when it is asked for the first time. It is pickled without what was opened."""

    where: str | Path | Files | None
    """None is the bundled model of the language."""
    language: str
    options: Mapping[str, Any]
    """Of :meth:`Tagger.load`."""
    _tagger: Tagger | None = None

    def at(self, where: Path | Files) -> "Source":
        """The same with a model from somewhere else."""
        return replace(self, where=where.absolute() if isinstance(where, Path) else where, _tagger=None)

    def folder(self) -> Path:
        """The checkpoint folder of a model that is not in memory.

        Raises:
            InputError: there is no such model.
        """
        return find_model(str(model_of(self.language) if self.where is None else self.where)).absolute()

    def is_there(self) -> bool:
        """Whether there is a model, damaged or not."""
        try:
            return isinstance(self.where, Mapping) or self.folder().is_dir()
        except InputError:
            return False

    def tagger(self) -> Tagger:
        """The tagger, which pipelines of the same folder and options share.

        Raises:
            InputError: there is no such model, or an option is out of range.
            CheckpointError: it is damaged.
        """
        if self._tagger is None:
            if isinstance(self.where, Mapping):
                self._tagger = packed_tagger(self.where, **self.options)
            else:
                self._tagger = shared_tagger(self.folder(), **self.options)
        return self._tagger

    def labels(self) -> tuple[str, ...]:
        """Of the model; raises as :meth:`tagger`."""
        return self.tagger().labels if isinstance(self.where, Mapping) else checkpoint.read_config(self.folder()).labels

    def pack(self) -> Files:
        """All files of the model; raises as :meth:`tagger`."""
        return self.where if isinstance(self.where, Mapping) else checkpoint.pack(self.folder())

    def save(self, target: Path) -> None:
        """Write the model to a folder, in the place of what is there; raises as :meth:`tagger`.

        Raises:
            StorageError: the disk refused.
        """
        if not isinstance(self.where, Mapping) and target.exists() and target.samefile(self.folder()):
            return
        files = self.pack()
        shutil.rmtree(target, ignore_errors=True)
        checkpoint.unpack(files, target)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tagger": None}
