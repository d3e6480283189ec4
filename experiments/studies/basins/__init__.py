"""How far stored texts, what the adapter says and mixtures can be moved before another text is decoded."""
