"""Tools of the checkout, not of the package."""
