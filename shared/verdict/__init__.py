"""What a new data version means: drift, the metric, and what the model says since."""
