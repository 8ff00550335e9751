"""The nouns of the product, frozen: what is stored, and what is reported to people."""
