"""``copyloom plan``: whether a traffic can tell texts apart, before the first impression."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.commands import console
from experiments.commands.options import NEEDED, Json, check_given

if TYPE_CHECKING:
    from bandits.sequential.planning import PlannedCampaign, TrafficPlan


def plan(
    impressions_per_day: Annotated[int, typer.Option(help="Of all texts together; needed.", min=1)] = NEEDED,
    texts: Annotated[int, typer.Option(help="Texts in the slate; needed.", min=2)] = NEEDED,
    base_rate: Annotated[float, typer.Option(help="Click rate of an average text: 0.02 for 2 %; needed.")] = NEEDED,
    days: Annotated[float, typer.Option(help="How long the campaign runs.")] = 14,
    lift: Annotated[float | None, typer.Option(help="Lead of the best text over all others: 0.2 for 20 %.")] = None,
    logit_sd: Annotated[float | None, typer.Option(help="Instead: spread of the texts' logits, such as 0.29.")] = None,
    features: Annotated[int, typer.Option(help="Features of the reward model.", min=1)] = 16,
    alpha: Annotated[float, typer.Option(help="Probability of ever naming a worse text.")] = 0.05,
    power: Annotated[float, typer.Option(help="Probability of naming the best text in time.")] = 0.8,
    margin: Annotated[float, typer.Option(help="Accept a text that no other beats by more: 0.1 for 10 %.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Say whether a traffic can tell texts apart, and what to change if not; exit status 1 if it cannot."""
    from bandits.sequential.planning import PlannedCampaign, plan_traffic

    effect = {"lift (or --logit-sd)": lift if lift is not None else logit_sd}
    check_given(impressions_per_day=impressions_per_day, texts=texts, base_rate=base_rate, **effect)
    campaign = PlannedCampaign(
        impressions_per_day, days, base_rate, texts, lift, logit_sd, features, alpha, power, margin
    )
    found = plan_traffic(campaign)
    if as_json:
        console.print_json({**asdict(campaign), **asdict(found)})
    else:
        _show(campaign, found)
    if not found.feasible:
        raise typer.Exit(1)


def _show(campaign: PlannedCampaign, found: TrafficPlan) -> None:
    least = "none would" if found.least_effect is None else f"at least {found.least_effect:.3g}"

    def needed(number: float | None, form: str = ",") -> str:
        return "none would" if number is None else format(number, form)

    rows = [
        ["impressions", f"{found.impressions:,}", needed(found.needed)],
        ["impressions of each text", f"{found.impressions_per_text:,}", needed(found.needed_per_text)],
        ["days", f"{campaign.days:,g}", needed(found.days_needed, ",.1f")],
        ["texts in the slate", f"{campaign.texts:,}", f"at most {found.most_texts:,}"],
        [campaign.effect_name.replace("_", " "), f"{campaign.effect:.3g}", least],
        ["features", f"{campaign.features}", f"at most {found.learnable_features:,}"],
    ]
    console.table("The plan, and what would do with all else as planned", ["", "planned", "would do"], rows)
    console.out.print(f"\nThe campaign {found.verdict}.")
    console.out.print(
        f"The reward model's prior weighs more than the clicks for {found.prior_impressions:,} impressions "
        f"(logit sd {found.prior_logit_sd:.2f}, {campaign.features} features)."
    )
    console.out.print("Reckoned for equal shares; top-two Thompson sampling needs less, plain Thompson sampling more.")
