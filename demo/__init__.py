"""The demo: each loop's main job, told live in the terminal, on a local Azure that is started and ended here."""
