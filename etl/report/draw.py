"""What Vega-Lite is to draw -> SVG that stands in a page: no style, no script, no address."""

import functools
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from etl.errors import ConfigError

SVG = "http://www.w3.org/2000/svg"
DROPPED = ("role", "aria-roledescription", "aria-hidden", "pointer-events", "class", "style")


def draw_svg(spec: Mapping[str, Any], title: str) -> str:
    """A drawing as wide as the place where it stands. Raises ConfigError without the library."""
    convert = load_converter()
    return tidy_svg(convert(dict(spec)), title)


@functools.cache
def load_converter() -> Any:
    """What turns Vega-Lite into SVG: an optional part of this program."""
    try:
        import vl_convert
    except ModuleNotFoundError:
        raise ConfigError(
            'the report is drawn with vl-convert-python; run: pip install "etl-executions[report]"'
        ) from None
    return vl_convert.vegalite_to_svg


def tidy_svg(drawn: str, title: str) -> str:
    """Texts to hover on as titles, one name for the whole, and nothing else but the drawing."""
    # The text comes from the library, not from outside, and has neither DTD nor entities.
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(drawn)
    for element in list(root.iter()):
        text = element.attrib.pop("aria-label", None)
        for name in DROPPED:
            element.attrib.pop(name, None)
        if text is not None and element.tag == f"{{{SVG}}}path":
            ElementTree.SubElement(element, f"{{{SVG}}}title").text = text
    for name in ("version", "width", "height"):
        root.attrib.pop(name, None)
    root.attrib.update({"role": "img", "aria-label": title})
    return re.sub(r' xmlns(:\w+)?="[^"]*"', "", ElementTree.tostring(root, encoding="unicode"))
