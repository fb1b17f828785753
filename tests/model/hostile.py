"""Checkpoint folders of a stranger: each is a good one with one change, and its sums agree with what it holds.

write_good(folder, model)
HOSTILE["label: half a character"](folder)
"""

import hashlib
import json
import os
import socket
from pathlib import Path

import numpy as np
import safetensors.numpy

from fenestra.model import checkpoint

MANIFEST = "manifest.json"
FORGED = "x\x1b[2J\r\n2026-01-01T00:00:00Z critical forged \u202e\ud83d"
"""A name that would clear a terminal, forge a line of a log, turn text round, and that no codec takes."""
DEEP = b"[" * 10_000 + b"]" * 10_000
SPARSE = 1_500_000_000


def write_good(folder, model):
    """Save a model as training does, with a card and its job beside it."""
    checkpoint.save(model, folder, {"README.md": "A card", "job.json": "{}"})


def rewrite(folder, name, data):
    """Replace a file and list it correctly in the manifest: damage that the sums do not show."""
    (folder / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    change_manifest(folder, lambda manifest: manifest["files"].update({name: entry}))


def change_manifest(folder, change):
    """Change the manifest in place, or put what ``change`` returns in its place."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    changed = change(manifest) or manifest
    path.write_bytes(changed if isinstance(changed, bytes) else json.dumps(changed).encode())


def change_json(folder, name, change):
    """Change a JSON file in place, or put what ``change`` returns in its place."""
    document = json.loads((folder / name).read_text())
    changed = change(document)
    changed = document if changed is None else changed
    rewrite(folder, name, changed if isinstance(changed, bytes) else json.dumps(changed).encode())


def in_config(path, value):
    """Set a value of config.json by its dotted path; bytes are put there as they are."""

    def damage(folder):
        def change(document):
            *sections, last = path.split(".")
            place = document
            for section in sections:
                place = place[section]
            place[last] = "PLACE" if isinstance(value, bytes) else value
            return json.dumps(document).encode().replace(b'"PLACE"', value) if isinstance(value, bytes) else None

        change_json(folder, "config.json", change)

    return damage


def in_features(change):
    return lambda folder: change_json(folder, "features.json", change)


def in_text(key, value):
    return lambda folder: change_json(folder, "text.json", lambda document: document.update({key: value}))


def in_manifest(change):
    return lambda folder: change_manifest(folder, change)


def in_entry(key, value, name="words.txt"):
    return in_manifest(lambda manifest: manifest["files"][name].update({key: value}))


def listed(name):
    """List one more file in the manifest."""
    return in_manifest(lambda manifest: manifest["files"].update({name: {"sha256": "0" * 64, "bytes": 0}}))


def file(name, data):
    return lambda folder: rewrite(folder, name, data)


def in_header(change):
    """Change the header of the weights, by the entries of its arrays."""

    def damage(folder):
        content = (folder / "weights.safetensors").read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        changed = change(header) or header
        raw = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        rewrite(folder, "weights.safetensors", len(raw).to_bytes(8, "little") + raw + content[8 + length :])

    return damage


def in_array(key, value, name="bias"):
    return in_header(lambda header: header[name].update({key: value}))


def in_arrays(change):
    """Change the arrays of the weights."""

    def damage(folder):
        arrays = safetensors.numpy.load_file(folder / "weights.safetensors")
        rewrite(folder, "weights.safetensors", safetensors.numpy.save(change(arrays)))

    return damage


def renamed(header):
    header[FORGED.replace("\ud83d", "")] = header.pop("bias")


def first_values(known, change):
    """Change the values of the first field of features.json."""
    name = next(iter(known))
    known[name] = change(known[name])


def sparse(path, size=SPARSE):
    """Put a file in place that has a size and no content."""
    path.unlink()
    with path.open("wb") as out:
        out.truncate(size)


def sparse_and_listed(name):
    """A sparse file that the manifest lists with its size; whoever reads it all to learn its sum has lost already."""

    def damage(folder):
        sparse(folder / name)
        in_entry("bytes", SPARSE, name)(folder)

    return damage


def sparse_weights(folder):
    """Weights that are zeros behind a good header, and more than the configuration asks for."""
    in_header(lambda header: header["vectors.codes"].update({"shape": [100_000_000, 6]}))(folder)


def rows_of_nothing(folder):
    """Millions of values, and an array without a byte that has more rows than that."""
    in_arrays(lambda arrays: arrays | {"fields.none.weight": np.zeros((1 << 40, 0), np.float32)})(folder)
    file("features.json", b"[" + b"[]," * 3_000_000 + b"0]")(folder)


HOSTILE = {
    # labels
    "label: half a character": in_config("model.labels", ["\ud800", "ORG", "PER"]),
    "label: outside": in_config("model.labels", ["O", "ORG", "PER"]),
    "label: line end": in_config("model.labels", ["\n", "ORG", "PER"]),
    "label: a megabyte": in_config("model.labels", ["x" * 1_000_000, "ORG", "PER"]),
    "label: a thousand characters": in_config("model.labels", ["x" * 1000, "ORG", "PER"]),
    "label: a number": in_config("model.labels", [7, "ORG", "PER"]),
    "label: a list": in_config("model.labels", [["LOC"], "ORG", "PER"]),
    "label: none": in_config("model.labels", [None, "ORG", "PER"]),
    "label: empty": in_config("model.labels", ["", "ORG", "PER"]),
    "label: a space": in_config("model.labels", [" ", "ORG", "PER"]),
    "label: a tab inside": in_config("model.labels", ["L\tC", "ORG", "PER"]),
    "label: escape": in_config("model.labels", ["\x1b[31m", "ORG", "PER"]),
    "label: turned round": in_config("model.labels", ["\u202eCOL", "ORG", "PER"]),
    "label: NUL": in_config("model.labels", ["L\0C", "ORG", "PER"]),
    "labels: a string": in_config("model.labels", "LOCX"),
    "labels: an object": in_config("model.labels", {"LOC": 1, "ORG": 2, "PER": 3}),
    "labels: one twice": in_config("model.labels", ["PER", "ORG", "PER"]),
    "labels: fifty thousand": in_config("model.labels", [f"L{n}" for n in range(50_000)]),
    # names
    "name: of a field of the configuration": in_config(f"model.{FORGED.replace('.', '')}", 1),
    "name: of a feature": in_config(f"model.features.{FORGED.replace('.', '')}", 1),
    "name: of the calibration": in_config(f"calibration.{FORGED.replace('.', '')}", 1),
    "name: of an array": in_header(renamed),
    "name: of a file": listed(FORGED),
    "name: of a choice": in_config("model.scheme", FORGED),
    "name: a format version": in_manifest(lambda manifest: manifest.update(format_version=FORGED)),
    "name: a sum": in_entry("sha256", FORGED),
    # the size of the network
    "hidden: 40,000 times 40,000": in_config("model.hidden", [40_000, 40_000]),
    "hidden: a huge number": in_config("model.hidden", [10**30]),
    "hidden: a hundred thousand layers": in_config("model.hidden", [1] * 90_000),
    "hidden: true": in_config("model.hidden", [True]),
    "hidden: a fraction": in_config("model.hidden", [16.0]),
    "hidden: a string": in_config("model.hidden", "16"),
    "hidden: a number": in_config("model.hidden", 16),
    "context: below 0": in_config("model.context", -1),
    "context: a billion": in_config("model.context", 10**9),
    "features: a width of a billion": in_config("model.features.word", 10**9),
    "features: buckets of a huge number": in_config("model.features.ngram_buckets", 10**300),
    "features: topic of 5": in_config("model.features.topic", 5),
    "features: elsewhere of 2": in_config("model.features.elsewhere", 2),
    "features: vectors of yes": in_config("model.features.vectors", "yes"),
    "features: a length ninety thousand times": in_config("model.features.prefixes", [2] * 90_000),
    "hidden: an object": in_config("model.hidden", {"16": 16}),
    "features: no lengths, as text": in_config("model.features.ngram_sizes", ""),
    "features: no lengths, as an object": in_config("model.features.prefixes", {}),
    "features: a length of text": in_config("model.features.suffixes", "234"),
    # numbers
    "number: NaN": in_config("calibration.offset", float("nan")),
    "number: Infinity": in_config("calibration.offset", float("inf")),
    "number: too large for a float": in_config("calibration.offset", b"1e999"),
    "number: five thousand digits": in_config("calibration.offset", b"9" * 5000),
    "number: four hundred digits": in_config("calibration.offset", 10**400),
    "number: a temperature near 0": in_config("calibration.temperature", 1e-300),
    "number: a large slope": in_config("calibration.slope", 1e301),
    "number: true": in_config("calibration.slope", True),
    "number: a string": in_config("calibration.slope", "1"),
    # JSON
    "JSON: a key twice": file("config.json", b'{"model": {}, "model": {}}'),
    "JSON: ten thousand levels": file("config.json", DEEP),
    "JSON: levels in a field": in_config("model.labels", b"[" * 10_000 + b"]" * 10_000),
    "JSON: 900 levels": in_config("model.labels", b"[" * 900 + b"]" * 900),
    "JSON: a million values": file("config.json", b"[" + b"0," * 400_000 + b"0]"),
    "JSON: in UTF-16": file("config.json", '{"model": {}}'.encode("utf-16")),
    "JSON: no UTF-8": file("config.json", b'{"model": "\xff"}'),
    "JSON: a number alone": file("config.json", b"7"),
    "JSON: null": file("config.json", b"null"),
    "JSON: nothing": file("config.json", b""),
    "JSON: two megabytes of spaces": file("config.json", b" " * 2_000_000 + b"{}"),
    # the manifest
    "manifest: NUL in a name": listed("a\0b"),
    "manifest: a name above": listed("../x"),
    "manifest: an absolute name": listed("/etc/passwd"),
    "manifest: a name in a folder": listed("a/b"),
    "manifest: this folder": listed("."),
    "manifest: itself": listed(MANIFEST),
    "manifest: a name of a thousand characters": listed("x" * 1000),
    "manifest: a sum that is a number": in_entry("sha256", 7),
    "manifest: a sum that is a list": in_entry("sha256", []),
    "manifest: ten thousand levels": in_manifest(lambda _: DEEP),
    "manifest: levels in a sum": in_manifest(
        lambda manifest: json.dumps(manifest | {"x": "PLACE"}).encode().replace(b'"PLACE"', DEEP)
    ),
    "manifest: bytes below 0": in_entry("bytes", -1),
    "manifest: bytes a fraction": in_entry("bytes", 1e3),
    "manifest: bytes true": in_entry("bytes", True),
    "manifest: bytes of 400 digits": in_entry("bytes", 10**400),
    "manifest: bytes a string": in_entry("bytes", "7"),
    "manifest: version true": in_manifest(lambda manifest: manifest.update(format_version=True)),
    "manifest: version 1.0": in_manifest(lambda manifest: manifest.update(format_version=1.0)),
    "manifest: a list of files": in_manifest(lambda manifest: manifest.update(files=list(manifest["files"]))),
    "manifest: a file twice": in_manifest(
        lambda manifest: json.dumps(manifest).encode().replace(b'"files": {', b'"files": {"words.txt": {}, ')
    ),
    "manifest: two megabytes": in_manifest(lambda manifest: json.dumps(manifest).encode() + b" " * 2_000_000),
    # the weights
    "weights: a shape that is not the configuration's": in_array("shape", [4, 4]),
    "weights: a dimension below 0": in_array("shape", [-16]),
    "weights: a huge dimension": in_array("shape", [10**18]),
    "weights: a huge dimension beside 0": in_array("shape", [10**18, 0]),
    "weights: no dimension": in_array("shape", []),
    "weights: a hundred thousand dimensions": in_array("shape", [1] * 90_000),
    "weights: a shape of text": in_array("shape", "16"),
    "weights: a number type of its own": in_array("dtype", "Q7"),
    "weights: a number type that is a list": in_array("dtype", []),
    "weights: an array over another": in_array("data_offsets", [4, 68]),
    "weights: an array beyond the end": in_array("data_offsets", [10**9, 10**9 + 64]),
    "weights: an array back to front": in_array("data_offsets", [64, 0]),
    "weights: a place of three numbers": in_array("data_offsets", [0, 64, 64]),
    "weights: an entry that is none": in_header(lambda header: header.update(bias=7)),
    "weights: a header that is a list": in_header(lambda _: b"[]"),
    "weights: a header of ten thousand levels": in_header(lambda _: DEEP),
    "weights: an array twice": in_header(lambda header: json.dumps(header).encode()[:-1] + b',"bias":{}}'),
    "weights: a header of 2^62 bytes": file("weights.safetensors", (1 << 62).to_bytes(8, "little") + bytes(100)),
    "weights: a header of 0 bytes": file("weights.safetensors", bytes(8)),
    "weights: seven bytes": file("weights.safetensors", b"1234567"),
    "weights: nothing": file("weights.safetensors", b""),
    "weights: a table of 600 MB that is not there": sparse_weights,
    "weights: an array too many": in_arrays(lambda arrays: arrays | {FORGED.replace("\ud83d", ""): arrays["bias"]}),
    "weights: a value that is not finite": in_arrays(lambda arrays: arrays | {"bias": arrays["bias"] * float("inf")}),
    # what the model knows by name
    "values: a string": in_features(lambda known: first_values(known, "".join)),
    "values: numbers": in_features(lambda known: first_values(known, lambda values: list(range(len(values))))),
    "values: lists": in_features(lambda known: first_values(known, lambda values: [[] for _ in values])),
    "values: an object": in_features(lambda known: first_values(known, lambda values: dict.fromkeys(values, 1))),
    "values: half a character": in_features(lambda known: first_values(known, lambda values: ["\ud800", *values[1:]])),
    "values: one twice": in_features(lambda known: first_values(known, lambda values: [values[1], *values[1:]])),
    "values: millions": file("features.json", b"[" + b"[]," * 3_000_000 + b"0]"),
    "values: millions, and rows of nothing": rows_of_nothing,
    "values: a list": file("features.json", b"[]"),
    "words: an end that is missing": file("words.txt", b"ada\nlovelace\nmet\nsiemens\nin\nmunich\n."),
    "words: a million": file("words.txt", "".join(f"w{n}\n" for n in range(1_000_000)).encode()),
    "words: a million empty ones": file("words.txt", b"\n" * 1_000_000),
    "words: no UTF-8": file("words.txt", b"ada\n\xff\n"),
    "words: nothing": file("words.txt", b""),
    "lists: one word in a line": file("lists.tsv", b"first\n"),
    "lists: an end that is missing": file("lists.tsv", b"first\tAda"),
    "lists: no UTF-8": file("lists.tsv", b"first\t\xff\n"),
    "clusters: a word twice": file("clusters.tsv", b"01\tada\n10\tada\n"),
    "clusters: a million line ends": file("clusters.tsv", b"\n" * 1_000_000),
    # how texts are read
    "text: an abbreviation that is a number": in_text("abbreviations", [7]),
    "text: abbreviations as one string": in_text("abbreviations", "Mr"),
    "text: half a character": in_text("openers", ["\ud800"]),
    "text: a line end": in_text("titles", ["Mr\nMrs"]),
    "text: a megabyte": in_text("openers", ["x" * 1_000_000]),
    "text: a million entries": in_text("openers", ["x"] * 1_000_000),
    "text: an unknown name": in_text(FORGED.replace("\ud83d", ""), 1),
    "text: a list": file("text.json", b"[]"),
    "text: ten thousand levels": file("text.json", DEEP),
    "text: a sparse file": sparse_and_listed("text.json"),
    # sizes
    "size: a sparse card": sparse_and_listed("README.md"),
    "size: a sparse list of words": sparse_and_listed("words.txt"),
    "size: sparse weights": sparse_and_listed("weights.safetensors"),
    "size: sparse features": sparse_and_listed("features.json"),
    "size: a sparse configuration": sparse_and_listed("config.json"),
}
"""What a stranger may have done → does it to a folder."""


def replaced(make):
    """Put something else in the place of a file."""

    def damage(path):
        path.unlink()
        make(path)

    return damage


def bind_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket has 107 characters at most
        try:
            listener.bind(path.name)
        finally:
            os.chdir(here)


def link_to_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


NO_FILES = {
    "pipe": replaced(os.mkfifo),
    "link to a pipe": replaced(link_to_pipe),
    "socket": replaced(bind_socket),
    "folder": replaced(Path.mkdir),
    "link to a folder": replaced(lambda path: path.symlink_to("/")),
    "device without end": replaced(lambda path: path.symlink_to("/dev/zero")),
    "device without content": replaced(lambda path: path.symlink_to("/dev/null")),
    "terminal": replaced(lambda path: path.symlink_to("/dev/tty")),
    "file of the kernel": replaced(lambda path: path.symlink_to("/proc/kmsg")),
    "memory of the process": replaced(lambda path: path.symlink_to("/proc/self/mem")),
    "dangling link": replaced(lambda path: path.symlink_to("nowhere")),
    "link to itself": replaced(lambda path: path.symlink_to(path.name)),
    "sparse file": sparse,
}
"""What may stand in the place of a file → puts it there; the manifest lists the file as before."""
