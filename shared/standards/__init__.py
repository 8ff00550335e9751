"""Contracts in the formats of others, translated into rules: the Open Data Contract Standard and Pandera schemas."""
