"""The card of a published dataset, in the manner of the Hugging Face hub: YAML for programs, Markdown for people."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import yaml

from embeddings.dataset import DatasetRecord

_HUB_LICENCES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0"),
    *("cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "odbl", "odc-by", "pddl", "unlicense"),
}
"""Identifiers that the hub knows; any other licence is called "other" there and goes by its name."""


def card(record: DatasetRecord, table: pa.Table) -> str:
    """Return the card of a dataset; `table` has its columns exact, margin and steps."""
    sections = [_front_matter(record), _introduction(record), _facts(record, table), _files(record), _use(record)]
    return "\n".join([*sections, _limits(record)])


def _front_matter(record: DatasetRecord) -> str:
    licence = record.licence.lower().replace(" ", "-")
    known = {"license": licence} if licence in _HUB_LICENCES else {"license": "other", "license_name": record.licence}
    matter = {
        "pretty_name": record.title,
        **known,
        "tags": ["copyloom", "summary-embeddings", "text-inversion"],
        "configs": [{"config_name": "default", "data_files": "texts.parquet"}],
    }
    return f"---\n{yaml.safe_dump(matter, allow_unicode=True, sort_keys=False, width=10_000)}---\n"


def _introduction(record: DatasetRecord) -> str:
    space = record.space
    left_out = "" if record.texts_included else "\nThe texts themselves were left out. The vectors decode to them.\n"
    return f"""# {record.title}

{record.rows:,} texts as summary embeddings. For each text there are

- {space.vectors} vectors of {space.hidden_size} numbers, from which the frozen language model `{space.model}` writes
  the text back by greedy decoding, letter for letter where `exact` is true;
- its sentence vector by `{space.encoder}`: {record.sentence_size} numbers, unit length.
{left_out}
- **Exact:** {record.exact:,} of {record.rows:,} ({record.exact / record.rows:.2%}), as decoded by the publisher.
- **Source of the texts:** {record.source}
- **Licence of the texts:** {record.licence}. The vectors decode to the texts, so it holds for the vectors too.
"""


def _facts(record: DatasetRecord, table: pa.Table) -> str:
    space = record.space
    margins = table["margin"].to_numpy()[np.array(table["exact"].to_pylist(), bool)]
    lead = f"{margins.min():.2f}, {np.median(margins):.2f}" if len(margins) else "no text is exact"
    rows = {
        "language model": f"`{space.model}`",
        "revision": f"`{record.revision}`" if record.revision else "not given; the hash of the parameters tells which",
        "hash of its parameters": f"`{space.parameters}`",
        "hash of its tokenizer": f"`{space.tokenizer}`",
        "hash of the adapter": f"`{space.adapter}`" if space.adapter else "no adapter",
        "sentence encoder": f"`{space.encoder}`",
        "vectors a text (P), hidden size (D), numbers": f"{space.vectors}, {space.hidden_size}, {space.dtype}",
        "decoding": space.decoding,
        "margin of exact texts in logits: least, median": lead,
        "optimisation steps: median": f"{np.median(table['steps'].to_numpy()):g}",
        "published with": f"Copyloom {record.copyloom}",
    }
    lines = [f"| {name} | {value.replace('|', '&#124;')} |" for name, value in rows.items()]
    return "\n".join(["## Model and exactness", "", "| what | value |", "|---|---|", *lines, ""])


def _files(record: DatasetRecord) -> str:
    included = record.texts_included
    text = "the text" if included else "SHA-256 of the text in UTF-8"
    suffix = "" if included else "_sha256"
    return f"""## Files

`texts.parquet`, one row a text:

| column | what |
|---|---|
| `text{suffix}` | {text} |
| `exact` | whether the vectors decode to the text, letter for letter |
| `margin` | least lead of a token of the text over its best rival, in logits |
| `steps`, `start` | optimisation steps taken, and where they began |
| `parents{suffix}`, `weights` | of a text that was mixed from others; else empty |

`embeddings-*.safetensors`, in the same order: `vectors` (rows, {record.space.vectors}, {record.space.hidden_size}) and
`sentence_vectors` (rows, {record.sentence_size}), float32.

`dataset.json`: what the table above says, for programs, and the SHA-256 of each file.
"""


def _use(record: DatasetRecord) -> str:
    space = record.space
    vectors = "" if space.adapter else f", vectors={space.vectors}"
    stored = "stored = dataset.embeddings()             # to mix, or to put into a pool\n"
    return f"""## Use

```python
from pathlib import Path

from embeddings import Space
from embeddings.dataset import load_dataset

dataset = load_dataset(Path("."))         # checks hashes, shapes and values
space = Space.load({space.model!r}{vectors})
print(dataset.verify(space, sample=100))  # decodes a hundred of them again
{stored if record.texts_included else ""}```

`copyloom dataset check . --model {space.model} --sample 100` does the same. Without Copyloom, any reader of Parquet and
safetensors opens the files.
"""


def _limits(record: DatasetRecord) -> str:
    secret = "" if record.texts_included else " Leaving the texts out keeps nothing secret."
    return f"""## Limits

- Vectors are copies of texts: whoever has the model can read them.{secret}
- They mean something in this space alone. With another model, revision, tokenizer or adapter they decode to something
  else; Copyloom refuses to mix spaces.
- Exactness was decided on one machine. The margin guards it against the rounding of others, a small one less.
- Rows that are not exact decode to something else than their text.
- Copyloom has not checked what the texts say. They may be false, biased or about living people.
"""
