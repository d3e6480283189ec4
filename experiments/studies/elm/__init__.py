"""Questions about points of films' and products' spaces: what an ELM answers, beside what knows as much."""
