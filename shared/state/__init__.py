"""What is stored of a loop: its rows, the hash chain of its ledger, and the queries that people ask."""
