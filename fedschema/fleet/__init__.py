"""A fleet's work: each department in a transaction of its own, in an order, at a pace."""
