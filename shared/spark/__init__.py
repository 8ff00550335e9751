"""Drops that no function can read are read by a Spark job of Azure ML, with the reader that the function has."""
