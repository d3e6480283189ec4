"""Headline optimisation on real stories: headlines written from a test's own, judged by what other tests teach."""
