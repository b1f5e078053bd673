"""What each network minimises."""
