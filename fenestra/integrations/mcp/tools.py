"""The two tools of the server, and how their calls share the processor.

A call computes on a thread, a few at a time, and stops within milliseconds of being cancelled. What is wrong with a
call is told in a line that names the argument and never repeats the text.
"""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Annotated, Any, TypeVar

import anyio
from pydantic import Field, ValidationError

from fenestra.extras import missing
from fenestra.integrations.mcp.answers import Answer, Entities, Explanation
from fenestra.model.engine.cores import usable_cores
from fenestra.model.errors import InputError
from fenestra.model.progress import finish
from fenestra.model.results import TokenTable
from fenestra.model.tagger import Tagger
from fenestra.model.version import VERSION

try:
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import CallToolResult, TextContent, ToolAnnotations
except ModuleNotFoundError as error:
    raise missing("mcp", error) from error

T = TypeVar("T")
R = TypeVar("R")

MAX_CHARS = 100_000
"""Most characters of a text, unless told otherwise: as of the service."""
_MAX_WAITING = 64  # calls, besides those that compute
_MAX_ERRORS = 5  # of one call, that are told
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_TAG = """\
Find the named entities (people, places, organisations and the like) in a text: exactly where each one stands, its \
label, and how sure the model is. It runs on this machine, costs nothing, and gives the same answer every time, so \
prefer it to reading through the text when all names are needed, when their positions matter, or before names are \
removed or replaced. It knows the labels {labels}. Pass the text as it is; start and end are indices into it, with \
text[start:end] the name. At most {max_chars:,} characters a call: send a longer text in parts, cut between paragraphs.\
"""
_EXPLAIN = """\
Say why one word of a text got its tag: how much each word around it speaks for or against the tag. Use it to find out \
why tag_entities found, missed or mislabelled a name. Pass the same text, and either `start`, the index of any \
character of the word (an entity's `start` will do), or `token`, the number of the word from 0. With `against` it says \
why the word has its tag and not that one: for a name that was missed, give the label that you expected."""

Text = Annotated[str, Field(description="The text as it is, not trimmed or reformatted.")]
Labels = Annotated[list[str] | None, Field(description="Keep entities with these labels only; all without it.")]
Score = Annotated[float, Field(ge=0, le=1, description="Leave out entities whose score is below; 0 keeps all.")]
Place = Annotated[int | None, Field(ge=0, description="Index of a character of the word, in code points from 0.")]
Number = Annotated[int | None, Field(ge=0, description="Number of the word among all words and signs, from 0.")]
Against = Annotated[str | None, Field(description="A label, such as ORG, or a tag, such as O, to compare with.")]


class Server(MCPServer):
    """A server whose errors are one line each, without what the client sent."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:  # noqa: ANN401
        """Call a tool by its name.

        Raises:
            ToolError: there is no such tool, or something is wrong with the arguments.
        """
        tools = {tool.name: tool for tool in await self.list_tools()}
        if name not in tools:
            raise ToolError(f"no such tool; there are {' and '.join(tools)}")
        known = tools[name].input_schema["properties"]
        if (
            not arguments.keys() <= known.keys()
        ):  # the SDK leaves them out: a filter that is misspelt would filter nothing
            raise ToolError(f"Error executing tool {name}: an argument is unknown; there are {', '.join(known)}")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(f"Error executing tool {name}: {_line(error.__cause__)}") from None
            raise


class Tools:
    """What can be called."""

    def __init__(self, tagger: Tagger, max_chars: int) -> None:
        """Share a tagger among the calls."""
        self._tagger, self._max_chars = tagger, max_chars
        self._threads = anyio.CapacityLimiter(max(usable_cores(), 2))  # a short text need not wait for a long one
        self._calls = 0  # that compute or wait for a thread

    async def tag_entities(
        self, text: Text, labels: Labels = None, min_score: Score = 0.0
    ) -> Annotated[CallToolResult, Entities]:
        """Find the named entities in a text."""
        self._check(text)
        if labels is not None and not set(labels) <= set(self._tagger.labels):
            raise ToolError(f"labels: expected some of {', '.join(self._tagger.labels)}")
        work = self._tagger.work([text])
        return await self._run(work, lambda found: _result(Entities.of(found[0], labels, min_score)))

    async def explain(
        self, text: Text, start: Place = None, token: Number = None, against: Against = None
    ) -> Annotated[CallToolResult, Explanation]:
        """Say why a word got its tag."""
        self._check(text)
        if (start is None) == (token is None):
            raise ToolError("expected exactly one of start and token")
        place = token
        if start is not None:
            place = await self._run(self._tagger.work([text]), lambda found: _token_at(found[0].tokens, start))
        if place is None:
            raise ToolError("start: no word has a character at this index; `start` of an entity has one")
        work = self._tagger.explain_work(text, place, against=against)
        try:
            return await self._run(work, lambda found: _result(Explanation.of(found)))
        except InputError as error:
            raise ToolError(str(error)) from None

    def _check(self, text: str) -> None:
        if len(text) > self._max_chars:
            raise ToolError(f"text: expected at most {self._max_chars:,} characters; send it in parts")

    async def _run(self, work: Generator[object, None, T], use: Callable[[T], R]) -> R:
        """Do some work on a thread, once it is its turn, and make something of what it gives."""
        if self._calls == self._threads.total_tokens + _MAX_WAITING:
            raise ToolError("busy: too many calls are waiting; try again in a second")

        def on_thread() -> R:
            with closing(work):
                return use(finish(work, anyio.from_thread.check_cancelled))

        self._calls += 1
        try:
            return await anyio.to_thread.run_sync(on_thread, limiter=self._threads)
        finally:
            self._calls -= 1


def new_server(tagger: Tagger, *, max_chars: int = MAX_CHARS) -> Server:
    """A server with the two tools, on a tagger that their calls share."""
    tools, labels = Tools(tagger, max_chars), ", ".join(tagger.labels)
    server = Server("fenestra", title="Fenestra: named entities", version=VERSION, log_level="WARNING")
    calls: dict[Callable[..., Any], tuple[str, str]] = {
        tools.tag_entities: ("Find names", _TAG.format(labels=labels, max_chars=max_chars)),
        tools.explain: ("Explain a tag", _EXPLAIN),
    }
    for call, (title, description) in calls.items():
        server.add_tool(call, title=title, description=description, annotations=_READS)
    return server


def _result(answer: Answer) -> CallToolResult:
    """An answer as data, and as text without the spaces that the SDK would put into it."""
    text = TextContent(type="text", text=answer.model_dump_json())
    return CallToolResult(content=[text], structured_content=answer.model_dump())


def _token_at(tokens: TokenTable, start: int) -> int | None:
    """The number of the token that has a character at an index, if there is one."""
    return next((number for number, token in enumerate(tokens) if token.start <= start < token.end), None)


def _line(error: ValidationError) -> str:
    """What is wrong with which argument."""
    told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)]
    return "; ".join(told[:_MAX_ERRORS]).replace("\n", " ")
