"""What is said of texts that a model was not made for."""

from collections.abc import Mapping

from fenestra.model import checkpoint
from fenestra.model.bundled import bundled_models
from fenestra.model.text.scripts import script_of


def misread_note(misread: Mapping[str, int], code: str) -> str:
    """Warn of texts whose letters are mostly of other scripts than that of the model's language.

    Args:
        misread: script → how many texts.
        code: of the language, ISO 639-1.
    """
    script = max(misread, key=lambda name: misread[name])
    count = sum(misread.values())
    texts = "1 text is" if count == 1 else f"{count:,} texts are"
    better = "".join(f"; --model {name} reads {script}" for name in _readers(script))
    return f"{texts} mostly {script}, and this model reads {script_of(code)} script ({code}){better}"


def _readers(script: str) -> list[str]:
    """Bundled models of languages that are written so."""
    folders = bundled_models().items()
    return [name for name, folder in folders if script_of(checkpoint.read_extra(folder, "text.json")["code"]) == script]
