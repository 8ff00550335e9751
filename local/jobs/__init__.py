"""Jobs of the local Azure ML: submitted by the unmodified SDK, really executed, truthfully told of."""
