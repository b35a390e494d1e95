"""Dataset discovery."""
