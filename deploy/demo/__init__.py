"""The demonstration: one family, eight agencies, and what each of them learns."""
