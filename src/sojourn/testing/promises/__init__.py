"""The promises of the store contract, by subject; `sojourn.testing.contract` puts them together."""
