"""What a call costs: the operator's prices, an explicit 0 for local models, then genai-prices. Never free by accident (law 7).

All amounts are integer micro-USD and are rounded up. The bound of a call needs no tokenizer: every token of a byte-level BPE or
SentencePiece vocabulary covers at least one byte of the text, so bytes bound tokens; what a server's chat template adds is bounded by
the constants below. What cannot be bounded by its bytes (an image or file given by address) counts as a whole context window.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec

from ..protocol.canonical import canonical
from ..protocol.errors import ConfigError
from ..protocol.models import Item, ModelRequest, Price, Usage
from .profiles import profile_for
from .providers import ProviderConfig, did_you_mean, split_model

MILLION = 1_000_000
TEMPLATE_TOKENS = 1024
"""A server's own preamble (system text, tool instructions)."""
ITEM_TOKENS = 64
"""Role markers and separators around one item."""
IMAGE_TOKENS = 50_000
"""More than any image costs at the dearest known tariff (48,169 tokens)."""
_PRICE_KEYS = ("input", "cached", "output")


class Tier(msgspec.Struct, frozen=True):
    """Rates for calls with more than `above` input tokens; they hold for all tokens of the call. `bound` is the dearest input rate."""

    above: int
    price: Price
    bound: int


class PriceBook:
    """Prices of the models of `providers`. `overrides` are the operator's and count first."""

    def __init__(self, providers: Mapping[str, ProviderConfig], overrides: Mapping[str, Price]) -> None:
        self._providers = providers
        self._overrides = dict(overrides)

    def price(self, model: str) -> Price:
        """Return the base price of `model` (long calls of some models cost more: `cost` knows). Raises ConfigError without a price."""
        return self.tiers(model)[0].price

    def estimate(self, request: ModelRequest) -> int:
        """Return an upper bound of the call's price in micro-USD."""
        provider, name = split_model(request.model, self._providers)
        tokens = input_bound(request, provider, name)
        reachable = [tier for tier in self.tiers(request.model) if tier.above < tokens]
        return _ceil(
            tokens * max(tier.bound for tier in reachable) + request.max_output_tokens * max(tier.price.output for tier in reachable)
        )

    def cost(self, model: str, usage: Usage) -> int:
        """Return the price in micro-USD of a call with this usage."""
        rate = [tier for tier in self.tiers(model) if tier.above < max(usage.input, 1)][-1].price
        cached = min(usage.cached, usage.input)
        return _ceil((usage.input - cached) * rate.input + cached * rate.cached + usage.output * rate.output)

    def tiers(self, model: str) -> tuple[Tier, ...]:
        """Return the tariff of `model`, cheapest first; the first tier begins at 0."""
        provider, name = split_model(model, self._providers)
        given = self._overrides.get(model)
        if given is None and provider.local:
            given = Price(0, 0, 0, "local")
        if given is not None:
            return (Tier(0, given, max(given.input, given.cached)),)
        listed = _listed(provider.name, provider.base_url, name, int(time.time()) // 3600)
        if not listed:
            raise _unpriced(model)
        return listed


def _unpriced(model: str) -> ConfigError:
    return ConfigError(
        f"The model {model!r} has no known price, so its calls cannot be held within a budget.",
        hint="Set it in quarterdeck.toml, in USD per million tokens, such as:\n"
        f'[prices."{model}"]\ninput = 1.25\ncached = 0.125\noutput = 10.0',
    )


def prices_from(table: Mapping[str, object], source: str = "quarterdeck.toml") -> dict[str, Price]:
    """Return the operator's prices from the `[prices]` table of `source`: USD per million tokens, `cached` defaults to `input`."""
    prices: dict[str, Price] = {}
    for model, given in table.items():
        key = f'{source}: prices."{model}"'
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"{key} is not a table.",
                hint=f'Write [prices."provider/NAME"] and below it input = 1.25 and output = 10.0 (not {given!r}).',
            )
        for unknown in (field for field in given if field not in _PRICE_KEYS):
            raise ConfigError(
                f"{key}.{unknown} is unknown.{did_you_mean(unknown, _PRICE_KEYS)}", hint=f"Known keys: {', '.join(_PRICE_KEYS)}."
            )
        for missing in (field for field in ("input", "output") if field not in given):
            raise ConfigError(
                f"{key}.{missing} is missing.", hint="Both input and output are needed, in USD per million tokens; 0 is allowed."
            )
        rates = {field: _micro_usd(value, f"{key}.{field}") for field, value in given.items()}
        prices[model] = Price(rates["input"], rates.get("cached", rates["input"]), rates["output"], source)
    return prices


def input_bound(request: ModelRequest, provider: ProviderConfig, name: str) -> int:
    """Return an upper bound of the request's input tokens."""
    # Tools and formats may be rendered indented or escaped by a chat template: twice their bytes.
    rendered = 2 * len(canonical([list(request.tools), request.text_format]))
    spoken = len(request.instructions.encode("utf-8", "replace")) + len(canonical(list(request.input)))
    opaque = sum(_opaque(part, lambda: profile_for(provider, name).context_window) for item in request.input for part in _parts(item))
    return rendered + spoken + opaque + ITEM_TOKENS * (len(request.input) + 1) + TEMPLATE_TOKENS


def _parts(item: Item) -> Iterable[Any]:
    for field in ("content", "output"):
        if isinstance(item.get(field), list):
            yield from item[field]
    if item.get("type") == "item_reference":
        yield item


def _opaque(part: Any, window: Any) -> int:
    kind = part.get("type", "") if isinstance(part, dict) else ""
    if "image" in kind:
        return IMAGE_TOKENS
    return int(window()) if kind in ("input_file", "input_audio", "input_video", "item_reference") else 0


def _ceil(micro_millionths: int) -> int:
    return -(-micro_millionths // MILLION)


def _micro_usd(value: object, key: str) -> int:
    amount = Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ConfigError(
            f"{key} is {value!r}; it must be a number of USD per million tokens, 0 or more.", hint="For example input = 1.25."
        )
    return _round_up(amount)


def _round_up(usd_per_million: Decimal) -> int:
    return int((usd_per_million * MILLION).to_integral_value(ROUND_CEILING))


@functools.lru_cache(maxsize=256)
def _listed(provider_id: str, base_url: str, name: str, hour: int) -> tuple[Tier, ...]:
    """Return genai-prices' tariff of this hour (some prices change with the day or the hour), or nothing if it lacks a rate.

    Importing it takes half a second: only when asked.
    """
    from datetime import UTC, datetime
    from importlib.metadata import version

    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    known = next((p for p in snapshot.providers if p.id == provider_id), None)
    try:
        owner, model = snapshot.find_provider_model(name, None, None, base_url)
    except LookupError:
        found = known.find_model(name.lower(), all_providers=snapshot.providers) if known else None
        if found is None or known is None:
            return ()
        owner, model = known, found
    rates = model.get_prices(datetime.fromtimestamp(hour * 3600, tz=UTC))
    if rates.input_mtok is None or rates.output_mtok is None or rates.requests_kcount is not None:
        return ()  # half a price, or one per request, bounds nothing
    source = f"genai-prices {version('genai-prices')} ({owner.id})"
    starts = {0} | {tier.start for rate in vars(rates).values() for tier in getattr(rate, "tiers", ())}
    return tuple(_tier(rates, start, source) for start in sorted(starts))


def _tier(rates: Any, above: int, source: str) -> Tier:
    def rate(field: str) -> int | None:
        value = getattr(rates, field)
        if value is None:
            return None
        tiers = [tier.price for tier in getattr(value, "tiers", ()) if tier.start <= above]
        return _round_up(tiers[-1] if tiers else getattr(value, "base", value))

    into, out = rate("input_mtok") or 0, rate("output_mtok") or 0
    cached = rate("cache_read_mtok")
    price = Price(
        into, into if cached is None else cached, out if (thought := rate("output_reasoning_mtok")) is None else max(out, thought), source
    )
    return Tier(above, price, max(price.input, price.cached, rate("cache_write_mtok") or 0))
