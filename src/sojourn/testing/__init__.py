"""For your tests: a clock in your hand, the contract every store keeps, broken stores that prove it."""
