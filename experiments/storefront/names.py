"""In whose name the storefront itself does things: no person and no key is called so."""

from __future__ import annotations

GUARD = "guardrail"
"""Turns a slot off that does harm."""
BRAND = "brand rules"
"""Pauses texts, and takes back approvals, that break rules which were set since."""
AUTOMATIC = "automatic approval"
"""Approves texts where a slot's settings say that nobody needs to."""
OURS = (GUARD, BRAND, AUTOMATIC)
