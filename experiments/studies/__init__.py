"""Questions: what settings do, measured; each study has its settings, its measurement and its tables."""
