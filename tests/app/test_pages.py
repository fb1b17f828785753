"""The web pages: complete, from this host alone, under a strict content security policy."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.page import first_visit, weight
from fenestra.app.codes import STATUS
from fenestra.app.errors import has_text_errors
from fenestra.app.pages import routes
from fenestra.app.pages.routes import ASSETS, asset
from tests.app.doors import RunTagger

PAGES = ["/", "/docs"]
SCRIPTS = sorted(name for name in ASSETS if name.endswith(".js"))
STATIC = Path(routes.__file__).with_name("static")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_forbids_every_other_host_and_inline_code(client, path):
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "*" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize("path", [*PAGES, "/static/page.js", "/static/page.css"])
def test_a_browser_asks_again_for_a_file_that_it_kept(client, path):
    """Else the scripts of two releases are mixed."""
    assert client.get(path).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_only_files_that_are_served_here(client, path):
    html = client.get(path).text
    references = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert len(references) > 4
    for reference in references:
        assert client.get("/" + reference.removeprefix("./")).status_code == 200, reference


@pytest.mark.parametrize("path", PAGES)
def test_a_page_holds_no_inline_script_style_or_handler(client, path):
    html = client.get(path).text
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", html)


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_a_file_of_the_pages_names_no_other_host(client, name):
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.content == asset(name)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg\")", answer.text)


def test_every_file_of_the_pages_is_served():
    assert {path.name for path in STATIC.iterdir()} - {"page.html", "docs.html"} == set(ASSETS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_never_turn_text_into_markup_or_style(name):
    source = asset(name).decode()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|\.style\b|\bFunction\(", source)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_only_what_is_served_and_is_used(name):
    source = asset(name).decode()
    for names, module in re.findall(r"^import \{ (.+?) \} from \"(.+)\";$", source, re.MULTILINE):
        assert module.removeprefix("./") in ASSETS
        exported = set(
            re.findall(
                r"^export (?:async )?(?:function\*?|const|class) (\w+)", asset(module[2:]).decode(), re.MULTILINE
            )
        )
        assert set(names.split(", ")) <= exported
        for imported in names.split(", "):
            assert len(re.findall(rf"\b{imported}\b", source)) > 1, imported


def test_the_pages_stay_light():
    """With gzip, in kB; ``python -m benchmarks.page`` prints what they weigh."""
    assert weight(first_visit("page.html"))[1] < 45
    assert weight(first_visit("docs.html"))[1] < 15
    assert {*first_visit("page.html"), *first_visit("docs.html")} - {"page.html", "docs.html"} < set(ASSETS)


def test_the_page_asks_for_offsets_in_the_unit_that_its_language_slices_by(client):
    assert 'offsets: "utf16"' in client.get("/static/page.js").text


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz"])
def test_pages_and_probes_answer_head_like_get_without_a_body(client, path):
    head, get = client.request("HEAD", path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))
    assert {*client.request("DELETE", path).headers["allow"].split(", ")} == {"GET", "HEAD"}


V2 = {
    "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}", "/v2/models/{name}/ready",
    "/v2/models/{name}/infer",
}  # fmt: skip
DOORS = {"/hf", "/hf/{model}", "/analyze", "/supportedentities", "/recognizers", "/health", *V2}
"""The paths for clients of other tools."""


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def body_schema(document, path, media_type="application/json"):
    """The schema of a request, which stands in the components."""
    reference = document["paths"][path]["post"]["requestBody"]["content"][media_type]["schema"]["$ref"]
    return document["components"]["schemas"][reference.removeprefix("#/components/schemas/")]


def test_the_openapi_document_describes_the_request_as_it_is_checked(document):
    body = document["paths"]["/tag"]["post"]["requestBody"]
    schema = body_schema(document, "/tag")
    assert body["required"] is True
    known = {"text", "tokens", "labels", "min_score", "details", "alternatives", "offsets", "model"}
    assert set(schema["properties"]) == known
    assert schema["additionalProperties"] is False
    assert all(field["description"] for field in schema["properties"].values())


def test_the_examples_in_the_document_are_accepted(client, document):
    examples = body_schema(document, "/tag")["examples"]
    assert len(examples) == 3
    for example in examples:
        assert client.tag(example).status_code == 200


@pytest.mark.parametrize("path", ["/hf", "/analyze", "/v2/models/{name}/infer"])
def test_the_doors_for_other_tools_are_described_and_their_examples_accepted(serve, path):
    client = serve(RunTagger())
    schema = body_schema(client.get("/openapi.json").json(), path)
    assert all(field["description"] for field in schema["properties"].values())
    assert len(schema["examples"]) == 3
    for example in schema["examples"]:
        assert client.request("POST", path.format(name="english"), json=example).status_code == 200


def test_every_path_with_errors_that_are_a_text_is_one_of_the_doors(document):
    assert {path for path in document["paths"] if has_text_errors(path)} == DOORS


def test_the_document_offers_the_labels_of_the_models_that_are_loaded(document):
    for path, media_type in (("/tag", "application/json"), ("/tag/stream", "application/x-ndjson")):
        labels = body_schema(document, path, media_type)["properties"]["labels"]["anyOf"][0]
        assert labels["items"]["enum"] == ["LOC", "PER"]


def test_every_request_stands_in_the_components_and_every_reference_leads_to_something(document):
    bodies = [
        media["schema"]
        for operations in document["paths"].values()
        for operation in operations.values()
        for media in operation.get("requestBody", {}).get("content", {}).values()
    ]
    assert len(bodies) >= 3
    assert all(schema.keys() == {"$ref"} for schema in bodies)
    named = re.findall(r'"\$ref": "(.+?)"', json.dumps(document))
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(named) <= known


def test_groups_of_operations_are_described(document):
    used = {tag for operations in document["paths"].values() for entry in operations.values() for tag in entry["tags"]}
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}


def test_every_path_but_the_pages_is_in_the_document_with_its_refusals(document):
    assert set(document["paths"]) == {
        "/tag", "/tag/stream", "/explain", "/models", "/models/{name}/reload", "/livez", "/readyz", "/metrics", *DOORS,
        "/models/{name}/corrections", "/models/{name}/corrections/{key}", "/models/{name}/learn", "/models/{name}/undo",
    }  # fmt: skip
    refusals = {status for status in document["paths"]["/tag"]["post"]["responses"] if status != "200"}
    assert refusals == {"400", "401", "404", "413", "415", "422", "429", "431", "500", "503", "504"}


def test_every_refusal_in_the_document_has_the_shape_that_refusals_have(document):
    for path, methods in document["paths"].items():
        for operation in methods.values():
            refusals = {
                status: answer for status, answer in operation["responses"].items() if not status.startswith("2")
            }
            assert {"400", "431", "500"} <= set(refusals), path
            for answer in refusals.values():
                schema = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert schema == ("TextError" if path in DOORS else "ErrorResponse"), path
    assert "ValidationError" not in "".join(document["components"]["schemas"])


def test_the_document_names_every_code_and_the_way_to_send_a_key(document):
    code = document["components"]["schemas"]["ErrorBody"]["properties"]["code"]["description"]
    assert all(f"`{name}` ({status})" in code for name, status in STATUS.items())
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}
    assert {} in document["security"], "without keys in the settings none is wanted"


def test_the_stream_in_the_document_has_the_shape_of_a_real_one(client, document):
    shown = document["paths"]["/tag/stream"]["post"]["responses"]["200"]["content"]["application/x-ndjson"]["examples"]
    answer = client.request(
        "POST", "/tag/stream", content=b'{"text":"a"}\nnonsense\n', headers={"content-type": "application/x-ndjson"}
    )
    real = [json.loads(line) for line in answer.text.splitlines()]
    for line, told in zip(real, (example["value"] for example in shown.values()), strict=True):
        assert list(line) == list(told)
        assert line["line"] == told["line"]
        assert line.get("error", {}).keys() == told.get("error", {}).keys()


def test_the_document_states_the_limits_in_force(serve):
    description = serve(max_texts=7).get("/openapi.json").json()["info"]["description"]
    assert "7 texts" in description
