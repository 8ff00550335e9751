"""One attempt to put a model live: the state machine, the effects it asks for, and the step between them."""
