"""Clients, reloads and signals in any order, against the real service over real sockets.

Of every sequence it is asserted that each request that was sent to its end gets exactly one complete answer, in order;
that the answer is, to the byte, that of a model which may have been served meanwhile; that the queue stays within its
limit; and that in the end nothing is left: no connection, no task, no descriptor, no queued request.
"""

import json
import signal
import sys
import time
from itertools import chain, pairwise
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.errors import StopTest, UnsatisfiedAssumption
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from benchmarks.stateful.client import Client, Expected, Response
from benchmarks.stateful.service import MAX_WAITING, NAME
from benchmarks.stateful.world import BODIES, BROKEN, GOOD, WRONG, World
from benchmarks.wire import chunked, post
from fenestra.app.codes import STATUS

LEAST_CLIENTS, MOST_CLIENTS = 3, 8
PIPELINED = 6
_RELOAD_SECONDS = 20.0  # until a reload counts as lost
_NDJSON = {"Content-Type": "application/x-ndjson"}
_RELOAD = post(b"", path=f"/models/{NAME}/reload")
_TOO_LARGE = post(b'{"text":"' + b"x" * 250_000 + b'"}')
_MALFORMED = b"POST /tag HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12"

bodies = st.sampled_from(sorted(BODIES))
picks = st.integers(0, MOST_CLIENTS - 1)
cuts = st.lists(st.integers(0, 400), min_size=1, max_size=3)


class ServiceMachine(RuleBasedStateMachine):
    """One sequence."""

    world: ClassVar[World]
    sequences: ClassVar[int] = 0
    """That came to their ends, or to a violation."""
    violations: ClassVar[list[tuple[int, str]]] = []
    """The first: the number of its sequence, and what was wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: list[Client] = []
        self.disk = self.due = ""
        self.may_stop = self.loose = False
        self.gone = 0
        """Clients that left requests behind: it takes a moment until these leave the queue."""

    @initialize(sixth=st.integers(0, 5), folder=st.sampled_from(GOOD))
    def begin(self, sixth: int, folder: str) -> None:
        """Few sequences stop the service, which takes longer than all else."""
        self.may_stop = sixth == 3
        self.possible = {self.world.version()}
        self._put(folder)

    # ── clients ──

    @invariant()
    def others_come(self) -> None:
        """For those that have left, others come: also in a sequence without any other way to connect."""
        while len(self.clients) < MOST_CLIENTS and sum(not client.last for client in self.clients) < LEAST_CLIENTS:
            self.clients.append(Client(self.world.service.port))

    @precondition(lambda self: len(self.clients) < MOST_CLIENTS)
    @rule(slow=st.booleans())
    def connect(self, slow: bool) -> None:
        """A client comes."""
        self.clients.append(Client(self.world.service.port, slow=slow))

    @precondition(lambda self: self._speakers())
    @rule(pick=picks, name=bodies, in_chunks=st.booleans())
    def ask(self, pick: int, name: str, in_chunks: bool) -> None:
        """A client asks, perhaps while earlier requests are not answered yet."""
        self._choose(pick, self._speakers()).begin([_request(name, in_chunks=in_chunks)], self._tag(name))

    @precondition(lambda self: self._speakers())
    @rule(pick=picks, name=bodies, at=cuts, in_chunks=st.booleans(), expects=st.booleans())
    def begin_to_ask(self, pick: int, name: str, at: list[int], in_chunks: bool, expects: bool) -> None:
        """A client sends the beginning of a request, cut anywhere."""
        headers = {"Expect": "100-continue"} if expects else {}
        raw = _request(name, in_chunks=in_chunks, headers=headers)
        expected = self._tag(name)
        expected.closes = expects  # whoever waits for 100 may be answered instead, and then send the body or not
        self._choose(pick, self._speakers()).begin(_cut(raw, at), expected)

    @precondition(lambda self: self._speakers())
    @rule(
        pick=picks, names=st.lists(bodies | st.sampled_from(["long", *sorted(WRONG)]) | st.none(), max_size=12), at=cuts
    )
    def begin_a_stream(self, pick: int, names: list[str | None], at: list[int]) -> None:
        """A client sends the beginning of a stream of lines, some of them wrong or empty."""
        head, _, coded = _stream(names, at).partition(b"\r\n\r\n")
        self._choose(pick, self._speakers()).begin([head + b"\r\n\r\n", *_cut(coded, at)], self._stream(names))

    @precondition(lambda self: self._speakers())
    @rule(pick=picks, names=st.lists(bodies, min_size=MAX_WAITING, max_size=2 * MAX_WAITING), leaves=st.booleans())
    def stream(self, pick: int, names: list[str | None], leaves: bool) -> None:
        """A client sends a whole stream, of more lines than there is room for; others ask, and it may be gone then."""
        client = self._choose(pick, self._speakers())
        client.begin([_stream(names, [])], self._stream(names))
        for other in self._speakers():
            if other is not client:
                other.begin([_request("text")], self._tag("text"))
        if leaves:
            self._hang_up(client, reset=True)

    @precondition(lambda self: self._half_sent())
    @rule(pick=picks)
    def go_on(self, pick: int) -> None:
        """A client sends the next piece of its request."""
        self._choose(pick, self._half_sent()).go_on()

    @precondition(lambda self: self._speakers())
    @rule(pick=picks, name=st.sampled_from(sorted(WRONG)))
    def ask_wrongly(self, pick: int, name: str) -> None:
        """A client sends a body that is refused."""
        body, code = WRONG[name]
        self._choose(pick, self._speakers()).begin([post(body)], self._refused(code))

    @precondition(lambda self: self._speakers())
    @rule(pick=picks, too_large=st.booleans())
    def ask_what_ends_the_connection(self, pick: int, too_large: bool) -> None:
        """A client sends what is no HTTP, or too much: the refusal arrives whole, and is the last answer."""
        raw, code = (_TOO_LARGE, "too_large") if too_large else (_MALFORMED, "bad_request")
        expected = self._refused(code)
        expected.closes = True
        self._choose(pick, self._speakers()).begin([raw], expected)

    @precondition(lambda self: len(self._speakers()) > 2)
    @rule(name=bodies)
    def ask_all_at_once(self, name: str) -> None:
        """Every client asks."""
        for client in self._speakers():
            client.begin([_request(name)], self._tag(name))

    @precondition(lambda self: self._waiting())
    @rule(pick=picks)
    def read(self, pick: int) -> None:
        """A client reads one answer."""
        self._read(self._choose(pick, self._waiting()))

    @precondition(lambda self: self._waiting())
    @rule(pick=picks, size=st.integers(1, 5000))
    def sip(self, pick: int, size: int) -> None:
        """A client reads a few bytes."""
        self._choose(pick, self._waiting()).sip(size)

    @precondition(lambda self: self.clients)
    @rule(pick=picks, reset=st.booleans())
    def hang_up(self, pick: int, reset: bool) -> None:
        """A client is gone, whatever was going on."""
        self._hang_up(self._choose(pick, self.clients), reset=reset)

    @precondition(lambda self: [client for client in self.clients if not client.last])
    @rule(pick=picks)
    def half_close(self, pick: int) -> None:
        """A client says that this was all: what it has sent to its end is answered, then the connection ends."""
        client = self._choose(pick, [client for client in self.clients if not client.last])
        broken_off = bool(client.unsent)
        self.gone += broken_off
        client.half_close()
        while client.expected:
            self._read(client)
        if broken_off:
            client.rest()  # a refusal, the answered part of a stream, or nothing
        elif client in self.clients:
            assert client.read() is None, "an answer to nothing"
        self._leave_alone(client)

    # ── the operator ──

    @precondition(lambda self: len(self._speakers()) > 1)
    @rule(folder=st.sampled_from(GOOD), name=bodies)
    def reload_amid_requests(self, folder: str, name: str) -> None:
        """Another model takes the place of the one that many are asking."""
        self._put(folder)
        first, *others = self._speakers()
        self._ask_to_reload(first)
        for client in others:
            for each in ("long", name):
                client.begin([_request(each)], self._tag(each))

    @rule(folder=st.sampled_from([*GOOD, *GOOD, BROKEN]))
    def put(self, folder: str) -> None:
        """Another model is put into the folder."""
        self._put(folder)

    @precondition(lambda self: self._speakers())
    @rule(pick=picks, folder=st.none() | st.sampled_from([*GOOD, BROKEN]))
    def reload(self, pick: int, folder: str | None) -> None:
        """A client asks for a reload, perhaps of what has just been put there."""
        if folder:
            self._put(folder)
        self._ask_to_reload(self._choose(pick, self._speakers()))

    @rule()
    def hang_up_on_a_reload(self) -> None:
        """Several ask for a reload and are gone at once."""
        self._may_be_served()
        self.loose = True
        for _ in range(3):
            client = Client(self.world.service.port)
            client.begin([_RELOAD], Expected(self._check_reload, reload=True))
            client.hang_up(reset=False)

    @rule(folder=st.none() | st.sampled_from(GOOD), waits=st.booleans())
    def hang_up_signal(self, folder: str | None, waits: bool) -> None:
        """SIGHUP reloads every model, and costs nobody an answer."""
        if folder:
            self._put(folder)
        self._may_be_served()
        self.loose = True
        self.due = "" if self.disk == BROKEN else self.disk
        self.world.service.signal(signal.SIGHUP)
        for _ in range(2):  # two turns of the loop: the signal is seen before the service can pass for settled
            self.world.version()
        if folder and waits:
            self._wait_for_version(self.world.version_of[folder])

    @rule()
    def user_signal(self) -> None:
        """SIGUSR1 does nothing."""
        self.world.service.signal(signal.SIGUSR1)

    @precondition(lambda self: self.may_stop)
    @rule(finish=st.booleans())
    def stop_and_start(self, finish: bool) -> None:
        """SIGTERM: what was accepted is answered, the process ends with 0, and the next one serves what is there."""
        self.may_stop = False
        assert self.world.service.state().deepest <= MAX_WAITING
        for client in self._speakers():
            client.begin([_request("long")], self._tag("long"))
        self.world.service.signal(signal.SIGTERM)
        for client in tuple(self.clients):
            while client.unsent and finish:
                client.go_on()
            self._read_to_the_end(client)
        code = self.world.service.exit_code()
        assert code == 0, f"exit code {code}"
        if self.disk == BROKEN:
            self._put(GOOD[0])
        self.world.restart()
        self.loose, self.due = False, ""
        self.possible = {self.world.version_of[self.disk]}

    def _wait_for_version(self, version: str) -> None:
        end = time.monotonic() + _RELOAD_SECONDS
        while self.world.version() != version:
            assert time.monotonic() < end, "SIGHUP has not reloaded the model"
            time.sleep(0.005)

    # ── in the end ──

    def teardown(self) -> None:
        """Everybody reads what is due to them and leaves; nothing stays behind."""
        error = sys.exc_info()[1]
        cut_short = isinstance(error, StopTest | UnsatisfiedAssumption)  # no rule was left that could go on
        type(self).sequences += not cut_short
        if error is not None and not cut_short:  # a step has failed
            self._abandon(error)
            return
        try:
            self._leave()
        except BaseException as error:
            self._abandon(error)
            raise

    def _leave(self) -> None:
        for client in tuple(self.clients):
            while client in self.clients and client.expected and not (client.unsent or client.slow):
                self._read(client)
            self._hang_up(client, reset=client.slow)
        state, idle = self.world.settled(), self.world.idle
        assert state.deepest <= MAX_WAITING, f"{state.deepest} requests in the queue"
        assert state._replace(deepest=0) == idle._replace(deepest=0), f"left open: {state}, when idle {idle}"
        if self.disk:
            version = self.world.version()
            assert version in self.possible, "another model than any that was put there"
            assert version == self.world.version_of.get(self.due, version), "SIGHUP has not reloaded the model"

    def _abandon(self, error: BaseException) -> None:
        """Note what was wrong, and begin anew: after a violation nobody knows what the service holds."""
        if not self.violations:
            type(self).violations = [(self.sequences, f"{type(error).__name__}: {error}")]
        for client in self.clients:
            client.hang_up(reset=True)
        self.world.heal()

    # ── what has to come back ──

    def _tag(self, name: str) -> Expected:
        return Expected(
            lambda expected, response: self._check_tag(expected, response, name),
            {*self.possible},
            crowded=self._is_crowded(),
        )

    def _stream(self, names: list[str | None]) -> Expected:
        return Expected(
            lambda expected, response: self._check_stream(expected, response, names),
            {*self.possible},
            crowded=self._is_crowded(),
        )

    def _is_crowded(self) -> bool:
        """Whether the queue may be full with one request more: a client has one in it, or two lines of a stream.

        If so, whatever is not answered yet may be refused, too.
        """
        asking = sum(bool(client.expected or client.unsent) for client in self.clients)
        crowded = asking + self.gone >= MAX_WAITING - 1
        for expected in self._due():
            expected.crowded |= crowded
        return crowded

    def _check_tag(self, expected: Expected, response: Response, name: str) -> None:
        if response.status == 503 and expected.crowded:
            assert response.headers.get("retry-after"), "503 without Retry-After"
            return
        assert response.status == 200, (name, response)
        version = json.loads(response.body)["model"]["version"]
        assert version in expected.versions, f"version {version}, expected one of {expected.versions}"
        assert response.body == self.world.answers[version, name], f"{name}: other bytes than those of {version}"

    def _check_stream(self, expected: Expected, response: Response, names: list[str | None]) -> None:
        assert response.status == 200, response
        lines = response.body.splitlines(keepends=True)
        numbered = [(number, name) for number, name in enumerate(names, start=1) if name]
        if lines and b'"not_ready"' in lines[-1] and expected.closes:  # the service stops: the rest is to be sent again
            numbered = numbered[: len(lines) - 1]
            lines.pop()
        assert len(lines) == len(numbered), f"{len(lines)} lines for {len(numbered)}"
        for line, (number, name) in zip(lines, numbered, strict=True):
            told = json.loads(line)
            assert told["line"] == number
            if name in WRONG:
                code = WRONG[name][1]
                assert told["error"]["code"] == code, (code, name, told)
                continue
            assert "model" in told, (name, told)
            version = told["model"]["version"]
            assert version in expected.versions
            assert line == b'{"line":%d,' % number + self.world.answers[version, name][1:] + b"\n", "another line"

    def _refused(self, code: str) -> Expected:
        def check(expected: Expected, response: Response) -> None:
            if response.status == 503 and expected.crowded:
                return
            error = json.loads(response.body).get("error", {})
            assert (response.status, error.get("code")) == (STATUS[code], code), (code, response)
            assert set(error) == {"code", "message", "request_id"}

        return Expected(check, crowded=self._is_crowded())

    def _check_reload(self, expected: Expected, response: Response) -> None:
        if response.status == 409:
            assert BROKEN in expected.disks or len(expected.disks) > 1, "a good model was refused"
            return
        if response.status == 503:
            asking = sum(other.reload for client in self.clients for other in client.expected)
            assert expected.closes or self.loose or asking >= MAX_WAITING, response  # it stops, or too many ask
            return
        assert response.status == 200, response
        version = json.loads(response.body)["version"]
        found = {self.world.version_of.get(disk) for disk in expected.disks}
        assert version in found, f"a reload served {version}, expected one of {found}"
        if expected.alone and not self.loose:  # the answer that is read last need not be that of the last reload
            self.possible = {version}

    # ── doing ──

    def _ask_to_reload(self, client: Client) -> None:
        self._may_be_served()
        others = [expected for expected in self._due() if expected.reload]
        for other in others:
            other.alone = False
        mine = Expected(self._check_reload, {*self.possible}, {self.disk}, reload=True, alone=not others)
        client.begin([_RELOAD], mine)

    def _put(self, folder: str) -> None:
        self.world.put(folder)
        self.disk, self.due = folder, ""
        for client in self.clients:
            for expected in client.expected:
                if expected.reload:
                    expected.disks.add(folder)
        if self.loose or any(expected.reload for client in self.clients for expected in client.expected):
            self._may_be_served()

    def _may_be_served(self) -> None:
        """From now on the model in the folder may be the one that answers."""
        if self.disk == BROKEN:
            return
        self.possible = self.possible | {self.world.version_of[self.disk]}
        for expected in self._due():
            expected.versions |= self.possible

    def _due(self) -> list[Expected]:
        """What is to come back, also for requests that have only begun."""
        begun = [client.begun for client in self.clients if client.begun]
        return [*begun, *chain.from_iterable(client.expected for client in self.clients)]

    def _read(self, client: Client) -> None:
        """Read the answer that is due."""
        response = client.read()
        assert response is not None, "a request was accepted and not answered"
        expected = client.expected.popleft()
        expected.check(expected, response)
        # A request that is refused for want of room is not looked at, so that its answer need not say that it ends.
        assert response.closes or not expected.closes or response.status == 503, "this should be the last answer"
        if response.closes:
            assert expected.closes or client.last, "the connection ends without need"
        if expected.closes:
            assert not client.rest(), "more after the last answer"
            self._leave_alone(client)

    def _read_to_the_end(self, client: Client) -> None:
        """Read all that a service that stops has to say: answers in order, the last of which says that it is."""
        closes = not client.expected or bool(client.unsent)
        for number, expected in enumerate(tuple(client.expected)):
            expected.closes = True
            response = client.read()
            if response is None:
                assert number, "a request was accepted and not answered"
                assert closes, "the connection ended without notice"
                break
            expected.check(expected, response)
            closes |= response.closes
        self._leave_alone(client)

    def _hang_up(self, client: Client, *, reset: bool) -> None:
        if any(expected.reload for expected in client.expected):
            self.loose = True
        self.gone += bool(client.expected or client.unsent)
        self._leave_alone(client, reset=reset)

    def _leave_alone(self, client: Client, *, reset: bool = False) -> None:
        """Close a connection, which is no longer part of the sequence."""
        client.hang_up(reset=reset)
        self.clients = [other for other in self.clients if other is not client]

    def _choose(self, pick: int, among: list[Client]) -> Client:
        return among[pick % len(among)]

    def _speakers(self) -> list[Client]:
        """Those that can send a request."""
        return [
            client for client in self.clients if not (client.last or client.unsent or len(client.expected) >= PIPELINED)
        ]

    def _half_sent(self) -> list[Client]:
        return [client for client in self.clients if client.unsent and not client.last]

    def _waiting(self) -> list[Client]:
        return [client for client in self.clients if client.expected]


def _request(name: str, *, in_chunks: bool = False, headers: dict[str, str] | None = None) -> bytes:
    body = json.dumps(BODIES[name]).encode()
    half = len(body) // 2
    return chunked([body[:half], body[half:]], headers) if in_chunks else post(body, headers)


def _stream(names: list[str | None], at: list[int]) -> bytes:
    """A request to tag lines, in chunks cut at these places."""
    lines = b"".join(_line(name) + b"\n" for name in names)
    return chunked([piece for piece in _cut(lines, at) if piece], _NDJSON, path="/tag/stream")


def _line(name: str | None) -> bytes:
    if name is None:
        return b""
    return WRONG[name][0] if name in WRONG else json.dumps(BODIES[name]).encode()


def _cut(raw: bytes, at: list[int]) -> list[bytes]:
    """Cut into pieces that are not empty."""
    places = sorted({place * len(raw) // 400 for place in at} | {0, len(raw)})
    return [raw[begin:end] for begin, end in pairwise(places)]
