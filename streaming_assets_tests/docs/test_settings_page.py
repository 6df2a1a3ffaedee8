"""docs/settings.md is what the settings' declarations say."""

import re

from streaming_assets.settings import declared, env_name
from streaming_assets_tests.docs.settings_page import PAGE, page


def test_the_page_is_made_of_the_declarations() -> None:
    again = "make it anew: python -m streaming_assets_tests.docs.settings_page"
    assert PAGE.read_text() == page(), again


def test_each_setting_has_a_row_below_a_subject() -> None:
    listed = re.findall(r"^\| `(STREAMING_ASSETS_\w+)` \|", page(), re.MULTILINE)
    assert listed == [env_name(name) for name in declared()]
    assert page().count("\n## ") == len({setting.subject for setting in declared().values()})
