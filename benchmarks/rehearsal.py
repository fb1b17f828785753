"""What a model forgets when it learns from few annotations of Label Studio: ``python -m benchmarks.rehearsal``.

Eight annotated sentences, four of them with a label that the bundled model does not have, and 0, 10, 50 and 200 other
texts of the same project. Said are F1 on the annotated sentences, agreement (F1) with the bundled model on 200 other
sentences, and seconds of processor time of the training.
"""

import tempfile
import time
from pathlib import Path

from fenestra.integrations.label_studio.examples import Row, collect
from fenestra.integrations.label_studio.label_config import read_label_config
from fenestra.integrations.label_studio.labels import LabelMap
from fenestra.integrations.label_studio.retraining import agreement, write_job
from fenestra.model.bundled import bundled_model
from fenestra.model.tagger import Tagger
from fenestra.training.config import load_config
from fenestra.training.data.corpus import read_corpus
from fenestra.training.data.inspection import Annotation, Text
from fenestra.training.job import train

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
UNSEEN = 200
CONFIG = (
    '<View><Labels name="label" toName="text"><Label value="Person"/><Label value="Organization"/>'
    '<Label value="Place"/><Label value="Vehicle"/></Labels><Text name="text" value="$text"/></View>'
)
ANNOTATED = [
    ("Quibberly sent it twice.", "Quibberly", "Organization"),
    ("Order it from Quibberly.", "Quibberly", "Organization"),
    ("The lawyers of Quibberly called.", "Quibberly", "Organization"),
    ("Quibberly paid.", "Quibberly", "Organization"),
    ("She drives a Model T.", "Model T", "Vehicle"),
    ("The Model T was black.", "Model T", "Vehicle"),
    ("He sold his Model T.", "Model T", "Vehicle"),
    ("My Model T broke down.", "Model T", "Vehicle"),
]


def main() -> None:
    """Print a line for each number of texts."""
    tagger = Tagger.load(bundled_model(), threads=1)
    texts = [" ".join(s.words) for split in ("train", "dev") for s in read_corpus(SAMPLE / f"{split}.conll").sentences]
    unseen = [Text(text, [Annotation(*entity[:3]) for entity in tagger(text)], 0) for text in texts[-UNSEEN:]]
    for count in (0, 10, 50, 200):
        with tempfile.TemporaryDirectory() as folder:
            annotated, kept, seconds = trained(Path(folder), tagger, texts[:count], unseen)
        print(f"{count:4} texts: annotated {annotated:.2f}, unseen {kept:.3f}, {seconds:.1f} CPU-s", flush=True)


def trained(folder: Path, tagger: Tagger, texts: list[str], unseen: list[Text]) -> tuple[float, float, float]:
    """F1 on the annotated sentences, F1 on the unseen ones, and seconds."""
    controls = read_label_config(CONFIG)
    maps = [LabelMap.of(tagger.labels, control.labels, {}) for control in controls]
    examples = collect([row(number, *one) for number, one in enumerate(ANNOTATED)], texts, controls, maps, tagger)
    job = write_job(folder, tagger, examples, None)
    began = time.process_time()
    train(load_config(job), folder / "model")
    seconds = time.process_time() - began
    new = Tagger.load(folder / "model", threads=1)
    return agreement(new, examples.annotated), agreement(new, unseen, tagger.labels), seconds


def row(number: int, text: str, marked: str, label: str) -> Row:
    """An annotation as the store has it."""
    start = text.index(marked)
    value = {"start": start, "end": start + len(marked), "text": marked, "labels": [label]}
    return str(number), {"text": text}, [{"from_name": "label", "to_name": "text", "value": value}]


if __name__ == "__main__":
    main()
