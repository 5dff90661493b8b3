"""Having retrain run regularly: when, in whose words, and installed with whom."""
