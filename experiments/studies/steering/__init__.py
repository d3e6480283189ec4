"""What steering does to claims."""
