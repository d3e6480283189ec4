"""Rules for sharing a snapshot's impressions among texts."""
