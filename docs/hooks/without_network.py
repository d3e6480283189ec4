"""Refuses a page that would load anything from elsewhere: the site works without a network."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.exceptions import PluginError

_LOADS = re.compile(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>")


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Return the page as it is."""
    if found := _LOADS.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0][:200]}")
    return output
