"""A language model that answers questions about points of a domain's spaces: ELM (Tennenholtz et al., ICLR 2024)."""
