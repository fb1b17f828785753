"""Teaching the model from the page, against a stand-in for the routes of a service that learns."""

import json

import pytest

IDLE = {
    "model": "english", "state": "idle", "corrections": 0, "serves": {"version": "old", "learned": False}, "undo": None,
    "started": None, "seconds": None, "stage": None, "version": None, "reason": None, "figures": None,
}  # fmt: skip
FIGURES = {
    "corrections": 1, "labels": ["PER"], "held_out": None,
    "learned": {"before": {"precision": 0, "recall": 0, "f1": 0.25}, "after": {"precision": 1, "recall": 1, "f1": 1.0}},
    "elsewhere": {"texts": 1200, "lost": 0.12, "bound": 0.5},
}  # fmt: skip


class Teacher:
    """The service's side of it, one state after the other."""

    def __init__(self):
        self.status = IDLE
        self.kept = []
        self.asked = []
        self.then = []

    def __call__(self, route):
        request = route.request
        what = request.url.split("/models/english/")[1].split("?")[0]
        self.asked.append(f"{request.method} {what}")
        if what == "corrections" and request.method == "POST":
            self.kept.append({"id": "a1", **request.post_data_json})
            return route.fulfill(status=201, json=self.kept[-1])
        if what == "corrections":
            return route.fulfill(json={"total": len(self.kept), "corrections": self.kept})
        if what.startswith("corrections/"):
            return route.fulfill(json=self.kept.pop())
        if what == "learn" and request.method == "POST":
            self.status = IDLE | {"state": "running", "stage": "learning", "seconds": 1.2}
        elif what == "learn" and request.method == "DELETE":
            self.status = IDLE | {"state": "cancelled"}
        elif what == "learn" and self.then:
            self.status = self.then.pop(0)
        elif what == "undo":
            self.status = IDLE
        return route.fulfill(json=self.status)


@pytest.fixture
def teacher():
    return Teacher()


@pytest.fixture
def page(visit, stub, teacher):
    page = visit(stub(), prepare=lambda page: page.route("**/models/english/**", teacher))
    page.locator("#models option").first.wait_for(state="attached")
    page.locator("#marked mark").first.wait_for()
    page.get_by_role("button", name="Correct the names").click()
    page.get_by_role("button", name="Teach english").wait_for()
    return page


def correct_one(page):
    page.locator("#marked mark").first.click()
    page.locator("#correct").get_by_role("button", name="no name").click()


def test_corrections_are_sent_and_learnt_and_the_figures_shown(page, teacher):
    assert page.get_by_role("button", name="Teach english").is_disabled()
    correct_one(page)
    done = {"state": "done", "seconds": 21.4, "version": "new", "undo": "old", "figures": FIGURES}
    teacher.then = [IDLE | done | {"serves": {"version": "new", "learned": True}}]
    with page.expect_request("**/tag"):
        page.get_by_role("button", name="Teach english").click()
    page.get_by_text("Done, 21 s: version new answers now.").wait_for()
    assert teacher.asked[2:4] == ["POST corrections", "POST learn"]
    assert teacher.kept[0]["offsets"] == "utf16"
    assert {*teacher.kept[0]["entities"][0]} == {"start", "end", "label"}
    table = page.get_by_role("table", name="What was learnt")
    rows = [row.split("\t") for row in table.locator("tbody").inner_text().split("\n")]
    assert [cell.replace("\xa0", " ") for cell in rows[0]] == ["Names in the corrections", "25 %", "100 %"]
    assert rows[-1][-1] == "0.12"
    page.get_by_text("The service keeps 1 correction").click()
    page.locator("#correct li").get_by_role("button", name="Forget").click()
    page.get_by_text("The service keeps").wait_for(state="detached")
    with page.expect_request("**/tag"):
        page.get_by_role("button", name="Back to the model before").click()
    page.get_by_role("button", name="Back to the model before").wait_for(state="detached")


def test_learning_is_cancelled(page, teacher):
    correct_one(page)
    teacher.then = [IDLE | {"state": "running", "stage": "checking", "seconds": 2}] * 50
    page.get_by_role("button", name="Teach english").click()
    page.get_by_text("The model is learning, 1 s.").wait_for()
    page.get_by_text("The model is being checked, 2 s.").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled; the model is as it was.").wait_for()


def test_a_model_that_forgot_too_much_is_served_only_if_a_person_says_so(page, teacher):
    correct_one(page)
    teacher.then = [IDLE | {"state": "refused", "seconds": 9, "reason": "it lost 2.0 points", "figures": FIGURES}]
    page.get_by_role("button", name="Teach english").click()
    page.get_by_text("Not served: it lost 2.0 points").wait_for()
    with page.expect_request(lambda one: one.method == "POST" and one.url.endswith("/learn")) as request:
        page.get_by_role("button", name="Serve it all the same").click()
    assert json.loads(request.value.post_data) == {"force": True}


def test_a_refusal_is_told_where_it_was_asked_for(visit, stub, teacher):
    page = visit(stub(), refusals=True, prepare=lambda page: page.route("**/models/english/**", teacher))
    error = {"error": {"code": "not_installed", "message": "learning needs the extra train", "request_id": "1"}}
    page.route(
        "**/models/english/learn",
        lambda route: teacher(route) if route.request.method == "GET" else route.fulfill(status=501, json=error),
    )
    page.locator("#models option").first.wait_for(state="attached")
    page.locator("#marked mark").first.wait_for()
    page.get_by_role("button", name="Correct the names").click()
    correct_one(page)
    page.get_by_role("button", name="Teach english").click()
    page.get_by_text("learning needs the extra train").wait_for()


@pytest.mark.parametrize("code", ["learning_off", "not_found"])
def test_a_service_that_does_not_learn_offers_nothing(visit, stub, code):
    error = {"error": {"code": code, "message": "off", "request_id": "1"}}
    page = visit(
        stub(), refusals=True,
        prepare=lambda page: page.route("**/models/*/learn", lambda route: route.fulfill(status=404, json=error)),
    )  # fmt: skip
    page.locator("#models option").first.wait_for(state="attached")
    page.locator("#marked mark").first.wait_for()
    with page.expect_response("**/learn"):
        page.get_by_role("button", name="Correct the names").click()
    page.get_by_text("No corrections in this browser yet").wait_for()
    assert page.locator("#correct").get_by_role("button", name="Teach").count() == 0


def test_what_nobody_measured_is_said_to_be_unknown(page, teacher):
    correct_one(page)
    figures = FIGURES | {"elsewhere": {"texts": 0, "lost": None, "bound": 0.5}}
    done = {"state": "done", "seconds": 9, "version": "new", "figures": figures}
    teacher.then = [IDLE | done | {"serves": {"version": "new", "learned": True}}]
    page.get_by_role("button", name="Teach english").click()
    lost = page.get_by_role("table", name="What was learnt").locator("tbody tr").last
    assert lost.inner_text().split("\t")[-1] == "unknown"
