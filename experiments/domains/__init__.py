"""Things that texts are about, with facts, vectors and what people thought of them: films, products."""
