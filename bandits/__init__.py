"""Rewards to weights: what the clicks say about texts, what to show next, and what to mix next.

`LogisticRewardModel(RewardPrior(base_rate)).fit(features, impressions, clicks)` gives a `Posterior`. A policy turns it
into the probabilities of one snapshot (the fast clock); `MixtureProposer` turns it, and the map from wanted to realised
features, into the mixtures to decode next (the slow clock). Everything is float64, with the campaigns that run side by
side in the leading dimensions. What is out of range or not finite, or of a shape that does not fit, raises
`copyloom.InputError`, everywhere; a docstring says only what raises it beside that.

=====================================  ==============================================================================
you want                               use
=====================================  ==============================================================================
clicks, in long snapshots              `ThompsonSampling`
clicks, in short snapshots             `UpperConfidenceBound`
the best text known at the end         `TopTwoThompson`
to learn about all texts first         `OptimalDesign`, then another policy
a plain rule; a baseline               `EpsilonGreedy`; `Uniform`
a control beside any of these          `Holdout`
a rule of your own                     what `Policy` asks for; random streams from `seeded_generators`
one decision at a time                 `OnlineThompson`, or `bandits.online.vowpal_wabbit`
new mixtures of stored texts           `RealisedFeatureMap`, `MixtureProposer`; one reward alone: `bandits.mixtures`
features with curvature or context     `bandits.rewards.features`
shoppers who change                    `bandits.rewards.forgetting`, `bandits.rewards.drift`
a prior from past campaigns            `bandits.rewards.empirical_bayes`
a prior from what a model says         `bandits.rewards.text_prior`
what is known by now; a traffic plan   `bandits.sequential`
what a log says of another policy      `bandits.evaluation`
=====================================  ==============================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
