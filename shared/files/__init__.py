"""A file of a drop becomes typed columns: CSV, Parquet, their layout, and the folders that they lie in."""
