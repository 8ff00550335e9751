"""Tables that lie as files: what the log of a Delta table says of them, read for one of its versions."""
