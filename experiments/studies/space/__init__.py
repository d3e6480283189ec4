"""Whether the cosine of a space can be trusted, and whether a space's qualities foretell what people want of it."""
