"""A campaign: what happened to it (events), what it is (their fold), where that is kept, and how it writes."""
