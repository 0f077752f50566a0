"""Names that a customer's people give numbers."""
