"""How design choices of claims relate to what people click, and to what raters see in them."""
