"""The labelling configuration of a project: which controls mark which texts, and with which labels.

    <View>
      <Labels name="label" toName="text">
        <Label value="Person" alias="per" predicted_values="PER,human"/>
      </Labels>
      <Text name="text" value="$text"/>
    </View>

It comes from the network, so it may declare no document type: without one, XML has no entities that could grow.
"""

import re
from typing import NamedTuple
from xml.etree import ElementTree

MOST_CHARACTERS = 250_000
"""Longest configuration that is read."""
MOST_CONTROLS = 100
"""Most pairs of a Labels control and a Text: each costs time in every prediction."""
MOST_LABELS = 1_000
"""Most labels of all controls together."""
_FIELD = re.compile(r"\$([^\s$]{1,200})")


class LabelConfigError(ValueError):
    """A configuration cannot be used; the message says why and quotes nothing of it."""


class ProjectLabel(NamedTuple):
    """A label as the project has it."""

    value: str
    alias: str = ""
    predicted: tuple[str, ...] = ()
    """What models call it, as the configuration says."""

    @property
    def written(self) -> str:
        """The name that annotations hold."""
        return self.alias or self.value


class Control(NamedTuple):
    """A Labels control, and a Text that it marks."""

    name: str
    text: str
    """Name of the Text."""
    field: str
    """Field of the task's data that the Text shows."""
    labels: tuple[ProjectLabel, ...]


def read_label_config(xml: str) -> list[Control]:
    """Find the Labels controls, each with every Text that it marks.

    Raises:
        LabelConfigError: it is no XML, declares a document type, has too much in it, or no Labels control marks a Text.
    """
    if len(xml) > MOST_CHARACTERS:
        raise LabelConfigError(f"the labelling configuration is longer than {MOST_CHARACTERS:,} characters")
    if "<!DOCTYPE" in xml:
        raise LabelConfigError("the labelling configuration declares a document type")
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise LabelConfigError("the labelling configuration is no XML") from error
    fields = {text.get("name", ""): field for text in root.iter("Text") if (field := _field(text))}
    found: list[Control] = []
    count = 0
    for element in root.iter("Labels"):
        targets = [name for name in dict.fromkeys(element.get("toName", "").split(",")) if name in fields]
        labels = tuple(_labels(element)) if targets else ()
        found += [Control(element.get("name", ""), name, fields[name], labels) for name in targets]
        count += len(labels)
        if len(found) > MOST_CONTROLS or count > MOST_LABELS:
            raise LabelConfigError(f"expected at most {MOST_CONTROLS} controls and {MOST_LABELS:,} labels")
    if not found:
        raise LabelConfigError('expected <Labels toName="…"> for a <Text value="$…">')
    return found


def _field(text: ElementTree.Element) -> str:
    """The field that a Text shows; empty if it is not the text itself that the task holds."""
    if text.get("valueType") == "url":
        return ""
    match = _FIELD.fullmatch(text.get("value", ""))
    return match[1] if match else ""


def _labels(labels: ElementTree.Element) -> list[ProjectLabel]:
    """The labels of a control, also those in groups inside of it."""
    return [
        ProjectLabel(value, label.get("alias", ""), _names(label.get("predicted_values", "")))
        for label in labels.iter("Label")
        if (value := label.get("value", ""))
    ]


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name for part in listed.split(",") if (name := part.strip()))
