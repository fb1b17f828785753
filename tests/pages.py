"""What a page types into Python gives what the page shows."""

import doctest
import re


def type_in(page, name):
    """Type in the Python of a page, and fail where something else comes out than it shows."""
    typed = "".join(re.findall(r"^```python\n(>>> .*?)^```", page, re.MULTILINE | re.DOTALL))
    session = doctest.DocTestParser().get_doctest(typed, {}, name, name, 0)
    assert session.examples
    assert doctest.DocTestRunner(verbose=False).run(session).failed == 0
