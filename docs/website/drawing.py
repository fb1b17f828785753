"""Small SVG pictures that are read by day and by night, and told to those who do not see them."""

from collections.abc import Sequence
from html import escape

_STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#20262b}"
    ".small{font-size:11px}.soft{fill:#5a646b}.head{font-weight:600}.mono{font-family:ui-monospace,monospace}"
    ".line{stroke:#8d8a80;stroke-width:1;fill:none}.grid{stroke:#dfdad0;stroke-width:1;fill:none}"
    ".box{fill:#f7f5f0;stroke:#8d8a80}.ours{fill:#1f6f78;stroke:none}.curve{fill:none;stroke-width:2}"
    ".a{stroke:#1f6f78}.b{stroke:#b5651d}.c{stroke:#7a5195}.d{stroke:#8d8a80}"
    ".fa{fill:#1f6f78}.fb{fill:#b5651d}.fc{fill:#7a5195}.fd{fill:#8d8a80}.on{fill:#fff}.dash{stroke-dasharray:4 4}"
    "@media(prefers-color-scheme:dark){text{fill:#e7e6e1}.soft{fill:#a2adb3}.line{stroke:#6d7980}.grid{stroke:#333b41}"
    ".box{fill:#1c2226;stroke:#6d7980}.ours{fill:#6cc5cf}.a{stroke:#6cc5cf}.b{stroke:#f0a868}.c{stroke:#c8a2e0}"
    ".d{stroke:#a2adb3}.fa{fill:#6cc5cf}.fb{fill:#f0a868}.fc{fill:#c8a2e0}.fd{fill:#a2adb3}.on{fill:#14181b}}"
)


class Picture:
    """A picture of a width and a height in pixels."""

    def __init__(self, width: int, height: int, title: str, about: str) -> None:
        self.width, self.height = width, height
        self._head = f"<title>{escape(title)}</title><desc>{escape(about)}</desc><style>{_STYLE}</style>"
        self._label = escape(f"{title}. {about}", quote=True)
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, *, style: str = "", anchor: str = "start") -> None:
        """Words whose baseline is at y; ``anchor`` says which end of them is at x: start, middle or end."""
        self._parts.append(
            f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, style: str = "box") -> None:
        """A rectangle."""
        self._parts.append(
            f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"/>'
        )

    def line(self, points: Sequence[tuple[float, float]], style: str = "line") -> None:
        """A line through points."""
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._parts.append(f'<path class="{style}" d="M{path}"/>')

    def dot(self, x: float, y: float, style: str, radius: float = 3.5) -> None:
        """A filled circle."""
        self._parts.append(f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')

    def svg(self) -> str:
        """The whole file."""
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        body = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{self._label}">'
            f"{self._head}\n{body}\n</svg>\n"
        )


class Axes:
    """Two scales on a picture: from values to pixels, with ticks and a grid."""

    def __init__(
        self, picture: Picture, place: tuple[float, float, float, float], x: Sequence[float], y: Sequence[float]
    ) -> None:
        """Args: the picture; left, top, right and bottom in pixels; the ends of each scale."""
        self.picture = picture
        self.left, self.top, self.right, self.bottom = place
        self.x, self.y = x, y

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point is, in pixels."""
        along = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + along * (self.right - self.left), self.bottom - up * (self.bottom - self.top)

    def ticks(self, x: Sequence[tuple[float, str]], y: Sequence[tuple[float, str]]) -> None:
        """Lines of a grid for y, numbers for both."""
        for value, name in y:
            _, height = self.at(self.x[0], value)
            self.picture.line([(self.left, height), (self.right, height)], "grid")
            self.picture.text(self.left - 8, height + 4, name, style="small soft", anchor="end")
        for value, name in x:
            self.picture.text(self.at(value, self.y[0])[0], self.bottom + 18, name, style="small soft", anchor="middle")

    def curve(self, points: Sequence[tuple[float, float]], letter: str, *, dots: bool = True) -> None:
        """A curve in the colour of a letter from a to d."""
        places = [self.at(*point) for point in points]
        self.picture.line(places, f"curve {letter}")
        for place in places if dots else ():
            self.picture.dot(*place, f"f{letter}")
