"""Words made up of syllables, as many different ones as are asked for."""

_CONSONANTS, _VOWELS, _SEVENTH = "bdfgklmnprstvz", "aeiou", 7


def word(number: int) -> str:
    """A word of its own for every number; every seventh has a capital.

    >>> word(0), word(1), word(6), word(70)
    ('ba', 'be', 'De', 'baba')
    """
    left, syllables = number, []
    while left >= 0:
        left, rest = divmod(left, len(_CONSONANTS) * len(_VOWELS))
        syllables.append(_CONSONANTS[rest // len(_VOWELS)] + _VOWELS[rest % len(_VOWELS)])
        left -= 1
    spelt = "".join(reversed(syllables))
    return spelt.capitalize() if number % _SEVENTH == _SEVENTH - 1 else spelt
