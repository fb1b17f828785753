"""Files behind URLs: the bytes of the same files on this machine. Memory stands for an object store."""

import gzip
import io
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("upath", reason="universal_pathlib is not installed")

from fenestra.cli import tag as tagging  # noqa: E402
from fenestra.cli.bulk.inputs import find_inputs  # noqa: E402
from fenestra.cli.main import main  # noqa: E402
from fenestra.cli.places import as_path, is_remote, without_queries  # noqa: E402
from fenestra.cli.tag import tag_files  # noqa: E402
from fenestra.model.errors import DataError, InputError  # noqa: E402
from tests.conftest import ROOT  # noqa: E402
from tests.pages import type_in  # noqa: E402

FILES = {
    "z.txt": b"Anna Berg met Tom Kerr in Oslo.\nbad \xff line\n" * 40,
    "a/b.jsonl": b'{"text": "It rained in London."}\n{"x": 1}\n' * 30,
    "a/c/d.txt.gz": gzip.compress(b"Paris is nice.\n" * 50),
    "e.conll": b"Anna O\nBerg O\n\n" * 20,
    ".hidden": b"Oslo\n",
    "a/.hidden/f.txt": b"Oslo\n",
}


@pytest.fixture
def url(tmp_path):
    """A folder of memory with the files that are in ``in`` of the test's own folder, too."""
    name = f"memory://{uuid.uuid4().hex}"
    memory = fsspec.filesystem("memory")
    for place, data in FILES.items():
        memory.pipe_file(f"{name}/in/{place}", data)
        (tmp_path / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / place).write_bytes(data)
    return name


def files(folder):
    """All below a folder, by the names inside it."""
    if not is_remote(folder):
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name.split("/", 2)[2]: folder.fs.cat_file(name) for name in folder.fs.find(folder.path)}


def run(english, source, place, **options):
    out, bad = as_path(f"{place}/out"), as_path(f"{place}/bad")
    return tag_files(english, [f"{source}"], output_folder=out, bad_lines=bad, **options)


def test_the_inputs_of_a_url_are_those_of_a_folder_in_the_same_order(url, tmp_path):
    local, remote = find_inputs([str(tmp_path / "in")], None), find_inputs([f"{url}/in"], None)
    assert [(one.form, one.place, one.size) for one in remote] == [(one.form, one.place, one.size) for one in local]
    assert len(remote) == 4


@pytest.mark.usefixtures("small_units")
def test_results_behind_a_url_have_the_bytes_of_those_on_a_disk(english, url, tmp_path):
    assert run(english, f"{url}/in", url) == run(english, tmp_path / "in", tmp_path) == 70
    local, remote = files(tmp_path), files(as_path(url))
    remote["bad"] = remote["bad"].replace(f"{url}/in".encode(), str(tmp_path / "in").encode())
    assert remote == local


@pytest.mark.usefixtures("small_units")
def test_a_run_that_was_stopped_goes_on_behind_a_url(english, url, tmp_path, monkeypatch):
    real, left = tagging.tag_chunk, [5]

    def tag_chunk(*arguments):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(tagging, "tag_chunk", tag_chunk)
    with pytest.raises(KeyboardInterrupt):
        run(english, f"{url}/in", url)
    assert [name for name in files(as_path(url)) if name.startswith("out/.fenestra.parts/")]
    left[0], notes = 10**6, []
    run(english, f"{url}/in", url, note=notes.append)
    assert notes == ["going on with what an earlier run has left"]
    run(english, tmp_path / "in", tmp_path)
    found, expected = files(as_path(f"{url}/out")), files(tmp_path / "out")
    assert {name.removeprefix("out/"): data for name, data in found.items()} == expected


def test_parquet_is_read_behind_a_url(english, url, tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["Anna Berg", None]}), tmp_path / "p.parquet")
    fsspec.filesystem("memory").pipe_file(f"{url}/p.parquet", (tmp_path / "p.parquet").read_bytes())
    tag_files(english, [f"{url}/p.parquet"], output=as_path(f"{url}/p.jsonl"), bad_lines=tmp_path / "bad")
    tag_files(english, [str(tmp_path / "p.parquet")], output=tmp_path / "p.jsonl", bad_lines=tmp_path / "bad2")
    assert fsspec.filesystem("memory").cat_file(f"{url}/p.jsonl") == (tmp_path / "p.jsonl").read_bytes()


def test_a_file_url_is_a_path_of_this_machine(tmp_path):
    assert as_path(f"file://{tmp_path}/a%20b.txt") == tmp_path / "a b.txt"
    assert not is_remote(as_path("C:relative.txt"))


@pytest.mark.parametrize(
    "name", ["ftp://ada:hunter2@host/a.txt", "s3://KEY:hun/ter2@bucket/a", "https://ada:hunter2@host:81/x"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(name, tag):
    for words in ([name], ["-o", name, "a.txt"], ["-o", f"{name}/", "a.txt"], ["--bad-lines", name, "a.txt"]):
        code, out, err = tag(*words)
        assert code == 2
        assert "a URL with a password" in err[0]
        assert "ter2" not in out + "".join(err)


@pytest.mark.parametrize("name", ["memory://bucket/a:b@c", "memory://ada@host/x", "memory://host:8080/a@b"])
def test_a_url_without_a_password_is_none_with_one(name):
    assert is_remote(as_path(name))


@pytest.fixture
def presigned():
    """The address of a file on the web that is given to those only who have its signature."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    content = b'{"text": "It rained in London."}\n{"x": 1}\n'

    class Web(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path == "/a/texts.jsonl?X-Amz-Signature=c0ffee&e=1:2"
            self.send_response(200 if known else 403)
            self.send_header("Content-Length", str(len(content) if known else 0))
            self.end_headers()
            if known and self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/a/texts.jsonl?X-Amz-Signature=c0ffee&e=1:2"
        server.shutdown()


def test_what_opens_a_presigned_address_stands_nowhere(presigned, tag, tmp_path):
    code, out, err = tag(presigned, "-o", f"{tmp_path}/out/", "--bad-lines", str(tmp_path / "bad"))
    assert (code, out) == (2, "")  # a line was left out
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == ["texts.jsonl"]
    (found,) = map(json.loads, (tmp_path / "out" / "texts.jsonl").read_bytes().splitlines())
    assert [entity["text"] for entity in found["entities"]] == ["London"]
    (left,) = map(json.loads, (tmp_path / "bad").read_bytes().splitlines())
    assert (left["path"], left["line"]) == (presigned.partition("?")[0], 2)
    code, out, err = tag(presigned, "-o", str(tmp_path / "one.jsonl"))
    assert code == 2
    assert f"{presigned.partition('?')[0]}:2: " in "".join(err)
    code, out, more = tag(presigned.replace("c0ffee", "c0ffee0"))
    assert code == 2
    assert "texts.jsonl: cannot be read (ClientResponseError: 403" in more[0]
    assert "c0ffee" not in "".join(err + more)


@pytest.mark.parametrize(
    "words",
    [
        ["--debug", "tag", "{}"],
        ["{}"],
        ["tag", "--outptu={}", "-"],
        ["evaluate", "--model", "english", "{}"],
        ["data", "check", "{}"],
    ],
)
def test_no_verb_repeats_what_opens_an_address(capsys, words):
    address = "https://127.0.0.1:1/a.jsonl?X-Amz-Signature=c0ffee:12"
    assert main([word.format(address) for word in words])
    out, err = capsys.readouterr()
    assert "127.0.0.1:1/a.jsonl" in err
    assert "c0ffee" not in out + err


@pytest.mark.parametrize(
    "error", [TimeoutError(), RuntimeError("403, url='https://host/a?sig=c0ffee'")], ids=["silent", "foreign"]
)
@pytest.mark.parametrize("name", ["a.txt", "a.conll", "a.parquet"])
def test_a_file_that_cannot_be_read_to_its_end_is_told(url, tag, monkeypatch, error, name, tmp_path):
    content = b"".join(b"It rained in London %d times.\n" % (n * 7919**3 % 10**12) for n in range(20_000))
    if name == "a.parquet":
        pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        pyarrow.parquet.write_table(pyarrow.table({"text": content.decode().split("\n")}), tmp_path / name)
        content = (tmp_path / name).read_bytes()

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if (self.tell() < len(content) // 2) == (name == "a.parquet"):  # which is read from its end
                raise error
            return super().read(size)

    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"{url}/{name}", content)
    monkeypatch.setattr(type(memory), "_open", lambda *_, **__: Broken(content))
    code, _, err = tag(f"{url}/{name}", "-o", tmp_path / "out.jsonl")
    assert code
    assert "TimeoutError" in "".join(err) or "RuntimeError: 403" in "".join(err)
    code, _, err = tag(f"{url}/{name}", "-o", tmp_path / "out.jsonl", "--bad-lines", tmp_path / "bad")
    assert code == 2
    assert len((tmp_path / "bad").read_bytes().splitlines()) >= 1
    assert b"c0ffee" not in (tmp_path / "bad").read_bytes()


def test_what_is_no_web_address_keeps_its_name():
    for message in ("s3://bucket/what?.txt:12: not JSON", "C:/x/what?.txt: no", "tag --outptu: did you mean --output?"):
        assert without_queries(message) == message


def test_what_is_not_there_is_named(url):
    with pytest.raises(DataError, match="nothing: no file, and a folder without files to tag"):
        find_inputs([f"{url}/nothing"], None)
    with pytest.raises(InputError, match="nosuch://x: "):
        as_path("nosuch://x")


def test_a_folder_is_not_input_and_output(english, url):
    with pytest.raises(InputError, match="is an input folder"):
        tag_files(english, [f"{url}/in"], output_folder=as_path(f"{url}/in/"))
    with pytest.raises(InputError, match="is input and output"):
        tag_files(english, [f"{url}/in/e.conll"], output=as_path(f"{url}/in/e.conll"))


def test_a_slash_at_its_end_makes_an_output_a_folder(tag, tmp_path):
    (tmp_path / "a.txt").write_text("Anna Berg\n")
    code, *_ = tag(tmp_path / "a.txt", "-o", f"{tmp_path}/out/")
    assert code == 0
    assert (tmp_path / "out" / "a.txt.jsonl").exists()


def test_the_page_shows_what_is_true():
    type_in((ROOT / "docs" / "ray.md").read_text(encoding="utf-8"), "ray.md")
