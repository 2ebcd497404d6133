"""The ledger: what the papers claim, what their own tables give, and what our runs give."""
