"""A start that fails says so in one line.

Servers log what the application gives as the reason of a failed start, and Starlette gives the whole traceback.
For what an operator got wrong, a wrong folder or device, the traceback only hides the sentence that helps.
"""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OURS = re.compile(r"^fenestra\.model\.errors\.\w+: (.+)$", re.MULTILINE)


class BriefStartFailure:
    """Cut the reason of a failed start down to its sentence, if the error is one that Fenestra raises on purpose."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_briefly(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and (found := _OURS.findall(message.get("message", ""))):
                message = {**message, "message": found[-1]}
            await send(message)

        await self._app(scope, receive, send_briefly)
