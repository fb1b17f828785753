"""A text in another script than that of the model's language is noticed, and a foreign name in a text is not."""

import pytest

from fenestra.model.text.language import _FOLDER
from fenestra.model.text.scripts import SAMPLE, other_script, script_of

RUSSIAN = "Анна Соколова переехала из Казани во Владивосток."
ENGLISH = "Ada Lovelace moved from London to Munich."


@pytest.mark.parametrize(
    ("text", "code", "script"),
    [
        (RUSSIAN, "en", "Cyrillic"),
        (RUSSIAN.split(), "de", "Cyrillic"),
        (ENGLISH, "ru", "Latin"),
        (ENGLISH.split(), "ru", "Latin"),
        ("Η Αθήνα είναι η πρωτεύουσα της Ελλάδας", "en", "Greek"),
        ("東京都は日本の首都であり、世界最大の都市圏を形成している", "en", "Chinese"),
        ("ירושלים היא עיר הבירה של מדינת ישראל", "es", "Hebrew"),
        ("ꦲꦏ꧀ꦱꦫꦗꦮꦲꦏ꧀ꦱꦫꦗꦮꦲꦏ꧀ꦱꦫꦗꦮ", "en", "of another script"),
        (f"{RUSSIAN} Ada", "en", "Cyrillic"),
    ],
)
def test_a_text_of_another_script_is_noticed(text, code, script):
    assert other_script(text, code) == script


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (ENGLISH, "en"),
        (RUSSIAN, "ru"),
        (ENGLISH, "xx"),
        ("", "en"),
        ([], "en"),
        ("Yesterday Анна Соколова moved from Казань to Владивосток by the train of six.", "en"),
        ("Вчера Google и Microsoft Research объявили о совместном проекте в Казани.", "ru"),
        ("Анна Соколова", "en"),
        ("Google Chrome", "ru"),
        ("ᴛᴏᴅᴀʏ ᴏɴʟʏ: ғʀᴇᴇ ᴄᴏғғᴇᴇ ᴀᴛ ᴏᴜʀ ʟᴏɴᴅᴏɴ sʜᴏᴘ, ᴄᴏᴍᴇ ᴇᴀʀʟʏ", "en"),
        ("Ελλάς", "en"),
        ("2024: 15 µm², ½ – “…” ©®™ ℃ ∑ → ☃ 😀 " * 5, "en"),
        ("2024: 15 %, № 7 «…»" * 5, "ru"),
        ("Łódź, Kraków, Chișinău, Đà Nẵng, Åre, Ærø, Þingvellir, ŒUVRE, İzmir, Ǆ", "en"),
        ("ＦＵＬＬ ＷＩＤＴＨ ＬＥＴＴＥＲＳ ＯＦ ＬＡＴＩＮ", "en"),
        ("Њ, Ђ, Ғ, Ө, Ү, Қ, Ұ, Ї, Є, Ў", "uk"),
    ],
)
def test_a_text_that_fits_or_tells_nothing_is_not(text, code):
    assert other_script(text, code) is None


def test_the_beginning_of_a_long_text_tells():
    assert other_script("." * SAMPLE + RUSSIAN, "en") is None
    assert other_script(RUSSIAN + ENGLISH * 1000, "en") is None
    assert other_script(RUSSIAN * 1000, "en") == "Cyrillic"


def test_every_language_that_comes_along_has_its_script():
    codes = [path.stem for path in _FOLDER.glob("*.json")]
    assert {code: script_of(code) for code in codes} == {**dict.fromkeys(codes, "Latin"), "ru": "Cyrillic"}
