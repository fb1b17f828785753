"""Which files are to be tagged, in what format each is, and where the result of each goes."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from fenestra.cli.bulk.texts import Unit
from fenestra.cli.output import STDIN, is_same_folder
from fenestra.cli.places import as_path, files_below, is_remote, why, without_query
from fenestra.model.errors import DataError, InputError
from fenestra.training.compressed import stem

InputFormat = Literal["text", "conll", "jsonl", "parquet"]
OutputFormat = Literal["jsonl", "conll"]

_FORMATS: dict[str, InputFormat] = {
    ".conll": "conll", ".iob": "conll", ".bio": "conll", ".jsonl": "jsonl", ".parquet": "parquet",
}  # fmt: skip


class Input(NamedTuple):
    """A file, or standard input."""

    name: str
    """Its path, as it was given or found; ``-`` is standard input."""
    form: InputFormat
    place: str
    """Its path inside the folder that was given; its name, where the file itself was."""
    remote_size: int | None = None
    """In bytes, of a file behind a URL; None of all others."""

    @property
    def size(self) -> int:
        """In bytes, as it is on disk; 0 where that is not known."""
        if self.remote_size is not None:
            return self.remote_size
        if self.name == STDIN:
            return 0
        try:
            status = Path(self.name).stat()
        except (OSError, ValueError):
            return 0
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    @property
    def is_stream(self) -> bool:
        """Whether it can be read once only: standard input, a pipe or a device."""
        if self.remote_size is not None:
            return False
        return self.name == STDIN or (Path(self.name).exists() and not Path(self.name).is_file())


def guess_format(name: str) -> InputFormat:
    """Tell a file's format from its name; how it is compressed does not matter.

    >>> guess_format("dev.conll.gz"), guess_format("notes.txt")
    ('conll', 'text')
    """
    return _FORMATS.get(stem(name).suffix.lower(), "text")


def find_inputs(names: Sequence[str], form: InputFormat | None, *, but: Path | None = None) -> list[Input]:
    """The files that are named, and those in folders that are, in the order of their names.

    What a name begins with a dot is passed by, and so is what is no plain file. Links to files are followed, those to
    folders are not.

    Args:
        names: of files and folders, or their URLs; ``-`` is standard input.
        form: of all of them; by each file's name when omitted.
        but: a folder whose files are no input.

    Raises:
        DataError: a folder cannot be read, or there is nothing in it.
    """
    found = []
    for name in names:
        path = as_path(name)
        if is_remote(path):
            found += _remote_inputs(name, path, form, but)
            continue
        name = str(path) if "://" in name else name
        places = list(_files_in(name, but)) if name != STDIN and Path(name).is_dir() else None
        if places == []:
            raise DataError(f"{name}: a folder without files to tag")
        for file, place in places or [(name, Path(name).name)]:
            found.append(Input(file, form or guess_format(file), place))
    return found


def check_unit(unit: Unit, inputs: Iterable[Input]) -> None:
    """Refuse a unit of text for files that say themselves what belongs together.

    Raises:
        InputError: names one of them.
    """
    parts = {
        "conll": "-DOCSTART- lines part documents", "jsonl": "each line is a text", "parquet": "each row is a text",
    }  # fmt: skip
    for name, form, *_ in inputs:
        if unit != "line" and form in parts:
            raise InputError(
                f"--unit {unit}: {name} is read as {form}, where {parts[form]}; expected --input-format text"
            )


def output_paths(inputs: Sequence[Input], folder: Path, form: OutputFormat) -> list[Path]:
    """Where in a folder the result of each input goes: its own place, with the name of the format behind.

    >>> output_paths([Input("in/a/b.txt.gz", "text", "a/b.txt.gz")], Path("out"), "jsonl")[0].as_posix()
    'out/a/b.txt.jsonl'

    Raises:
        InputError: two results would have the same name, or an input has none.
    """
    taken: dict[str, str] = {}
    paths: list[Path] = []
    for name, _, place, _ in inputs:
        if name == STDIN:
            raise InputError("--output-folder: standard input has no name to write to; expected -o OUT")
        plain = stem(place)
        path = folder / (plain if plain.suffix == f".{form}" else plain.with_name(f"{plain.name}.{form}"))
        other = taken.setdefault(os.path.normcase(str(path)), name)
        if len(taken) == len(paths):
            what = f"{name} is given twice" if other == name else f"{other} and {name} would both be written to it"
            raise InputError(f"{path}: {what}")
        paths.append(path)
    return paths


def _remote_inputs(name: str, path: Path, form: InputFormat | None, but: Path | None) -> list[Input]:
    """The file that a URL names, or those in the folder that it does.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    try:
        if path.is_file():
            place = Path(without_query(name)).name
            return [Input(name, form or guess_format(place), place, path.stat().st_size)]
        files = files_below(path)
    except Exception as error:  # each file system's package has errors of its own, such as of missing credentials
        raise DataError(f"{without_query(name)}: cannot be read ({why(error)})") from error
    inside = None if but is None else f"{str(but).rstrip('/')}/"
    found = [
        Input(str(file), form or guess_format(file.name), place, size)
        for file, place, size in files
        if inside is None or not str(file).startswith(inside)
    ]
    if not found:
        raise DataError(f"{name}: no file, and a folder without files to tag")
    return found


def _files_in(folder: str, but: Path | None) -> Iterator[tuple[str, str]]:
    """The plain files in a folder and the folders in it: their paths, and their paths inside it."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not (but and is_same_folder(but, Path(where, name)))
        )
        for name in sorted(names):
            path = os.path.join(where, name)  # noqa: PTH118 - Path would take "./" off a name that is shown
            leads_nowhere = not os.path.exists(path)  # noqa: PTH110 - a link, of which is told when it is read
            if not name.startswith(".") and (leads_nowhere or os.path.isfile(path)):  # noqa: PTH113
                yield path, os.path.relpath(path, folder)
