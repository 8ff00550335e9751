"""How a loop is run: one worker at a time, one transaction a step, an outbox, a tick and a sweep."""
