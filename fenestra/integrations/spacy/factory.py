"""What ``nlp.add_pipe("fenestra", config={…})`` calls."""

from spacy.language import Language

from fenestra.integrations.spacy.component import Annotation, EntityPipe
from fenestra.integrations.spacy.source import Source


@Language.factory(
    "fenestra",
    assigns=["doc.ents", "doc.spans", "span._.score"],
    default_config={
        "model": None,
        "labels": None,
        "label_map": {},
        "min_score": 0.0,
        "annotate_ents": True,
        "overwrite": False,
        "spans_key": None,
        "device": "cpu",
        "threads": 1,
        "cache_mb": None,
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_entity_pipe(
    nlp: Language,
    name: str,
    model: str | None,
    labels: list[str] | None,
    label_map: dict[str, str | None],
    min_score: float,
    annotate_ents: bool,
    overwrite: bool,
    spans_key: str | None,
    device: str,
    threads: int,
    cache_mb: float | None,
) -> EntityPipe:
    """Make the component, as ``nlp.add_pipe("fenestra", config={…})`` asks for it.

    Args:
        nlp: the pipeline.
        name: of the component in it.
        model: a bundled model or a checkpoint folder; the bundled model of the pipeline's language, unless given.
        labels: the model's labels to keep; all unless given.
        label_map: new names of labels, such as ``{"PER": "PERSON"}``; null drops what has that label.
        min_score: entities below are dropped; 0 to 1.
        annotate_ents: whether entities go to ``doc.ents``.
        overwrite: whether what is in ``doc.ents`` already makes room, or stays.
        spans_key: key of ``doc.spans`` where all entities go, too.
        device: ``cpu``, ``cuda`` …, as of :meth:`Tagger.load`.
        threads: of the CPU in each process.
        cache_mb: as of :meth:`Tagger.load`.

    Raises:
        InputError: a value is out of range.
    """
    annotation = Annotation(
        labels=labels, label_map=label_map, min_score=min_score, annotate_ents=annotate_ents, overwrite=overwrite,
        spans_key=spans_key,
    )  # fmt: skip
    options = {"device": device, "threads": threads, "cache_mb": cache_mb}
    return EntityPipe(name, Source(model, nlp.lang, options), annotation)
