"""The demonstration: one family, ten agencies, and what each of them learns."""
