"""A client of the Open Inference Protocol V2 reaches the service as it reaches any model server."""

import json

import pytest

triton = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")

import numpy as np  # noqa: E402
from tritonclient.utils import InferenceServerException  # noqa: E402

TEXT = 'Ada "Countess" Lovelace met Charles Babbage of Siemens in London 🚀.'


@pytest.fixture(scope="module")
def server(start):
    return start(models="english,russian")


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def tensor(texts, shape=None):
    texts = np.array(texts, dtype=np.object_).reshape(shape or [len(texts)])
    tensor = triton.InferInput("text", list(texts.shape), "BYTES")
    return tensor.set_data_from_numpy(texts, binary_data=False)


def test_the_server_and_its_models_are_live_and_ready_and_describe_themselves(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("english")
    assert not client.is_model_ready("dutch")
    assert client.get_server_metadata()["name"] == "fenestra"
    metadata = client.get_model_metadata("russian")
    assert [one["name"] for one in metadata["inputs"] + metadata["outputs"]] == ["text", "entities"]
    assert client.is_model_ready("russian", metadata["versions"][0])
    assert not client.is_model_ready("russian", "2")


@pytest.mark.parametrize("shape", [[-1], [-1, 1], [1, -1]])
def test_each_text_has_the_entities_that_tag_finds(server, client, texts, shape):
    asked = [TEXT, "", *texts[:40]]
    found = client.infer("english", [tensor(asked, shape)], request_id="7").as_numpy("entities")
    assert found.shape == np.empty(len(asked)).reshape(shape).shape
    tagged = json.loads(server.tag({"text": asked})[1])["results"]
    assert [json.loads(one) for one in found.flatten()] == [result["entities"] for result in tagged]
    assert json.loads(found.flatten()[0])


def test_a_model_and_its_version_and_the_output_can_be_named(server, client):
    text = "Анна Каренина жила в Москве."
    (version,) = client.get_model_metadata("russian")["versions"]
    output = triton.InferRequestedOutput("entities", binary_data=False)
    answer = client.infer("russian", [tensor([text])], model_version=version, outputs=[output], request_id="a")
    assert [answer.get_response()[name] for name in ("id", "model_name", "model_version")] == ["a", "russian", version]
    (found,) = answer.as_numpy("entities")
    assert [one["text"] for one in json.loads(found)] == ["Анна Каренина", "Москве"]


def test_compressed_bodies_and_answers_are_understood(client):
    one = client.infer("english", [tensor([TEXT] * 50)])
    both = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
    assert list(client.infer("english", [tensor([TEXT] * 50)], **both).as_numpy("entities")) == list(
        one.as_numpy("entities")
    )


def test_errors_reach_the_client_as_a_sentence(client):
    with pytest.raises(InferenceServerException, match=r"\[404\] no model of that name"):
        client.infer("dutch", [tensor([TEXT])])
    with pytest.raises(InferenceServerException, match=r"\[422\] inputs.*should have at most 1"):
        client.infer("english", [tensor([TEXT]), tensor([TEXT])])
    binary = triton.InferInput("text", [1], "BYTES").set_data_from_numpy(np.array([TEXT], dtype=np.object_))
    with pytest.raises(InferenceServerException, match=r"\[415\] send tensors as JSON"):
        client.infer("english", [binary])


def test_the_page_shows_what_comes_out(server, follow):
    follow("kserve.md", server.port)
