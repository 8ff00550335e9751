"""The ports over Azure: one adapter a file, each over Microsoft's own client, none of them imported before use."""
