"""The products of a shop: what its catalogue says of each, version by version, and which texts are about which."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Literal, Self

from sqlalchemy import Connection, func, select

from embeddings.database import matching
from experiments.storefront.tables import AboutRow, ProductRow
from experiments.storefront.tables import Part as Part

Shop = Literal["shopify", "woocommerce"]


@dataclass(frozen=True)
class Product:
    """What a shop's catalogue says of a product: all that a text about it may claim.

    Parameters
    ----------
    id : str
        As pages name it (`product_id`): Shopify's handle; WooCommerce's ID, or the SKU where there is none.
    shop : str
        shopify or woocommerce.
    sku : str
        Of WooCommerce.
    said : mapping of str to tuple of str
        Phrases by what they are of: title, description, short description, brand, type, category, tags, options,
        attributes, price, measures, of Shopify sku. What a file has no column for is not there.
    """

    id: str
    shop: Shop
    sku: str = ""
    said: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def phrases(self) -> tuple[str, ...]:
        """All that is said."""
        return tuple(dict.fromkeys(filter(None, (*chain.from_iterable(self.said.values()), self.sku))))

    @property
    def body(self) -> str:
        """The product as JSON, equal for equal ones."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_body(cls, body: str) -> Self:
        """Return the product that `body` wrote."""
        told = json.loads(body)
        return cls(**{**told, "said": {what: tuple(phrases) for what, phrases in told["said"].items()}})

    def text(self, part: str) -> str:
        """Return its title, description or short description; "" where it has none."""
        return next(iter(self.said.get(part, ())), "")

    def after(self, earlier: Product | None) -> Product:
        """Return it with what an earlier version said of what this one has no column for, as shops import files."""
        if earlier is None:
            return self
        return Product(self.id, self.shop, self.sku or earlier.sku, {**earlier.said, **self.said})


@dataclass(frozen=True)
class Catalogue:
    """What a catalogue says of a slot: see `experiments.storefront.decide.Slot`."""

    about: Mapping[str, frozenset[str]]
    records: Mapping[str, tuple[str, ...]]


def catalogue_of(connection: Connection, tenant: str, slot_id: int) -> Catalogue:
    """Return which products the texts of a slot are about, and what is said of these."""
    about: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(select(AboutRow.text_id, AboutRow.product).where(AboutRow.slot_id == slot_id)):
        about[row.text_id].add(row.product)
    products = newest(connection, tenant, sorted(set().union(*about.values())))
    return Catalogue({text: frozenset(some) for text, some in about.items()},
                     {name: product.phrases for name, product in products.items()})  # fmt: skip


def newest(connection: Connection, tenant: str, products: Sequence[str] | None = None) -> dict[str, Product]:
    """Return the products of a tenant by id as they are now, all or some; without those that are gone."""
    last = select(ProductRow.product, func.max(ProductRow.import_id).label("number"))
    latest = last.where(ProductRow.tenant == tenant).group_by(ProductRow.product).subquery()
    query = select(ProductRow.product, ProductRow.body).join(
        latest, (ProductRow.product == latest.c.product) & (ProductRow.import_id == latest.c.number)
    )
    query = query.where(ProductRow.tenant == tenant, ProductRow.body != "")
    everything = products is None
    rows = connection.execute(query) if everything else matching(connection, query, ProductRow.product, products or ())
    return {row.product: Product.from_body(row.body) for row in rows}


def texts_once(connection: Connection, tenant: str, products: Sequence[str], part: str) -> dict[str, set[str]]:
    """Return what products had as their title, description or short description, now or before the last import."""
    query = select(ProductRow.product, ProductRow.body).where(ProductRow.tenant == tenant, ProductRow.body != "")
    found: dict[str, set[str]] = defaultdict(set)
    for row in matching(connection, query, ProductRow.product, products):
        found[row.product].add(Product.from_body(row.body).text(part))
    return found
