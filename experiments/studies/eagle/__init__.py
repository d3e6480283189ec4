"""``copyloom study eagle``: films that do not exist yet, edited step by step until an audience would like them."""
