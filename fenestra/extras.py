"""What is said where what an extra brings is not installed."""


def missing(extra: str, error: ModuleNotFoundError) -> ImportError:
    """The error to raise instead, which says how to install what is missing; raises a module of ours again."""
    if (error.name or "").startswith("fenestra"):
        raise error
    way = f"pip install 'fenestra-ner[{extra}]', or in the source folder: pip install '.[{extra}]'"
    return ImportError(f"{error.name} is not installed: {way}", name=error.name)
