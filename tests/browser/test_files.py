"""Files of texts: read within bounds, tagged as a stream, stopped and gone on with, downloaded."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def choose(page, name, content):
    buffer = content if isinstance(content, bytes) else content.encode()
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/plain", "buffer": buffer})


def save(page, kind):
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Download {kind}").click()
    return download.value.suggested_filename, Path(download.value.path()).read_text(encoding="utf-8")


@pytest.fixture
def page(visit, real):
    page = visit(real)
    page.locator("#marked mark").first.wait_for()
    return page


def test_a_short_text_goes_into_the_box(page):
    choose(page, "letter.txt", "\ufeffAda met Bob in Köln.")
    page.locator("mark", has_text="Köln").wait_for()
    assert page.get_by_label("Your text").input_value() == "Ada met Bob in Köln."
    assert page.locator("#notice").inner_text() == "letter.txt is in the box."


def test_lines_of_json_are_tagged_and_come_back_with_all_that_was_in_them(page):
    records = [{"id": n, "text": f"🎶 Ada Lovelace met Bob in Munich on day {n}."} for n in range(60)]
    records[7]["text"] = "x" * 150_000
    choose(page, "notes.jsonl", "\n".join(json.dumps(record) for record in records) + "\n\n")
    page.locator("#many-said", has_text="60 of 60 texts, 1 refused").wait_for()
    assert page.locator("#many-rows tr").count() == 20
    assert page.locator("#many-rows mark").count() > 30
    assert "The service does not accept this request." in page.locator("#many-rows tr").nth(7).inner_text()
    page.get_by_label("The next rows").click()
    assert page.locator("#many-rows td").first.inner_text() == "21"
    name, text = save(page, "JSONL")
    assert name == "notes.entities.jsonl"
    found = [json.loads(line) for line in text.splitlines()]
    assert [{key: one[key] for key in ("id", "text")} for one in found] == records
    assert found[7]["error"]["code"] == "invalid_request"
    for one in found[:7]:
        assert [one["text"][e["start"] : e["end"]] for e in one["entities"]] == [e["text"] for e in one["entities"]]
        assert "Munich" in [e["text"] for e in one["entities"]]
    page.get_by_label("Open text 21").click()
    page.locator("#marked mark", has_text="Munich").wait_for()
    assert page.get_by_label("Your text").input_value() == records[20]["text"]


def test_a_table_is_read_by_its_column_of_text_and_no_formula_comes_out_of_it(page):
    rows = [
        ["1", '=HYPERLINK("http://evil")', "Ada met Bob in Munich."],
        ["2", "", '-2 of "Siemens"\nleft'],
        ["3", "", "+1"],
    ]
    written = io.StringIO()
    csv.writer(written, delimiter=";").writerows([["id", "note", "Text"], *rows])
    choose(page, "table.csv", written.getvalue())
    page.locator("#many-said", has_text="3 of 3 texts").wait_for()
    assert page.get_by_label("The texts are in").input_value() == "Text"
    name, text = save(page, "CSV")
    assert name == "table.entities.csv"
    assert text.startswith("\ufeff")
    found = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert {row["text"] for row in found} == {"Ada met Bob in Munich.", "'" + rows[1][2], "'+1"}
    assert "Munich" in [row["entity"] for row in found]
    assert not any(cell[:1] in tuple("=+-@\t\r") for row in found for cell in row.values() if cell)
    page.get_by_label("The texts are in").select_option("note")
    page.locator("#many-rows tr", has_text="HYPERLINK").wait_for()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.bin", b"\xff\xfe\x00\x01", "a.bin is not a text in UTF-8."),
        ("a.txt", b"Ada\x00", "a.txt is not a text in UTF-8."),
        ("a.jsonl", '{"text": "x"}\n{"text": "SECRET', "a.jsonl, line 2: this is not JSON."),
        ("a.jsonl", '{"words": "x"}', 'a.jsonl, line 1: there is no "text" in it.'),
        ("a.csv", 'text\nx\n"SECRET\n\n', "a.csv, line 3: a quotation mark is opened here and never closed."),
        ("a.jsonl", "\n\n", "a.jsonl has no text in it."),
        ("a.csv", "", "a.csv has no text in it."),
        ("a.jsonl", '"x"\n' * 10_001, "a.jsonl has 10,001\xa0texts, and this page takes 10,000."),
    ],
)
def test_a_file_that_cannot_be_taken_is_told_in_one_sentence(page, name, content, words):
    choose(page, name, content)
    page.locator("#notice", has_text=words.replace("\xa0", " ")).wait_for()
    assert "SECRET" not in page.locator("#notice").inner_text()
    assert page.locator("#many").is_hidden()


DROP = """([content, times]) => {
    const held = new DataTransfer();
    held.items.add(new File([content.repeat(times)], "dropped.txt"));
    const over = new DragEvent("dragover", { dataTransfer: held, bubbles: true, cancelable: true });
    document.body.dispatchEvent(over);
    const taken = over.defaultPrevented && document.getElementById("write").classList.contains("over");
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true }));
    return taken;
}"""


def test_a_file_can_be_dropped_unless_it_is_too_large(page):
    assert page.evaluate(DROP, ["Ada met Bob in Munich.", 1])
    page.locator("mark", has_text="Munich").wait_for()
    assert page.locator(".write.over").count() == 0
    page.evaluate(DROP, ["x", 10 * 2**20 + 1])
    page.get_by_text("dropped.txt is too large for this page, which takes 10 MB.").wait_for()


def test_many_texts_are_stopped_gone_on_with_and_outlive_a_busy_service(visit, stub):
    asked = []

    def handle(route):
        asked.append(len(route.request.post_data.splitlines()))
        if len(asked) == 2:
            error = {"error": {"code": "overloaded", "message": "busy", "request_id": "1"}}
            return route.fulfill(status=503, json=error, headers={"Retry-After": "600"})
        return route.continue_()

    page = visit(stub(), refusals=True, prepare=lambda page: page.route("**/tag/stream", handle))
    choose(page, "lines.jsonl", "".join(json.dumps({"text": f"Ada {n} " + "x" * 900}) + "\n" for n in range(150)))
    page.get_by_text("The service is busy with others. This page asks again in 600").wait_for()
    done = int(page.locator("#many-said").inner_text().split()[0])
    assert done == asked[0] < 150
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped; what is done can be downloaded.").wait_for()
    page.get_by_role("button", name="Go on").click()
    page.locator("#many-said", has_text="150 of 150").wait_for()
    assert sum(asked) - asked[1] == 150, "no text is sent again"
    page.locator("#many").get_by_role("button", name="Close").click()
    assert page.locator("#many").is_hidden()


cells = st.text(st.sampled_from('ab ",;\t\n\r=+-@é🎶'), max_size=6)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=4), separator=st.sampled_from(",;\t")
)
def test_csv_is_read_and_written_as_python_does(function, rows, separator):
    written = io.StringIO()
    csv.writer(written, delimiter=separator).writerows(rows)
    assert function("csv.js", "parseCsv")(written.getvalue(), separator) == rows
    safe = [[f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell for cell in row] for row in rows]
    back = function("csv.js", "writeCsv")(rows).removeprefix("\ufeff")
    assert list(csv.reader(io.StringIO(back, newline=""))) == safe


def test_of_two_files_the_later_one_has_the_word(page):
    page.evaluate(
        """() => {
            const read = Blob.prototype.arrayBuffer;
            Blob.prototype.arrayBuffer = async function () {
                if (this.name.startsWith("slow")) await new Promise((done) => setTimeout(done, 500));
                return read.call(this);
            };
        }"""
    )
    for slow in (b"\xff\xfe\xff", b"Ada met Bob in Oslo."):
        choose(page, "slow.txt", slow)
        choose(page, "good.txt", "Ada met Bob in Madrid.")
        page.locator("#notice", has_text="good.txt is in the box.").wait_for()
        page.wait_for_timeout(1000)
        assert page.locator("#notice").inner_text() == "good.txt is in the box."
        assert page.get_by_label("Your text").input_value() == "Ada met Bob in Madrid."
