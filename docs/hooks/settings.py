"""Writes the page of every setting from the models that check them, whenever the site is built."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter

from bandits import RewardPrior
from embeddings.training.config import AdapterTraining
from experiments.campaigns.config import PolicyConfig, PriorConfig
from experiments.campaigns.policies import policy_classes
from experiments.simulation.config import RunConfig
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.training.editor import EditorTraining
from experiments.training.tiny.train import TinyConfig
from experiments.training.writer.config import WriterTraining
from generator.brand_book import BrandBook
from generator.record import ProductRecord
from generator.settings import meanings

if typing.TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PAGE = "settings.md"
_INTRODUCTION = """# Settings

Every setting of every YAML file. This page is written from the models that check the files, so it cannot lag behind
them. Unknown keys are errors, and the message names those that are allowed. `runs/quickstart/config.yaml`, and the same
file of any other run, holds all settings as they were resolved.
"""
FILES: dict[str, tuple[type, ...]] = {
    "A study: `copyloom simulate --config`": (RunConfig,),
    "A slot of a storefront: `copyloom slots open --config`, and what `copyloom slots set` changes": (
        SlotConfig,
        SlotSettings,
    ),
    "A product record: `--subject`": (ProductRecord,),
    "Brand rules of a storefront: `copyloom brand set`": (BrandBook,),
    "Training an adapter: `copyloom train adapter --config`": (AdapterTraining,),
    "Training the shipped models, from a source checkout: `copyloom train ... --config`": (
        WriterTraining,
        EditorTraining,
        TinyConfig,
    ),
}
"""What each file holds; the models inside these are found through their fields."""
_EXPLAINED_BY: dict[type, type] = {PriorConfig: RewardPrior}
"""Models that leave the meaning of their fields to another class."""
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_LENGTHS = {"minLength": "≥ {} characters", "maxLength": "≤ {} characters", "minItems": "≥ {} of them",
            "maxItems": "≤ {} of them"}  # fmt: skip


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Return the page as Markdown."""
    parts, seen = [_INTRODUCTION], set[type]()
    for title, roots in FILES.items():
        parts.append(f"## {title}\n")
        for root in roots:
            parts += [_section(model) for model in _nested(root, seen)]
    return "\n".join(parts)


def _nested(model: type, seen: set[type]) -> Iterator[type]:
    """Yield a model and those inside it, each once."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for annotation in _annotations(model).values():
        for inner in _classes(annotation):
            yield from _nested(inner, seen)


def _annotations(model: type) -> dict[str, Any]:
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    hints = typing.get_type_hints(model)
    return {field.name: hints[field.name] for field in dataclasses.fields(model)}


def _classes(annotation: Any) -> Iterator[type]:
    """Yield the models in a type."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _classes(argument)


def _section(model: type) -> str:
    """Return the heading, the summary and the table of a model."""
    schema = TypeAdapter(model).json_schema()
    definitions = schema.get("$defs", {})
    schema = definitions.get(model.__name__, schema)
    said = (meanings(other) if (other := _EXPLAINED_BY.get(model)) else {}) | meanings(model)
    required = schema.get("required", ())
    told = dict[str, str]()
    rows = ["| setting | type | default | allowed | meaning |", "|---|---|---|---|---|"]
    for name, field in schema["properties"].items():
        default = "must be given" if name in required else _default(field, definitions)
        meaning = said.get(name) or field.get("description") or _inner_summary(field, definitions)
        first = told.setdefault(meaning, name)
        meaning = meaning if first == name or not meaning else f"see `{first}`"
        cells = [f"`{name}`", _kind(field), default, _allowed(field), meaning]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    more = _policies() if model is PolicyConfig else ""
    return f"### {model.__name__}\n\n{_summary(model)}\n\n" + "\n".join(rows) + f"\n{more}"


def _policies() -> str:
    """Return the table of policies."""
    rows = ["| name | class in Python | what it does |", "|---|---|---|"]
    for name, policy in policy_classes().items():
        rows.append(
            f"| `{name}` | `{policy.__module__}.{policy.__name__}` | {_summary(policy).partition(chr(10))[0]} |"
        )
    return (
        "\nIn YAML and in Python the policies are called as follows; in YAML, underscores do for hyphens.\n\n"
        + "\n".join(rows)
        + "\n\n`holdout` makes a [`bandits.Holdout`](api/bandits/policies.md) of any of them.\n"
    )


def _inner_summary(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return the first line of what the settings inside a field are; nothing where it is a plain value."""
    for option in field.get("anyOf", [field]):
        if "$ref" in option:
            text = definitions[option["$ref"].rpartition("/")[2]].get("description", "")
            return str(text).partition("\n\n")[0].replace("\n", " ")
    return ""


def _summary(model: type) -> str:
    """Return the text of a docstring before its sections."""
    return re.split(r"\n\n\w+\n-+\n", inspect.getdoc(model) or "")[0]


def _kind(field: dict[str, Any]) -> str:
    """Return the type of a field, in words."""
    if "anyOf" in field:
        kinds = [_kind(option) for option in field["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in field or "const" in field:
        return "a name"
    if field.get("type") == "array":
        inner = [_kind(field["items"])] if "items" in field else [_kind(each) for each in field.get("prefixItems", ())]
        return "list of " + ", ".join(inner)
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false",
             "object": "mapping"}  # fmt: skip
    return "path" if field.get("format") == "path" else words.get(field.get("type", ""), "")


def _allowed(field: dict[str, Any]) -> str:
    """Return what values a field takes."""
    options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    found = []
    for option in [*options, *(option["items"] for option in options if "items" in option)]:
        found += [f"{sign} {option[key]:g}" for key, sign in _BOUNDS.items() if key in option]
        found += [words.format(option[key]) for key, words in _LENGTHS.items() if key in option]
        found += [", ".join(f"`{name}`" for name in option.get("enum", ()))]
    return ", ".join(dict.fromkeys(filter(None, found)))


def _default(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return the default of a field; of settings inside it, what differs from their own defaults."""
    value = field.get("default")
    if isinstance(value, dict) and "$ref" in field:
        inner = definitions[field["$ref"].rpartition("/")[2]]["properties"]
        differs = [
            f"{name}: {json.dumps(given)}" for name, given in value.items() if given != inner[name].get("default")
        ]
        return f"`{', '.join(differs)}`" if differs else "as below"
    return "none" if value in (None, [], "", {}) else f"`{json.dumps(value, ensure_ascii=False)}`"
