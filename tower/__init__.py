"""The control tower: one page a question, rendered on the server, readable by people, scripts and screen readers."""
